/** The screen of `effect-pool top`: from what is known to lines. */
import * as Option from "effect/Option"
import type { PoolReport } from "../PoolReport.ts"
import { sparkline } from "./Chart.ts"
import { draw, lengthOf, type Line, type Piece, sides, type Style } from "./Line.ts"
import { cut, fit, plain, widthOf } from "./PlainText.ts"
import { connectionLines, failureLines, healthPiece, type Room, verdict, waitingLine } from "./ReportLines.ts"
import { listLines, type ScreenStyle } from "./TopLists.ts"
import type { Second, TopState } from "./TopState.ts"
import { millis, number, timeOf } from "./Words.ts"

const healthMarks = { pass: "", warn: " ▲", fail: " ✕" }

/** As many as there are digits. */
const tabsShown = 9

/** Names as long as they are, up to this; where that is too much for the line, all of them get the same. */
const longestName = 24

const nameColumns = (names: ReadonlyArray<string>, columns: number): number => {
  // A blank, the number, a mark of the health and the blanks between them.
  const room = columns - names.length * 6
  const wanted = names.reduce((sum, name) => sum + Math.min(longestName, widthOf(name)), 0)
  return wanted <= room ? longestName : Math.max(6, Math.floor(room / Math.max(1, names.length)))
}

const tabs = ({ pool, pools, report }: TopState, columns: number): Line => {
  // The list is asked for now and then; of the pool that is looked at, more is known.
  const seen = Option.getOrUndefined(report)?.health.status
  const shown = pools.slice(0, tabsShown)
  const names = shown.map(({ key }) => plain(key))
  const width = nameColumns(names, columns)
  const labels = shown.map(({ health, key }, index): Piece => {
    const mark = healthMarks[key === pool ? (seen ?? health) : health]
    const label = ` ${index + 1} ${cut(names[index]!, width)}${mark} `
    return key === pool ? ["reversed", label] : label
  })
  const isShown = shown.some(({ key }) => key === pool)
  const more = pools.length > tabsShown ? ` +${pools.length - tabsShown} ` : ""
  return [...(isShown ? [] : [["reversed", ` ${cut(plain(pool), longestName)} `] as const]), ...labels, ["dim", more]]
}

const header = (state: TopState, { columns, zone }: ScreenStyle): Line => {
  const right: Line = [["dim", `${plain(state.place)}  ${timeOf(state.at, zone)}`]]
  return sides(tabs(state, columns - lengthOf(right)), right, columns)
}

const linkLines = ({ at, link }: TopState, { zone }: ScreenStyle): ReadonlyArray<Line> => {
  switch (link._tag) {
    case "Live":
      return []
    case "Connecting":
      return [[["dim", "waiting for the first second ..."]]]
    case "Ended":
      return [[["reversed", ` ! the pool has ended at ${timeOf(link.since, zone)}: what is shown is from then `]]]
    case "Lost": {
      const since = `no connection since ${timeOf(link.since, zone)} (${millis(at - link.since)})`
      return [
        [["reversed", ` ! ${since}: trying again, what is shown is from then `]],
        [["bad", `   ${plain(link.reason)}`]]
      ]
    }
  }
}

/** What was counted in the last second, and first what should be none: a narrow screen cuts the rest. */
const rateLine = (second: Second): Line => {
  const { acquired, acquiredAtOnce, closed, connectFailures, created, refused, timedOut } = second
  const alarm = (value: number, name: string): ReadonlyArray<Piece> =>
    value > 0 ? [["bad", `! ${name} ${number(value)}`], "  "] : []
  return [
    "per second  ",
    ...alarm(timedOut, "timed out"),
    ...alarm(refused, "refused"),
    ...alarm(connectFailures, "connect failures"),
    `${number(acquired)} acquired, ${number(acquiredAtOnce)} at once  ${number(created)} opened  ${number(closed)} closed`
  ]
}

/** Wide enough for all but the longest times. */
const timesColumns = 37

/** The percentiles of the last second, and how the 95th went in the last minute; with its highest, where there is room for that. */
const timesLine = (
  name: string,
  [p50, p95, p99]: readonly [number, number, number],
  isSomething: boolean,
  past: ReadonlyArray<number>,
  columns: number
): Line => {
  const numbers = isSomething ? `p50 ${millis(p50)}  p95 ${millis(p95)}  p99 ${millis(p99)}` : "none in this second"
  const label = "p95 of 60 s "
  const top = columns < 110 ? "" : ` up to ${millis(Math.max(0, ...past))}`
  const width = Math.min(60, columns - 12 - timesColumns - label.length - (top === "" ? 0 : 16))
  const drawn: Line = width < 10 ? [] : [["dim", label], sparkline(past, width), ["dim", top]]
  return [fit(name, 12), fit(numbers, timesColumns), ...drawn]
}

const levelLines = ({ seconds }: TopState, columns: number): ReadonlyArray<Line> => {
  const last = seconds.at(-1)
  if (last === undefined) return []
  const { acquired, useP50, useP95, useP99, waitP50, waitP95, waitP99 } = last
  const of = (name: "waitP95" | "useP95") => seconds.map((second) => second[name])
  return [
    rateLine(last),
    timesLine("wait", [waitP50, waitP95, waitP99], acquired > 0 || waitP99 > 0, of("waitP95"), columns),
    timesLine("hold", [useP50, useP95, useP99], useP99 > 0, of("useP95"), columns)
  ]
}

const keys: Line = [["dim", "q quit   tab next pool   1-9 that pool"]]

const little: Room = { summary: 2, advice: 1, adviceLines: 1 }
const ample: Room = { summary: 4, advice: 2, adviceLines: 2 }

/** What these say has the failures in it. */
const saysFailures: ReadonlySet<string> = new Set(["cannot-connect", "server-refuses"])

/** Everything but the keys. */
const bodyLines = (state: TopState, screen: ScreenStyle): ReadonlyArray<Line> => {
  const { columns, rows } = screen
  const top = [header(state, screen), ...linkLines(state, screen)]
  const middle = Option.match(state.report, {
    onNone: () => [],
    onSome: (report) => [
      ...verdict(report, columns, rows < 30 ? little : ample),
      ...(saysFailures.has(report.diagnosis.kind) ? [] : failureLines(report).slice(0, 2)),
      ...connectionLines(report, columns),
      waitingLine(report),
      ...levelLines(state, columns)
    ]
  })
  const left = rows - top.length - middle.length
  const below = Option.match(state.report, {
    onNone: () => [],
    onSome: (report) => listLines(state, report, screen, left)
  })
  return [...top, ...middle, ...below].slice(0, Math.max(0, rows))
}

/** The screen as lines, each drawn and no wider than it; exactly as many as there are rows. */
export const screenLines = (state: TopState, screen: ScreenStyle): ReadonlyArray<string> => {
  const rows = Math.max(0, screen.rows - 1)
  const body = bodyLines(state, { ...screen, rows })
  const blanks = Array.from({ length: rows - body.length }, (): Line => [])
  return [...body, ...blanks, keys].map((line) => draw(line, screen))
}

/** The same without a screen: as many lines as there are things to say, up to fifty. */
export const snapshotLines = (state: TopState, style: Style): ReadonlyArray<string> =>
  bodyLines(state, { ...style, rows: 50 }).map((line) => draw(line, style))

/** A second on one line, for a log or a pipe. */
export const secondLine = (report: PoolReport, second: Second | undefined, { zone }: Pick<Style, "zone">): Line => {
  const { diagnosis, idle, inUse, limit, oldestWaitMillis, state, waiting } = report
  const rates =
    second === undefined
      ? ""
      : `  ${number(second.acquired)}/s  wait p95 ${millis(second.waitP95)}  hold p95 ${millis(second.useP95)}`
  const waits = waiting === 0 ? "0 waiting" : `${waiting} waiting, the oldest ${millis(oldestWaitMillis)}`
  return [
    `${timeOf(report.at, zone)} ${plain(report.key)}  `,
    healthPiece(report.health.status),
    `  ${state} ${diagnosis.kind}  ${inUse}/${limit} in use, ${idle} idle, ${waits}${rates}`
  ]
}
