/**
 * SurrealDB connections for a pool, over the `surrealdb` SDK (an optional peer dependency): servers at `ws://`, and engines in this
 * process (`@surrealdb/node`).
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "node:tls"
import type { CodecOptions, Engines } from "surrealdb"
import * as Connector from "../Connector.ts"
import type * as DatabaseConnection from "../DatabaseConnection.ts"
import { type ConfigProblem, PoolConfigError } from "../PoolError.ts"
import { authenticationOf, type Credentials, isPlainObject, reveal } from "./SurrealCredentials.ts"
import { classify, isFatal, type SurrealDbError } from "./SurrealError.ts"
import { type Handle, isRemote, openHandle, type Settings } from "./SurrealHandle.ts"
import * as Identity from "./SurrealIdentity.ts"
import * as Session from "./SurrealSession.ts"
import { SharedHandle } from "./SurrealSharedHandle.ts"

export type { Credentials } from "./SurrealCredentials.ts"
export { isConflict, SurrealDbError } from "./SurrealError.ts"
export type { Connection, Queryable } from "./SurrealSession.ts"

/**
 * Who the connections are, and where.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOptions {
  /** Names the pool. Default: where the server is, namespace and database. */
  readonly name?: string | undefined
  /** The namespace of the sessions. */
  readonly namespace: string
  /** The database of the sessions. */
  readonly database: string
  /**
   * An effect is run whenever one has to sign in: to connect, and again before a token expires. Its failure is a transient one.
   * Default: nobody, which an engine in this process takes for its owner.
   */
  readonly authentication?: Credentials | Effect.Effect<Credentials, unknown> | undefined
  /**
   * When a returned connection gets a new session, at the cost of a few round trips that no borrower waits for.
   *
   * - `"whenDirty"` (default): after a lease that has changed its session (variables, namespace, database, identity), or left a
   *   transaction open, a live query on or a request unanswered.
   * - `"always"`, `"never"`: as they say.
   */
  readonly reset?: "whenDirty" | "always" | "never" | undefined
}

/**
 * Where the server or the engine is.
 *
 * @category models
 * @since 0.1.0
 */
export interface EngineOptions {
  /**
   * `ws://host:8000/rpc`, `wss://...`, or an engine in this process: `mem://`, `surrealkv://path`, `rocksdb://path`. Without
   * credentials: those are `authentication`.
   */
  readonly url: string | Redacted.Redacted
  /** The SDK's engines. Default: for `ws` the SDK's own, for others those of `@surrealdb/node`. */
  readonly engines?: Engines | undefined
  /** Default: `ws` where it is installed, else the platform's. The platform's own cannot end a connection whose server is silent. */
  readonly websocketImpl?: typeof WebSocket | undefined
  /** Options of Node's `tls.connect`, such as `ca`, for `wss:` with the package `ws`. */
  readonly ssl?: ConnectionOptions | undefined
  /** Refuses servers that the SDK was not made for. Default: `true`. */
  readonly versionCheck?: boolean | undefined
  /** Options of the SDK's codecs, such as `useNativeDates`. */
  readonly codecOptions?: CodecOptions | undefined
}

/**
 * Where the server is, who we are there, and what happens between two borrowers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends EngineOptions, SessionOptions {
  /**
   * - `"socketPerConnection"`: each connection has a socket of its own. What breaks one breaks no other. The default for servers.
   * - `"sharedSocket"`: all connections are sessions on one socket, or in one engine. They are cheaper to open and to keep, and
   *   die together with the socket. The only possibility, and the default, for engines in this process.
   */
  readonly mode?: "socketPerConnection" | "sharedSocket" | undefined
}

/**
 * A connector for SurrealDB 3.
 *
 * - Connections whose socket dies while they are idle are noticed at once, without a query.
 * - Wrong credentials, a missing right or a bad certificate are permanent failures, a server without room is overload, everything
 *   else is transient.
 * - An engine in this process is opened by the first connection, and closed one second after the last: with it, what is in
 *   `mem://`. Whoever wants to say when opens it with {@link open}.
 * - A wrong option is reported by the pool, as a `PoolConfigError` together with the pool's own.
 *
 * **Example** (A pool of sessions in this process)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig, PoolLayer } from "effect-pool"
 * import * as SurrealDb from "effect-pool/SurrealDb"
 *
 * class Db extends PoolLayer.Service<Db, SurrealDb.Connection>()("app/Db") {}
 *
 * const DbLive = Db.layer(
 *   SurrealDb.connector({ url: "mem://", namespace: "app", database: "app" }),
 *   PoolConfig.development
 * )
 *
 * const program = Db.use((connection) => connection.query<[number]>("RETURN $a + 1", { a: 41 })).pipe(
 *   Effect.provide(DbLive) // => [42]
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = (options: Options): Connector.Connector<Session.Connection, SurrealDbError> => {
  const settings = settingsOf(options)
  const remote = isRemote(settings.url)
  const mode = options.mode ?? (remote ? "socketPerConnection" : "sharedSocket")
  return make({
    options,
    place: placeOf(settings.url),
    problems: [...engineProblems(options), ...sessionProblems(options), ...modeProblems(options)],
    connect: mode === "sharedSocket" ? connectShared(settings) : connectAlone(settings),
    isAlone: mode === "socketPerConnection"
  })
}

/**
 * A socket or an engine of its own lifetime, for {@link connectorOn}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Engine {
  readonly "~effect-pool/SurrealDb/Engine": Handle
}

/**
 * Opens a socket or an engine for as long as the scope lasts: a database in memory keeps its data until then, and several pools may
 * have their sessions in it. It does not come back by itself: one that is lost stays so, and its pools fail to connect. For servers
 * that may go away, use {@link connector}.
 *
 * **Example** (Two pools on one database in memory)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import * as SurrealDb from "effect-pool/SurrealDb"
 *
 * const program = Effect.gen(function* () {
 *   const engine = yield* SurrealDb.open({ url: "mem://", namespace: "app", database: "app" })
 *   const connector = SurrealDb.connectorOn(engine, { namespace: "app", database: "app" })
 *   const writers = yield* ConnectionPool.make(connector, { name: "writers" })
 *   const readers = yield* ConnectionPool.make(connector, { name: "readers" })
 *   yield* ConnectionPool.use(writers, (connection) => connection.query("CREATE order:7 SET customer = 'Ada'"))
 *   return yield* ConnectionPool.use(readers, (connection) => connection.query("SELECT VALUE customer FROM order"))
 * }).pipe(Effect.scoped) // => [["Ada"]]
 * ```
 *
 * Fails with `PoolConfigError`, which names every wrong option, and with `SurrealDbError` if the server cannot be reached or
 * refuses.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fn("SurrealDb.open")(function* (
  options: EngineOptions & Omit<SessionOptions, "name" | "reset">
): Effect.fn.Return<Engine, SurrealDbError | PoolConfigError, Scope.Scope> {
  const problems = [...engineProblems(options), ...sessionProblems(options)]
  if (problems.length > 0) return yield* new PoolConfigError({ problems })
  return { "~effect-pool/SurrealDb/Engine": yield* openHandle(settingsOf(options)) }
})

/**
 * A connector whose connections are sessions in an engine, or on a socket, that {@link open} has opened. Who they are is theirs:
 * without `authentication` they are who opened it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connectorOn = (
  engine: Engine,
  options: SessionOptions
): Connector.Connector<Session.Connection, SurrealDbError> => {
  const handle = engine["~effect-pool/SurrealDb/Engine"]
  const openSession = Identity.asIdentity({
    namespace: options.namespace,
    database: options.database,
    authentication: authenticationOf(options.authentication)
  })
  return make({
    options,
    place: placeOf(handle.settings.url),
    problems: sessionProblems(options),
    connect: Session.connectOn(handle, openSession, Session.endSession),
    isAlone: false
  })
}

/**
 * How SurrealDB runs a query, for `DatabaseConnection.connector`. Positional parameters are the variables `$p1`, `$p2` ... of the
 * query; one plain object is its variables by their names. A query cannot be cancelled over the SDK: one that runs out of time
 * goes on where it is, and its connection is discarded. A `TIMEOUT` clause ends a statement on the server.
 *
 * **Example** (Queries that are counted and bounded)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, DatabaseConnection } from "effect-pool"
 * import * as SurrealDb from "effect-pool/SurrealDb"
 *
 * const connector = DatabaseConnection.connector(
 *   SurrealDb.connector({ url: "mem://", namespace: "app", database: "app" }),
 *   SurrealDb.queries
 * )
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(connector, { queryTimeout: "5 seconds" })
 *   return yield* ConnectionPool.use(pool, (connection) =>
 *     Effect.all([connection.query("RETURN $p1 * $p2", [6, 7]), connection.query("RETURN $a", [{ a: "by name" }])])
 *   ) // => [[42], ["by name"]]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const queries: DatabaseConnection.Options<Session.Connection, ReadonlyArray<unknown>, SurrealDbError> = {
  query: (connection, sql, params) => connection.query(sql, bindingsOf(params))
}

const bindingsOf = (params: ReadonlyArray<unknown> = []): Readonly<Record<string, unknown>> => {
  const [first] = params
  if (params.length === 1 && isPlainObject(first)) return first
  return Object.fromEntries(params.map((value, index) => [`p${index + 1}`, value]))
}

/**
 * Reads a connector from `Config`: with the prefix `DB`, from `DB_URL`, `DB_NAMESPACE`, `DB_DATABASE`, and `DB_USERNAME`,
 * `DB_PASSWORD`, `DB_LEVEL` (`root`, `namespace` or `database`: where the user is defined; default: `root`), or `DB_TOKEN`; and
 * `DB_MODE`. URL, password and token stay redacted.
 *
 * **Example** (From variables)
 *
 * ```ts
 * import { ConfigProvider, Effect } from "effect"
 * import * as SurrealDb from "effect-pool/SurrealDb"
 *
 * const env = { DB_URL: "ws://db.internal:8000/rpc", DB_NAMESPACE: "shop", DB_DATABASE: "orders" }
 *
 * const program = Effect.gen(function* () {
 *   const connector = yield* SurrealDb.config("DB")
 *   return connector.name // => "db.internal:8000/shop/orders"
 * }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const config = (prefix: string): Config.Config<Connector.Connector<Session.Connection, SurrealDbError>> =>
  Config.all({
    url: Config.Redacted(`${prefix}_URL`),
    namespace: Config.String(`${prefix}_NAMESPACE`),
    database: Config.String(`${prefix}_DATABASE`),
    username: Config.option(Config.String(`${prefix}_USERNAME`)),
    password: Config.option(Config.Redacted(`${prefix}_PASSWORD`)),
    level: Config.withDefault(Config.Literals(["root", "namespace", "database"], `${prefix}_LEVEL`), "root"),
    token: Config.option(Config.Redacted(`${prefix}_TOKEN`)),
    mode: Config.option(Config.Literals(["socketPerConnection", "sharedSocket"], `${prefix}_MODE`))
  }).pipe(
    Config.map(({ database, level, mode, namespace, password, token, url, username }) =>
      connector({
        url,
        namespace,
        database,
        mode: Option.getOrUndefined(mode),
        authentication: Option.getOrUndefined(
          Option.orElse(token, () =>
            Option.map(username, (username): Credentials => ({
              username,
              password: Option.getOrElse(password, () => Redacted.make("")),
              namespace: level === "root" ? undefined : namespace,
              database: level === "database" ? database : undefined
            }))
          )
        )
      })
    )
  )

/** With the last connection, an engine in memory loses its data; a connection that is replaced may be the last for a moment. */
const engineLinger = Duration.seconds(1)

type Connect = Effect.Effect<Session.Connection, SurrealDbError, Scope.Scope>

const connectAlone = (settings: Settings): Connect =>
  Effect.flatMap(openHandle(settings), (handle) => Session.connectOn(handle, Identity.asHandle, Session.leaveSession))

const connectShared = (settings: Settings): Connect => {
  const shared = new SharedHandle(settings, isRemote(settings.url) ? Duration.zero : engineLinger)
  return Effect.flatMap(shared.joined, (handle) => Session.connectOn(handle, Identity.asHandle, Session.endSession))
}

interface Plan {
  readonly options: SessionOptions
  readonly place: string
  readonly problems: ReadonlyArray<ConfigProblem>
  readonly connect: Connect
  /** Whether a connection has its socket for itself. */
  readonly isAlone: boolean
}

const make = ({ connect, isAlone, options, place, problems }: Plan) => {
  const { database, namespace, reset = "whenDirty" } = options
  const { name = `${place}/${namespace}/${database}` } = options
  /** Work of the pool's own. Whoever gives it up wants the connection no more: nobody must wait for a silent server again. */
  const upkeep = <A>(connection: Session.Connection, work: Effect.Effect<A, SurrealDbError>) =>
    isAlone ? Effect.onInterrupt(work, () => Effect.sync(() => Session.destroy(connection))) : work
  return Connector.make<Session.Connection, SurrealDbError, Scope.Scope>({
    name,
    connect,
    check: (connection) => upkeep(connection, Session.check(connection)),
    ...(reset === "never" ? {} : { reset: (connection) => upkeep(connection, Session.reset(connection)) }),
    inspect: (connection) => {
      if (Session.isBroken(connection)) return "broken"
      if (reset === "always") return "dirty"
      return reset === "never" || Session.isClean(connection) ? "clean" : "dirty"
    },
    closed: Session.closedSignal,
    classify,
    fatal: isFatal,
    problems
  })
}

const settingsOf = (options: EngineOptions & SessionOptions): Settings => ({
  url: reveal(options.url),
  namespace: options.namespace,
  database: options.database,
  authentication: authenticationOf(options.authentication),
  engines: options.engines,
  websocketImpl: options.websocketImpl,
  ssl: options.ssl,
  versionCheck: options.versionCheck ?? true,
  codecOptions: options.codecOptions
})

/** Where it is, without anything that may be secret. */
const placeOf = (url: string): string => {
  if (!URL.canParse(url)) return "surrealdb"
  const { host, protocol } = new URL(url)
  return isRemote(url) ? host : protocol.slice(0, -1)
}

const expectedUrl = `a URL like "ws://host:8000/rpc", "wss://...", "mem://" or "surrealkv://path"`

const embeddedSchemes = new Set(["mem", "surrealkv", "surrealkv+versioned", "rocksdb"])

const engineProblems = ({ engines, ssl, url }: EngineOptions): ReadonlyArray<ConfigProblem> => {
  const text = reveal(url)
  // Nobody knows where in a malformed URL a password stands: none of it is shown.
  if (!URL.canParse(text)) return [{ field: "url", value: "a malformed URL (not shown)", expected: expectedUrl }]
  const { password, protocol, username } = new URL(text)
  const scheme = protocol.slice(0, -1)
  const problems: Array<ConfigProblem> = []
  const isKnown = isRemote(text) || embeddedSchemes.has(scheme) || Object.hasOwn(engines ?? {}, scheme)
  if (!isKnown || scheme === "http" || scheme === "https") {
    // Over HTTP there are neither sessions nor transactions.
    problems.push({ field: "url", value: `"${protocol}//..."`, expected: expectedUrl })
  }
  if (username !== "" || password !== "") {
    problems.push({ field: "url", value: "credentials (not shown)", expected: "them in `authentication`" })
  }
  if (ssl !== undefined && scheme !== "wss") {
    problems.push({ field: "ssl", value: `with "${protocol}//..."`, expected: `a URL like "wss://..."` })
  }
  return problems
}

const sessionProblems = ({ authentication, database, namespace }: SessionOptions): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  if (namespace === "") problems.push({ field: "namespace", value: `""`, expected: "the name of a namespace" })
  if (database === "") problems.push({ field: "database", value: `""`, expected: "the name of a database" })
  if (
    isPlainObject(authentication) &&
    authentication.database !== undefined &&
    authentication.namespace === undefined
  ) {
    const value = "a database without a namespace"
    problems.push({ field: "authentication", value, expected: "the namespace that the database is in" })
  }
  return problems
}

const modeProblems = ({ mode, url }: Options): ReadonlyArray<ConfigProblem> =>
  mode === "socketPerConnection" && !isRemote(reveal(url))
    ? [
        {
          field: "mode",
          value: `"${mode}"`,
          expected: `"sharedSocket" for an engine in this process, which has no sockets`
        }
      ]
    : []
