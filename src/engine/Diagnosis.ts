/**
 * What is the matter with a pool, from what it knows: one classifier for error texts, health, status and console, so that no two
 * of them ever say different things.
 */
import type { Ledger } from "./Ledger.ts"
import type { Waiter } from "./Waiters.ts"

export type DiagnosisKind =
  | "healthy"
  | "starting"
  | "cannot-connect"
  | "server-refuses"
  | "connecting-slowly"
  | "self-deadlock"
  | "leak-suspected"
  | "held-too-long"
  | "under-provisioned"
  | "burst"
  | "event-loop-blocked"
  | "paused"
  | "draining"
  | "closed"

/** What the answer rests on. Times are milliseconds. */
export interface Evidence {
  readonly kind: DiagnosisKind
  /** How late a timer was lately: the event loop had no time for it. */
  readonly lateBy: number
  /** Of the leases that run: the age of the one in the middle, and of the oldest. */
  readonly medianAge: number
  readonly oldestAge: number
  /** How long leases lasted that have ended; 0 while too few have. */
  readonly usualHold: number
  /** How many acquires a second there were in the last minute, and how many connections they keep busy on average. */
  readonly arrivalsPerSecond: number
  readonly load: number
  readonly oldestWait: number
}

/** What is known besides what the engine knows. */
export interface Circumstances<A> {
  /** How late a timer was in the last seconds. */
  readonly lateBy: number
  /** Whoever has run out of time, if that is why somebody asks. */
  readonly waiter?: Waiter<A> | undefined
  /** Why the last connect failed, if connects fail. */
  readonly isRefused: boolean
}

/** From here on a late timer is worth a word. */
const lateEnough = 200

/** So many leases must have ended before anything is usual. */
const leastHolds = 8

/** Leases are long when they run for so many times what is usual. */
const longHold = 5

/** While nothing is known to be usual, a lease is long from here on, or once it has run for longer than anybody may wait. */
const longAnyway = 1000

/** So many seconds of arrivals tell a rate, and no more than so many count. */
const leastSeconds = 10
const mostSeconds = 60

/** From this share of the limit on, the usual load leaves no room for chance. */
const fullLoad = 0.8

/** For so long a deadlock that was broken is what the pool has to say. */
const deadlockTold = 60_000

export const diagnose = <A>(ledger: Ledger<A>, circumstances: Circumstances<A>, now: number): Evidence => {
  const ages = Array.from(ledger.leases, ({ since }) => now - since).sort((one, other) => one - other)
  const holds = ledger.demand.recentHolds()
  const arrivals = ledger.demand.arrivals.slice(-mostSeconds)
  const arrivalsPerSecond =
    arrivals.length < leastSeconds ? 0 : arrivals.reduce((sum, one) => sum + one, 0) / arrivals.length
  const evidence = {
    lateBy: circumstances.lateBy,
    medianAge: ages[ages.length >> 1] ?? 0,
    oldestAge: ages.at(-1) ?? 0,
    usualHold: holds.length < leastHolds ? 0 : holds[holds.length >> 1]!,
    arrivalsPerSecond,
    load: (arrivalsPerSecond * ledger.demand.holdTime) / 1000,
    // Whoever is asked about has left the line already.
    oldestWait: Math.max(oldestWait(ledger, now), waitOf(circumstances.waiter, now))
  }
  return { ...evidence, kind: kindOf(ledger, circumstances, evidence, now) }
}

const waitOf = <A>(waiter: Waiter<A> | undefined, now: number): number =>
  waiter === undefined ? 0 : now - waiter.enqueuedAt

/** How long the first in line has waited; 0 if nobody waits. */
export const oldestWait = <A>({ waiters }: Ledger<A>, now: number): number => {
  let oldest = 0
  for (const { first } of waiters.lines) if (first !== undefined) oldest = Math.max(oldest, now - first.enqueuedAt)
  return oldest
}

const kindOf = <A>(
  ledger: Ledger<A>,
  { isRefused, lateBy, waiter }: Circumstances<A>,
  evidence: Omit<Evidence, "kind">,
  now: number
): DiagnosisKind => {
  const { leaks, outage, state } = ledger
  if (state === "closed" || state === "draining" || state === "paused") return state
  if (outage !== undefined) return isRefused ? "server-refuses" : "cannot-connect"
  if (state === "starting") return waiter === undefined ? "starting" : "connecting-slowly"
  if (isDeadlocked(ledger, waiter, now)) return "self-deadlock"
  if (leaks.suspected.size > 0) return "leak-suspected"
  if (lateBy >= lateEnough) return "event-loop-blocked"
  return waiter === undefined && ledger.waiting === 0 ? "healthy" : reasonToWait(ledger, evidence)
}

/** Everyone who holds a connection waits for another one; or did a moment ago, until one of them was refused. */
const isDeadlocked = <A>(
  { deadlockAt, inUse, leases, limit }: Ledger<A>,
  waiter: Waiter<A> | undefined,
  now: number
): boolean => {
  if (inUse >= limit && leases.surelyStuck === leases.length) return true
  if (waiter !== undefined) return waiter.held.length > 0
  return now - deadlockAt < deadlockTold
}

/** Somebody waits, and connects succeed. */
const reasonToWait = <A>(ledger: Ledger<A>, evidence: Omit<Evidence, "kind">): DiagnosisKind => {
  const { inUse, limit, maxConnections, resetting, serverLimit } = ledger
  if (serverLimit.connections < maxConnections && limit < maxConnections) return "server-refuses"
  const { load, medianAge, usualHold } = evidence
  const isFull = inUse + resetting >= limit
  if (!isFull && isSlow(ledger, evidence)) return "connecting-slowly"
  const long = usualHold === 0 ? Math.min(longAnyway, ledger.options.acquireTimeout) : Math.max(usualHold * longHold, 1)
  if (medianAge > long) return "held-too-long"
  return load > fullLoad * limit ? "under-provisioned" : "burst"
}

/** Opening a connection takes long enough to be why somebody waits. */
const isSlow = <A>({ checking, connecting, demand, options }: Ledger<A>, { oldestWait }: Omit<Evidence, "kind">) =>
  connecting + checking > 0 && Math.max(demand.connectTime, oldestWait) > options.acquireTimeout / 2
