import type * as Clock from "effect/Clock"
import type { SchedulerDispatcher } from "effect/Scheduler"

/** In a turn with fewer readings than this, sharing one would cost more than it saves. */
const readingsBeforeSharing = 8

/**
 * The pool's time, in milliseconds of the monotonic clock. On the wall clock, setting it back by an hour would keep every
 * waiter waiting for an hour.
 */
export class PoolTime {
  private readonly clock: Clock.Clock
  private readonly dispatcher: SchedulerDispatcher
  private readings = 0
  private shared: number | undefined = undefined

  constructor(clock: Clock.Clock, dispatcher: SchedulerDispatcher) {
    this.clock = clock
    this.dispatcher = dispatcher
  }

  now(): number {
    const now = Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
    // No later reading of either kind may be earlier than this one.
    if (this.shared !== undefined) this.shared = now
    return now
  }

  /**
   * The time as of some moment in this turn of the event loop, as libuv keeps it for its timers. Reading the clock is the
   * largest part of what a lease costs, so that the leases of a busy turn share one reading. For deadlines there is
   * `now`.
   */
  inTurn(): number {
    if (this.shared !== undefined) return this.shared
    const now = this.now()
    if (++this.readings === readingsBeforeSharing) {
      this.shared = now
      this.dispatcher.scheduleTask(this.endTurn, 0)
    }
    return now
  }

  private readonly endTurn = (): void => {
    this.shared = undefined
    this.readings = 0
  }
}
