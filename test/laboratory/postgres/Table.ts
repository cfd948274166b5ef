import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import type { Measured, Outcome } from "./OpenLoop.ts"

const page = fileURLToPath(new URL("../../../../docs/sizing.md", import.meta.url))
const begins = "<!-- generated: npm run lab:postgres -- --write -->"
const ends = "<!-- end of postgres -->"

const mean = (runs: ReadonlyArray<Measured>, of: (run: Outcome) => number): number =>
  runs.reduce((sum, run) => sum + of(run), 0) / runs.length

const percent = (part: number): string => (100 * part).toFixed(1)

/** One line for the runs of one policy in one scenario. */
const row = (runs: ReadonlyArray<Measured>): ReadonlyArray<string> => [
  runs[0]!.policy,
  percent(mean(runs, ({ good, requests }) => good / requests)),
  percent(mean(runs, ({ late, requests }) => late / requests)),
  percent(mean(runs, ({ requests, shed }) => shed / requests)),
  percent(mean(runs, ({ requests, timedOut }) => timedOut / requests)),
  mean(runs, ({ p99 }) => p99).toFixed(0),
  mean(runs, ({ meanConnections }) => meanConnections).toFixed(1),
  mean(runs, ({ peakConnections }) => peakConnections).toFixed(0)
]

const titles = ["policy", "good %", "late %", "shed %", "timed out %", "p99 ms", "connections", "peak"]

export const render = (runs: ReadonlyArray<Measured>): string =>
  `${runs[0]!.scenario}: ${row(runs)
    .map((cell, index) => `${titles[index]} ${cell}`)
    .join(", ")}`

const lineOf = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const tableOf = (runs: ReadonlyArray<Measured>): string => {
  const policies = [...new Set(runs.map(({ policy }) => policy))]
  const rows = policies.map((name) => lineOf(row(runs.filter(({ policy }) => policy === name))))
  return [lineOf(titles), lineOf(titles.map(() => "---")), ...rows].join("\n")
}

/** Puts the table into the page, between its marks. */
export const write = (
  measured: ReadonlyArray<Measured>,
  facts: { readonly capacity: number; readonly processors: number; readonly seeds: number; readonly version: string }
): void => {
  const text = fs.readFileSync(page, "utf8")
  const from = text.indexOf(begins)
  const to = text.indexOf(ends)
  if (from < 0 || to < from) throw new Error(`docs/sizing.md has no place for the table: ${begins}`)
  const about =
    `${facts.version}, ${facts.processors} processors, shared by the server and the program that asks; ` +
    `${Math.round(facts.capacity)} queries a second at most. Means of ${facts.seeds} runs.`
  const tables = [...new Set(measured.map(({ scenario }) => scenario))].map(
    (name) => `**${name}**\n\n${tableOf(measured.filter(({ scenario }) => scenario === name))}`
  )
  fs.writeFileSync(page, `${text.slice(0, from)}${begins}\n\n${[about, ...tables].join("\n\n")}\n\n${text.slice(to)}`)
}
