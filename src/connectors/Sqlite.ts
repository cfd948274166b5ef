/**
 * SQLite for a pool: one writer and many readers of one file, as two typed pools. A database for whoever has no server.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import * as Path from "node:path"
import * as Connector from "../Connector.ts"
import type * as DatabaseConnection from "../DatabaseConnection.ts"
import type * as PoolConfig from "../PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../PoolError.ts"
import * as TypedPools from "../TypedPools.ts"
import { connect } from "./SqliteConnect.ts"
import type { Row } from "./SqliteDriver.ts"
import { classify, codeOf, isFatal } from "./SqliteError.ts"
import type { Reader, Session, Writer } from "./SqliteSession.ts"
import { type FileOptions, type Options, targetOf } from "./SqliteTarget.ts"

export { dialect, layerSqlClientFrom } from "./SqliteClient.ts"
export {
  betterSqlite3,
  type BetterSqlite3,
  type BetterSqlite3Statement,
  type Changes,
  type Driver,
  type DriverDatabase,
  type DriverStatement,
  nodeSqlite,
  type Row,
  type Value
} from "./SqliteDriver.ts"
export type { Reader, Writer } from "./SqliteSession.ts"
export type { FileOptions, Options } from "./SqliteTarget.ts"

/**
 * A connector for a file. With `mode: "read"` its connections cannot write. Writers want a pool of one connection:
 * `{ minConnections: 1, maxConnections: 1 }`. See {@link pools} for both kinds together. Its connections are for one borrower at a time:
 * leave the pool's `concurrency` at 1.
 *
 * - A file that is removed or replaced while it is open is noticed at once, and no write goes to it any more.
 * - A lock of another process is waited for; damage, a missing folder or a missing permission is a permanent failure.
 * - A wrong option is reported by the pool, as a `PoolConfigError` together with the pool's own.
 *
 * **Example** (The only connection to a file)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolLayer } from "effect-pool"
 * import * as Sqlite from "effect-pool/Sqlite"
 * import Database from "libsql"
 *
 * class Db extends PoolLayer.Service<Db, Sqlite.Writer>()("app/Db") {}
 *
 * const DbLive = Db.layer(
 *   Sqlite.connector({ path: "/var/lib/app/one.db", driver: Sqlite.betterSqlite3(Database) }),
 *   { minConnections: 1, maxConnections: 1 }
 * )
 *
 * const program = Db.use((connection) => connection.query("select 1 as one")).pipe(
 *   Effect.provide(DbLive) // => [{ one: 1 }]
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector: {
  (options: Options & { readonly mode: "read" }): Connector.Connector<Reader, SqlError>
  (options: Options & { readonly mode?: "write" | undefined }): Connector.Connector<Writer, SqlError>
} = (options: Options): Connector.Connector<Writer, SqlError> => {
  const target = targetOf(options)
  return Connector.make<Session, SqlError>({
    name: options.name ?? Path.basename(target.path),
    connect: connect(target),
    check: (session) => session.check,
    reset: (session) => session.reset,
    inspect: (session) => session.state,
    closed: (session) => session.file.gone.await,
    classify,
    fatal: isFatal,
    statistics: ({ busyCount, longestMillis, statementCount }) => ({
      statements: statementCount,
      busy: busyCount,
      longestMillis: Math.round(longestMillis * 1000) / 1000
    }),
    problems: target.problems
    // A pool gives a connector's functions only what its `connect` gave.
  }) as unknown as Connector.Connector<Writer, SqlError>
}

/**
 * How SQLite runs a query, for `DatabaseConnection.connector`, which counts them. A statement that runs cannot be interrupted, nor
 * can anything else happen meanwhile: its `queryTimeout` ends the wait for a lock, and nothing else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const queries: DatabaseConnection.Options<Reader, ReadonlyArray<Row>, SqlError> = {
  query: (connection, sql, params) => connection.query(sql, params),
  cancel: "interrupt"
}

/**
 * Reads a connector for writing from `Config`: with the prefix `DB`, from `DB_PATH` and, if they are there, `DB_BUSY_TIMEOUT` and
 * `DB_INTEGERS`.
 *
 * **Example** (From variables)
 *
 * ```ts
 * import { ConfigProvider, Effect } from "effect"
 * import * as Sqlite from "effect-pool/Sqlite"
 * import Database from "libsql"
 *
 * const env = { DB_PATH: "shop.db", DB_BUSY_TIMEOUT: "2 seconds" }
 *
 * const program = Effect.gen(function* () {
 *   const connector = yield* Sqlite.config("DB", { driver: Sqlite.betterSqlite3(Database) })
 *   return connector.name // => "shop.db"
 * }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const config = (
  prefix: string,
  options: Omit<Options, "path" | "mode"> = {}
): Config.Config<Connector.Connector<Writer, SqlError>> =>
  Config.map(fileConfig(prefix), (file) => connector({ ...options, ...file }))

const fileConfig = (prefix: string): Config.Config<FileOptions> =>
  Config.all({
    path: Config.String(`${prefix}_PATH`),
    busyTimeout: Config.option(Config.Duration(`${prefix}_BUSY_TIMEOUT`)),
    integers: Config.option(Config.Literals(["number", "bigint"], `${prefix}_INTEGERS`))
  }).pipe(
    Config.map(({ busyTimeout, integers, path }) => ({
      path,
      busyTimeout: Option.getOrUndefined(busyTimeout),
      integers: Option.getOrUndefined(integers)
    }))
  )

/**
 * The code of SQLite along the causes of an error, such as `SQLITE_BUSY_SNAPSHOT`, the same for every driver; `undefined` if it
 * was not SQLite that failed.
 *
 * **Example** (What SQLite says)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import * as Sqlite from "effect-pool/Sqlite"
 * import Database from "libsql"
 *
 * const connector = Sqlite.connector({ path: "/var/lib/app/one.db", driver: Sqlite.betterSqlite3(Database) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(connector, { minConnections: 1, maxConnections: 1 })
 *   const error = yield* Effect.flip(ConnectionPool.use(pool, (writer) => writer.query("select * from nowhere")))
 *   return Sqlite.resultCode(error) // => "SQLITE_ERROR"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const resultCode: (error: unknown) => string | undefined = codeOf

/**
 * How the pools of a file are made.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolsOptions extends FileOptions {
  /** How many connections may read at once. Default: 4. */
  readonly readers?: number | undefined
  /** What else is to be said of the pool of readers. `maxUses` has no limit here unless it is given. */
  readonly read?: Omit<PoolConfig.Input, "maxConnections" | "concurrency"> | undefined
  /** The same for the pool of the writer, which has one connection. Default: nothing else. */
  readonly write?: Omit<PoolConfig.Input, "minConnections" | "maxConnections" | "concurrency"> | undefined
}

/** A file is as near after a thousand uses as at first. What `maxLifetime` closes is an occasion for `pragma optimize`. */
const enduring: PoolConfig.Input = { maxUses: Infinity }

type ReadAndWrite<Id extends string> = TypedPools.TypedPools<
  Id,
  { readonly read: TypedPools.Kind<Reader>; readonly write: TypedPools.Kind<Writer> }
>

/**
 * The services for one file: `read`, a pool of connections that cannot write, and `write`, a pool of the one that can.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pools<Id extends string> extends Pick<ReadAndWrite<Id>, "read" | "write" | "status"> {
  /** Makes both pools. The file is made if there is none. */
  readonly layer: (
    options: PoolsOptions
  ) => Layer.Layer<TypedPools.Pool<Id, "read"> | TypedPools.Pool<Id, "write">, PoolConfigError | ConnectError>
  /** The same for the file that `Config` says: with the prefix `DB`, from `DB_PATH`, `DB_BUSY_TIMEOUT` and `DB_INTEGERS`. */
  readonly layerConfig: (
    prefix: string,
    options?: Omit<PoolsOptions, "path">
  ) => Layer.Layer<
    TypedPools.Pool<Id, "read"> | TypedPools.Pool<Id, "write">,
    Config.ConfigError | PoolConfigError | ConnectError
  >
}

/**
 * Declares the pools of one file, as one service for reading and one for writing. A program that requires only `read` cannot
 * write: its connections have no such method, and SQLite opens their file read-only.
 *
 * **Example** (Readers do not wait for the writer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Sqlite from "effect-pool/Sqlite"
 * import Database from "libsql"
 *
 * const Db = Sqlite.pools("app/Db")
 *
 * const DbLive = Db.layer({ path: "/var/lib/app/shop.db", driver: Sqlite.betterSqlite3(Database) })
 *
 * const program = Effect.gen(function* () {
 *   yield* Db.write.use((writer) =>
 *     writer.transaction(
 *       Effect.gen(function* () {
 *         yield* writer.script("create table if not exists orders (id integer primary key, customer text)")
 *         yield* writer.execute("insert or replace into orders values (?, ?)", [7, "Ada"])
 *       })
 *     )
 *   )
 *   // `reader.execute` does not compile.
 *   return yield* Db.read.use((reader) => reader.query("select customer from orders where id = ?", [7]))
 * }).pipe(
 *   Effect.provide(DbLive) // => [{ customer: "Ada" }]
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pools = <const Id extends string>(id: Id): Pools<Id> => {
  const typed = TypedPools.make(id, { read: TypedPools.of<Reader>(), write: TypedPools.of<Writer>() })
  const layer: Pools<Id>["layer"] = ({ read, readers: asked = 4, write, ...file }) => {
    const isRight = Number.isInteger(asked) && asked >= 1
    const readers = isRight ? asked : 1
    // Either may be the first to look for the file.
    const reader = connector({ ...file, mode: "read", create: true })
    const wrong = { field: "readers", value: String(asked), expected: "a whole number of connections, at least 1" }
    return typed.layer({
      budget: readers + 1,
      // Made first, and so closed last: a connection that only reads leaves its log behind, and this one clears it away.
      write: {
        connector: connector({ ...file, mode: "write" }),
        config: { ...enduring, ...write, minConnections: 1, maxConnections: 1 }
      },
      read: {
        connector: { ...reader, problems: [...(reader.problems ?? []), ...(isRight ? [] : [wrong])] },
        config: { ...enduring, minConnections: 1, ...read, maxConnections: readers }
      }
    })
  }
  return {
    read: typed.read,
    write: typed.write,
    status: typed.status,
    layer,
    layerConfig: (prefix, options) =>
      Layer.unwrap(
        Effect.gen(function* () {
          return layer({ ...options, ...(yield* fileConfig(prefix)) })
        })
      )
  }
}
