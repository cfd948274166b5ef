import type { PoolConfig } from "../PoolConfig.ts"
import * as Duration from "effect/Duration"
import type { PromiseNumber } from "./Promises.ts"

/** Who looks for broken promises, and who is told. */
export interface Witness {
  readonly now: number
  /** How much of the time passed while nobody could run. */
  readonly stalled: number
  readonly config: PoolConfig
  /** When the pool began to close; `undefined` before. */
  readonly closingSince: number | undefined
  /** The highest maximum the pool has had: what was opened below it may be left when it is lowered. */
  readonly highestMaximum: number
  /** Connections of lower numbers were taken from their borrowers by somebody who asked for it. */
  readonly takenBelow: number
  breach(promise: PromiseNumber, what: string): void
  note(line: string): void
}

/** A connection as the server's operator sees it. */
export interface FakeConnection {
  readonly id: number
  readonly openedAt: number
  /** Somebody has had it: by now the pool knows it. */
  wasLent: boolean
  /** It opened after the pool had given up on it. */
  readonly isLate: boolean
  /** The server has ended it; and the pool has been told so. */
  isDead: boolean
  isKnownDead: boolean
  /** Work that no interrupt ends was begun on it, and may hold up its close beyond the timeout. */
  isStuck: boolean
  /** Its borrower left something behind. */
  isDirty: boolean
  /** Its last lease was interrupted or died, and it has been neither checked nor reset since. */
  isSuspect: boolean
  /** The pool was told that it is of no use: by a fatal error, or because somebody said so at this step. */
  isBroken: boolean
  condemnedAt: number
  borrowers: number
  /** The last step at which the pool may not have known that a borrower had left something behind, or found it of no use. */
  spoiledAt: number
  /** Borrowers that have let go, of which the pool may not have heard yet. */
  returning: number
  /** Its borrower has it to himself, although connections are shared. */
  isReserved: boolean
  finalizers: number
  closingSince: number | undefined
  isClosed: boolean
  /** Fibers that wait for its death. */
  watchers: number
}

/** A connect, check, reset or close that runs. */
export interface Work {
  readonly what: string
  readonly startedAt: number
  readonly stalledBefore: number
  /** When the pool must have put an end to it; `Infinity` if nobody can. */
  readonly timeout: number
  /** When the pool gives up on it, whether it ends or not. */
  readonly givenUpAt: number
}

export interface Attempt {
  readonly id: number
  readonly startedAt: number
}

/** What a server counts: attempts, connections, and whether the pool keeps to its limits. */
export class ServerBooks {
  readonly witness: Witness
  readonly connections: Array<FakeConnection> = []
  /** Checks, resets, closes and connects that run. */
  readonly works = new Set<Work>()
  mostLive = 0
  attempts = 0
  /** How long the slowest connect has taken. */
  longestConnect = 0
  private readonly open = new Set<FakeConnection>()
  /** Connections whose death was announced, and those that were closed, since things came to rest. */
  private announced: Array<FakeConnection> = []
  private gone: Array<FakeConnection> = []
  /**
   * While every connect fails: how many were made since, how many of them took the place of one that somebody ended, and
   * when the pool first had cause to wait.
   */
  private outage: { attempts: number; replaced: number; firstFailureAt: number | undefined } | undefined = undefined
  /** How many checks have begun. */
  checks = 0

  constructor(witness: Witness) {
    this.witness = witness
  }

  get live(): number {
    return this.open.size
  }

  /** An attempt to connect begins. */
  attempt(): Attempt {
    const attempt = { id: ++this.attempts, startedAt: this.witness.now }
    if (this.outage !== undefined) this.countProbe(this.outage)
    return attempt
  }

  /** An attempt has failed: for the pool at the latest when its time was over, however long it went on by itself. */
  failed({ startedAt }: Attempt): void {
    this.noteFailure(Math.min(this.witness.now, startedAt + this.connectTimeout))
  }

  /** A borrower has found a connection to be of no use: when many are, young, that is no better than a failed attempt. */
  foundBroken(): void {
    this.noteFailure(this.witness.now)
  }

  private get connectTimeout(): number {
    return Duration.toMillis(Duration.fromInputUnsafe(this.witness.config.connectTimeout))
  }

  /** A failed connect begins an outage; so may a connection that ends, when many have ended young. */
  private noteFailure(at: number): void {
    const { outage } = this
    if (outage !== undefined) outage.firstFailureAt = Math.min(outage.firstFailureAt ?? Infinity, at)
  }

  opened(attempt: Attempt): FakeConnection {
    const { now } = this.witness
    this.outage = undefined
    this.longestConnect = Math.max(this.longestConnect, now - attempt.startedAt)
    const connection: FakeConnection = {
      id: this.connections.length + 1,
      openedAt: now,
      isLate: now >= attempt.startedAt + this.connectTimeout,
      wasLent: false,
      isDead: false,
      isKnownDead: false,
      isStuck: false,
      isDirty: false,
      isSuspect: false,
      isBroken: false,
      condemnedAt: Infinity,
      borrowers: 0,
      spoiledAt: -1,
      returning: 0,
      isReserved: false,
      finalizers: 0,
      closingSince: undefined,
      isClosed: false,
      watchers: 0
    }
    this.connections.push(connection)
    this.open.add(connection)
    this.mostLive = Math.max(this.mostLive, this.live)
    this.countLive()
    return connection
  }

  /** Somebody ends connects that are under way: the pool may make as many more. */
  connectsAreEnded(count: number): void {
    if (this.outage !== undefined) this.outage.replaced += count
  }

  /** The server has ended a connection. */
  died(connection: FakeConnection, isSilent: boolean): void {
    connection.isDead = true
    if (!isSilent) this.announced.push(connection)
    this.open.delete(connection)
    this.noteFailure(this.witness.now)
  }

  closing(connection: FakeConnection): void {
    const { closingSince, config, now } = this.witness
    if (++connection.finalizers > 1) this.witness.breach(3, `connection ${connection.id} is closed a second time`)
    const isDrained = closingSince !== undefined && now >= closingSince + Duration.toMillis(config.drainTimeout)
    const mayBeTaken = isDrained || connection.id <= this.witness.takenBelow
    if (connection.borrowers > 0 && !mayBeTaken) {
      this.witness.breach(9, `connection ${connection.id} is closed under its borrower`)
    }
    connection.closingSince = now
    // Before its finalizer runs, the pool has waited up to the close timeout for work that does not end.
    this.noteFailure(connection.isStuck ? now - Duration.toMillis(config.closeTimeout) : now)
  }

  closed(connection: FakeConnection): void {
    connection.isClosed = true
    this.open.delete(connection)
    this.gone.push(connection)
  }

  begins(what: string, timeout: Duration.Duration | undefined, isStubborn: boolean): Work {
    const { now, stalled } = this.witness
    const limit = timeout === undefined ? Infinity : Duration.toMillis(timeout)
    const work = {
      what,
      startedAt: now,
      stalledBefore: stalled,
      timeout: isStubborn ? Infinity : limit,
      givenUpAt: now + limit
    }
    this.works.add(work)
    return work
  }

  /** Nothing is left to do at this moment: what the pool was told, it knows. */
  lookAtRest(): void {
    const { now, stalled } = this.witness
    for (const { startedAt, stalledBefore, timeout, what } of this.works) {
      // Timers have whole milliseconds.
      if (now <= startedAt + timeout + (stalled - stalledBefore) + 1) continue
      this.witness.breach(12, `${what} goes on ${now - startedAt} ms after it began`)
    }
    for (const connection of this.announced) connection.isKnownDead = true
    for (const { id, watchers } of this.gone) {
      if (watchers > 0) this.witness.breach(11, `connection ${id} is closed, and still watched`)
    }
    this.announced = []
    this.gone = []
  }

  /** From now on no connect succeeds: whatever the pool still has to hear of earlier ones, it has heard. */
  outageBegins(): void {
    this.outage ??= { attempts: 0, replaced: 0, firstFailureAt: undefined }
  }

  outageEnds(): void {
    this.outage = undefined
  }

  /**
   * Promise 1, from outside. What the pool has stopped to count is left out: connections whose close timeout has passed,
   * and those that opened when nobody waited for them any more.
   */
  private countLive(): void {
    const { config, highestMaximum, now, stalled } = this.witness
    if (this.open.size <= highestMaximum) return
    const closeTimeout = Duration.toMillis(config.closeTimeout)
    let counted = 0
    for (const { closingSince, isLate, isStuck } of this.open) {
      const isOverdue = closingSince !== undefined && now >= closingSince + closeTimeout - stalled
      if (!isLate && !isStuck && !isOverdue) counted++
    }
    if (counted > highestMaximum) {
      this.witness.breach(1, `the server has ${counted} connections, and maxConnections is ${highestMaximum}`)
    }
  }

  /** Promise 8: a first burst, and then no more attempts than the shortest backoff steps allow. */
  private countProbe(outage: NonNullable<ServerBooks["outage"]>): void {
    const { config, now } = this.witness
    outage.attempts++
    for (const { givenUpAt } of this.works) if (givenUpAt <= now) this.noteFailure(givenUpAt)
    const steps = outage.firstFailureAt === undefined ? 0 : this.stepsWithin(now - outage.firstFailureAt)
    if (outage.attempts > config.maxConnecting + outage.replaced + steps) {
      this.witness.breach(
        8,
        `${outage.attempts} attempts to connect to a server that is down, after a burst of at most ` +
          `${config.maxConnecting} and ${steps} backoff steps`
      )
    }
  }

  /** How many steps of the retry schedule may have ended within this time, if every jitter was the largest. */
  private stepsWithin(millis: number): number {
    const { factor, initial, jitter, max } = this.witness.config.retry
    const longest = Duration.toMillis(Duration.fromInputUnsafe(max)) * (1 - jitter)
    let step = Math.min(Duration.toMillis(Duration.fromInputUnsafe(initial)) * (1 - jitter), longest)
    if (step <= 0) return Infinity
    let steps = 0
    for (let left = millis - step; left >= 0 && steps < 10_000; left -= step) {
      steps++
      step = Math.min(step * factor, longest)
    }
    return steps
  }
}
