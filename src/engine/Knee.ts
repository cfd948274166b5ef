/**
 * Where more connections stop helping, found from what leases show by themselves: how long each lasted, and how many were in
 * use when it ended.
 *
 * Universal Scalability Law (Gunther): N in use get X(N) = N / S(N) done, and each lasts S(N) = a + b(N-1) + cN(N-1): the work
 * itself, the wait for what cannot be done side by side, and what each pair costs the others. S is linear in (1, N-1, N(N-1)),
 * so weighted least squares fit it; X is highest where N² = (a - b) / c.
 */
import type { Knee } from "./SizingPolicy.ts"

/** What was seen so long ago counts half, in seconds. */
const halfLife = 20
const fading = 0.5 ** (1 / halfLife)

/** Where leases at the same concurrency suddenly last so many times longer or shorter, the server has changed, not the load. */
const suddenly = 2

/** So many seconds after the server's speed has changed, what was seen before is forgotten. */
const freezeFor = 2 * halfLife

/** How many leases of one second make what they say as certain as it gets: they are not independent of each other. */
const enoughInASecond = 20

/** A fit that leaves more than this part of the hold time's variance unexplained says nothing. */
const leastExplained = 0.3

/** A knee further out than so many times what was ever in use is a guess. */
const furthest = 4

/** The sums of weighted least squares for three unknowns, each second weighing less than the next. */
class Sums {
  weight = 0
  x = 0
  z = 0
  xx = 0
  xz = 0
  zz = 0
  y = 0
  xy = 0
  zy = 0
  yy = 0
  lowest = Infinity
  highest = 0

  fade(): void {
    this.weight *= fading
    this.x *= fading
    this.z *= fading
    this.xx *= fading
    this.xz *= fading
    this.zz *= fading
    this.y *= fading
    this.xy *= fading
    this.zy *= fading
    this.yy *= fading
  }

  add(n: number, hold: number, weight: number): void {
    const x = n - 1
    const z = n * (n - 1)
    this.weight += weight
    this.x += weight * x
    this.z += weight * z
    this.xx += weight * x * x
    this.xz += weight * x * z
    this.zz += weight * z * z
    this.y += weight * hold
    this.xy += weight * x * hold
    this.zy += weight * z * hold
    this.yy += weight * hold * hold
    this.lowest = Math.min(this.lowest, n)
    this.highest = Math.max(this.highest, n)
  }
}

interface Line {
  readonly alone: number
  readonly contention: number
  readonly coherency: number
  readonly explained: number
}

export class KneeFit {
  /** The leases of this second by how many were in use: their number, and how long they lasted together. */
  private counts = new Float64Array(64)
  private holds = new Float64Array(64)
  private highestNow = 0
  private sums = new Sums()
  private fit: Line | undefined = undefined
  private frozenSince: number | undefined = undefined
  private seconds = 0

  /** A lease ended, with so many in use. */
  note(n: number, held: number): void {
    if (n >= this.counts.length) this.grow(n)
    this.counts[n]! += 1
    this.holds[n]! += held
    if (n > this.highestNow) this.highestNow = n
  }

  private grow(n: number): void {
    const counts = new Float64Array(2 * n)
    const holds = new Float64Array(2 * n)
    counts.set(this.counts)
    holds.set(this.holds)
    this.counts = counts
    this.holds = holds
  }

  /** A second has passed: what it has shown is added to the fit, unless the server itself has changed. */
  endSecond(now: number): void {
    if (this.highestNow === 0) return
    if (this.frozenSince !== undefined && now - this.frozenSince >= freezeFor * 1000) this.forget()
    const isChanged = this.hasSpeedChanged()
    if (isChanged) this.frozenSince ??= now
    else if (this.frozenSince !== undefined) this.frozenSince = undefined
    if (!isChanged) this.learn()
    this.counts.fill(0, 0, this.highestNow + 1)
    this.holds.fill(0, 0, this.highestNow + 1)
    this.highestNow = 0
  }

  private forget(): void {
    this.sums = new Sums()
    this.fit = undefined
    this.frozenSince = undefined
    this.seconds = 0
  }

  private learn(): void {
    const { counts, highestNow, holds, sums } = this
    sums.fade()
    this.seconds++
    for (let n = 1; n <= highestNow; n++) {
      const count = counts[n]!
      if (count > 0) sums.add(n, holds[n]! / count, Math.min(count, enoughInASecond) / enoughInASecond)
    }
    this.fit = fitOf(sums)
  }

  /** Leases last far longer or far shorter than what was seen allows for this very concurrency: time, not the load. */
  private hasSpeedChanged(): boolean {
    const { counts, fit, highestNow, holds, sums } = this
    if (sums.weight === 0) return false
    const isKnown = fit !== undefined && fit.explained >= leastExplained
    const mean = 1 + sums.x / sums.weight
    let least = 0
    let most = 0
    let seen = 0
    for (let n = 1; n <= highestNow; n++) {
      // Beyond what was seen, no shorter; and longer in proportion at most, if more in use get no less done.
      const from = isKnown ? Math.min(n, sums.highest) : mean
      const hold = isKnown ? holdAt(fit, from) : sums.y / sums.weight
      least += counts[n]! * hold
      most += counts[n]! * hold * Math.max(1, n / from)
      seen += holds[n]!
    }
    return seen > suddenly * most || seen * suddenly < least
  }

  /** How long a lease lasts with so many in use, as the fit has it. */
  get estimate(): Knee | undefined {
    const { fit, sums } = this
    if (fit === undefined || fit.coherency <= 0 || fit.alone <= fit.contention) return undefined
    const connections = Math.max(1, Math.sqrt((fit.alone - fit.contention) / fit.coherency))
    if (connections > furthest * sums.highest) return undefined
    return {
      connections: Math.round(connections),
      contention: fit.contention / fit.alone,
      coherency: fit.coherency / fit.alone,
      confidence: this.confidence(connections, fit.explained),
      isFrozen: this.frozenSince !== undefined
    }
  }

  /**
   * How far to believe it: as far as the fit explains what was seen, what was seen reaches towards the knee, spans a range of
   * sizes, and has been seen for long enough.
   */
  private confidence(connections: number, explained: number): number {
    const { highest, lowest } = this.sums
    const reach = Math.min(1, highest / connections)
    const span = Math.min(1, (highest - lowest) / (connections / 2))
    const time = Math.min(1, this.seconds / (halfLife / 2))
    return Math.max(0, explained) * reach * span * time
  }
}

const holdAt = ({ alone, coherency, contention }: Line, n: number): number =>
  alone + contention * (n - 1) + coherency * n * (n - 1)

/** Solves the normal equations; nothing, where what was seen does not tell the three apart. */
const fitOf = (sums: Sums): Line | undefined => {
  const { weight, x, z } = sums
  if (weight <= 0 || sums.highest < sums.lowest + 2) return undefined
  const xx = sums.xx - (x * x) / weight
  const xz = sums.xz - (x * z) / weight
  const zz = sums.zz - (z * z) / weight
  const xy = sums.xy - (x * sums.y) / weight
  const zy = sums.zy - (z * sums.y) / weight
  const yy = sums.yy - (sums.y * sums.y) / weight
  const determinant = xx * zz - xz * xz
  if (!(determinant > 1e-9 * xx * zz) || !(yy > 0)) return undefined
  const b = (xy * zz - zy * xz) / determinant
  const c = (zy * xx - xy * xz) / determinant
  // Waiting for one another never makes work faster: what comes out negative is noise, and the other term takes it.
  const contention = b >= 0 ? b : 0
  const coherency = b >= 0 ? c : zy / zz
  const alone = (sums.y - contention * x - coherency * z) / weight
  if (!(alone > 0)) return undefined
  const explained = (contention * xy + coherency * zy) / yy
  return { alone, contention, coherency, explained }
}
