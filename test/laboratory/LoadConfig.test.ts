/** A pool in the laboratory has the scenario's configuration, as its user and the policy change it. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { configOf, type WrittenConfig } from "../../src/laboratory/LoadConfig.ts"
import { parsePolicies } from "../../src/laboratory/PolicyName.ts"

const made = Effect.fnUntraced(function* (policy: string, pool: WrittenConfig, overrides: WrittenConfig = {}) {
  const [parsed] = yield* parsePolicies(policy)
  return yield* configOf({ pool }, parsed!, overrides)
})

describe("the configuration of a pool in the laboratory", () => {
  it.effect("is the scenario's, changed by its user", () =>
    Effect.gen(function* () {
      const { maxConnections, minConnections } = yield* made(
        "predictive",
        { minConnections: 3, maxConnections: 30 },
        { maxConnections: 40 }
      )
      assert.deepStrictEqual([minConnections, maxConnections], [3, 40])
    })
  )

  it.effect("is changed field by field in its records", () =>
    Effect.gen(function* () {
      const { shedding } = yield* made(
        "predictive",
        { shedding: { target: "50 millis" } },
        { shedding: { interval: "1 second" } }
      )
      assert.deepStrictEqual([shedding.target, shedding.interval].map(Duration.toMillis), [50, 1000])
    })
  )

  it.effect("has what is without limit as a text, where it is written as JSON", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* made("predictive", {}, { maxUses: "Infinity" })).maxUses, Infinity)
    })
  )

  it.effect("has the policy's fixed number before any other", () =>
    Effect.gen(function* () {
      const { maxConnections, minConnections, sizing } = yield* made("fixed:20", {}, { maxConnections: 5 })
      assert.deepStrictEqual([minConnections, maxConnections, sizing], [20, 20, "fixed"])
    })
  )

  it.effect("goes without shedding if the policy does", () =>
    Effect.gen(function* () {
      const { shedding } = yield* made("threshold/unshed", { shedding: { target: "50 millis" } })
      assert.deepStrictEqual([shedding.enabled, Duration.toMillis(shedding.target)], [false, 50])
    })
  )

  it.effect("does not take a policy that would be lost", () =>
    Effect.gen(function* () {
      const { problems } = yield* Effect.flip(made("predictive", {}, { sizing: "threshold" }))
      assert.deepStrictEqual(
        problems.map((problem) => ("field" in problem ? problem.field : problem.written)),
        ["sizing"]
      )
    })
  )

  it.effect("is told everything that is wrong with it", () =>
    Effect.gen(function* () {
      const { problems } = yield* Effect.flip(made("predictive", { maxUses: 0 }, { maxConnection: 5 }))
      assert.deepStrictEqual(
        problems.map((problem) => ("field" in problem ? problem.field : problem.written)),
        ["maxUses", "maxConnection"]
      )
    })
  )
})
