/** A connection that is closed under its borrower, because somebody asked for it. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type * as Postgres from "../../src/connectors/Postgres.ts"
import { eventually } from "../support/Eventually.ts"
import { backendPid, type Connection, live, makePool, observer, serverWith, sessionsOf, single } from "./Server.ts"

type Revoke = (pool: ConnectionPool.ConnectionPool<Connection>) => Effect.Effect<unknown, unknown>

const ways: Readonly<Record<string, Revoke>> = {
  recycle: (pool) => ConnectionPool.recycle(pool, { interrupt: true }),
  evict: (pool) => ConnectionPool.evict(pool, 1, { interrupt: true })
}

/** Takes the connection of somebody who runs a statement, and gives what he was told. */
const revoked = Effect.fnUntraced(function* (name: string, revoke: Revoke, sql: string, options?: Postgres.Options) {
  const outside = yield* observer
  const pool = yield* makePool(name, single, options)
  const before = yield* ConnectionPool.use(pool, backendPid)
  const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, (connection) => connection.query(sql))))
  yield* eventually(sessionsOf(outside, name), ([session]) => session?.state === "active")
  yield* revoke(pool)
  const error = yield* Effect.timeout(Fiber.join(borrower), "10 seconds")
  assert.notStrictEqual(yield* ConnectionPool.use(pool, backendPid), before)
  const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
  assert.deepStrictEqual({ acquired, inUse, released }, { acquired: 3, inUse: 0, released: 3 })
  return { error, sessions: sessionsOf(outside, name) }
})

layer(serverWith(), live)("a PostgreSQL session that is taken from its borrower", (it) => {
  for (const [way, revoke] of Object.entries(ways)) {
    it.effect(`fails what runs on it with the driver's error, and the next one gets another: ${way}`, () =>
      Effect.gen(function* () {
        const { error, sessions } = yield* revoked(way, revoke, "select pg_sleep(1)")
        assert.isTrue(isSqlError(error))
        // The server looks for its client when the statement has ended.
        yield* eventually(sessions, ({ length }) => length === 1)
      })
    )
  }

  it.effect("is ended in the middle of its statement where the server is told to look for its client", () =>
    Effect.gen(function* () {
      const startupParameters = { client_connection_check_interval: "100ms" }
      const { sessions } = yield* revoked("looking", ways["recycle"]!, "select pg_sleep(60)", { startupParameters })
      yield* eventually(sessions, ({ length }) => length === 1)
    })
  )
})
