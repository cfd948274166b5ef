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
const kept = 128

export class Capacity {
  readonly samples: Array<CapacitySample> = []
  /** When it is worth looking whether the sample that is being taken is complete. */
  lookAt = 0
  private since = 0
  private inUse = 0
  private ended = 0

  /** So many leases have ended in all, the last with so many in use; and since `lineSince` somebody has been waiting. */
  look(now: number, ended: number, inUse: number, lineSince: number): void {
    const took = now - this.since
    const leases = ended - this.ended
    if (lineSince > this.since || took > longest) return this.begin(now, ended, inUse)
    if (leases < fewest) {
      this.lookAt = now + shortest / 5
      return
    }
    this.samples.push({ at: now, connections: (this.inUse + inUse) / 2, perSecond: (leases / took) * 1000 })
    if (this.samples.length > kept) this.samples.shift()
    this.begin(now, ended, inUse)
  }

  private begin(now: number, ended: number, inUse: number): void {
    this.since = now
    this.lookAt = now + shortest
    this.ended = ended
    this.inUse = inUse
  }
}
