/**
 * Which operations hold the connections: a look at the running leases each second, over the last minute. Counting what each lease
 * takes would be exact, and would cost every lease; a look a second finds whoever holds for long, in proportion.
 */
import type { Ledger } from "../engine/Ledger.ts"
import type { OperationStatus } from "../PoolReport.ts"
import { operationOf, type Place } from "./HolderNames.ts"

/** So many looks are remembered, and this far apart they are, in milliseconds. */
const looks = 60
const interval = 1000

/** Operations that are told apart: a program that puts an id into each name must not fill the memory. */
const mostOperations = 200
const others = "(others)"

export class Operations {
  private readonly window: Array<ReadonlyMap<string, number>> = []
  private readonly sums = new Map<string, number>()
  private nextLookAt = 0

  /** To be called now and then. */
  look<A>({ leases }: Ledger<A>, now: number): void {
    if (now < this.nextLookAt) return
    this.nextLookAt = now + interval
    const seen = new Map<string, number>()
    for (const { place } of leases) {
      const operation = this.knownAs(operationOf(place as Place | undefined))
      seen.set(operation, (seen.get(operation) ?? 0) + 1)
    }
    for (const [operation, count] of seen) this.sums.set(operation, (this.sums.get(operation) ?? 0) + count)
    this.window.push(seen)
    if (this.window.length > looks) this.forget(this.window.shift()!)
  }

  private knownAs(operation: string): string {
    return this.sums.has(operation) || this.sums.size < mostOperations ? operation : others
  }

  private forget(seen: ReadonlyMap<string, number>): void {
    for (const [operation, count] of seen) {
      const left = (this.sums.get(operation) ?? 0) - count
      if (left > 0) this.sums.set(operation, left)
      else this.sums.delete(operation)
    }
  }

  /** Those that hold now or have held, the one with most of the time first. */
  read<A>({ leases }: Ledger<A>, now: number): ReadonlyArray<OperationStatus> {
    const found = new Map<string, { leases: number; oldestMillis: number }>()
    for (const operation of this.sums.keys()) found.set(operation, { leases: 0, oldestMillis: 0 })
    for (const { place, since } of leases) {
      const operation = this.knownAs(operationOf(place as Place | undefined))
      const entry = found.get(operation) ?? { leases: 0, oldestMillis: 0 }
      entry.leases++
      entry.oldestMillis = Math.max(entry.oldestMillis, Math.round(now - since))
      found.set(operation, entry)
    }
    const sum = [...this.sums.values()].reduce((total, count) => total + count, 0)
    return Array.from(found, ([operation, entry]) => ({
      operation,
      ...entry,
      share: sum === 0 ? 0 : (this.sums.get(operation) ?? 0) / sum
    })).sort((one, other) => other.share - one.share || other.oldestMillis - one.oldestMillis)
  }
}
