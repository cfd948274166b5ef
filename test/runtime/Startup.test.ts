import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolError } from "../../src/index.ts"
import { FakeServer, Refused, turns } from "../support/FakeServer.ts"

const noJitter = { jitter: 0 }

describe("startup: await", () => {
  it.effect("returns when the first connection is open", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("2 seconds")
      const making = yield* Effect.forkScoped(ConnectionPool.make(server.bare))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(making.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* ConnectionPool.status(yield* Fiber.join(making))).state, "ready")
    })
  )

  it.effect("retries for ever with exponential backoff from 1 s to 60 s", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      const making = yield* Effect.forkScoped(ConnectionPool.make(server.bare, { minConnections: 1, retry: noJitter }))
      yield* turns()
      yield* TestClock.adjust("5 minutes")
      assert.isUndefined(making.pollUnsafe())
      const seconds = server.attempts.map((at) => at / 1000)
      assert.deepStrictEqual(seconds, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
      yield* server.comeBack
      yield* TestClock.adjust("60 seconds")
      assert.isTrue(Exit.isSuccess((yield* Fiber.await(making)) as Exit.Exit<unknown>))
    })
  )

  it.effect("goes on slowly after a permanent failure, which shows at once", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("password authentication failed", "permanent")
      const pool = yield* ConnectionPool.make(server.bare, {
        minConnections: 1,
        startup: "background",
        retry: noJitter
      })
      yield* turns()
      const { lastFailure } = yield* ConnectionPool.status(pool)
      assert.strictEqual(lastFailure?.kind, "permanent")
      assert.strictEqual(lastFailure?.message, "password authentication failed")
      yield* TestClock.adjust("3 minutes")
      assert.deepStrictEqual(server.attempts, [0, 60_000, 120_000, 180_000])
    })
  )

  it.effect("opens nothing and closes nothing when it is interrupted before the server is there", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const making = yield* Effect.forkChild(Effect.scoped(ConnectionPool.make(server.bare)))
      yield* turns()
      yield* Fiber.interrupt(making)
      assert.deepStrictEqual([server.live, server.attempts.length], [0, 2])
    })
  )

  it.effect("is ready at once when no connection is asked for", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 0 })
      assert.deepStrictEqual([(yield* ConnectionPool.status(pool)).state, server.attempts.length], ["ready", 0])
    })
  )
})

describe("startup: background", () => {
  it.effect("returns at once, and acquires wait inside their deadline", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("2 seconds")
      const pool = yield* ConnectionPool.make(server.bare, { startup: "background" })
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "starting")
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(borrower), 1)
    })
  )

  it.effect("never becomes unavailable before it has been ready", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      const pool = yield* ConnectionPool.make(server.bare, { startup: "background" })
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "starting")
      const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(borrower)
      assert.strictEqual(error._tag === "AcquireTimeout" && error.diagnosis, "cannot-connect")
      assert.include(error.message, "connection refused")
    })
  )

  it.effect("lets awaitReady wait for the first connection", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("2 seconds")
      const pool = yield* ConnectionPool.make(server.bare, { startup: "background" })
      const waiting = yield* Effect.forkChild(ConnectionPool.awaitReady(pool))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waiting)
    })
  )
})

describe("startup: failFast", () => {
  it.effect("fails with the first failure, and closes what had opened", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("no such database", "permanent")
      const error = yield* Effect.flip(Effect.scoped(ConnectionPool.make(server.bare, { startup: "failFast" })))
      assert.strictEqual(error._tag, "ConnectError")
      assert.strictEqual(error.message, "[pool fake] could not connect (permanent): no such database")
      assert.strictEqual(server.live, 0)
    })
  )

  it.effect("ends the connects of its first batch that are on their way, and makes no other", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.suspend(() =>
        server.attempts.length === 1
          ? Effect.delay(Effect.fail(new Refused({ kind: "transient", message: "refused" })), "100 millis")
          : Effect.sleep("1 second")
      )
      const making = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(ConnectionPool.make(server.bare, { startup: "failFast", minConnections: 3 })))
      )
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* Fiber.join(making))._tag, "ConnectError")
      assert.deepStrictEqual([server.attempts, server.connections.length], [[0, 0, 0], 0])
    })
  )

  it.effect("succeeds when the first connection opens", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { startup: "failFast" })
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "ready")
    })
  )
})

describe("warmup", () => {
  it.effect("opens the minimum in batches, with a delay between them", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 12, maxConnections: 20 })
      yield* turns()
      assert.strictEqual(server.attempts.length, 5)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(server.attempts.length, 10)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual([server.attempts.length, (yield* ConnectionPool.status(pool)).idle], [12, 12])
    })
  )

  it.effect("goes on when a part of a batch fails", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let attempt = 0
      server.onConnect = Effect.suspend(() =>
        ++attempt === 2 ? Effect.fail(new Refused({ kind: "transient", message: "busy" })) : Effect.void
      )
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 4, maxConnections: 4 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 4)
    })
  )
})

describe("awaitReady with a timeout", () => {
  const patient = Effect.fnUntraced(function* <A>(
    pool: ConnectionPool.ConnectionPool<A>,
    timeout: "3 seconds" | "10 seconds" = "10 seconds"
  ) {
    const waiting = yield* Effect.forkChild(Effect.flip(ConnectionPool.awaitReady(pool, { timeout })))
    yield* TestClock.adjust(timeout)
    return (yield* Fiber.join(waiting)) as PoolError.PoolNotReady
  })

  const background = { minConnections: 1, startup: "background", retry: noJitter } as const

  it.effect("succeeds as soon as the pool is ready", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("2 seconds")
      const pool = yield* ConnectionPool.make(server.bare, background)
      const waiting = yield* Effect.forkChild(ConnectionPool.awaitReady(pool, { timeout: "10 seconds" }))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(waiting)
    })
  )

  it.effect("names after that time the reasons so far, each with how often it was met, the last one last", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let attempt = 0
      server.onConnect = Effect.suspend(() =>
        Effect.fail(new Refused({ kind: "transient", message: ++attempt === 2 ? "no route" : "connection refused" }))
      )
      const pool = yield* ConnectionPool.make(server.bare, background)
      const { _tag, reasons, state, waitedMillis } = yield* patient(pool)
      assert.deepStrictEqual(
        { _tag, state, waitedMillis, reasons },
        {
          _tag: "PoolNotReady",
          state: "starting",
          waitedMillis: 10_000,
          reasons: [
            { kind: "transient", reason: "other", message: "no route", at: 1000, attempts: 1 },
            { kind: "transient", reason: "refused", message: "connection refused", at: 7000, attempts: 3 }
          ]
        }
      )
    })
  )

  it.effect("tells what is permanent from what may pass, with advice of its own", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let attempt = 0
      server.onConnect = Effect.suspend(() =>
        Effect.fail(
          ++attempt === 1
            ? new Refused({ kind: "transient", message: "connection refused" })
            : new Refused({ kind: "permanent", message: "wrong password" })
        )
      )
      const pool = yield* ConnectionPool.make(server.bare, background)
      const { message } = yield* patient(pool)
      assert.strictEqual(
        message,
        "[pool fake] starting after 10.0 s (0 of 10 in use, 0 idle, 0 connecting, 0 waiting): " +
          "1 time transient: connection refused; 1 time permanent: wrong password. " +
          "What is permanent will not pass by itself: look at the password, the database's name and the certificate. " +
          "The pool goes on trying."
      )
    })
  )

  it.effect("tells one message of two kinds apart", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let attempt = 0
      server.onConnect = Effect.suspend(() =>
        Effect.fail(new Refused({ kind: ++attempt === 1 ? "overloaded" : "transient", message: "go away" }))
      )
      const pool = yield* ConnectionPool.make(server.bare, background)
      const { reasons } = yield* patient(pool)
      assert.sameMembers(
        reasons.map(({ kind }) => kind),
        ["overloaded", "transient"]
      )
    })
  )

  it.effect("says so when no attempt has ended yet", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const pool = yield* ConnectionPool.make(server.bare, background)
      const { message, reasons } = yield* patient(pool, "3 seconds")
      assert.deepStrictEqual(reasons, [])
      assert.include(message, "no attempt to connect has ended yet")
    })
  )

  it.effect("keeps the last five reasons of an outage that has many", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let attempt = 0
      server.onConnect = Effect.suspend(() =>
        Effect.fail(new Refused({ kind: "transient", message: `reason ${++attempt}` }))
      )
      const pool = yield* ConnectionPool.make(server.bare, {
        ...background,
        retry: { ...noJitter, initial: "700 millis", max: "700 millis" }
      })
      const { reasons } = yield* patient(pool)
      assert.deepStrictEqual(
        reasons.map(({ message }) => message),
        ["reason 11", "reason 12", "reason 13", "reason 14", "reason 15"]
      )
    })
  )

  it.effect("leaves the pool to go on: it becomes ready when the server is there, and others still wait for it", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      const pool = yield* ConnectionPool.make(server.bare, background)
      const other = yield* Effect.forkChild(ConnectionPool.awaitReady(pool))
      yield* patient(pool)
      yield* server.comeBack
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(other)
      yield* ConnectionPool.awaitReady(pool, { timeout: "1 second" })
    })
  )

  it.effect("knows of no reasons from before the last time that the pool was ready", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("long ago")
      const pool = yield* ConnectionPool.make(server.bare, background)
      yield* turns()
      yield* server.comeBack
      yield* TestClock.adjust("10 seconds")
      yield* ConnectionPool.pause(pool)
      const { reasons, state } = yield* patient(pool, "3 seconds")
      assert.deepStrictEqual({ reasons, state }, { reasons: [], state: "paused" })
    })
  )

  it.effect("fails with PoolClosed when the pool closes instead", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const pool = yield* ConnectionPool.make(server.bare, background)
      const waiting = yield* Effect.forkChild(Effect.flip(ConnectionPool.awaitReady(pool, { timeout: "1 hour" })))
      yield* turns()
      yield* ConnectionPool.drain(pool)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "PoolClosed")
    })
  )
})
