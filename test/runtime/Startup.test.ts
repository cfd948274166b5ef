import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool } from "../../src/index.ts"
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
      assert.strictEqual(error._tag === "AcquireTimeout" && error.diagnosis, "cannotConnect")
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
