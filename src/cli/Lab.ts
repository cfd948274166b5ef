/** `effect-pool lab`: what a policy makes of a load, in simulated time. */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Laboratory from "../laboratory/Laboratory.ts"
import type { LoadResult } from "../laboratory/LoadResult.ts"
import type { LoadScenario } from "../laboratory/LoadScenario.ts"
import { type Flags, type Given, optionsOf, type Options } from "./LabOptions.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const flags: Flags = {
  scenario: text("scenario", "names", 'Scenarios, separated by commas, or "all"'),
  file: text("file", "path", "Scenarios of your own, as JSON; without --scenario, all that are in it"),
  policy: text(
    "policy",
    "policies",
    "predictive, threshold, fixed:20; each with /unshed for no shedding, predictive with /knee for no more than help (predictive)"
  ),
  seeds: text("seeds", "number", "Runs of each (10)"),
  from: text("from", "number", "The seed of the first (1)"),
  config: text("config", "json", "Fields of the pool's configuration to change, or @path of a file with them"),
  json: text("json", "path", "Write the results for a program"),
  svg: text("svg", "folder", "Draw each scenario"),
  markdown: flag("markdown", "Print tables for a document"),
  timeline: flag("timeline", "Sample by sample in the file of --json")
}

const listed = Effect.forEach(
  Laboratory.scenarios,
  ({ name, summary }) => Console.log(`${name.padEnd(16)} ${summary}`),
  { discard: true }
)

const refusal = (message: string): CliError.UserError =>
  new CliError.UserError({ cause: message, userMessage: message })

const failedTo = (what: string) => (error: { readonly message: string }) => `${what}: ${error.message}`

const write = Effect.fnUntraced(function* (file: string, content: string) {
  const fileSystem = yield* FileSystem.FileSystem
  yield* Effect.mapError(fileSystem.writeFileString(file, content), failedTo(`cannot write ${file}`))
})

/** Made before the first run, so that nobody waits for results that cannot be kept. Its parent has to be there. */
const makeFolder = Effect.fnUntraced(function* (folder: string) {
  const fileSystem = yield* FileSystem.FileSystem
  if (yield* Effect.orElseSucceed(fileSystem.exists(folder), () => false)) return
  yield* Effect.mapError(fileSystem.makeDirectory(folder), failedTo(`cannot make the folder ${folder}`))
})

const isWithoutBreach = ({ overshoot, violations }: LoadResult): boolean => overshoot === 0 && violations.length === 0

const runOne = Effect.fnUntraced(function* (scenario: LoadScenario, options: Options) {
  const { config, from, isMarkdown, policies, seeds, svg } = options
  const results = yield* Effect.mapError(
    Laboratory.run({ scenario, policies, seeds, from, config }),
    ({ message }) => message
  )
  const summaries = Laboratory.summarize(results, [scenario])
  yield* Console.log(`${isMarkdown ? Laboratory.renderMarkdown(summaries) : Laboratory.renderText(summaries)}\n`)
  if (svg !== undefined) {
    const path = yield* Path.Path
    // Whatever is in its name, it is one file in that folder.
    const file = path.join(svg, `${encodeURIComponent(scenario.name)}.svg`)
    yield* write(file, Laboratory.pictureOf(scenario, results))
  }
  return results
})

const runAll = Effect.fnUntraced(function* (options: Options) {
  const { config, hasTimeline, json, policies, scenarios, svg } = options
  yield* Effect.forEach(scenarios, (scenario) =>
    Effect.mapError(Laboratory.check({ scenario, policies, config }), ({ message }) => message)
  )
  if (svg !== undefined) yield* makeFolder(svg)
  const all: Array<LoadResult> = []
  for (const scenario of scenarios) {
    for (const result of yield* runOne(scenario, options)) all.push(result)
  }
  if (json !== undefined) yield* write(json, `${Laboratory.renderJson(all, scenarios, hasTimeline)}\n`)
  if (!all.every(isWithoutBreach)) return yield* Effect.fail("a run has broken a promise: see above")
})

const isEmpty = (given: Given): boolean =>
  Object.values(given).every((one) => (typeof one === "boolean" ? !one : Option.isNone(one)))

/**
 * Runs scenarios and prints what came of them; without options, lists the scenarios. Fails with one message if an option is wrong, or a
 * run breaks a promise of the pool.
 */
export const lab = Command.make("lab", flags, (given) =>
  Effect.mapError(isEmpty(given) ? listed : Effect.flatMap(optionsOf(given), runAll), refusal)
).pipe(
  Command.withDescription("Try a load on a simulated server"),
  Command.withExamples([
    {
      command: "effect-pool lab --scenario step --policy predictive,threshold,fixed:20",
      description: "Ten times the load at once, with three policies"
    }
  ])
)
