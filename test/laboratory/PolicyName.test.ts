/** What a user writes for a policy is understood, or it is said what there is. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parsePolicies } from "../../src/laboratory/PolicyName.ts"

const faultsOf = (list: string) =>
  Effect.map(Effect.flip(parsePolicies(list)), ({ problems }) =>
    problems.map(({ fault, written }) => `${written}: ${fault}`)
  )

const labelsOf = (list: string) => Effect.map(parsePolicies(list), (policies) => policies.map(({ label }) => label))

describe("a list of policies", () => {
  it.effect("is read in its order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* labelsOf("threshold, predictive,fixed:20"), ["threshold", "predictive", "fixed:20"])
    })
  )

  it.effect("has each policy once, however it is written", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* faultsOf("predictive/knee/unshed,predictive/unshed/knee"), [
        "predictive/unshed/knee: named twice"
      ])
    })
  )

  it.effect("has every wrong one named", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* faultsOf("predictiv,threshold,fixed:0,"), [
        `predictiv: no policy is called "predictiv"`,
        "fixed:0: fixed takes a whole number from 1 to 1000000, as in fixed:20",
        ": no policy"
      ])
    })
  )

  it.effect("that is wrong is told what there is", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(parsePolicies("best"))
      assert.match(message, /There are predictive, threshold, fixed:20 .*\/unshed.*\/knee/)
    })
  )
})

describe("a policy", () => {
  it.effect("sheds, and has no ceiling, unless it says so", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parsePolicies("predictive"), [
        { label: "predictive", policy: "predictive", sheds: true, kneeIsCeiling: false }
      ])
    })
  )

  it.effect("may go without shedding", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parsePolicies("threshold/unshed"), [
        { label: "threshold/unshed", policy: "threshold", sheds: false, kneeIsCeiling: false }
      ])
    })
  )

  it.effect("may have the knee as its ceiling, if it is predictive", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parsePolicies("predictive/knee"), [
        { label: "predictive/knee", policy: "predictive", sheds: true, kneeIsCeiling: true }
      ])
    })
  )

  it.effect("of a fixed number says how many", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* parsePolicies("fixed:020/unshed"), [
        { label: "fixed:20/unshed", policy: "fixed", connections: 20, sheds: false, kneeIsCeiling: false }
      ])
    })
  )

  const refused = (name: string, written: string, fault: string): void => {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* faultsOf(written), [`${written}: ${fault}`])
      })
    )
  }

  refused("of a fixed number needs it", "fixed", "fixed takes a whole number from 1 to 1000000, as in fixed:20")
  refused("takes one number only", "fixed:2:3", "fixed takes a whole number from 1 to 1000000, as in fixed:20")
  refused("takes a number only if it is fixed", "threshold:5", "threshold takes no number")
  refused("has a knee only if it is predictive", "fixed:5/knee", "fixed has no option /knee")
  refused("has no other options", "predictive/fast", `no option is called "/fast"`)
  refused("has each option once", "threshold/unshed/unshed", "/unshed is there twice")
})
