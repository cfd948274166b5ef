/** A connection as the server has it, with whatever is being done to it: a connect, a check or a close. */
import type { FailureKind } from "../engine/PoolState.ts"
import { TimedEvent } from "./EventQueue.ts"
import type { ServerModel } from "./ServerModel.ts"

/** How long a question to a server takes that answers at once, in milliseconds. */
export const roundTrip = 1

/** Whoever has sessions is told what becomes of them. */
export interface SessionOwner {
  opened(session: Session, now: number): void
  refusedConnection(session: Session, kind: FailureKind, now: number): void
  checked(session: Session, isAlive: boolean, now: number): void
  closed(session: Session, now: number): void
  /** It ended by itself, and its end was noticed. */
  died(session: Session, now: number): void
}

type Activity = "none" | "connecting" | "checking" | "closing"

/** One thing is done at a time, so that the session is the event of its end. */
export class Session extends TimedEvent {
  readonly server: ServerModel
  readonly owner: SessionOwner
  /** Whatever its owner keeps with it. */
  key: unknown = undefined
  activity: Activity = "none"
  /** The server counts it. */
  isCounted = false
  /** It answers. A session may be dead without anyone knowing. */
  isAlive = false
  jobs = 0
  /** When it was last busy. */
  activeAt = 0
  private connectEndsAt = 0
  /** What the server has to say to the connect that is under way, when it is not yes. */
  private refusal: FailureKind | undefined = undefined
  /** When whoever waits for the end of a connect or check gives up. */
  private givesUpAt = Infinity
  private reaper: IdleReaper | undefined = undefined

  constructor(server: ServerModel, owner: SessionOwner) {
    super()
    this.server = server
    this.owner = owner
  }

  connect(timeout: number, now: number): void {
    const { server } = this
    this.activity = "connecting"
    this.givesUpAt = now + timeout
    this.refusal = server.admit(this, now)
    this.connectEndsAt = this.refusal === undefined ? server.whenAnswering(now) + server.connectMillis : now + roundTrip
    this.schedule(this.connectEndsAt)
  }

  /** Nothing is answered for so long: the connect that is under way takes so much longer. */
  stall(millis: number): void {
    if (this.activity !== "connecting") return
    this.connectEndsAt += millis
    this.schedule(this.connectEndsAt)
  }

  check(timeout: number, now: number): void {
    this.activity = "checking"
    this.givesUpAt = now + timeout
    this.schedule(this.server.whenAnswering(now) + roundTrip)
  }

  close(now: number): void {
    this.activity = "closing"
    this.givesUpAt = Infinity
    this.schedule(now + roundTrip)
  }

  /** The server is gone: what is alive dies, and a connect that is under way is refused. */
  fall(now: number): void {
    this.server.forget(this)
    if (this.activity === "connecting") {
      this.refusal = "transient"
      this.schedule(now)
    }
    if (!this.isAlive) return
    this.isAlive = false
    this.owner.died(this, now)
  }

  happen(now: number): void {
    const { activity } = this
    this.activity = "none"
    if (activity === "connecting") this.connectEnded(now)
    else if (activity === "checking") this.checkEnded(now)
    else if (activity === "closing") this.closeEnded(now)
  }

  private schedule(at: number): void {
    this.server.queue.add(this, Math.min(at, this.givesUpAt))
  }

  private connectEnded(now: number): void {
    const refusal = this.refusal ?? (now < this.connectEndsAt ? "transient" : this.server.refusalOfLogin(now))
    if (refusal !== undefined) return this.owner.refusedConnection(this, refusal, now)
    this.isAlive = true
    this.activeAt = now
    const { idleKillMillis } = this.server
    if (idleKillMillis !== Infinity) {
      this.reaper = new IdleReaper(this)
      this.server.queue.add(this.reaper, now + idleKillMillis)
    }
    this.owner.opened(this, now)
  }

  private checkEnded(now: number): void {
    // Begun before the server fell silent.
    if (this.server.whenAnswering(now) > now && now < this.givesUpAt) {
      this.activity = "checking"
      return this.schedule(this.server.whenAnswering(now) + roundTrip)
    }
    this.activeAt = now
    this.owner.checked(this, this.isAlive && this.server.whenAnswering(now) <= now, now)
  }

  private closeEnded(now: number): void {
    this.isAlive = false
    this.server.forget(this)
    this.server.sessions.delete(this)
    if (this.reaper !== undefined) this.server.queue.remove(this.reaper)
    this.owner.closed(this, now)
  }
}

/** Ends a session that has rested for too long, as servers and firewalls do. */
class IdleReaper extends TimedEvent {
  private readonly session: Session

  constructor(session: Session) {
    super()
    this.session = session
  }

  happen(now: number): void {
    const { session } = this
    const { idleKillMillis, queue } = session.server
    if (!session.isAlive) return
    const restsSince = session.jobs > 0 ? now : session.activeAt
    if (now >= restsSince + idleKillMillis) session.fall(now)
    else queue.add(this, restsSince + idleKillMillis)
  }
}
