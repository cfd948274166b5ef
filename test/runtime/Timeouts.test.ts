import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolError } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"
import { capture } from "../support/Logged.ts"

const config = { name: "orders", minConnections: 1, maxConnections: 1, drainTimeout: 0 } as const

const storm = Effect.fnUntraced(function* <A>(pool: ConnectionPool.ConnectionPool<A>, count: number) {
  const attempt = Effect.flip(ConnectionPool.use(pool, () => Effect.void))
  const fibers = yield* Effect.forEach(Array.from({ length: count }), () => Effect.forkChild(attempt))
  yield* TestClock.adjust("5 seconds")
  return (yield* Effect.forEach(fibers, Fiber.join)) as ReadonlyArray<PoolError.AcquireTimeout>
})

describe("a storm of timeouts", () => {
  it.effect("is one report in ten seconds, with how many there were besides", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* storm(pool, 100)
      yield* TestClock.adjust("6 seconds")
      yield* storm(pool, 1)
      const reports = lines.filter(({ text }) => text.includes("no connection within"))
      assert.deepStrictEqual(
        reports.map(({ level, text }) => [level, /and (\d+) others/.exec(text)?.[1]]),
        [
          ["Warn", undefined],
          ["Warn", "99"]
        ]
      )
      assert.include(reports[0]?.text, "\n  try: ")
      yield* Fiber.interrupt(holder)
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells each how long the line was that it stood in, itself included", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const errors = yield* storm(pool, 3)
      assert.deepStrictEqual(
        errors.map(({ position, snapshot }) => [position, snapshot.waiting]),
        [
          [1, 3],
          [2, 2],
          [3, 1]
        ]
      )
      yield* Fiber.interrupt(holder)
    })
  )
})

/** What a caller with a timeout of 5 s is told, whose process stands still for so many nanoseconds meanwhile. */
const waitedWhile = Effect.fnUntraced(function* (stalledFor: bigint) {
  const clock = yield* Clock.Clock
  let stall = 0n
  const stalling: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + stall
  })
  const pool = yield* ConnectionPool.make(new FakeServer().complete, config).pipe(
    Effect.provideService(Clock.Clock, stalling)
  )
  const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
  yield* turns()
  const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
  yield* turns()
  stall = stalledFor
  yield* TestClock.adjust("5 seconds")
  const error = (yield* Fiber.join(waiter)) as PoolError.AcquireTimeout
  yield* Fiber.interrupt(holder)
  return error
})

describe("a timeout that comes late", () => {
  it.effect("says that the event loop was blocked, and not that the pool is too small", () =>
    Effect.gen(function* () {
      const error = yield* waitedWhile(3_000_000_000n)
      assert.strictEqual(error.diagnosis, "event-loop-blocked")
      assert.match(error.summary, /^the process was too busy to look at its timers for /)
    })
  )

  it.effect("says how long it really was, where the event loop was blocked past its deadline", () =>
    Effect.gen(function* () {
      const error = yield* waitedWhile(20_000_000_000n)
      assert.deepStrictEqual([error.diagnosis, error.timeoutMillis], ["event-loop-blocked", 5000])
      assert.isAtLeast(error.waitedMillis, 20_000)
    })
  )

  it.effect("does not say so after an outage, in which the timers have been as good as ever", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const retry = { initial: "5 seconds", max: "5 seconds" } as const
      const pool = yield* ConnectionPool.make(server.complete, { ...config, retry })
      yield* TestClock.adjust("1 second")
      yield* server.goDown()
      // No connection is left that anything would be due for.
      for (let step = 0; step < 80; step++) yield* TestClock.adjust("100 millis")
      yield* server.comeBack
      for (let step = 0; step < 5; step++) yield* TestClock.adjust("100 millis")
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      for (let step = 0; step < 51; step++) yield* TestClock.adjust("100 millis")
      const error = (yield* Fiber.join(waiter)) as PoolError.AcquireTimeout
      assert.notStrictEqual(error.diagnosis, "event-loop-blocked")
      yield* Fiber.interrupt(holder)
    })
  )
})
