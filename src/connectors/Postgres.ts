/**
 * PostgreSQL connections for a pool, over the native `PgConnection` of `@effect/sql-pg` (an optional peer dependency).
 *
 * @since 0.1.0
 */
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hasProperty, isString } from "effect/Predicate"
import type { Reactivity } from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as Net from "node:net"
import type { ConnectionOptions } from "node:tls"
import type { ConnectionPool } from "../ConnectionPool.ts"
import * as Connector from "../Connector.ts"
import type * as DatabaseConnection from "../DatabaseConnection.ts"
import type { Input, PoolConfig } from "../PoolConfig.ts"
import type { ConfigProblem, ConnectError, FailureKind, PoolConfigError } from "../PoolError.ts"
import { behindProxy, type PgBouncerOptions, throughProxy } from "./PgBouncer.ts"
import { CancelRequests } from "./PostgresCancel.ts"
import { Goodbye } from "./PostgresGoodbye.ts"
import { configOptions } from "./ServerConfig.ts"
import * as Session from "./PostgresSession.ts"
import * as SqlClients from "./PostgresSqlClient.ts"
import type { Dialect } from "./Sql.ts"

/**
 * Where the server is, who we are there, and what happens between two borrowers. Fields win over what the URL says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the pool. Default: `host:port/database`. */
  readonly name?: string | undefined
  /** `postgres://user:password@host:port/database?sslmode=require`. */
  readonly url?: string | Redacted.Redacted | undefined
  /** A host name, an address, or the directory of a Unix socket. Default: `localhost`. */
  readonly host?: string | undefined
  /** Default: 5432. */
  readonly port?: number | undefined
  /** Default: what the URL says, else the server's choice: the database that is named after the user. */
  readonly database?: string | undefined
  /** Default: what the URL says, else whoever runs the process (`USER`, or `USERNAME`). */
  readonly username?: string | undefined
  /** An effect is run for each connection, for passwords that expire. */
  readonly password?: string | Redacted.Redacted | Effect.Effect<Redacted.Redacted> | undefined
  /**
   * `true` for TLS with the system's certificates, or the options of Node's `tls.connect`. Default: what the URL says,
   * else none.
   */
  readonly ssl?: boolean | ConnectionOptions | undefined
  /** How the server's `pg_stat_activity` names the connection. Default: `effect-pool`. */
  readonly applicationName?: string | undefined
  /** TCP keep-alive, after this long without traffic. Default: 30 seconds. */
  readonly keepAlive?: Duration.Input | undefined
  /**
   * When a returned connection is made as new, at the cost of two round trips that no borrower waits for.
   *
   * - `"whenDirty"` (default): after a lease that has left a transaction open, or ran anything but plain `select`, `insert`,
   *   `update`, `delete`, `merge`, `values`, `table`, `with` or `show` and the statements that begin and end a transaction,
   *   or one of these with an advisory lock, `set_config` or a temporary table in it. State that is set inside a function
   *   of yours is not seen: use `"always"`.
   * - `"always"`, `"never"`: as they say.
   */
  readonly reset?: "whenDirty" | "always" | "never" | undefined
  /** Settings sent with every connection, such as `{ statement_timeout: "30s" }`. A reset returns to them. */
  readonly startupParameters?: Readonly<Record<string, string>> | undefined
  /** Further options of `PgConnection.make`, such as `types`, `prepare` or `multiplex`. */
  readonly driver?: Pick<
    PgConnection.Config,
    "types" | "multiplex" | "prepare" | "preparedStatementCacheSize" | "maxMessageSize" | "startupOptions"
  >
}

/**
 * A connector for PostgreSQL.
 *
 * - A connection that dies while it is idle is noticed at once, without a query.
 * - A wrong password, an unknown database or a bad certificate is a permanent failure; `too many clients` and `starting
 *   up` are overload; everything else is transient.
 * - A wrong option is reported by the pool, as a `PoolConfigError` together with the pool's own.
 *
 * **Example** (A pool on a local server)
 *
 * ```ts
 * import type { PgConnection } from "@effect/sql-pg/PgConnection"
 * import { Effect } from "effect"
 * import { PoolConfig, PoolLayer } from "effect-pool"
 * import * as Postgres from "effect-pool/Postgres"
 *
 * class Db extends PoolLayer.Service<Db, PgConnection>()("app/Db") {}
 *
 * const DbLive = Db.layer(Postgres.connector({ url: "postgres://app@localhost/app" }), PoolConfig.development)
 *
 * const program = Db.use((connection) => connection.query("select 1 as one")).pipe(
 *   Effect.map(({ rows }) => rows),
 *   Effect.provide(DbLive)
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = (options: Options = {}): Connector.Connector<PgConnection.PgConnection, SqlError> => {
  const target = targetOf(options)
  const { reset: resetMode = "whenDirty" } = options
  return Connector.make({
    name: options.name ?? `${target.host}:${target.port}/${target.database ?? ""}`,
    connect: connect(options, target),
    check: Session.check,
    reset: resetMode === "never" ? Session.settle : Session.reset,
    inspect: (connection) => {
      const session = Session.sessionOf(connection)
      const { cancels, socket } = session
      // The driver has given up on it; the event that says so comes in a later turn.
      if (socket.destroyed) return "broken"
      if (cancels.mayArrive || resetMode === "always") return "dirty"
      return resetMode === "never" || Session.isAsNew(session) ? "clean" : "dirty"
    },
    closed: Session.closed,
    classify,
    fatal: isFatal,
    problems: target.problems
  })
}

/**
 * A connector for PostgreSQL behind PgBouncer in transaction mode.
 *
 * - A statement that would set state of its session fails with `SessionStateRefused` as its cause, and is not sent.
 * - Statements have no names, unless the proxy keeps track of them (`preparedStatements`).
 * - Between two borrowers an open transaction is ended, and nothing else is sent.
 * - The proxy's own errors are the cause of a `SqlError`, as `PgBouncerError`.
 *
 * **Example** (A pool before a proxy)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import * as Postgres from "effect-pool/Postgres"
 *
 * const program = Effect.gen(function* () {
 *   const connector = Postgres.pgBouncer({ url: "postgres://app@localhost/app" })
 *   const pool = yield* ConnectionPool.make(connector, Postgres.pgBouncerPool({ poolSize: 20 }))
 *   const error = yield* Effect.flip(ConnectionPool.use(pool, (db) => db.query("set work_mem = '1GB'")))
 *   return Postgres.sessionStateRefusedIn(error)?.state // => "setting"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pgBouncer = (options: PgBouncerOptions = {}): Connector.Connector<PgConnection.PgConnection, SqlError> =>
  behindProxy(connector(throughProxy(options)), options)

/**
 * How PostgreSQL runs and cancels a query, for `DatabaseConnection.connector`: the driver cancels it on the server when it is
 * interrupted.
 *
 * **Example** (Queries that are counted, and cancelled after five seconds)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, DatabaseConnection } from "effect-pool"
 * import * as Postgres from "effect-pool/Postgres"
 *
 * const connector = DatabaseConnection.connector(
 *   Postgres.connector({ url: "postgres://app@localhost/app" }),
 *   Postgres.queries
 * )
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
export const queries: DatabaseConnection.Options<PgConnection.PgConnection, PgConnection.Result, SqlError> = {
  query: (connection, sql, params) => connection.query(sql, params),
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
 * import * as Postgres from "effect-pool/Postgres"
 *
 * const env = { DB_HOST: "db.internal", DB_DATABASE: "app", DB_USERNAME: "app", DB_PASSWORD: "..." }
 *
 * const program = Effect.gen(function* () {
 *   const connector = yield* Postgres.config("DB")
 *   return connector.name // => "db.internal:5432/app"
 * }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const config = (prefix: string): Config.Config<Connector.Connector<PgConnection.PgConnection, SqlError>> =>
  Config.map(configOptions(prefix), connector)

/**
 * How a client writes and reads: the options of {@link sqlClient} and its layers.
 *
 * @category models
 * @since 0.1.0
 */
export type SqlClientOptions = SqlClients.SqlClientOptions

/**
 * PostgreSQL for `Sql.layer` and `Sql.make`.
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialect: Dialect<PgConnection.PgConnection> = SqlClients.dialect

/**
 * The `PgClient` of `@effect/sql-pg`, which is a `SqlClient`, over a pool of connections that {@link connector} opens. It lives as
 * long as the surrounding scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sqlClient: (
  pool: ConnectionPool<PgConnection.PgConnection>,
  options?: SqlClientOptions
) => Effect.Effect<PgClient, never, Reactivity | Scope.Scope> = SqlClients.makeSqlClient

/**
 * Provides `SqlClient` and `PgClient` over a pool that is a service already. With `concurrency` above 1 its connector needs
 * `driver: { multiplex: true }`.
 *
 * **Example** (One pool for statements in SQL and for the driver's own connections)
 *
 * ```ts
 * import type { PgConnection } from "@effect/sql-pg/PgConnection"
 * import { Effect, Layer } from "effect"
 * import { PoolLayer } from "effect-pool"
 * import * as Postgres from "effect-pool/Postgres"
 * import { SqlClient } from "effect/sql"
 *
 * class Db extends PoolLayer.Service<Db, PgConnection>()("app/Db") {}
 *
 * const DbLive = Db.layer(Postgres.connector({ url: "postgres://app@localhost/app" }))
 *
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   const rows = yield* sql`select 1 as one`
 *   const { released } = yield* Db.status
 *   return [rows, released] // => [[{ one: 1 }], 1]
 * }).pipe(Effect.provide(Postgres.layerSqlClientFrom(Db).pipe(Layer.provideMerge(DbLive))))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClientFrom: <Self>(
  pool: Context.Key<Self, ConnectionPool<PgConnection.PgConnection>>,
  options?: SqlClientOptions
) => Layer.Layer<PgClient | SqlClient, never, Self> = SqlClients.layerSqlClientFrom

/**
 * Provides `SqlClient` and `PgClient` over a pool of their own: what a program written for `@effect/sql-pg` is given instead of
 * `PgClient.layer`.
 *
 * `maxUses` is `Infinity` here unless you set it: every statement is a use of a connection.
 *
 * Fails with `PoolConfigError`, which names every wrong option, and in the startup mode `"failFast"` with `ConnectError`.
 *
 * With `concurrency` above 1, statements of several fibers share connections and are pipelined; each connection then has the server
 * end what takes longer than `queryTimeout`, by `statement_timeout`.
 *
 * **Example** (A transaction)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Postgres from "effect-pool/Postgres"
 * import { SqlClient } from "effect/sql"
 *
 * const SqlLive = Postgres.layerSqlClient({ url: "postgres://app@localhost/app" }, { maxConnections: 20 })
 *
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql.withTransaction(sql`select id, customer from orders where id = ${7}`)
 * }).pipe(Effect.provide(SqlLive)) // => [{ id: 7, customer: "Ada" }]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClient: (
  options?: Options & SqlClientOptions,
  config?: Input | PoolConfig
) => Layer.Layer<PgClient | SqlClient, PoolConfigError | ConnectError> = SqlClients.layerSqlClient

/**
 * Like {@link layerSqlClient}, with everything read from `Config`: what {@link config} reads, and what `PoolConfig.config` does.
 *
 * Fails with one `ConfigError` that names every variable that is wrong, and like {@link layerSqlClient} with
 * `PoolConfigError` and `ConnectError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClientConfig: (
  prefix: string,
  options?: SqlClientOptions
) => Layer.Layer<PgClient | SqlClient, Config.ConfigError | PoolConfigError | ConnectError> =
  SqlClients.layerSqlClientConfig

/**
 * Reads a connector that goes through PgBouncer from the same variables as {@link config}. What the proxy can do is for the
 * program to say.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pgBouncerConfig = (
  prefix: string,
  proxy: Pick<PgBouncerOptions, "preparedStatements" | "trackedParameters" | "cancel" | "startupParameters"> = {}
): Config.Config<Connector.Connector<PgConnection.PgConnection, SqlError>> =>
  Config.map(configOptions(prefix), (read) => pgBouncer({ ...read, ...proxy }))

interface Target {
  readonly host: string
  readonly port: number
  readonly database: string | undefined
  /** The URL or the startup parameters say what the connection is called. */
  readonly isNamed: boolean
  readonly problems: ReadonlyArray<ConfigProblem>
}

const reveal = (secret: string | Redacted.Redacted): string => (isString(secret) ? secret : Redacted.value(secret))

const expectedUrl = `a URL like "postgres://user@host:5432/database"`

/** libpq's modes. The driver knows these too, and would refuse another one at every single attempt to connect. */
const sslModes: ReadonlyArray<string> = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

const decodes = (part: string): boolean => Result.isSuccess(Result.try(() => decodeURIComponent(part)))

/** A malformed URL cannot be masked, since nobody knows where in it the password stands: none of it is shown. */
const malformedUrl: ConfigProblem = { field: "url", value: "a malformed URL (not shown)", expected: expectedUrl }

/** The URL, if the driver will understand it. */
const readUrl = (text: string): { readonly url: URL | undefined; readonly problems: ReadonlyArray<ConfigProblem> } => {
  if (!URL.canParse(text)) return { url: undefined, problems: [malformedUrl] }
  const url = new URL(text)
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    return { url: undefined, problems: [{ field: "url", value: `"${url.protocol}//..."`, expected: expectedUrl }] }
  }
  if (![url.hostname, url.username, url.password, url.pathname].every(decodes)) {
    return { url: undefined, problems: [malformedUrl] }
  }
  const problems: Array<ConfigProblem> = []
  const sslMode = url.searchParams.get("sslmode")
  if (sslMode !== null && !sslModes.includes(sslMode)) {
    problems.push({ field: "url", value: `sslmode=${sslMode}`, expected: `sslmode to be ${sslModes.join(", ")}` })
  }
  const timeout = url.searchParams.get("connect_timeout")
  if (timeout !== null && !/^\d+$/.test(timeout)) {
    problems.push({ field: "url", value: `connect_timeout=${timeout}`, expected: "connect_timeout in whole seconds" })
  }
  return { url, problems }
}

/** Settings that the driver sends by itself, from fields of their own. */
const reservedParameters = new Set(["user", "database", "replication", "options"])

const optionProblems = ({ keepAlive, startupParameters = {} }: Options, port: number): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) {
    problems.push({ field: "port", value: String(port), expected: "a port from 1 to 65535" })
  }
  if (keepAlive !== undefined && Option.isNone(Duration.fromInput(keepAlive))) {
    problems.push({ field: "keepAlive", value: JSON.stringify(keepAlive), expected: "a duration" })
  }
  for (const name of Object.keys(startupParameters)) {
    if (!reservedParameters.has(name.toLowerCase())) continue
    problems.push({ field: `startupParameters.${name}`, value: "a reserved name", expected: "a setting of the server" })
  }
  return problems
}

/** Whoever has named nobody is, to the driver, who the process belongs to; in a container that is often nobody either. */
const nobody: ConfigProblem = { field: "username", value: "nothing", expected: "a user, here or in the url" }

const targetOf = (options: Options): Target => {
  const { problems, url } = options.url === undefined ? { url: undefined, problems: [] } : readUrl(reveal(options.url))
  const inUrl = (parameter: string, part: string | undefined): string | undefined =>
    url?.searchParams.get(parameter) ?? (part === undefined || part === "" ? undefined : decodeURIComponent(part))
  const host = options.host ?? inUrl("host", url?.hostname) ?? "localhost"
  const port = options.port ?? Number(inUrl("port", url?.port) ?? 5432)
  const username = options.username ?? inUrl("user", url?.username) ?? process.env["USER"] ?? process.env["USERNAME"]
  const isNobody = username === undefined && problems.length === 0
  return {
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port,
    database: options.database ?? inUrl("dbname", url?.pathname.slice(1)),
    // The driver reads the name from there by itself, unless it is given another one.
    isNamed:
      url?.searchParams.has("application_name") === true ||
      options.startupParameters?.["application_name"] !== undefined,
    problems: [...problems, ...optionProblems(options, port), ...(isNobody ? [nobody] : [])]
  }
}

/** Opens the socket ourselves, so that we see it die while the driver is not looking. */
const openSocket = (target: Target, keepAlive: Duration.Duration): Net.Socket => {
  const { host, port } = target
  if (host.startsWith("/")) return Net.connect({ path: `${host}/.s.PGSQL.${port}` })
  // A statement is one small write and a wait for its answer: Nagle's algorithm would only hold it back.
  return Net.connect({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: Duration.toMillis(keepAlive)
  })
}

const connect = (options: Options, target: Target): Effect.Effect<PgConnection.PgConnection, SqlError, Scope.Scope> =>
  Effect.suspend(() => {
    const {
      applicationName = target.isNamed ? undefined : "effect-pool",
      database,
      password,
      ssl,
      startupParameters,
      url,
      username
    } = options
    const keepAlive = Duration.fromInputUnsafe(options.keepAlive ?? "30 seconds")
    const cancels = new CancelRequests()
    let socket: Net.Socket | undefined = undefined
    const driverConfig: PgConnection.Config = {
      ...options.driver,
      host: target.host,
      port: target.port,
      url: isString(url) ? Redacted.make(url) : url,
      database,
      username,
      password: isString(password) ? Redacted.make(password) : password,
      ssl,
      applicationName,
      startupParameters,
      // The pool's `connectTimeout` is the only one: two of them would leave users guessing which one spoke.
      connectTimeout: Duration.infinity,
      // Asked once to connect, and then once for each request to cancel a statement.
      stream: () =>
        socket === undefined ? (socket = openSocket(target, keepAlive)) : cancels.carry(openSocket(target, keepAlive))
    }
    // Registered first, so that it runs after the driver has said goodbye; the other one runs before.
    const goodbye = new Goodbye()
    const endGoodbye = Effect.addFinalizer(() => (socket ? goodbye.end(socket) : Effect.void))
    const beginGoodbye = (base: PgConnection.PgConnection) =>
      Effect.addFinalizer(() => (cancels.areProxied ? Effect.void : goodbye.begin(base, socket!)))
    const make = Effect.map(Effect.tap(PgConnection.make(driverConfig), beginGoodbye), (base) =>
      Session.watched({ base, socket: socket!, cancels, isDirty: false, begun: 0, settled: 0, ended: 0, pins: 0 })
    )
    return Effect.andThen(endGoodbye, make)
  })

/** The codes along the causes of an error: SQLSTATEs of the server, error codes of Node. */
const codesOf = (error: unknown): ReadonlyArray<string> => {
  const codes: Array<string> = []
  for (let current: unknown = error, depth = 0; current !== undefined && depth < 6; depth++) {
    if (hasProperty(current, "code") && isString(current.code)) codes.push(current.code)
    current = hasProperty(current, "reason")
      ? current.reason
      : hasProperty(current, "cause")
        ? current.cause
        : undefined
  }
  return codes
}

/**
 * `invalid_authorization_specification`, `invalid_password`, `invalid_catalog_name`, `insufficient_privilege`, and
 * `undefined_object` and `invalid_parameter_value` for a startup parameter the server does not take.
 */
const permanentStates = new Set(["28000", "28P01", "3D000", "42501", "42704", "22023"])
/** `too_many_connections`, `cannot_connect_now`. */
const overloadedStates = new Set(["53300", "57P03"])
/** `admin_shutdown`, `crash_shutdown`, `database_dropped`: the server ends the session with these. */
const endOfSessionStates = new Set(["57P01", "57P02", "57P04"])

/** Certificates that will not become right by trying again (Node's `tls` and OpenSSL's verification codes). */
const isTlsCode = (code: string): boolean =>
  /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/.test(code)

const classify = (error: SqlError): FailureKind => {
  const codes = codesOf(error)
  if (codes.some((code) => overloadedStates.has(code))) return "overloaded"
  const isRefused = error.reason._tag === "AuthenticationError" || error.message.includes("Server refused TLS")
  return isRefused || codes.some((code) => permanentStates.has(code) || isTlsCode(code)) ? "permanent" : "transient"
}

const isFatal = (error: unknown): boolean =>
  isSqlError(error) &&
  (error.reason._tag === "ConnectionError" || codesOf(error).some((code) => endOfSessionStates.has(code)))

export { pgBouncerPool, type PgBouncerOptions, type PgBouncerSettings } from "./PgBouncer.ts"
export {
  PgBouncerError,
  PgBouncerFailure,
  pgBouncerErrorIn,
  SessionStateRefused,
  sessionStateRefusedIn
} from "./PgBouncerError.ts"
