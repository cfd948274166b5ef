/** What has happened, the newest first. It stands still while somebody reads it. */
import type { Fact } from "./Api.ts"
import type { App } from "./App.ts"

export function installEventLog(app: App): void {
  const { find, mark, on, phrase, set, write } = app
  const mostShown = 200
  const list = find("events")
  const words = find("events-text") as HTMLInputElement
  const kind = find("events-kind") as HTMLSelectElement
  const freeze = find("events-freeze") as HTMLInputElement
  const read = matchMedia("(hover: hover)").matches ? ":hover, :focus" : ":focus"
  let from: unknown

  const kinds: Readonly<Record<string, RegExp>> = {
    pool: /^Pool/,
    connections: /^(Connect|Backoff)/,
    leases: /Acquire|Released|^Leak/,
    sizing: app.sizing,
    operators: /^Operator/
  }
  const isMeant = (fact: Fact): boolean =>
    kind.value === "trouble" ? app.isTrouble(fact) : (kinds[kind.value] ?? /./).test(fact._tag)

  const draw = (): void => {
    const { facts, omitted } = app.view
    const text = words.value.trim().toLowerCase()
    const found = facts.filter(
      (fact) => isMeant(fact) && `${phrase(fact._tag)} ${app.factWords(fact)}`.toLowerCase().includes(text)
    )
    const newest = found.slice(-mostShown).toReversed()
    app.list("events", "li time i b span", newest, (fact, line, time, symbol, name, details) => {
      const isTrouble = app.isTrouble(fact)
      write(time!, app.time(fact.at))
      write(symbol!, isTrouble ? app.symbols.warn : fact._tag === "OperatorAction" ? "◆" : "")
      write(name!, phrase(fact._tag))
      app.tip(details!, app.factWords(fact))
      app.flag(line, isTrouble)
    })
    const shown = found.length > mostShown ? `, the newest ${mostShown} of them here` : ""
    const missing = omitted > 0 ? `, and ${app.number(omitted)} more that came too fast` : ""
    set("events-note", `${found.length} of ${app.many(facts.length, "event")}${shown}${missing}.`)
  }

  const update = (): void => {
    // Another pool, or all of it anew, is not what was being read.
    const isFrozen = from === app.view.columns && (freeze.checked || list.matches(read))
    from = app.view.columns
    if (!isFrozen) draw()
    mark(list, "data-frozen", isFrozen && "")
    set("events-frozen", isFrozen && "Frozen")
  }

  on(words, "input", draw)
  on(kind, "input", draw)
  on(freeze, "change", update)
  app.onRender.push(update)
}
