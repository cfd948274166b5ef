/**
 * Redis connections for a pool, over the `ioredis` driver (an optional peer dependency): for commands that block,
 * transactions, subscriptions, and everything else.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ConnectionOptions } from "node:tls"
import * as Connector from "../Connector.ts"
import type * as DatabaseConnection from "../DatabaseConnection.ts"
import * as Client from "./RedisClient.ts"
import { type Connection, make as makeConnection, sessionOf } from "./RedisConnection.ts"
import { classify, isFatal, type RedisError } from "./RedisError.ts"
import { Session, type Undelivered } from "./RedisSession.ts"
import { type Target, targetOf } from "./RedisTarget.ts"

export type { Argument } from "./RedisClient.ts"

export type { Command, Connection, Message, Topics } from "./RedisConnection.ts"

export { RedisError, WatchConflict } from "./RedisError.ts"

export { layerPersistence, makePersistence } from "./RedisPersistence.ts"

export type { Undelivered } from "./RedisSession.ts"

/**
 * Where the server is, who we are there, and what happens between two borrowers. Fields win over what the URL says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the pool. Default: `host:port/database`. */
  readonly name?: string | undefined
  /**
   * `redis://user:password@host:port/database`, `rediss://...` for TLS, or `unix:///path/to/redis.sock?db=0`.
   */
  readonly url?: string | Redacted.Redacted | undefined
  /** A host name or an address. Default: `localhost`. */
  readonly host?: string | undefined
  /** Default: 6379. */
  readonly port?: number | undefined
  /** A Unix socket, in place of host and port. */
  readonly path?: string | undefined
  /** Default: 0. */
  readonly database?: number | undefined
  /** A user of the server's access control list. Default: the server's default user. */
  readonly username?: string | undefined
  /** An effect is run for each connection, for passwords that expire. */
  readonly password?: string | Redacted.Redacted | Effect.Effect<Redacted.Redacted> | undefined
  /**
   * `true` for TLS with the system's certificates, or the options of Node's `tls.connect`. Default: what the URL says,
   * else none.
   */
  readonly ssl?: boolean | ConnectionOptions | undefined
  /** How the server's `CLIENT LIST` names the connection, without spaces. Default: `effect-pool`. */
  readonly clientName?: string | undefined
  /** TCP keep-alive, after this long without traffic. Default: 30 seconds. */
  readonly keepAlive?: Duration.Input | undefined
  /**
   * When a returned connection is made as new, at the cost of one round trip that no borrower waits for.
   *
   * - `"whenDirty"` (default): after a lease that has left a transaction or a watched key, or has subscribed, selected another
   *   database, changed its name, user or tracking, or left a command that blocks.
   * - `"always"`, `"never"`: as they say. A command that blocks is ended in any case.
   */
  readonly reset?: "whenDirty" | "always" | "never" | undefined
  /**
   * Told when a command has taken something off the server (`BLPOP`, `LPOP`, `ZPOPMIN`, `GETDEL` ...) and whoever sent it was
   * interrupted before the answer came: nobody else will ever see it. Default: a warning in the log, with the command and its
   * key and nothing of the answer.
   */
  readonly onUndelivered?: ((undelivered: Undelivered) => Effect.Effect<unknown>) | undefined
  /** Further options of the driver. */
  readonly driver?: Client.DriverOptions | undefined
}

/**
 * A connector for Redis 6.2 or newer, and what speaks its protocol.
 *
 * - A connection that dies while it is idle is noticed at once, without a command.
 * - The driver neither connects again by itself nor keeps commands for later: that is the pool's affair.
 * - A wrong password, a missing right, an unknown database or a bad certificate is a permanent failure; `max number of clients
 *   reached` is overload; everything else is transient, a server that is still loading its data too.
 * - A wrong option is reported by the pool, as a `PoolConfigError` together with the pool's own.
 *
 * **Example** (A pool on a local server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig, PoolLayer } from "effect-pool"
 * import * as Redis from "effect-pool/Redis"
 *
 * class Cache extends PoolLayer.Service<Cache, Redis.Connection>()("app/Cache") {}
 *
 * const CacheLive = Cache.layer(Redis.connector({ url: "redis://localhost:6379/0" }), PoolConfig.development)
 *
 * const program = Cache.use((connection) =>
 *   connection.transaction([
 *     ["SET", "answer", 41],
 *     ["INCR", "answer"]
 *   ])
 * ).pipe(Effect.provide(CacheLive)) // => ["OK", 42]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = (options: Options = {}): Connector.Connector<Connection, RedisError> => {
  const target = targetOf(options)
  const { reset: resetMode = "whenDirty" } = options
  const place = target.path ?? `${target.host}:${target.port}`
  return Connector.make({
    name: options.name ?? `${place}/${target.database}`,
    connect: connect(options, target),
    check: (connection) => sessionOf(connection).check,
    reset: (connection) => (resetMode === "never" ? sessionOf(connection).settle : sessionOf(connection).reset),
    inspect: (connection) => {
      const { isBlocking, state } = sessionOf(connection)
      if (state === "broken" || resetMode === "whenDirty") return state
      return resetMode === "always" || isBlocking ? "dirty" : "clean"
    },
    closed: (connection) => sessionOf(connection).closed,
    classify,
    fatal: isFatal,
    problems: target.problems
  })
}

/**
 * How Redis runs and cancels a command, for `DatabaseConnection.connector`: the query is the command's name, its parameters are
 * the arguments. A command that blocks is ended on the server. Redis cannot cancel another: that one is given a second to end by
 * itself, and then costs its connection.
 *
 * **Example** (Commands that are counted, and given up after five seconds)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, DatabaseConnection } from "effect-pool"
 * import * as Redis from "effect-pool/Redis"
 *
 * const connector = DatabaseConnection.connector(Redis.connector({ url: "redis://localhost:6379/0" }), Redis.queries)
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(connector, { queryTimeout: "5 seconds" })
 *   return yield* ConnectionPool.use(pool, (connection) => connection.query("ECHO", ["hello"])) // => "hello"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const queries: DatabaseConnection.Options<Connection, unknown, RedisError> = {
  query: (connection, name, params = []) =>
    sessionOf(connection).send(name, params as ReadonlyArray<Client.Argument>, "on the server"),
  cancel: "interrupt"
}

/**
 * Reads a connector from `Config`: with the prefix `REDIS`, from `REDIS_URL` or `REDIS_HOST`, `REDIS_PORT`, `REDIS_PATH`,
 * `REDIS_DATABASE`, `REDIS_USERNAME`, `REDIS_PASSWORD`, and `REDIS_SSL`, `REDIS_CLIENT_NAME`. Password and URL stay redacted.
 *
 * **Example** (From variables)
 *
 * ```ts
 * import { ConfigProvider, Effect } from "effect"
 * import * as Redis from "effect-pool/Redis"
 *
 * const env = { DB_HOST: "cache.internal", DB_PASSWORD: "..." }
 *
 * const program = Effect.gen(function* () {
 *   const connector = yield* Redis.config("DB")
 *   return connector.name // => "cache.internal:6379/0"
 * }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const config = (prefix: string): Config.Config<Connector.Connector<Connection, RedisError>> =>
  Config.all({
    url: Config.option(Config.Redacted(`${prefix}_URL`)),
    host: Config.option(Config.String(`${prefix}_HOST`)),
    port: Config.option(Config.Port(`${prefix}_PORT`)),
    path: Config.option(Config.String(`${prefix}_PATH`)),
    database: Config.option(Config.Int(`${prefix}_DATABASE`)),
    username: Config.option(Config.String(`${prefix}_USERNAME`)),
    password: Config.option(Config.Redacted(`${prefix}_PASSWORD`)),
    ssl: Config.option(Config.Boolean(`${prefix}_SSL`)),
    clientName: Config.option(Config.String(`${prefix}_CLIENT_NAME`))
  }).pipe(
    Config.map((read) =>
      connector({
        url: Option.getOrUndefined(read.url),
        host: Option.getOrUndefined(read.host),
        port: Option.getOrUndefined(read.port),
        path: Option.getOrUndefined(read.path),
        database: Option.getOrUndefined(read.database),
        username: Option.getOrUndefined(read.username),
        password: Option.getOrUndefined(read.password),
        ssl: Option.getOrUndefined(read.ssl),
        clientName: Option.getOrUndefined(read.clientName)
      })
    )
  )

/** Nothing of the answer: it may be anybody's data. */
const warnOfUndelivered = ({ args: [key = ""], command, reply }: Undelivered): Effect.Effect<void> =>
  Effect.logWarning(
    Option.isSome(reply)
      ? `${command} ${key} was interrupted, and its answer has come when nobody waited for it: what it took is lost`
      : `${command} ${key} was interrupted, and its connection is lost: it may have taken something that nobody has seen`
  )

const connect = (options: Options, target: Target): Effect.Effect<Connection, RedisError, Scope.Scope> => {
  const { driver = {}, onUndelivered = warnOfUndelivered, password = target.password } = options
  const askPassword =
    password === undefined || isString(password) || Redacted.isRedacted(password)
      ? Effect.succeed(isString(password) ? Redacted.make(password) : password)
      : password
  const open = (target: Target) =>
    Effect.flatMap(askPassword, (password) => Client.open(target, { username: target.username, password }, driver))
  // Its name says on the server what it is for, and that it is none of the pool's.
  const another = open({ ...target, database: 0, clientName: `${target.clientName}:unblock` })
  return Effect.gen(function* () {
    const run = Effect.runForkWith(yield* Effect.context())
    const opened = yield* open(target)
    const session = new Session(opened, opened.socket()!, { another, onUndelivered, run })
    yield* session.ready
    return makeConnection(session)
  })
}
