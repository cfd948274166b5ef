/** What `docs/timeouts.md` says of all durations together. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

describe("a deadline", () => {
  it.effect("is the same when the wall clock is set back meanwhile", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let setBack = 0
      const wall: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() - setBack,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() - BigInt(setBack) * 1_000_000n
      })
      const config = { minConnections: 1, maxConnections: 1, drainTimeout: 0 }
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config).pipe(
        Effect.provideService(Clock.Clock, wall)
      )
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("1 second")
      setBack = 3_600_000
      yield* TestClock.adjust("3999 millis")
      assert.isUndefined(waiter.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(waiter))._tag, "AcquireTimeout")
      yield* Fiber.interrupt(holder)
    })
  )
})
