/** The default policy reaches its targets, and is as good as everything that was chosen before the run. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Laboratory, type LoadResult } from "effect-pool/laboratory"
import { ahead, goodOf, type Results, rivals, stepsWithin, targets } from "./Targets.ts"

/** Fewer than the ten of docs/sizing.md: the whole of it takes minutes. */
const seeds = 2

/** What has been run already. */
const known = new Map<string, ReadonlyArray<LoadResult>>()

const run = Effect.fnUntraced(function* (name: string, policies: ReadonlyArray<string>) {
  const scenario = Laboratory.scenarios.find((one) => one.name === name)!
  const results = new Map<string, ReadonlyArray<LoadResult>>()
  for (const policy of new Set(["predictive", ...policies])) {
    const key = `${name} ${policy}`
    const runs = known.get(key) ?? (yield* Laboratory.run({ scenario, policies: policy, seeds }))
    known.set(key, runs)
    results.set(policy, runs)
  }
  return results as Results
})

describe("the default policy", () => {
  for (const { assess, policies, row, scenario, target } of targets) {
    it.effect(
      `${row}: ${target}`,
      () =>
        Effect.gen(function* () {
          const { isMet, measured } = assess(yield* run(scenario, policies))
          assert.isTrue(isMet, measured)
        }),
      60_000
    )
  }

  for (const scenario of new Set(targets.map((one) => one.scenario))) {
    it.effect(
      `wins or ties against every other in "${scenario}"`,
      () =>
        Effect.gen(function* () {
          const results = yield* run(scenario, rivals)
          const figures = ["predictive", ...rivals].map((policy) => `${policy} ${goodOf(results, policy).toFixed(2)}`)
          assert.deepStrictEqual(ahead(scenario, results), [], figures.join(", "))
        }),
      60_000
    )
  }
})

describe("the steps of the retry schedule", () => {
  it("that end in ten seconds are three, if each is as short as it may be: 0.8, 1.6 and 3.2 s", () => {
    assert.strictEqual(stepsWithin(10_000).ended, 3)
  })

  it("leave one of 8 s running after ten seconds, if none is shortened: 1, 2 and 4 s are over", () => {
    assert.strictEqual(stepsWithin(10_000).running, 8000)
  })
})
