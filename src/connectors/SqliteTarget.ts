/** What the options of a connector come to, and everything that is wrong with them. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import type { ConfigProblem } from "../PoolError.ts"
import { type Driver, nodeSqlite } from "./SqliteDriver.ts"
import type * as Pragmas from "./SqlitePragmas.ts"

/**
 * Which file, and how it is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions {
  /** A path, or a `file:` URL without parameters. A folder must be there; the file is made by its first writer. */
  readonly path: string
  /** Default: `nodeSqlite()`. */
  readonly driver?: Driver | undefined
  /**
   * How long a lock that another process holds is waited for, in Effect: other fibers go on. Never longer than the pool's
   * `queryTimeout`. 0 fails at once. Default: 5 seconds.
   */
  readonly busyTimeout?: Duration.Input | undefined
  /**
   * Settings of every connection, such as `{ cache_size: -64000 }`, after the connector's own: `journal_mode = wal`, `foreign_keys = on`,
   * `synchronous = normal`, `wal_autocheckpoint = 1000`. A reset returns to them. Default: none but these.
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

export interface Target {
  readonly path: string
  readonly driver: Driver
  readonly mode: "read" | "write"
  readonly create: boolean
  readonly busyTimeout: Duration.Duration
  readonly integers: "number" | "bigint"
  readonly pragmas: Pragmas.Settings
  readonly problems: ReadonlyArray<ConfigProblem>
}

export const targetOf = (options: Options): Target => {
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
