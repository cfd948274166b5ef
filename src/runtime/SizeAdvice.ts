/** What the advisor would say to a pool as it is used now. */
import * as Duration from "effect/Duration"
import { type Advice, advise, Facts } from "../PoolAdvisor.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

/** Fewer leases, or seconds, than this say nothing. */
const leasesThatTell = 20
const secondsThatTell = 10

/** What the advisor said last, and when: in the status it is not worked out anew for every look. */
const last = new WeakMap<object, { readonly at: number; readonly advice: Advice | undefined }>()
const lastsFor = 10_000

/** What the pool cannot know by itself. */
export type Known = Partial<
  Pick<
    Facts,
    | "replicas"
    | "serverMaxConnections"
    | "serverReserved"
    | "serverCores"
    | "nestingDepth"
    | "concurrentBorrowers"
    | "waitTargetMillis"
    | "targetUtilization"
  >
>

/** Smallest first: the one below which this part of them is. */
const quantile = (sorted: ReadonlyArray<number>, part: number): number => sorted[Math.ceil(part * sorted.length) - 1]!

/** What is asked of the pool at its busiest, as it has seen it; nothing, while it has seen too little. */
const factsOfLive = <A>(runtime: PoolRuntime<A>, known: Known): Facts | undefined => {
  const { demand, maxConnections, minConnections, options } = runtime.engine.ledger
  const holds = demand.recentHolds()
  const arrivals = [...demand.arrivals].sort((one, other) => one - other)
  if (holds.length < leasesThatTell || arrivals.length < secondsThatTell) return undefined
  // The recorder of times has its own grain: what took no time at all took some.
  const p50 = Math.max(0.001, quantile(holds, 0.5))
  const { estimate } = demand.knee
  return new Facts({
    ...known,
    arrivalRate: Math.min(1_000_000, quantile(arrivals, 0.95)),
    holdMillisP50: p50,
    holdMillisP95: Math.max(p50, quantile(holds, 0.95)),
    acquireTimeoutMillis: Duration.toMillis(runtime.config.acquireTimeout),
    minConnections,
    maxConnections,
    concurrency: options.concurrency,
    ...(estimate && { knee: { connections: estimate.connections, confidence: Math.min(1, estimate.confidence) } })
  })
}

export const adviceOn = <A>(runtime: PoolRuntime<A>, known: Known): Advice | undefined => {
  const facts = factsOfLive(runtime, known)
  return facts && advise(facts)
}

/** For the status: at most some seconds old. */
export const recentAdvice = <A>(runtime: PoolRuntime<A>): Advice | undefined => {
  const now = runtime.now()
  const known = last.get(runtime)
  if (known !== undefined && now - known.at < lastsFor) return known.advice
  const advice = adviceOn(runtime, {})
  last.set(runtime, { at: now, advice })
  return advice
}
