/**
 * The heart of the pool: its whole state, and every transition as one synchronous method.
 *
 * A transition takes the time as an argument, changes the state, and leaves decisions for whoever drives the engine
 * (see `Decision`). It never waits, calls nobody and reads no clock, so no two transitions interleave: the production
 * pool and its tests drive this very code, and every race is an ordinary sequence of calls.
 *
 * Each is a guard, what happens, and then the plan: what the state that has come about asks for. What happens stands in the
 * modules beside this one, by concept; none of them plans.
 *
 * Times are milliseconds on any clock that does not run backwards.
 */
import type { Sweep } from "./BackgroundChecks.ts"
import type { Connection } from "./Connection.ts"
import * as Control from "./Control.ts"
import { deadlockAt } from "./Deadlock.ts"
import type { Decision } from "./Decision.ts"
import type { EngineOptions, LeaseOutcome } from "./EngineOptions.ts"
import { findLeaks } from "./Leaks.ts"
import * as Health from "./Health.ts"
import type { Lease } from "./Lease.ts"
import { Ledger } from "./Ledger.ts"
import * as Lending from "./Lending.ts"
import * as Opening from "./Opening.ts"
import { nextBatchDue, nextQuestionAt, plan, unavailableAt } from "./Planner.ts"
import type { FailureKind, Refusal } from "./PoolState.ts"
import * as Retirement from "./Retirement.ts"
import type { Waiter } from "./Waiters.ts"

/** How often the old end is looked at, in milliseconds. */
const housekeepingInterval = 1000

/** What has been measured is summed up, and the sizing policy has its say when its period is over. */
const measureSecond = <A>(ledger: Ledger<A>, now: number): void => {
  const { acquires, demand, leases, maxConnections, peakSeconds, recorder, serverLimit, sizing } = ledger
  demand.endSecond(leases.length, acquires, Math.min(peakSeconds, mostPeaks), now)
  sizing.endSecond()
  if (serverLimit.raise(maxConnections, now)) {
    recorder.noteLife("LimitChanged", now, { lease: ledger.limit }, "the server may have room again")
  }
  if (now < sizing.periodEndsAt) return
  sizing.endPeriod(now)
  Retirement.closeUnneeded(ledger, now)
}

/** Of more seconds than this no peaks are kept. */
const mostPeaks = 600

export type { Counters, EngineOptions, LeaseOutcome } from "./EngineOptions.ts"

export class Engine<A> {
  /** Everything the engine knows. To be looked at; only transitions change it. */
  readonly ledger: Ledger<A>

  constructor(options: EngineOptions, now: number) {
    this.ledger = new Ledger(options, now)
  }

  // What the driver takes out.

  get hasDecisions(): boolean {
    return !this.ledger.decisions.isEmpty
  }

  nextDecision(): Decision<A> | undefined {
    return this.ledger.decisions.next()
  }

  /** The next time at which `tick` has something to do. */
  wakeAt(): number {
    const { ledger } = this
    if (ledger.isEnding) return Infinity
    const { connections, overdueChecks, waiters } = ledger
    let at = waiters.length > 0 ? waiters.firstDeadline : Infinity
    if (ledger.state === "paused") return ledger.leases.length > 0 ? Math.min(at, ledger.leaks.lookAt) : at
    if (connections.size > 0) at = Math.min(at, ledger.housekeepingAt)
    if (waiters.length > 0) at = Math.min(at, overdueChecks.nextAt(), deadlockAt(ledger), nextQuestionAt(ledger))
    return Math.min(at, nextBatchDue(ledger), unavailableAt(ledger))
  }

  // Lending.

  /** Whether `lease` has something to consider. If not, the clock need not be read. */
  get hasSpare(): boolean {
    const { idle, shareable } = this.ledger
    return idle.length > 0 || shareable.length > 0
  }

  /** Lends what can be lent without a wait, if nobody is in line for it. This is the whole fast path. */
  lease(now: number, isExclusive = false): Lease<A> | undefined {
    return Lending.lease(this.ledger, isExclusive, now)
  }

  /** Puts a waiter in line, or says why it cannot wait. */
  enqueue(waiter: Waiter<A>, now: number): Refusal | undefined {
    const refusal = Lending.enqueue(this.ledger, waiter, now)
    if (refusal === undefined) this.plan(now)
    return refusal
  }

  /** The driver is about to wake a waiter that was served. Says whether it is to: it may have left, or wait again. */
  wake(waiter: Waiter<A>): boolean {
    if (waiter.state !== "served" || waiter.isWoken) return false
    this.ledger.tell(waiter)
    return true
  }

  /** The waiter's fiber runs and takes what it was served: from here on the lease is released, not cancelled. */
  take(waiter: Waiter<A>): Lease<A> | undefined {
    return Lending.take(this.ledger, waiter)
  }

  /** The waiter left: it leaves the line, or what it was served goes to the next. Final states are left alone. */
  cancel(waiter: Waiter<A>, now: number): void {
    if (waiter.state !== "waiting" && waiter.state !== "served") return
    Lending.cancel(this.ledger, waiter, now)
    this.plan(now)
  }

  /**
   * A lease ended. The state changes at once; reset, check and close are decisions, and none of them is the
   * borrower's to wait for. A lease that is not running any more (released before, or revoked) changes nothing.
   */
  release(lease: Lease<A>, id: number, outcome: LeaseOutcome, now: number): void {
    if (lease.id !== id) return
    if (outcome === "broken") this.foundBroken(lease.connection, now)
    const isMoreThanAReturn = Lending.release(this.ledger, lease, outcome, now)
    // A return may find out that those are gone for whom a connection was cleared, or for whom a deadlock was feared.
    const { clearing, stuckSince } = this.ledger
    if (isMoreThanAReturn || stuckSince !== undefined || clearing.size > 0) this.plan(now)
  }

  /** The borrower does not want this connection to be lent again. */
  discard(lease: Lease<A>, id: number, now: number): void {
    if (lease.id !== id) return
    this.ledger.condemn(lease.connection, "discarded", now)
    this.plan(now)
  }

  /** Somebody knows that this connection must not be lent again. A lease on it goes on to its end. */
  invalidate(connection: Connection<A>, now: number): void {
    this.ledger.condemn(connection, "invalidated", now)
    this.plan(now)
  }

  // Opening.

  /** Opens the minimum. Until the first connection is open the pool is `starting`, unless none is asked for. */
  start(now: number): void {
    Opening.start(this.ledger, now)
    this.plan(now)
  }

  opened(connection: Connection<A>, now: number): void {
    if (connection.state !== "connecting") return
    Opening.opened(this.ledger, connection, now)
    this.plan(now)
  }

  /** A connect failed or timed out. The next step is the retry schedule's, once for all who wait. */
  openFailed(connection: Connection<A>, kind: FailureKind, now: number, text?: string): void {
    if (connection.state !== "connecting") return
    Opening.openFailed(this.ledger, connection, kind, text, now)
    this.plan(now)
  }

  /** The retry schedule has said when the next attempt is due. */
  backoffStarted(nextProbeAt: number, now: number): void {
    const { outage, recorder } = this.ledger
    if (outage === undefined) return
    outage.nextProbeAt = nextProbeAt
    recorder.noteLife("BackoffStarted", now, { duration: nextProbeAt - now, acquire: outage.failures })
  }

  /** The backoff step has ended: one attempt may be made, now or when somebody needs it. */
  backoffEnded(now: number): void {
    if (this.ledger.outage === undefined) return
    this.ledger.outages.probeMayBeMade(now)
    this.plan(now)
  }

  // Looking after connections.

  checked(connection: Connection<A>, isAlive: boolean, now: number): void {
    if (connection.state !== "checking") return
    Health.checked(this.ledger, connection, isAlive, now)
    this.plan(now)
  }

  resetDone(connection: Connection<A>, isDone: boolean, now: number): void {
    if (connection.state !== "resetting") return
    Health.resetDone(this.ledger, connection, isDone, now)
    this.plan(now)
  }

  /** A connection ended by itself. Whatever killed it may have killed the others: they are checked before their next lease. */
  died(connection: Connection<A>, now: number): void {
    Health.died(this.ledger, connection, now)
    this.plan(now)
  }

  /** The connection's finalizer has ended, or its time has passed. Only now does it stop counting. */
  closed(connection: Connection<A>, now: number, isAbandoned = false): void {
    if (connection.state !== "closing") return
    this.ledger.forget(connection, isAbandoned, now)
    this.endIfEmpty(now)
    this.plan(now)
  }

  /** Time has passed: refuses whoever ran out of it, declares an outage, and looks after the old end. */
  tick(now: number): void {
    const { ledger } = this
    if (ledger.isEnding) return
    // In a pause, too: whoever waits for borrowers to finish wants to know which of them does not.
    if (now >= ledger.leaks.lookAt) findLeaks(ledger, now)
    if (now >= ledger.housekeepingAt && ledger.state !== "paused") this.keepHouse(now)
    this.plan(now)
  }

  // What an operator asks.

  /** Lends, opens, checks and retires nothing until `resume`. */
  pause(failsAcquires: boolean, now: number): void {
    if (!this.ledger.isEnding) Control.pause(this.ledger, failsAcquires, now)
  }

  resume(now: number): void {
    Control.resume(this.ledger, now)
    this.plan(now)
  }

  /** Other limits, from now on. The caller has seen to it that they are limits. */
  resize(minConnections: number, maxConnections: number, now: number): void {
    if (this.ledger.isEnding) return
    Control.resize(this.ledger, minConnections, maxConnections, now)
    this.plan(now)
  }

  /** How many of a budget that several pools share this one may have, and whether others need what it does not. */
  allot(allotted: number, isCoveted: boolean, now: number): void {
    if (this.ledger.isEnding) return
    Control.allot(this.ledger, allotted, isCoveted, now)
    this.plan(now)
  }

  /** Replaces all connections, a few at a time, or all at once and under their borrowers. */
  recycle(interruptsBorrowers: boolean, now: number): void {
    if (this.ledger.isEnding) return
    Control.recycle(this.ledger, interruptsBorrowers, now)
    Retirement.retireIdle(this.ledger, now)
    this.plan(now)
  }

  /** Somebody wants this connection gone, and perhaps does not want to wait for whoever has it. */
  evict(connection: Connection<A>, interruptsBorrowers: boolean, now: number): void {
    if (this.ledger.isEnding) return
    Control.evict(this.ledger, connection, interruptsBorrowers, now)
    this.plan(now)
  }

  /** Checks all idle connections, a few at a time. `Swept` says when that is done. */
  sweep(now: number): Sweep {
    const sweep = this.ledger.backgroundChecks.sweep(now)
    this.plan(now)
    return sweep
  }

  /** Closes the pool: waiters are refused, what nobody holds is closed, borrowers may finish. */
  drain(now: number): void {
    if (this.ledger.isEnding) return
    Control.drain(this.ledger, now)
    this.endIfEmpty(now)
  }

  /** The borrowers' time is over: their leases are revoked and the connections closed under them. */
  revokeLeases(now: number): void {
    Control.revokeAll(this.ledger, "drained", now)
  }

  private plan(now: number): void {
    plan(this.ledger, now)
  }

  private keepHouse(now: number): void {
    const { ledger } = this
    ledger.housekeepingAt = now + housekeepingInterval
    Retirement.beginSecond(ledger, now)
    measureSecond(ledger, now)
    Retirement.retireIdle(ledger, now)
    ledger.backgroundChecks.findDue(now)
  }

  /** A borrower met an error after which the connection is of no use. */
  private foundBroken(connection: Connection<A>, now: number): void {
    if (connection.condemned !== undefined) return
    Health.foundDead(this.ledger, connection, now)
    this.ledger.condemn(connection, "broken", now)
  }

  private endIfEmpty(now: number): void {
    const { ledger } = this
    if (ledger.state !== "draining" || ledger.total > 0) return
    ledger.enter("closed")
    ledger.recorder.noteLife("PoolClosed", now)
  }
}
