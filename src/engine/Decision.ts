import type { CloseReason, Connection } from "./Connection.ts"
import type { Sweep } from "./BackgroundChecks.ts"
import type { Lease } from "./Lease.ts"
import type { FailureKind, PoolState, Refusal } from "./PoolState.ts"
import type { Waiter } from "./Waiters.ts"

/**
 * What the engine wants done. Whoever drives it takes the decisions in order with `Engine.nextDecision`, carries them
 * out, and reports what came of them.
 *
 * - `Serve`: ask `wake` whether the waiter is still to be woken, and do so; `waiter.lease` is its lease.
 * - `Refuse`: wake the waiter with the refusal.
 * - `Open`, `Check`, `Reset`: start it, and report `opened`/`openFailed`, `checked`, `resetDone`.
 * - `Close`: stop whatever runs on the connection, run its finalizer, and report `closed`.
 * - `Backoff`: a connect failed; ask the retry schedule, and report `backoffEnded` when its delay has passed. A wait for
 *   an earlier outage ends with it. The schedule starts over if the outage before was over for good.
 * - `Changed`: the pool entered a new state.
 * - `Nested`: the waiter waits for what its own fiber may be holding. Worth a warning.
 * - `Warming`: a warmup batch has settled, and this many of the minimum are open.
 * - `PolicyFault`: the sizing policy threw, or answered nonsense. Worth a warning.
 * - `LimitLowered`: the server has no room for more connections, and the pool makes do with fewer for a while.
 * - `LeakSuspected`: a lease (while its number is `id`) has run past the threshold; the text of the `fact` is still to be said.
 *   `LeakReturned`: one of those has ended.
 * - `Swept`: an asked-for look at all idle connections is over.
 */
export type Decision<A> =
  | { readonly _tag: "Serve"; readonly waiter: Waiter<A> }
  | { readonly _tag: "Refuse"; readonly waiter: Waiter<A>; readonly refusal: Refusal }
  | { readonly _tag: "Open"; readonly connection: Connection<A> }
  | { readonly _tag: "Check"; readonly connection: Connection<A> }
  | { readonly _tag: "Reset"; readonly connection: Connection<A> }
  | { readonly _tag: "Close"; readonly connection: Connection<A>; readonly reason: CloseReason }
  | { readonly _tag: "Backoff"; readonly kind: FailureKind; readonly startsOver: boolean }
  | { readonly _tag: "Changed"; readonly state: PoolState; readonly from: PoolState }
  | { readonly _tag: "Nested"; readonly waiter: Waiter<A> }
  | { readonly _tag: "Warming"; readonly open: number; readonly minimum: number }
  | { readonly _tag: "Swept"; readonly sweep: Sweep }
  | { readonly _tag: "PolicyFault"; readonly policy: string; readonly fault: string }
  | { readonly _tag: "LimitLowered"; readonly limit: number }
  | { readonly _tag: "LeakSuspected"; readonly lease: Lease<A>; readonly id: number; readonly fact: number }
  | {
      readonly _tag: "LeakReturned"
      readonly connection: Connection<A>
      readonly lease: number
      readonly heldFor: number
      readonly holder: unknown
      readonly place: unknown
    }
  | { readonly _tag: "Spare" }

/** So many places are kept for decisions to come. */
const placesKept = 1024

/**
 * The decisions not yet carried out, in order. Taking one is O(1) and leaves nothing behind. Its places serve again: an array
 * that is emptied gives its memory away, and would ask for it anew with every connection that is handed over.
 */
export class Decisions<A> {
  private places: Array<Decision<A> | undefined> = []
  private taken = 0
  private added = 0

  get isEmpty(): boolean {
    return this.taken === this.added
  }

  add(decision: Decision<A>): void {
    this.places[this.added++] = decision
  }

  next(): Decision<A> | undefined {
    const { places, taken } = this
    if (taken === this.added) return undefined
    const decision = places[taken]
    places[taken] = undefined
    if (++this.taken === this.added) this.startOver()
    else if (this.taken === placesKept) this.moveUp()
    return decision
  }

  private startOver(): void {
    this.taken = 0
    this.added = 0
    if (this.places.length > placesKept) this.places = []
  }

  /** So many at a time: a mass refusal of 100,000 waiters would otherwise cost a move each, or keep all their places. */
  private moveUp(): void {
    this.places.splice(0, this.taken)
    this.added -= this.taken
    this.taken = 0
  }
}
