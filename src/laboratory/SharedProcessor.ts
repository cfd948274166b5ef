/**
 * A server's capacity, shared equally by the jobs at work on it, and less than in proportion to their number: the Universal
 * Scalability Law (Gunther, 2007). With n at work the server gets `X(n) = perSecond * n / (1 + contention * (n - 1) +
 * coherency * n * (n - 1))` done in a second.
 */
import { EventQueue, Timed } from "./EventQueue.ts"

export interface Capacity {
  readonly perSecond: number
  readonly contention: number
  readonly coherency: number
}

/** What one of so many jobs gets done in a second. */
export const speedOfEach = ({ coherency, contention, perSecond }: Capacity, jobs: number): number =>
  perSecond / (1 + contention * (jobs - 1) + coherency * jobs * (jobs - 1))

/** How much so many jobs at work get done in a second, together. */
export const throughputOf = (capacity: Capacity, jobs: number): number => jobs * speedOfEach(capacity, jobs)

/**
 * Since all jobs get on equally fast, each ends when the progress that one would have made since the beginning has grown by its
 * work: the jobs stand in a queue ordered by that, which no change of speed disturbs. Begin and end are O(log n).
 */
export class SharedProcessor<J extends Timed> {
  /** The part of its capacity that it works with. */
  private speed = 1
  /** Jobs of others, at work all the time. */
  private others = 0
  private progress = 0
  private asOf = 0
  /** What each job gets done in a millisecond. */
  private rate = 0
  private readonly jobs = new EventQueue<J>()
  /** The speed of each by the number of jobs, in jobs per millisecond, worked out once. */
  private readonly speeds: Array<number> = []
  private readonly capacity: Capacity

  constructor(capacity: Capacity) {
    this.capacity = capacity
  }

  /** How many are at work on it, without those of others. */
  get length(): number {
    return this.jobs.length
  }

  begin(job: J, work: number, now: number): void {
    this.advance(now)
    this.jobs.add(job, this.progress + work)
    this.changed()
  }

  /** When the next one ends, if nothing changes. */
  nextEnd(): number {
    const { first } = this.jobs
    if (first === undefined || this.rate === 0) return Infinity
    return this.asOf + Math.max(0, (first.at - this.progress) / this.rate)
  }

  /** The one that ends next has ended. */
  end(now: number): J | undefined {
    this.asOf = now
    const job = this.jobs.take()
    // Not `advance`: what the quotient was rounded by must not add up.
    if (job !== undefined) this.progress = Math.max(this.progress, job.at)
    this.changed()
    return job
  }

  /** Takes one out, whichever: it gets no further. */
  takeAny(now: number): J | undefined {
    this.advance(now)
    const job = this.jobs.take()
    this.changed()
    return job
  }

  setSpeed(factor: number, now: number): void {
    this.advance(now)
    this.speed = factor
    this.changed()
  }

  setOthers(count: number, now: number): void {
    this.advance(now)
    this.others = count
    this.changed()
  }

  private advance(now: number): void {
    this.progress += (now - this.asOf) * this.rate
    this.asOf = now
  }

  private changed(): void {
    const count = this.jobs.length + this.others
    this.rate = count === 0 ? 0 : this.speed * (this.speeds[count] ??= speedOfEach(this.capacity, count) / 1000)
  }
}
