/**
 * Runs the production pool, engine and fibers and all, in a world where every order of events is drawn from a seed: the
 * scheduler that picks the next step of a fiber, the clock, the random numbers, and a server that fails in every way it
 * can. After every step it asks whether the pool keeps what it promises. The same seed gives the same run, to the byte.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as PoolConfig from "../PoolConfig.ts"
import type { PoolConfigError } from "../PoolError.ts"
import { drawSetting } from "./DrawnSetting.ts"
import { perform } from "./Run.ts"
import { type Scenario, type ScenarioName, scenarios as all } from "./Scenario.ts"
import { type ScriptedOperation, show, write } from "./Script.ts"
import { shrink } from "./Shrinking.ts"
import { SimulationFailure } from "./SimulationFailure.ts"
import type { Setting, World } from "./World.ts"

export { SimulationFailure } from "./SimulationFailure.ts"

export type { Scenario, ScenarioName } from "./Scenario.ts"

/** How many shorter scripts are tried on a failure. */
const shrinkingRuns = 300

/**
 * The scenarios by name, each with a summary of what happens in it.
 *
 * @category scenarios
 * @since 0.1.0
 */
export const scenarios: { readonly [Name in ScenarioName]: Scenario } = all

/**
 * What is to be run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Which kind of life the pool has. */
  readonly scenario: ScenarioName
  /** Every number is another run. */
  readonly seed: number
  /** The configuration to put to the test. Default: a small pool with short times, drawn from the seed. */
  readonly config?: PoolConfig.Input | PoolConfig.PoolConfig | undefined
}

/**
 * What came of a run in which every promise was kept.
 *
 * - `scenario`, `seed`: which run it was. `served`, `refused`: acquires that were given a connection, and those that were
 *   refused, by the tag of the error.
 * - `opened`, `mostLive`: connections that the server has opened, and the most that it had at once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly scenario: ScenarioName
  readonly seed: number
  /** The simulated time, in milliseconds. */
  readonly millis: number
  /** How many steps of fibers were run, each followed by a look at the promises. */
  readonly tasks: number
  /** How many acquires were given a connection, and how many were refused, by the tag of the error. */
  readonly served: number
  readonly refused: Readonly<Record<string, number>>
  /** Connections that the server has opened, and the most that it had at once. */
  readonly opened: number
  readonly mostLive: number
  /** What happened, line by line: the time in milliseconds, and who did or saw what. */
  readonly trace: ReadonlyArray<string>
}

const failureOf = (
  { config, scenario, seed }: Options,
  setting: Setting,
  script: ReadonlyArray<ScriptedOperation>,
  failed: World
): SimulationFailure => {
  const { promise } = failed.breached!
  let shortest = failed
  const kept = shrink(
    script,
    (shorter) => {
      const world = perform(setting, shorter, seed)
      if (world.breached?.promise !== promise) return false
      shortest = world
      return true
    },
    shrinkingRuns
  )
  const { breached, trace } = shortest
  const hasOwnConfig = config !== undefined
  const what = breached!.what
  return new SimulationFailure({ scenario, seed, hasOwnConfig, promise, what, script: kept.map(show), trace })
}

/**
 * Runs one scenario with one seed. Fails with `SimulationFailure` when a promise is broken, and with `PoolConfigError`
 * when `config` is wrong. Runs at once and synchronously, whatever the fiber's own scheduler and clock are.
 *
 * **Example** (One run)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Simulation } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const report = yield* Simulation.run({ scenario: "outage", seed: 7, config: { maxConnections: 3 } })
 *   return report.mostLive <= 3 // => true
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Report, SimulationFailure | PoolConfigError> {
  const { scenario, seed } = options
  const setting = yield* drawSetting(scenarios[scenario], seed, options.config)
  const script = write(scenarios[scenario], seed)
  const world = perform(setting, script, seed)
  if (world.breached !== undefined) return yield* failureOf(options, setting, script, world)
  const { books } = world.server
  return {
    scenario,
    seed,
    millis: world.now,
    tasks: world.scheduler.ran,
    served: world.observer.served,
    refused: world.observer.refused,
    opened: books.connections.length,
    mostLive: books.mostLive,
    trace: world.trace
  }
})

/**
 * What came of many runs.
 *
 * - `runs`: how many there were. `tasks`, `served`: the sums of what each {@link Report} says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exploration {
  readonly runs: number
  readonly tasks: number
  readonly served: number
}

/**
 * Runs many seeds: those of one `scenario`, or without it of all of them in turn. `seeds: 100` runs the seeds 1 to 100. `config` is
 * the configuration to put to the test; without it each seed draws one.
 *
 * Fails with `SimulationFailure` at the first run in which a promise is broken, and with `PoolConfigError` when `config` is wrong.
 *
 * **Example** (Your own configuration, under everything that can happen to it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Simulation } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const { runs } = yield* Simulation.explore({ seeds: 10, config: { maxConnections: 4, maxWaiting: 20 } })
 *   return runs // => 10
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const explore = Effect.fnUntraced(function* (options: {
  readonly scenario?: ScenarioName | undefined
  readonly seeds: number | { readonly from: number; readonly to: number }
  readonly config?: PoolConfig.Input | PoolConfig.PoolConfig | undefined
}): Effect.fn.Return<Exploration, SimulationFailure | PoolConfigError> {
  const { config, scenario, seeds } = options
  const { from, to } = typeof seeds === "number" ? { from: 1, to: seeds } : seeds
  const sums = { runs: 0, tasks: 0, served: 0 }
  for (let seed = from; seed <= to; seed++) {
    const { served, tasks } = yield* run({ scenario: scenario ?? scenarioOf(seed), seed, config })
    sums.runs++
    sums.tasks += tasks
    sums.served += served
  }
  return sums
})

const names = Object.keys(all) as ReadonlyArray<ScenarioName>

/** Which scenario a seed runs when all of them are run in turn. */
const scenarioOf = (seed: number): ScenarioName => names[seed % names.length]!
