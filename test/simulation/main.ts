/**
 * `npm run simulate`: one run of the simulation, or many.
 *
 * - `-- --scenario outage --seed 7`: that run; with `--trace`, line by line. Exit code 1 if it breaks a promise.
 * - `-- --seeds 500`: the seeds 1 to 500, of `--scenario` or of all in turn. `--from 501` starts elsewhere.
 * - `-- --minutes 10`: new seeds until the time is over (`npm run test:soak`).
 * - `-- --live --minutes 10`: one pool on the real clock under load, its memory, and what is left of it in the end.
 * - no option: the scenarios.
 */
import { NodeServices } from "@effect/platform-node"
import * as Clock from "effect/Clock"
import { Command, Flag } from "effect/cli"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Simulation } from "effect-pool/testing"
import { live } from "./Live.ts"

const scenarioNames = Object.keys(Simulation.scenarios) as ReadonlyArray<Simulation.ScenarioName>

const list = Effect.forEach(Object.entries(Simulation.scenarios), ([name, { summary }]) =>
  Console.log(`${name.padEnd(10)} ${summary}`)
)

const once = Effect.fnUntraced(function* (scenario: Simulation.ScenarioName, seed: number, isTraced: boolean) {
  const { trace, ...numbers } = yield* Simulation.run({ scenario, seed })
  if (isTraced) yield* Console.log(trace.join("\n"))
  yield* Console.log(JSON.stringify(numbers))
})

const many = Effect.fnUntraced(function* (
  scenario: Simulation.ScenarioName | undefined,
  seeds: { from: number; to: number }
) {
  const before = yield* Clock.currentTimeMillis
  const { runs, served, tasks } = yield* Simulation.explore({ scenario, seeds })
  const seconds = ((yield* Clock.currentTimeMillis) - before) / 1000
  yield* Console.log(
    `${runs} runs in ${seconds.toFixed(1)} s (${Math.round(runs / seconds)} seeds per second): ${tasks} steps of fibers ` +
      `and ${served} leases, every promise kept`
  )
})

/** So many seeds between two lines. */
const round = 500

const soak = Effect.fnUntraced(function* (
  scenario: Simulation.ScenarioName | undefined,
  from: number,
  minutes: number
) {
  const end = (yield* Clock.currentTimeMillis) + minutes * 60_000
  for (let first = from; (yield* Clock.currentTimeMillis) < end; first += round) {
    yield* many(scenario, { from: first, to: first + round - 1 })
    yield* Console.log(`  up to seed ${first + round - 1}`)
  }
})

const optional = <A>(flag: Flag.Flag<A>, description: string) =>
  flag.pipe(Flag.withDescription(description), Flag.optional, Flag.map(Option.getOrUndefined))

const wholeFrom = (minimum: number, flag: Flag.Flag<number>) =>
  Flag.filter(
    flag,
    (n) => n >= minimum,
    (n) => `${n} is less than ${minimum}`
  )

const sayingWhatFailed = <A, E extends { readonly message: string } | string, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.tapError(effect, (error) => Console.error(typeof error === "string" ? error : error.message))

const simulate = Command.make(
  "simulate",
  {
    scenario: optional(Flag.Literals("scenario", scenarioNames), "one scenario; without it, all in turn"),
    seed: optional(Flag.Int("seed"), "with --scenario: that run"),
    trace: Flag.Boolean("trace").pipe(Flag.withDefault(false), Flag.withDescription("with --seed: line by line")),
    seeds: optional(wholeFrom(1, Flag.Int("seeds")), "so many seeds"),
    from: optional(Flag.Int("from"), "the first of them (default 1; 100001 with --minutes)"),
    minutes: optional(
      Flag.filter(
        Flag.Finite("minutes"),
        (n) => n > 0,
        (n) => `${n} is no length of time`
      ),
      "new seeds until the time is over"
    ),
    live: Flag.Boolean("live").pipe(
      Flag.withDefault(false),
      Flag.withDescription("one pool on the real clock under load, for --minutes (default 10)")
    )
  },
  Effect.fnUntraced(function* (asked) {
    const { minutes, scenario, seed, seeds } = asked
    if (asked.live) return yield* live(minutes ?? 10)
    if (scenario !== undefined && seed !== undefined) return yield* once(scenario, seed, asked.trace)
    // Where the test suite has not been.
    const from = asked.from ?? (minutes === undefined ? 1 : 100_001)
    if (minutes !== undefined) return yield* soak(scenario, from, minutes)
    if (seeds === undefined) return yield* list
    return yield* many(scenario, { from, to: from + seeds - 1 })
  }, sayingWhatFailed)
).pipe(Command.withDescription("Lives of the whole pool, in which the order of every step is drawn from a seed"))

// Not by `NodeRuntime.runMain`, which has a timer of its own: `--live` counts those that are left.
const exit = await Effect.runPromiseExit(
  simulate.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer))
)
if (exit._tag === "Failure") process.exitCode = 1
