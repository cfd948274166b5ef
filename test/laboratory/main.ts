/**
 * `npm run lab`: what a policy makes of a load, in simulated time.
 *
 * - `-- --scenario step`: that scenario; `step,ramp`: both; `all`: every one.
 * - `-- --file mine.json`: the scenarios in it, beside those that are here; without `--scenario`, all of them.
 * - `-- --policy predictive,threshold,fixed:20`: each of them on the same requests. `/unshed`: without shedding; `predictive/knee`:
 *   never more connections than the server has use for. Default: `predictive`.
 * - `-- --seeds 10 --from 1`: so many runs of each, with the seeds from there on.
 * - `-- --config '{"maxConnections":50}'` or `@file.json`: changes each scenario's pool.
 * - `-- --json out.json`: the results for a program; with `--timeline`, sample by sample. `--svg dir`: a picture of each scenario.
 * - `-- --markdown`: tables for a document.
 * - no option: the scenarios.
 *
 * Exit code 1 if something is wrong with the options, or a run breaks a promise.
 */
import { parseArgs } from "node:util"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import { parseJson } from "../../src/laboratory/JsonText.ts"
import { configOf, type WrittenConfig } from "../../src/laboratory/LoadConfig.ts"
import { pictureOf } from "../../src/laboratory/LoadPicture.ts"
import { renderJson, renderMarkdown, renderText } from "../../src/laboratory/LoadReport.ts"
import type { LoadResult } from "../../src/laboratory/LoadResult.ts"
import { runLoad } from "../../src/laboratory/LoadRun.ts"
import type { LoadScenario } from "../../src/laboratory/LoadScenario.ts"
import { loadScenarios } from "../../src/laboratory/LoadScenarios.ts"
import { summarize } from "../../src/laboratory/LoadSummary.ts"
import { parsePolicies, type PolicyName } from "../../src/laboratory/PolicyName.ts"
import { parseScenarios } from "../../src/laboratory/ScenarioFile.ts"

const readOptions = Effect.try({
  try: () =>
    parseArgs({
      options: {
        scenario: { type: "string" },
        file: { type: "string" },
        policy: { type: "string" },
        seeds: { type: "string" },
        from: { type: "string" },
        config: { type: "string" },
        json: { type: "string" },
        svg: { type: "string" },
        markdown: { type: "boolean" },
        timeline: { type: "boolean" }
      }
    }).values,
  catch: (error) => (error instanceof Error ? error.message : String(error))
})

type Options = Effect.Success<typeof readOptions>

const messageOf = ({ message }: { readonly message: string }): string => message

const readFile = Effect.fnUntraced(function* (path: string) {
  const fileSystem = yield* FileSystem.FileSystem
  return yield* Effect.mapError(fileSystem.readFileString(path), messageOf)
})

const wholeNumber = (name: string, written: string | undefined, byDefault: number, least: number, most: number) => {
  const number = written === undefined ? byDefault : /^\d+$/.test(written) ? Number(written) : NaN
  return number >= least && number <= most
    ? Effect.succeed(number)
    : Effect.fail(`--${name}: got ${written}, expected a whole number from ${least} to ${most}`)
}

/** All scenarios there are, and those of the file. */
const readScenarios = Effect.fnUntraced(function* (path: string | undefined) {
  if (path === undefined) return { known: loadScenarios, ofFile: [] }
  const ofFile = yield* Effect.mapError(parseScenarios(yield* readFile(path)), ({ message }) => `${path}: ${message}`)
  const taken = ofFile.filter(({ name }) => name === "all" || loadScenarios.some((there) => there.name === name))
  if (taken.length > 0) {
    const names = taken.map(({ name }) => name).join(", ")
    return yield* Effect.fail(`${path}: these names are taken, call the scenarios something else: ${names}`)
  }
  return { known: [...loadScenarios, ...ofFile], ofFile }
})

const chosen = (list: string, known: ReadonlyArray<LoadScenario>) => {
  if (list === "all") return Effect.succeed(known)
  const names = [...new Set(list.split(",").map((name) => name.trim()))]
  const unknown = names.filter((name) => !known.some((scenario) => scenario.name === name))
  return unknown.length === 0
    ? Effect.succeed(names.map((name) => known.find((scenario) => scenario.name === name)!))
    : Effect.fail(
        `no scenario is called ${unknown.map((name) => JSON.stringify(name)).join(" or ")}; there are ` +
          `${known.map(({ name }) => name).join(", ")}, and "all"`
      )
}

const readOverrides = Effect.fnUntraced(function* (written: string | undefined) {
  if (written === undefined) return {}
  const json = parseJson(written.startsWith("@") ? yield* readFile(written.slice(1)) : written)
  const problems = Result.isFailure(json) ? [json.failure] : json.success.repeated
  if (problems.length > 0) {
    const lines = problems.map(({ expected, field, value }) => `${field}: got ${value}, expected ${expected}`)
    return yield* Effect.fail(`--config: ${lines.join("; ")}`)
  }
  const value = Result.isSuccess(json) ? json.success.value : undefined
  return isObject(value) && !Array.isArray(value)
    ? (value as WrittenConfig)
    : yield* Effect.fail(`--config: expected fields of a pool's configuration, as in {"maxConnections":50}`)
})

/** One run to come. All configurations are made before the first run. */
const plan = Effect.fnUntraced(function* (
  scenario: LoadScenario,
  policies: ReadonlyArray<PolicyName>,
  overrides: WrittenConfig
) {
  const configs = yield* Effect.forEach(policies, (policy) =>
    configOf(scenario, policy, overrides).pipe(
      Effect.map((config) => ({ config, label: policy.label })),
      Effect.mapError(({ message }) => `scenario ${scenario.name}, policy ${policy.label}: ${message}`)
    )
  )
  return { scenario, configs }
})

const list = Effect.forEach(loadScenarios, ({ name, summary }) => Console.log(`${name.padEnd(16)} ${summary}`))

const isWithoutBreach = ({ overshoot, violations }: LoadResult): boolean => overshoot === 0 && violations.length === 0

/** A file for each scenario, whatever is in its name. */
const pictureName = (directory: string, { name }: LoadScenario): string =>
  `${directory}/${encodeURIComponent(name)}.svg`

const write = Effect.fnUntraced(function* (path: string, content: string) {
  const fileSystem = yield* FileSystem.FileSystem
  yield* Effect.mapError(fileSystem.writeFileString(path, content), messageOf)
})

const runAll = Effect.fnUntraced(function* (options: Options) {
  const seeds = yield* wholeNumber("seeds", options.seeds, 10, 1, 100_000)
  const from = yield* wholeNumber("from", options.from, 1, 0, 1_000_000_000)
  const policies = yield* Effect.mapError(parsePolicies(options.policy ?? "predictive"), messageOf)
  const overrides = yield* readOverrides(options.config)
  const { known, ofFile } = yield* readScenarios(options.file)
  if (options.timeline && options.json === undefined) return yield* Effect.fail("--timeline goes with --json")
  if (options.scenario === undefined && options.file === undefined) {
    return yield* Effect.fail(`--scenario is missing: "all", or of ${known.map(({ name }) => name).join(", ")}`)
  }
  const scenarios = options.scenario === undefined ? ofFile : yield* chosen(options.scenario, known)
  const plans = yield* Effect.forEach(scenarios, (scenario) => plan(scenario, policies, overrides))
  if (options.svg !== undefined) {
    const fileSystem = yield* FileSystem.FileSystem
    yield* Effect.mapError(fileSystem.makeDirectory(options.svg, { recursive: true }), messageOf)
  }
  const all: Array<LoadResult> = []
  for (const { configs, scenario } of plans) {
    const results = configs.flatMap(({ config, label }) =>
      Array.from({ length: seeds }, (_, index) => runLoad(scenario, config, label, from + index))
    )
    for (const result of results) all.push(result)
    const summaries = summarize(results, scenarios)
    yield* Console.log(`${options.markdown ? renderMarkdown(summaries) : renderText(summaries)}\n`)
    if (options.svg !== undefined) yield* write(pictureName(options.svg, scenario), pictureOf(scenario, results))
  }
  if (options.json !== undefined) {
    yield* write(options.json, `${renderJson(all, scenarios, options.timeline ?? false)}\n`)
  }
  return all.every(isWithoutBreach) ? undefined : yield* Effect.fail("a run has broken a promise: see above")
})

const program = Effect.gen(function* () {
  const options = yield* readOptions
  if (Object.keys(options).length === 0) return yield* list
  return yield* runAll(options)
})

const outcome = await Effect.runPromise(Effect.result(Effect.provide(program, NodeFileSystem.layer)))
if (outcome._tag === "Failure") {
  console.error(outcome.failure)
  process.exitCode = 1
}
