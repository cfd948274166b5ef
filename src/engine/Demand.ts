import { Capacity } from "./Capacity.ts"
import { KneeFit } from "./Knee.ts"

/** Of what is known about holding and connecting, the newest one is such a part: of few, as much as any other. */
const newestHold = 1 / 256
const newestConnect = 1 / 4

/** Of so many leases it is known how long they lasted: a power of two, since the way to the next place is part of a lease. */
const holdsKept = 512

/** Over so much of the line's life at least the arrivals are counted, in milliseconds, once it is that old. */
const rateOver = 250

/**
 * What is asked of a pool, measured in a few additions per lease: how long leases last, how long connects take, how long
 * the line has been there, the most leases that ran at once in each second.
 */
export class Demand {
  /** How long a lease lasts, in milliseconds: of those that ended, the recent ones weigh most. 0 before the first. */
  holdTime = 0
  connectTime = 0
  /** The most leases that ran at once in this second; and in each of those before, the newest last. */
  peak = 0
  readonly peaks: Array<number> = []
  /** How many acquires there were in each of those seconds. */
  readonly arrivals: Array<number> = []
  /** Since when somebody has been waiting without a break; `Infinity` while nobody does. */
  lineSince = Infinity
  readonly knee = new KneeFit()
  readonly capacity = new Capacity()
  /** How many leases have ended that somebody took. */
  private endings = 0
  /** What all leases waited that were served to somebody in line, since the pool was made. */
  waited = 0
  private markedAt = 0
  private marked = 0
  private nextMarkAt = 0
  private nextMark = 0
  private markedWaiting = 0
  private nextMarkWaiting = 0
  /** How long some of the last leases lasted: every eighth is enough to tell what is usual. */
  private readonly holds = new Float64Array(holdsKept)
  private holdsNoted = 0
  private cameBefore = 0
  /** The sum of the times at which the running leases began. */
  private begun = 0

  /** A lease begins, and so many run. */
  lent(now: number, running: number): void {
    this.begun += now
    if (running > this.peak) this.peak = running
  }

  /** A lease ends; `inUse` with it. What nobody took tells nothing about how long things are held. */
  ended(since: number, now: number, inUse: number, wasTaken: boolean): void {
    this.begun -= since
    if (!wasTaken) return
    const held = now - since
    this.endings++
    this.capacity.note(inUse)
    if (now >= this.capacity.lookAt) this.capacity.look(now, this.lineSince)
    this.holdTime += (held - this.holdTime) * Math.max(newestHold, 1 / this.endings)
    this.knee.note(inUse, held)
    if ((this.endings & 7) === 0) this.holds[this.holdsNoted++ & (holdsKept - 1)] = held
  }

  opened(took: number): void {
    this.connectTime += this.connectTime === 0 ? took : (took - this.connectTime) * newestConnect
  }

  /** The mean age of the leases that run. */
  runningTime(leases: number, now: number): number {
    return leases === 0 ? 0 : Math.max(0, now - this.begun / leases)
  }

  /** Somebody comes to wait where nobody did; with him, so many acquires there have been. */
  lineBegins(now: number, acquires: number): void {
    this.lineSince = now
    this.markedAt = now
    this.marked = acquires - 1
    this.nextMarkAt = now
    this.nextMark = this.marked
    this.markedWaiting = 1
    this.nextMarkWaiting = 1
  }

  lineEnds(): void {
    this.lineSince = Infinity
  }

  /** The line is looked at: what it is compared to later is between a quarter and half a second old, or its beginning. */
  markLine(now: number, acquires: number, waiting: number): void {
    if (now - this.nextMarkAt < rateOver) return
    this.markedAt = this.nextMarkAt
    this.marked = this.nextMark
    this.markedWaiting = this.nextMarkWaiting
    this.nextMarkAt = now
    this.nextMark = acquires
    this.nextMarkWaiting = waiting
  }

  /** How many come in a second, as the line shows it, since it was marked; `Infinity` at its beginning. */
  arrivalRate(now: number, acquires: number): number {
    return ((acquires - this.marked) / (now - this.markedAt)) * 1000
  }

  /** By how many a second the line gets shorter, since it was marked; less than 0 if it gets longer. */
  shorteningRate(now: number, waiting: number): number {
    return now === this.markedAt ? -Infinity : ((this.markedWaiting - waiting) / (now - this.markedAt)) * 1000
  }

  /** Some of the last leases, the shortest first. */
  recentHolds(): ReadonlyArray<number> {
    return Array.from(this.holds.subarray(0, Math.min(this.holdsNoted, holdsKept))).sort((one, other) => one - other)
  }

  /** A second has passed, and so many leases run on into the next; with it, so many acquires there have been. */
  endSecond(running: number, acquires: number, kept: number, now: number): void {
    this.peaks.push(this.peak)
    this.arrivals.push(acquires - this.cameBefore)
    this.cameBefore = acquires
    if (this.peaks.length > kept) {
      this.peaks.splice(0, this.peaks.length - kept)
      this.arrivals.splice(0, this.arrivals.length - kept)
    }
    this.peak = running
    this.knee.endSecond(now)
  }
}
