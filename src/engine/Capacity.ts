/**
 * What a pool gets done with how many connections: samples taken while somebody waited all the time, since only then it is the
 * connections, and not the callers, that decide how much that is.
 */
import type { CapacitySample } from "./SizingPolicy.ts"

/** A sample takes at least so long, in milliseconds, and at least so many leases: fewer would be chance. */
const shortest = 250
const fewest = 100

/** One that has not seen so many after this long is given up: too much may have changed meanwhile. */
const longest = 5000

/** So many samples are kept. */
const kept = 256

export class Capacity {
  readonly samples: Array<CapacitySample> = []
  /** When it is worth looking whether the sample that is being taken is complete. */
  lookAt = 0
  private since = 0
  /** How many leases have ended since then, and the sum of what was in use with each. */
  private leases = 0
  private inUse = 0

  /** A lease has ended, with so many in use. */
  note(inUse: number): void {
    this.leases++
    this.inUse += inUse
  }

  /** Completes a sample, if it is time; since `lineSince` somebody has been waiting. */
  look(now: number, lineSince: number): void {
    const { inUse, leases } = this
    const took = now - this.since
    if (lineSince > this.since || took > longest) return this.begin(now)
    if (leases < fewest) {
      this.lookAt = now + shortest / 5
      return
    }
    this.samples.push({ at: now, connections: inUse / leases, leases, perSecond: (leases / took) * 1000 })
    if (this.samples.length > kept) this.samples.shift()
    this.begin(now)
  }

  private begin(now: number): void {
    this.since = now
    this.lookAt = now + shortest
    this.leases = 0
    this.inUse = 0
  }
}
