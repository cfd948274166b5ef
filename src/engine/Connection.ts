/**
 * One connection as the engine sees it: where it is in its life, and what is known about it.
 */

import type { Lease } from "./Lease.ts"
import type { Outage } from "./Outage.ts"

/**
 * The states of a connection. A connection counts against `maxConnections` in every one of them but `closed`.
 *
 * - `connecting`: the connector is opening it; nobody can have it. Next: `idle` or `inUse` (opened), `closing` (failed,
 *   or the pool is closing or has shrunk).
 * - `idle`: open, clean and unlent; linked into the idle list. Next: `inUse` (lent), `checking` (a waiter wants it
 *   after a long rest, or the background check reached it), `closing` (retired, invalidated, died).
 * - `inUse`: lent, to one borrower or, where connections are shared, to several. Next, when its last lease has ended:
 *   `inUse` (handed straight to the next waiter), `idle`, `resetting` or `checking` (a lease may have left something
 *   behind), `closing`.
 * - `resetting`: the connector is making it as new, off the borrower's time. Next: `checking`, `idle`, `inUse`,
 *   `closing`.
 * - `checking`: the connector is proving that it is alive. Next: `idle`, `inUse`, `closing`.
 * - `closing`: its finalizer is running; the server may still count it, so do we. Next: `closed`.
 * - `closed`: gone, and no longer counted. Final.
 */
export type ConnectionState = "connecting" | "idle" | "inUse" | "resetting" | "checking" | "closing" | "closed"

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
 */
export type CloseReason = (typeof closeReasons)[number]

export const closeReasons = [
  "connectFailed",
  "checkFailed",
  "resetFailed",
  "died",
  "broken",
  "suspect",
  "invalidated",
  "discarded",
  "evicted",
  "maxLifetime",
  "maxUses",
  "idleTimeout",
  "recycled",
  "resized",
  "unneeded",
  "poolClosed",
  "drained"
] as const

/** A connection record. `resource` belongs to the caller of the engine; the engine never looks into it. */
export class Connection<A> {
  readonly id: number
  /** The pool's generation when it was begun; a lower number than the pool's means that it is to be replaced. */
  readonly generation: number
  readonly createdAt: number
  state: ConnectionState = "connecting"
  /** Set by the runtime before the connection can be lent. */
  declare resource: A
  /** When it opened, in milliseconds of the caller's clock; `undefined` if it never did. */
  openedAt: number | undefined = undefined
  /** When it is to be retired: `maxLifetime`, shortened by its jitter. */
  retireAt = Infinity
  /** When `maxLifetime` ends: after that it is not lent, whatever else. */
  expiresAt = Infinity
  /** When it was last opened or returned. A check does not count: it must not keep an idle connection from retiring. */
  usedAt = 0
  /** Since when it has been idle, or not been checked for a borrower. */
  restsSince = 0
  /** When the connector or a borrower last had it working. */
  provenAt = 0
  /** The pool's `doubt` when it was last proven; a lower number than the pool's makes it suspect. */
  proof = 0
  /** Until when it may be lent without a check, unless doubt rises. */
  freshUntil = 0
  uses = 0
  /** How many leases are running on it. */
  leases = 0
  /** How many of them were served to waiters that have not been told yet. */
  untold = 0
  /** Its records for leases, linked through `sibling`: as many as have ever run at once. */
  leaseRecords: Lease<A> | undefined = undefined
  /** Those of them of which no loan is running, linked through `spare`. */
  spareLease: Lease<A> | undefined = undefined
  /** The lease that is running has it to itself, although connections are shared. */
  isReserved = false
  /** It gets no further leases, so that it becomes free for someone who wants it to himself. */
  isClearing = false
  /** It is among those with room for another lease. */
  isShareable = false
  /** Leases that have ended may have left something behind: it is to be reset before anyone else has it. */
  isDirty = false
  /** One of them was interrupted or died: it is to be checked. */
  isSuspect = false
  /** Set when it must be closed as soon as whoever has it lets go. */
  condemned: CloseReason | undefined = undefined
  /** It will be retired before long, and does not count as kept: its replacement may be opened ahead. */
  isLeaving = false
  /** The outage in which this is the one attempt of a backoff step. */
  probeOf: Outage | undefined = undefined
  /** Since when the check, reset or close that is running has been. */
  workSince = 0
  /** It is being checked for a waiter, and the check is not overdue. */
  isPromptCheck = false
  /** When the check that runs for a waiter becomes overdue. */
  checkOverdueAt = 0
  /** It is being checked in the background and returns to the cold end. */
  isBackgroundCheck = false
  /** Why it is being closed, from `closing` on. */
  closedFor: CloseReason | undefined = undefined
  warmer: Connection<A> | undefined = undefined
  colder: Connection<A> | undefined = undefined

  constructor(id: number, generation: number, createdAt: number) {
    this.id = id
    this.generation = generation
    this.createdAt = createdAt
  }
}
