import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

const makePool = (server: FakeServer, config: PoolConfig.Input = {}) =>
  Effect.tap(
    ConnectionPool.make(server.complete, { minConnections: 2, maxConnections: 4, retry: { jitter: 0 }, ...config }),
    // The pause after the first warmup batch is not what these tests are about.
    () => TestClock.adjust("1 second")
  )

describe("while the server is down", () => {
  it.effect("it sees one attempt per backoff step, however many wait", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* makePool(server, { acquireTimeout: "20 seconds" })
      yield* server.goDown()
      yield* turns()
      const before = server.attempts.length
      const waiters = yield* Effect.replicateEffect(
        Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void))),
        500
      )
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(server.attempts.slice(before), [2000, 4000, 8000, 16_000])
      yield* Fiber.interruptAll(waiters)
    })
  )

  it.effect("an acquire waits inside its deadline and succeeds when the server comes back in time", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* makePool(server)
      yield* server.goDown()
      yield* turns()
      const waiter = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("2 seconds")
      yield* server.comeBack
      yield* TestClock.adjust("1 second")
      assert.isAbove(yield* Fiber.join(waiter), 2)
    })
  )

  it.effect("an acquire that runs out of time names the server's own words", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* makePool(server)
      yield* server.goDown("ECONNREFUSED 10.0.0.1")
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(waiter)
      assert.strictEqual(error._tag === "AcquireTimeout" && error.diagnosis, "cannot-connect")
      assert.include(error.message, "failed, the last with: ECONNREFUSED 10.0.0.1")
    })
  )

  it.effect("connections that still work are lent as before", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* makePool(server)
      server.onConnect = Effect.never
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      yield* TestClock.adjust("10 seconds")
      assert.isAbove((yield* ConnectionPool.status(pool)).connectFailures, 0)
      assert.strictEqual(yield* ConnectionPool.use(pool, () => Effect.succeed("lent")), "lent")
    })
  )
})

describe("after unavailableAfter without a usable connection", () => {
  const unavailable = Effect.fnUntraced(function* () {
    const server = new FakeServer()
    const pool = yield* makePool(server, { acquireTimeout: "60 seconds" })
    yield* server.goDown()
    yield* turns()
    return { pool, server }
  })

  it.effect("waiters fail with ServiceUnavailable, not before", () =>
    Effect.gen(function* () {
      const { pool } = yield* unavailable()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("29999 millis")
      assert.isUndefined(waiter.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(waiter))._tag, "ServiceUnavailable")
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "unavailable")
    })
  )

  it.effect("new acquires fail at once, with the time to the next probe", () =>
    Effect.gen(function* () {
      const { pool } = yield* unavailable()
      yield* TestClock.adjust("32 seconds")
      const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void))
      // Probes were made at 0, 1, 3, 7, 15 and 31 s; the next is due at 63 s.
      assert.strictEqual(error._tag === "ServiceUnavailable" && error.retryAfterSeconds, 31)
      assert.strictEqual(error._tag === "ServiceUnavailable" && error.status, 503)
      assert.strictEqual(
        error.message,
        "[pool fake] unavailable for 32.0 s (0 of 4 in use, 0 idle, 0 connecting, 0 waiting): no connection could be " +
          "opened; the last of 6 attempts failed with: connection refused. The pool goes on trying by itself; " +
          "try again in 31 s."
      )
    })
  )

  it.effect("the pool recovers by itself at the first success, and restores its minimum", () =>
    Effect.gen(function* () {
      const { pool, server } = yield* unavailable()
      yield* TestClock.adjust("32 seconds")
      yield* server.comeBack
      yield* TestClock.adjust("32 seconds")
      const status = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([status.state, status.idle, status.lastFailure], ["ready", 2, undefined])
      assert.strictEqual(yield* ConnectionPool.use(pool, () => Effect.succeed("lent")), "lent")
    })
  )

  it.effect("the next outage begins with the first backoff step again", () =>
    Effect.gen(function* () {
      const { pool, server } = yield* unavailable()
      yield* TestClock.adjust("32 seconds")
      yield* server.comeBack
      yield* TestClock.adjust("40 seconds")
      yield* server.goDown()
      yield* turns()
      const before = server.attempts.length
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(server.attempts.length - before, 2)
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "ready")
    })
  )

  it.effect("awaitReady waits for the recovery", () =>
    Effect.gen(function* () {
      const { pool, server } = yield* unavailable()
      yield* TestClock.adjust("32 seconds")
      const waiting = yield* Effect.forkChild(ConnectionPool.awaitReady(pool))
      yield* turns()
      assert.isUndefined(waiting.pollUnsafe())
      yield* server.comeBack
      yield* TestClock.adjust("32 seconds")
      yield* Fiber.join(waiting)
    })
  )
})
