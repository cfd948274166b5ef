/**
 * MySQL and MariaDB connections for a pool, over the driver `mysql2` (an optional peer dependency): one of its connections at a
 * time, never its pool.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { ConnectionPool } from "../ConnectionPool.ts"
import * as Connector from "../Connector.ts"
import type * as DatabaseConnection from "../DatabaseConnection.ts"
import * as PoolConfig from "../PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../PoolError.ts"
import * as PoolLayer from "../PoolLayer.ts"
import { identify, makeSharedLine, type SharedLine } from "./MySqlCancel.ts"
import { type DialectOptions, makeCompiler, makeDialect } from "./MySqlDialect.ts"
import * as Driver from "./MySqlDriver.ts"
import { classify, isFatal } from "./MySqlError.ts"
import * as Connection from "./MySqlConnection.ts"
import { leave } from "./MySqlRun.ts"
import * as Session from "./MySqlSession.ts"
import { type Options, type Target, targetOf, type Tls } from "./MySqlTarget.ts"
import * as Upkeep from "./MySqlUpkeep.ts"
import { configOptions } from "./ServerConfig.ts"
import * as Sql from "./Sql.ts"

export type { DialectOptions, Options, Tls }
/**
 * A connection to MySQL or MariaDB, as borrowers hold it. Its statements run one after the other.
 *
 * @category models
 * @since 0.1.0
 */
export type MySqlConnection = Connection.MySqlConnection
/**
 * What a statement gave.
 *
 * @category models
 * @since 0.1.0
 */
export type Result = Connection.Result
export { makeCompiler, makeDialect }

/**
 * A connector for MySQL and MariaDB.
 *
 * - A connection that dies while it is idle is noticed at once, without a query.
 * - A wrong password, an unknown database, a host that may not come or a bad certificate is a permanent failure; `too many
 *   connections` is overload; everything else is transient.
 * - A wrong option is reported by the pool, as a `PoolConfigError` together with the pool's own.
 *
 * **Example** (A pool on a local server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig, PoolLayer } from "effect-pool"
 * import * as MySql from "effect-pool/MySql"
 *
 * class Db extends PoolLayer.Service<Db, MySql.MySqlConnection>()("app/Db") {}
 *
 * const DbLive = Db.layer(MySql.connector({ url: "mysql://app@localhost/app" }), PoolConfig.development)
 *
 * const program = Db.use((connection) => connection.execute("select ? as one", [1])).pipe(
 *   Effect.map(({ rows }) => rows), // => [{ one: 1 }]
 *   Effect.provide(DbLive)
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = (options: Options = {}): Connector.Connector<MySqlConnection, SqlError> => {
  const target = targetOf(options)
  const { reset: resetMode = "whenDirty" } = options
  const place = target.socketPath ?? `${target.host}:${target.port}`
  return Connector.make({
    name: options.name ?? `${place}/${target.database ?? ""}`,
    connect: connect(target),
    check: (connection) => Upkeep.check(Connection.sessionOf(connection)),
    reset: resetMode === "never" ? undefined : (connection) => Upkeep.reset(Connection.sessionOf(connection)),
    inspect: (connection) => {
      const session = Connection.sessionOf(connection)
      // The event that says so comes in a later turn.
      if (session.line.socket.destroyed) return "broken"
      // Somebody still uses what was returned: a reset waits for the end of that.
      if (Session.isBusy(session)) return resetMode === "never" ? "broken" : "dirty"
      if (resetMode === "never") return "clean"
      return resetMode === "always" || !Session.isAsNew(session) ? "dirty" : "clean"
    },
    closed: (connection) => Upkeep.closed(Connection.sessionOf(connection)),
    classify,
    fatal: isFatal,
    problems: target.problems
  })
}

const connect = (target: Target): Effect.Effect<MySqlConnection, SqlError, Scope.Scope> => {
  let shared: SharedLine | undefined = undefined
  return Effect.gen(function* () {
    const ofAll = (shared ??= yield* makeSharedLine(target))
    const line = yield* Driver.open(target)
    const connection = Connection.make({ line, target, identity: yield* identify(line) })
    const session = Connection.sessionOf(connection)
    yield* Effect.addFinalizer(() => leave(session, ofAll))
    yield* Upkeep.settle(session)
    return connection
  })
}

/**
 * How MySQL runs and cancels a query, for `DatabaseConnection.connector`. A query with parameters is prepared. One that is
 * interrupted is cancelled on the server.
 *
 * **Example** (Queries that are counted, and cancelled after five seconds)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, DatabaseConnection } from "effect-pool"
 * import * as MySql from "effect-pool/MySql"
 *
 * const connector = DatabaseConnection.connector(MySql.connector({ url: "mysql://app@localhost/app" }), MySql.queries)
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(connector, { queryTimeout: "5 seconds" })
 *   const { rows } = yield* ConnectionPool.use(pool, (connection) => connection.query("select 1 as one"))
 *   return rows // => [{ one: 1 }]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const queries: DatabaseConnection.Options<MySqlConnection, Result, SqlError> = {
  query: (connection, sql, params = []) =>
    params.length === 0 ? connection.query(sql) : connection.execute(sql, params),
  cancel: "interrupt"
}

/**
 * Reads a connector from `Config`: with the prefix `DB`, from `DB_URL` or `DB_HOST`, `DB_PORT`, `DB_DATABASE`,
 * `DB_USERNAME`, `DB_PASSWORD`, and `DB_SSL`, `DB_APPLICATION_NAME`. Password and URL stay redacted.
 *
 * **Example** (From variables)
 *
 * ```ts
 * import { ConfigProvider, Effect } from "effect"
 * import * as MySql from "effect-pool/MySql"
 *
 * const env = { DB_HOST: "db.internal", DB_DATABASE: "app", DB_USERNAME: "app", DB_PASSWORD: "..." }
 *
 * const program = Effect.gen(function* () {
 *   const connector = yield* MySql.config("DB")
 *   return connector.name // => "db.internal:3306/app"
 * }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const config = (prefix: string): Config.Config<Connector.Connector<MySqlConnection, SqlError>> =>
  Config.map(configOptions(prefix), connector)

/**
 * How `Sql.layer` and `Sql.make` run statements on MySQL and MariaDB, with names as they are.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dialect: Sql.Dialect<MySqlConnection> = makeDialect()

/**
 * Effect's `SqlClient` over a pool of MySQL connections that is in the context. A statement that passes the pool's
 * `queryTimeout` (30 seconds) is cancelled on the server, and fails with a `StatementTimeoutError`; a stream may take longer.
 *
 * **Example** (Statements and a transaction over one's own pool)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import * as SqlClient from "effect/sql/SqlClient"
 * import { PoolConfig, PoolLayer } from "effect-pool"
 * import * as MySql from "effect-pool/MySql"
 *
 * class Db extends PoolLayer.Service<Db, MySql.MySqlConnection>()("app/Db") {}
 *
 * const SqlLive = MySql.layerSqlClientFrom(Db).pipe(
 *   Layer.provide(Db.layer(MySql.connector({ url: "mysql://app@localhost/app" }), PoolConfig.development))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql.withTransaction(sql`select ${"Ada"} as customer`) // => [{ customer: "Ada" }]
 * }).pipe(Effect.provide(SqlLive))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClientFrom = <Self>(
  pool: Context.Key<Self, ConnectionPool<MySqlConnection>>,
  options?: DialectOptions
): Layer.Layer<SqlClient.SqlClient, never, Self> => Sql.layer(pool, makeDialect(options))

/** The pool of a client that has one for itself. */
class SqlPool extends PoolLayer.Service<SqlPool, MySqlConnection>()("effect-pool/MySql/SqlPool") {}

/**
 * Effect's `SqlClient` over a pool of its own. `maxUses` is `Infinity` here unless you set it: every statement is a use of a connection.
 *
 * Fails with `PoolConfigError`, which names every wrong option, and in the startup mode `"failFast"` with `ConnectError`.
 *
 * **Example** (Statements over a pool of twenty)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as SqlClient from "effect/sql/SqlClient"
 * import * as MySql from "effect-pool/MySql"
 *
 * const SqlLive = MySql.layerSqlClient({ url: "mysql://app@localhost/app" }, { maxConnections: 20 })
 *
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`select customer from orders where id = ${7}` // => [{ customer: "Ada" }]
 * }).pipe(Effect.provide(SqlLive))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClient = (
  options: Options & DialectOptions = {},
  config: PoolConfig.Input | PoolConfig.PoolConfig = {}
): Layer.Layer<SqlClient.SqlClient, PoolConfigError | ConnectError> => {
  const settings = config instanceof PoolConfig.PoolConfig ? config : { maxUses: Infinity, ...config }
  return Layer.provide(layerSqlClientFrom(SqlPool, options), SqlPool.layer(connector(options), settings))
}
