/**
 * What a pool looks like at one moment. Reading it never acquires, so it answers when the pool is stuck.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { ConnectFailure } from "./PoolError.ts"

/**
 * The states of a pool: `starting` (nothing has opened yet), `ready`, `unavailable` (cannot connect, and has no usable
 * connection), `paused` (an operator asked), `draining` (closing; borrowers finish), `closed`.
 *
 * @category models
 * @since 0.1.0
 */
export const State = Schema.Literals(["starting", "ready", "unavailable", "paused", "draining", "closed"])

/**
 * @category models
 * @since 0.1.0
 */
export type State = typeof State.Type

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * A snapshot: connections by state (they add up to `total`, which never exceeds `maxConnections`), the waiters, the
 * limits, and sums over the life of the pool. O(1) to read.
 *
 * - `created`, `closed`: connections that opened, and of those the ones that are gone.
 * - `acquired`, `released`: leases given and returned. `timedOut`, `cancelled`, `shed`: waiters that ran out of time,
 *   were interrupted, or were refused because the line was full; `refused`: because the server could not be reached, or the
 *   pool was paused or closed; `deadlocked`: because their own fibers held what they waited for.
 * - `connectFailures`: attempts to connect that failed. `retries`: attempts made as the probe of a backoff step.
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
  released: Count,
  timedOut: Count,
  cancelled: Count,
  shed: Count,
  refused: Count,
  deadlocked: Count,
  connectFailures: Count,
  retries: Count,
  /** Present while connects fail. */
  lastFailure: Schema.optionalKey(ConnectFailure)
}) {}
