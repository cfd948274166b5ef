import type { Connection } from "./Connection.ts"

/**
 * The states of a waiter.
 *
 * - `waiting`: in line. Next: `served`, `refused`, `cancelled`.
 * - `served`: a connection is lent to it, but its fiber has not run yet. Next: `taken`, `cancelled` (it was interrupted
 *   in between, and the connection goes on to the next in line).
 * - `taken`, `refused`, `cancelled`: final.
 */
export type WaiterState = "waiting" | "served" | "taken" | "refused" | "cancelled"

/** A fiber waiting for a lease. The engine decides when it is served; the runtime knows how to wake it. */
export abstract class Waiter<A> {
  state: WaiterState = "waiting"
  enqueuedAt = 0
  /** The absolute end of its patience: queue, connect and check together. */
  deadline = Infinity
  /** The connection it was served, from `served` on. */
  connection: Connection<A> | undefined = undefined
  /** The lease it was served, from `served` on. */
  lease = 0
  ahead: Waiter<A> | undefined = undefined
  behind: Waiter<A> | undefined = undefined
}

/**
 * The line of waiters: first come, first served. Leaving from the middle is O(1), so a storm of interruptions costs no
 * more than a storm of arrivals.
 */
export class Waiters<A> {
  first: Waiter<A> | undefined = undefined
  last: Waiter<A> | undefined = undefined
  length = 0

  push(waiter: Waiter<A>): void {
    waiter.ahead = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.behind = waiter
    this.last = waiter
    this.length++
  }

  remove(waiter: Waiter<A>): void {
    if (waiter.ahead === undefined) this.first = waiter.behind
    else waiter.ahead.behind = waiter.behind
    if (waiter.behind === undefined) this.last = waiter.ahead
    else waiter.behind.ahead = waiter.ahead
    waiter.ahead = undefined
    waiter.behind = undefined
    this.length--
  }
}
