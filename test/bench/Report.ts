/**
 * The results, for people: as text for a terminal, or as Markdown.
 */
import type { Unit } from "./Contest.ts"
import type { Entry, Result } from "./Measurement.ts"
import { spreadOf } from "./Statistics.ts"
import type { Surroundings } from "./Surroundings.ts"

export interface ReportedSection {
  readonly title: string
  readonly results: ReadonlyArray<Result>
}

export const surroundingsText = ({ cores, cpu, node, packages, platform }: Surroundings): string =>
  [
    `${cpu}, ${cores} cores, ${platform}, Node ${node}`,
    Object.entries(packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")
  ].join("\n")

/** For a terminal. */
export const renderText = (sections: ReadonlyArray<ReportedSection>, surroundings: Surroundings): string =>
  [
    surroundingsText(surroundings),
    ...sections.flatMap(({ results, title }) => [`# ${title}`, ...results.map(textOf)])
  ].join("\n\n")

const textOf = ({ contest, entries, remark, unit }: Result): string => {
  const rows = entries.map((entry) => cellsOf(entry, unit))
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map(
    ([name, figure, ratio]) =>
      `  ${name!.padEnd(widths[0]!)}  ${figure!.padStart(widths[1]!)}  ${ratio!.padStart(widths[2]!)}`
  )
  return [`${contest}, ${unit}`, ...lines, ...(remark === undefined ? [] : [`  ${remark}`])].join("\n")
}

const cellsOf = ({ contender, figures, ratio }: Entry, unit: Unit): readonly [string, string, string] => [
  contender,
  `${figureOf(figures.median, unit)} ±${Math.round(spreadOf(figures) * 100)}%`,
  `${ratio.toFixed(2)}x`
]

const figureOf = (value: number, unit: Unit): string =>
  unit === "µs" || unit === "ms" ? value.toPrecision(3) : Math.round(value).toLocaleString("en-US")

/** For docs/benchmarks.md: one table for each contest. */
export const renderMarkdown = (sections: ReadonlyArray<ReportedSection>): string =>
  sections.flatMap(({ results, title }) => [`### ${title}`, ...results.map(markdownOf)]).join("\n\n")

const markdownOf = ({ contest, entries, remark, unit }: Result): string => {
  const rows = entries.map((entry) => `| ${cellsOf(entry, unit).join(" | ")} |`)
  return [
    `| ${contest} | ${unit} | how many times as good ours is |`,
    "| --- | ---: | ---: |",
    ...rows,
    ...(remark === undefined ? [] : ["", remark])
  ].join("\n")
}
