/**
 * One connection as the engine sees it: where it is in its life, and what is known about it.
 */

import type { Outage } from "./Outage.ts"

/**
 * The states of a connection. A connection counts against `maxConnections` in every one of them but `closed`.
 *
 * - `connecting`: the connector is opening it; nobody can have it. Next: `idle` or `inUse` (opened), `closing` (failed,
 *   or the pool is closing).
 * - `idle`: open, clean and unlent; linked into the idle list. Next: `inUse` (lent), `checking` (a waiter wants it
 *   after a long rest, or the background check reached it), `closing` (retired, invalidated, died).
 * - `inUse`: lent to exactly one borrower. Next: `inUse` (handed straight to the next waiter), `idle`, `resetting` or
 *   `checking` (the lease may have left something behind), `closing`.
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
 * - `invalidated`, `discarded`: a user asked. `maxLifetime`, `maxUses`, `idleTimeout`: retired.
 * - `poolClosed`: the pool closed. `drained`: the pool closed, and its borrower did not return it in time.
 */
export type CloseReason =
  | "connectFailed"
  | "checkFailed"
  | "resetFailed"
  | "died"
  | "broken"
  | "suspect"
  | "invalidated"
  | "discarded"
  | "maxLifetime"
  | "maxUses"
  | "idleTimeout"
  | "poolClosed"
  | "drained"

/** A connection record. `resource` belongs to the caller of the engine; the engine never looks into it. */
export class Connection<A> {
  readonly id: number
  state: ConnectionState = "connecting"
  /** Set by the runtime before the connection can be lent. */
  declare resource: A
  /** When it opened, in milliseconds of the caller's clock; `undefined` if it never did. */
  openedAt: number | undefined = undefined
  /** When `maxLifetime`, shortened by its jitter, ends. */
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
  /** The running lease, or 0. Every loan has its own number, so that a stale release finds nothing to release. */
  lease = 0
  leasedAt = 0
  /** Set when it must be closed as soon as whoever has it lets go. */
  condemned: CloseReason | undefined = undefined
  /** The outage in which this is the one attempt of a backoff step. */
  probeOf: Outage | undefined = undefined
  /** The reset that is running is to be followed by a check. */
  checkAfterReset = false
  /** It is being checked for a waiter, and the check is not overdue. */
  isPromptCheck = false
  /** When the check that runs for a waiter becomes overdue. */
  checkOverdueAt = 0
  /** It is being checked in the background and returns to the cold end. */
  isBackgroundCheck = false
  warmer: Connection<A> | undefined = undefined
  colder: Connection<A> | undefined = undefined

  constructor(id: number) {
    this.id = id
  }
}
