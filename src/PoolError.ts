/**
 * The errors of a pool. Each carries its numbers, a diagnosis and advice, in this order, and never a secret.
 *
 * `AcquireError` is what acquiring can fail with; an HTTP handler that lets one escape answers 503 with an
 * `application/problem+json` body and a `Retry-After` header: the error's own, or 1 second where it has none.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as Schema from "effect/Schema"

/**
 * How many connections were in which state when an error was made.
 *
 * - `total`: in every state, which are `idle`, `inUse`, `connecting`, `checking`, `resetting` and `closing`.
 * - `waiting`: those who waited. `limit`: how many connections there might be.
 *
 * @category models
 * @since 0.1.0
 */
export const Snapshot = Schema.Struct({
  total: Schema.Int,
  idle: Schema.Int,
  inUse: Schema.Int,
  connecting: Schema.Int,
  checking: Schema.Int,
  resetting: Schema.Int,
  closing: Schema.Int,
  waiting: Schema.Int,
  limit: Schema.Int
})

/**
 * The connections of a pool by state, as an error keeps them.
 *
 * @category models
 * @since 0.1.0
 */
export type Snapshot = typeof Snapshot.Type

/**
 * What kind of failure a connect met: `transient` (trying again may help), `permanent` (it will not, until someone
 * changes something), `overloaded` (the server has no room for another connection).
 *
 * @category models
 * @since 0.1.0
 */
export const FailureKind = Schema.Literals(["transient", "permanent", "overloaded"])

/**
 * What kind of failure it is: `"transient"`, `"permanent"` or `"overloaded"`.
 *
 * @category models
 * @since 0.1.0
 */
export type FailureKind = typeof FailureKind.Type

/**
 * Why a connect failed, as a label of few values, for metrics and programs: nobody listens there (`refused`), no answer in time (`timeout`), no such host
 * (`dns`), the certificate or the protocol (`tls`), the credentials (`auth`), no room on the server (`too_many_connections`), the
 * connection broke while it was made (`reset`), or something else.
 *
 * @category models
 * @since 0.1.0
 */
export const FailureReason = Schema.Literals([
  "refused",
  "timeout",
  "dns",
  "tls",
  "auth",
  "too_many_connections",
  "reset",
  "other"
])

/**
 * Why a connect failed: one of the labels of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type FailureReason = typeof FailureReason.Type

/**
 * The last failed attempt to connect: `attempts` counts those since the last success, `at` is wall time in
 * milliseconds, `retryInMillis` the time to the next attempt when this was written (absent while one is running).
 *
 * - `kind`: whether another try may help. `reason`: why it failed, as a label of few values. `message`: why, in words,
 *   without secrets.
 *
 * @category models
 * @since 0.1.0
 */
export const ConnectFailure = Schema.Struct({
  kind: FailureKind,
  reason: FailureReason,
  message: Schema.String,
  at: Schema.Finite,
  attempts: Schema.Int,
  retryInMillis: Schema.optionalKey(Schema.Finite)
})

/**
 * The last failed attempt to connect, as an error or a status tells it.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectFailure = typeof ConnectFailure.Type

/**
 * Somebody who holds a connection: which fiber and operation (`holder`, in words), which connection and lease, and for how long.
 *
 * - `connection`, `lease`: their numbers in the pool. `heldForMillis`: for how long, in milliseconds.
 * - `operation`: the span or `Effect.fn` in which it was borrowed. `path`: those around it too, the innermost first.
 * - `place`: where in the sources that is. `fiber`: the fiber's number. `trace`: the trace it belongs to.
 * - `isLeakSuspected`: it is held past `leakThreshold`. `stack`: where it was borrowed, while stacks are captured.
 *
 * What is not known is absent.
 *
 * @category models
 * @since 0.1.0
 */
export const Holder = Schema.Struct({
  holder: Schema.String,
  connection: Schema.Int,
  lease: Schema.Int,
  heldForMillis: Schema.Int,
  operation: Schema.optionalKey(Schema.String),
  path: Schema.optionalKey(Schema.String),
  place: Schema.optionalKey(Schema.String),
  fiber: Schema.optionalKey(Schema.Int),
  trace: Schema.optionalKey(Schema.String),
  isLeakSuspected: Schema.optionalKey(Schema.Boolean),
  stack: Schema.optionalKey(Schema.String)
})

/**
 * Somebody who holds a connection, as errors, leaks and status name him.
 *
 * @category models
 * @since 0.1.0
 */
export type Holder = typeof Holder.Type

/**
 * What is the matter with a pool: one answer for error texts, health, status and console alike.
 *
 * - `healthy`: nothing. `starting`: no connection has opened yet, and no attempt has failed.
 * - `cannot-connect`: the attempts to open a connection fail. `server-refuses`: the server has no room for another one.
 *   `connecting-slowly`: connections are being opened or checked, and that takes long.
 * - `self-deadlock`: those who hold connections wait for more of them.
 * - `leak-suspected`: a connection is held past `leakThreshold`. `held-too-long`: leases run for much longer than is usual.
 * - `under-provisioned`: the usual load needs more connections than there may be. `burst`: more came at once than usually does.
 * - `event-loop-blocked`: the process was busy for so long that timers were late.
 * - `paused`, `draining`, `closed`: somebody asked for it.
 *
 * @category models
 * @since 0.1.0
 */
export const DiagnosisKind = Schema.Literals([
  "healthy",
  "starting",
  "cannot-connect",
  "server-refuses",
  "connecting-slowly",
  "self-deadlock",
  "leak-suspected",
  "held-too-long",
  "under-provisioned",
  "burst",
  "event-loop-blocked",
  "paused",
  "draining",
  "closed"
])

/**
 * What is the matter with a pool: one of the names of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type DiagnosisKind = typeof DiagnosisKind.Type

/**
 * What is the matter (`kind`), what shows it (`summary`: one sentence, the numbers first), and what to do (`advice`: the
 * first thing first).
 *
 * @category models
 * @since 0.1.0
 */
export const Diagnosis = Schema.Struct({
  kind: DiagnosisKind,
  summary: Schema.String,
  advice: Schema.Array(Schema.String)
})

/**
 * What is the matter with a pool, what shows it, and what to do.
 *
 * @category models
 * @since 0.1.0
 */
export type Diagnosis = typeof Diagnosis.Type

const seconds = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`

const numbers = (snapshot: Snapshot): string =>
  `${snapshot.inUse} of ${snapshot.limit} in use, ${snapshot.idle} idle, ${snapshot.connecting} connecting, ` +
  `${snapshot.waiting} waiting`

const attempts = (failure: ConnectFailure): string =>
  `the last of ${failure.attempts} attempt${failure.attempts === 1 ? "" : "s"} failed with: ${failure.message}`

/**
 * The answer of an HTTP handler that lets an acquire error escape. Clients read it: no cause, and no name of the pool,
 * which may be a host's.
 */
const problem = (
  error: { readonly code: string; readonly retryAfterSeconds?: number },
  title: string
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { code, retryAfterSeconds = 1 } = error
  const type = `urn:effect-pool:${code.toLowerCase().replaceAll("_", "-")}`
  const body = { type, status: 503, title, code, retryAfter: retryAfterSeconds }
  return Effect.succeed(
    HttpServerResponse.setHeader(ProblemDetails.toResponse(body), "retry-after", String(retryAfterSeconds))
  )
}

/** `held for 41.2 s by ReportService.export < Jobs.nightly, src/report.ts:88:21, fiber #218, trace 4bf92f35...` */
const holderText = ({
  connection,
  fiber,
  heldForMillis,
  holder,
  isLeakSuspected,
  path,
  place,
  trace
}: Holder): string => {
  const who = path === undefined ? holder : `${path}${fiber === undefined ? "" : `  fiber #${fiber}`}`
  const where = `${place === undefined ? "" : `  ${place}`}${trace === undefined ? "" : `  trace ${trace}`}`
  return `connection ${connection} held ${seconds(heldForMillis)}  ${who}${where}${isLeakSuspected === true ? "  (a leak?)" : ""}`
}

/**
 * An acquire waited for its whole `acquireTimeout` and got no connection.
 *
 * - `pool`: the pool's name. `timeoutMillis`: its `acquireTimeout`, in milliseconds.
 * - `waitedMillis`: what it really waited; much more than `timeoutMillis` means that the event loop was blocked.
 * - `waiter`: whose acquire it was. `position`: its place in line when it came, from 1. `snapshot`: the pool when it gave up.
 * - `diagnosis`, `summary`, `advice`: what is the matter, what shows it, and what to do. `holders`: who has had connections longest.
 * - `lastFailure`, `cause`: why connects fail, and the connector's own error; absent while they do not.
 * - `retryAfterSeconds`: when another try is worth while, as the answer to an HTTP client says it.
 *
 * `message` is one line; `report` (and `toString`) has the holders and all the advice on lines of their own.
 *
 * @category errors
 * @since 0.1.0
 */
export class AcquireTimeout extends Schema.TaggedError<AcquireTimeout>("effect-pool/AcquireTimeout")("AcquireTimeout", {
  pool: Schema.String,
  timeoutMillis: Schema.Finite,
  waitedMillis: Schema.Finite,
  waiter: Schema.String,
  position: Schema.Int,
  diagnosis: DiagnosisKind,
  summary: Schema.String,
  advice: Schema.Array(Schema.String),
  holders: Schema.Array(Holder),
  snapshot: Snapshot,
  lastFailure: Schema.optionalKey(ConnectFailure),
  retryAfterSeconds: Schema.Int,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly code = "POOL_ACQUIRE_TIMEOUT"

  override get message(): string {
    const first = this.advice[0]
    return `${this.head}: ${this.summary}.${first === undefined ? "" : ` ${first}`}`
  }

  /** The same on several lines: the numbers, what is the matter, who holds what, and what to do. */
  get report(): string {
    const lines = [`${this.head}:`, `  ${this.summary}`, `  asked by: ${this.waiter}`]
    for (const holder of this.holders) lines.push(`  ${holderText(holder)}`)
    for (const advice of this.advice) lines.push(`  try: ${advice}`)
    return [...lines, `  more: docs/errors.md#${this.diagnosis}`].join("\n")
  }

  private get head(): string {
    return (
      `[pool ${this.pool}] no connection within ${seconds(this.timeoutMillis)} (waited ${seconds(this.waitedMillis)}, ` +
      `came as number ${this.position} in line; ${numbers(this.snapshot)}): ${this.diagnosis}`
    )
  }

  override toString(): string {
    return `${this._tag}: ${this.report}`
  }

  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return problem(this, "No connection became free in time")
  }
}

/**
 * The pool has had no usable connection for `unavailableAfter` and cannot open one (`cannotConnect`), or was paused with
 * `acquires: "fail"` (`paused`). Acquires fail with this at once, without waiting, until a probe succeeds, or until `resume`.
 * `retryAfterSeconds` is the time to the next probe; of a paused pool nobody can know it, and it is a guess.
 *
 * - `pool`: the pool's name. `reason`: it cannot connect, or it was paused with `acquires: "fail"`. `snapshot`: the pool at
 *   that moment.
 * - `failingForMillis`: for how long connects have failed, in milliseconds. `lastFailure`, `cause`: the last attempt that
 *   failed, and the connector's own error; absent where none has.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>("effect-pool/ServiceUnavailable")(
  "ServiceUnavailable",
  {
    pool: Schema.String,
    reason: Schema.Literals(["cannotConnect", "paused"]),
    failingForMillis: Schema.Finite,
    snapshot: Snapshot,
    lastFailure: Schema.optionalKey(ConnectFailure),
    retryAfterSeconds: Schema.Int,
    cause: Schema.optionalKey(Schema.Defect())
  }
) {
  readonly code = "POOL_UNAVAILABLE"
  readonly status = 503

  override get message(): string {
    if (this.reason === "paused") {
      return (
        `[pool ${this.pool}] paused (${numbers(this.snapshot)}): acquires fail until it is resumed. Pause it with ` +
        `{ acquires: "wait" } for callers to wait instead.`
      )
    }
    return (
      `[pool ${this.pool}] unavailable for ${seconds(this.failingForMillis)} (${numbers(this.snapshot)}): no connection ` +
      `could be opened${this.lastFailure === undefined ? "" : `; ${attempts(this.lastFailure)}`}. ` +
      `The pool goes on trying by itself; try again in ${this.retryAfterSeconds} s.`
    )
  }

  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return problem(this, "The service is unavailable")
  }
}

/**
 * More is asked of the pool than it can do. Either the line of waiters is as long as `maxWaiting` allows, and the acquire was
 * refused at once (`lineFull`); or more have come than were served since the line began to stand, and those who have waited
 * for long are refused so that the others are served in time (`shed`; see `PoolConfig.shedding`). `retryAfterSeconds` is when
 * those who wait now will have been served.
 *
 * - `pool`: the pool's name. `reason`: which of the two it was. `waitedMillis`: how long the acquire had waited, in
 *   milliseconds.
 * - `emptyInMillis`: when those who wait now will have been served, in milliseconds. `maxWaiting`: how many might wait;
 *   absent where the line has no limit. `snapshot`: the pool at that moment.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolOverloaded extends Schema.TaggedError<PoolOverloaded>("effect-pool/PoolOverloaded")("PoolOverloaded", {
  pool: Schema.String,
  reason: Schema.Literals(["lineFull", "shed"]),
  waitedMillis: Schema.Finite,
  /** When those who wait now will have been served, as far as that can be told. */
  emptyInMillis: Schema.Finite,
  /** Absent where the line has no limit. */
  maxWaiting: Schema.optionalKey(Schema.Finite),
  snapshot: Snapshot,
  retryAfterSeconds: Schema.Int
}) {
  readonly code = "POOL_OVERLOADED"

  override get message(): string {
    const { emptyInMillis, maxWaiting, pool, reason, snapshot, waitedMillis } = this
    const what =
      reason === "lineFull"
        ? `refused: ${snapshot.waiting} already wait and maxWaiting is ${maxWaiting}`
        : `refused after ${seconds(waitedMillis)}: more has come than was served since the line began to stand`
    return (
      `[pool ${pool}] ${what} (${numbers(snapshot)}). More work arrives than the connections can carry: those who wait will be ` +
      `served in ${seconds(emptyInMillis)}; let callers come back in ${this.retryAfterSeconds} s.`
    )
  }

  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return problem(this, "Too many requests are waiting")
  }
}

/**
 * The acquire waited for a connection that its own fiber was holding up: every place in the pool was lent, and everyone who
 * held one was waiting for another (`cycle` names them; the one who is told is the first). Or, with `nested: "error"`, it
 * came from a fiber that holds a connection of this pool already.
 *
 * - `pool`: the pool's name. `waiter`: whose acquire it was. `snapshot`: the pool at that moment.
 * - `isForbidden`: there was no deadlock, and `nested` is `"error"`. Then `cycle` is what the fiber itself holds.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolDeadlock extends Schema.TaggedError<PoolDeadlock>("effect-pool/PoolDeadlock")("PoolDeadlock", {
  pool: Schema.String,
  waiter: Schema.String,
  isForbidden: Schema.Boolean,
  cycle: Schema.Array(Holder),
  snapshot: Snapshot
}) {
  readonly code = "POOL_DEADLOCK"

  override get message(): string {
    const held = this.cycle.map(
      ({ connection, heldForMillis, holder }) =>
        `${holder} holds connection ${connection} for ${seconds(heldForMillis)}`
    )
    const what = this.isForbidden
      ? `refused: ${this.waiter} holds a connection of this pool already, and nested is "error"`
      : `deadlock: ${this.waiter} waits for a connection, and so does everyone who holds one`
    return (
      `[pool ${this.pool}] ${what} (${numbers(this.snapshot)}): ${held.join("; ")}. Acquire once and hand the connection ` +
      `down, or give it back before you acquire the next; a larger pool only makes it rarer.`
    )
  }

  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return problem(this, "The service is overloaded")
  }
}

/**
 * The pool is closing or closed: its scope has ended, or it was drained.
 *
 * - `pool`: the pool's name.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolClosed extends Schema.TaggedError<PoolClosed>("effect-pool/PoolClosed")("PoolClosed", {
  pool: Schema.String
}) {
  readonly code = "POOL_CLOSED"

  override get message(): string {
    return (
      `[pool ${this.pool}] closed: it was drained, or its scope has ended. Acquire inside the program that the pool's layer is provided to, ` +
      `and let that program end before the layer does.`
    )
  }

  [HttpServerRespondable.symbol](): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return problem(this, "The service is shutting down")
  }
}

/**
 * Everything that acquiring a connection can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export const AcquireError = Schema.Union([AcquireTimeout, ServiceUnavailable, PoolOverloaded, PoolClosed, PoolDeadlock])

/**
 * What acquiring a connection fails with: one of the errors of the schema.
 *
 * @category errors
 * @since 0.1.0
 */
export type AcquireError = typeof AcquireError.Type

/**
 * One wrong value: which field (`field`), what it was (`value`, never a secret), and what was expected (`expected`).
 *
 * @category models
 * @since 0.1.0
 */
export const ConfigProblem = Schema.Struct({
  field: Schema.String,
  value: Schema.String,
  expected: Schema.String
})

/**
 * One wrong value of a configuration.
 *
 * @category models
 * @since 0.1.0
 */
export type ConfigProblem = typeof ConfigProblem.Type

/**
 * The configuration of a pool or its connector is wrong. Names every wrong field, not just the first; nothing was
 * opened.
 *
 * - `problems`: one for each wrong field.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolConfigError extends Schema.TaggedError<PoolConfigError>("effect-pool/PoolConfigError")(
  "PoolConfigError",
  { problems: Schema.Array(ConfigProblem) }
) {
  readonly code = "POOL_CONFIG"

  override get message(): string {
    const { problems } = this
    const lines = problems.map(({ expected, field, value }) => `  ${field}: got ${value}, expected ${expected}`)
    return `${problems.length} wrong value${problems.length === 1 ? "" : "s"} in the configuration:\n${lines.join("\n")}`
  }
}

/**
 * A connection could not be opened. `make` fails with it in the startup mode `"failFast"`; elsewhere it is the cause of
 * other errors.
 *
 * - `pool`: the pool's name. `kind`: whether another try may help. `reason`: why, in words (and not the label of a `ConnectFailure`).
 * - `cause`: the connector's own error, without secrets; or, if no answer came within `connectTimeout`, that.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectError extends Schema.TaggedError<ConnectError>("effect-pool/ConnectError")("ConnectError", {
  pool: Schema.String,
  kind: FailureKind,
  reason: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  readonly code = "POOL_CONNECT"

  override get message(): string {
    return `[pool ${this.pool}] could not connect (${this.kind}): ${this.reason}`
  }
}

/**
 * A query had no result within its timeout (`DatabaseConnection`).
 *
 * - `connector`: the connector's name. `connection`: the number that the connector has given the connection.
 * - `timeoutMillis`: the timeout. `waitedMillis`: how long the borrower has waited. Both are milliseconds.
 * - `outcome`: what has become of the query, one of the following.
 *
 * - `cancelled`: it has ended on the server, and the connection can be used again.
 * - `abandoned`: it could not be ended and may still run; the connection is discarded when it is returned.
 * - `notSent`: an earlier query of the connection was abandoned, so this one was not begun.
 *
 * Never carries the query's text or its parameters.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueryTimeout extends Schema.TaggedError<QueryTimeout>("effect-pool/QueryTimeout")("QueryTimeout", {
  connector: Schema.String,
  connection: Schema.Int,
  // @effect-diagnostics-next-line schemaNumber:off - a query without a timeout may not be sent either
  timeoutMillis: Schema.Number,
  waitedMillis: Schema.Finite,
  outcome: Schema.Literals(["cancelled", "abandoned", "notSent"])
}) {
  readonly code = "POOL_QUERY_TIMEOUT"

  override get message(): string {
    const place = `[${this.connector}] connection ${this.connection}:`
    if (this.outcome === "notSent") {
      return (
        `${place} query not sent: an earlier one could not be ended and may still run. Return the connection, which the ` +
        `pool then replaces, and acquire another.`
      )
    }
    const outcome =
      this.outcome === "cancelled"
        ? "it was cancelled, and the connection can be used again"
        : "it could not be cancelled and may still run, and the connection is discarded"
    return (
      `${place} no result within ${seconds(this.timeoutMillis)} (waited ${seconds(this.waitedMillis)}): ${outcome}. ` +
      `Look for a lock that another session holds, a missing index, or too many rows; raise queryTimeout only for queries ` +
      `that are meant to take longer.`
    )
  }
}

/**
 * The pool did not become ready in the time that was given it. `reasons` are the failures of its attempts to connect so far; of each
 * of them, `attempts` is how often it was met. The pool goes on trying.
 *
 * - `pool`: the pool's name. `state`: the state it is in. `waitedMillis`: how long was waited, in milliseconds. `snapshot`:
 *   the pool at that moment.
 *
 * @category errors
 * @since 0.1.0
 */
export class PoolNotReady extends Schema.TaggedError<PoolNotReady>("effect-pool/PoolNotReady")("PoolNotReady", {
  pool: Schema.String,
  state: Schema.String,
  waitedMillis: Schema.Finite,
  reasons: Schema.Array(ConnectFailure),
  snapshot: Snapshot
}) {
  readonly code = "POOL_NOT_READY"

  override get message(): string {
    const { reasons } = this
    const why =
      reasons.length === 0
        ? "no attempt to connect has ended yet"
        : reasons.map(
            ({ attempts, kind, message }) => `${attempts} time${attempts === 1 ? "" : "s"} ${kind}: ${message}`
          )
    const advice = reasons.some(({ kind }) => kind === "permanent")
      ? "What is permanent will not pass by itself: look at the password, the database's name and the certificate."
      : "Check that the server is up and reachable from here."
    return (
      `[pool ${this.pool}] ${this.state} after ${seconds(this.waitedMillis)} (${numbers(this.snapshot)}): ` +
      `${typeof why === "string" ? why : why.join("; ")}. ${advice} The pool goes on trying.`
    )
  }
}

/**
 * A spec has ended, and leases that it took are still running. `PoolLayer`'s `layerTest` dies with it.
 *
 * - `pool`: the pool's name. `leases`: who holds which connection, and for how long.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeakedLeases extends Schema.TaggedError<LeakedLeases>("effect-pool/LeakedLeases")("LeakedLeases", {
  pool: Schema.String,
  leases: Schema.Array(Holder)
}) {
  readonly code = "POOL_LEAKED_LEASES"

  override get message(): string {
    const { leases, pool } = this
    const lines = leases.map(
      ({ connection, heldForMillis, holder, lease }) =>
        `  ${holder} has held connection ${connection} (lease ${lease}) for ${heldForMillis} ms`
    )
    return (
      `[pool ${pool}] ${leases.length} lease${leases.length === 1 ? "" : "s"} not returned at the end of the spec:\n` +
      `${lines.join("\n")}\nA lease ends with its scope: close it, or interrupt and await the fiber that borrowed.`
    )
  }
}
