/** One open database: what its borrowers are lent, what the pool knows of it, and what is done between two of them. */
import type { Clock } from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isBigInt, isBoolean, isNumber, isString } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as RetryPolicy from "../RetryPolicy.ts"
import type { Changes, DriverDatabase, DriverStatement, Row, Value } from "./SqliteDriver.ts"
import { connectionLost, failure, isBusy, SqliteFailure, toSqlError } from "./SqliteError.ts"
import type { DatabaseFile } from "./SqliteFile.ts"
import * as Pragmas from "./SqlitePragmas.ts"
import { verbOf } from "./SqliteStatement.ts"

/**
 * A connection that can only read. Parameters are strings, numbers, bigints, booleans (as 1 and 0), `Uint8Array`s, `Date`s (as ISO
 * text), `null` and `undefined` (as null).
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader {
  /** The rows of one statement. What stands after its semicolon is ignored or refused, as the driver does. */
  readonly query: (sql: string, params?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>, SqlError>
  /** The same, each row as the values of its columns in their order. */
  readonly queryValues: (
    sql: string,
    params?: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Value>>, SqlError>
  /** The rows in chunks of 128, with other fibers in between. Holds its snapshot of the database until it ends. */
  readonly stream: (sql: string, params?: ReadonlyArray<unknown>) => Stream.Stream<Row, SqlError>
  /** Everything that the effect reads on this connection is of the same moment. Does not nest. */
  readonly snapshot: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
}

/**
 * A connection that can also write.
 *
 * @category models
 * @since 0.1.0
 */
export interface Writer extends Reader {
  /** Runs one statement and says what it has changed. */
  readonly execute: (sql: string, params?: ReadonlyArray<unknown>) => Effect.Effect<Changes, SqlError>
  /**
   * Runs statements in a row, such as a migration's. They are no transaction, and a lock of another process is not waited for,
   * unless they run inside `transaction`.
   */
  readonly script: (sql: string) => Effect.Effect<void, SqlError>
  /**
   * `BEGIN IMMEDIATE`, then `COMMIT` if the effect succeeds, else `ROLLBACK`. Does not nest: `layerSqlClientFrom` does. Fails, and
   * changes nothing, when SQLite itself has rolled back meanwhile, as it does when the disk is full.
   */
  readonly transaction: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
}

export interface Settings {
  readonly mode: "read" | "write"
  /** How long a lock of another process is waited for. */
  readonly patience: Duration.Duration
}

const chunkSize = 128
/** More different statements than this are an application that writes values into its SQL: keeping them would help nobody. */
const mostStatements = 256

/** A transaction that is open reads a snapshot from its first statement on, not from its beginning. */
const takeSnapshot = "select 1 from sqlite_master limit 1"

const bindable = (value: unknown): value is Value =>
  value === null ||
  isString(value) ||
  (isNumber(value) && !Number.isNaN(value)) ||
  isBigInt(value) ||
  value instanceof Uint8Array

/** What drivers disagree about, or abort the process over, never reaches them. */
const bind = (value: unknown, index: number): Value => {
  if (bindable(value)) return value
  if (value === undefined) return null
  // Drivers bind a number as a real one, and that would be seen in a column of text.
  if (isBoolean(value)) return value ? 1n : 0n
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
  const kind =
    value instanceof Date
      ? "an invalid Date"
      : Array.isArray(value)
        ? "an array"
        : isNumber(value)
          ? "not a number"
          : `a ${typeof value}`
  throw new SqliteFailure({
    code: "SQLITE_MISMATCH",
    message: `parameter ${index + 1} is ${kind}, which SQLite cannot hold`
  })
}

export class Session implements Writer {
  readonly file: DatabaseFile
  /** It cannot be brought back to what it was. */
  isBroken = false
  /** Its borrower may have left something that no transaction takes back. */
  isTouched = false
  /** How often a lock of another process was met. */
  busyCount = 0
  statementCount = 0
  /** The longest that one statement has kept this process from doing anything else, in milliseconds. */
  longestMillis = 0
  private readonly database: DriverDatabase
  private readonly settings: Settings
  private readonly clock: Clock
  private readonly prepared = new Map<string, DriverStatement>()
  private pragmas: Pragmas.Baseline | undefined
  private wasInTransaction = false
  /** Why SQLite has ended a transaction by itself. What its borrower still sends would run outside of it. */
  private endedBy: SqlError | undefined

  constructor(database: DriverDatabase, file: DatabaseFile, settings: Settings, clock: Clock) {
    this.database = database
    this.file = file
    this.settings = settings
    this.clock = clock
  }

  get inTransaction(): boolean {
    return this.database.inTransaction
  }

  query(sql: string, params: ReadonlyArray<unknown> = []): Effect.Effect<ReadonlyArray<Row>, SqlError> {
    return this.run(sql, () => this.prepare(sql).all(params.map(bind)))
  }

  queryValues(
    sql: string,
    params: ReadonlyArray<unknown> = []
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<Value>>, SqlError> {
    return this.run(sql, () => this.prepare(sql).values(params.map(bind)))
  }

  execute(sql: string, params: ReadonlyArray<unknown> = []): Effect.Effect<Changes, SqlError> {
    return this.run(sql, () => {
      const statement = this.prepare(sql)
      if (!statement.returnsRows) return statement.run(params.map(bind))
      statement.all(params.map(bind))
      const [changes, lastInsertRowid] = this.prepare("select changes(), last_insert_rowid()").values([])[0]!
      return { changes: Number(changes), lastInsertRowid: lastInsertRowid as number | bigint }
    })
  }

  /** The rows of a statement that returns some, or what it has changed. */
  rowsOrChanges(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Row> | Changes, SqlError> {
    return this.run(sql, () => {
      const statement = this.prepare(sql)
      return statement.returnsRows ? statement.all(params.map(bind)) : statement.run(params.map(bind))
    })
  }

  script(sql: string): Effect.Effect<void, SqlError> {
    return this.once(sql, () => {
      this.noteTouch()
      this.database.exec(sql)
    })
  }

  stream(sql: string, params: ReadonlyArray<unknown> = []): Stream.Stream<Row, SqlError> {
    // A statement of its own: one that others use meanwhile would begin anew under the stream.
    const open = this.run(sql, () => this.database.prepare(sql).iterate(params.map(bind)))
    const close = (rows: Iterator<Row>) => Effect.sync(() => void rows.return?.())
    return Stream.unwrap(
      Effect.map(Effect.acquireRelease(open, close), (rows) =>
        Stream.paginate(rows, () => Effect.andThen(Effect.yieldNow, this.nextChunk(sql, rows)))
      )
    )
  }

  private nextChunk(sql: string, rows: Iterator<Row>) {
    return this.once(sql, () => {
      const chunk: Array<Row> = []
      while (chunk.length < chunkSize) {
        const next = rows.next()
        if (next.done === true) return [chunk, Option.none<Iterator<Row>>()] as const
        chunk.push(next.value)
      }
      return [chunk, Option.some(rows)] as const
    })
  }

  transaction<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> {
    return this.within("begin immediate", () => this.database.exec("begin immediate"), effect)
  }

  snapshot<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError, R> {
    const begin = () => {
      this.database.exec("begin")
      try {
        this.prepare(takeSnapshot).all([])
      } catch (error) {
        // As if it had not begun: then it is waited for like any other statement.
        this.database.exec("rollback")
        throw error
      }
    }
    return this.within("begin", begin, effect)
  }

  private within<A, E, R>(
    name: string,
    begin: () => void,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError, R> {
    return Effect.suspend(() => {
      // Raised in the step that begins: an interruption finds either no transaction, or one that it ends.
      let hasBegun = false
      const beginning = this.run(name, () => {
        begin()
        hasBegun = true
      })
      return Effect.onExit(Effect.andThen(beginning, effect), (exit) => (hasBegun ? this.end(exit) : Effect.void))
    })
  }

  private end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, SqlError> {
    if (Exit.isFailure(exit)) return this.rollback
    // A commit may fail and leave its transaction open, as over a deferred foreign key.
    return Effect.onError(
      this.run("commit", () => this.database.exec("commit")),
      () => this.rollback
    )
  }

  /** Ends a transaction, if one is open. A connection that cannot even do that is of no use to the next borrower. */
  readonly rollback: Effect.Effect<void> = Effect.sync(() => {
    this.endedBy = undefined
    if (!this.database.inTransaction) return
    if (Result.isFailure(Result.try(() => this.database.exec("rollback")))) this.isBroken = true
    this.wasInTransaction = this.database.inTransaction
  })

  /** Runs a statement, and waits while another process holds the lock. Not inside a transaction: that has to begin anew. */
  private run<X>(sql: string, work: () => X): Effect.Effect<X, SqlError> {
    const once = this.once(sql, work)
    const isWorthWaiting = (error: SqlError) => this.isWorthWaiting(error)
    return Effect.catchIf(once, isWorthWaiting, () => {
      const patiently: Effect.Effect<X, SqlError> = Effect.retry(once, {
        schedule: this.knocking,
        while: isWorthWaiting
      })
      return Effect.catchIf(patiently, isWorthWaiting, (error) => Effect.fail(this.stillLocked(error)))
    })
  }

  /** Not SQLite's own `busy_timeout`: it would stop the whole process, and with it whoever is to give back the lock. */
  private get knocking(): Schedule.Schedule<Duration.Duration> {
    return Schedule.upTo(RetryPolicy.exponential({ initial: "1 millis", max: "50 millis", factor: 1.5, jitter: 0.5 }), {
      duration: this.settings.patience
    })
  }

  private isWorthWaiting(error: SqlError): boolean {
    return (
      isBusy(error) && !this.database.inTransaction && Duration.isGreaterThan(this.settings.patience, Duration.zero)
    )
  }

  private stillLocked(cause: SqlError): SqlError {
    const patience = Duration.format(this.settings.patience)
    const message = `the database has been locked by somebody else for ${patience} (busyTimeout)`
    return failure("execute", new SqliteFailure({ code: "SQLITE_BUSY", message, cause }))
  }

  /** One attempt, in one step. */
  private once<X>(sql: string, work: () => X): Effect.Effect<X, SqlError> {
    return Effect.suspend(() => {
      const verb = verbOf(sql)
      const refusal = this.refusalOf(verb)
      if (refusal !== undefined) return Effect.fail(refusal)
      if (verb === "other") this.noteTouch()
      const since = this.now()
      const result = Result.try({ try: work, catch: (thrown) => toSqlError("execute", thrown) })
      this.noteEnd(result, this.now() - since)
      return Effect.fromResult(result)
    })
  }

  private refusalOf(verb: ReturnType<typeof verbOf>): SqlError | undefined {
    if (this.endedBy !== undefined) {
      if (verb !== "rollback") return this.endedBy
      this.endedBy = undefined
    }
    // A write into a file that nobody will find again must not look like a success. Reads are refused once it is known.
    const isGone =
      this.file.isGone || (verb !== "read" && verb !== "ask" && !this.wasInTransaction && this.file.hasMoved())
    return isGone ? this.gone() : undefined
  }

  gone(): SqlError {
    return connectionLost(`${this.file.path} was removed or replaced while it was open`)
  }

  /** What changes tables may change what prepared statements mean, and drivers may not notice. */
  private noteTouch(): void {
    this.isTouched = true
    this.prepared.clear()
  }

  private noteEnd(result: Result.Result<unknown, SqlError>, millis: number): void {
    const { inTransaction } = this.database
    this.statementCount++
    if (millis > this.longestMillis) this.longestMillis = millis
    if (Result.isFailure(result)) {
      const { failure } = result
      if (isBusy(failure)) this.busyCount++
      if (this.wasInTransaction && !inTransaction) this.endedBy = rolledBack(failure)
    }
    this.wasInTransaction = inTransaction
  }

  private prepare(sql: string): DriverStatement {
    const found = this.prepared.get(sql)
    if (found !== undefined) return found
    const made = this.database.prepare(sql)
    if (this.prepared.size === mostStatements) this.prepared.clear()
    this.prepared.set(sql, made)
    return made
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  /** Sets what a new connection is to have, and remembers what it has then. */
  readonly prepareConnection = (pragmas: Pragmas.Settings): Effect.Effect<void, SqlError> =>
    Effect.andThen(
      Effect.forEach(pragmas, ([name, value]) => this.run("pragma", () => Pragmas.set(this.database, name, value)), {
        discard: true
      }),
      this.run("pragma", () => {
        this.pragmas = Pragmas.read(this.database)
        this.isTouched = false
      })
    )

  /** Whether it reads its file, which is still there. A lock is a sign of life. */
  readonly check: Effect.Effect<void, SqlError> = Effect.suspend(() =>
    this.file.hasMoved()
      ? Effect.fail(this.gone())
      : Effect.catchIf(
          Effect.asVoid(this.once("select", () => this.prepare("pragma schema_version").all([]))),
          isBusy,
          () => Effect.void
        )
  )

  get state(): "clean" | "dirty" | "broken" {
    if (this.isBroken || this.file.isGone) return "broken"
    return this.isTouched || this.endedBy !== undefined || this.database.inTransaction ? "dirty" : "clean"
  }

  /** Leaves no transaction, no temporary table, no attached database and no changed pragma behind. */
  readonly reset: Effect.Effect<void, SqlError> = Effect.andThen(
    this.rollback,
    Effect.suspend(() => {
      if (this.isBroken) return Effect.fail(connectionLost("a transaction could not be rolled back"))
      return this.isTouched ? this.untouch : Effect.void
    })
  )

  private get untouch(): Effect.Effect<void, SqlError> {
    return this.once("pragma", () => {
      this.prepared.clear()
      Pragmas.restore(this.database, this.pragmas!)
      this.isTouched = false
    })
  }

  /** A database that is given up says nothing more: whoever waits for that has nobody to tell. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.prepared.clear()
    const tidy =
      this.settings.mode === "write" && this.state !== "broken"
        ? Effect.andThen(this.rollback, Effect.ignore(this.once("pragma", () => this.database.exec("pragma optimize"))))
        : Effect.void
    const closing = Effect.try({ try: () => this.database.close(), catch: (thrown) => toSqlError("close", thrown) })
    return Effect.andThen(tidy, Effect.ignore(closing, { log: "Warn", message: `${this.file.path} did not close` }))
  })
}

const rolledBack = (cause: SqlError): SqlError =>
  failure(
    "execute",
    new SqliteFailure({
      code: "SQLITE_ABORT",
      message: `SQLite has rolled the whole transaction back: ${cause.message}. Begin it anew.`,
      cause
    })
  )
