/** What became of the requests that came to one pool in the measured time, in the order in which they came. */

const unknown = NaN

/** Requests that came within so many milliseconds of each other came at about the same time. */
const together = 10

/** Numbers that grow in number, without an object for each. */
class Column {
  private numbers = new Float64Array(1024)
  length = 0

  push(number: number): void {
    if (this.length === this.numbers.length) {
      const grown = new Float64Array(2 * this.length)
      grown.set(this.numbers)
      this.numbers = grown
    }
    this.numbers[this.length++] = number
  }

  at(index: number): number {
    return this.numbers[index]!
  }

  set(index: number, number: number): void {
    this.numbers[index] = number
  }

  /** Those that are known. Not a `filter`: that calls a function for each. */
  get known(): Float64Array {
    const { length, numbers } = this
    const known = new Float64Array(length)
    let count = 0
    for (let index = 0; index < length; index++) {
      const number = numbers[index]!
      if (!Number.isNaN(number)) known[count++] = number
    }
    return known.subarray(0, count)
  }
}

export class RequestLog {
  private readonly cameAt = new Column()
  private readonly waited = new Column()
  private readonly answeredAfter = new Column()
  good = 0
  late = 0
  shed = 0
  timedOut = 0
  failed = 0

  get length(): number {
    return this.cameAt.length
  }

  /** How many have not ended. */
  get pending(): number {
    return this.length - this.good - this.late - this.shed - this.timedOut - this.failed
  }

  /** Adds a request, and says which it is. */
  came(now: number): number {
    this.cameAt.push(now)
    this.waited.push(unknown)
    this.answeredAfter.push(unknown)
    return this.length - 1
  }

  served(index: number, now: number): void {
    this.waited.set(index, now - this.cameAt.at(index))
  }

  answered(index: number, goodWithin: number, now: number): void {
    const after = now - this.cameAt.at(index)
    this.answeredAfter.set(index, after)
    if (after <= goodWithin) this.good++
    else this.late++
  }

  /** How long those waited that got a lease. */
  get waits(): Float64Array {
    return this.waited.known
  }

  /** How long those took that were answered. */
  get answers(): Float64Array {
    return this.answeredAfter.known
  }

  /** The largest difference between the waits of two that came one after the other, at about the same time. */
  get unfairness(): number {
    let largest = 0
    for (let index = 1; index < this.length; index++) {
      if (this.cameAt.at(index) - this.cameAt.at(index - 1) > together) continue
      const difference = Math.abs(this.waited.at(index) - this.waited.at(index - 1))
      if (difference > largest) largest = difference
    }
    return largest
  }
}

/** All numbers of several, in ascending order. */
export const merged = (columns: ReadonlyArray<Float64Array>): Float64Array => {
  const all = new Float64Array(columns.reduce((sum, { length }) => sum + length, 0))
  let filled = 0
  for (const column of columns) {
    all.set(column, filled)
    filled += column.length
  }
  return all.sort()
}

/** The smallest of some numbers, in ascending order, that this part of them does not exceed; 0, if there are none. */
export const percentile = (sorted: Float64Array, part: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0
