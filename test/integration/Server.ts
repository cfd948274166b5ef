/** What every integration test needs: the file's server, a pool on it, and a look at it from outside the pool. */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import * as PostgresServer from "../support/PostgresServer.ts"

export type Connection = PgConnection.PgConnection

export class Server extends Context.Service<Server, PostgresServer.PostgresServer>()("test/Server") {}

/** For `layer`: one server for all tests of a file, and real time, since the server's is real. */
export const live = { excludeTestServices: true, timeout: "30 seconds" } as const

export const serverWith = (settings: Readonly<Record<string, string | number>> = {}) =>
  Layer.effect(Server, PostgresServer.make(settings))

/** Keeps one connection, the same for every borrower. */
export const single: Input = { minConnections: 1, maxConnections: 1 }

/** What a pool logs about its outages is no news in a test that makes them. */
const silent = Logger.layer([])

/** A pool on the file's server. Its sessions are found by `applicationName`. */
export const makePool = Effect.fnUntraced(function* (
  applicationName: string,
  config: Input = single,
  options: Postgres.Options = {}
): Effect.fn.Return<ConnectionPool.ConnectionPool<Connection>, PoolConfigError | ConnectError, Server | Scope.Scope> {
  const { url } = yield* Server
  const connector = Postgres.connector({ url, applicationName, ...options })
  return yield* Effect.provide(ConnectionPool.make(connector, config), silent)
})

/** How the first attempt to connect fails. */
export const connectFailure = (options: Postgres.Options, config: Input = {}) =>
  Effect.scoped(
    Effect.flip(ConnectionPool.make(Postgres.connector(options), { ...single, startup: "failFast", ...config }))
  ).pipe(Effect.provide(silent))

/** A connection of our own, outside every pool. */
export const observer: Effect.Effect<Connection, SqlError, Server | Scope.Scope> = Effect.flatMap(Server, ({ url }) =>
  PgConnection.make({ url: Redacted.make(url), applicationName: "observer" })
)

/** The rows of one statement. */
export const rowsOf = (connection: Connection, sql: string, params: ReadonlyArray<unknown> = []) =>
  Effect.map(connection.query(sql, params), ({ rows }) => rows)

/** The only column of the first row. */
export const valueOf = (connection: Connection, sql: string, params: ReadonlyArray<unknown> = []) =>
  Effect.map(connection.queryValues(sql, params), ([row]) => row?.[0])

/** A session as the server lists it. */
export interface SessionOnServer {
  readonly pid: number
  readonly state: string
  readonly query: string
}

/** The server's own list of a pool's sessions, the oldest first. */
export const sessionsOf = (connection: Connection, applicationName: string) =>
  Effect.map(
    rowsOf(
      connection,
      "select pid, state, query from pg_stat_activity where application_name = $1 order by backend_start",
      [applicationName]
    ),
    (rows) => rows as unknown as ReadonlyArray<SessionOnServer>
  )

export const backendPid = (connection: Connection) => valueOf(connection, "select pg_backend_pid()")

/** Statements in a row; one that fails is part of the story. */
export const runAll = (connection: Connection, statements: ReadonlyArray<string>) =>
  Effect.forEach(statements, (sql) => Effect.ignore(connection.query(sql)), { discard: true })

/** Gives the server a table `orders`, empty, and a role `reader`, and a connection to look at them from. */
export const prepareServer = Effect.gen(function* () {
  const outside = yield* observer
  yield* Effect.forEach(
    ["drop table if exists orders", "create table orders (id int)", "drop role if exists reader", "create role reader"],
    (sql) => outside.query(sql)
  )
  return outside
})
