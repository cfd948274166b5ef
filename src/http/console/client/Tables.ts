/** The tables: connections, waiters, and operations that hold connections. */
import type { Connection, Holder, Operation, Waiter } from "./Api.ts"
import type { App } from "./App.ts"

export function installTables(app: App): void {
  const { el, mark, millis, number, phrase, table, tip, write } = app

  /** A line that opens: the rest of what is known stands below it. */
  const folded = (cell: HTMLElement, line: string, rest: ReadonlyArray<string | 0 | undefined>): void => {
    const details = (cell.firstChild ?? cell.appendChild(el("details", {}, el("summary"), el("pre")))) as HTMLElement
    details.hidden = line === ""
    tip(details.firstElementChild!, line)
    write(details.lastElementChild!, rest.filter(Boolean).join("\n"))
  }

  const holderLines = (holder: Holder): ReadonlyArray<string | 0 | undefined> => [
    holder.path ?? holder.holder,
    holder.place,
    holder.fiber && `fiber #${holder.fiber}`,
    holder.trace && `trace ${holder.trace}`,
    `lease ${holder.lease}, held for ${millis(holder.heldForMillis)}`,
    holder.stack && `borrowed at\n${holder.stack}`
  ]

  const nameOf = ({ holders: [first] }: Connection): string => first?.operation ?? first?.holder ?? ""

  const holderCell = (connection: Connection, cell: HTMLElement): void => {
    const { holders, statistics = {} } = connection
    const isLeak = holders.some(({ isLeakSuspected }) => isLeakSuspected)
    const counted = Object.entries(statistics).map(([name, count]) => `${phrase(name)} ${number(count)}`)
    const more = holders.length > 1 ? ` and ${holders.length - 1} more` : ""
    const line = `${isLeak ? "⚑ " : ""}${nameOf(connection)}${more}` || (counted.length > 0 ? "–" : "")
    folded(cell, line, [...holders.flatMap(holderLines), counted.join(", ")])
    app.flag(cell, isLeak)
  }

  const evictCell = ({ id, state }: Connection, cell: HTMLElement): void => {
    const { isEnabled, names, reason } = app.actions
    const button = (cell.firstChild ?? cell.appendChild(el("button", {}, "Evict"))) as HTMLButtonElement
    const isAllowed = isEnabled && names.includes("evict")
    button.value = `${id}`
    button.disabled = !isAllowed || state === "closing"
    mark(button, "title", !isAllowed && (reason ?? ""))
    mark(button, "aria-label", `Evict connection ${id}`)
  }
  app.on(app.find("connections"), "click", ({ target }) => {
    const id = target.closest<HTMLButtonElement>("td button")?.value
    const connection = app.view.report?.connections.find((one) => `${one.id}` === id)
    if (connection) app.evict(connection)
  })

  const connections = table<Connection>(
    "connections",
    2,
    "No connection is open or being opened.",
    ({ id }) => id,
    ["Id", ({ id }) => id, (id) => `#${id}`],
    ["State", ({ state }) => phrase(state)],
    ["In use for", ({ inUseForMillis }) => inUseForMillis, millis],
    ["Holder", nameOf, undefined, holderCell],
    ["Idle for", ({ idleForMillis }) => idleForMillis, millis],
    ["Age", ({ ageMillis }) => ageMillis, millis],
    ["Uses", ({ uses }) => uses, number],
    ["Action", undefined, undefined, evictCell]
  )

  const waiters = table<Waiter>(
    "waiters",
    2,
    "Nobody waits.",
    ({ acquire }) => acquire,
    ["Place", ({ position }) => position, number],
    [
      "Who",
      ({ operation, waiter }) => operation ?? waiter,
      undefined,
      ({ operation, place, waiter }, cell) => folded(cell, operation ?? waiter, [waiter, place])
    ],
    ["Waited", ({ waitedMillis }) => waitedMillis, millis],
    ["Gives up in", ({ timeLeftMillis }) => timeLeftMillis, millis],
    ["Holds", ({ holds }) => holds, number],
    ["Batch", ({ isBatch }) => (isBatch ? "yes" : "no")]
  )

  const operations = table<Operation>(
    "operations",
    3,
    "Nobody has held a connection in the last minute.",
    ({ operation }) => operation,
    ["Operation", ({ operation }) => operation, undefined, ({ operation }, cell) => tip(cell, operation)],
    ["Leases", ({ leases }) => leases, number],
    ["Oldest", ({ leases, oldestMillis }) => (leases > 0 ? oldestMillis : undefined), millis],
    [
      "Share of the last minute",
      ({ share }) => share,
      undefined,
      ({ operation, share }, cell) => {
        if (cell.firstChild === null) cell.append(el("i"), el("span"))
        app.fill(cell.firstChild as HTMLElement, share, app.operationColor(operation))
        write(cell.lastElementChild!, app.percent(share))
      }
    ]
  )

  app.onRender.push((report) => {
    connections(report.connections)
    waiters(report.waiters)
    operations(report.operations)
    for (const [name, count] of Object.entries(report.omitted))
      app.set(`${name}-more`, count > 0 && `${number(count)} more are not listed.`)
  })
}
