import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import {
  type Connection,
  live,
  makePool,
  observer,
  prepareServer,
  runAll,
  serverWith,
  sessionsOf,
  valueOf
} from "./Server.ts"

layer(serverWith(), live)("Postgres.connector: a borrower that is interrupted", (it) => {
  it.effect("neither leaks nor hands on a busy session when a use is interrupted in the middle of a query", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("interrupted")
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(60)"))
      )
      yield* eventually(sessionsOf(outside, "interrupted"), ([session]) => session?.state === "active")
      yield* Fiber.interrupt(fiber)
      const value = yield* Effect.timeout(
        ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")),
        "3 seconds"
      )
      assert.strictEqual(value, 7)
      const sessions = yield* sessionsOf(outside, "interrupted")
      assert.deepStrictEqual(
        sessions.map(({ state }) => state),
        ["idle"]
      )
      const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ acquired, inUse, released }, { acquired: 2, inUse: 0, released: 2 })
    })
  )

  it.effect("rolls back the transaction of a borrower who was interrupted in it", () =>
    Effect.gen(function* () {
      const outside = yield* prepareServer
      const pool = yield* makePool("interrupted transaction")
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) =>
          runAll(connection, ["begin", "insert into orders values (7)", "select pg_sleep(60)"])
        )
      )
      yield* eventually(
        sessionsOf(outside, "interrupted transaction"),
        ([session]) => session?.state === "active" && session.query.includes("pg_sleep")
      )
      yield* Fiber.interrupt(fiber)
      const count = yield* ConnectionPool.use(pool, (c) => valueOf(c, "select count(*)::int from orders"))
      assert.strictEqual(count, 0)
    })
  )

  it.effect("survives a hundred interrupts at any point of a use", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("swept", { minConnections: 2, maxConnections: 3 })
      const work = (connection: Connection) =>
        runAll(connection, ["begin", "set local app.tenant = 'seven'", "select pg_sleep(0.002)", "commit"])
      yield* Effect.forEach(
        Array.from({ length: 100 }, (_, n) => n),
        // From before the first statement to after the last one.
        (n) => Effect.timeoutOption(ConnectionPool.use(pool, work), n / 8),
        { concurrency: 10, discard: true }
      )
      const status = yield* eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === total)
      const { acquired, closed, created, inUse, released, total, waiting } = status
      assert.deepStrictEqual(
        { inUse, waiting, released, total },
        { inUse: 0, waiting: 0, released: acquired, total: created - closed }
      )
      const sessions = yield* eventually(sessionsOf(outside, "swept"), ({ length }) => length === total)
      for (const { state } of sessions) assert.strictEqual(state, "idle")
    })
  )
})
