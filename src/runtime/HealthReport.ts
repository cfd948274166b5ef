import { HealthStatus } from "../PoolStatus.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { findingOf } from "./Diagnoses.ts"
import { lastFailureOf } from "./Refusals.ts"

/** Whether the pool does its work, and if not, why. */
export const healthOf = <A>(runtime: PoolRuntime<A>): HealthStatus => {
  const { state } = runtime.engine.ledger
  const failing = reasonToFail(runtime)
  const reasons = failing === undefined ? reasonsToWarn(runtime) : [failing]
  const status = failing !== undefined ? "fail" : reasons.length > 0 ? "warn" : "pass"
  return new HealthStatus({ pool: runtime.name, status, state, reasons })
}

const failureText = <A>(runtime: PoolRuntime<A>): string | undefined => {
  const failure = lastFailureOf(runtime)
  if (failure === undefined) return undefined
  return `${failure.attempts} attempt${failure.attempts === 1 ? "" : "s"} to connect failed, the last with: ${failure.message}`
}

const reasonToFail = <A>(runtime: PoolRuntime<A>): string | undefined => {
  const { ledger } = runtime.engine
  const failure = failureText(runtime)
  switch (ledger.state) {
    case "starting":
      return failure === undefined ? "no connection has opened yet" : `no connection has opened yet: ${failure}`
    case "unavailable":
      return `no usable connection: ${failure ?? "the server cannot be reached"}`
    case "draining":
    case "closed":
      return "the pool is closing, or closed"
    case "paused":
    case "ready":
      return undefined
  }
}

const reasonsToWarn = <A>(runtime: PoolRuntime<A>): ReadonlyArray<string> => {
  const { counters, inUse, limit, shedding, state } = runtime.engine.ledger
  const { diagnosis } = findingOf(runtime)
  const { kind, summary } = diagnosis
  // That somebody waits for a moment while a connection opens is the pool at work.
  const isNoNews = kind === "healthy" || (kind === "burst" && inUse < limit)
  const reasons = isNoNews ? [] : [`${kind}: ${summary}`]
  if (state === "ready" && shedding.isOverloaded) {
    reasons.push(`overloaded: more comes than is served; ${counters.shed} have been refused so far`)
  }
  return reasons
}
