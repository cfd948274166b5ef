/**
 * The heart of the pool: its whole state, and every transition as one synchronous method.
 *
 * A transition takes the time as an argument, changes the state, and leaves decisions for whoever drives the engine
 * (see `Decision`). It never waits, calls nobody and reads no clock, so no two transitions interleave: the production
 * pool and its tests drive this very code, and every race is an ordinary sequence of calls.
 *
 * Times are milliseconds on any clock that does not run backwards.
 */
import { type CloseReason, Connection } from "./Connection.ts"
import { type Decision, Decisions } from "./Decision.ts"
import { IdleConnections } from "./IdleConnections.ts"
import { type Counters, type EngineOptions, type LeaseOutcome, noCounts } from "./EngineOptions.ts"
import { type Outage, Outages } from "./Outage.ts"
import { OverdueChecks } from "./OverdueChecks.ts"
import { connectionsWanted, nextBatchDue, type PlannerView } from "./Planner.ts"
import type { FailureKind, PoolState, Refusal } from "./PoolState.ts"
import { isIdleTooLong, retirementReason } from "./Retirement.ts"
import { type Waiter, Waiters } from "./Waiters.ts"

/** How often the old end is looked at, in milliseconds. */
const housekeepingInterval = 1000

/** Of the lifetime, the largest part that jitter takes away: connections opened together must not end together. */
const lifetimeJitter = 0.25

/** How many idle connections the background check has in hand at once. */
const maxBackgroundChecks = 2

export type { Counters, EngineOptions, LeaseOutcome } from "./EngineOptions.ts"

export class Engine<A> implements PlannerView {
  readonly options: EngineOptions
  readonly connections = new Set<Connection<A>>()
  readonly idle = new IdleConnections<A>()
  readonly waiters = new Waiters<A>()
  readonly counters: Counters = noCounts()
  state: PoolState = "starting"
  inUse = 0
  connecting = 0
  checking = 0
  resetting = 0
  closing = 0
  /** Rises with every failed check and every death: a connection not proven since is suspect. */
  doubt = 0
  nextBatchAt = 0
  /** How many may connect at once; one, while the server drops what it takes. */
  maxConnecting: number
  /** Checks that a waiter may count on: begun for one, and not overdue. */
  promptChecks = 0
  /** Connections in use that will be closed when they return. */
  private doomed = 0
  private readonly outages = new Outages()
  private readonly overdueChecks = new OverdueChecks<A>()
  private housekeepingAt: number
  private lastId = 0
  private readonly decisions = new Decisions<A>()

  constructor(options: EngineOptions, now: number) {
    this.options = options
    this.maxConnecting = options.maxConnecting
    this.housekeepingAt = now + housekeepingInterval
  }

  // What the planner looks at.

  get total(): number {
    return this.connections.size
  }
  get waiting(): number {
    return this.waiters.length
  }
  get limit(): number {
    return this.options.maxConnections
  }
  get outage(): Outage | undefined {
    return this.outages.current
  }
  get minConnections(): number {
    return this.options.minConnections
  }
  get warmupBatchSize(): number {
    return this.options.warmupBatchSize
  }
  /** Connections that are open and not on their way out. */
  get usable(): number {
    return this.idle.length + this.inUse + this.checking + this.resetting - this.doomed
  }

  // What the driver takes out.

  get hasDecisions(): boolean {
    return !this.decisions.isEmpty
  }

  nextDecision(): Decision<A> | undefined {
    return this.decisions.next()
  }

  /** The next time at which `tick` has something to do. */
  wakeAt(): number {
    if (this.state === "closed" || this.state === "draining") return Infinity
    let at = this.waiters.first?.deadline ?? Infinity
    if (this.connections.size > 0) at = Math.min(at, this.housekeepingAt)
    if (this.waiters.length > 0) at = Math.min(at, this.overdueChecks.nextAt())
    return Math.min(at, nextBatchDue(this), this.unavailableAt())
  }

  // Lending.

  /** Whether `lease` has something to consider: a connection, and nobody in line for it. */
  get hasSpare(): boolean {
    return this.idle.length > 0 && this.waiters.length === 0
  }

  /** Lends the warmest idle connection, if nobody is in line and it needs no check. This is the whole fast path. */
  lease(now: number): Connection<A> | undefined {
    const connection = this.idle.warmest
    if (connection === undefined || this.waiters.length > 0 || !this.isFresh(connection, now)) return undefined
    this.idle.remove(connection)
    return this.lend(connection, now)
  }

  /** Puts a waiter in line, or says why it cannot wait. */
  enqueue(waiter: Waiter<A>, now: number): Refusal | undefined {
    const refusal = this.refusal(now)
    if (refusal !== undefined) {
      waiter.state = "refused"
      if (refusal === "overloaded") this.counters.shed++
      return refusal
    }
    waiter.enqueuedAt = now
    waiter.deadline = now + this.options.acquireTimeout
    this.waiters.push(waiter)
    this.plan(now)
    return undefined
  }

  /**
   * The waiter's fiber runs and takes what it was served: from here on the lease is released, not cancelled. Nothing if
   * the lease was revoked before the fiber could run.
   */
  take(waiter: Waiter<A>): Connection<A> | undefined {
    if (waiter.state !== "served") return undefined
    waiter.state = "taken"
    const connection = waiter.connection
    return connection?.lease === waiter.lease ? connection : undefined
  }

  /** The waiter left: it leaves the line, or what it was served goes to the next. Final states are left alone. */
  cancel(waiter: Waiter<A>, now: number): void {
    switch (waiter.state) {
      case "waiting":
        this.waiters.remove(waiter)
        break
      case "served":
        this.returnUntouched(waiter.connection!, waiter.lease, now)
        break
      default:
        return
    }
    waiter.state = "cancelled"
    this.counters.cancelled++
  }

  /**
   * A lease ended. The state changes at once; reset, check and close are decisions, and none of them is the
   * borrower's to wait for. A lease that is not running any more (released before, or revoked) changes nothing.
   */
  release(connection: Connection<A>, lease: number, outcome: LeaseOutcome, now: number): void {
    if (connection.lease !== lease || connection.state !== "inUse") return
    if (outcome === "broken" && connection.condemned === undefined) {
      this.foundDead(connection, now)
      this.condemn(connection, "broken")
    }
    this.endLease(connection)
    connection.usedAt = now
    const reason = this.reasonToClose(connection, now)
    if (reason !== undefined) this.close(connection, reason)
    else if (outcome === "clean") return this.offer(connection, now)
    else this.restore(connection, outcome === "suspect", now)
    this.plan(now)
  }

  /** The borrower does not want this connection to be lent again. */
  discard(connection: Connection<A>, lease: number): void {
    if (connection.lease === lease && connection.state === "inUse") this.condemn(connection, "discarded")
  }

  /** Somebody knows that this connection must not be lent again. A lease on it goes on to its end. */
  invalidate(connection: Connection<A>, now: number): void {
    this.condemn(connection, "invalidated")
    this.plan(now)
  }

  // Opening.

  /** Opens the minimum. Until the first connection is open the pool is `starting`, unless none is asked for. */
  start(now: number): void {
    // The scope may have closed before its pool began.
    if (this.state !== "starting") return
    if (this.options.minConnections === 0) this.enter("ready")
    this.plan(now)
  }

  opened(connection: Connection<A>, now: number): void {
    if (connection.state !== "connecting") return
    this.connecting--
    this.counters.created++
    connection.openedAt = now
    connection.usedAt = now
    connection.provenAt = now
    connection.proof = this.doubt
    connection.expiresAt = now + this.options.maxLifetime * (1 - lifetimeJitter * this.options.random())
    this.outages.end(now)
    if (this.state === "starting" || this.state === "unavailable") this.enter("ready")
    this.settle(connection, now)
    this.endBatch(now)
    this.plan(now)
  }

  /** A connect failed or timed out. The next step is the retry schedule's, once for all who wait. */
  openFailed(connection: Connection<A>, kind: FailureKind, now: number): void {
    if (connection.state !== "connecting") return
    this.connecting--
    this.counters.connectFailures++
    this.failed(connection, kind, now)
    this.close(connection, "connectFailed")
    this.endBatch(now)
    this.plan(now)
  }

  /** The retry schedule has said when the next attempt is due. */
  backoffStarted(nextProbeAt: number): void {
    if (this.outage !== undefined) this.outage.nextProbeAt = nextProbeAt
  }

  /** The backoff step has ended: one attempt may be made, now or when somebody needs it. */
  backoffEnded(now: number): void {
    if (this.outage === undefined) return
    this.outages.probeMayBeMade(now)
    this.plan(now)
  }

  // Looking after connections.

  checked(connection: Connection<A>, isAlive: boolean, now: number): void {
    if (connection.state !== "checking") return
    this.endCheck(connection)
    if (isAlive) {
      connection.provenAt = now
      this.settle(connection, now)
    } else {
      this.foundDead(connection, now)
      this.close(connection, "checkFailed")
    }
    this.plan(now)
  }

  resetDone(connection: Connection<A>, isDone: boolean, now: number): void {
    if (connection.state !== "resetting") return
    this.resetting--
    if (!isDone) this.close(connection, "resetFailed")
    else if (connection.condemned === undefined && connection.checkAfterReset) this.check(connection)
    else this.settle(connection, now)
    this.plan(now)
  }

  /** A connection ended by itself. Whatever killed it may have killed the others: they are checked before their next lease. */
  died(connection: Connection<A>, now: number): void {
    if (connection.state === "closing" || connection.state === "closed" || connection.condemned !== undefined) return
    this.foundDead(connection, now)
    this.condemn(connection, "died")
    this.plan(now)
  }

  /** The connection's finalizer has ended, or its time has passed. Only now does it stop counting. */
  closed(connection: Connection<A>, now: number): void {
    if (connection.state !== "closing") return
    connection.state = "closed"
    this.closing--
    if (connection.openedAt !== undefined) this.counters.closed++
    this.connections.delete(connection)
    if (this.state === "draining" && this.connections.size === 0) this.enter("closed")
    this.plan(now)
  }

  /** Time has passed: refuses whoever ran out of it, declares an outage, and looks after the old end. */
  tick(now: number): void {
    if (this.state === "draining" || this.state === "closed") return
    if (now >= this.housekeepingAt) {
      this.housekeepingAt = now + housekeepingInterval
      if (!this.isFailing) this.retireIdle(now)
      this.checkIdle(now)
    }
    this.plan(now)
  }

  // Closing.

  /** Closes the pool: waiters are refused, what nobody holds is closed, borrowers may finish. */
  drain(): void {
    if (this.state === "draining" || this.state === "closed") return
    this.enter("draining")
    this.outages.current = undefined
    this.refuseAll("closed")
    for (const connection of this.connections) {
      if (connection.state === "inUse") this.condemn(connection, "poolClosed")
      else this.closeAtOnce(connection, "poolClosed")
    }
    if (this.connections.size === 0) this.enter("closed")
  }

  /** The borrowers' time is over: their leases are revoked and the connections closed under them. */
  revokeLeases(): void {
    for (const connection of this.connections) {
      if (connection.state !== "inUse") continue
      this.endLease(connection)
      this.close(connection, "drained")
    }
  }

  // The parts transitions are made of. None of them plans; the transition that calls them does, once, at its end.

  /**
   * A connection was found dead. Whatever killed it may have killed the others, where a check can tell. And when one
   * after the other does nothing but open, as behind a proxy whose server is gone, that is no better than not opening.
   */
  private foundDead(connection: Connection<A>, now: number): void {
    if (this.options.canCheck) this.doubt++
    if (this.outages.isDrop(connection.openedAt ?? now, now)) this.failed(connection, "transient", now)
  }

  /** An attempt to have a connection failed. The next one is the retry schedule's to allow. */
  private failed(connection: Connection<A>, kind: FailureKind, now: number): void {
    if (this.state === "draining") return
    const startsOver = this.outage === undefined && this.outages.isSteady(now)
    if (this.outages.fail(connection.probeOf, now)) this.decisions.add({ _tag: "Backoff", kind, startsOver })
  }

  private endLease(connection: Connection<A>): void {
    connection.lease = 0
    this.inUse--
    this.counters.released++
    if (connection.condemned !== undefined) this.doomed--
  }

  private endCheck(connection: Connection<A>): void {
    this.checking--
    if (connection.isPromptCheck) this.promptChecks--
    connection.isPromptCheck = false
  }

  private isFresh(connection: Connection<A>, now: number): boolean {
    return now < connection.freshUntil && connection.proof === this.doubt
  }

  private lend(connection: Connection<A>, now: number): Connection<A> {
    connection.state = "inUse"
    connection.uses++
    connection.leasedAt = now
    connection.lease = ++this.counters.acquired
    this.inUse++
    return connection
  }

  /** A usable connection has nobody: it goes to the first in line, once it is above doubt, else to rest. */
  private offer(connection: Connection<A>, now: number): void {
    const waiter = this.nextWaiter(now)
    if (waiter === undefined) return this.rest(connection)
    if (connection.proof !== this.doubt) return this.checkForWaiter(connection, now)
    this.waiters.remove(waiter)
    this.lend(connection, now)
    waiter.connection = connection
    waiter.lease = connection.lease
    waiter.state = "served"
    connection.isBackgroundCheck = false
    this.decisions.add({ _tag: "Serve", waiter })
  }

  private rest(connection: Connection<A>): void {
    connection.state = "idle"
    const { isBackgroundCheck } = connection
    // A background check proves a connection, but does not end its rest: nobody has needed it.
    connection.restsSince = isBackgroundCheck ? connection.usedAt : Math.max(connection.usedAt, connection.provenAt)
    const { canCheck, checkAfterIdle } = this.options
    connection.freshUntil = Math.min(canCheck ? connection.restsSince + checkAfterIdle : Infinity, connection.expiresAt)
    connection.isBackgroundCheck = false
    if (isBackgroundCheck) this.idle.addFromCold(connection, this.doubt)
    else this.idle.addFromWarm(connection, this.doubt)
  }

  /** The first in line whose deadline has not passed. Those whose has are refused: a lease would be of no use to them. */
  private nextWaiter(now: number): Waiter<A> | undefined {
    const first = this.waiters.first
    if (first === undefined || now < first.deadline) return first
    this.expireWaiters(now)
    return this.waiters.first
  }

  private expireWaiters(now: number): void {
    // All wait equally long, so the line is in the order of its deadlines.
    for (let waiter = this.waiters.first; waiter !== undefined && now >= waiter.deadline; waiter = this.waiters.first) {
      this.counters.timedOut++
      this.refuse(waiter, "timeout")
    }
  }

  private refuse(waiter: Waiter<A>, refusal: Refusal): void {
    this.waiters.remove(waiter)
    waiter.state = "refused"
    this.decisions.add({ _tag: "Refuse", waiter, refusal })
  }

  private refuseAll(refusal: Refusal): void {
    for (let waiter = this.waiters.first; waiter !== undefined; waiter = this.waiters.first) {
      this.refuse(waiter, refusal)
    }
  }

  private refusal(now: number): Refusal | undefined {
    if (this.state === "draining" || this.state === "closed") return "closed"
    if (this.state === "unavailable") return "unavailable"
    return this.isLineFull() && (this.expireWaiters(now), this.isLineFull()) ? "overloaded" : undefined
  }

  /** Waiters for whom there is a place, and a connection to be opened or checked, are not what makes a line too long. */
  private isLineFull(): boolean {
    return this.waiters.length - (this.limit - this.inUse) >= this.options.maxWaiting
  }

  /** A waiter that was served never ran: its connection goes on as if it had not been lent. */
  private returnUntouched(connection: Connection<A>, lease: number, now: number): void {
    if (connection.lease !== lease || connection.state !== "inUse") return
    this.endLease(connection)
    connection.uses--
    connection.usedAt = now
    this.settle(connection, now)
    this.plan(now)
  }

  /** Work on a connection ended well: it is offered, unless somebody condemned it or it grew too old meanwhile. */
  private settle(connection: Connection<A>, now: number): void {
    const reason = this.reasonToClose(connection, now)
    if (reason !== undefined) this.close(connection, reason)
    else this.offer(connection, now)
  }

  /** Why a connection that nobody holds must be closed; `undefined` if it may be lent again. */
  private reasonToClose(connection: Connection<A>, now: number): CloseReason | undefined {
    return connection.condemned ?? (this.isFailing ? undefined : retirementReason(connection, this.options, now))
  }

  /** Connects fail, and somebody needs one. While that lasts, an old connection is better than none. */
  private get isFailing(): boolean {
    return this.outage !== undefined && !this.outage.probeDue
  }

  /** A lease may have left something behind: reset it, and prove it if nobody knows what it is doing. */
  private restore(connection: Connection<A>, isSuspect: boolean, now: number): void {
    const { canCheck, canReset } = this.options
    connection.checkAfterReset = isSuspect && canCheck
    if (canReset) {
      connection.state = "resetting"
      this.resetting++
      this.decisions.add({ _tag: "Reset", connection })
    } else if (!isSuspect) this.offer(connection, now)
    else if (canCheck) this.check(connection)
    else this.close(connection, "suspect")
  }

  /** Checks a connection so that a waiter may have it. One check that hangs keeps nobody waiting for long. */
  private checkForWaiter(connection: Connection<A>, now: number): void {
    this.check(connection)
    connection.isPromptCheck = true
    this.promptChecks++
    this.overdueChecks.expect(connection, now)
  }

  private check(connection: Connection<A>): void {
    connection.state = "checking"
    // What is proven is proven as of now: doubt that rises during the check is not answered by it.
    connection.proof = this.doubt
    this.checking++
    this.decisions.add({ _tag: "Check", connection })
  }

  private open(now: number): void {
    const connection = new Connection<A>(++this.lastId)
    this.connections.add(connection)
    this.connecting++
    connection.probeOf = this.outages.probe(now)
    if (connection.probeOf !== undefined) this.counters.retries++
    this.decisions.add({ _tag: "Open", connection })
  }

  private close(connection: Connection<A>, reason: CloseReason): void {
    connection.state = "closing"
    this.closing++
    this.decisions.add({ _tag: "Close", connection, reason })
  }

  /** Takes a connection that nobody has lent out of whatever it is in, and closes it. */
  private closeAtOnce(connection: Connection<A>, reason: CloseReason): void {
    if (connection.state === "idle") this.idle.remove(connection)
    else if (connection.state === "connecting") this.connecting--
    else if (connection.state === "checking") this.endCheck(connection)
    else if (connection.state === "resetting") this.resetting--
    else return
    this.close(connection, reason)
  }

  private condemn(connection: Connection<A>, reason: CloseReason): void {
    if (connection.state === "inUse") {
      if (connection.condemned === undefined) this.doomed++
      connection.condemned ??= reason
    } else if (connection.state === "connecting") connection.condemned ??= reason
    else this.closeAtOnce(connection, reason)
  }

  private enter(state: PoolState): void {
    this.state = state
    this.decisions.add({ _tag: "Changed", state })
  }

  /** A warmup batch has settled: the next one waits a little. */
  private endBatch(now: number): void {
    if (this.connecting === 0) this.nextBatchAt = now + this.options.warmupDelay
  }

  /** What the state asks for: connections to those who wait, checks where a rest was long, new connections. */
  private plan(now: number): void {
    if (this.state === "draining" || this.state === "closed") return
    this.expireWaiters(now)
    this.promptChecks -= this.overdueChecks.take(now)
    this.maxConnecting = this.outages.isDropping(now) ? 1 : this.options.maxConnecting
    if (this.waiters.length > 0 && this.idle.length > 0) this.serveFromIdle(now)
    this.assessAvailability(now)
    for (let wanted = connectionsWanted(this, now); wanted > 0; wanted--) this.open(now)
  }

  private serveFromIdle(now: number): void {
    let unserved = this.waiters.length - this.promptChecks
    for (let connection = this.idle.warmest; connection !== undefined; connection = this.idle.warmest) {
      const waiter = this.nextWaiter(now)
      if (waiter === undefined) return
      const reason = this.reasonToClose(connection, now)
      if (reason !== undefined) {
        this.idle.remove(connection)
        this.close(connection, reason)
      } else if (!this.options.canCheck || this.isFresh(connection, now)) {
        this.idle.remove(connection)
        this.offer(connection, now)
        unserved--
      } else if (unserved > 0) {
        this.idle.remove(connection)
        this.checkForWaiter(connection, now)
        unserved--
      } else return
    }
  }

  private assessAvailability(now: number): void {
    this.outages.look(this.usable, now)
    if (now >= this.unavailableAt()) {
      this.enter("unavailable")
      this.refuseAll("unavailable")
    }
  }

  /** When the pool, if nothing changes, will have been without a usable connection and failing for too long. */
  private unavailableAt(): number {
    return this.state === "ready" ? this.outages.hopelessSince() + this.options.unavailableAfter : Infinity
  }

  /** Retires a few from the cold end: never so many at once that callers would notice. */
  private retireIdle(now: number): void {
    let budget = Math.max(1, Math.floor(this.total / 10))
    let kept = this.total - this.closing
    for (let connection = this.idle.coldest; connection !== undefined && budget > 0;) {
      const warmer: Connection<A> | undefined = connection.warmer
      const isSpare = kept > this.options.minConnections && isIdleTooLong(connection, this.options, now)
      const reason = isSpare ? "idleTimeout" : retirementReason(connection, this.options, now)
      if (reason !== undefined) {
        this.closeAtOnce(connection, reason)
        kept--
        budget--
      }
      connection = warmer
    }
  }

  /** Checks a few of the coldest in the background, and leaves at least one for callers. */
  private checkIdle(now: number): void {
    if (!this.options.canCheck) return
    for (let connection = this.idle.coldest; connection !== undefined && this.idle.length > 1;) {
      if (this.checking >= maxBackgroundChecks) return
      const warmer: Connection<A> | undefined = connection.warmer
      const lastProven = Math.max(connection.usedAt, connection.provenAt)
      if (now - lastProven >= this.options.healthCheckInterval) {
        this.idle.remove(connection)
        connection.isBackgroundCheck = true
        this.check(connection)
      }
      connection = warmer
    }
  }
}
