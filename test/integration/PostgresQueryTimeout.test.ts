import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Logger } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import * as DatabaseConnection from "../../src/DatabaseConnection.ts"
import { eventually } from "../support/Eventually.ts"
import { live, observer, Server, serverWith, sessionsOf, single } from "./Server.ts"

const makePool = Effect.fnUntraced(function* (applicationName: string, queryTimeout: string) {
  const { url } = yield* Server
  const connector = DatabaseConnection.connector(Postgres.connector({ url, applicationName }), Postgres.queries)
  return yield* ConnectionPool.make(connector, { ...single, queryTimeout: queryTimeout as "1 second" }).pipe(
    Effect.provide(Logger.layer([]))
  )
})

const statisticsOf = <A>(pool: ConnectionPool.ConnectionPool<A>) =>
  Effect.map(ConnectionPool.connections(pool), ([connection]) => connection?.statistics)

layer(serverWith(), live)("Postgres.queries: a query that passes its timeout", (it) => {
  it.effect("is cancelled on the server", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("cancelled", "200 millis")
      const error = yield* Effect.flip(ConnectionPool.use(pool, ({ query }) => query("select pg_sleep(60)")))
      assert.strictEqual(error._tag === "QueryTimeout" && error.outcome, "cancelled")
      const sessions = yield* sessionsOf(outside, "cancelled")
      assert.deepStrictEqual(
        sessions.map(({ state }) => state),
        ["idle"]
      )
    })
  )

  it.effect("leaves its session to its borrower and to the next one", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("kept", "200 millis")
      const [first, rows] = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* Effect.ignore(connection.query("select pg_sleep(60)"))
          const { rows } = yield* connection.query("select $1::int as seven", [7])
          return [connection.raw.processId, rows] as const
        })
      )
      const second = yield* ConnectionPool.use(pool, (connection) => Effect.succeed(connection.raw.processId))
      assert.deepStrictEqual([rows, second], [[{ seven: 7 }], first])
    })
  )

  it.effect("is counted", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("counted", "200 millis")
      yield* Effect.ignore(ConnectionPool.use(pool, ({ query }) => query("select pg_sleep(60)")))
      yield* ConnectionPool.use(pool, ({ query }) => query("select 1"))
      const { errorCount, queryCount, totalQueryTime } = (yield* statisticsOf(pool))!
      assert.deepStrictEqual([queryCount, errorCount], [2, 1])
      assert.isAtLeast(totalQueryTime!, 195)
    })
  )

  it.effect("is cancelled on the server when its borrower is interrupted instead", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("interrupted", "30 seconds")
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, ({ query }) => query("select pg_sleep(60)")))
      yield* eventually(sessionsOf(outside, "interrupted"), ([session]) => session?.state === "active")
      yield* Fiber.interrupt(fiber)
      yield* eventually(sessionsOf(outside, "interrupted"), (sessions) =>
        sessions.every(({ state }) => state === "idle")
      )
    })
  )

  it.effect("rolls back what was begun before it", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("rolled back", "200 millis")
      yield* Effect.ignore(
        ConnectionPool.use(pool, ({ query }) =>
          Effect.forEach(["begin", "select pg_current_xact_id()", "select pg_sleep(60)"], (sql) => query(sql))
        )
      )
      const { rows } = yield* ConnectionPool.use(pool, ({ query }) =>
        query("select pg_current_xact_id_if_assigned() is null as fresh")
      )
      assert.deepStrictEqual(rows, [{ fresh: true }])
    })
  )
})
