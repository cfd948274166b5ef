import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Random, Schedule } from "effect"
import { RetryPolicy } from "../src/index.ts"

/** The first delays of a schedule, in milliseconds. */
const delays = <Input>(schedule: Schedule.Schedule<unknown, Input>, input: Input, n: number) =>
  Effect.gen(function* () {
    const step = yield* Schedule.toStep(schedule)
    const taken: Array<number> = []
    for (let now = 0; taken.length < n;) {
      const [, delay] = yield* step(now, input)
      taken.push(Duration.toMillis(delay))
      now += Duration.toMillis(delay)
    }
    return taken
  })

describe("RetryPolicy.exponential", () => {
  it.effect("doubles from 1 s to 60 s by default", () =>
    Effect.gen(function* () {
      const taken = yield* delays(RetryPolicy.exponential({ jitter: 0 }), undefined, 8)
      assert.deepStrictEqual(taken, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
    })
  )

  it.effect("shortens each delay by up to the jitter, and lengthens none", () =>
    Effect.gen(function* () {
      const taken = yield* delays(
        RetryPolicy.exponential({ initial: "10 seconds", factor: 1, jitter: 0.2 }),
        undefined,
        200
      )
      assert.isAtLeast(Math.min(...taken), 8000)
      assert.isAtMost(Math.max(...taken), 10_000)
      assert.isAbove(new Set(taken).size, 100)
    }).pipe(Random.withSeed("jitter"))
  )

  it.effect("takes its numbers from the user", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.exponential({ initial: "100 millis", max: "1 second", factor: 3, jitter: 0 })
      assert.deepStrictEqual(yield* delays(policy, undefined, 4), [100, 300, 900, 1000])
    })
  )
})

describe("RetryPolicy.forConnects", () => {
  it.effect("waits the longest delay at once after a permanent failure", () =>
    Effect.gen(function* () {
      const policy = RetryPolicy.forConnects({ jitter: 0 })
      assert.deepStrictEqual(yield* delays(policy, "permanent" as const, 2), [60_000, 60_000])
      assert.deepStrictEqual(yield* delays(policy, "overloaded" as const, 2), [1000, 2000])
    })
  )
})

describe("RetryPolicy.operational", () => {
  it.live("gives up when the next attempt would come after 30 s", () =>
    Effect.gen(function* () {
      const step = yield* Schedule.toStep(RetryPolicy.operational)
      yield* step(0, undefined)
      assert.isTrue((yield* Effect.exit(step(31_000, undefined)))._tag === "Failure")
    })
  )
})
