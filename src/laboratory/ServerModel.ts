/** A database: how it shares itself out to the jobs at work on it, which connections it takes, and what goes wrong with it. */
import type { FailureKind } from "../engine/PoolState.ts"
import { EventQueue, Timed, TimedEvent } from "./EventQueue.ts"
import type { ServerTraits } from "./LoadScenario.ts"
import { roundTrip, type Session } from "./Session.ts"
import { SharedProcessor } from "./SharedProcessor.ts"

/** How long a query waits for an answer that does not come, in milliseconds. */
const queryTimeout = 5000

/** Something at work on the server. */
export abstract class Job extends Timed {
  /** The session it runs on. */
  session: Session | undefined = undefined

  /** It is through, or has met an error after which its session is of no use. */
  abstract ended(isAnswered: boolean, now: number): void
}

export class ServerModel {
  readonly queue: EventQueue<TimedEvent>
  readonly sessions = new Set<Session>()
  readonly idleKillMillis: number
  connectMillis: number
  /** How long it has been down, refused all or been silent, and will have been at the end of what has begun. */
  downMillis = 0
  /** When the last of that ends. */
  reachableAt = -Infinity
  private maxConnections: number
  private counted = 0
  private neighbours = 0
  private downUntil = -Infinity
  private silentUntil = -Infinity
  private rejectsUntil = -Infinity
  private readonly processor: SharedProcessor<Job>
  private readonly ends: JobEnds
  private readonly failures: JobFailures

  constructor(traits: ServerTraits, queue: EventQueue<TimedEvent>) {
    this.queue = queue
    this.connectMillis = traits.connectMillis
    this.maxConnections = traits.maxConnections ?? Infinity
    this.idleKillMillis = (traits.idleKillSeconds ?? Infinity) * 1000
    this.processor = new SharedProcessor(traits)
    this.ends = new JobEnds(this.processor, queue)
    this.failures = new JobFailures(queue)
  }

  /** How many jobs are at work. */
  get working(): number {
    return this.processor.length
  }

  /** Whether it is down, refuses all or is silent. */
  isUnreachable(now: number): boolean {
    return now < this.reachableAt
  }

  // Jobs.

  begin(job: Job, session: Session, work: number, now: number): void {
    job.session = session
    session.jobs++
    if (!session.isAlive) return this.failures.add(job, this.failsAt(now))
    this.processor.begin(job, work, now)
    this.ends.reschedule()
  }

  /** When a question to a dead session ends. */
  private failsAt(now: number): number {
    return now < this.silentUntil ? Math.min(this.silentUntil, now + queryTimeout) : now + roundTrip
  }

  private failJobs(at: number, now: number): void {
    for (let job = this.processor.takeAny(now); job !== undefined; job = this.processor.takeAny(now)) {
      this.failures.add(job, at)
    }
    this.ends.reschedule()
  }

  // Connections.

  /** Why a connect is refused at once, if it is. One that is taken counts from now on. */
  admit(session: Session, now: number): FailureKind | undefined {
    this.sessions.add(session)
    if (now < this.downUntil) return "transient"
    if (this.counted + this.neighbours >= this.maxConnections) return "overloaded"
    session.isCounted = true
    this.counted++
    return undefined
  }

  refusalOfLogin(now: number): FailureKind | undefined {
    return now < this.rejectsUntil ? "permanent" : undefined
  }

  /** From when on it answers what it is asked now. */
  whenAnswering(now: number): number {
    return Math.max(now, this.silentUntil)
  }

  /** It no longer counts this session. */
  forget(session: Session): void {
    if (session.isCounted) this.counted--
    session.isCounted = false
  }

  // What goes wrong.

  setSpeed(factor: number, now: number): void {
    this.processor.setSpeed(factor, now)
    this.ends.reschedule()
  }

  setNeighbours(sessions: number, now: number): void {
    this.neighbours = sessions
    this.processor.setOthers(sessions, now)
    this.ends.reschedule()
  }

  setMaxConnections(connections: number): void {
    this.maxConnections = connections
  }

  /** Every connection ends, with whatever runs on it, and connects are refused. */
  fallFor(millis: number, now: number): void {
    this.downUntil = this.noteOutage(millis, now)
    this.failJobs(now, now)
    // A copy: whoever is told opens others.
    for (const session of Array.from(this.sessions)) session.fall(now)
  }

  /** Nothing is answered, and nobody is told. The connections of now are lost for good. */
  fallSilentFor(millis: number, now: number): void {
    this.silentUntil = this.noteOutage(millis, now)
    this.failJobs(this.failsAt(now), now)
    for (const session of this.sessions) {
      session.stall(millis)
      if (session.isAlive) this.forget(session)
      session.isAlive = false
    }
  }

  rejectLoginsFor(millis: number, now: number): void {
    this.rejectsUntil = this.noteOutage(millis, now)
  }

  private noteOutage(millis: number, now: number): number {
    const until = now + millis
    this.downMillis += Math.max(0, until - Math.max(now, this.reachableAt))
    this.reachableAt = Math.max(this.reachableAt, until)
    return until
  }
}

const finish = (job: Job, isAnswered: boolean, now: number): void => {
  const session = job.session!
  session.jobs--
  session.activeAt = now
  job.ended(isAnswered, now)
}

/** The one event for the ends of all jobs: the next of them. */
class JobEnds extends TimedEvent {
  private readonly processor: SharedProcessor<Job>
  private readonly queue: EventQueue<TimedEvent>

  constructor(processor: SharedProcessor<Job>, queue: EventQueue<TimedEvent>) {
    super()
    this.processor = processor
    this.queue = queue
  }

  happen(now: number): void {
    const job = this.processor.end(now)
    // Whoever goes on from here asks for the next time itself, if it begins another job.
    this.reschedule()
    if (job !== undefined) finish(job, true, now)
  }

  reschedule(): void {
    const at = this.processor.nextEnd()
    if (at === Infinity) this.queue.remove(this)
    else this.queue.add(this, at)
  }
}

/** The jobs that will end in an error. */
class JobFailures extends TimedEvent {
  private readonly jobs = new EventQueue<Job>()
  private readonly queue: EventQueue<TimedEvent>

  constructor(queue: EventQueue<TimedEvent>) {
    super()
    this.queue = queue
  }

  add(job: Job, at: number): void {
    this.jobs.add(job, at)
    this.queue.add(this, this.jobs.first!.at)
  }

  happen(now: number): void {
    const job = this.jobs.take()
    const { first } = this.jobs
    if (first !== undefined) this.queue.add(this, first.at)
    if (job !== undefined) finish(job, false, now)
  }
}
