/** What every test of SurrealDB needs: the file's server, a pool on it, and a look at it from outside the pool. */
import { describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as SurrealDb from "../../src/connectors/SurrealDb.ts"
import type { Input } from "../../src/PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import * as SurrealServer from "../support/SurrealServer.ts"

export type Connection = SurrealDb.Connection

export class Server extends Context.Service<Server, SurrealServer.SurrealServer>()("test/Surreal/Server") {}

/** For `layer`: one server for all tests of a file, and real time, since the server's is real. */
export const live = { excludeTestServices: true, timeout: "30 seconds" } as const

export const serverWith = (options?: SurrealServer.Options) => Layer.effect(Server, SurrealServer.make(options))

/** The tests, or one word of why there are none: it stands in the report. */
export const onServer = (name: string, tests: () => void): void => {
  if (SurrealServer.unavailable === undefined) describe(name, tests)
  else describe.skip(`${name} (not run: ${SurrealServer.unavailable})`, tests)
}

export const modes = ["socketPerConnection", "sharedSocket"] as const

export type Mode = (typeof modes)[number]

/** Keeps one connection, the same for every borrower. */
export const single: Input = { minConnections: 1, maxConnections: 1 }

/** What a pool logs about its outages is no news in a test that makes them. */
export const silent = Logger.layer([])

export const root = (password: string): SurrealDb.Credentials => ({ username: "root", password })

export const place = { namespace: "app", database: "app" } as const

/** A connector for the file's server, as its root. */
export const connectorFor = (options: Partial<SurrealDb.Options> = {}) =>
  Effect.map(Server, ({ password, url }) =>
    SurrealDb.connector({ url, ...place, authentication: root(password), ...options })
  )

/** A pool on the file's server. */
export const makePool = Effect.fnUntraced(function* (
  config: Input = single,
  options: Partial<SurrealDb.Options> = {}
): Effect.fn.Return<ConnectionPool.ConnectionPool<Connection>, PoolConfigError | ConnectError, Server | Scope.Scope> {
  const connector = yield* connectorFor(options)
  return yield* Effect.provide(ConnectionPool.make(connector, config), silent)
})

/** How the first attempt to connect fails. */
export const connectFailure = (options: SurrealDb.Options, config: Input = {}) =>
  Effect.scoped(
    Effect.flip(ConnectionPool.make(SurrealDb.connector(options), { ...single, startup: "failFast", ...config }))
  ).pipe(Effect.provide(silent))

/** The result of a single statement. */
export const valueOf = (
  connection: Pick<Connection, "query">,
  sql: string,
  bindings?: Readonly<Record<string, unknown>>
) => Effect.map(connection.query(sql, bindings), ([result]) => result)

/** By which id the server knows the session of a connection. */
export const sessionIdOf = (connection: Connection) =>
  connection.use((session) => Promise.resolve(String(session.session)))

/** Statements run by the server's owner; the result of the last one. */
export const asOwner = (sql: string) =>
  Effect.flatMap(Server, (server) => Effect.map(server.sql(sql), (results) => results.at(-1)))

export const counts = Effect.flatMap(Server, (server) => server.counts)
