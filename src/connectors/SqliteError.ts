/** What SQLite and its drivers say when something goes wrong, in one language: SQLite's own result codes. */
import * as Data from "effect/Data"
import { hasProperty, isNumber, isString } from "effect/Predicate"
import { classifySqliteError, ConnectionError, isSqlError, SerializationError, SqlError } from "effect/sql/SqlError"
import type { FailureKind } from "../PoolError.ts"

/** The cause of every `SqlError` of the connector. */
export class SqliteFailure extends Data.TaggedError("SqliteFailure")<{
  /** SQLite's extended result code, such as `SQLITE_BUSY_SNAPSHOT`, if it was SQLite that failed. */
  readonly code: string | undefined
  readonly message: string
  /** Trying again will not help. Default: as the code says. */
  readonly isPermanent?: boolean
  /** The driver's error. */
  readonly cause?: unknown
}> {}

/** By SQLite's numbers, from 1 on. */
const primaryCodes =
  "ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB"
    .split(" ")
    .map((name) => `SQLITE_${name}`)

/** The second byte of a result code says more, where something here or in Effect's classification asks for it. */
const extendedCodes: Readonly<Record<string, ReadonlyArray<string>>> = {
  SQLITE_BUSY: ["RECOVERY", "SNAPSHOT", "TIMEOUT"],
  SQLITE_READONLY: ["RECOVERY", "CANTLOCK", "ROLLBACK", "DBMOVED", "CANTINIT", "DIRECTORY"],
  SQLITE_CONSTRAINT:
    "CHECK COMMITHOOK FOREIGNKEY FUNCTION NOTNULL PRIMARYKEY TRIGGER UNIQUE VTAB ROWID PINNED DATATYPE".split(" ")
}

const nameOf = (code: number): string | undefined => {
  const primary = primaryCodes[(code & 0xff) - 1]
  const extended = primary === undefined ? undefined : extendedCodes[primary]?.[(code >> 8) - 1]
  return extended === undefined ? primary : `${primary}_${extended}`
}

/** The code, wherever the driver keeps it: in `code`, in `errcode`, or at the end of its words. */
const codeIn = (error: unknown): string | undefined => {
  if (hasProperty(error, "code") && isString(error.code) && error.code.startsWith("SQLITE_")) return error.code
  if (hasProperty(error, "errcode") && isNumber(error.errcode)) return nameOf(error.errcode)
  if (hasProperty(error, "rawCode") && isNumber(error.rawCode)) return nameOf(error.rawCode)
  const number = error instanceof Error ? /^ConnectionFailed\(.*: (\d+)"\)$/.exec(error.message)?.[1] : undefined
  return number === undefined ? undefined : nameOf(Number(number))
}

/** An error of the connector's own, with the reason that Effect's programs tell errors apart by. */
export const failure = (operation: string, cause: SqliteFailure): SqlError => {
  const props = { cause, message: cause.message, operation }
  if (cause.code === "SQLITE_BUSY_SNAPSHOT") return new SqlError({ reason: new SerializationError(props) })
  return new SqlError({ reason: classifySqliteError(cause, props) })
}

/** Something thrown by a driver as a `SqlError`. */
export const toSqlError = (operation: string, thrown: unknown): SqlError => {
  if (thrown instanceof SqliteFailure) return failure(operation, thrown)
  const code = codeIn(thrown)
  const words = thrown instanceof Error ? thrown.message : String(thrown)
  return failure(operation, new SqliteFailure({ code, message: words, cause: thrown }))
}

/** The connection is of no more use. */
export const connectionLost = (message: string): SqlError => {
  const cause = new SqliteFailure({ code: "SQLITE_READONLY_DBMOVED", message })
  return new SqlError({ reason: new ConnectionError({ cause, message, operation: "execute" }) })
}

/** The code along the causes of an error: a pool's error keeps the connector's as its cause. */
export const codeOf = (error: unknown): string | undefined => failureOf(error)?.code

const failureOf = (error: unknown): SqliteFailure | undefined => {
  let current = error
  for (let depth = 0; depth < 6; depth++) {
    if (current instanceof SqliteFailure) return current
    if (!hasProperty(current, "cause")) return undefined
    current = current.cause
  }
  return undefined
}

const isOneOf = (code: string | undefined, names: ReadonlyArray<string>): boolean =>
  code !== undefined && names.some((name) => code === name || code.startsWith(`${name}_`))

/** Somebody else holds the lock, or, inside a transaction, has written since. */
export const isBusy = (error: SqlError): boolean => isOneOf(codeOf(error), ["SQLITE_BUSY", "SQLITE_LOCKED"])

/** The connection may not write. Nothing has been done. */
export const isReadOnlyRefusal = (error: unknown): boolean => codeOf(error) === "SQLITE_READONLY"

const permanent = ["SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH", "SQLITE_FORMAT"]

export const classify = (error: SqlError): FailureKind => {
  const cause = failureOf(error)
  return (cause?.isPermanent ?? isOneOf(cause?.code, permanent)) ? "permanent" : "transient"
}

/** The file or this connection's view of it is damaged or gone. A full disk, a lock, a broken constraint are none of this. */
const fatal = ["SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_READONLY_DBMOVED"]

export const isFatal = (error: unknown): boolean => isSqlError(error) && isOneOf(codeOf(error), fatal)
