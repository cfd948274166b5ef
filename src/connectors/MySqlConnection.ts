/** What borrowers hold: a connection of the driver's, asked by effects. */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Semaphore from "effect/Semaphore"
import type { Row } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type * as Stream from "effect/Stream"
import type { Connection } from "mysql2"
import type { Answer } from "./MySqlDriver.ts"
import { run } from "./MySqlRun.ts"
import type { Session } from "./MySqlSession.ts"
import { stream } from "./MySqlStream.ts"

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
  /** The driver's own connection. What is done with it directly is neither cancelled nor in turn; the session is reset afterwards. */
  readonly raw: Connection
}

/** Sessions by the connection that borrowers hold, for as long as somebody holds it. */
const sessions = new WeakMap<MySqlConnection, Session>()

export const sessionOf = (connection: MySqlConnection): Session => sessions.get(connection)!

export const make = (known: Pick<Session, "line" | "target" | "identity">): MySqlConnection => {
  const { identity, line } = known
  const session: Session = {
    ...known,
    turn: Semaphore.makeUnsafe(1),
    onLost: undefined,
    isDirty: false,
    hasMoved: false,
    transaction: "none"
  }
  line.socket.once("close", () => session.onLost?.())
  const ask = (sql: string, params: ReadonlyArray<unknown>, isPrepared: boolean) =>
    Effect.map(run(session, { sql, params, isPrepared, asArrays: false }), resultOf)
  const connection: MySqlConnection = {
    threadId: identity?.id ?? line.driver.threadId,
    query: (sql, params = []) => ask(sql, params, false),
    execute: (sql, params = []) => ask(sql, params, true),
    stream: (sql, params = []) =>
      stream(session, { sql, params, isPrepared: params.length > 0, asArrays: false }) as Stream.Stream<Row, SqlError>,
    get raw() {
      // Nobody sees what it is used for.
      session.isDirty = true
      return line.driver
    }
  }
  sessions.set(connection, session)
  return connection
}

/** Whether a statement gave several results, as a procedure does. */
const isSeveral = ({ fields, result }: Answer): boolean =>
  Array.isArray(result) && Array.isArray(fields) && fields.some((each) => each === undefined || Array.isArray(each))

/** The rows of an answer: the first ones, if it has several. */
export const rowsOf = (answer: Answer): ReadonlyArray<unknown> => {
  const { result } = answer
  if (!Array.isArray(result)) return []
  return isSeveral(answer) ? ((result as ReadonlyArray<unknown>).find(Array.isArray) ?? []) : result
}

const countIn = (result: unknown, field: "affectedRows" | "insertId"): number =>
  hasProperty(result, field) ? Number(result[field]) : 0

const resultOf = (answer: Answer): Result => ({
  rows: rowsOf(answer) as ReadonlyArray<Row>,
  affectedRows: countIn(answer.result, "affectedRows"),
  insertId: countIn(answer.result, "insertId"),
  raw: answer.result
})
