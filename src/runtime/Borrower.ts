import type * as Effect from "effect/Effect"
import { Waiter } from "../engine/Waiters.ts"
import type { Resource } from "./Resource.ts"

/** What a fiber parked in `Effect.callback` goes on with. Its types are the lender's to know. */
export type Continuation = Effect.Effect<unknown, unknown, unknown>

/** A waiter whose fiber is parked in `Effect.callback`. */
export class Borrower<A> extends Waiter<Resource<A>> {
  /** Runs the fiber, here and now, up to where it suspends next. */
  readonly resume: (continuation: Continuation) => void
  readonly onServed: Continuation
  /** Its fiber has been suspended. Served before that, an interrupt would find nothing to cancel and leak the lease. */
  isParked = false

  constructor(resume: (continuation: Continuation) => void, onServed: (self: Borrower<A>) => Continuation) {
    super()
    this.resume = resume
    this.onServed = onServed(this)
  }
}
