/** What the pool looks like now, and what it has found out about its own size. */
import { oldestWait } from "../engine/Diagnosis.ts"
import type { Knee } from "../engine/SizingPolicy.ts"
import type { Sized } from "../engine/Sizing.ts"
import { type KneeStatus, PoolStatus, type SizingStatus } from "../PoolStatus.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { lastFailureOf, snapshotOf } from "./Refusals.ts"
import { recentAdvice } from "./SizeAdvice.ts"

export const statusOf = <A>(runtime: PoolRuntime<A>): PoolStatus => new PoolStatus(statusFields(runtime))

export const statusFields = <A>(runtime: PoolRuntime<A>) => {
  const { counters, demand, leaks, leases, maxConnections, minConnections, shedding, state, waitTimes } =
    runtime.engine.ledger
  const lastFailure = lastFailureOf(runtime)
  const knee = kneeOf(runtime)
  const advice = recentAdvice(runtime)
  return {
    name: runtime.name,
    state,
    ...snapshotOf(runtime.engine.ledger),
    leases: leases.length,
    minConnections,
    maxConnections,
    ...counters,
    acquiredAtOnce: counters.acquired - waitTimes.count,
    oldestWaitMillis: Math.round(oldestWait(runtime.engine.ledger, runtime.now())),
    leaks: leaks.total,
    leaksNow: leaks.suspected.size,
    isOverloaded: shedding.isOverloaded,
    holdMillis: demand.holdTime,
    connectMillis: demand.connectTime,
    sizing: sizingOf(runtime),
    ...(knee && { knee }),
    ...(advice && { advice }),
    ...(lastFailure && { lastFailure })
  }
}

const sizingOf = <A>(runtime: PoolRuntime<A>): SizingStatus => {
  const { ceiling, changed, fault, ignored, notGrown, policy, target } = runtime.engine.ledger.sizing
  const toWallTime = runtime.clock.currentTimeMillisUnsafe() - runtime.now()
  const at = (sized: Sized): number => sized.at + toWallTime
  return {
    policy: policy.name,
    connections: target,
    ...(ceiling < Infinity && { ceiling }),
    ...(changed && { changed: { at: at(changed), from: changed.from, to: changed.to, reason: changed.reason } }),
    ...(notGrown && { notGrown: { at: at(notGrown), reason: notGrown.reason } }),
    ignored,
    ...(fault !== undefined && { fault })
  }
}

const kneeOf = <A>(runtime: PoolRuntime<A>): KneeStatus | undefined => {
  const { demand, maxConnections } = runtime.engine.ledger
  const { estimate } = demand.knee
  return estimate && { ...estimate, advice: adviceOnKnee(estimate, maxConnections) }
}

/** From this confidence on it is worth acting on. */
const believable = 0.5

const adviceOnKnee = ({ confidence, connections, isFrozen }: Knee, maximum: number): string => {
  const times = maximum / connections
  const size =
    times > 1.2
      ? `a maximum of ${maximum} is ${times.toFixed(1)} times too big`
      : times < 0.8
        ? `a maximum of ${maximum} leaves room for more`
        : `a maximum of ${maximum} is about right`
  const belief = confidence < believable ? "; not certain yet" : ""
  return `knee near ${connections}: ${size}${belief}${isFrozen ? "; from before the server's speed changed" : ""}`
}
