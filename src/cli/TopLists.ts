/** The lower part of the screen of `effect-pool top`: lists that share the rows that are left. */
import type { PoolReport } from "../PoolReport.ts"
import { eventWords, isTrouble } from "./EventText.ts"
import { clip, fill, type Line, type Style } from "./Line.ts"
import { leaseLines, operationLines, waiterLines } from "./ReportLines.ts"
import type { TopState } from "./TopState.ts"
import { timeOf } from "./Words.ts"

/** The columns and rows that there are. */
export interface ScreenStyle extends Style {
  readonly rows: number
}

/** Side by side from here on: two halves are as wide as what is mostly in them. */
const twoHalves = 140

interface Section {
  readonly title: string
  readonly lines: ReadonlyArray<Line>
}

const eventLines = ({ events }: TopState, { zone }: ScreenStyle): ReadonlyArray<Line> =>
  events
    .map((event): Line => {
      const words = eventWords(event)
      return [
        ["dim", `${timeOf(event.at, zone)} `],
        ...(isTrouble(event) ? [["bad", `! ${words}`] as const] : [`  ${words}`])
      ]
    })
    .reverse()

const omitted = (title: string, more: number): string => (more === 0 ? title : `${title} (and ${more} more)`)

const sectionsOf = (
  state: TopState,
  report: PoolReport,
  screen: ScreenStyle,
  columns: number
): ReadonlyArray<Section> =>
  [
    {
      title: omitted("held by operation, last minute", report.omitted.operations),
      lines: operationLines(report.operations, columns)
    },
    { title: "oldest leases", lines: leaseLines(report) },
    { title: omitted("waiting in line", report.omitted.waiters), lines: waiterLines(report.waiters) },
    { title: "last events", lines: eventLines(state, screen) }
  ].filter(({ lines }) => lines.length > 0)

/** How many lines each section gets: in turns, so that none takes what another one needs, until all is shown or the rows are gone. */
const shares = (wanted: ReadonlyArray<number>, rows: number): ReadonlyArray<number> => {
  const given = wanted.map(() => 0)
  let left = rows
  let isGiving = true
  while (left > 0 && isGiving) {
    isGiving = false
    for (const [place, most] of wanted.entries()) {
      // A title without a line below it says nothing.
      const cost = given[place] === 0 ? 2 : 1
      if (given[place]! >= most || left < cost) continue
      given[place]! += cost
      left -= cost
      isGiving = true
    }
  }
  return given
}

const titled = ({ lines, title }: Section): ReadonlyArray<Line> => [[["strong", title]], ...lines]

const stacked = (sections: ReadonlyArray<Section>, rows: number): ReadonlyArray<Line> => {
  const given = shares(
    sections.map(({ lines }) => lines.length + 1),
    rows
  )
  return sections.flatMap((section, place) => titled(section).slice(0, given[place]))
}

const halves = (left: ReadonlyArray<Line>, right: ReadonlyArray<Line>, columns: number): ReadonlyArray<Line> =>
  Array.from({ length: Math.max(left.length, right.length) }, (_, row) => [
    ...fill(left[row] ?? [], columns),
    "   ",
    ...clip(right[row] ?? [], columns)
  ])

/** Who holds, who waits and what has happened, in as many rows as are left. */
export const listLines = (
  state: TopState,
  report: PoolReport,
  screen: ScreenStyle,
  rows: number
): ReadonlyArray<Line> => {
  if (screen.columns < twoHalves) return stacked(sectionsOf(state, report, screen, screen.columns), rows)
  const half = Math.floor((screen.columns - 3) / 2)
  const sections = sectionsOf(state, report, screen, half)
  const isLeft = ({ title }: Section): boolean => title.startsWith("held") || title.startsWith("last")
  return halves(
    stacked(sections.filter(isLeft), rows),
    stacked(
      sections.filter((one) => !isLeft(one)),
      rows
    ),
    half
  )
}
