/**
 * The time from the first failed connect to the next successful one. While it lasts there is one prober: the planner
 * opens nothing but one connection per backoff step, whoever waits.
 */
export class Outage {
  /** When the first connect failed. */
  readonly since: number
  failures = 0
  /** Since when the backoff step has ended and its one attempt may be made; `undefined` while neither. */
  probeDueAt: number | undefined = undefined
  /**
   * How long, without a usable connection, an attempt could have been made and was not, since nobody needed one or there
   * was no room.
   */
  unlooked = 0
  /** When the next attempt is due, as far as the retry schedule has said. */
  nextProbeAt: number | undefined = undefined

  constructor(since: number) {
    this.since = since
  }

  /** One attempt may be made. */
  get probeDue(): boolean {
    return this.probeDueAt !== undefined
  }
}

/** What has gone well for this long is no accident, in milliseconds: a connection's life, the end of an outage. */
const steadyAfter = 1000

/** So many connections may die young within this interval, in milliseconds, and it is still chance. */
const deathsByChance = 2
const chanceInterval = 10_000

/** Whether the server can be reached: the outage of now, and how steady things have been since the last. */
export class Outages {
  current: Outage | undefined = undefined
  private reopenedAt = -Infinity
  private earlyDeaths = 0
  private earlyDeathAt = -Infinity
  /** Since when no connection has been usable; `undefined` while one is. */
  private unusableSince: number | undefined = undefined

  /**
   * An attempt to have a connection failed; says whether the retry schedule is to be asked. It is once per outage and
   * once per probe: of an earlier outage's probe, and of attempts that began before, this one's schedule knows nothing.
   */
  fail(probeOf: Outage | undefined, now: number): boolean {
    this.forgetDeaths(now)
    const isFirst = this.current === undefined
    this.current ??= new Outage(now)
    this.current.failures++
    return isFirst || probeOf === this.current
  }

  /** A connection is about to be opened: during an outage it is the one attempt of a backoff step. */
  probe(now: number): Outage | undefined {
    if (this.current === undefined) return undefined
    const { probeDueAt = now } = this.current
    this.current.unlooked += now - Math.max(probeDueAt, this.unusableSince ?? now)
    this.current.probeDueAt = undefined
    this.current.nextProbeAt = undefined
    return this.current
  }

  /** The backoff step has ended. */
  probeMayBeMade(now: number): void {
    if (this.current !== undefined) this.current.probeDueAt ??= now
  }

  /** A connection has opened. */
  end(now: number): void {
    if (this.current !== undefined) this.reopenedAt = now
    this.current = undefined
  }

  /** The last outage, if there was one, has been over for long enough to be over for good. */
  isSteady(now: number): boolean {
    return now - this.reopenedAt >= steadyAfter
  }

  /**
   * A connection died; says whether that is to be taken for a failed attempt. When one after the other does nothing but
   * open, as behind a proxy whose server is gone, that is no better than not opening.
   */
  isDrop(openedAt: number, now: number): boolean {
    if (now - openedAt >= steadyAfter) return false
    this.forgetDeaths(now)
    this.earlyDeathAt = now
    return ++this.earlyDeaths > deathsByChance
  }

  /** Deaths long ago, after which things have been steady, say nothing about today. */
  private forgetDeaths(now: number): void {
    const isLongAgo = now - this.earlyDeathAt >= chanceInterval
    if (isLongAgo && this.current === undefined && this.isSteady(now)) this.earlyDeaths = 0
  }

  /** The server has been dropping what it takes, and has not yet shown that it no longer does. */
  isDropping(now: number): boolean {
    return this.earlyDeaths > deathsByChance && !this.isSteady(now)
  }

  /** Notes how many connections are usable. */
  look(usable: number, now: number): void {
    if (usable > 0) this.unusableSince = undefined
    else this.unusableSince ??= now
  }

  /**
   * Since when there has been nothing to lend and no way to open anything; never, if there is something, or an attempt
   * may be made and is not. Time in which nobody looked does not count.
   */
  hopelessSince(): number {
    if (this.current === undefined || this.current.probeDue || this.unusableSince === undefined) return Infinity
    return Math.max(this.current.since, this.unusableSince) + this.current.unlooked
  }
}
