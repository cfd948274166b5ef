import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Clock } from "effect/Clock"
import { Scheduler } from "effect/Scheduler"
import { PoolTime } from "../../src/runtime/PoolTime.ts"
import { turns } from "../support/FakeServer.ts"

/** A time whose clock goes on by a millisecond each time it is read, and counts how often that was. */
const countingTime = Effect.gen(function* () {
  const clock = yield* Clock
  const reads = { count: 0 }
  const monotonicTimeNanosUnsafe = (): bigint => BigInt(++reads.count) * 1_000_000n
  const counting: Clock = Object.assign(Object.create(clock) as Clock, { monotonicTimeNanosUnsafe })
  const scheduler = yield* Scheduler
  return { reads, time: new PoolTime(counting, scheduler.makeDispatcher()) }
})

const times = (n: number, read: () => number): ReadonlyArray<number> => Array.from({ length: n }, read)

describe("PoolTime.inTurn", () => {
  it.effect("reads the clock anew while a turn has few readings", () =>
    Effect.gen(function* () {
      const { time } = yield* countingTime
      assert.deepStrictEqual(
        times(8, () => time.inTurn()),
        [1, 2, 3, 4, 5, 6, 7, 8]
      )
    })
  )

  it.effect("shares one reading among the rest of a busy turn", () =>
    Effect.gen(function* () {
      const { reads, time } = yield* countingTime
      times(1000, () => time.inTurn())
      assert.strictEqual(reads.count, 8)
    })
  )

  it.effect("reads anew in the next turn", () =>
    Effect.gen(function* () {
      const { time } = yield* countingTime
      times(1000, () => time.inTurn())
      yield* turns(2)
      assert.strictEqual(time.inTurn(), 9)
    })
  )

  it.effect("never gives a time before one that was given", () =>
    Effect.gen(function* () {
      const { time } = yield* countingTime
      times(100, () => time.inTurn())
      const later = time.now()
      assert.strictEqual(time.inTurn(), later)
    })
  )
})
