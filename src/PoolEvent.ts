/**
 * What happens in a pool, as facts: the vocabulary of MongoDB's connection-pool specification (a connection is created,
 * ready, closed; a check-out is started, failed, done, returned) and what a pool that looks after itself has to add.
 *
 * Every start has exactly one end: `AcquireStarted` ends in `Acquired` or `AcquireFailed`, `Acquired` in `Released`,
 * `ConnectionCreated` in `ConnectionClosed`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { closeReasons } from "./engine/Connection.ts"
import { details } from "./engine/FlightRecorder.ts"
import { FailureKind } from "./PoolError.ts"

const Id = Schema.Int
const Count = Schema.Int
/** Milliseconds. */
const Duration = Schema.Finite
/** Wall time, in milliseconds since 1970. */
const at = Schema.Finite

/**
 * Why a connection was closed.
 *
 * - `connectFailed`: it never opened. `checkFailed`, `resetFailed`: the connector said so, or took too long.
 * - `died`: it ended by itself. `broken`: its borrower met an error that the connector calls fatal.
 * - `suspect`: its lease was interrupted or died, and the connector can neither check nor reset it.
 * - `invalidated`, `discarded`: a user asked. `evicted`: an operator did. `maxLifetime`, `maxUses`, `idleTimeout`: retired.
 * - `recycled`: all connections were to be replaced. `resized`: the pool was made smaller. `unneeded`: the sizing policy keeps
 *   fewer.
 * - `poolClosed`: the pool closed. `drained`: the pool closed, and its borrower did not return it in time.
 *
 * @category models
 * @since 0.1.0
 */
export const CloseReason = Schema.Literals(closeReasons)

/**
 * Why a connection was closed: one of the reasons of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type CloseReason = typeof CloseReason.Type

/**
 * Why an acquire failed: it ran out of `acquireTimeout`, the line was full (`overloaded`), it was refused because more comes
 * than can be served (`shed`), the server cannot be reached, the pool was
 * paused or closed, its own fiber held what it waited for, or its fiber was interrupted.
 *
 * @category models
 * @since 0.1.0
 */
export const AcquireFailure = Schema.Literals(details.AcquireFailed)

/**
 * Why an acquire failed: one of the reasons of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type AcquireFailure = typeof AcquireFailure.Type

/**
 * How a lease ended: it left nothing behind (`clean`), something to reset (`dirty`), nobody knows what, since it was
 * interrupted or died (`suspect`), a connection that is of no use (`broken`), or the pool took it back (`revoked`).
 *
 * @category models
 * @since 0.1.0
 */
export const LeaseEnd = Schema.Literals(details.Released)

/**
 * How a lease ended: one of the ways of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type LeaseEnd = typeof LeaseEnd.Type

/**
 * One fact. `at` is wall time in milliseconds; durations are milliseconds; connections, leases and acquires are numbered
 * from 1 within their pool.
 *
 * - `PoolCreated`, `PoolReady` (connections are lent), `PoolWarming` (this many of the minimum are open), `PoolUnavailable`
 *   (acquires fail until a connection opens), `PoolPaused`, `PoolResumed`, `PoolResized`, `PoolCleared` (all connections of
 *   earlier generations are being replaced), `PoolDraining` (with this many leases running), `PoolClosed`.
 * - `ConnectionCreated` (an attempt begins), `ConnectionReady` (after `duration`), `ConnectFailed`, `BackoffStarted` (the next
 *   attempt is due in `duration`), `ConnectionChecked`, `ConnectionReset`, `ConnectionClosed` (its finalizer took `duration`;
 *   `isAbandoned` if it was still running after `closeTimeout`).
 * - `AcquireStarted`, `Acquired` (after `waited`), `AcquireFailed`, `Released` (after `held`), `NestedAcquire` (one that waits
 *   while its fiber has `lease`).
 * - `SizingDecision`: the sizing policy wants `to` connections instead of `from`, and why. `SizingIgnored`: it was not followed,
 *   and why. `LimitChanged`: how many connections the server is taken to have room for has changed.
 * - `LeakSuspected`: a lease runs for longer than `leakThreshold`; said once of each. `LeakReturned`: it came back all the same.
 * - `OperatorAction`: somebody asked for something over the pool's API, whoever `actor` is.
 * - `EventsMissed`: whoever reads fell behind, and this many facts are gone.
 *
 * The fields, where the name of the fact does not say it all:
 *
 * - `connection`, `lease`, `acquire`: their numbers. `uses`: how often the connection was lent. `generation`: how often the
 *   pool was recycled.
 * - `minConnections`, `maxConnections`, `limit`: connections. `open`: those that are open. `leases`: those that are running.
 *   `count`: facts.
 * - `acquires`: what they do in the pause (`"wait"`, `"fail"`). `interrupt`: leases were revoked. `isAlive`, `isDone`: what
 *   came of it.
 * - `kind`, `message`: of a failed connect, whether another try may help, and why it failed; there is no `message` where
 *   only the kind is known. `attempts`: how many have failed in a row.
 * - `reason`, `end`: one of {@link CloseReason}, {@link AcquireFailure}, {@link LeaseEnd}, or words.
 * - `holder`: who has the lease, in words. `actor`, `action`: who asked, and what for.
 *
 * @category models
 * @since 0.1.0
 */
export const PoolEvent = Schema.TaggedUnion({
  PoolCreated: { at, minConnections: Count, maxConnections: Count },
  PoolReady: { at },
  PoolWarming: { at, open: Count, minConnections: Count },
  PoolUnavailable: { at },
  PoolPaused: { at, acquires: Schema.Literals(["wait", "fail"]) },
  PoolResumed: { at },
  PoolResized: { at, minConnections: Count, maxConnections: Count },
  PoolCleared: { at, generation: Count, interrupt: Schema.Boolean },
  PoolDraining: { at, leases: Count },
  PoolClosed: { at },
  ConnectionCreated: { at, connection: Id },
  ConnectionReady: { at, connection: Id, duration: Duration },
  ConnectFailed: {
    at,
    connection: Id,
    kind: FailureKind,
    duration: Duration,
    message: Schema.optionalKey(Schema.String)
  },
  BackoffStarted: { at, attempts: Count, duration: Duration },
  ConnectionChecked: { at, connection: Id, isAlive: Schema.Boolean, duration: Duration },
  ConnectionReset: { at, connection: Id, isDone: Schema.Boolean, duration: Duration },
  ConnectionClosed: {
    at,
    connection: Id,
    reason: CloseReason,
    duration: Duration,
    uses: Count,
    isAbandoned: Schema.Boolean
  },
  AcquireStarted: { at, acquire: Id },
  Acquired: { at, acquire: Id, lease: Id, connection: Id, waited: Duration },
  AcquireFailed: { at, acquire: Id, reason: AcquireFailure, waited: Duration },
  Released: { at, lease: Id, connection: Id, end: LeaseEnd, held: Duration },
  NestedAcquire: { at, acquire: Id, lease: Id, connection: Id },
  SizingDecision: { at, from: Count, to: Count, reason: Schema.String },
  SizingIgnored: { at, reason: Schema.String },
  LimitChanged: { at, limit: Count, reason: Schema.String },
  LeakSuspected: { at, lease: Id, connection: Id, held: Duration, holder: Schema.String },
  LeakReturned: { at, lease: Id, connection: Id, held: Duration },
  OperatorAction: { at, actor: Schema.String, action: Schema.String },
  EventsMissed: { at, count: Count }
})

/**
 * One fact of a pool's life, told apart by its `_tag`.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolEvent = typeof PoolEvent.Type
