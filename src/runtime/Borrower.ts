import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Lease } from "../engine/Lease.ts"
import { Waiter } from "../engine/Waiters.ts"
import { PoolClosed } from "../PoolError.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import type { Resource } from "./Resource.ts"

/** Runs a fiber parked in `Effect.callback`, here and now, up to where it suspends next. */
type Resume<B, E, R> = (continuation: Effect.Effect<B, E, R>) => void

/** What a borrower does with the lease it has taken, in the same step. */
export type Hold<A, B, E, R> = (
  lease: Lease<Resource<A>>,
  id: number,
  fiber: Fiber.Fiber<unknown, unknown>
) => Effect.Effect<B, E, R>

/** A waiter whose fiber is parked in `Effect.callback`. */
export class Borrower<A, B = unknown, E = unknown, R = unknown> extends Waiter<Resource<A>> {
  readonly runtime: PoolRuntime<A>
  readonly hold: Hold<A, B, E, R>
  readonly resume: Resume<B, E | PoolClosed, R>
  /** Its fiber has been suspended. Served before that, an interrupt would find nothing to cancel and leak the lease. */
  isParked = false

  constructor(runtime: PoolRuntime<A>, hold: Hold<A, B, E, R>, resume: Resume<B, E | PoolClosed, R>) {
    super()
    this.runtime = runtime
    this.hold = hold
    this.resume = resume
  }

  /** Served: the fiber goes on by taking its lease. */
  goOn(): void {
    const { hold, lease, runtime } = this
    const isSlow = lease !== undefined && lease.since - this.enqueuedAt >= runtime.slowWait
    this.resume(
      Effect.withFiber<B, E | PoolClosed, R>((fiber) => {
        if (isSlow) noteSlowWait(this, fiber)
        const lease = runtime.engine.take(this)
        return lease === undefined
          ? Effect.fail(new PoolClosed({ pool: runtime.name }))
          : hold(lease, this.leaseId, fiber)
      })
    )
  }
}

/** Whoever reads the trace of a slow request sees here that it was the pool it waited for, and how long. */
const noteSlowWait = <A, B, E, R>(
  { enqueuedAt, lease, position, runtime }: Borrower<A, B, E, R>,
  { cache }: Fiber.Fiber<unknown, unknown>
): void => {
  const { span } = cache
  if (span?._tag !== "Span") return
  span.event("pool.waited", runtime.clock.currentTimeNanosUnsafe(), {
    "db.client.connection.pool.name": runtime.name,
    "effect_pool.wait_ms": Math.round((lease?.since ?? enqueuedAt) - enqueuedAt),
    "effect_pool.position": position
  })
}
