/**
 * SQLite for a pool: one writer and many readers of one file, as two typed pools. A database for whoever has no server.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Scope } from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import * as Connector from "../Connector.ts"
import type * as DatabaseConnection from "../DatabaseConnection.ts"
import type * as PoolConfig from "../PoolConfig.ts"
import type { ConfigProblem, ConnectError, PoolConfigError } from "../PoolError.ts"
import * as TypedPools from "../TypedPools.ts"
import { type Driver, type DriverDatabase, nodeSqlite, type Row } from "./SqliteDriver.ts"
import { classify, codeOf, failure, isFatal, isReadOnlyRefusal, SqliteFailure, toSqlError } from "./SqliteError.ts"
import { DatabaseFile, obstacleTo, watch } from "./SqliteFile.ts"
import type * as Pragmas from "./SqlitePragmas.ts"
import { type Reader, Session, type Writer } from "./SqliteSession.ts"

export { dialect, layerSqlClient } from "./SqliteClient.ts"
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

/**
 * Which file, and how it is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions {
  /** A path, or a `file:` URL without parameters. A folder must be there; the file is made by its first writer. */
  readonly path: string
  /** Default: {@link nodeSqlite}. */
  readonly driver?: Driver | undefined
  /**
   * How long a lock that another process holds is waited for, in Effect: other fibers go on. Never longer than the pool's
   * `queryTimeout`. 0 fails at once. Default: 5 seconds.
   */
  readonly busyTimeout?: Duration.Input | undefined
  /**
   * Settings of every connection, such as `{ cache_size: -64000 }`, after the connector's own: `journal_mode = wal`, `foreign_keys = on`,
   * `synchronous = normal`, `wal_autocheckpoint = 1000`. A reset returns to them.
   */
  readonly pragmas?: Readonly<Record<string, string | number | boolean>> | undefined
  /** How integers are read. As `"number"`, those beyond 2^53 are refused by `node:sqlite`, and rounded by others. Default: `"number"`. */
  readonly integers?: "number" | "bigint" | undefined
}

/**
 * A file, and what its connections are for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends FileOptions {
  /** Names the pool. Default: the file's name. */
  readonly name?: string | undefined
  /** What the connections may do. Default: `"write"`. */
  readonly mode?: "read" | "write" | undefined
  /** Whether to make the file if there is none. Default: for a writer, yes; for a reader, no. */
  readonly create?: boolean | undefined
}

/**
 * A connector for a file. Writers want a pool of one connection: `{ minConnections: 1, maxConnections: 1 }`. See {@link pools} for
 * both kinds together.
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
  readonly read?: Omit<PoolConfig.Input, "maxConnections"> | undefined
  /** The same for the pool of the writer. */
  readonly write?: Omit<PoolConfig.Input, "minConnections" | "maxConnections"> | undefined
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

interface Target {
  readonly path: string
  readonly driver: Driver
  readonly mode: "read" | "write"
  readonly create: boolean
  readonly busyTimeout: Duration.Duration
  readonly integers: "number" | "bigint"
  readonly pragmas: Pragmas.Settings
  readonly problems: ReadonlyArray<ConfigProblem>
}

const targetOf = (options: Options): Target => {
  const { driver = nodeSqlite(), integers = "number", mode = "write" } = options
  const file = readPath(options.path)
  const busyTimeout = readBusyTimeout(options.busyTimeout ?? "5 seconds")
  const pragmas = readPragmas(options.pragmas ?? {})
  const readOnly: Pragmas.Settings = [["query_only", "on"]]
  return {
    path: file.path,
    driver,
    mode,
    create: options.create ?? mode === "write",
    busyTimeout: busyTimeout.duration,
    integers,
    pragmas: [
      ...(mode === "write" ? writerPragmas : readerPragmas),
      ...pragmas.settings,
      ...(mode === "read" ? readOnly : [])
    ],
    problems: [...file.problems, ...(driver.problems ?? []), ...busyTimeout.problems, ...pragmas.problems]
  }
}

/** SQLite's own wait would stop the process. */
const noBlocking = ["busy_timeout", "0"] as const

const readerPragmas: Pragmas.Settings = [noBlocking, ["foreign_keys", "on"]]

const writerPragmas: Pragmas.Settings = [
  noBlocking,
  ["journal_mode", "wal"],
  // In this mode a power cut may cost the last commits, and never the file; a crash of the process costs nothing.
  ["synchronous", "normal"],
  // SQLite's own default is off, for old programs.
  ["foreign_keys", "on"],
  ["wal_autocheckpoint", "1000"],
  // What `optimize` reads of each index when the connection is closed.
  ["analysis_limit", "400"]
]

const expectedPath = `a file, such as "/var/lib/app/app.db"`

const readPath = (given: string): { readonly path: string; readonly problems: ReadonlyArray<ConfigProblem> } => {
  const wrong = (value: string, expected = expectedPath) => ({
    path: "sqlite",
    problems: [{ field: "path", value, expected }]
  })
  if (given === "" || /^(?:file:)?:memory:/.test(given) || /[?&]mode=memory\b/.test(given)) {
    return wrong(
      JSON.stringify(given),
      "a file (a pool opens and closes connections, and each would get an empty database of its own; for tests, take a temporary file)"
    )
  }
  if (given.includes("\0")) return wrong("a path with a zero byte in it")
  if (!given.startsWith("file:")) return { path: Path.resolve(given), problems: [] }
  const read = Result.try(() => new URL(given))
  if (Result.isFailure(read) || read.success.search !== "" || read.success.hash !== "") {
    return wrong(JSON.stringify(given), `a URL without parameters, such as "file:///var/lib/app/app.db"`)
  }
  const path = Result.try(() => fileURLToPath(read.success))
  return Result.isSuccess(path) ? { path: path.success, problems: [] } : wrong(JSON.stringify(given))
}

const readBusyTimeout = (given: Duration.Input) => {
  const read = Duration.fromInput(given)
  if (Option.isSome(read)) return { duration: read.value, problems: [] }
  const value = JSON.stringify(given)
  return { duration: Duration.zero, problems: [{ field: "busyTimeout", value, expected: "a duration from 0 on" }] }
}

/** What these are is what the connector is for. */
const ownPragmas: Readonly<Record<string, string>> = {
  busy_timeout: "the option `busyTimeout`",
  journal_mode: "nothing: readers and writer share a file in WAL mode",
  query_only: "the option `mode`"
}

const readPragmas = (given: NonNullable<FileOptions["pragmas"]>) => {
  const problems: Array<ConfigProblem> = []
  const settings: Array<readonly [string, string]> = []
  for (const [name, value] of Object.entries(given)) {
    const text = typeof value === "boolean" ? (value ? "on" : "off") : String(value)
    const field = `pragmas.${name}`
    const lower = name.toLowerCase()
    // They become part of a statement, and SQLite ignores a pragma that it does not know.
    if (!/^[a-z_]+$/.test(lower)) problems.push({ field, value: JSON.stringify(name), expected: "a pragma's name" })
    else if (Object.hasOwn(ownPragmas, lower)) problems.push({ field, value: text, expected: ownPragmas[lower]! })
    else if (!/^-?[\w.]+$/.test(text))
      problems.push({ field, value: JSON.stringify(value), expected: "a number or a word" })
    else settings.push([lower, text])
  }
  return { settings, problems }
}

const connect = (target: Target): Effect.Effect<Session, SqlError, Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const queryTimeout = yield* Connector.QueryTimeout
    const patience = Duration.min(target.busyTimeout, queryTimeout)
    yield* ensureFile(target)
    const session = yield* Effect.acquireRelease(
      Effect.map(
        open(target, target.mode),
        (database) => new Session(database, new DatabaseFile(target.path), { mode: target.mode, patience }, clock)
      ),
      (session) => session.close
    )
    yield* Effect.mapError(session.prepareConnection(target.pragmas), (error) => explained(target, error))
    yield* watch(session.file)
    return session
  })

/** A reader cannot make a file, and what it finds must be in WAL mode already. */
const ensureFile = (target: Target): Effect.Effect<void, SqlError> =>
  Effect.suspend(() => {
    if (Fs.existsSync(target.path)) return Effect.void
    if (!target.create) return Effect.fail(explained(target, cannotOpen(target)))
    if (target.mode === "write") return Effect.void
    const making = open(target, "write")
    return Effect.acquireUseRelease(
      making,
      (database) =>
        Effect.try({
          try: () => database.exec("pragma busy_timeout = 0; pragma journal_mode = wal"),
          catch: (thrown) => explained(target, toSqlError("connect", thrown))
        }),
      (database) => Effect.sync(() => database.close())
    )
  })

const open = (
  { driver, integers, path, ...target }: Target,
  mode: "read" | "write"
): Effect.Effect<DriverDatabase, SqlError> =>
  Effect.try({
    try: () => driver.open(path, { readOnly: mode === "read", integers }),
    catch: (thrown) => explained({ path, ...target }, toSqlError("connect", thrown))
  })

const cannotOpen = ({ path }: Pick<Target, "path">): SqlError =>
  failure("connect", new SqliteFailure({ code: "SQLITE_CANTOPEN", message: `cannot open ${path}` }))

/** Says why a file cannot be opened, or not for writing, where the file system knows. */
const explained = ({ path }: Pick<Target, "path">, error: SqlError): SqlError => {
  const code = codeOf(error)
  if (code?.startsWith("SQLITE_CANTOPEN") !== true && !isReadOnlyRefusal(error)) return error
  return Option.match(obstacleTo(path), {
    onNone: () => error,
    onSome: ({ isPermanent, message }) =>
      failure(
        "connect",
        new SqliteFailure({ code, message: `cannot open the database: ${message}`, isPermanent, cause: error })
      )
  })
}
