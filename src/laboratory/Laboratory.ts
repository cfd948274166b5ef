/**
 * What a load does to a pool, before it comes: the pool's own engine and policies against a simulated server, in simulated
 * time. A minute of two thousand requests a second takes a fraction of a second, and the same seed gives the same run.
 *
 * docs/sizing.md says what is modelled and what is not.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PoolConfig } from "../PoolConfig.ts"
import { PoolConfigError } from "../PoolError.ts"
import { configOf } from "./LoadConfig.ts"
import { pictureOf as draw } from "./LoadPicture.ts"
import { renderJson as toJson, renderMarkdown as toMarkdown, renderText as toText } from "./LoadReport.ts"
import type { LoadResult } from "./LoadResult.ts"
import { runLoad } from "./LoadRun.ts"
import type { LoadScenario } from "./LoadScenario.ts"
import { loadScenarios } from "./LoadScenarios.ts"
import { type ScenarioSummary, summarize as toSummaries } from "./LoadSummary.ts"
import { parsePolicies, type PolicyNameError } from "./PolicyName.ts"
import { parseScenarios as parse, type ScenarioError } from "./ScenarioFile.ts"

/**
 * The scenarios that come with the laboratory.
 *
 * @category scenarios
 * @since 0.1.0
 */
export const scenarios: ReadonlyArray<LoadScenario> = loadScenarios

/**
 * Reads scenarios of your own from JSON: one, or a list. What is left out has a default. Fails with one `ScenarioError` that
 * names every mistake and its place.
 *
 * See {@link run} for an example.
 *
 * @category scenarios
 * @since 0.1.0
 */
export const parseScenarios: (text: string) => Effect.Effect<ReadonlyArray<LoadScenario>, ScenarioError> = parse

/**
 * What is to be run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** A server, a pool, a load, and what goes wrong. */
  readonly scenario: LoadScenario
  /** Policies, separated by commas: `predictive`, `threshold`, `fixed:20`, each with `/unshed` for no shedding. Default: `predictive`. */
  readonly policies?: string | undefined
  /** How many runs of each. Default: 10. */
  readonly seeds?: number | undefined
  /** The seed of the first of them. Default: 1. */
  readonly from?: number | undefined
  /** Fields of the pool's configuration that are to be other than in the scenario. Default: none. */
  readonly config?: Readonly<Record<string, unknown>> | undefined
}

interface Planned {
  readonly label: string
  readonly config: PoolConfig
}

/** Names the scenario and the policy for which a configuration is wrong. */
const plan = ({ config = {}, policies = "predictive", scenario }: Options) =>
  Effect.flatMap(parsePolicies(policies), (names) =>
    Effect.forEach(names, (policy) =>
      configOf(scenario, policy, config).pipe(
        Effect.map((made): Planned => ({ label: policy.label, config: made })),
        Effect.mapError(
          ({ problems }) =>
            new PoolConfigError({
              problems: problems.map((problem) => ({
                ...problem,
                field: `scenario ${scenario.name}, policy ${policy.label}: ${problem.field}`
              }))
            })
        )
      )
    )
  )

/**
 * Runs one scenario with each policy and seed: every policy meets the same requests. Fails, before anything is run, with
 * `PolicyNameError` or `PoolConfigError`.
 *
 * **Example** (A load of your own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Laboratory } from "effect-pool/laboratory"
 *
 * const text = `{
 *   "name": "a quiet second",
 *   "server": { "perSecond": 100 },
 *   "pool": { "maxConnections": 4 },
 *   "load": [{ "seconds": 1, "perSecond": 50 }]
 * }`
 *
 * const program = Effect.gen(function* () {
 *   const [scenario] = yield* Laboratory.parseScenarios(text)
 *   const results = yield* Laboratory.run({ scenario: scenario!, policies: "predictive,fixed:2", seeds: 1 })
 *   return results.map(({ good, policy, requests }) => [policy, good === requests]) // => [["predictive", true], ["fixed:2", true]]
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = (options: Options): Effect.Effect<ReadonlyArray<LoadResult>, PolicyNameError | PoolConfigError> => {
  const { from = 1, scenario, seeds = 10 } = options
  return Effect.map(plan(options), (planned) =>
    planned.flatMap(({ config, label }) =>
      Array.from({ length: seeds }, (_, index) => runLoad(scenario, config, label, from + index))
    )
  )
}

/**
 * Whether {@link run} would begin. Fails as it does, with `PolicyNameError` or `PoolConfigError`, and runs nothing.
 *
 * @category running
 * @since 0.1.0
 */
export const check = (options: Options): Effect.Effect<void, PolicyNameError | PoolConfigError> =>
  Effect.asVoid(plan(options))

/**
 * Means over the seeds, by scenario and policy.
 *
 * What {@link renderText} and {@link renderMarkdown} write down.
 *
 * **Example** (Waits over three seeds)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Laboratory } from "effect-pool/laboratory"
 *
 * const text = `{ "name": "quiet", "server": { "perSecond": 100 }, "load": [{ "seconds": 1, "perSecond": 50 }] }`
 *
 * const program = Effect.gen(function* () {
 *   const scenarios = yield* Laboratory.parseScenarios(text)
 *   const results = yield* Laboratory.run({ scenario: scenarios[0]!, seeds: 3 })
 *   const summaries = Laboratory.summarize(results, scenarios)
 *   return [results.length, summaries.length, Laboratory.renderText(summaries).includes("quiet")] // => [3, 1, true]
 * })
 * ```
 *
 * @category reporting
 * @since 0.1.0
 */
export const summarize: (
  results: ReadonlyArray<LoadResult>,
  scenarios: ReadonlyArray<LoadScenario>
) => ReadonlyArray<ScenarioSummary> = toSummaries

/**
 * Tables for a terminal.
 *
 * See {@link summarize} for an example.
 *
 * @category reporting
 * @since 0.1.0
 */
export const renderText: (summaries: ReadonlyArray<ScenarioSummary>) => string = toText

/**
 * Tables for a document.
 *
 * See {@link summarize} for an example with `renderText`.
 *
 * @category reporting
 * @since 0.1.0
 */
export const renderMarkdown: (summaries: ReadonlyArray<ScenarioSummary>) => string = toMarkdown

/**
 * Everything for a program, as JSON; sample by sample with `withTimelines` (default: without). Takes what {@link run} gives.
 *
 * @category reporting
 * @since 0.1.0
 */
export const renderJson: (
  results: ReadonlyArray<LoadResult>,
  scenarios: ReadonlyArray<LoadScenario>,
  withTimelines?: boolean
) => string = toJson

/**
 * A picture of a scenario, as SVG: load, waits, connections and refusals over time, with a line for each policy. Takes what
 * {@link run} gives.
 *
 * @category reporting
 * @since 0.1.0
 */
export const pictureOf: (scenario: LoadScenario, results: ReadonlyArray<LoadResult>) => string = draw
