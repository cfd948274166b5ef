/**
 * How long something took, each time: how often it was within which bounds. Exact where a bound is asked for; a percentile lies between
 * the same two bounds as the exact one. Noting one is a comparison or a few and an addition.
 */

/** Six bounds in each power of ten, from a tenth of a millisecond to an hour; in milliseconds. */
const everyPower = [1, 1.5, 2, 3, 5, 7]
const standardBounds: ReadonlyArray<number> = [-1, 0, 1, 2, 3, 4, 5, 6].flatMap((power) =>
  everyPower.map((factor) => Number((factor * 10 ** power).toPrecision(3)))
)

/** Bounds that somebody has asked for, at most: they come from a configuration, and cost every observation. */
const mostBounds = 200

/** The observations so far. */
export interface Distribution {
  /** Upper bounds, in milliseconds, rising; what is longer is beyond them all. */
  readonly bounds: ReadonlyArray<number>
  /** How many were within each bound and beyond the one before; the last one counts those beyond them all. */
  readonly counts: ReadonlyArray<number>
  readonly sum: number
  /** The longest. */
  readonly max: number
}

export class Durations {
  sum = 0
  max = 0
  /** The last one is infinite: the search needs no other end. */
  private bounds: Float64Array
  private counts: Float64Array

  /** `exact` are bounds that are needed besides those there always are. */
  constructor(exact: ReadonlyArray<number> = []) {
    this.bounds = boundsWith(standardBounds, exact)
    this.counts = new Float64Array(this.bounds.length)
  }

  note(millis: number): void {
    const { bounds } = this
    let place = 0
    while (millis > bounds[place]!) place++
    this.counts[place]!++
    this.sum += millis
    if (millis > this.max) this.max = millis
  }

  /** From now on these bounds are exact, too. What was observed before is divided as if it had been spread evenly. */
  refine(exact: ReadonlyArray<number>): void {
    const before = this.read()
    const bounds = boundsWith(before.bounds, exact)
    if (bounds.length === this.bounds.length) return
    const counts = new Float64Array(bounds.length)
    let within = 0
    for (let place = 0; place < bounds.length; place++) {
      const upTo = Math.round(countWithin(before, bounds[place]!))
      counts[place] = upTo - within
      within = upTo
    }
    this.bounds = bounds
    this.counts = counts
  }

  read(): Distribution {
    return {
      bounds: Array.from(this.bounds.subarray(0, -1)),
      counts: Array.from(this.counts),
      sum: this.sum,
      max: this.max
    }
  }

  get count(): number {
    let count = 0
    for (const one of this.counts) count += one
    return count
  }
}

const boundsWith = (bounds: ReadonlyArray<number>, exact: ReadonlyArray<number>): Float64Array => {
  const wanted = exact.filter((bound) => bound > 0 && bound < Infinity && !bounds.includes(bound))
  const all = [...new Set([...bounds, ...wanted.slice(0, Math.max(0, mostBounds - bounds.length))])]
  return Float64Array.from([...all.sort((one, other) => one - other), Infinity])
}

export const countOf = ({ counts }: Distribution): number => counts.reduce((sum, count) => sum + count, 0)

/** How many took no longer than this: exact at a bound, and between two as if they were spread evenly. */
export const countWithin = ({ bounds, counts }: Distribution, millis: number): number => {
  let within = 0
  for (let place = 0; place < counts.length; place++) {
    const upper = bounds[place] ?? Infinity
    if (upper > millis) {
      const lower = place === 0 ? 0 : bounds[place - 1]!
      return upper === Infinity ? within : within + (counts[place]! * (millis - lower)) / (upper - lower)
    }
    within += counts[place]!
  }
  return within
}

/** The time within which this share (0 to 1) ended: 0 if there was none, the last bound if it was longer than that. */
export const percentile = (distribution: Distribution, share: number): number => {
  const { bounds, counts } = distribution
  const wanted = countOf(distribution) * share
  let within = 0
  for (let place = 0; place < counts.length; place++) {
    const count = counts[place]!
    if (count > 0 && within + count >= wanted) {
      const lower = place === 0 ? 0 : bounds[place - 1]!
      const upper = bounds[place] ?? lower
      return lower + ((upper - lower) * (wanted - within)) / count
    }
    within += count
  }
  return 0
}

/** What was observed since an earlier look at the same durations. */
export const since = (now: Distribution, before: Distribution | undefined): Distribution => {
  if (before === undefined) return now
  const isRefined = before.bounds.length !== now.bounds.length
  let within = 0
  const counts = now.counts.map((count, place) => {
    if (!isRefined) return count - before.counts[place]!
    const upTo = Math.round(countWithin(before, now.bounds[place] ?? Number.MAX_VALUE))
    const was = upTo - within
    within = upTo
    return Math.max(0, count - was)
  })
  return { bounds: now.bounds, counts, sum: now.sum - before.sum, max: now.max }
}
