/**
 * The whole pool, under every order of events that a seed can draw. A failure prints the shortest script that repeats it,
 * and the command that repeats the run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { PoolRegistry } from "effect-pool"
import { Simulation } from "effect-pool/testing"

const seedsPerScenario = 205

const names = Object.keys(Simulation.scenarios) as ReadonlyArray<Simulation.ScenarioName>

describe("the pool keeps its promises", () => {
  for (const scenario of names) {
    it.effect(`${scenario}: ${Simulation.scenarios[scenario].summary}`, () =>
      Effect.gen(function* () {
        const { runs, served } = yield* Simulation.explore({ scenario, seeds: seedsPerScenario })
        assert.strictEqual(runs, seedsPerScenario)
        assert.isAbove(served, seedsPerScenario, "callers are served at all")
      })
    )
  }

  it.effect("with a configuration of the user's own", () =>
    Simulation.explore({ seeds: 30, config: { minConnections: 1, maxConnections: 4, acquireTimeout: "200 millis" } })
  )
})

describe("a run", () => {
  it.effect("is the same whenever its seed is the same", () =>
    Effect.gen(function* () {
      for (const scenario of names) {
        for (const seed of [1, 2, 3]) {
          const first = yield* Simulation.run({ scenario, seed })
          const second = yield* Simulation.run({ scenario, seed })
          assert.deepStrictEqual(second, first)
        }
      }
    })
  )

  it.effect("is another when its seed is another", () =>
    Effect.gen(function* () {
      const first = yield* Simulation.run({ scenario: "calm", seed: 1 })
      const second = yield* Simulation.run({ scenario: "calm", seed: 2 })
      assert.notDeepEqual(second.trace, first.trace)
    })
  )

  it.effect("has pools that the process knows nothing of: no metrics, status or console shows them", () =>
    Effect.gen(function* () {
      const registry = yield* PoolRegistry.PoolRegistry
      const seen: Array<string> = []
      const added = ({ key }: PoolRegistry.Entry) => void seen.push(key)
      const unsubscribe = registry.subscribe({ added, removed: () => {} })
      yield* Simulation.run({ scenario: "calm", seed: 1 })
      unsubscribe()
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect("is refused with a configuration that no pool can have", () =>
    Effect.gen(function* () {
      const config = { minConnections: 3, maxConnections: 1 }
      const result = yield* Effect.result(Simulation.run({ scenario: "calm", seed: 1, config }))
      assert.strictEqual(Result.isFailure(result) && result.failure._tag, "PoolConfigError")
    })
  )
})

describe("a run that breaks a promise", () => {
  const facts = { scenario: "cold", seed: 3, promise: 12, what: "nothing is opened", script: [], trace: [] }

  it("says how to repeat it, with and without a clone of the repository", () => {
    const { message } = new Simulation.SimulationFailure({ ...facts, hasOwnConfig: false })
    assert.include(message, 'Simulation.run({ scenario: "cold", seed: 3 })')
    assert.include(message, "npm run simulate -- --scenario cold --seed 3")
  })

  it("names no command that would run another configuration", () => {
    const { message } = new Simulation.SimulationFailure({ ...facts, hasOwnConfig: true })
    assert.include(message, 'Simulation.run({ scenario: "cold", seed: 3, config }) with the same configuration')
    assert.notInclude(message, "npm run")
  })
})
