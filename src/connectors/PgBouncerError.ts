/** What PgBouncer says when it refuses, and what is to be done about it. */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import { hasProperty, isString } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { AuthenticationError, ConnectionError, isSqlError, SqlError, UnknownError } from "effect/sql/SqlError"
import type * as Stream from "node:stream"
import type { FailureKind } from "../PoolError.ts"
import { type Refusal, type SessionState, sessionStates } from "./PgBouncerStatement.ts"

/**
 * What PgBouncer refused, or gave up.
 *
 * @category models
 * @since 0.1.0
 */
export const PgBouncerFailure = Schema.Literals([
  "max_client_conn",
  "query_wait_timeout",
  "server_login_failing",
  "server_lost",
  "client_idle_timeout",
  "client_login_timeout",
  "idle_transaction_timeout",
  "query_timeout",
  "shutting_down",
  "killed",
  "database_disabled",
  "no_such_database",
  "authentication",
  "startup_parameter",
  "prepared_statements",
  "pool_mode",
  "configuration"
])

/**
 * What PgBouncer refused, or gave up: one of the names of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type PgBouncerFailure = typeof PgBouncerFailure.Type

interface Meaning {
  readonly kind: FailureKind
  readonly advice: string
}

const meanings: { readonly [F in PgBouncerFailure]: Meaning } = {
  max_client_conn: {
    kind: "overloaded",
    advice: "Lower `maxConnections` of the pools before this proxy, or raise its `max_client_conn`."
  },
  query_wait_timeout: {
    kind: "overloaded",
    advice:
      "The statement never reached PostgreSQL: no server connection was free for that long. Shorten transactions, lower `maxConnections`, or raise the proxy's `default_pool_size`. A proxy that is paused says this too."
  },
  server_login_failing: {
    kind: "transient",
    advice: "PostgreSQL cannot be reached from the proxy, which tries again every `server_login_retry` seconds."
  },
  server_lost: {
    kind: "transient",
    advice: "PostgreSQL ended the session of a statement that was running. Whether it was committed is not known."
  },
  client_idle_timeout: {
    kind: "transient",
    advice: "Keep the pool's `idleTimeout` below the proxy's `client_idle_timeout`, as `Postgres.pgBouncerPool` does."
  },
  client_login_timeout: { kind: "transient", advice: "The proxy was too busy to log us in, or had no server to ask." },
  idle_transaction_timeout: {
    kind: "transient",
    advice: "A borrower kept a transaction open without a statement for too long."
  },
  query_timeout: { kind: "transient", advice: "The statement took longer than the proxy's `query_timeout`." },
  shutting_down: { kind: "transient", advice: "The proxy is being stopped or restarted." },
  killed: { kind: "transient", advice: "An operator has used `KILL`, or the database was taken out of the proxy." },
  database_disabled: { kind: "permanent", advice: "An operator has used `DISABLE`; `ENABLE` ends it." },
  no_such_database: { kind: "permanent", advice: "Add the database to the proxy's section `[databases]`." },
  authentication: {
    kind: "permanent",
    advice: "The proxy has users and passwords of its own: look into its `auth_file`, `auth_query` and `auth_hba_file`."
  },
  startup_parameter: {
    kind: "permanent",
    advice: "Take it out of `startupParameters` and set it with `alter role ... set` on the server."
  },
  prepared_statements: {
    kind: "permanent",
    advice: "Take out `preparedStatements`, or give the proxy (1.21 or later) `max_prepared_statements` above 0."
  },
  pool_mode: { kind: "permanent", advice: "This profile is for `pool_mode = transaction`." },
  configuration: { kind: "permanent", advice: "The proxy's configuration does not allow this login." }
}

/** By its words. It gives nearly all of them the same SQLSTATE (`08P01`). */
const failures: ReadonlyArray<readonly [RegExp, PgBouncerFailure]> = [
  [/^no more connections allowed|^client connections exceeded/, "max_client_conn"],
  [/^query_wait_timeout/, "query_wait_timeout"],
  [
    /^server login has been failing|^pgbouncer cannot connect to server|^client_login_timeout \(server down\)|^server DNS lookup failed|^connect failed|^server login failed/,
    "server_login_failing"
  ],
  [/^server conn crashed|^server_lifetime|^server connection closed|^unexpected response from server/, "server_lost"],
  [/^client_idle_timeout/, "client_idle_timeout"],
  [/^client_login_timeout/, "client_login_timeout"],
  [/^idle[_ ]transaction[_ ]timeout/, "idle_transaction_timeout"],
  [/^query[_ ]timeout/, "query_timeout"],
  [/shutting down|^server connections dropped, exiting/, "shutting_down"],
  [/^database removed|^admin forced disconnect|^client killed/, "killed"],
  [/^database .*(?:is disabled|does not allow connections)/, "database_disabled"],
  [/^no such database/, "no_such_database"],
  [
    /authentication failed|^no such user|^login rejected|^unix socket login rejected|^wrong password type/,
    "authentication"
  ],
  [/^unsupported startup parameter/, "startup_parameter"],
  [/^transaction blocks not allowed in statement pooling mode/, "pool_mode"],
  [/^bouncer config error|^SSL required|^TLS required|^no username supplied|^no auth/, "configuration"]
]

/**
 * An error of the proxy itself, and not of PostgreSQL behind it. It is the cause of the `SqlError` that a borrower or the pool
 * meets. `failure` is what it is about, `said` are the proxy's own words; `kind` is how the pool takes it when it happens at a
 * connect.
 *
 * @category errors
 * @since 0.1.0
 */
export class PgBouncerError extends Schema.TaggedError<PgBouncerError>("effect-pool/PgBouncerError")("PgBouncerError", {
  failure: PgBouncerFailure,
  said: Schema.String
}) {
  get kind(): FailureKind {
    return meanings[this.failure].kind
  }

  override get message(): string {
    return `PgBouncer: ${this.said}. ${meanings[this.failure].advice}`
  }
}

const article = (state: SessionState): string => (state === "advisory lock" ? "an" : "a")

const advice: { readonly [S in SessionState]: string } = {
  setting: "use `set local`, or `set_config` with a literal `true`, inside a transaction; or `alter role ... set`",
  listener: "listen on a pool that is connected to PostgreSQL itself; `notify` works through the proxy",
  "prepared statement":
    "send the statement itself; with PgBouncer 1.21 or later the driver can name it (`preparedStatements`)",
  "temporary object": "add `on commit drop` to a temporary table, and use it inside a transaction",
  "advisory lock": "use `pg_advisory_xact_lock` or `pg_try_advisory_xact_lock` inside a transaction",
  cursor: "declare it without `with hold` inside a transaction",
  library: "let the server load it (`session_preload_libraries`)"
}

/**
 * A statement was not sent, since it sets state of the session: behind a proxy in transaction mode that state would stay on a
 * server connection which goes to another client next. It is the cause of a `SqlError`. `state` is what it
 * would have left; `statement` has no literals in it.
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionStateRefused extends Schema.TaggedError<SessionStateRefused>("effect-pool/SessionStateRefused")(
  "SessionStateRefused",
  { state: Schema.Literals(sessionStates), statement: Schema.String }
) {
  readonly code = "PGBOUNCER_SESSION_STATE"

  override get message(): string {
    return (
      `refused behind PgBouncer: \`${this.statement}\` would leave ${article(this.state)} ${this.state} on a server connection that goes to ` +
      `another client next; ${advice[this.state]}.`
    )
  }
}

/** A refused statement as the error that statements fail with. */
export const refused = ({ state, words }: Refusal): SqlError => {
  const cause = new SessionStateRefused({ state, statement: words })
  return new SqlError({ reason: new UnknownError({ cause, message: cause.message, operation: "query" }) })
}

/** The proxy was said to keep track of prepared statements, and does not. */
export const untracked = (): SqlError => {
  const cause = new PgBouncerError({
    failure: "prepared_statements",
    said: "it does not keep track of prepared statements, and would mix up those of its clients"
  })
  return new SqlError({ reason: new ConnectionError({ cause, message: cause.message, operation: "connect" }) })
}

/** What the server has said, along the causes of an error. */
const saidIn = (error: unknown): string | undefined => {
  for (let current: unknown = error, depth = 0; current !== undefined && depth < 6; depth++) {
    if (hasProperty(current, "severity") && hasProperty(current, "code") && hasProperty(current, "message")) {
      return isString(current.code) && isString(current.message) && mayBeOfProxy(current.code)
        ? current.message
        : undefined
    }
    current = hasProperty(current, "reason")
      ? current.reason
      : hasProperty(current, "cause")
        ? current.cause
        : undefined
  }
  return undefined
}

/** The classes of connection, authorization, unknown database, resources and intervention. */
const mayBeOfProxy = (code: string): boolean => /^(?:08|28|3D|53|57P)/.test(code)

const errorOf = (said: string): PgBouncerError | undefined => {
  const failure = failures.find(([pattern]) => pattern.test(said))?.[1]
  return failure && new PgBouncerError({ failure, said })
}

/**
 * The last words of a connection, for which the driver has no ear while it waits for the answer to a statement: it reports
 * that the connection was closed, and not why.
 */
export class LastWords {
  private tail: Uint8Array | undefined = undefined

  /** Listens to what the driver reads, deciphered if need be. */
  constructor(socket: Stream.Duplex) {
    socket.on("data", (chunk: Uint8Array) => {
      // An answer that is whole ends with `ReadyForQuery`, so that most chunks are done with here.
      this.tail = isWhole(chunk) ? undefined : Uint8Array.prototype.slice.call(chunk, -longestWords)
    })
  }

  /** What the server said in the end, unless that was the end of an answer. */
  get said(): { readonly code: string; readonly message: string } | undefined {
    return this.tail && errorAtEndOf(this.tail)
  }
}

const longestWords = 1024

/** `Z`, the length 5, and the state of the transaction. */
const isWhole = (chunk: Uint8Array): boolean => {
  const at = chunk.length - 6
  return at >= 0 && chunk[at] === 0x5a && chunk[at + 1] === 0 && chunk[at + 4] === 5
}

/** An `ErrorResponse` that ends where the bytes end: `E`, a length, and fields of a letter and a text each. */
const errorAtEndOf = (bytes: Uint8Array): { readonly code: string; readonly message: string } | undefined => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = buffer.indexOf(0x45); at >= 0 && at + 5 < buffer.length; at = buffer.indexOf(0x45, at + 1)) {
    if (buffer.readInt32BE(at + 1) !== buffer.length - at - 1) continue
    const fields = new Map(
      buffer
        .toString("utf8", at + 5)
        .split("\0")
        .map((field) => [field.slice(0, 1), field.slice(1)] as const)
    )
    const code = fields.get("C")
    const message = fields.get("M")
    if (code !== undefined && message !== undefined) return { code, message }
  }
  return undefined
}

/** The socket that the driver reads from, which under TLS is not the one that we opened. */
export const readsFrom = (connection: PgConnection.PgConnection): Stream.Duplex | undefined => {
  const session: unknown = hasProperty(connection, "session") ? connection.session : undefined
  return hasProperty(session, "socket") ? (session.socket as Stream.Duplex) : undefined
}

/** An error of the driver, which names the proxy as its cause where the proxy is. */
export const typed = (error: SqlError, operation: string, lastWords?: LastWords): SqlError => {
  const last = error.reason._tag === "ConnectionError" ? lastWords?.said : undefined
  const said = saidIn(error) ?? (last && mayBeOfProxy(last.code) ? last.message : undefined)
  const cause = said === undefined ? undefined : errorOf(said)
  if (cause === undefined) return error
  const Reason = cause.failure === "authentication" ? AuthenticationError : ConnectionError
  return new SqlError({ reason: new Reason({ cause, message: cause.message, operation }) })
}

const causeOf = <T>(error: unknown, is: (cause: unknown) => cause is T): T | undefined => {
  for (let current: unknown = error, depth = 0; current !== undefined && depth < 6; depth++) {
    if (is(current)) return current
    current = isSqlError(current) ? current.reason : hasProperty(current, "cause") ? current.cause : undefined
  }
  return undefined
}

/**
 * The proxy's error in the causes of another one: of a `SqlError`, or of an error of the pool.
 *
 * **Example** (Why the proxy refused)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Postgres from "effect-pool/Postgres"
 *
 * const refusal = new Postgres.PgBouncerError({ failure: "query_wait_timeout", said: "query_wait_timeout" })
 * const error = new Error("no answer", { cause: refusal })
 *
 * const program = Effect.sync(() => Postgres.pgBouncerErrorIn(error)?.kind) // => "overloaded"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const pgBouncerErrorIn = (error: unknown): PgBouncerError | undefined =>
  causeOf(error, (cause): cause is PgBouncerError => cause instanceof PgBouncerError)

/**
 * The refusal in the causes of an error, if a statement was refused for the state that it would have left.
 *
 * See {@link pgBouncer} for an example.
 *
 * @category errors
 * @since 0.1.0
 */
export const sessionStateRefusedIn = (error: unknown): SessionStateRefused | undefined =>
  causeOf(error, (cause): cause is SessionStateRefused => cause instanceof SessionStateRefused)
