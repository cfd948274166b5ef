/** A request to a simulated pool, and its places in line. */
import type { Lease } from "../engine/Lease.ts"
import { Waiter } from "../engine/Waiters.ts"
import { TimedEvent } from "./EventQueue.ts"
import { Job } from "./ServerModel.ts"
import type { Session } from "./Session.ts"
import type { SimulatedPool } from "./SimulatedPool.ts"
import type { Asked } from "./Workload.ts"

/** One request: itself the job that the server does for it, or one half after the other where it borrows twice. */
export class SimulatedRequest extends Job {
  readonly pool: SimulatedPool
  readonly cameAt: number
  /** Its place in the log; -1 if it is not measured. */
  readonly index: number
  readonly work: number
  readonly isNested: boolean
  readonly isBatch: boolean
  /** It never returns its lease. */
  readonly leaks: boolean
  /** It gives up when it waits. */
  readonly cancels: boolean
  lease: Lease<Session> | undefined = undefined
  leaseId = 0
  /** What it borrows while it holds the first. */
  innerLease: Lease<Session> | undefined = undefined
  innerLeaseId = 0

  constructor(pool: SimulatedPool, asked: Asked, index: number, leaks: boolean, cancels: boolean, now: number) {
    super()
    this.pool = pool
    this.cameAt = now
    this.index = index
    this.work = asked.work
    this.isNested = asked.isNested
    this.isBatch = asked.isBatch
    this.leaks = leaks
    this.cancels = cancels
  }

  ended(isAnswered: boolean, now: number): void {
    this.pool.jobEnded(this, isAnswered, now)
  }
}

/** A place in line. */
export class RequestWaiter extends Waiter<Session> {
  readonly request: SimulatedRequest
  /** The end of its patience, if that is shorter than the pool's. */
  giveUp: GiveUp | undefined = undefined

  constructor(request: SimulatedRequest) {
    super()
    this.request = request
    this.holder = request
  }
}

/** Whoever waits does not want it any more. */
export class GiveUp extends TimedEvent {
  private readonly waiter: RequestWaiter

  constructor(waiter: RequestWaiter) {
    super()
    this.waiter = waiter
  }

  happen(now: number): void {
    this.waiter.request.pool.gaveUp(this.waiter, now)
  }
}
