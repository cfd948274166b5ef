/** The parts of a report as lines: what `top` shows each second and `status` once. */
import type { Holder } from "../PoolError.ts"
import type { OperationStatus, PoolReport, WaiterStatus } from "../PoolReport.ts"
import { bar } from "./Chart.ts"
import type { Line, Piece, Tone } from "./Line.ts"
import { cut, fit, fitRight, plain, wrap } from "./PlainText.ts"
import { count, millis, percent, phrase } from "./Words.ts"

type Health = "pass" | "warn" | "fail"

const healthTone: Readonly<Record<Health, Tone>> = { pass: "good", warn: "warn", fail: "bad" }
const healthSign: Readonly<Record<Health, string>> = { pass: "✓", warn: "▲", fail: "✕" }

/** A sign and a word. */
export const healthPiece = (health: Health): Piece => [healthTone[health], `${healthSign[health]} ${health}`]

/** How many lines of the summary there is room for, how many things to do, and how many lines of each of them. */
export interface Room {
  readonly summary: number
  readonly advice: number
  readonly adviceLines: number
}

/** The first lines of a text; the last of them says that there is more. */
const firstLines = (text: string, columns: number, most: number): ReadonlyArray<string> => {
  const lines = wrap(text, columns)
  return lines.length <= most ? lines : [...lines.slice(0, most - 1), cut(lines.slice(most - 1).join(" "), columns)]
}

/** State and diagnosis on a line, then what shows it, and the first things to do. */
export const verdict = ({ diagnosis, health, state }: PoolReport, columns: number, room: Room): ReadonlyArray<Line> => {
  const { advice, kind, summary } = diagnosis
  const head: Line = [healthPiece(health.status), `  ${state}  `, ["strong", phrase(kind)]]
  const shows = firstLines(plain(summary), columns - 2, room.summary).map((text): Line => [`  ${text}`])
  const tried = advice
    .slice(0, room.advice)
    .flatMap((one) =>
      firstLines(plain(one), columns - 7, room.adviceLines).map((text, place): Line => [
        ["dim", place === 0 ? "  try: " : "       "],
        text
      ])
    )
  return [head, ...shows, ...tried]
}

interface StatePart {
  readonly sign: string
  readonly name: string
  readonly tone: Tone
  readonly count: number
}

const partsOf = ({ checking, closing, connecting, idle, inUse, resetting }: PoolReport): ReadonlyArray<StatePart> => [
  { sign: "█", name: "in use", tone: "strong", count: inUse },
  { sign: "▒", name: "idle", tone: "good", count: idle },
  { sign: "▓", name: "preparing", tone: "warn", count: checking + resetting },
  { sign: "+", name: "connecting", tone: "warn", count: connecting },
  { sign: "×", name: "closing", tone: "bad", count: closing }
]

/** A bar of the connections by state against the limit, and what its signs mean. */
export const connectionLines = (report: PoolReport, columns: number): ReadonlyArray<Line> => {
  const { limit, maxConnections, minConnections, total } = report
  const room = limit < maxConnections ? `${total} of ${limit} (max ${maxConnections})` : `${total} of ${limit}`
  const width = Math.max(5, Math.min(60, columns - 14 - room.length))
  const parts = partsOf(report)
  const signs = bar(parts, Math.max(limit, total), width)
  const drawn = signs.reduce((sum, text) => sum + text.length, 0)
  const line: Line = [
    "connections ",
    ...parts.map(({ tone }, place): Piece => [tone, signs[place]!]),
    ["dim", "·".repeat(Math.max(0, width - drawn))],
    ` ${room}`
  ]
  const legend = parts
    .filter(({ count, name }) => count > 0 || name === "in use" || name === "idle")
    .flatMap(({ count, name, sign, tone }): ReadonlyArray<Piece> => [[tone, sign], ` ${count} ${name}  `])
  return [line, ["            ", ...legend, ["dim", `min ${minConnections}`]]]
}

/** Who waits, and how long already; leaks, if there are any. */
export const waitingLine = ({
  acquireTimeoutMillis,
  isOverloaded,
  leaksNow,
  oldestWaitMillis,
  waiting
}: PoolReport): Line => {
  const until = `the oldest for ${millis(oldestWaitMillis)} of ${millis(acquireTimeoutMillis)}`
  const waits: Piece = waiting === 0 ? "0" : ["warn", `${waiting}, ${until}`]
  const overloaded: ReadonlyArray<Piece> = isOverloaded ? ["   ", ["bad", "! overloaded"]] : []
  const leaks: ReadonlyArray<Piece> = leaksNow > 0 ? ["   ", ["bad", `! ${count(leaksNow, "leak")} suspected`]] : []
  return ["waiting     ", waits, ...overloaded, ...leaks]
}

/** Operations by their share of the time for which connections were lent in the last minute. */
export const operationLines = (operations: ReadonlyArray<OperationStatus>, columns: number): ReadonlyArray<Line> => {
  const width = Math.max(8, Math.min(40, columns - 43))
  return [...operations]
    .sort((one, other) => other.share - one.share)
    .map(({ leases, oldestMillis, operation, share }): Line => {
      const [filled = ""] = bar([{ count: share, sign: "█" }], 1, 8)
      const now = leases === 0 ? "" : `${fitRight(String(leases), 4)} now, the oldest ${millis(oldestMillis)}`
      return [fit(plain(operation), width), " ", fit(filled, 8), fitRight(percent(share), 6), " ", now]
    })
}

const byAge = (one: Holder, other: Holder): number => other.heldForMillis - one.heldForMillis

/** The leases that run, the oldest first: which connection, for how long, who and where; a leak is marked. */
export const leaseLines = (report: PoolReport): ReadonlyArray<Line> =>
  report.connections
    .flatMap(({ holders }) => holders)
    .sort(byAge)
    .map((holder): Line => {
      const held: Piece = holder.isLeakSuspected === true ? ["bad", "leak? "] : "      "
      const where = holder.place === undefined ? "" : `  ${plain(holder.place)}`
      const who = plain(holder.path ?? holder.operation ?? holder.holder)
      return [
        fit(`#${holder.connection}`, 5),
        fitRight(millis(holder.heldForMillis), 11),
        " ",
        held,
        who,
        ["dim", where]
      ]
    })

/** Who waits, in line. */
export const waiterLines = (waiters: ReadonlyArray<WaiterStatus>): ReadonlyArray<Line> =>
  waiters.map((waiter): Line => {
    const holds: Piece = waiter.holds > 0 ? ["warn", `  holds ${waiter.holds} already`] : ""
    const where = waiter.place === undefined ? "" : `  ${plain(waiter.place)}`
    return [
      fit(`${waiter.position}.`, 5),
      fitRight(millis(waiter.waitedMillis), 11),
      "       ",
      plain(waiter.operation ?? waiter.waiter),
      waiter.isBatch ? " (batch)" : "",
      holds,
      ["dim", where]
    ]
  })

/** Why connects fail now. */
export const failureLines = ({ failures }: PoolReport): ReadonlyArray<Line> =>
  failures.map(({ attempts, message, reason, retryInMillis }): Line => [
    ["bad", "! "],
    `connects fail (${phrase(reason)}, ${count(attempts, "attempt")}): ${plain(message)}`,
    retryInMillis === undefined ? "" : `; the next in ${millis(retryInMillis)}`
  ])
