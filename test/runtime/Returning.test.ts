import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

const one = { minConnections: 1, maxConnections: 1 } as const

describe("a returned connection", () => {
  it.effect("that was left dirty is reset before its next borrower, off the first one's time", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onReset = Effect.sleep("1 second")
      const pool = yield* ConnectionPool.make(server.complete, one)
      yield* ConnectionPool.use(pool, (connection) => Effect.sync(() => (connection.isDirty = true)))
      // The borrower has gone on: no time has passed for it.
      assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 1)
      const next = yield* Effect.forkChild(ConnectionPool.use(pool, ({ isDirty }) => Effect.succeed(isDirty)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* Fiber.join(next), server.resets], [false, 1])
    })
  )

  it.effect("that is dead already is closed, though its borrower succeeded and nobody has said so yet", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const connector = { ...server.complete, inspect: () => "broken" as const }
      const pool = yield* ConnectionPool.make(connector, one)
      yield* ConnectionPool.use(pool, () => Effect.void)
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 2)
    })
  )

  it.effect("that was left clean is not reset", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* turns()
      assert.strictEqual(server.resets, 0)
    })
  )

  it.effect("whose borrower was interrupted is reset and checked", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* Fiber.interrupt(borrower)
      yield* turns()
      assert.deepStrictEqual([server.resets, server.checks, server.closed.length], [1, 1, 0])
    })
  )

  it.effect("whose borrower died is closed when it can be neither reset nor checked", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, one)
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.die("bug")))
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
    })
  )

  it.effect("whose borrower met a fatal error is closed", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("fatal")))
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
    })
  )

  it.effect("whose borrower met an ordinary error is lent again", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("ordinary")))
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 1)
    })
  )

  it.effect("is replaced after maxUses, and its close is not the borrower's to wait for", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onClose = Effect.sleep("1 second")
      const pool = yield* ConnectionPool.make(server.bare, { ...one, maxUses: 2 })
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* ConnectionPool.use(pool, () => Effect.void)
      assert.strictEqual((yield* ConnectionPool.status(pool)).closing, 1)
      const next = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* Fiber.join(next), server.mostLive], [2, 1])
      server.onClose = Effect.void
    })
  )
})

describe("an idle connection", () => {
  it.effect("is checked before it is lent after checkAfterIdle, and not sooner", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      yield* TestClock.adjust("499 millis")
      yield* ConnectionPool.use(pool, () => Effect.void)
      assert.strictEqual(server.checks, 0)
      yield* TestClock.adjust("500 millis")
      yield* ConnectionPool.use(pool, () => Effect.void)
      assert.strictEqual(server.checks, 1)
    })
  )

  it.effect("that dies is noticed and replaced without anyone asking", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* ConnectionPool.make(server.complete, one)
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(server.connections[0]!.dead, undefined)
      yield* turns()
      assert.deepStrictEqual([server.closed, server.live], [[1], 1])
    })
  )

  it.effect("is checked before it is lent once another has died", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { minConnections: 2, maxConnections: 2 })
      yield* TestClock.adjust("200 millis")
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* Deferred.succeed(server.connections[0]!.dead, undefined)
      yield* turns()
      yield* Effect.scoped(Effect.replicateEffect(ConnectionPool.acquire(pool), 2))
      assert.strictEqual(server.checks, 1)
    })
  )

  it.effect("above the minimum is closed after idleTimeout, and the minimum stays", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, {
        minConnections: 1,
        maxConnections: 4,
        idleTimeout: "1 minute"
      })
      yield* Effect.scoped(Effect.replicateEffect(ConnectionPool.acquire(pool), 4))
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 4)
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 1)
    })
  )

  it.effect("is replaced at the end of its lifetime, never later", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { ...one, maxLifetime: "10 minutes" })
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual(server.connections.length, 1)
      yield* TestClock.adjust("3 minutes")
      yield* TestClock.adjust("2 seconds")
      assert.isAtLeast(server.connections.length, 2)
      assert.strictEqual((yield* ConnectionPool.status(pool)).total, 1)
    })
  )

  it.effect("is checked in the background every healthCheckInterval, and the last one is left to callers", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* ConnectionPool.make(server.complete, { minConnections: 3, maxConnections: 3 })
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(server.checks, 0)
      yield* TestClock.adjust("3 seconds")
      assert.isAtLeast(server.checks, 2)
    })
  )
})
