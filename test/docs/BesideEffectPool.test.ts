/** What the README says of Effect's own `Pool`, and of ours beside it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Pool } from "effect"
import { TestClock } from "effect/testing"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Connector from "../../src/Connector.ts"
import type * as PoolConfig from "../../src/PoolConfig.ts"

/** Connections that count from 1, and a server that may be away. */
const makeServer = () => {
  const server = { connects: 0, isUp: true }
  const connect = Effect.suspend(() => {
    server.connects++
    return server.isUp ? Effect.succeed(server.connects) : Effect.fail("refused")
  })
  return { server, connect }
}

const ours = (connector: Connector.Connector<number, string>, config: PoolConfig.Input = {}) =>
  ConnectionPool.make(connector, {
    minConnections: 0,
    maxConnections: 1,
    startup: "background",
    drainTimeout: 0,
    ...config
  })

describe("a caller that waits", () => {
  it.effect("waits in Effect's Pool until somebody ends it", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ acquire: makeServer().connect, size: 1 })
      yield* Pool.get(pool)
      const waiter = yield* Effect.forkScoped(Effect.scoped(Pool.get(pool)))
      yield* TestClock.adjust("365 days")
      assert.isUndefined(waiter.pollUnsafe())
    })
  )

  it.effect("is told why after acquireTimeout in ours", () =>
    Effect.gen(function* () {
      const pool = yield* ours(Connector.make({ name: "server", connect: makeServer().connect }))
      yield* Effect.forkScoped(ConnectionPool.use(pool, () => Effect.never))
      yield* Effect.yieldNow
      const waiter = yield* Effect.forkScoped(Effect.flip(Effect.scoped(ConnectionPool.acquire(pool))))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(waiter))._tag, "AcquireTimeout")
    })
  )
})

describe("a server that is down", () => {
  it.effect("is the error of every caller of Effect's Pool, and each of them connects again", () =>
    Effect.gen(function* () {
      const { connect, server } = makeServer()
      server.isUp = false
      const pool = yield* Pool.makeWithTTL({ acquire: connect, min: 0, max: 1, timeToLive: "1 minute" })
      for (let caller = 0; caller < 20; caller++) {
        assert.strictEqual(yield* Effect.flip(Effect.scoped(Pool.get(pool))), "refused")
      }
      assert.isAtLeast(server.connects, 20)
    })
  )

  it.effect("gets one attempt for each backoff step from ours, whoever waits", () =>
    Effect.gen(function* () {
      const { connect, server } = makeServer()
      server.isUp = false
      const connector = Connector.make({ name: "server", connect })
      const pool = yield* ours(connector, { retry: { jitter: 0 }, acquireTimeout: "1 minute" })
      for (let caller = 0; caller < 20; caller++) yield* Effect.forkScoped(Effect.scoped(ConnectionPool.acquire(pool)))
      yield* TestClock.adjust("500 millis")
      const first = server.connects
      yield* TestClock.adjust("3 seconds")
      // After 1 s, and 2 s later.
      assert.strictEqual(server.connects - first, 2)
    })
  )
})

describe("an item that broke while nobody had it", () => {
  it.effect("is lent by Effect's Pool until it is invalidated", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ acquire: makeServer().connect, size: 1 })
      assert.strictEqual(yield* Pool.use(pool, Effect.succeed), 1)
      // Nothing tells the pool that connection 1 has ended meanwhile.
      assert.strictEqual(yield* Pool.use(pool, Effect.succeed), 1)
      yield* Effect.scoped(Pool.invalidate(pool, 1))
      assert.strictEqual(yield* Pool.use(pool, Effect.succeed), 2)
    })
  )

  it.effect("is found by ours before it is lent", () =>
    Effect.gen(function* () {
      const broken = new Set<number>()
      const connector = Connector.make({
        name: "server",
        connect: makeServer().connect,
        check: (connection) => (broken.has(connection) ? Effect.fail("gone") : Effect.void)
      })
      const pool = yield* ours(connector)
      assert.strictEqual(yield* ConnectionPool.use(pool, Effect.succeed), 1)
      broken.add(1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* ConnectionPool.use(pool, Effect.succeed), 2)
    })
  )
})

describe("an item that comes back", () => {
  it.effect("is lent as it is by Effect's Pool, after an interrupt too", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ acquire: Effect.sync(() => ({ path: "public" })), size: 1 })
      const borrower = yield* Effect.forkScoped(
        Pool.use(pool, (session) =>
          Effect.andThen(
            Effect.sync(() => (session.path = "secret")),
            Effect.never
          )
        )
      )
      yield* Effect.yieldNow
      yield* Fiber.interrupt(borrower)
      assert.deepStrictEqual(yield* Pool.use(pool, Effect.succeed), { path: "secret" })
    })
  )

  it.effect("is reset by ours", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(
        Connector.make({
          name: "server",
          connect: Effect.sync(() => ({ path: "public" })),
          reset: (session) => Effect.sync(() => void (session.path = "public"))
        }),
        { minConnections: 0, maxConnections: 1, startup: "background", drainTimeout: 0 }
      )
      const borrower = yield* Effect.forkScoped(
        ConnectionPool.use(pool, (session) =>
          Effect.andThen(
            Effect.sync(() => (session.path = "secret")),
            Effect.never
          )
        )
      )
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(borrower)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ConnectionPool.use(pool, Effect.succeed), { path: "public" })
    })
  )
})

describe("a fiber that holds the last item and asks for another", () => {
  it.effect("waits for ever in Effect's Pool", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ acquire: makeServer().connect, size: 1 })
      const fiber = yield* Effect.forkScoped(Pool.use(pool, () => Pool.use(pool, Effect.succeed)))
      yield* TestClock.adjust("365 days")
      assert.isUndefined(fiber.pollUnsafe())
    })
  )

  it.effect("is told at once in ours", () =>
    Effect.gen(function* () {
      const pool = yield* ours(Connector.make({ name: "server", connect: makeServer().connect }))
      const error = yield* Effect.flip(ConnectionPool.use(pool, () => ConnectionPool.use(pool, Effect.succeed)))
      assert.strictEqual(error._tag, "PoolDeadlock")
    })
  )
})

describe("what one can see", () => {
  it.effect("of Effect's Pool are counts and bounds", () =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ acquire: makeServer().connect, size: 2 })
      yield* Pool.get(pool)
      assert.deepStrictEqual(yield* Pool.stats(pool), { idle: 1, max: 2, min: 2, pending: 0, used: 1 })
    })
  )
})
