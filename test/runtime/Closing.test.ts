import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

const makeIn = Effect.fnUntraced(function* (server: FakeServer, config: PoolConfig.Input = {}) {
  const scope = yield* Scope.make()
  const pool = yield* Scope.provide(ConnectionPool.make(server.complete, config), scope)
  yield* turns()
  return { pool, close: Scope.close(scope, Exit.void) }
})

describe("closing the pool's scope", () => {
  it.effect("closes idle connections side by side", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onClose = Effect.sleep("1 second")
      const { close, pool } = yield* makeIn(server, { minConnections: 5 })
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual([server.live, (yield* ConnectionPool.status(pool)).state], [0, "closed"])
    })
  )

  it.effect("fails waiters with PoolClosed, and acquires after it", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { close, pool } = yield* makeIn(server, { minConnections: 1, maxConnections: 1 })
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("1 second")))
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* turns()
      const closing = yield* Effect.forkChild(close)
      yield* turns()
      assert.strictEqual((yield* Fiber.join(waiter))._tag, "PoolClosed")
      assert.strictEqual((yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void)))._tag, "PoolClosed")
      assert.strictEqual((yield* Effect.flip(ConnectionPool.awaitReady(pool)))._tag, "PoolClosed")
      yield* TestClock.adjust("1 second")
      yield* Fiber.joinAll([holder, closing])
    })
  )

  it.effect("lets borrowers finish within drainTimeout", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { close, pool } = yield* makeIn(server)
      const holder = yield* Effect.forkChild(
        ConnectionPool.use(pool, () => Effect.as(Effect.sleep("9 seconds"), "done"))
      )
      yield* turns()
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("8 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(holder), "done")
      yield* Fiber.join(closing)
    })
  )

  it.effect("closes a connection under the borrower that does not finish", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { close, pool } = yield* makeIn(server)
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(server.live, 0)
      yield* Fiber.interrupt(holder)
      const { acquired, released, state } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([state, acquired - released], ["closed", 0])
    })
  )

  it.effect("ends, whatever hangs: connects, checks, resets and finalizers", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { close, pool } = yield* makeIn(server, {
        minConnections: 3,
        maxConnections: 4,
        acquireTimeout: "1 minute"
      })
      server.onConnect = Effect.uninterruptible(Effect.never)
      server.onCheck = Effect.uninterruptible(Effect.never)
      server.onReset = Effect.uninterruptible(Effect.never)
      server.onClose = Effect.never
      yield* ConnectionPool.use(pool, (connection) => Effect.sync(() => (connection.isDirty = true)))
      yield* TestClock.adjust("600 millis")
      const waiters = yield* Effect.replicateEffect(
        Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void))),
        5
      )
      yield* turns()
      const { checking, connecting, resetting } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([connecting, checking, resetting], [1, 2, 1])
      const closing = yield* Effect.forkChild(close)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(closing)
      const errors = yield* Fiber.joinAll(waiters)
      assert.deepStrictEqual(new Set(errors.map(({ _tag }) => _tag)), new Set(["PoolClosed"]))
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "closed")
      const events = yield* ConnectionPool.recentEvents(pool)
      const closed = events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.isAbandoned] : []))
      // The fourth never opened, and its connect still runs.
      assert.deepStrictEqual([closed.length, closed.filter((isAbandoned) => isAbandoned).length], [4, 4])
    })
  )

  it.effect("leaves nothing running: no timer, no retry, no attempt to connect", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { close, pool } = yield* makeIn(server)
      yield* server.goDown()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("2 seconds")
      yield* close
      assert.strictEqual((yield* Fiber.join(waiter))._tag, "PoolClosed")
      const { length } = server.attempts
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual([server.attempts.length, server.live], [length, 0])
    })
  )
})
