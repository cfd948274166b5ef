/**
 * `npm run simulate`: one run of the simulation, or many.
 *
 * - `-- --scenario outage --seed 7`: that run; with `--trace`, line by line. Exit code 1 if it breaks a promise.
 * - `-- --seeds 500`: the seeds 1 to 500, of `--scenario` or of all in turn. `--from 501` starts elsewhere.
 * - `-- --minutes 10`: new seeds until the time is over (`npm run test:soak`).
 * - `-- --live --minutes 10`: one pool on the real clock under load, its memory, and what is left of it in the end.
 * - no option: the scenarios.
 */
import { parseArgs } from "node:util"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Simulation } from "effect-pool/testing"
import { live } from "./Live.ts"

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string" },
    from: { type: "string" },
    minutes: { type: "string" },
    trace: { type: "boolean", default: false },
    live: { type: "boolean", default: false }
  }
})

const isScenario = (name: string): name is Simulation.ScenarioName => Object.hasOwn(Simulation.scenarios, name)

const scenarioCalled = (name: string | undefined) =>
  name === undefined || isScenario(name)
    ? Effect.succeed(name)
    : Effect.fail(`no scenario is called ${name}; there are ${Object.keys(Simulation.scenarios).join(", ")}`)

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

const program = Effect.gen(function* () {
  if (values.live) return yield* live(Number(values.minutes ?? 10))
  const scenario = yield* scenarioCalled(values.scenario)
  if (scenario !== undefined && values.seed !== undefined) {
    return yield* once(scenario, Number(values.seed), values.trace)
  }
  // Where the test suite has not been.
  const from = Number(values.from ?? (values.minutes === undefined ? 1 : 100_001))
  if (values.minutes !== undefined) return yield* soak(scenario, from, Number(values.minutes))
  if (values.seeds === undefined) return yield* list
  return yield* many(scenario, { from, to: from + Number(values.seeds) - 1 })
})

const outcome = await Effect.runPromise(Effect.result(program))
if (outcome._tag === "Failure") {
  console.error(typeof outcome.failure === "string" ? outcome.failure : outcome.failure.message)
  process.exitCode = 1
}
