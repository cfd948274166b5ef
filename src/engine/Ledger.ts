/**
 * What a pool knows, and the moves a connection can make. Every move keeps every count right, notes the fact, and asks
 * whoever drives the engine for what is to be done; none of them decides whether it is to be made.
 */
import { BackgroundChecks } from "./BackgroundChecks.ts"
import { type CloseReason, closeReasons, Connection } from "./Connection.ts"
import { type Decision, Decisions } from "./Decision.ts"
import { Demand } from "./Demand.ts"
import { Durations } from "./Durations.ts"
import { type Counters, type EngineOptions, type LeaseEnd, noCounts } from "./EngineOptions.ts"
import { detailCode, details, FlightRecorder } from "./FlightRecorder.ts"
import { IdleConnections } from "./IdleConnections.ts"
import { endLeak, Leaks } from "./Leaks.ts"
import { Lease, Leases } from "./Lease.ts"
import { type Outage, Outages } from "./Outage.ts"
import { OverdueChecks } from "./OverdueChecks.ts"
import type { FailureKind, PoolState, Refusal } from "./PoolState.ts"
import { ServerLimit } from "./ServerLimit.ts"
import { ShareableConnections } from "./ShareableConnections.ts"
import { Shedding } from "./Shedding.ts"
import { Sizing } from "./Sizing.ts"
import { type Waiter, Waiters } from "./Waiters.ts"

/** Of the lifetime, the largest part that jitter takes away: connections opened together must not end together. */
const lifetimeJitter = 0.25

export class Ledger<A> {
  readonly options: EngineOptions
  readonly connections = new Set<Connection<A>>()
  readonly idle = new IdleConnections<A>()
  readonly shareable = new ShareableConnections<A>()
  readonly leases = new Leases<A>(this.connections)
  readonly waiters = new Waiters<A>()
  readonly counters: Counters = noCounts()
  readonly recorder = new FlightRecorder()
  readonly outages = new Outages()
  readonly overdueChecks = new OverdueChecks<A>()
  readonly backgroundChecks: BackgroundChecks<A>
  readonly decisions = new Decisions<A>()
  readonly demand = new Demand()
  /** How long acquires waited that had to, leases lasted and connects took. */
  readonly waitTimes: Durations
  readonly useTimes: Durations
  readonly connectTimes: Durations
  readonly leaks: Leaks<A>
  /** How many connections were closed for which reason, those that never opened included. */
  readonly closedFor: Record<CloseReason, number> = zeros(closeReasons)
  /** How many acquires failed for which reason. */
  readonly failedFor: Record<AcquireFailure, number> = zeros(details.AcquireFailed)
  readonly serverLimit = new ServerLimit()
  readonly shedding: Shedding
  readonly sizing: Sizing<A>
  state: PoolState = "starting"
  minConnections: number
  maxConnections: number
  /** How many may connect at once; one, while the server drops what it takes. */
  maxConnecting: number
  /** What it is allowed by whoever shares out one budget between several pools. */
  allotted = Infinity
  /** Others need what this pool does not: whoever shares out the budget is told of every connection that comes to rest. */
  isCoveted = false
  inUse = 0
  connecting = 0
  checking = 0
  resetting = 0
  closing = 0
  /** Connections in use that will be closed when they return. */
  doomed = 0
  /** Connections that will be retired before long. */
  leaving = 0
  /** Connections that get no further leases, so that they become free for those who want one to themselves. */
  readonly clearing = new Set<Connection<A>>()
  /** Checks that a waiter may count on: begun for one, and not overdue. */
  promptChecks = 0
  /** Rises with every failed check and every death: a connection not proven since is suspect. */
  doubt = 0
  /** Rises with every `recycle`: a connection begun before is to be replaced. */
  generation = 0
  /** How many acquires there have been: each has its number. */
  acquires = 0
  /** How many more may be retired in this second. */
  retirementsLeft = 1
  nextBatchAt = 0
  housekeepingAt: number
  /** The maximum was lowered, and there may still be more connections than that. */
  isOverfull = false
  /** The minimum was open once. */
  isWarm = false
  /** A connection opened once, or none was asked for. */
  hasBeenReady = false
  /** Since when every place has been lent to somebody who may be waiting for another. */
  stuckSince: number | undefined = undefined
  /** When a deadlock was last broken. */
  deadlockAt = -Infinity
  /** While the pool is paused, acquires fail instead of waiting. */
  failsWhilePaused = false
  private lastConnection = 0
  private lastLease = 0

  constructor(options: EngineOptions, now: number) {
    this.options = options
    this.minConnections = options.minConnections
    this.maxConnections = options.maxConnections
    this.maxConnecting = options.maxConnecting
    this.housekeepingAt = now + 1000
    this.leaks = new Leaks(now)
    this.waitTimes = new Durations([options.acquireTimeout])
    this.useTimes = new Durations([options.leakThreshold])
    this.connectTimes = new Durations([options.connectTimeout])
    this.backgroundChecks = new BackgroundChecks(this)
    this.shedding = new Shedding(options.shedding)
    this.sizing = new Sizing(this, options.sizing, now)
  }

  get total(): number {
    return this.connections.size
  }
  /** How many connections there may be now. */
  get limit(): number {
    const reasonable = Math.min(this.serverLimit.connections, this.sizing.ceiling)
    return Math.min(this.maxConnections, this.allotted, Math.max(reasonable, this.minConnections))
  }
  /** How many there may ever be, as far as can be told now. */
  get highest(): number {
    return Math.min(this.maxConnections, Math.max(this.serverLimit.connections, this.minConnections))
  }
  /** How many it may have, as far as its owner and a shared budget are concerned. */
  get allowance(): number {
    return Math.min(this.maxConnections, this.allotted)
  }
  /** For how many seconds the peaks of use are remembered: as long as a connection may rest. */
  get peakSeconds(): number {
    return Math.max(1, Math.ceil(this.options.idleTimeout / 1000))
  }
  get waiting(): number {
    return this.waiters.length
  }
  get outage(): Outage | undefined {
    return this.outages.current
  }
  get warmupBatchSize(): number {
    return this.options.warmupBatchSize
  }
  /** Connections that are open and not on their way out. */
  get usable(): number {
    return this.idle.length + this.inUse + this.checking + this.resetting - this.doomed
  }
  /** Connections that count towards the minimum. */
  get kept(): number {
    return this.total - this.closing - this.leaving
  }
  /** How many connections more than the limit would stay, if nothing were done. */
  get surplus(): number {
    return this.total - this.closing - this.doomed - this.limit
  }
  /** The pool is closing or closed. */
  get isEnding(): boolean {
    return this.state === "draining" || this.state === "closed"
  }
  /** Connects fail, and somebody needs one. While that lasts, an old connection is better than none. */
  get isFailing(): boolean {
    const { current } = this.outages
    return current !== undefined && !current.probeDue
  }

  /** Why nobody may wait, if nobody may. */
  get refusalForAll(): Refusal | undefined {
    if (this.isEnding) return "closed"
    if (this.state === "unavailable") return "unavailable"
    return this.state === "paused" && this.failsWhilePaused ? "paused" : undefined
  }

  decide(decision: Decision<A>): void {
    this.decisions.add(decision)
  }

  enter(state: PoolState): void {
    const from = this.state
    this.state = state
    if (state === "ready") this.hasBeenReady = true
    this.decide({ _tag: "Changed", state, from })
  }

  isFresh(connection: Connection<A>, now: number): boolean {
    return now < connection.freshUntil && connection.proof === this.doubt
  }

  // Opening.

  open(now: number): void {
    const connection = new Connection<A>(++this.lastConnection, this.generation, now)
    this.connections.add(connection)
    this.connecting++
    connection.probeOf = this.outages.probe(now)
    if (connection.probeOf !== undefined) this.counters.retries++
    this.recorder.noteLife("ConnectionCreated", now, { connection: connection.id })
    this.decide({ _tag: "Open", connection })
  }

  /** It has opened, and is nobody's yet. */
  noteOpened(connection: Connection<A>, now: number): void {
    const { maxLifetime, random } = this.options
    this.connecting--
    this.counters.created++
    connection.openedAt = now
    connection.usedAt = now
    connection.provenAt = now
    connection.proof = this.doubt
    connection.expiresAt = now + maxLifetime
    connection.retireAt = now + maxLifetime * (1 - lifetimeJitter * random())
    this.overdueChecks.opened()
    this.demand.opened(now - connection.createdAt)
    this.connectTimes.note(now - connection.createdAt)
    this.recorder.noteLife("ConnectionReady", now, {
      connection: connection.id,
      duration: now - connection.createdAt
    })
  }

  noteOpenFailed(connection: Connection<A>, kind: FailureKind, text: string | undefined, now: number): void {
    this.connecting--
    this.counters.connectFailures++
    const detail = detailCode("ConnectFailed", kind)
    const duration = now - connection.createdAt
    this.recorder.noteLife("ConnectFailed", now, { connection: connection.id, duration, detail }, text)
  }

  // Lending.

  /** Gives one more lease on a connection that is free, or has room. */
  lend(connection: Connection<A>, isExclusive: boolean, now: number): Lease<A> {
    if (connection.leases === 0) {
      connection.state = "inUse"
      this.inUse++
    }
    connection.leases++
    connection.uses++
    const lease = connection.spareLease ?? addLeaseRecord(connection)
    connection.spareLease = lease.spare
    lease.id = ++this.lastLease
    lease.since = now
    this.leases.length++
    this.demand.lent(now, this.leases.length)
    if (this.options.concurrency > 1) this.shareAfterLending(connection, isExclusive)
    return lease
  }

  private shareAfterLending(connection: Connection<A>, isExclusive: boolean): void {
    connection.isReserved = isExclusive
    // Behind the others, so that the next lease goes to another one.
    this.shareable.remove(connection)
    if (!isExclusive && connection.leases < this.options.concurrency) this.shareable.addLast(connection)
  }

  /** Ends a lease. When it was the last one, what becomes of the connection is for the caller to say. */
  endLease(lease: Lease<A>, end: LeaseEnd, now: number): void {
    const { connection } = lease
    this.leases.ended(lease)
    if (this.leaks.suspected.size > 0) endLeak(this, lease, end === "revoked", now)
    this.demand.ended(lease.since, now, this.inUse, lease.servedTo === undefined)
    // One that its waiter has not taken is nobody's yet, and neither its beginning nor its end is news.
    if (lease.servedTo === undefined) this.noteReleased(lease, lease.id, end, now)
    if (lease.servedTo?.isWoken === false) connection.untold--
    lease.id = 0
    lease.holder = undefined
    lease.servedTo = undefined
    lease.spare = connection.spareLease
    connection.spareLease = lease
    if (--connection.leases > 0) return
    this.inUse--
    if (connection.condemned !== undefined) this.doomed--
    if (this.options.concurrency > 1) this.stopSharing(connection)
  }

  noteReleased(lease: Lease<A>, id: number, end: LeaseEnd, now: number): void {
    this.counters.released++
    this.useTimes.note(now - lease.since)
    this.recorder.released(now, id, lease.connection.id, now - lease.since, end)
  }

  private stopSharing(connection: Connection<A>): void {
    connection.isReserved = false
    this.shareable.remove(connection)
    if (connection.isClearing) {
      connection.isClearing = false
      this.clearing.delete(connection)
    }
  }

  // Resting.

  takeFromIdle(connection: Connection<A>): void {
    this.idle.remove(connection)
  }

  rest(connection: Connection<A>): void {
    connection.state = "idle"
    const { isBackgroundCheck } = connection
    // A background check proves a connection, but does not end its rest: nobody has needed it.
    connection.restsSince = isBackgroundCheck ? connection.usedAt : Math.max(connection.usedAt, connection.provenAt)
    const { canCheck, checkAfterIdle } = this.options
    connection.freshUntil = canCheck ? connection.restsSince + checkAfterIdle : Infinity
    connection.isBackgroundCheck = false
    if (isBackgroundCheck) this.idle.addFromCold(connection, this.doubt)
    else this.idle.addFromWarm(connection, this.doubt)
    if (this.isCoveted) this.decide({ _tag: "Spare" })
  }

  // Work on a connection.

  check(connection: Connection<A>, now: number): void {
    connection.state = "checking"
    connection.workSince = now
    // What is proven is proven as of now: doubt that rises during the check is not answered by it.
    connection.proof = this.doubt
    this.checking++
    this.decide({ _tag: "Check", connection })
  }

  /** Checks a connection so that a waiter may have it. One check that hangs keeps nobody waiting for long. */
  checkForWaiter(connection: Connection<A>, now: number): void {
    this.check(connection, now)
    connection.isPromptCheck = true
    this.promptChecks++
    this.overdueChecks.expect(connection, now)
  }

  endCheck(connection: Connection<A>, outcome: "alive" | "dead" | "abandoned", now: number): void {
    this.checking--
    connection.isSuspect = false
    if (outcome === "alive") this.overdueChecks.answered(now - connection.workSince)
    else if (outcome === "dead" && connection.isPromptCheck) this.overdueChecks.failed()
    if (connection.isPromptCheck) this.promptChecks--
    connection.isPromptCheck = false
    if (outcome !== "abandoned") {
      this.recorder.noteLife("ConnectionChecked", now, {
        connection: connection.id,
        duration: now - connection.workSince,
        detail: outcome === "alive" ? 1 : 0
      })
    }
    if (connection.isBackgroundCheck) this.backgroundChecks.ended(connection, outcome)
  }

  reset(connection: Connection<A>, now: number): void {
    connection.state = "resetting"
    connection.workSince = now
    this.resetting++
    this.decide({ _tag: "Reset", connection })
  }

  endReset(connection: Connection<A>, isDone: boolean, now: number): void {
    this.resetting--
    connection.isDirty = false
    this.recorder.noteLife("ConnectionReset", now, {
      connection: connection.id,
      duration: now - connection.workSince,
      detail: isDone ? 1 : 0
    })
  }

  // Closing.

  /** Closes a connection that is in no state any more: whoever had it has let go. */
  close(connection: Connection<A>, reason: CloseReason, now: number): void {
    connection.state = "closing"
    connection.closedFor = reason
    connection.workSince = now
    this.closing++
    if (connection.isLeaving) this.leaving--
    if (reason === "maxLifetime" || reason === "maxUses" || reason === "idleTimeout") this.retirementsLeft--
    this.decide({ _tag: "Close", connection, reason })
  }

  closeIdle(connection: Connection<A>, reason: CloseReason, now: number): void {
    this.takeFromIdle(connection)
    this.close(connection, reason, now)
  }

  /** Takes a connection that nobody has lent out of whatever it is in, and closes it. */
  closeUnlent(connection: Connection<A>, reason: CloseReason, now: number): void {
    switch (connection.state) {
      case "idle":
        this.takeFromIdle(connection)
        break
      case "connecting":
        this.connecting--
        // It was the outage's one attempt, and will not say what came of it: another one may be made.
        if (connection.probeOf !== undefined && connection.probeOf === this.outage) this.outages.probeMayBeMade(now)
        break
      case "checking":
        this.endCheck(connection, "abandoned", now)
        break
      case "resetting":
        this.resetting--
        break
      default:
        return
    }
    this.close(connection, reason, now)
  }

  /** A connection is to be closed: now if nobody has it, else as soon as whoever has it lets go. */
  condemn(connection: Connection<A>, reason: CloseReason, now: number): void {
    if (connection.state === "inUse") {
      if (connection.condemned === undefined) this.doomed++
      connection.condemned ??= reason
      this.shareable.remove(connection)
      if (connection.untold > 0) this.putBackUntold(connection, now)
      if (connection.leases === 0) this.close(connection, connection.condemned, now)
    } else if (connection.state === "connecting") connection.condemned ??= reason
    else this.closeUnlent(connection, reason, now)
  }

  /** Its finalizer has ended, or its time has passed. Only now does it stop counting. */
  forget(connection: Connection<A>, isAbandoned: boolean, now: number): void {
    connection.state = "closed"
    this.closing--
    if (connection.openedAt !== undefined) this.counters.closed++
    this.closedFor[connection.closedFor!]++
    this.connections.delete(connection)
    this.recorder.noteLife("ConnectionClosed", now, {
      connection: connection.id,
      duration: now - connection.workSince,
      detail: detailCode("ConnectionClosed", connection.closedFor!),
      // The place of a lease says whether its finalizer was still running, the place of an acquire how often it was lent.
      lease: isAbandoned ? 1 : 0,
      acquire: connection.uses
    })
  }

  /** Its retirement is near: it no longer counts as kept. */
  markLeaving(connection: Connection<A>): void {
    connection.isLeaving = true
    this.leaving++
  }

  // Waiting.

  /** Lends the waiter a connection. It is told by whoever drives the engine, and may leave before it is. */
  serve(connection: Connection<A>, waiter: Waiter<A>, now: number): void {
    this.waiters.remove(waiter)
    this.waiters.noteServed(waiter)
    this.leaveLine(waiter)
    this.demand.waited += now - waiter.enqueuedAt
    const lease = this.lend(connection, waiter.isExclusive, now)
    connection.isBackgroundCheck = false
    lease.servedTo = waiter
    connection.untold++
    waiter.lease = lease
    waiter.leaseId = lease.id
    waiter.state = "served"
    this.decide({ _tag: "Serve", waiter })
  }

  /**
   * A connection is no longer what it was when it was lent: those who were served with it and have not been told yet go on
   * waiting, for a better one. At once, or others would be given what becomes free meanwhile.
   */
  putBackUntold(connection: Connection<A>, now: number): void {
    if (this.isEnding) return
    for (let lease = connection.leaseRecords; lease !== undefined; lease = lease.sibling) {
      const { servedTo } = lease
      if (servedTo === undefined || servedTo.isWoken) continue
      connection.uses--
      this.endLease(lease, "clean", now)
      this.waitAgain(servedTo, now)
    }
  }

  /** The waiter is being told that it was served: it will take its lease, whatever becomes of it. */
  tell(waiter: Waiter<A>): void {
    waiter.isWoken = true
    waiter.lease!.connection.untold--
  }

  /** What the waiter was served is gone before it could take it: it goes on waiting where it stood. */
  waitAgain(waiter: Waiter<A>, now: number): void {
    waiter.state = "waiting"
    if (waiter.lease !== undefined) this.demand.waited -= waiter.lease.since - waiter.enqueuedAt
    waiter.lease = undefined
    this.waiters.putBack(waiter)
    if (this.waiters.length === 1) this.demand.lineBegins(now, this.acquires)
    if (waiter.held.length > 0) this.leases.holderWaits(waiter)
    const { refusalForAll } = this
    if (refusalForAll !== undefined) this.refuse(waiter, refusalForAll, now)
  }

  refuse(waiter: Waiter<A>, refusal: Refusal, now: number): void {
    waiter.waitingWithIt = this.waiters.length
    this.waiters.remove(waiter)
    waiter.state = "refused"
    this.leaveLine(waiter)
    this.noteRefused(waiter, refusal, now)
    this.decide({ _tag: "Refuse", waiter, refusal })
  }

  noteRefused({ acquire, enqueuedAt }: Waiter<A>, refusal: Refusal, now: number): void {
    const { counters } = this
    if (refusal === "timeout") counters.timedOut++
    else if (refusal === "overloaded" || refusal === "shed") counters.shed++
    else if (refusal === "deadlock") this.noteDeadlock(now)
    else counters.refused++
    this.failedFor[refusal]++
    this.recorder.failed(now, acquire, now - enqueuedAt, refusal)
  }

  private noteDeadlock(now: number): void {
    this.counters.deadlocked++
    this.deadlockAt = now
  }

  refuseAll(refusal: Refusal, now: number): void {
    for (let waiter = this.waiters.first; waiter !== undefined; waiter = this.waiters.first) {
      this.refuse(waiter, refusal, now)
    }
  }

  /** What is to be done for every waiter that leaves the line, whichever way. */
  leaveLine(waiter: Waiter<A>): void {
    if (waiter.held.length > 0) this.leases.holderLeft(waiter)
    if (this.waiters.length > 0) return
    this.demand.lineEnds()
    this.shedding.lineEnded()
  }

  /** Refuses those whose deadline has passed. All wait equally long, so each line is in the order of its deadlines. */
  expireWaiters(now: number): void {
    for (const line of this.waiters.lines) {
      for (let waiter = line.first; waiter !== undefined && now >= waiter.deadline; waiter = line.first) {
        this.refuse(waiter, "timeout", now)
      }
    }
  }
}

type AcquireFailure = (typeof details.AcquireFailed)[number]

const zeros = <Name extends string>(names: ReadonlyArray<Name>): Record<Name, number> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>

const addLeaseRecord = <A>(connection: Connection<A>): Lease<A> =>
  (connection.leaseRecords = new Lease(connection, connection.leaseRecords))
