/** Failures that `docs/failure-matrix.md` has a row for, and that have no better place among the tests. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolError } from "../../src/index.ts"
import { FakeServer, Refused, turns } from "../support/FakeServer.ts"

const one = { minConnections: 1, maxConnections: 1, drainTimeout: 0 } as const

describe("a wall clock that jumps", () => {
  for (const [direction, hours] of [
    ["forward", 24],
    ["back", -24]
  ] as const) {
    it.effect(`changes no deadline and retires no connection: ${direction} by a day`, () =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        let jump = 0
        const jumping: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
          currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + jump),
          currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + jump,
          currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + BigInt(jump) * 1_000_000n
        })
        const server = new FakeServer()
        const pool = yield* ConnectionPool.make(server.complete, one).pipe(Effect.provideService(Clock.Clock, jumping))
        const borrow = (body: Effect.Effect<void>) =>
          Effect.provideService(
            ConnectionPool.use(pool, ({ id }) => Effect.as(body, id)),
            Clock.Clock,
            jumping
          )
        const holder = yield* Effect.forkChild(borrow(Effect.sleep("6 seconds")))
        yield* turns()
        const waiter = yield* Effect.forkChild(Effect.flip(borrow(Effect.void)))
        yield* turns()
        jump = hours * 3_600_000
        yield* TestClock.adjust("4999 millis")
        assert.isUndefined(waiter.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const error = (yield* Fiber.join(waiter)) as PoolError.AcquireTimeout
        assert.deepStrictEqual([error._tag, error.waitedMillis], ["AcquireTimeout", 5000])
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(holder)
        assert.strictEqual(yield* borrow(Effect.void), 1)
        assert.deepStrictEqual([server.connections.length, server.closed], [1, []])
      })
    )
  }
})

describe("a connect that takes longer than an acquire may", () => {
  it.effect("is named as what was waited for, and its connection is kept for the next borrower", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("6 seconds")
      const pool = yield* ConnectionPool.make(server.complete, {
        ...one,
        minConnections: 0,
        connectTimeout: "30 seconds"
      })
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      const error = (yield* Fiber.join(waiter)) as PoolError.AcquireTimeout
      assert.strictEqual(error.diagnosis, "connecting-slowly")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 1)
      assert.strictEqual(server.attempts.length, 1)
    })
  )
})

describe("a borrower that lets go when the pool has closed", () => {
  it.effect("gives nothing back a second time, and goes on", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      const holder = yield* Effect.forkChild(
        ConnectionPool.use(pool, () => Effect.as(Effect.sleep("1 minute"), "done"))
      )
      yield* turns()
      yield* ConnectionPool.drain(pool, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(holder), "done")
      const { acquired, inUse, released, state } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual(
        { acquired, inUse, released, state },
        { acquired: 1, inUse: 0, released: 1, state: "closed" }
      )
      assert.deepStrictEqual(server.closed, [1])
      const events = yield* ConnectionPool.recentEvents(pool)
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "Released" ? [event.end] : [])),
        ["revoked"]
      )
    })
  )
})

describe("the health of a pool that cannot connect", () => {
  it.effect("is a failure while it starts, and while it is unavailable; a warning while a connection is usable", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("connection refused")
      const pool = yield* ConnectionPool.make(server.complete, {
        ...one,
        maxConnections: 2,
        startup: "background",
        unavailableAfter: "5 seconds",
        retry: { max: "1 second", jitter: 0 }
      })
      const health = Effect.map(ConnectionPool.health(pool), ({ reasons, status }) => [status, ...reasons])
      yield* turns()
      const starting = yield* health
      yield* server.comeBack
      yield* TestClock.adjust("2 seconds")
      const ready = yield* health
      server.onConnect = Effect.fail(new Refused({ kind: "transient", message: "connection refused" }))
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      const waiter = yield* Effect.forkChild(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
      yield* turns()
      const usable = yield* health
      yield* Fiber.interruptAll([holder, waiter])
      yield* server.goDown("connection refused")
      yield* TestClock.adjust("10 seconds")
      const unavailable = yield* health
      yield* server.comeBack
      yield* TestClock.adjust("2 seconds")
      const recovered = yield* health
      assert.deepStrictEqual(
        [starting, ready, usable, unavailable, recovered].map(([status]) => status),
        ["fail", "pass", "warn", "fail", "pass"]
      )
      const events = yield* ConnectionPool.recentEvents(pool)
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag).filter((tag) => tag === "PoolReady" || tag === "PoolUnavailable"),
        ["PoolReady", "PoolUnavailable", "PoolReady"]
      )
      assert.match(
        starting[1]!,
        /^no connection has opened yet: 1 attempt to connect failed, the last with: connection refused$/
      )
      assert.match(usable[1]!, /^cannot-connect: 1 usable connection is left/)
      assert.match(
        unavailable[1]!,
        /^no usable connection: \d+ attempts to connect failed, the last with: connection refused$/
      )
    })
  )
})

describe("a connection that an operator takes from its borrower", () => {
  it.effect("is closed at once, and nobody else's is", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { ...one, minConnections: 2, maxConnections: 2 })
      yield* TestClock.adjust("1 second")
      const holders = yield* Effect.replicateEffect(Effect.forkChild(ConnectionPool.use(pool, () => Effect.never)), 2)
      yield* turns()
      assert.isTrue(yield* ConnectionPool.evict(pool, 1, { interrupt: true }))
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
      const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ acquired, inUse, released }, { acquired: 2, inUse: 1, released: 1 })
      assert.isFalse(yield* ConnectionPool.evict(pool, 1, { interrupt: true }))
      yield* Fiber.interruptAll(holders)
    })
  )
})

describe("a borrower whose connection dies under it", () => {
  it.effect("fails with its driver's error, and what it did is not done again", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      const asked: Array<number> = []
      const borrower = yield* Effect.forkChild(
        Effect.flip(
          ConnectionPool.use(pool, ({ dead, id }) => {
            asked.push(id)
            return Effect.andThen(Deferred.await(dead), Effect.fail("the driver's error"))
          })
        )
      )
      yield* turns()
      const next = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* Deferred.succeed(server.connections[0]!.dead, undefined)
      assert.strictEqual(yield* Fiber.join(borrower), "the driver's error")
      assert.strictEqual(yield* Fiber.join(next), 2)
      assert.deepStrictEqual([asked, server.closed], [[1], [1]])
    })
  )
})
