/**
 * `npm run lab:write`: runs everything that docs/sizing.md shows, and puts tables and pictures there. `-- --seeds 2` for a quick look.
 */
import { parseArgs } from "node:util"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Laboratory, type LoadResult } from "effect-pool/laboratory"
import { ahead, goodOf, type Results, rivals, targets } from "./Targets.ts"

const { seeds } = parseArgs({ options: { seeds: { type: "string", default: "10" } } }).values

const docs = fileURLToPath(new URL("../../../docs", import.meta.url))
const begins = "<!-- generated: npm run lab:write -->"
const ends = "<!-- end of targets -->"

/** Beside the rivals: what becomes of those that refuse nobody. */
const unshed = ["threshold/unshed", "fixed:20/unshed"]

/** What is drawn of each scenario. */
const drawn = ["predictive", "threshold", "fixed:20", "fixed:20/unshed"]

const scenarios = [...new Set(targets.map(({ scenario }) => scenario))]

const run = Effect.fnUntraced(function* (scenario: string) {
  const ofTargets = targets.filter((one) => one.scenario === scenario).flatMap(({ policies }) => policies)
  const policies = [...new Set(["predictive", ...rivals, ...unshed, ...ofTargets])].join(",")
  const results = yield* Laboratory.run({
    scenario: Laboratory.scenarios.find((one) => one.name === scenario)!,
    policies,
    seeds: Number(seeds)
  })
  const byPolicy = new Map<string, Array<LoadResult>>()
  for (const result of results) byPolicy.set(result.policy, [...(byPolicy.get(result.policy) ?? []), result])
  yield* Console.log(
    `${scenario}: ${goodOf(byPolicy, "predictive").toFixed(2)} % good, ahead: ${ahead(scenario, byPolicy).join(", ") || "nobody"}`
  )
  return byPolicy as Results
})

const lineOf = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`

const targetTable = (all: ReadonlyMap<string, Results>): string => {
  const rows = targets.map(({ assess, row, scenario, target }) => {
    const { isMet, measured } = assess(all.get(scenario)!)
    return lineOf([row, `\`${scenario}\``, target, measured, isMet ? "yes" : "**no**"])
  })
  return [lineOf(["what happens", "scenario", "target", "measured", "met"]), "|---|---|---|---|---|", ...rows].join(
    "\n"
  )
}

/** The part that was answered within a second, by scenario and policy; in bold the best of a row, and whoever ties with it. */
const goodTable = (all: ReadonlyMap<string, Results>): string => {
  const policies = ["predictive", ...rivals, ...unshed]
  const rows = scenarios.map((scenario) => {
    const good = policies.map((policy) => goodOf(all.get(scenario)!, policy))
    const best = Math.max(...good)
    return lineOf([
      `\`${scenario}\``,
      ...good.map((one) => (one >= best - 0.5 ? `**${one.toFixed(1)}**` : one.toFixed(1)))
    ])
  })
  return [lineOf(["", ...policies]), lineOf(["---", ...policies.map(() => "---:")]), ...rows].join("\n")
}

const put = (text: string): void => {
  const page = path.join(docs, "sizing.md")
  const before = fs.readFileSync(page, "utf8")
  const from = before.indexOf(begins)
  const to = before.indexOf(ends)
  if (from < 0 || to < from) throw new Error(`docs/sizing.md has no place for the tables: ${begins} ... ${ends}`)
  fs.writeFileSync(page, `${before.slice(0, from)}${begins}\n\n${text}\n\n${before.slice(to)}`)
}

const draw = (all: ReadonlyMap<string, Results>): void => {
  fs.mkdirSync(path.join(docs, "sizing"), { recursive: true })
  for (const [name, results] of all) {
    const scenario = Laboratory.scenarios.find((one) => one.name === name)!
    const picture = Laboratory.pictureOf(
      scenario,
      drawn.flatMap((policy) => results.get(policy) ?? [])
    )
    fs.writeFileSync(path.join(docs, "sizing", `${name}.svg`), picture)
  }
}

const program = Effect.gen(function* () {
  const all = new Map<string, Results>()
  for (const scenario of scenarios) all.set(scenario, yield* run(scenario))
  draw(all)
  const losers = scenarios.flatMap((scenario) =>
    ahead(scenario, all.get(scenario)!).map((rival) => `${rival} in ${scenario}`)
  )
  const verdict =
    losers.length === 0
      ? "In no row is another policy ahead of the default by more than a tie. A tie is half a point; in the overload it is a point and a half, since a fixed pool of the right size has everything open when the load comes; where the server itself is in trouble it is three points."
      : `Ahead of the default, by more than a tie: ${losers.join(", ")}.`
  put(
    [
      `Means of ${seeds} seeds.`,
      targetTable(all),
      "Requests answered within a second, in percent, with the policies as they come and with fixed sizes; in bold the best and whoever is within half a point of it:",
      goodTable(all),
      verdict
    ].join("\n\n")
  )
})

NodeRuntime.runMain(program)
