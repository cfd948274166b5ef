/** The state of a session with the server: what the pool knows of it, and what each statement and answer adds to that. */
import { hasProperty, isNumber } from "effect/Predicate"
import type * as Semaphore from "effect/Semaphore"
import { SerializationError, SqlError } from "effect/sql/SqlError"
import type { Identity } from "./MySqlCancel.ts"
import type { Answer, Line } from "./MySqlDriver.ts"
import { endsTransaction } from "./MySqlError.ts"
import { sessionEffectOf } from "./MySqlStatement.ts"
import type { Target } from "./MySqlTarget.ts"

/**
 * What is known of a session's transaction.
 *
 * - `none`, `open`: as the server has said, or as the statement that is on its way will have it.
 * - `doubtful`: a statement in it has failed, and some failures end the transaction. The server is asked before the next one.
 * - `lost`: the server has rolled it back, and its borrower may not know.
 */
export type Transaction = "none" | "open" | "doubtful" | "lost"

/** What the pool's own code needs of a connection, and its borrower need not know. */
export interface Session {
  readonly line: Line
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
  transaction: Transaction
}

/** Whether it is as it was when it was opened, as far as its statements and the server's answers say. */
export const isAsNew = ({ isDirty, transaction }: Session): boolean => !isDirty && transaction === "none"

export const isInTransaction = ({ line, transaction }: Session): boolean =>
  (transaction === "open" || transaction === "doubtful") && !line.socket.destroyed

export const isBusy = ({ onLost }: Session): boolean => onLost !== undefined

/** A statement is on its way, and `onLost` ends it when the connection is lost. */
export const occupy = (session: Session, onLost: () => void): void => {
  session.onLost = onLost
  session.line.isQuiet = false
}

export const free = (session: Session): void => {
  session.onLost = undefined
  session.line.isQuiet = true
}

/** The server's status flags. */
const inTransaction = 1
const autocommit = 2

/** What the server says of its session with an answer that has no rows. */
export const learn = (session: Session, { result }: Pick<Answer, "result">): void => {
  if (!hasProperty(result, "serverStatus") || !isNumber(result.serverStatus)) return
  session.transaction = (result.serverStatus & inTransaction) === 0 ? "none" : "open"
  if ((result.serverStatus & autocommit) === 0) session.isDirty = true
  if (!hasProperty(result, "stateChanges")) return
  session.isDirty = true
  if (hasProperty(result.stateChanges, "schema") && result.stateChanges.schema !== null) session.hasMoved = true
}

/** What a failure says of the transaction it has happened in. */
export const learnFailure = (session: Session, error: SqlError): void => {
  if (session.transaction === "open") session.transaction = endsTransaction(error) ? "lost" : "doubtful"
}

/** Whether a statement means the transaction that is open: neither the end of it nor the beginning of another. */
export const isMeantForTransaction = (sql: string): boolean => {
  const effect = sessionEffectOf(sql)
  return effect !== "begins" && effect !== "rollsBack"
}

/**
 * Notes what a statement may leave behind before it is sent, whatever will come of it. Refuses one that would run outside the
 * transaction that its borrower takes it to be in.
 */
export const note = (session: Session, sql: string): SqlError | undefined => {
  if (session.transaction === "lost" && isMeantForTransaction(sql)) return transactionLost()
  const effect = sessionEffectOf(sql)
  if (effect === "begins") session.transaction = "open"
  if (effect === "lasts" || effect === "moves") session.isDirty = true
  if (effect === "moves") session.hasMoved = true
  return undefined
}

const transactionLost = (): SqlError => {
  const message =
    "the server has rolled this transaction back, and the statement would run outside of it: roll back, and begin another"
  return new SqlError({ reason: new SerializationError({ cause: new Error(message), message, operation: "execute" }) })
}
