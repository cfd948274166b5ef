/** Effect's `SqlClient`, and the `PgClient` of `@effect/sql-pg`, over a pool of PostgreSQL connections. */
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hasProperty, isString } from "effect/Predicate"
import type * as Queue from "effect/Queue"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import * as ConnectionPool from "../ConnectionPool.ts"
import * as PoolConfig from "../PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../PoolError.ts"
import * as PoolLayer from "../PoolLayer.ts"
import { connector, type Options as ConnectorOptions } from "./Postgres.ts"
import { configOptions } from "./ServerConfig.ts"
import * as Session from "./PostgresSession.ts"
import * as Sql from "./Sql.ts"

/** How a client writes and reads. */
export interface SqlClientOptions {
  /** From a column's name to a field's, such as `String.snakeToCamel`. Default: as they are. */
  readonly transformResultNames?: ((name: string) => string) | undefined
  /** From a field's name to a column's, such as `String.camelToSnake`. Default: as they are. */
  readonly transformQueryNames?: ((name: string) => string) | undefined
  /** Whether both are applied inside of JSON values too. Default: they are. */
  readonly transformJson?: boolean | undefined
  /** Attributes of every span of a statement. */
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
}

type Pool = ConnectionPool.ConnectionPool<PgConnection.PgConnection>
type TransformRows = Parameters<SqlConnection.Connection["execute"]>[2]

/** `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`: the session is at its end, and another try gets another one. */
const sessionEnds = new Set(["57P01", "57P02", "57P03"])

const stateOf = ({ reason: { cause } }: SqlError): unknown => (hasProperty(cause, "code") ? cause.code : undefined)

/** The driver does not know a session's end from any other error, if it was the server that ended it. */
const endOfSession = (error: SqlError): SqlError => {
  const { cause, message } = error.reason
  return sessionEnds.has(String(stateOf(error)))
    ? new SqlError({ reason: new ConnectionError({ cause, message, operation: "execute" }) })
    : error
}

/** The driver's connection as Effect's. */
class Statements implements SqlConnection.Connection {
  private readonly connection: PgConnection.PgConnection

  constructor(connection: PgConnection.PgConnection) {
    this.connection = connection
  }

  private rows(sql: string, params: ReadonlyArray<unknown>, transform: TransformRows, isPrepared: boolean) {
    return Effect.map(this.raw(sql, params, isPrepared), ({ rows }) =>
      transform === undefined ? rows : transform(rows)
    )
  }

  private raw(sql: string, params: ReadonlyArray<unknown>, isPrepared: boolean) {
    return Effect.mapError(this.connection.query(sql, params, isPrepared), endOfSession)
  }

  private arrays(sql: string, params: ReadonlyArray<unknown>, isPrepared: boolean) {
    return Effect.mapError(this.connection.queryValues(sql, params, isPrepared), endOfSession)
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transform: TransformRows) {
    return this.rows(sql, params, transform, true)
  }
  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transform: TransformRows) {
    return this.rows(sql, params, transform, false)
  }
  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.raw(sql, params, true)
  }
  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return this.arrays(sql, params, true)
  }
  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>) {
    return this.arrays(sql, params, false)
  }
  executeStream(sql: string, params: ReadonlyArray<unknown>, transform: TransformRows) {
    const rows = Stream.mapError(this.connection.stream(sql, params), endOfSession)
    if (transform === undefined) return rows
    return Stream.mapArray(rows, (chunk) => transform(chunk) as typeof chunk)
  }
}

/** The server answers `ROLLBACK` to the commit of a transaction in which a statement has failed. */
const commit = (connection: SqlConnection.Connection): Effect.Effect<void, SqlError> =>
  Effect.flatMap(connection.executeRaw("COMMIT", []), (result) => {
    if (!hasProperty(result, "command") || result.command !== "ROLLBACK") return Effect.void
    const message = "a statement of the transaction had failed: COMMIT has rolled it back"
    return Effect.fail(
      new SqlError({ reason: new UnknownError({ cause: new Error(message), message, operation: "commit" }) })
    )
  })

export const dialectWith = (options: SqlClientOptions & ConnectorOptions): Sql.Dialect<PgConnection.PgConnection> => {
  const { spanAttributes = {}, transformJson, transformQueryNames, transformResultNames } = options
  return {
    // Programs that ask for the driver mean this one: it is the same on the wire.
    driver: "pg",
    connection: (connection) => new Statements(connection),
    reserved: ({ pin }) => Effect.map(pin, (pinned) => new Statements(pinned)),
    cancel: Session.cancel,
    compiler: PgClient.makeCompiler(transformQueryNames, transformJson),
    transformRows: transformResultNames && Statement.defaultTransforms(transformResultNames, transformJson).array,
    // They are the same every time, and the server need not parse them again.
    prepareTransactionControls: true,
    commit,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [...Object.entries(spanAttributes), ["db.system.name", "postgresql"], ...placeOf(options)]
  }
}

/** Where the server is, as far as the options say: a pool that was there before the client keeps that to itself. */
const placeOf = ({ database, host, port, url }: ConnectorOptions): ReadonlyArray<readonly [string, unknown]> => {
  const text = url === undefined || isString(url) ? url : Redacted.value(url)
  const parsed = text !== undefined && URL.canParse(text) ? new URL(text) : undefined
  const place = {
    "db.namespace": database ?? parsed?.pathname.slice(1),
    "server.address": host ?? parsed?.hostname,
    "server.port": port ?? (parsed === undefined || parsed.port === "" ? undefined : Number(parsed.port))
  }
  return Object.entries(place).filter(([, value]) => value !== undefined && value !== "")
}

export const dialect: Sql.Dialect<PgConnection.PgConnection> = dialectWith({})

interface PgJson extends Statement.Custom<"PgJson", unknown> {}
/** As the compiler of `@effect/sql-pg` knows it. */
const pgJson = Statement.custom<PgJson>("PgJson")

/** The server would cut a longer one short, and others who are called alike would be told. */
const longestChannel = 63
const encoder = new TextEncoder()

const channelTooLong = (channel: string): SqlError | undefined => {
  if (encoder.encode(channel).byteLength <= longestChannel) return undefined
  const message = `the name of a channel has at most ${longestChannel} bytes`
  return new SqlError({ reason: new UnknownError({ cause: new Error(message), message, operation: "notify" }) })
}

const listening =
  (pool: Pool) =>
  (channel: string): Effect.Effect<Queue.Dequeue<PgConnection.Notification, SqlError>, SqlError, Scope.Scope> =>
    Effect.flatMap(Effect.mapError(ConnectionPool.reserve(pool), Sql.toSqlError), (connection) =>
      connection.listen(channel)
    )

const notifying =
  (client: SqlClient.SqlClient) =>
  (channel: string, payload: string): Effect.Effect<void, SqlError> => {
    const tooLong = channelTooLong(channel)
    return tooLong === undefined
      ? Effect.asVoid(client.unsafe("select pg_notify($1, $2)", [channel, payload]).raw)
      : Effect.fail(tooLong)
  }

export const makeSqlClient = Effect.fnUntraced(function* (
  pool: Pool,
  options: SqlClientOptions & ConnectorOptions = {}
): Effect.fn.Return<PgClient.PgClient, never, Reactivity.Reactivity | Scope.Scope> {
  const client = yield* Sql.make(pool, dialectWith(options))
  return Object.assign(client, {
    [PgClient.TypeId]: PgClient.TypeId,
    config: clientConfig(options),
    json: (value: unknown) => Statement.fragment([pgJson(value)]),
    listen: listening(pool),
    notify: notifying(client)
  })
})

/** What the client says of itself. Secrets stay redacted. */
const clientConfig = (options: SqlClientOptions & ConnectorOptions): PgClient.PgClientConfig => {
  const { database, host, password, port, ssl, url, username, applicationName, startupParameters } = options
  const { spanAttributes, transformJson, transformQueryNames, transformResultNames } = options
  return {
    url: isString(url) ? Redacted.make(url) : url,
    password: isString(password) ? Redacted.make(password) : password,
    host,
    port,
    database,
    username,
    ssl,
    applicationName,
    startupParameters,
    spanAttributes,
    transformJson,
    transformQueryNames,
    transformResultNames,
    ...options.driver
  }
}

type Clients = PgClient.PgClient | SqlClient.SqlClient

const layerOver = <Self>(
  pool: Context.Key<Self, Pool>,
  options: SqlClientOptions & ConnectorOptions
): Layer.Layer<Clients, never, Self> =>
  Layer.effectContext(
    Effect.map(
      Effect.flatMap(pool, (found) => makeSqlClient(found, options)),
      (client) => Context.add(Context.make(PgClient.PgClient, client), SqlClient.SqlClient, client)
    )
  ).pipe(Layer.provide(Reactivity.layer))

export const layerSqlClientFrom: <Self>(
  pool: Context.Key<Self, Pool>,
  options?: SqlClientOptions
) => Layer.Layer<Clients, never, Self> = (pool, options = {}) => layerOver(pool, options)

/** The pool of a client that has one for itself. */
class SqlPool extends PoolLayer.Service<SqlPool, PgConnection.PgConnection>()("effect-pool/Postgres/SqlPool") {}

/**
 * Where statements share a connection, a request to cancel one would hit any of them, and the driver sends none: there the server
 * itself ends what takes too long.
 */
const forSharing = (
  options: ConnectorOptions,
  { concurrency = 1, queryTimeout = PoolConfig.defaults.queryTimeout }: PoolConfig.Input | PoolConfig.PoolConfig
): ConnectorOptions => {
  if (concurrency === 1) return options
  const timeout = Option.getOrElse(Duration.fromInput(queryTimeout), () => Duration.infinity)
  return {
    ...options,
    driver: { multiplex: true, ...options.driver },
    startupParameters: Duration.isFinite(timeout)
      ? { statement_timeout: String(Math.ceil(Duration.toMillis(timeout))), ...options.startupParameters }
      : options.startupParameters
  }
}

/**
 * Every statement is a lease of its own here: at the pool's default of 1000 uses, a busy client would spend as much on opening
 * connections as on statements. Their age stays bounded by `maxLifetime`.
 */
const usesOfClients = { maxUses: Infinity }

export const layerSqlClient = (
  options: ConnectorOptions & SqlClientOptions = {},
  config: PoolConfig.Input | PoolConfig.PoolConfig = {}
): Layer.Layer<Clients, PoolConfigError | ConnectError> => {
  const settings = config instanceof PoolConfig.PoolConfig ? config : { ...usesOfClients, ...config }
  return Layer.provide(layerOver(SqlPool, options), SqlPool.layer(connector(forSharing(options, config)), settings))
}

/** The same default, for those who set nothing else in the environment. */
const usesInEnvironment = (prefix: string) =>
  ConfigProvider.layerAdd(ConfigProvider.fromUnknown({ [`${prefix}_MAX_USES`]: String(usesOfClients.maxUses) }))

export const layerSqlClientConfig = (
  prefix: string,
  options: SqlClientOptions = {}
): Layer.Layer<Clients, Config.ConfigError | PoolConfigError | ConnectError> => {
  // What is wrong with the pool's settings is said where they are read for the pool.
  const settings = Config.orElse(PoolConfig.config(prefix), () => Config.succeed(PoolConfig.defaults))
  const connectors = Config.map(Config.all({ found: configOptions(prefix), settings }), ({ found, settings }) =>
    connector(forSharing(found, settings))
  )
  return layerOver(SqlPool, options).pipe(
    Layer.provide(SqlPool.layerConfig(connectors, prefix)),
    Layer.provide(usesInEnvironment(prefix))
  )
}
