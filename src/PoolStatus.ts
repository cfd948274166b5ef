/**
 * What a pool looks like at one moment. Reading it never acquires, so it answers when the pool is stuck.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Advice } from "./PoolAdvisor.ts"
import { ConnectFailure, Holder } from "./PoolError.ts"

/**
 * The states of a pool: `starting` (nothing has opened yet), `ready`, `unavailable` (cannot connect, and has no usable
 * connection), `paused` (an operator asked), `draining` (closing; borrowers finish), `closed`.
 *
 * @category models
 * @since 0.1.0
 */
export const State = Schema.Literals(["starting", "ready", "unavailable", "paused", "draining", "closed"])

/**
 * The state of a pool: one of the states of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type State = typeof State.Type

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * What the sizing policy has decided, and why. `at` is wall time in milliseconds.
 *
 * - `connections`: how many are to be kept. `ceiling`: more would do harm, and none is opened beyond; absent where there is none.
 * - `changed`: its last decision that opened or closed something. `notGrown`: why nothing was opened when somebody last waited and
 *   there was room.
 * - `ignored`: how often it was not followed, because it threw, answered no number of connections or flapped; `fault`: what was
 *   wrong the last time.
 *
 * - `policy`: its name.
 *
 * @category models
 * @since 0.1.0
 */
export const SizingStatus = Schema.Struct({
  policy: Schema.String,
  connections: Count,
  ceiling: Schema.optionalKey(Count),
  changed: Schema.optionalKey(Schema.Struct({ at: Schema.Finite, from: Count, to: Count, reason: Schema.String })),
  notGrown: Schema.optionalKey(Schema.Struct({ at: Schema.Finite, reason: Schema.String })),
  ignored: Count,
  fault: Schema.optionalKey(Schema.String)
})

/**
 * What the sizing policy has decided, and why.
 *
 * @category models
 * @since 0.1.0
 */
export type SizingStatus = typeof SizingStatus.Type

/**
 * Where more connections stop helping the server, as far as what was seen tells: an estimate, with its `confidence` from 0
 * to 1.
 *
 * - `connections`: with so many in use the server gets the most done. `advice`: the same in words.
 * - `contention`: the part of the work that cannot be done side by side. `coherency`: what each pair in use costs the
 *   others.
 * - `isFrozen`: the server's speed has changed, and the estimate is from before.
 *
 * @category models
 * @since 0.1.0
 */
export const KneeStatus = Schema.Struct({
  connections: Count,
  confidence: Schema.Finite,
  contention: Schema.Finite,
  coherency: Schema.Finite,
  isFrozen: Schema.Boolean,
  advice: Schema.String
})

/**
 * Where more connections stop helping the server.
 *
 * @category models
 * @since 0.1.0
 */
export type KneeStatus = typeof KneeStatus.Type

/**
 * A snapshot: connections by state (they add up to `total`, which exceeds `maxConnections` only after a resize to less, until
 * borrowers have returned what is too much), the waiters, the limits, and sums over the life of the pool. O(1) to read.
 *
 * - `name`, `state`: of the pool. `waiting`: those who wait for a connection.
 * - `idle`, `inUse`, `connecting`, `checking`, `resetting`, `closing`: connections by state. `leases`: those that are running, which are
 *   more than `inUse` where connections are shared.
 * - `minConnections`, `maxConnections`: as configured, or as of the last resize. `limit`: how many connections there may be now.
 * - `created`, `closed`: connections that opened, and of those the ones that are gone.
 * - `acquired`, `released`: leases given and returned. `timedOut`, `cancelled`, `shed`: waiters that ran out of time,
 *   were interrupted, or were refused because the line was full or more came than was served; `refused`: because the server could not be reached, or the
 *   pool was paused or closed; `deadlocked`: because their own fibers held what they waited for.
 * - `acquiredAtOnce`: of those acquired, the ones that found a connection at hand.
 * - `connectFailures`: attempts to connect that failed. `retries`: those that were made after a failure, one for each step of the backoff. `lastFailure`: present
 *   while connects fail.
 * - `oldestWaitMillis`: how long the first in line has waited; 0 while nobody waits. `holdMillis`, `connectMillis`: how long leases last
 *   and connects take, the recent ones weighing most; 0 before the first. All are milliseconds.
 * - `leaks`: leases that have run past `leakThreshold`, so far. `leaksNow`: those of them that are still out.
 * - `isOverloaded`: more comes than is served, and has for longer than a burst.
 * - `sizing`: what the sizing policy has decided. `advice`: what the advisor says to the pool as it is used, at most 10 s old; absent
 *   while too little has been seen. `knee`: where more connections stop helping; absent while nothing can be said.
 *
 * @category models
 * @since 0.1.0
 */
export class PoolStatus extends Schema.Class<PoolStatus>("effect-pool/PoolStatus")({
  name: Schema.String,
  state: State,
  total: Count,
  idle: Count,
  inUse: Count,
  connecting: Count,
  checking: Count,
  resetting: Count,
  closing: Count,
  waiting: Count,
  limit: Count,
  minConnections: Count,
  maxConnections: Count,
  created: Count,
  closed: Count,
  /** Leases that are running: more than `inUse` where connections are shared. */
  leases: Count,
  acquired: Count,
  /** Of those, the ones that found a connection at hand. */
  acquiredAtOnce: Count,
  released: Count,
  timedOut: Count,
  cancelled: Count,
  shed: Count,
  refused: Count,
  deadlocked: Count,
  connectFailures: Count,
  retries: Count,
  /** How long the first in line has waited, in milliseconds; 0 while nobody waits. */
  oldestWaitMillis: Schema.Finite,
  /** Leases that have run past `leakThreshold`: so far, and those of them that are still out. */
  leaks: Count,
  leaksNow: Count,
  /** More comes than is served, and has for longer than a burst. */
  isOverloaded: Schema.Boolean,
  /** How long leases last and connects take, in milliseconds, the recent ones weighing most; 0 before the first. */
  holdMillis: Schema.Finite,
  connectMillis: Schema.Finite,
  sizing: SizingStatus,
  /** What the advisor says to the pool as it is used, at most 10 s old; absent while too little has been seen. */
  advice: Schema.optionalKey(Advice),
  /** Absent while nothing can be said. */
  knee: Schema.optionalKey(KneeStatus),
  /** Present while connects fail. */
  lastFailure: Schema.optionalKey(ConnectFailure)
}) {}

/**
 * The states of a connection that counts: `connecting`, `idle`, `inUse`, `resetting` (being made as new for the next borrower),
 * `checking` (proving that it is alive), `closing`.
 *
 * @category models
 * @since 0.1.0
 */
export const ConnectionState = Schema.Literals(["connecting", "idle", "inUse", "resetting", "checking", "closing"])

/**
 * The state of a connection: one of the states of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type ConnectionState = typeof ConnectionState.Type

/**
 * One connection at one moment. Times are milliseconds.
 *
 * - `id`: its number in the pool, counting from 1. `ageMillis`: since it opened, or since its connect began.
 * - `idleForMillis`: since it was last returned or opened, while it is idle. `inUseForMillis`: since the oldest of its running
 *   leases began.
 * - `uses`: how often it has been lent. `leases`: those that are running. `holders`: who has them, the oldest first.
 * - `lastOperation`: the operation that had its newest lease, whether or not that is over.
 * - `statistics`: what the connector counts of it, if it counts anything.
 * - `state`: what is done with it.
 *
 * @category models
 * @since 0.1.0
 */
export class ConnectionStatus extends Schema.Class<ConnectionStatus>("effect-pool/ConnectionStatus")({
  id: Count,
  state: ConnectionState,
  ageMillis: Schema.Finite,
  idleForMillis: Schema.optionalKey(Schema.Finite),
  inUseForMillis: Schema.optionalKey(Schema.Finite),
  uses: Count,
  leases: Count,
  holders: Schema.Array(Holder),
  lastOperation: Schema.optionalKey(Schema.String),
  statistics: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite))
}) {}

/**
 * Whether a pool does its work: `pass` (it lends, or could), `warn` (it lends, but somebody should look), `fail` (nobody gets a
 * connection now). `reasons` say why, in words; none for `pass`.
 *
 * A pool that is full is `warn`: taking it out of the load balancer would only move its load to others.
 *
 * - `pool`: its name. `status`: one of the three. `state`: the state it is in.
 *
 * @category models
 * @since 0.1.0
 */
export class HealthStatus extends Schema.Class<HealthStatus>("effect-pool/HealthStatus")({
  pool: Schema.String,
  status: Schema.Literals(["pass", "warn", "fail"]),
  state: State,
  reasons: Schema.Array(Schema.String)
}) {}
