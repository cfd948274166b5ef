/**
 * The results, for people.
 */
import type { Result } from "./Measurement.ts"
import { type Statistics, spreadOf } from "./Statistics.ts"
import type { Surroundings } from "./Surroundings.ts"

const caveat = `What this does not show: how fast a program with a database is. A connection here costs nothing to open and a query takes
no time, so the figures are the pool's own share, and a round trip to a server is hundreds of times that share.
One process on one machine: the network, many pools against one server and outages have no part in it. Nor does it show
how long the last in line waits, or how much memory is used.`

export const render = (results: ReadonlyArray<Result>, surroundings: Surroundings): string =>
  [describe(surroundings), table(results), caveat].join("\n\n")

const describe = ({ cores, cpu, node, packages, platform }: Surroundings): string =>
  [
    `${cpu}, ${cores} cores, ${platform}, Node ${node}`,
    Object.entries(packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    "Nanoseconds per operation: the median ± half the distance between the quartiles. Ratio above 1: effect-pool is faster."
  ].join("\n")

const headings = ["", "effect-pool", "Effect's Pool", "no pool", "ratio"]

const table = (results: ReadonlyArray<Result>): string => {
  const rows = [headings, ...results.map(cells)]
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((cell, column) => align(cell, widths[column]!, column)).join("  ")).join("\n")
}

const cells = ({ name, nanoseconds, ratio }: Result): ReadonlyArray<string> => [
  name,
  time(nanoseconds.ours),
  time(nanoseconds.theirs),
  time(nanoseconds.floor),
  ratio.toFixed(2)
]

const time = (statistics: Statistics): string => {
  const spread = `${Math.round(spreadOf(statistics) * 100)}%`
  return `${Math.round(statistics.median)} ±${spread.padStart(3)}`
}

/** Names to the left, figures to the right. */
const align = (cell: string, width: number, column: number): string =>
  column === 0 ? cell.padEnd(width) : cell.padStart(width)
