/** What the pool promises, by the numbers under which the simulation names them. */
export const promises = {
  1: "a connection counts until its finalizer has ended or its close timeout has passed, and the total stays below the limit",
  2: "nobody waits while a connection could be lent or opened for them",
  3: "every lease is released once, every finalizer runs once, and a connection has one borrower",
  4: "a lease never goes to a waiter that was interrupted or whose deadline passed",
  5: "waiters are served in the order of arrival",
  6: "interruption is never swallowed and never leaks",
  7: "every waiter is served or failed in bounded time, and the pool finds its way back",
  8: "a server that is down sees one probe per backoff step",
  9: "closing ends: waiters fail at once, borrowers get the drain timeout, then their connections are closed",
  10: "counters are sums of events and never negative",
  11: "no fiber and no timer outlives the pool's scope",
  12: "a slow or hung connect, check, reset or close delays nobody who could be served",
  13: "a borrower does not pay for closing or resetting what it returns, and gets a connection that is as new"
} as const

export type PromiseNumber = keyof typeof promises

/** A promise that was broken, and how. */
export interface Breach {
  readonly promise: PromiseNumber
  readonly what: string
}
