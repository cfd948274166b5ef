/** Everything there is to say about a pool now. */
import * as Duration from "effect/Duration"
import { isObject } from "effect/Predicate"
import { countOf, type Distribution, percentile } from "../engine/Durations.ts"
import type { Ledger } from "../engine/Ledger.ts"
import type { Waiter } from "../engine/Waiters.ts"
import { origins } from "../PoolConfig.ts"
import { type ConfigEntry, PoolReport, type Times, type WaiterStatus } from "../PoolReport.ts"
import { connectionList } from "./ConnectionList.ts"
import { findingOf } from "./Diagnoses.ts"
import { healthOf } from "./HealthReport.ts"
import { holderName, type Place, whereabouts } from "./HolderNames.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { lastFailureOf } from "./Refusals.ts"
import { statusFields } from "./StatusReport.ts"

/** So many of each are listed: a report is read by people, and asked for by anybody. */
const mostConnections = 500
const mostWaiters = 100
const mostOperations = 30

/** How long acquires took that got a connection: those that found one at hand waited for nothing. */
export const acquireTimesOf = <A>({ counters, waitTimes }: Ledger<A>): Distribution => {
  const read = waitTimes.read()
  const atOnce = counters.acquired - waitTimes.count
  return { ...read, counts: read.counts.map((count, place) => (place === 0 ? count + atOnce : count)) }
}

export const distributionsOf = <A>({ engine }: PoolRuntime<A>) => ({
  acquire: acquireTimesOf(engine.ledger),
  use: engine.ledger.useTimes.read(),
  create: engine.ledger.connectTimes.read()
})

const timesOf = (distribution: Distribution): Times => {
  const count = countOf(distribution)
  return {
    count,
    mean: count === 0 ? 0 : distribution.sum / count,
    p50: percentile(distribution, 0.5),
    p95: percentile(distribution, 0.95),
    p99: percentile(distribution, 0.99)
  }
}

export const reportOf = <A>(runtime: PoolRuntime<A>, key: string): PoolReport => {
  const { ledger } = runtime.engine
  const now = runtime.now()
  const status = statusFields(runtime)
  const connections = connectionList(runtime)
  const { diagnosis, operations } = findingOf(runtime)
  const acquireTimes = timesOf(acquireTimesOf(ledger))
  const waiters = waitersOf(ledger, now)
  const failure = lastFailureOf(runtime)
  const { capturesStacksUntil, failures } = runtime
  const { leakThreshold } = ledger.options
  return new PoolReport({
    ...status,
    total_connections: status.total,
    available_connections: status.idle,
    in_use_connections: status.inUse,
    wait_queue_length: status.waiting,
    avg_wait_time_ms: acquireTimes.mean,
    connections_created_total: status.created,
    connections_closed_total: status.closed,
    key,
    at: runtime.clock.currentTimeMillisUnsafe(),
    since: runtime.since,
    health: healthOf(runtime),
    diagnosis,
    acquireTimeoutMillis: ledger.options.acquireTimeout,
    leakThresholdMillis: leakThreshold === Infinity ? null : leakThreshold,
    oldestLeaseMillis: connections.reduce((oldest, { inUseForMillis = 0 }) => Math.max(oldest, inUseForMillis), 0),
    acquireTimes,
    useTimes: timesOf(ledger.useTimes.read()),
    createTimes: timesOf(ledger.connectTimes.read()),
    closedFor: { ...ledger.closedFor },
    refusedFor: { ...ledger.failedFor },
    failedFor: { ...failures.failed },
    retriedFor: { ...failures.retried },
    connections: connections.slice(0, mostConnections),
    waiters,
    operations: operations.slice(0, mostOperations),
    omitted: {
      connections: Math.max(0, connections.length - mostConnections),
      waiters: ledger.waiting - waiters.length,
      operations: Math.max(0, operations.length - mostOperations)
    },
    failures: failure === undefined ? [] : failures.reasons,
    failingForMillis: ledger.outage === undefined ? 0 : Math.round(now - ledger.outage.since),
    config: configOf(runtime),
    ...(capturesStacksUntil !== undefined && { capturesStacksUntil })
  })
}

/** The first of each line, in the order in which they came. */
const waitersOf = <A>({ waiters }: Ledger<A>, now: number): ReadonlyArray<WaiterStatus> => {
  const found: Array<Waiter<A>> = []
  for (const line of waiters.lines) {
    let waiter = line.first
    for (let count = 0; count < mostWaiters && waiter !== undefined; count++, waiter = waiter.behind) found.push(waiter)
  }
  return found
    .sort((one, other) => one.acquire - other.acquire)
    .slice(0, mostWaiters)
    .map((waiter, index) => waiterStatus(waiter, index + 1, now))
}

const waiterStatus = <A>(waiter: Waiter<A>, position: number, now: number): WaiterStatus => {
  const { acquire, deadline, enqueuedAt, held, holder, isBatch } = waiter
  const place = (holder as { readonly cache: Place } | undefined)?.cache
  const { operation, place: source } = whereabouts(place)
  return {
    acquire,
    position,
    waiter: holderName(holder, place),
    ...(operation !== undefined && { operation }),
    ...(source !== undefined && { place: source }),
    waitedMillis: Math.max(0, Math.round(now - enqueuedAt)),
    timeLeftMillis: Math.max(0, Math.round(deadline - now)),
    isBatch,
    holds: held.length
  }
}

/** Every field with its value in words, and who has said so. Limits as they are now. */
const configOf = <A>({ config, engine }: PoolRuntime<A>): ReadonlyArray<ConfigEntry> => {
  const from = origins(config)
  const { maxConnections, minConnections } = engine.ledger
  const now: Readonly<Record<string, unknown>> = { minConnections, maxConnections }
  return Object.entries(config).map(([field, configured]) => {
    const value = now[field] ?? configured
    return {
      field,
      value: shown(value),
      origin: value === configured ? (from.get(field) ?? "default") : "resized"
    }
  })
}

const shown = (value: unknown): string => {
  if (Duration.isDuration(value)) return Duration.format(value)
  if (isObject(value) && "decide" in value) return String((value as { readonly name?: unknown }).name)
  if (isObject(value)) {
    const fields = Object.entries(value).map(([name, inner]) => `${name} ${shown(inner)}`)
    return fields.join(", ")
  }
  return String(value)
}
