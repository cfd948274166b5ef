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

describe("a connect that hangs", () => {
  it.effect("with the default times is all that whoever waits for it lives to see", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const pool = yield* ConnectionPool.make(server.complete, { minConnections: 0 })
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(waiter))._tag, "AcquireTimeout")
      assert.deepStrictEqual(server.attempts, [0])
    })
  )

  it.effect("leaves time for others where it may take less than an acquire", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const config = {
        minConnections: 0,
        connectTimeout: "2 seconds",
        retry: { initial: "500 millis", jitter: 0 }
      } as const
      const pool = yield* ConnectionPool.make(server.complete, config)
      const waiter = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("2 seconds")
      yield* server.comeBack
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(waiter), 1)
      assert.deepStrictEqual(server.attempts, [0, 2500])
    })
  )
})

describe("unavailableAfter", () => {
  it.effect("of 0 refuses whoever waits when the first attempt fails and no connection is left", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { minConnections: 1, unavailableAfter: 0 })
      yield* TestClock.adjust("1 second")
      yield* server.goDown()
      yield* turns()
      const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void))
      assert.strictEqual(error._tag, "ServiceUnavailable")
    })
  )
})
