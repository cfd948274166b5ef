/** What every test of MySQL needs: the file's server, a pool on it, and a look at it from outside the pool. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as MySql from "../../src/connectors/MySql.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import * as MariaDbServer from "../support/MariaDbServer.ts"

export type Connection = MySql.MySqlConnection

export type Pool = ConnectionPool.ConnectionPool<Connection>

export class Server extends Context.Service<Server, MariaDbServer.MariaDbServer>()("test/MariaDb") {}

/** For `layer`: one server for all tests of a file, and real time, since the server's is real. */
export const live = { excludeTestServices: true, timeout: "60 seconds" } as const

export const serverWith = (settings: Readonly<Record<string, string | number>> = {}) =>
  Layer.effect(Server, MariaDbServer.make(settings))

/** A title for tests that need the server: says why they are skipped where there is none. */
export const titled = (title: string): string =>
  MariaDbServer.unavailable === undefined ? title : `${title} (skipped: ${MariaDbServer.unavailable})`

/** Keeps one connection, the same for every borrower. */
export const single: Input = { minConnections: 1, maxConnections: 1 }

/** What a pool logs about its outages is no news in a test that makes them. */
const silent = Logger.layer([])

/** A pool on the file's server. Its sessions are found by `applicationName`. */
export const makePool = Effect.fnUntraced(function* (
  applicationName: string,
  config: Input = single,
  options: MySql.Options = {}
): Effect.fn.Return<Pool, PoolConfigError | ConnectError, Server | Scope.Scope> {
  const { url } = yield* Server
  const connector = MySql.connector({ url, applicationName, ...options })
  return yield* Effect.provide(ConnectionPool.make(connector, config), silent)
})

/** How the first attempt to connect fails. */
export const connectFailure = (options: MySql.Options, config: Input = {}) =>
  Effect.scoped(
    Effect.flip(ConnectionPool.make(MySql.connector(options), { ...single, startup: "failFast", ...config }))
  ).pipe(Effect.provide(silent))

/** A connection of our own, outside every pool. */
export const observer: Effect.Effect<Connection, SqlError, Server | Scope.Scope> = Effect.flatMap(
  Server,
  ({ url }) => MySql.connector({ url, applicationName: "observer" }).connect
)

/** The rows of one statement. */
export const rowsOf = (connection: Connection, sql: string, params: ReadonlyArray<unknown> = []) =>
  Effect.map(params.length === 0 ? connection.query(sql) : connection.execute(sql, params), ({ rows }) => rows)

/** The first column of the first row. */
export const valueOf = (connection: Connection, sql: string, params: ReadonlyArray<unknown> = []) =>
  Effect.map(rowsOf(connection, sql, params), ([row]) => row && Object.values(row)[0])

/** A session as the server lists it. */
export interface SessionOnServer {
  readonly id: number
  readonly command: string
  readonly port: number
  readonly info: string | null
}

/** The server's own list of a pool's sessions, the oldest first. Those that only come to cancel are not among them. */
export const sessionsOf = (outside: Connection, applicationName: string) =>
  Effect.map(
    rowsOf(
      outside,
      `select p.id as id, p.command as command, p.info as info, cast(substring_index(p.host, ':', -1) as int) as port
       from information_schema.processlist p join performance_schema.session_connect_attrs a on a.processlist_id = p.id
       where a.attr_name = 'program_name' and a.attr_value = ? order by p.id`,
      [applicationName]
    ),
    (rows) => rows as unknown as ReadonlyArray<SessionOnServer>
  )

export const connectionId = (connection: Connection) =>
  Effect.map(valueOf(connection, "select connection_id()"), Number)
