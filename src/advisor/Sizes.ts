/**
 * The sizes that the facts ask for and those that they allow, in connections of one replica. Numbers only; the words are in
 * `Words.ts`.
 */
import type { Facts } from "../PoolAdvisor.ts"
import { fewestFor, type Wait, waitOf, type Work } from "./ErlangC.ts"
import { type HoldTime, holdTime } from "./HoldTime.ts"

/** No pool may have more connections (see `PoolConfig.maxConnections`), and none is expected to lend more at the same time. */
export const largest = 1_000_000

/** A knee that is less certain is a guess, and limits nothing. */
export const certainEnough = 0.5

/**
 * How many times the square root of the load stands above the load: β of square-root staffing, c = R + β√R (Halfin and Whitt).
 * With 1.5 about 9 of 100 acquires wait at all.
 */
const spareForChance = 1.5

/** The facts with every default filled in. */
export type Question = Facts & {
  readonly replicas: number
  readonly serverReserved: number
  readonly nestingDepth: number
  readonly waitTargetMillis: number
  readonly acquireTimeoutMillis: number
  readonly targetUtilization: number
  readonly concurrency: number
}

/** What 99 of 100 acquires may wait: nobody waits longer than until he gives up. */
export const waitGoal = ({ acquireTimeoutMillis, waitTargetMillis }: Question): number =>
  Math.min(waitTargetMillis, acquireTimeoutMillis)

/** What asks for connections, the largest first decides. */
export type Need = "load" | "waitTarget" | "nesting" | "spare"

/** What forbids more of them, the smallest first decides. */
export type Limit = "serverConnections" | "knee" | "largest"

/** Everything computed from the facts. */
export interface Sizes {
  readonly hold: HoldTime
  /** Leases that run at the same time on average: Little's law. */
  readonly load: number
  /** The same in connections. */
  readonly busy: number
  /** For the load at the target utilization, with the room for chance, and with both. */
  readonly forUtilization: number
  readonly forChance: number
  readonly forLoad: number
  /** For the target of the wait. */
  readonly forWait: number
  /** Below it borrowers that hold several connections can all wait for each other. 0 where that cannot be. One borrower at least. */
  readonly forNesting: number
  /** What one replica may have of the server's connections; `Infinity` where that is not known. */
  readonly share: number
  /** Where the server gets the most done; `Infinity` where that is not known. */
  readonly knee: number
  readonly wanted: number
  readonly need: Need
  /** The smaller of what the server, the knee and a pool allow. */
  readonly ceiling: number
  readonly limit: Limit
  readonly recommended: number
  /** Whether the ceiling carries the load at all. */
  readonly isCarried: boolean
  /** Whether, besides, 99 of 100 acquires get their lease before they give up. */
  readonly isServed: boolean
  /** With the recommended size. `undefined` where the load is not carried. */
  readonly wait: Wait | undefined
}

/**
 * So that at least one of n borrowers that each hold m connections always gets its last one: n(m - 1) + 1 leases (HikariCP's
 * formula against pool-locking).
 */
const deadlockFree = (borrowers: number, depth: number): number => (depth < 2 ? 0 : borrowers * (depth - 1) + 1)

/** What the server has to give to all replicas together. */
export const serverGives = ({ serverMaxConnections, serverReserved }: Question): number | undefined =>
  serverMaxConnections === undefined ? undefined : serverMaxConnections - serverReserved

const shareOf = (question: Question): number => {
  const given = serverGives(question)
  return given === undefined ? Infinity : Math.floor(given / question.replicas)
}

const kneeOf = ({ knee }: Question): number =>
  knee === undefined || knee.confidence < certainEnough ? Infinity : Math.max(1, Math.floor(knee.connections))

const ceilingOf = (share: number, knee: number): { readonly ceiling: number; readonly limit: Limit } =>
  share <= knee && share < largest
    ? { ceiling: Math.max(1, share), limit: "serverConnections" }
    : knee < largest
      ? { ceiling: knee, limit: "knee" }
      : { ceiling: largest, limit: "largest" }

/** One connection may carry the load; the second is there while the first is replaced. */
export const spare = 2

/** Floating-point dust must not cost a connection: 0.1 × 3 / 0.3 is 1, not 1.0000000000000002. */
const roundUp = (x: number): number => Math.ceil(x - 1e-9)

/** Connections that carry so many leases. */
const connectionsFor = (leases: number, concurrency: number): number => roundUp(leases / concurrency)

export const workOf = (load: number, hold: HoldTime): Work => ({
  load,
  meanHoldMillis: hold.meanMillis,
  variability: hold.variability
})

const largestNeed = (needs: ReadonlyArray<readonly [Need, number]>): readonly [Need, number] =>
  needs.reduce((most, next) => (next[1] > most[1] ? next : most))

/** All sizes, in connections. */
export const sizesOf = (question: Question): Sizes => {
  const { arrivalRate, concurrency, concurrentBorrowers = 1, nestingDepth, targetUtilization } = question
  const hold = holdTime(question.holdMillisP50, question.holdMillisP95)
  const load = (arrivalRate * hold.meanMillis) / 1000
  const work = workOf(load, hold)
  const share = shareOf(question)
  const knee = kneeOf(question)
  const { ceiling, limit } = ceilingOf(share, knee)

  const forUtilization = connectionsFor(load / targetUtilization, concurrency)
  const forChance = connectionsFor(load + spareForChance * Math.sqrt(load), concurrency)
  const forLoad = Math.max(forUtilization, forChance)
  const forWait = connectionsFor(fewestFor(work, waitGoal(question), largest) ?? 0, concurrency)
  const forNesting = connectionsFor(deadlockFree(concurrentBorrowers, nestingDepth), concurrency)

  const [need, wanted] = largestNeed([
    ["load", forLoad],
    ["waitTarget", forWait],
    ["spare", spare],
    ["nesting", forNesting]
  ])
  // A pool past the knee is slow; one in which everyone waits for everyone else does nothing. Only the server can refuse.
  const recommended = Math.min(Math.max(Math.min(wanted, ceiling), forNesting), Math.max(1, Math.min(share, largest)))
  const isCarried = load < Math.min(ceiling * concurrency, largest)
  const wait = isCarried ? waitOf(recommended * concurrency, work) : undefined
  return {
    hold,
    load,
    busy: load / concurrency,
    forUtilization,
    forChance,
    forLoad,
    forWait,
    forNesting,
    share,
    knee,
    wanted,
    need,
    ceiling,
    limit,
    recommended,
    isCarried,
    isServed: wait !== undefined && wait.p99 <= question.acquireTimeoutMillis,
    wait
  }
}
