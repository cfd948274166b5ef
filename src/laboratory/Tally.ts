/** What is counted during a run, over all its pools. */
import type { LoadSample } from "./LoadResult.ts"

/** So many different contradictions are kept. */
const violationsKept = 5

export class Tally {
  /** Connections that opened, that were closed, and attempts, in the measured time. */
  opened = 0
  closed = 0
  attempts = 0
  attemptsWhileDown = 0
  /** The most connections in the measured time. */
  peakConnections = 0
  overshoot = 0
  /** The first answer after the last outage, and when nobody waited any more. */
  firstAnswerAt: number | undefined = undefined
  recoveredAt: number | undefined = undefined
  /** There was an outage, and its end has not been seen. */
  awaitsRecovery = false
  /** What the pools did against their promises, one sentence each. */
  readonly violations = new Set<string>()
  readonly timeline: Array<LoadSample> = []
  // Of the sample that runs.
  private requests = 0
  private good = 0
  private refused = 0
  private longestWait = 0
  /** Open or connecting, since when, and summed over the measured time. */
  private connections = 0
  private since = 0
  private connectionMillis = 0
  private reachableAt = 0
  private readonly from: number
  private readonly until: number

  /** Measured is the time between these two. */
  constructor(from: number, until: number) {
    this.from = from
    this.until = until
  }

  isMeasured(now: number): boolean {
    return now >= this.from && now < this.until
  }

  // Requests.

  came(): void {
    this.requests++
  }

  waitEnded(millis: number): void {
    if (millis > this.longestWait) this.longestWait = millis
  }

  answered(isGood: boolean, now: number): void {
    if (isGood) this.good++
    if (this.awaitsRecovery && this.firstAnswerAt === undefined && now >= this.reachableAt) this.firstAnswerAt = now
  }

  unanswered(): void {
    this.refused++
  }

  // Outages.

  outageBegan(reachableAt: number): void {
    this.reachableAt = reachableAt
    this.awaitsRecovery = true
    this.firstAnswerAt = undefined
    this.recoveredAt = undefined
  }

  /** To be said while nobody waits. */
  nobodyWaits(now: number): void {
    if (this.firstAnswerAt === undefined) return
    this.recoveredAt = now
    this.awaitsRecovery = false
  }

  // Connections.

  attempted(isServerDown: boolean, now: number): void {
    if (this.isMeasured(now)) this.attempts++
    if (isServerDown) this.attemptsWhileDown++
  }

  connectionOpened(now: number): void {
    if (this.isMeasured(now)) this.opened++
  }

  connectionClosed(now: number): void {
    if (this.isMeasured(now)) this.closed++
  }

  /** There are so many more of them, or fewer, from now on. */
  connectionsChanged(difference: number, now: number): void {
    const measured = Math.min(now, this.until) - Math.max(this.since, this.from)
    if (measured > 0) {
      this.connectionMillis += this.connections * measured
      if (this.connections > this.peakConnections) this.peakConnections = this.connections
    }
    this.since = now
    this.connections += difference
  }

  /** The mean over the measured time, once it is over. */
  get meanConnections(): number {
    return this.until > this.from ? this.connectionMillis / (this.until - this.from) : 0
  }

  contradicted(sentence: string): void {
    if (this.violations.size < violationsKept) this.violations.add(sentence)
  }

  // Samples.

  /** Ends a sample. `firstWaits` is how long the first in line has waited. */
  sampleEnded(
    state: Pick<LoadSample, "seconds" | "waiting" | "open" | "inUse" | "connecting" | "limit">,
    firstWaits: number
  ): void {
    const { good, longestWait, refused, requests } = this
    this.timeline.push({ ...state, requests, good, refused, longestWait: Math.max(longestWait, firstWaits) })
    this.requests = 0
    this.good = 0
    this.refused = 0
    this.longestWait = 0
  }
}
