/** Who is refused because more is asked of the pool than it can do: early, while he can still do something else. */
import type { Ledger } from "./Ledger.ts"
import type { Waiter } from "./Waiters.ts"

/**
 * The next in line is refused instead of served: he has waited for too long in a line that more join than leave, or his time
 * will be over before a lease of the usual length. Not one who holds a connection: refused, he would have held it for nothing.
 */
export const isShed = <A>(ledger: Ledger<A>, waiter: Waiter<A>, now: number): boolean => {
  const { acquires, counters, demand, options, shedding } = ledger
  const refuses = shedding.refuses(now - waiter.enqueuedAt, acquires, counters.acquired, now)
  if (!options.shedding.isOn || waiter.held.length > 0) return false
  return refuses || (waiter.deadline - now < demand.holdTime && shedding.isOverloaded)
}

/** A newcomer who would not be served before his deadline, if more come than are served. */
export const isHopeless = <A>(ledger: Ledger<A>, waiter: Waiter<A>): boolean => {
  const { options, shedding, waiters } = ledger
  if (waiters.length === 0 || !options.shedding.isOn || waiter.held.length > 0 || !shedding.isOverloaded) return false
  return timeToServe(ledger, waiters.ahead(waiter) + 1) > options.acquireTimeout
}

/** How long it takes to serve all who wait and one more, in milliseconds, with what serves them now. */
export const timeToEmpty = <A>(ledger: Ledger<A>): number => timeToServe(ledger, ledger.waiting + 1)

const timeToServe = <A>({ demand, inUse, options }: Ledger<A>, count: number): number =>
  inUse === 0 ? 0 : (count * demand.holdTime) / (inUse * options.concurrency)
