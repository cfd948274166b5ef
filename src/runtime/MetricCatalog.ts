/** Every metric of a pool: its names, its unit, what it means, and how it is read. */
import { oldestWait } from "../engine/Diagnosis.ts"
import type { Distribution } from "../engine/Durations.ts"
import type { Ledger } from "../engine/Ledger.ts"
import { acquireTimesOf } from "./PoolReporting.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

type Runtime = PoolRuntime<unknown>

/** One series: its labels besides the pool's, and its value. */
interface Point<Value> {
  readonly labels: Readonly<Record<string, string>>
  readonly read: (runtime: Runtime) => Value
}

/** What all kinds have. */
interface Described {
  readonly name: string
  readonly description: string
  /** In UCUM, as OpenTelemetry writes it. */
  readonly unit: string
  /** `basic`: what every dashboard asks for. `advanced`: the rest. */
  readonly group: "basic" | "advanced"
  /** It goes by OpenTelemetry's names, or by ours where there are none. */
  readonly isOtel: boolean
  /** There is a metric of OpenTelemetry that says the same. */
  readonly hasOtel: boolean
}

export type MetricDefinition =
  | (Described & { readonly kind: "gauge" | "counter"; readonly points: ReadonlyArray<Point<number>> })
  | (Described & {
      readonly kind: "histogram"
      readonly times: "acquire" | "use" | "create"
      readonly points: ReadonlyArray<Point<Distribution>>
    })

const connections = "{connection}"
const requests = "{request}"
const seconds = "s"

const ledgerOf = ({ engine }: Runtime): Ledger<unknown> => engine.ledger as Ledger<unknown>

const one = (read: (ledger: Ledger<unknown>, runtime: Runtime) => number): ReadonlyArray<Point<number>> => [
  { labels: {}, read: (runtime) => read(ledgerOf(runtime), runtime) }
]

const by = (
  label: string,
  values: ReadonlyArray<string>,
  read: (ledger: Ledger<unknown>, value: string, runtime: Runtime) => number
): ReadonlyArray<Point<number>> =>
  values.map((value) => ({ labels: { [label]: value }, read: (runtime) => read(ledgerOf(runtime), value, runtime) }))

interface Says {
  readonly unit?: string
  readonly basic?: boolean
  readonly hasOtel?: boolean
  readonly isOtel?: boolean
}

const described = (name: string, description: string, says: Says): Described => ({
  name,
  description,
  unit: says.unit ?? connections,
  group: says.basic === true ? "basic" : "advanced",
  isOtel: says.isOtel ?? false,
  hasOtel: says.hasOtel ?? false
})

const gauge = (
  name: string,
  description: string,
  points: ReadonlyArray<Point<number>>,
  says: Says = {}
): MetricDefinition => ({ ...described(name, description, says), kind: "gauge", points })

const counter = (
  name: string,
  description: string,
  points: ReadonlyArray<Point<number>>,
  says: Says = {}
): MetricDefinition => ({ ...described(name, description, says), kind: "counter", points })

const distributionOf = {
  acquire: acquireTimesOf,
  use: ({ useTimes }: Ledger<unknown>) => useTimes.read(),
  create: ({ connectTimes }: Ledger<unknown>) => connectTimes.read()
}

const histogram = (
  name: string,
  description: string,
  times: keyof typeof distributionOf,
  says: Says = {}
): MetricDefinition => ({
  ...described(name, description, { unit: seconds, ...says }),
  kind: "histogram",
  times,
  points: [{ labels: {}, read: (runtime) => distributionOf[times](ledgerOf(runtime)) }]
})

const recordOf = (record: object, name: string): number => (record as Readonly<Record<string, number>>)[name] ?? 0

const oldestLease = ({ leases }: Ledger<unknown>, now: number): number => {
  let oldest = 0
  for (const { since } of leases) oldest = Math.max(oldest, now - since)
  return oldest
}

const states = ["starting", "ready", "unavailable", "paused", "draining", "closed"]

/** The errors of an acquire, by the refusals they stand for. */
const refusalsOf: Readonly<Record<string, ReadonlyArray<string>>> = {
  AcquireTimeout: ["timeout"],
  PoolOverloaded: ["overloaded", "shed"],
  ServiceUnavailable: ["unavailable", "paused"],
  PoolClosed: ["closed"],
  PoolDeadlock: ["deadlock"]
}

const batchWaiters = ({ waiters }: Ledger<unknown>): number =>
  waiters.sharing.batch.length + waiters.exclusive.batch.length

/** `closeReasons` and `failureReasons` are the values that these labels have. */
export const catalog = (
  closeReasons: ReadonlyArray<string>,
  failureReasons: ReadonlyArray<string>
): ReadonlyArray<MetricDefinition> => [
  gauge(
    "db_pool_connections_active",
    "Connections that are lent",
    one(({ inUse }) => inUse),
    { basic: true, hasOtel: true }
  ),
  gauge(
    "db_pool_connections_idle",
    "Connections that are open and lent to nobody",
    one(({ idle }) => idle.length),
    {
      basic: true,
      hasOtel: true
    }
  ),
  gauge(
    "db_pool_connections_waiting",
    "Borrowers that wait for a connection",
    one(({ waiting }) => waiting),
    {
      basic: true,
      hasOtel: true,
      unit: requests
    }
  ),
  gauge(
    "db_pool_connections_max",
    "The most connections there may be",
    one(({ maxConnections }) => maxConnections),
    {
      basic: true,
      hasOtel: true
    }
  ),
  gauge(
    "db_pool_connections_min",
    "Connections that are kept open",
    one(({ minConnections }) => minConnections),
    {
      basic: true,
      hasOtel: true
    }
  ),
  counter(
    "db_connection_retries_total",
    "Attempts to connect that were made after a failed one, by why that failed",
    by("reason", failureReasons, (_, reason, { failures }) => recordOf(failures.retried, reason)),
    { basic: true, unit: "{attempt}" }
  ),
  counter(
    "db_pool_acquire_timeouts_total",
    "Acquires that ran out of time",
    one(({ counters }) => counters.timedOut),
    {
      basic: true,
      hasOtel: true,
      unit: "{timeout}"
    }
  ),
  histogram("db_pool_acquire_seconds", "How long acquires waited that got a connection", "acquire", {
    basic: true,
    hasOtel: true
  }),

  histogram("db_pool_use_seconds", "How long connections were lent", "use", { hasOtel: true }),
  histogram("db_pool_create_seconds", "How long connects took that succeeded", "create", { hasOtel: true }),
  gauge(
    "db_pool_connections",
    "Connections in any state",
    one(({ total }) => total)
  ),
  gauge(
    "db_pool_connections_creating",
    "Connections that are being opened",
    one(({ connecting }) => connecting),
    {
      hasOtel: true
    }
  ),
  gauge(
    "db_pool_connections_checking",
    "Connections that are being checked",
    one(({ checking }) => checking),
    {
      hasOtel: true
    }
  ),
  gauge(
    "db_pool_connections_resetting",
    "Connections that are being made as new",
    one(({ resetting }) => resetting),
    {
      hasOtel: true
    }
  ),
  gauge(
    "db_pool_connections_closing",
    "Connections that are being closed",
    one(({ closing }) => closing),
    {
      hasOtel: true
    }
  ),
  gauge(
    "db_pool_connections_limit",
    "The most connections there may be now",
    one(({ limit }) => limit)
  ),
  gauge(
    "db_pool_connections_target",
    "Connections that the sizing policy keeps open",
    one(({ minConnections, sizing }) => Math.max(minConnections, sizing.target))
  ),
  gauge(
    "db_pool_leases",
    "Leases that run: more than connections where these are shared",
    one(({ leases }) => leases.length),
    {
      unit: "{lease}"
    }
  ),
  gauge(
    "db_pool_waiting",
    "Borrowers that wait, by priority",
    by("priority", ["interactive", "batch"], (ledger, priority) =>
      priority === "batch" ? batchWaiters(ledger) : ledger.waiting - batchWaiters(ledger)
    ),
    { unit: requests }
  ),
  gauge(
    "db_pool_state",
    "1 for the state that the pool is in",
    by("state", states, (ledger, state) => (ledger.state === state ? 1 : 0)),
    { unit: "1" }
  ),
  gauge(
    "db_pool_overloaded",
    "1 while more comes than is served",
    one(({ shedding }) => (shedding.isOverloaded ? 1 : 0)),
    { unit: "1" }
  ),
  gauge(
    "db_pool_oldest_wait_seconds",
    "How long the first in line has waited",
    one((ledger, runtime) => oldestWait(ledger, runtime.now()) / 1000),
    { unit: seconds }
  ),
  gauge(
    "db_pool_oldest_borrow_seconds",
    "How long the oldest lease has run",
    one((ledger, runtime) => oldestLease(ledger, runtime.now()) / 1000),
    { unit: seconds }
  ),
  gauge(
    "db_pool_leaks_suspected",
    "Leases that have run past leakThreshold and are still out",
    one(({ leaks }) => leaks.suspected.size),
    { unit: "{lease}" }
  ),
  counter(
    "db_pool_leaks_total",
    "Leases that have run past leakThreshold",
    one(({ leaks }) => leaks.total),
    {
      unit: "{lease}"
    }
  ),
  counter(
    "db_pool_acquires_total",
    "Acquires that got a connection: one that was idle, or after a wait",
    by("path", ["idle", "waited"], ({ counters, waitTimes }, path) =>
      path === "waited" ? waitTimes.count : counters.acquired - waitTimes.count
    ),
    { unit: requests }
  ),
  counter(
    "db_pool_acquire_errors_total",
    "Acquires that failed, by error",
    by("error", Object.keys(refusalsOf), ({ failedFor }, error) =>
      (refusalsOf[error] ?? []).reduce((sum, refusal) => sum + recordOf(failedFor, refusal), 0)
    ),
    { unit: requests }
  ),
  counter(
    "db_pool_acquires_rejected_total",
    "Acquires that were refused without having run out of time, by why",
    by("reason", ["overloaded", "shed", "unavailable", "paused", "closed", "deadlock"], ({ failedFor }, reason) =>
      recordOf(failedFor, reason)
    ),
    { unit: requests }
  ),
  counter(
    "db_pool_acquires_cancelled_total",
    "Acquires that were interrupted while they waited",
    one(({ counters }) => counters.cancelled),
    {
      unit: requests
    }
  ),
  counter(
    "db_pool_connections_created_total",
    "Connections that have opened",
    one(({ counters }) => counters.created)
  ),
  counter(
    "db_pool_connections_closed_total",
    "Connections that have closed, by why",
    by("reason", closeReasons, ({ closedFor }, reason) => recordOf(closedFor, reason))
  ),
  counter(
    "db_pool_create_failures_total",
    "Attempts to connect that failed, by why",
    by("reason", failureReasons, (_, reason, { failures }) => recordOf(failures.failed, reason)),
    { unit: "{attempt}" }
  ),
  counter(
    "db_pool_validation_failures_total",
    "Connections that failed a check or a reset",
    by("stage", ["check", "reset"], ({ closedFor }, stage) =>
      stage === "check" ? closedFor.checkFailed : closedFor.resetFailed
    )
  ),

  gauge(
    "db.client.connection.count",
    "The number of connections that are currently in state described by the state attribute.",
    by("db.client.connection.state", ["idle", "used", "creating", "validating", "closing"], (ledger, state) =>
      connectionsIn(ledger, state)
    ),
    { basic: true, isOtel: true }
  ),
  gauge(
    "db.client.connection.max",
    "The maximum number of open connections allowed.",
    one(({ maxConnections }) => maxConnections),
    { basic: true, isOtel: true }
  ),
  gauge(
    "db.client.connection.idle.max",
    "The maximum number of idle open connections allowed.",
    one(({ maxConnections }) => maxConnections),
    { isOtel: true }
  ),
  gauge(
    "db.client.connection.idle.min",
    "The minimum number of idle open connections allowed.",
    one(({ minConnections }) => minConnections),
    { isOtel: true }
  ),
  gauge(
    "db.client.connection.pending_requests",
    "The number of current pending requests for an open connection.",
    one(({ waiting }) => waiting),
    { basic: true, isOtel: true, unit: requests }
  ),
  counter(
    "db.client.connection.timeouts",
    "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
    one(({ counters }) => counters.timedOut),
    { basic: true, isOtel: true, unit: "{timeout}" }
  ),
  histogram(
    "db.client.connection.wait_time",
    "The time it took to obtain an open connection from the pool.",
    "acquire",
    { basic: true, isOtel: true }
  ),
  histogram(
    "db.client.connection.use_time",
    "The time between borrowing a connection and returning it to the pool.",
    "use",
    { isOtel: true }
  ),
  histogram("db.client.connection.create_time", "The time it took to create a new connection.", "create", {
    isOtel: true
  })
]

/** `used` and `idle` are OpenTelemetry's own; where neither fits, it allows others. */
const connectionsIn = (
  { checking, closing, connecting, idle, inUse, resetting }: Ledger<unknown>,
  state: string
): number => {
  switch (state) {
    case "idle":
      return idle.length
    case "used":
      return inUse
    case "creating":
      return connecting
    case "validating":
      return checking + resetting
    default:
      return closing
  }
}
