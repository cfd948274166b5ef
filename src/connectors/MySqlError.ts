/** What the driver and the server call errors, in the words of Effect's `SqlError` and of the pool. */
import { hasProperty, isNumber, isString } from "effect/Predicate"
import {
  AuthenticationError,
  AuthorizationError,
  ConnectionError,
  ConstraintError,
  DeadlockError,
  isSqlError,
  LockTimeoutError,
  SerializationError,
  SqlError,
  type SqlErrorReason,
  SqlSyntaxError,
  StatementTimeoutError,
  UniqueViolation,
  UnknownError
} from "effect/sql/SqlError"
import type { FailureKind } from "../PoolError.ts"

/** The server's number for an error. Node numbers those of sockets too, below zero. */
const errnoOf = (error: unknown): number =>
  hasProperty(error, "errno") && isNumber(error.errno) && error.errno > 0 ? error.errno : 0

const codeOf = (error: unknown): string => (hasProperty(error, "code") && isString(error.code) ? error.code : "")

const messageOf = (error: unknown): string =>
  hasProperty(error, "message") && isString(error.message) && error.message !== "" ? error.message : codeOf(error)

/** Wrong user or password, no plugin in common, an expired password, a locked account. */
const authentication = new Set([1045, 1251, 1275, 1524, 1698, 1820, 1862, 3118, 3955, 4151])
/** Not allowed to use this database, table, column, routine, or to do this at all. */
const authorization = new Set([1044, 1142, 1143, 1227, 1370, 1410, 1419])
/** No such database; this host may not come, or no more until `FLUSH HOSTS`; TLS is demanded. */
const unreachable = new Set([1049, 1129, 1130, 3159])
/** Too many connections: of the server, of this user; no thread or memory for another one. */
const overloaded = new Set([1040, 1041, 1135, 1203, 1226])
/** The server shuts down, or has ended this session: by `KILL`, or because it was idle. */
const endOfSession = new Set([1053, 1079, 1927, 3169, 4031])
const unique = new Set([1022, 1062, 1169, 1557, 1586, 1859])
/** Foreign keys, `not null`, checks. */
const constraint = new Set([1048, 1216, 1217, 1364, 1451, 1452, 3819, 4025])
/** `max_execution_time`, `max_statement_time`, and a `KILL QUERY`. */
const statementTimeout = new Set([1317, 1969, 3024])
const lockTimeout = new Set([1205, 1613, 3572])
const deadlock = new Set([1213, 1614])
/** A row has changed since the transaction's snapshot. */
const serialization = new Set([1020])

/** What the driver says when the connection is no more, besides the codes of sockets. */
const isLost = (error: unknown): boolean =>
  (hasProperty(error, "fatal") && error.fatal === true) ||
  /^(PROTOCOL_|E[A-Z]+$)/.test(codeOf(error)) ||
  messageOf(error).includes("closed state")

/** The driver gives every failure of TLS the same code, a connection that was lost meanwhile included. */
const isTlsRefusal = (error: unknown): boolean => {
  const code = codeOf(error)
  if (code === "HANDSHAKE_NO_SSL_SUPPORT") return true
  if (code !== "HANDSHAKE_SSL_ERROR") return false
  return !hasProperty(error, "syscall") && !messageOf(error).includes("before secure TLS connection")
}

const keyIn = (message: string): string => /for key '(.*)'$/.exec(message)?.[1] ?? "unknown"

const reasonOf = (cause: unknown, operation: string): SqlErrorReason => {
  const message = messageOf(cause)
  const fields = { cause, message, operation }
  const errno = errnoOf(cause)
  if (authentication.has(errno) || codeOf(cause).startsWith("AUTH_SWITCH")) return new AuthenticationError(fields)
  if (authorization.has(errno)) return new AuthorizationError(fields)
  if (unique.has(errno)) return new UniqueViolation({ ...fields, constraint: keyIn(message) })
  if (constraint.has(errno)) return new ConstraintError(fields)
  if (deadlock.has(errno)) return new DeadlockError(fields)
  if (lockTimeout.has(errno)) return new LockTimeoutError(fields)
  if (serialization.has(errno)) return new SerializationError(fields)
  if (statementTimeout.has(errno)) return new StatementTimeoutError(fields)
  if (unreachable.has(errno) || overloaded.has(errno) || endOfSession.has(errno)) return new ConnectionError(fields)
  if (errno === 0 && (operation === "connect" || isLost(cause))) return new ConnectionError(fields)
  // The class of SQLSTATEs for syntax, and for tables and columns that are not there.
  const isSyntax = hasProperty(cause, "sqlState") && isString(cause.sqlState) && cause.sqlState.startsWith("42")
  return isSyntax ? new SqlSyntaxError(fields) : new UnknownError(fields)
}

export const toSqlError = (cause: unknown, operation: string): SqlError =>
  isSqlError(cause) ? cause : new SqlError({ reason: reasonOf(cause, operation) })

/** The error of a statement whose connection was lost under it. */
export const lost = (operation: string): SqlError =>
  toSqlError(Object.assign(new Error("the connection was lost"), { code: "PROTOCOL_CONNECTION_LOST" }), operation)

/** Whether the server has rolled back more than the statement. */
export const endsTransaction = ({ reason }: SqlError): boolean => reason._tag === "DeadlockError"

export const classify = ({ reason: { _tag, cause } }: SqlError): FailureKind => {
  const errno = errnoOf(cause)
  if (overloaded.has(errno)) return "overloaded"
  const isRefused = _tag === "AuthenticationError" || _tag === "AuthorizationError" || unreachable.has(errno)
  return isRefused || isTlsRefusal(cause) || (errno > 0 && isMistaken(_tag)) ? "permanent" : "transient"
}

/** A setting that the server does not know fails each connection in the same way. */
const isMistaken = (tag: SqlErrorReason["_tag"]): boolean => tag === "SqlSyntaxError" || tag === "UnknownError"

export const isFatal = (error: unknown): boolean =>
  isSqlError(error) && (error.reason._tag === "ConnectionError" || endOfSession.has(errnoOf(error.reason.cause)))
