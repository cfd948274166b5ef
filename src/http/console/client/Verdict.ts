/** The answer to "what is the matter?": the state, one sentence, what to do, and who holds the connections. */
import type { Report } from "./Api.ts"
import type { App } from "./App.ts"

export function installVerdict(app: App): void {
  const { find, mark, phrase, set, write } = app
  const mostHolders = 5
  let said = ""

  const drawHeld = ({ connections, leases: all, operations }: Report): void => {
    const holders = connections.flatMap((connection) => connection.holders)
    const holding = operations
      .filter(({ leases }) => leases > 0)
      .sort((one, other) => other.leases - one.leases || other.oldestMillis - one.oldestMillis)
    const shown = holding.slice(0, mostHolders)
    app.list(
      "held",
      "li b span i small",
      shown,
      ({ leases, oldestMillis, operation }, node, name, value, bar, where) => {
        const own = holders.filter((holder) => holder.operation === operation)
        const isLeak = own.some(({ isLeakSuspected }) => isLeakSuspected)
        const oldest = own.sort((one, other) => other.heldForMillis - one.heldForMillis)[0]
        app.tip(name!, operation)
        write(value!, `${leases} of ${all}`)
        app.fill(bar!, leases / all, app.operationColor(operation))
        const words = [isLeak && "⚑ leak suspected", `oldest ${app.millis(oldestMillis)}`, oldest?.place]
        write(where!, words.filter(Boolean).join(" · "))
        app.flag(node, isLeak)
      }
    )
    const others = holding.length - mostHolders
    set("held-rest", holding.length === 0 ? "Nobody now." : others > 0 && `and ${app.many(others, "more operation")}`)
  }

  app.onRender.push((report) => {
    const { at, diagnosis, health, key, name, since, state } = report
    set("name", key === name ? name : `${key} (${name})`)
    set("state", state)
    mark(find("state"), "data-state", state)
    set("health", `${app.symbols[health.status]} health: ${health.status}`)
    mark(find("verdict"), "data-health", health.status)
    set("age", `made ${app.millis(at - since)} ago`)
    set("kind", phrase(diagnosis.kind))
    app.tip(find("summary"), diagnosis.summary)
    app.lines("advice", diagnosis.advice)
    const others = health.reasons.filter((reason) => !reason.includes(diagnosis.summary))
    app.lines("reasons", others)
    drawHeld(report)
    // Said when it changes, not each second, when only its numbers do.
    const news = `${key}: ${state}, ${phrase(diagnosis.kind)}`
    if (news !== said) set("news", `${news}. ${diagnosis.summary}`)
    said = news
  })
}
