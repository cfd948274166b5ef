/** The report of a pool, and the table of all, as text. */
import type { PoolList, PoolSummary } from "../http/PoolApi.ts"
import type { PoolReport, Times } from "../PoolReport.ts"
import type { Line, Style } from "./Line.ts"
import { fit, fitRight, plain, widthOf, wrap } from "./PlainText.ts"
import {
  connectionLines,
  failureLines,
  healthPiece,
  leaseLines,
  operationLines,
  verdict,
  waiterLines,
  waitingLine
} from "./ReportLines.ts"
import { count, instantOf, millis, number, phrase, timeOf } from "./Words.ts"

/** Of each list as many as one reads; `top` and `--json` have more. */
const mostLines = 10

const section = (title: string, lines: ReadonlyArray<Line>, omitted: number = 0): ReadonlyArray<Line> => {
  if (lines.length === 0) return []
  const more = Math.max(0, lines.length - mostLines) + omitted
  const rest: ReadonlyArray<Line> = more === 0 ? [] : [[["dim", `  and ${more} more`]]]
  const shown = lines.slice(0, mostLines).map((line): Line => (["  "] as Line).concat(line))
  return [[], [["strong", title]], ...shown, ...rest]
}

const timesLine = (name: string, { count: ended, mean, p50, p95, p99 }: Times): Line => [
  fit(name, 12),
  ended === 0
    ? "none yet"
    : `p50 ${millis(p50)}  p95 ${millis(p95)}  p99 ${millis(p99)}  mean ${millis(mean)}  of ${number(ended)}`
]

/** `3 shed, 1 closed`, or nothing. */
const counted = (reasons: Readonly<Record<string, number>>): string =>
  Object.entries(reasons)
    .filter(([, times]) => times > 0)
    .map(([reason, times]) => `${times} ${phrase(plain(reason))}`)
    .join(", ")

const totals = (report: PoolReport): ReadonlyArray<Line> => {
  const { acquired, acquiredAtOnce, closed, closedFor, connectFailures, created, failedFor, leaks, refusedFor } = report
  const because = (reasons: string) => (reasons === "" ? "" : `: ${reasons}`)
  const refused = counted(refusedFor)
  return [
    [fit("acquires", 12), `${number(acquired)} served, ${number(acquiredAtOnce)} of them at once`],
    ...(refused === "" ? [] : [[fit("", 12), `not served: ${refused}`]]),
    [fit("opened", 12), `${created}, ${closed} of them closed${because(counted(closedFor))}`],
    ...(connectFailures === 0
      ? []
      : [[fit("", 12), `${count(connectFailures, "failed attempt")}${because(counted(failedFor))}`]]),
    ...(leaks === 0 ? [] : [[fit("leaks", 12), `${leaks} suspected so far, ${report.leaksNow} of them still out`]])
  ]
}

const hints = (report: PoolReport, columns: number): ReadonlyArray<Line> => {
  const { advice, knee, sizing } = report
  const texts = [
    `${plain(sizing.policy)} keeps ${count(sizing.connections, "connection")}${
      sizing.changed === undefined ? "" : `; last change: ${plain(sizing.changed.reason)}`
    }`,
    ...(sizing.notGrown === undefined ? [] : [`not grown: ${plain(sizing.notGrown.reason)}`]),
    ...(sizing.fault === undefined ? [] : [`not followed ${sizing.ignored} times: ${plain(sizing.fault)}`]),
    ...(advice === undefined
      ? []
      : [`advice: maxConnections ${advice.maxConnections}, minConnections ${advice.minConnections}`]),
    ...(knee === undefined ? [] : [plain(knee.advice)])
  ]
  return texts.flatMap((text) => wrap(text, columns - 2).map((line): Line => [line]))
}

/** What health says besides the diagnosis, which stands above already. */
const reasons = ({ diagnosis, health }: PoolReport): ReadonlyArray<string> =>
  health.reasons.filter((reason) => reason !== diagnosis.summary && !reason.startsWith(`${diagnosis.kind}: `))

/** Everything that one wants to know of a pool first, in the order in which one asks. */
export const statusLines = (report: PoolReport, { columns, zone }: Style): ReadonlyArray<Line> => [
  [
    ["strong", plain(report.key)],
    ["dim", `  ${instantOf(report.at, zone)}, made ${instantOf(report.since, zone)}`]
  ],
  ...verdict(report, columns, { summary: 10, advice: 10, adviceLines: 5 }),
  ...reasons(report).flatMap((reason) => wrap(plain(reason), columns - 2).map((line): Line => [`  ${line}`])),
  ...failureLines(report),
  ...(report.capturesStacksUntil === undefined
    ? []
    : [[`  stacks are captured until ${timeOf(report.capturesStacksUntil, zone)}`]]),
  [],
  ...connectionLines(report, columns),
  waitingLine(report),
  timesLine("wait", report.acquireTimes),
  timesLine("hold", report.useTimes),
  timesLine("connect", report.createTimes),
  ...totals(report),
  ...section(
    "held by operation, last minute",
    operationLines(report.operations, columns - 2),
    report.omitted.operations
  ),
  ...section("oldest leases", leaseLines(report)),
  ...section("waiting in line", waiterLines(report.waiters), report.omitted.waiters),
  ...section("size", hints(report, columns))
]

const heads = ["health", "state", "diagnosis", "in use", "idle", "waiting", "avg wait"] as const

const cellsOf = (pool: PoolSummary): ReadonlyArray<string> => [
  pool.state,
  phrase(pool.diagnosis.kind),
  `${pool.in_use_connections} of ${pool.limit}`,
  String(pool.available_connections),
  String(pool.wait_queue_length),
  millis(pool.avg_wait_time_ms)
]

/** A line for each pool, the names last: they may be long. */
export const tableLines = ({ pools }: PoolList): ReadonlyArray<Line> => {
  if (pools.length === 0) return [["no pools"]]
  const rows = pools.map(cellsOf)
  const widths = heads.map((head, place) =>
    Math.max(head.length, ...(place === 0 ? [6] : rows.map((cells) => widthOf(cells[place - 1]!))))
  )
  const aligned = (text: string, place: number) => (place >= 3 ? fitRight : fit)(text, widths[place]!)
  const title: Line = [["dim", [...heads.map(aligned), "pool"].join("  ")]]
  return [
    title,
    ...pools.map((pool, row): Line => [
      healthPiece(pool.health),
      `  ${[...rows[row]!.map((cell, place) => aligned(cell, place + 1)), plain(pool.key)].join("  ")}`
    ])
  ]
}
