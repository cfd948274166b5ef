import type { Outage } from "./Outage.ts"
import type { PoolState } from "./PoolState.ts"

/** What the planner looks at. It decides from the state alone: there is no queue of requests to go stale. */
export interface PlannerView {
  readonly state: PoolState
  readonly outage: Outage | undefined
  readonly total: number
  readonly connecting: number
  readonly promptChecks: number
  readonly closing: number
  readonly waiting: number
  readonly limit: number
  readonly minConnections: number
  readonly maxConnecting: number
  readonly warmupBatchSize: number
  /** The next warmup batch may start at this time. */
  readonly nextBatchAt: number
}

/** How many more connections are missing from the minimum. Those that are closing no longer count as kept. */
export const missingFromMinimum = (view: PlannerView): number =>
  Math.max(0, view.minConnections - (view.total - view.closing))

/**
 * How many waiters have no connection on its way to them. Resets, background checks and overdue checks are not counted
 * on: they may hang, and must not keep the pool from growing meanwhile.
 */
export const uncoveredWaiters = (view: PlannerView): number =>
  Math.max(0, view.waiting - view.connecting - view.promptChecks)

/**
 * When time alone will let a warmup batch start; never, if it would have to wait for something else. A time that has
 * passed would make the pool's timer spin.
 */
export const nextBatchDue = (view: PlannerView): number =>
  view.outage === undefined && view.connecting === 0 && view.total < view.limit && missingFromMinimum(view) > 0
    ? view.nextBatchAt
    : Infinity

/**
 * How many connections to open now.
 *
 * Waiters come first, then the minimum, in warmup batches. During an outage the answer is 1 when the backoff step has
 * ended and a connection is needed, or when the pool has none and must find its own way back; otherwise 0.
 */
export const connectionsWanted = (view: PlannerView, now: number): number => {
  if (view.state === "draining" || view.state === "closed") return 0
  const room = view.limit - view.total
  const waiters = uncoveredWaiters(view)
  const missing = missingFromMinimum(view)
  if (view.outage !== undefined) {
    const isNeeded = waiters > 0 || missing > 0 || view.state !== "ready"
    return view.outage.probeDue && isNeeded && room > 0 ? 1 : 0
  }
  const isBatchDue = view.connecting === 0 && now >= view.nextBatchAt
  const batch = isBatchDue ? Math.min(missing, view.warmupBatchSize) : 0
  return Math.max(0, Math.min(Math.max(waiters, batch), room, view.maxConnecting - view.connecting))
}
