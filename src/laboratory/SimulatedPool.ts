/**
 * A pool in the load laboratory: drives an engine as the runtime does, with events in place of fibers, and a model server in place
 * of a connector. It holds no policy either.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Connection } from "../engine/Connection.ts"
import type { Decision } from "../engine/Decision.ts"
import { Engine, type LeaseOutcome } from "../engine/Engine.ts"
import type { Lease } from "../engine/Lease.ts"
import type { FailureKind, Refusal } from "../engine/PoolState.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import type { BoundConnector } from "../runtime/BoundConnector.ts"
import { engineOptions } from "../runtime/EngineSettings.ts"
import { Dice, hash } from "../testing/Dice.ts"
import { ConnectRetries } from "./ConnectRetries.ts"
import { type EventQueue, TimedEvent } from "./EventQueue.ts"
import { RequestLog } from "./RequestLog.ts"
import type { ServerModel } from "./ServerModel.ts"
import { Session, type SessionOwner } from "./Session.ts"
import { GiveUp, RequestWaiter, SimulatedRequest } from "./SimulatedRequest.ts"
import type { Tally } from "./Tally.ts"
import type { Asked } from "./Workload.ts"

/** What the engine is to believe of its connector: it can check, and nothing needs a reset. */
const connector: BoundConnector<Session> = {
  connect: () => Effect.never,
  check: () => Effect.never,
  reset: undefined,
  closed: undefined,
  inspect: () => "clean",
  classify: undefined,
  fatal: undefined,
  statistics: undefined
}

export class SimulatedPool implements SessionOwner {
  readonly engine: Engine<Session>
  readonly log = new RequestLog()
  /** This part of all requests never return their lease. */
  leakShare = 0
  /** This part of those who wait give up after so long. */
  cancelShare = 0
  cancelAfter = Infinity
  private isPerforming = false
  /** Open or connecting, as last counted. */
  private connections = 0
  private readonly alarm: Alarm
  private readonly probe: Probe
  private readonly retries: ConnectRetries
  private readonly connectTimeout: number
  private readonly checkTimeout: number
  private readonly config: PoolConfig
  private readonly queue: EventQueue<TimedEvent>
  private readonly server: ServerModel
  private readonly tally: Tally
  private readonly goodWithin: number

  constructor(options: {
    readonly config: PoolConfig
    readonly queue: EventQueue<TimedEvent>
    readonly server: ServerModel
    readonly tally: Tally
    readonly goodWithin: number
    readonly seed: number
  }) {
    const { config, goodWithin, queue, seed, server, tally } = options
    this.config = config
    this.queue = queue
    this.server = server
    this.tally = tally
    this.goodWithin = goodWithin
    this.connectTimeout = Duration.toMillis(config.connectTimeout)
    this.checkTimeout = Duration.toMillis(config.checkTimeout)
    const dice = new Dice(hash(seed, 1))
    this.engine = new Engine<Session>(
      engineOptions(config, connector, () => dice.next()),
      0
    )
    this.retries = new ConnectRetries(config, new Dice(hash(seed, 2)))
    this.alarm = new Alarm(this)
    this.probe = new Probe(this)
  }

  start(now: number): void {
    this.engine.start(now)
    this.perform(now)
  }

  recycle(now: number): void {
    this.engine.recycle(false, now)
    this.perform(now)
  }

  // Requests.

  arrive(asked: Asked, now: number): void {
    this.tally.came()
    const index = this.tally.isMeasured(now) ? this.log.came(now) : -1
    const leaks = asked.leakChance < this.leakShare
    const cancels = asked.cancelChance < this.cancelShare
    this.acquire(new SimulatedRequest(this, asked, index, leaks, cancels, now), now)
  }

  private acquire(request: SimulatedRequest, now: number): void {
    const lease = this.leaseAtOnce(request, now)
    if (lease === undefined) this.wait(request, now)
    else this.served(request, lease, lease.id, now)
  }

  private leaseAtOnce(request: SimulatedRequest, now: number): Lease<Session> | undefined {
    if (!this.engine.hasSpare) return undefined
    // What is forbidden is refused in line, like everything else that is refused.
    if (this.config.nested === "error" && request.lease !== undefined) return undefined
    return this.engine.lease(now)
  }

  private wait(request: SimulatedRequest, now: number): void {
    const waiter = new RequestWaiter(request)
    waiter.isBatch = request.isBatch
    const { lease, leaseId } = request
    if (lease !== undefined && this.config.nested !== "allow") waiter.held = [{ lease, id: leaseId }]
    const refusal = this.engine.enqueue(waiter, now)
    if (refusal !== undefined) this.refused(request, refusal, now)
    if (this.engine.hasDecisions || refusal === undefined) this.perform(now)
    if (!request.cancels || waiter.state !== "waiting") return
    waiter.giveUp = new GiveUp(waiter)
    this.queue.add(waiter.giveUp, now + this.cancelAfter)
  }

  /** A waiter leaves the line, and returns what he has. */
  gaveUp(waiter: RequestWaiter, now: number): void {
    this.engine.cancel(waiter, now)
    this.failed(waiter.request, now)
    this.giveBack(waiter.request, "clean", now)
  }

  private served(request: SimulatedRequest, lease: Lease<Session>, id: number, now: number): void {
    lease.holder = request
    const work = request.isNested ? request.work / 2 : request.work
    if (request.lease === undefined) {
      request.lease = lease
      request.leaseId = id
      this.tally.waitEnded(now - request.cameAt)
      if (request.index >= 0) this.log.served(request.index, now)
    } else {
      request.innerLease = lease
      request.innerLeaseId = id
    }
    this.server.begin(request, lease.connection.resource, work, now)
  }

  /** The server has done, or failed, what a request asked for on the lease it took last. */
  jobEnded(request: SimulatedRequest, isAnswered: boolean, now: number): void {
    const { innerLease, isNested } = request
    if (isNested && innerLease === undefined && isAnswered) return this.acquire(request, now)
    if (isAnswered) this.answered(request, now)
    else this.failed(request, now)
    const outcome = isAnswered ? "clean" : "broken"
    if (innerLease === undefined) return this.giveBack(request, outcome, now)
    this.engine.release(innerLease, request.innerLeaseId, outcome, now)
    this.giveBack(request, "clean", now)
  }

  /** Returns what a request borrowed first. */
  private giveBack({ lease, leaseId, leaks }: SimulatedRequest, outcome: LeaseOutcome, now: number): void {
    if (lease !== undefined && !leaks) this.engine.release(lease, leaseId, outcome, now)
    if (this.engine.hasDecisions) this.perform(now)
  }

  // What becomes of them.

  private answered({ cameAt, index }: SimulatedRequest, now: number): void {
    this.tally.answered(now - cameAt <= this.goodWithin, now)
    if (index >= 0) this.log.answered(index, this.goodWithin, now)
  }

  private failed({ cameAt, index, lease }: SimulatedRequest, now: number): void {
    this.tally.unanswered()
    if (lease === undefined) this.tally.waitEnded(now - cameAt)
    if (index >= 0) this.log.failed++
  }

  private refused(request: SimulatedRequest, refusal: Refusal, now: number): void {
    const { cameAt, index, lease } = request
    if (lease !== undefined) {
      // It holds one already, and can do nothing with it.
      this.failed(request, now)
      return this.giveBack(request, "clean", now)
    }
    this.tally.unanswered()
    this.tally.waitEnded(now - cameAt)
    if (index < 0) return
    if (refusal === "overloaded" || refusal === "shed") this.log.shed++
    else if (refusal === "timeout") this.log.timedOut++
    else this.log.failed++
  }

  // The engine's time.

  rang(now: number): void {
    this.engine.tick(now)
    this.perform(now)
  }

  /** The backoff step is over. */
  probeIsDue(now: number): void {
    this.engine.backoffEnded(now)
    this.perform(now)
  }

  // What becomes of connections.

  opened(session: Session, now: number): void {
    this.tally.connectionOpened(now)
    this.engine.opened(session.key as Connection<Session>, now)
    this.perform(now)
  }

  refusedConnection(session: Session, kind: FailureKind, now: number): void {
    this.engine.openFailed(session.key as Connection<Session>, kind, now)
    this.perform(now)
  }

  checked(session: Session, isAlive: boolean, now: number): void {
    this.engine.checked(session.key as Connection<Session>, isAlive, now)
    this.perform(now)
  }

  closed(session: Session, now: number): void {
    const connection = session.key as Connection<Session>
    if (connection.openedAt !== undefined) this.tally.connectionClosed(now)
    this.engine.closed(connection, now)
    this.perform(now)
  }

  died(session: Session, now: number): void {
    this.engine.died(session.key as Connection<Session>, now)
    this.perform(now)
  }

  // What the engine decides.

  /** Carries out what the engine has decided, until nothing is left. What is decided on the way is left to the loop that runs. */
  private perform(now: number): void {
    if (this.isPerforming) return
    this.isPerforming = true
    const { engine } = this
    for (let decision = engine.nextDecision(); decision !== undefined; decision = engine.nextDecision()) {
      this.carryOut(decision, now)
    }
    this.isPerforming = false
    this.setAlarm(now)
    this.countConnections(now)
  }

  private carryOut(decision: Decision<Session>, now: number): void {
    switch (decision._tag) {
      case "Serve":
        return this.wake(decision.waiter as RequestWaiter, now)
      case "Refuse": {
        const waiter = decision.waiter as RequestWaiter
        this.forgetGiveUp(waiter)
        return this.refused(waiter.request, decision.refusal, now)
      }
      case "Open":
        return this.open(decision.connection, now)
      case "Check":
        return decision.connection.resource.check(this.checkTimeout, now)
      case "Close":
        return decision.connection.resource.close(now)
      case "Backoff":
        return this.backOff(decision.kind, decision.startsOver, now)
      case "PolicyFault":
        return this.tally.contradicted(`the sizing policy ${decision.policy}: ${decision.fault}`)
    }
  }

  private wake(waiter: RequestWaiter, now: number): void {
    if (!this.engine.wake(waiter)) return
    const lease = this.engine.take(waiter)
    if (lease === undefined) return
    this.forgetGiveUp(waiter)
    this.served(waiter.request, lease, waiter.leaseId, now)
  }

  private forgetGiveUp({ giveUp }: RequestWaiter): void {
    if (giveUp !== undefined) this.queue.remove(giveUp)
  }

  private open(connection: Connection<Session>, now: number): void {
    const session = new Session(this.server, this)
    session.key = connection
    connection.resource = session
    this.tally.attempted(this.server.isUnreachable(now), now)
    session.connect(this.connectTimeout, now)
  }

  private backOff(kind: FailureKind, startsOver: boolean, now: number): void {
    if (startsOver) this.retries.startOver()
    // Of an outage that has ended, if it still runs.
    this.queue.remove(this.probe)
    if (this.engine.ledger.outage === undefined) return
    const at = now + this.retries.delayAfter(kind, now)
    this.engine.backoffStarted(at, now)
    this.queue.add(this.probe, at)
  }

  /** One timer for all deadlines, moved only when something is due earlier than it. */
  private setAlarm(now: number): void {
    const at = this.engine.wakeAt()
    if (at >= this.alarm.dueAt) return
    this.alarm.dueAt = at
    // Rounded up: timers have whole milliseconds.
    this.queue.add(this.alarm, now + Math.max(1, Math.ceil(at - now)))
  }

  private countConnections(now: number): void {
    const { closing, maxConnections, total } = this.engine.ledger
    this.tally.overshoot = Math.max(this.tally.overshoot, total - maxConnections)
    if (total - closing === this.connections) return
    this.tally.connectionsChanged(total - closing - this.connections, now)
    this.connections = total - closing
  }
}

class Alarm extends TimedEvent {
  /** What it was set for. */
  dueAt = Infinity
  private readonly pool: SimulatedPool

  constructor(pool: SimulatedPool) {
    super()
    this.pool = pool
  }

  happen(now: number): void {
    this.dueAt = Infinity
    this.pool.rang(now)
  }
}

/** The end of a backoff step. */
class Probe extends TimedEvent {
  private readonly pool: SimulatedPool

  constructor(pool: SimulatedPool) {
    super()
    this.pool = pool
  }

  happen(now: number): void {
    this.pool.probeIsDue(now)
  }
}
