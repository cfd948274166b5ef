/** A session with the server: what its borrowers hold, what the pool knows of it, and what is done between two of them. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { hasProperty, isNumber } from "effect/Predicate"
import * as Semaphore from "effect/Semaphore"
import type { Row } from "effect/sql/SqlConnection"
import { DeadlockError, SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { Connection } from "mysql2"
import { type Identity, killQuery } from "./MySqlCancel.ts"
import * as Driver from "./MySqlDriver.ts"
import { endsTransaction, lost, toSqlError } from "./MySqlError.ts"
import { sessionEffectOf } from "./MySqlStatement.ts"
import type { Target } from "./MySqlTarget.ts"

/**
 * What a statement gave.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result {
  /** Of the first result that has rows; none for a statement that gives none. */
  readonly rows: ReadonlyArray<Row>
  /** Rows that were found by an `update`, inserted, or deleted. */
  readonly affectedRows: number
  /** The first value of an `auto_increment` column that was made; 0 if none was. */
  readonly insertId: number
  /** The driver's own result: rows, a header, or an array of them where a statement gives several. */
  readonly raw: unknown
}

/**
 * A connection to MySQL or MariaDB. Its statements run one after the other. One that is interrupted is cancelled on the server
 * (`KILL QUERY`), and the interruption is over when that has come about: what comes next on the connection is not hit by it.
 * If it does not come about within a second, the connection is closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface MySqlConnection {
  /** The session's number on the server. */
  readonly threadId: number
  /** Runs a statement as one text, into which the driver writes the parameters. */
  readonly query: (sql: string, params?: ReadonlyArray<unknown>) => Effect.Effect<Result, SqlError>
  /** Runs a prepared statement: the server gets its parameters apart from it, and plans it once for each connection. */
  readonly execute: (sql: string, params?: ReadonlyArray<unknown>) => Effect.Effect<Result, SqlError>
  /** The rows of a statement, no faster than they are asked for. Ending the stream early cancels the statement. */
  readonly stream: (sql: string, params?: ReadonlyArray<unknown>) => Stream.Stream<Row, SqlError>
  /** The driver's own connection. What is done with it directly is not seen here: neither cancelled, nor in turn, nor reset. */
  readonly raw: Connection
}

/** What the pool's own code needs of a connection, and its borrower need not know. */
export interface Session {
  readonly line: Driver.Line
  readonly target: Target
  /** Unknown where the server does not say: then nothing can be cancelled. */
  readonly identity: Identity | undefined
  /** One statement at a time: a request to cancel names the session, and must not hit another fiber's statement. */
  readonly turn: Semaphore.Semaphore
  /** Ends the statement that is running when the connection is lost: the driver does not tell all of them. */
  onLost: (() => void) | undefined
  isDirty: boolean
  /** It may be in another database than at first. */
  hasMoved: boolean
  /** `lost`: the server has rolled it back, and its borrower may not know. */
  transaction: "none" | "open" | "lost"
}

/** Sessions by the connection that borrowers hold, for as long as somebody holds it. */
const sessions = new WeakMap<MySqlConnection, Session>()

export const sessionOf = (connection: MySqlConnection): Session => sessions.get(connection)!

/** Whether it is as it was when it was opened, as far as its statements and the server's answers say. */
export const isAsNew = ({ isDirty, transaction }: Session): boolean => !isDirty && transaction === "none"

export const isInTransaction = ({ line, transaction }: Session): boolean =>
  transaction === "open" && !line.socket.destroyed

export const isBusy = ({ onLost }: Session): boolean => onLost !== undefined

export const make = (line: Driver.Line, target: Target, identity: Identity | undefined): MySqlConnection => {
  const session: Session = {
    line,
    target,
    identity,
    turn: Semaphore.makeUnsafe(1),
    onLost: undefined,
    isDirty: false,
    hasMoved: false,
    transaction: "none"
  }
  line.socket.once("close", () => session.onLost?.())
  const connection: MySqlConnection = {
    threadId: identity?.id ?? line.driver.threadId,
    query: (sql, params = []) =>
      Effect.map(run(session, { sql, params, isPrepared: false, asArrays: false }), resultOf),
    execute: (sql, params = []) =>
      Effect.map(run(session, { sql, params, isPrepared: true, asArrays: false }), resultOf),
    stream: (sql, params = []) =>
      stream(session, { sql, params, isPrepared: params.length > 0, asArrays: false }) as Stream.Stream<Row, SqlError>,
    raw: line.driver
  }
  sessions.set(connection, session)
  return connection
}

/** Whether a statement gave several results, as a procedure does. */
const isSeveral = ({ fields, result }: Driver.Answer): boolean =>
  Array.isArray(result) && Array.isArray(fields) && fields.some((each) => each === undefined || Array.isArray(each))

/** The rows of an answer: the first ones, if it has several. */
export const rowsOf = (answer: Driver.Answer): ReadonlyArray<unknown> => {
  const { result } = answer
  if (!Array.isArray(result)) return []
  return isSeveral(answer) ? ((result as ReadonlyArray<unknown>).find(Array.isArray) ?? []) : result
}

const countIn = (result: unknown, field: "affectedRows" | "insertId"): number =>
  hasProperty(result, field) ? Number(result[field]) : 0

const resultOf = (answer: Driver.Answer): Result => ({
  rows: rowsOf(answer) as ReadonlyArray<Row>,
  affectedRows: countIn(answer.result, "affectedRows"),
  insertId: countIn(answer.result, "insertId"),
  raw: answer.result
})

const inTransaction = 1
const autocommit = 2

/** What the server says of its session with an answer that has no rows. */
const learn = (session: Session, { result }: Driver.Answer): void => {
  if (!hasProperty(result, "serverStatus") || !isNumber(result.serverStatus)) return
  session.transaction = (result.serverStatus & inTransaction) === 0 ? "none" : "open"
  if ((result.serverStatus & autocommit) === 0) session.isDirty = true
  if (!hasProperty(result, "stateChanges")) return
  session.isDirty = true
  if (hasProperty(result.stateChanges, "schema") && result.stateChanges.schema !== null) session.hasMoved = true
}

/**
 * Notes what a statement may leave behind before it is sent, whatever will come of it. Refuses one that would run outside the
 * transaction that its borrower takes it to be in.
 */
const note = (session: Session, sql: string): SqlError | undefined => {
  const effect = sessionEffectOf(sql)
  if (session.transaction === "lost" && effect !== "begins" && effect !== "rollsBack") return transactionLost()
  if (effect === "begins") session.transaction = "open"
  if (effect === "lasts" || effect === "moves") session.isDirty = true
  if (effect === "moves") session.hasMoved = true
  return undefined
}

const transactionLost = (): SqlError => {
  const message =
    "the server has rolled this transaction back after a deadlock, and the statement would run outside of it: roll back, and begin another"
  return new SqlError({ reason: new DeadlockError({ cause: new Error(message), message, operation: "execute" }) })
}

const noteFailure = (session: Session, error: SqlError): void => {
  if (session.transaction === "open" && endsTransaction(error)) session.transaction = "lost"
}

/** Runs a statement when those before it are over. */
export const run = (session: Session, request: Driver.Request): Effect.Effect<Driver.Answer, SqlError> =>
  session.turn.withPermit(
    Effect.callback<Driver.Answer, SqlError>((resume) => {
      const refusal = note(session, request.sql)
      if (refusal) return resume(Effect.fail(refusal))
      if (session.line.socket.destroyed) return resume(Effect.fail(lost("execute")))
      const end = Deferred.makeUnsafe<void>()
      const finish = (outcome: Effect.Effect<Driver.Answer, SqlError>): void => {
        if (session.onLost !== onLost) return
        free(session)
        Deferred.doneUnsafe(end, Exit.void)
        resume(outcome)
      }
      const onLost = () => finish(Effect.fail(lost("execute")))
      occupy(session, onLost)
      Driver.send(session.line, request, (error, answer) => {
        if (error) noteFailure(session, error)
        else learn(session, answer)
        finish(error ? Effect.fail(error) : Effect.succeed(answer))
      })
      return giveUp(session, Deferred.await(end))
    })
  )

const occupy = (session: Session, onLost: () => void): void => {
  session.onLost = onLost
  session.line.isQuiet = false
}

const free = (session: Session): void => {
  session.onLost = undefined
  session.line.isQuiet = true
}

/** How long a statement may take to end once nobody wants it any more. A server that is well needs a few milliseconds. */
const patience = "900 millis"

/** A statement that gives nothing: it takes upon itself a `KILL QUERY` that came after the statement it was meant for. */
const absorb = (session: Session): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (session.line.socket.destroyed) return resume(Effect.void)
    Driver.send(session.line, { sql: "do 0", params: [], isPrepared: false, asArrays: false }, () =>
      resume(Effect.void)
    )
  })

/**
 * Ends the statement that is running: when this is over, so is the statement, and no request to cancel it is under way. If
 * that cannot be had, so is the connection.
 */
const giveUp = (session: Session, end: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { identity, line, target } = session
    const hasEnded = () => session.onLost === undefined
    if (hasEnded()) return Effect.void
    if (identity === undefined) return Effect.sync(() => line.socket.destroy())
    const cancelled = Effect.andThen(
      killQuery(target, identity, () => hasEnded() || line.socket.destroyed),
      Effect.andThen(end, absorb(session))
    )
    return Effect.flatMap(Effect.exit(Effect.timeoutOption(cancelled, patience)), (exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) || Option.isNone(exit.value)) line.socket.destroy()
      })
    )
  })

/** How many rows wait between the driver and the stream before the server has to. */
const bufferedRows = 256

type Rows = NonEmptyReadonlyArray<unknown>

/** The rows of a statement. It has the session for as long as the stream lasts. */
export const stream = (session: Session, request: Driver.Request): Stream.Stream<unknown, SqlError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      yield* Semaphore.takeScoped(session.turn, 1)
      const rows = yield* Effect.acquireRelease(openRows(session, request), (rows) => rows.close)
      return Stream.fromPull(Effect.succeed(rows.pull))
    })
  )

interface OpenRows {
  readonly pull: Effect.Effect<Rows, SqlError | Cause.Done>
  readonly close: Effect.Effect<void>
}

const openRows = (session: Session, request: Driver.Request): Effect.Effect<OpenRows, SqlError> =>
  Effect.suspend(() => {
    const refusal = note(session, request.sql)
    if (refusal) return Effect.fail(refusal)
    if (session.line.socket.destroyed) return Effect.fail(lost("stream"))
    return Effect.try({
      try: () => watchRows(session, request),
      catch: (error) => toSqlError(error, "stream")
    })
  })

const watchRows = (session: Session, request: Driver.Request): OpenRows => {
  const command = Driver.sendForRows(session.line, request)
  const readable = command.stream({ highWaterMark: bufferedRows })
  const end = Deferred.makeUnsafe<void>()
  let failure: SqlError | undefined = undefined
  let wake = () => {}
  const finish = (): void => {
    if (session.onLost !== onLost) return
    free(session)
    Deferred.doneUnsafe(end, Exit.void)
    wake()
  }
  const onLost = () => {
    failure ??= lost("stream")
    finish()
  }
  occupy(session, onLost)
  // The command goes on when nobody reads any more, and an 'error' that nobody hears would end the process.
  command.on("error", (error: unknown) => {
    failure ??= toSqlError(error, "stream")
    noteFailure(session, failure)
    wake()
  })
  let givesRows = false
  command.on("fields", (fields: unknown) => {
    givesRows = fields !== undefined
  })
  command.on("result", (result: unknown) => {
    if (!givesRows) learn(session, { result, fields: undefined })
  })
  command.on("end", finish)
  readable.on("error", () => wake())
  readable.on("readable", () => wake())
  readable.on("end", () => wake())

  // Reading makes the driver go on, and what it finds then may wake us: rows that were read in there would overtake these.
  let isReading = false
  const read = (): Array<unknown> => {
    const rows: Array<unknown> = []
    isReading = true
    for (let row: unknown; rows.length < bufferedRows && (row = readable.read() as unknown) !== null;) rows.push(row)
    isReading = false
    return rows
  }
  const pull = Effect.callback<Rows, SqlError | Cause.Done>((resume) => {
    const attempt = () => {
      if (isReading) return
      const rows = read()
      if (rows.length > 0) return settle(Effect.succeed(rows as unknown as Rows))
      if (failure) return settle(Effect.fail(failure))
      if (readable.readableEnded || readable.destroyed) return settle(Cause.done())
    }
    const settle = (outcome: Effect.Effect<Rows, SqlError | Cause.Done>) => {
      wake = () => {}
      resume(outcome)
    }
    wake = attempt
    attempt()
  })
  const close = Effect.suspend(() => {
    // What is still to come is dropped: the connection reads on until the end of it.
    readable.destroy()
    return giveUp(session, Deferred.await(end))
  })
  return { pull, close }
}

/** One round trip. */
export const check = (connection: MySqlConnection): Effect.Effect<unknown, SqlError> => {
  const { line, turn } = sessionOf(connection)
  return turn.withPermit(Driver.command(line, "ping"))
}

/** The text that makes a session's settings what they were: a reset returns to those of the server. */
export const settingsText = ({ driver, target }: { readonly driver: Connection; readonly target: Target }): string =>
  ["set names utf8mb4 collate utf8mb4_unicode_ci"]
    .concat(Object.entries(target.settings).map(([name, value]) => driver.format(`${name} = ?`, [value])))
    .join(", ")

/** A statement of the pool's own. Whoever gives it up wants the session no more. */
const upkeep = ({ line }: Session, sql: string): Effect.Effect<void, SqlError> =>
  Effect.callback<void, SqlError>((resume) => {
    const onClose = () => resume(Effect.fail(lost("reset")))
    if (line.socket.destroyed) return onClose()
    line.socket.once("close", onClose)
    Driver.send(line, { sql, params: [], isPrepared: false, asArrays: false }, (error) => {
      line.socket.off("close", onClose)
      resume(error ? Effect.fail(error) : Effect.void)
    })
    return Effect.sync(() => line.socket.destroy())
  })

/** Sets what every session has, on one that is new. */
export const settle = (connection: MySqlConnection): Effect.Effect<void, SqlError> => {
  const session = sessionOf(connection)
  const { line, target } = session
  return Object.keys(target.settings).length === 0
    ? Effect.void
    : upkeep(session, settingsText({ driver: line.driver, target }))
}

/** Nobody can leave all databases again but by a new connection. */
const astray = (): SqlError =>
  toSqlError(new Error("the session is in a database, and was in none when it was opened"), "reset")

/**
 * Leaves no transaction, variable, setting, lock, prepared statement and temporary table behind. What a reset does not do: the
 * character set goes back to the server's (MySQL) or stays (MariaDB), and the database stays.
 */
export const reset = (connection: MySqlConnection): Effect.Effect<void, SqlError> => {
  const session = sessionOf(connection)
  const { line, target, turn } = session
  return turn.withPermit(
    Effect.gen(function* () {
      if (session.hasMoved && target.database === undefined) return yield* astray()
      yield* Driver.command(line, "reset")
      yield* upkeep(session, settingsText({ driver: line.driver, target }))
      if (target.database !== undefined) yield* upkeep(session, `use ${line.driver.escapeId(target.database)}`)
      session.isDirty = false
      session.hasMoved = false
      session.transaction = "none"
    })
  )
}

/** Completes when the connection is lost, used or not. */
export const closed = (connection: MySqlConnection): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const { socket } = sessionOf(connection).line
    if (socket.destroyed) return resume(Effect.void)
    const onClose = () => resume(Effect.void)
    socket.once("close", onClose)
    return Effect.sync(() => socket.off("close", onClose))
  })
