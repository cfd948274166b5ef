import { breakDeadlock } from "./Deadlock.ts"
import type { Ledger } from "./Ledger.ts"
import { serveFromIdle } from "./Lending.ts"
import type { Outage } from "./Outage.ts"
import type { PoolState } from "./PoolState.ts"
import { clearForExclusive, serveFromOldRoom, serveFromRoom } from "./Sharing.ts"

/** What the planner looks at. It decides from the state alone: there is no queue of requests to go stale. */
export interface PlannerView {
  readonly state: PoolState
  readonly outage: Outage | undefined
  readonly total: number
  readonly connecting: number
  readonly promptChecks: number
  readonly waiting: number
  readonly limit: number
  /** Connections that count towards the minimum: those that are closing, or soon will be, do not. */
  readonly kept: number
  readonly minConnections: number
  readonly maxConnecting: number
  readonly warmupBatchSize: number
  /** The next warmup batch may start at this time. */
  readonly nextBatchAt: number
  readonly sizing: {
    /** How many are to be kept, beyond the minimum. */
    readonly target: number
    /** How many more are to be opened for those who wait. */
    readonly growth: (now: number) => number
  }
}

/** How many more connections are missing from what is to be kept. */
export const missingFromMinimum = (view: PlannerView): number =>
  Math.max(0, Math.max(view.minConnections, Math.min(view.sizing.target, view.limit)) - view.kept)

/**
 * How many waiters have no connection on its way to them. Resets, background checks and overdue checks are not counted
 * on: they may hang, and must not keep the pool from growing meanwhile.
 */
export const uncoveredWaiters = (view: PlannerView): number =>
  Math.max(0, view.waiting - view.connecting - view.promptChecks)

const opensNothing = ({ state }: PlannerView): boolean =>
  state === "paused" || state === "draining" || state === "closed"

/**
 * When time alone will let a warmup batch start; never, if it would have to wait for something else. A time that has
 * passed would make the pool's timer spin.
 */
export const nextBatchDue = (view: PlannerView): number =>
  !opensNothing(view) &&
  view.outage === undefined &&
  view.connecting === 0 &&
  view.total < view.limit &&
  missingFromMinimum(view) > 0
    ? view.nextBatchAt
    : Infinity

/**
 * How many connections to open now.
 *
 * Waiters come first, as far as the sizing policy has it, then the minimum, in warmup batches. During an outage the answer is 1 when the backoff step has
 * ended and a connection is needed, or when the pool has none and must find its own way back; otherwise 0.
 */
export const connectionsWanted = (view: PlannerView, now: number): number => {
  const room = view.limit - view.total
  if (room <= 0 || opensNothing(view)) return 0
  const waiters = uncoveredWaiters(view)
  const missing = missingFromMinimum(view)
  if (view.outage !== undefined) {
    const isNeeded = waiters > 0 || missing > 0 || view.state !== "ready"
    return view.outage.probeDue && isNeeded ? 1 : 0
  }
  const places = Math.min(room, view.maxConnecting - view.connecting)
  if (places <= 0) return 0
  const isBatchDue = view.connecting === 0 && now >= view.nextBatchAt
  const batch = isBatchDue ? Math.min(missing, view.warmupBatchSize) : 0
  // It is asked only about somebody to whom nothing is on its way, where there is room.
  const growth = waiters > 0 ? Math.min(waiters, view.sizing.growth(now)) : 0
  return Math.min(Math.max(growth, batch), places)
}

/**
 * What the state asks for, after every transition: connections to those who wait, checks where a rest was long, new
 * connections. Nothing else serves from what rests, declares an outage, or opens a connection.
 */
export const plan = <A>(ledger: Ledger<A>, now: number): void => {
  if (ledger.isEnding) return
  const { idle, waiters } = ledger
  ledger.expireWaiters(now)
  if (ledger.isOverfull) ledger.isOverfull = ledger.surplus > 0
  ledger.promptChecks -= ledger.overdueChecks.take(now)
  ledger.maxConnecting = ledger.outages.isDropping(now) ? 1 : ledger.options.maxConnecting
  if (ledger.state === "paused") return
  if (waiters.length > 0 && idle.length > 0) serveFromIdle(ledger, now)
  if (ledger.options.concurrency > 1) {
    serveFromRoom(ledger, now)
    clearForExclusive(ledger, now)
  }
  if (ledger.leases.stuck > 0 || ledger.stuckSince !== undefined) breakDeadlock(ledger, now)
  ledger.backgroundChecks.go(now)
  for (let wanted = connectionsWanted(ledger, now); wanted > 0; wanted--) ledger.open(now)
  if (ledger.options.concurrency > 1 && ledger.isFailing) serveFromOldRoom(ledger, now)
  // Last, since an attempt that could be made and was not speaks for the server, and one that is made no longer does.
  assessAvailability(ledger, now)
}

/** When a policy that has opened nothing for those who wait is asked again. */
export const nextQuestionAt = <A>(ledger: Ledger<A>): number =>
  ledger.total < ledger.limit &&
  ledger.connecting < ledger.maxConnecting &&
  ledger.outage === undefined &&
  uncoveredWaiters(ledger) > 0
    ? ledger.sizing.askAgainAt
    : Infinity

/** When the pool, if nothing changes, will have been without a usable connection and failing for too long. */
export const unavailableAt = <A>({ options, outages, state }: Ledger<A>): number =>
  state === "ready" ? outages.hopelessSince() + options.unavailableAfter : Infinity

const assessAvailability = <A>(ledger: Ledger<A>, now: number): void => {
  ledger.outages.look(ledger.usable, now)
  if (now < unavailableAt(ledger)) return
  ledger.enter("unavailable")
  ledger.recorder.noteLife("PoolUnavailable", now)
  ledger.refuseAll("unavailable", now)
}
