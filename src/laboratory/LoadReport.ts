/** What came of the load laboratory, for people and for programs: a table for a terminal, Markdown, and JSON. */
import type { Estimate } from "./Confidence.ts"
import type { LoadResult } from "./LoadResult.ts"
import type { LoadScenario } from "./LoadScenario.ts"
import { type PolicySummary, type ScenarioSummary, summarize } from "./LoadSummary.ts"
import { foldedText } from "./FoldedText.ts"

/** For a terminal: a table of at most 120 columns for each scenario. */
export const renderText = (summaries: ReadonlyArray<ScenarioSummary>): string =>
  [...summaries.map(textOf), ...warnings(summaries, (name) => name)].join("\n\n")

/** One table for each scenario. */
export const renderMarkdown = (summaries: ReadonlyArray<ScenarioSummary>): string =>
  [...summaries.map(markdownOf), ...warnings(summaries, escaped)].join("\n\n")

/** For programs: the summaries, and each run that they are of. The timelines are most of it, and left out unless asked for. */
export const renderJson = (
  results: ReadonlyArray<LoadResult>,
  scenarios: ReadonlyArray<LoadScenario>,
  withTimelines = false
): string => {
  const document = summarize(results, scenarios).map((summary) =>
    Object.assign({}, summary, {
      definition: scenarios.find(({ name }) => name === summary.scenario),
      runs: results
        .filter(({ scenario }) => scenario === summary.scenario)
        .map(({ timeline, ...run }) => (withTimelines ? Object.assign(run, { timeline }) : run))
    })
  )
  return JSON.stringify({ scenarios: document }, withInfinity, 2)
}

/** JSON has no number for what has no limit, and would have `null` for it. */
const withInfinity = (_: string, value: unknown): unknown => (value === Infinity ? "Infinity" : value)

// The table.

interface Column {
  readonly head: string
  readonly cell: (of: PolicySummary) => string
  /** Left out where no policy has anything to say there. */
  readonly isOptional?: boolean
}

const none = "-"

const columns: ReadonlyArray<Column> = [
  { head: "policy", cell: ({ policy }) => policy },
  { head: "good %", cell: ({ goodShare }) => estimateText(goodShare) },
  { head: "late %", cell: ({ lateShare }) => percent(lateShare) },
  { head: "shed %", cell: ({ shedShare }) => percent(shedShare) },
  { head: "t/o %", cell: ({ timedOutShare }) => percent(timedOutShare) },
  { head: "fail %", cell: ({ failedShare }) => percent(failedShare) },
  { head: "p99 ms", cell: ({ p99AnswerMillis }) => rounded(p99AnswerMillis) },
  { head: "conns", cell: ({ meanConnections }) => meanConnections.toFixed(1) },
  { head: "peak", cell: ({ peakConnections }) => rounded(peakConnections) },
  { head: "opens/min", cell: ({ opensPerMinute }) => rounded(opensPerMinute) },
  { head: "tries/s", cell: ({ attemptsWhileDownPerSecond: tries }) => tries?.toFixed(1) ?? none, isOptional: true },
  { head: "recovered", cell: recovery, isOptional: true },
  { head: "over", cell: ({ overshoot }) => String(overshoot) }
]

const percent = (share: number | undefined): string => (share === undefined ? none : (100 * share).toFixed(1))

const rounded = (value: number | undefined): string =>
  value === undefined ? none : value < 10 && !Number.isInteger(value) ? value.toFixed(1) : String(Math.round(value))

const estimateText = (share: Estimate | undefined): string => {
  const spread = share?.halfWidth === undefined ? "" : ` ±${(100 * share.halfWidth).toFixed(1)}`
  return `${percent(share?.mean)}${spread}`
}

/** How long after the outage nobody waited any more, and in how many runs that never came. */
function recovery({ recoveredMillis, unrecovered }: PolicySummary): string {
  const never = unrecovered > 0 ? `${unrecovered} never` : ""
  if (recoveredMillis === undefined) return never || none
  return `${(recoveredMillis / 1000).toFixed(1)} s${never && `, ${never}`}`
}

interface Table {
  readonly heads: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

const tableOf = ({ policies }: ScenarioSummary): Table => {
  const shown = columns.filter(
    ({ cell, isOptional }) => !isOptional || policies.some((policy) => cell(policy) !== none)
  )
  return { heads: shown.map(({ head }) => head), rows: policies.map((policy) => shown.map(({ cell }) => cell(policy))) }
}

const widest = 120

const textOf = (summary: ScenarioSummary): string => {
  const { heads, rows } = tableOf(summary)
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]!.length)))
  const gap = " ".repeat(widths.reduce((sum, width) => sum + width, 0) + 2 * (widths.length - 1) <= widest ? 2 : 1)
  const lines = [heads, ...rows].map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(gap)
  )
  return [...foldedText(titleOf(summary), widest), ...lines].join("\n")
}

const titleOf = ({ scenario, summary }: ScenarioSummary): string =>
  summary === "" ? scenario : `${scenario}: ${summary}`

const markdownOf = (summary: ScenarioSummary): string => {
  const { heads, rows } = tableOf(summary)
  const { goodWithinMillis, policies } = summary
  const within = goodWithinMillis === undefined ? "in time" : `within ${goodWithinMillis} ms`
  const seeds = Math.max(...policies.map((policy) => policy.seeds.length))
  return [
    `### ${escaped(summary.scenario)}`,
    "",
    ...(summary.summary === "" ? [] : [escaped(summary.summary), ""]),
    `Good: answered ${within}; means over ${seeds} seed${seeds === 1 ? "" : "s"}.`,
    "",
    `| ${heads.join(" | ")} |`,
    `| --- |${" ---: |".repeat(heads.length - 1)}`,
    ...rows.map((row) => `| ${row.map(escaped).join(" | ")} |`)
  ].join("\n")
}

/** What means something in Markdown. */
const escaped = (text: string): string => text.replaceAll(/[\\|<>&*_`[\]#]/g, (character) => `\\${character}`)

// What must not be overlooked.

const warnings = (
  summaries: ReadonlyArray<ScenarioSummary>,
  shown: (name: string) => string
): ReadonlyArray<string> => {
  const lines = summaries.flatMap(({ policies, scenario }) =>
    policies.flatMap((policy) =>
      brokenPromises(policy).map((what) => `- ${shown(`${scenario}, ${policy.policy}${what}`)}`)
    )
  )
  return lines.length === 0
    ? []
    : [`!!! ${lines.length} BROKEN PROMISE${lines.length === 1 ? "" : "S"} !!!\n\n${lines.join("\n")}`]
}

const brokenPromises = ({ overshoot, violations }: PolicySummary): ReadonlyArray<string> => [
  ...violations.map(({ seed, what }) => `, seed ${seed}: ${what}`),
  ...(overshoot > 0 ? [`: ${overshoot} more connections than maxConnections`] : [])
]
