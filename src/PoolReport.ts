/**
 * Everything there is to say about a pool at one moment: its status, who has what, who waits, how long things take, what is wrong
 * and what to do about it. Reading it never acquires, so it answers when the pool is stuck.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ConnectionPool } from "./ConnectionPool.ts"
import { closeReasons } from "./engine/Connection.ts"
import * as Durations from "./engine/Durations.ts"
import { details } from "./engine/FlightRecorder.ts"
import { ConnectFailure, Diagnosis, FailureReason } from "./PoolError.ts"
import { ConnectionStatus, HealthStatus, PoolStatus } from "./PoolStatus.ts"
import { runtimeOf } from "./runtime/PoolHandle.ts"
import { distributionsOf, reportOf } from "./runtime/PoolReporting.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
/** Milliseconds. */
const Millis = Schema.Finite

/**
 * How long something took, in milliseconds, since the pool was made. All are 0 before the first. They are read from a histogram with
 * six bounds in each power of ten: a percentile lies between the same two bounds as the exact one.
 *
 * - `count`: how many there were. `mean`: their mean. `p50`, `p95`, `p99`: 50, 95 and 99 of 100 took no longer.
 *
 * @category models
 * @since 0.1.0
 */
export const Times = Schema.Struct({ count: Count, mean: Millis, p50: Millis, p95: Millis, p99: Millis })

/**
 * How long something took, in a few numbers.
 *
 * @category models
 * @since 0.1.0
 */
export type Times = typeof Times.Type

/**
 * Somebody who waits. What is not known is absent.
 *
 * - `acquire`: the number of the acquire. `position`: its place in line, from 1. `waitedMillis`, `timeLeftMillis`: how long
 *   it has waited, and has left until its deadline, in milliseconds.
 * - `waiter`: its fiber and operation, in words. `operation`: the operation alone. `place`: where in the sources, if the
 *   operation is an `Effect.fn` or a span.
 * - `holds`: how many connections of this pool it has already. `isBatch`: it lets others go first.
 *
 * @category models
 * @since 0.1.0
 */
export const WaiterStatus = Schema.Struct({
  acquire: Count,
  position: Count,
  waiter: Schema.String,
  operation: Schema.optionalKey(Schema.String),
  place: Schema.optionalKey(Schema.String),
  waitedMillis: Millis,
  timeLeftMillis: Millis,
  isBatch: Schema.Boolean,
  holds: Count
})

/**
 * Somebody who waits for a connection.
 *
 * @category models
 * @since 0.1.0
 */
export type WaiterStatus = typeof WaiterStatus.Type

/**
 * An operation that borrows.
 *
 * - `operation`: its name. `leases`: how many it has now. `oldestMillis`: the age of the oldest of them, in milliseconds.
 * - `share`: its part (0 to 1) of all the time for which connections were lent in the last minute, from a look at the leases
 *   each second.
 *
 * @category models
 * @since 0.1.0
 */
export const OperationStatus = Schema.Struct({
  operation: Schema.String,
  leases: Count,
  oldestMillis: Millis,
  share: Schema.Finite
})

/**
 * An operation that borrows, and how much.
 *
 * @category models
 * @since 0.1.0
 */
export type OperationStatus = typeof OperationStatus.Type

/**
 * One value of the configuration: which field (`field`), as text (`value`), and where it comes from (`origin`): the
 * defaults, a preset, the program, the environment, or a resize while the pool ran.
 *
 * @category models
 * @since 0.1.0
 */
export const ConfigEntry = Schema.Struct({
  field: Schema.String,
  value: Schema.String,
  origin: Schema.Literals(["default", "preset", "program", "environment", "resized"])
})

/**
 * One value of the configuration, and where it comes from.
 *
 * @category models
 * @since 0.1.0
 */
export type ConfigEntry = typeof ConfigEntry.Type

const counts = <const Names extends ReadonlyArray<string>>(names: Names) => Schema.Record(Schema.Literals(names), Count)

/**
 * Everything there is to say about a pool. The fields of `PoolStatus`, and:
 *
 * - What dashboards ask every pool for, under the names they use: `total_connections`, `available_connections` (idle),
 *   `in_use_connections`, `wait_queue_length`, `avg_wait_time_ms` (milliseconds: the mean of all acquires since the pool was made), `connections_created_total`,
 *   `connections_closed_total`.
 * - `key`: the pool's name among those of its process; another one than `name` where two have the same.
 * - `at`, `since`: wall time in milliseconds, now and when the pool was made.
 * - `acquireTimes` (waits of 0 included), `useTimes`, `createTimes`; `oldestLeaseMillis`: the age of the oldest lease.
 * - `closedFor`, `refusedFor`, `failedFor`, `retriedFor`: the counters by reason.
 * - `connections`, `waiters`, `operations`: the first of them; `omitted` says how many more there are.
 * - `failures`: the different reasons for which connects fail now, and `failingForMillis`, for how long they have; empty and 0 while
 *   they do not.
 * - `health`: whether it does its work. `diagnosis`: what is the matter with it, and what to do.
 * - `acquireTimeoutMillis`, `leakThresholdMillis`: as they are configured, in milliseconds; `null` where leaks are not looked for.
 * - `config`: every value of the configuration, and where it comes from.
 * - `capturesStacksUntil`: until when stacks are captured, in wall time; absent while none is.
 *
 * @category models
 * @since 0.1.0
 */
export class PoolReport extends Schema.Class<PoolReport>("effect-pool/PoolReport")({
  ...PoolStatus.fields,
  total_connections: Count,
  available_connections: Count,
  in_use_connections: Count,
  wait_queue_length: Count,
  avg_wait_time_ms: Millis,
  connections_created_total: Count,
  connections_closed_total: Count,
  key: Schema.String,
  at: Schema.Finite,
  since: Schema.Finite,
  health: HealthStatus,
  diagnosis: Diagnosis,
  acquireTimeoutMillis: Millis,
  leakThresholdMillis: Schema.NullOr(Millis),
  oldestLeaseMillis: Millis,
  acquireTimes: Times,
  useTimes: Times,
  createTimes: Times,
  closedFor: counts(closeReasons),
  refusedFor: counts(details.AcquireFailed),
  failedFor: Schema.Record(FailureReason, Count),
  retriedFor: Schema.Record(FailureReason, Count),
  connections: Schema.Array(ConnectionStatus),
  waiters: Schema.Array(WaiterStatus),
  operations: Schema.Array(OperationStatus),
  omitted: Schema.Struct({ connections: Count, waiters: Count, operations: Count }),
  failures: Schema.Array(ConnectFailure),
  failingForMillis: Millis,
  config: Schema.Array(ConfigEntry),
  /** Until when stacks are captured, in wall time; absent while none is. */
  capturesStacksUntil: Schema.optionalKey(Schema.Finite)
}) {}

/**
 * The report of a pool. Never acquires; takes a look at every connection and lease, so it is for people and dashboards, once a second or
 * so. `key` is the name by which a `PoolRegistry` knows the pool, where that is another one.
 *
 * **Example** (What a pool has to say)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, PoolReport } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "orders", connect: Effect.succeed("connection") }))
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   const { acquiredAtOnce, diagnosis, in_use_connections } = yield* PoolReport.of(pool)
 *   return [acquiredAtOnce, diagnosis.kind, in_use_connections] // => [1, "healthy", 0]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const of = <A>(pool: ConnectionPool<A>, key: string = pool.name): Effect.Effect<PoolReport> =>
  Effect.sync(() => reportOf(runtimeOf(pool), key))

/**
 * How often something took how long: `counts[i]` of them within `bounds[i]` milliseconds and beyond the bound before; the last
 * one counts those beyond all bounds. `sum` and `max`, the longest, are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Distribution {
  readonly bounds: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
  readonly sum: number
  readonly max: number
}

/**
 * How long acquires waited (those that did not wait included), leases lasted and connects took, since the pool was made.
 *
 * `acquire`, `use` and `create`; all three are in milliseconds.
 *
 * **Example** (How many acquires and leases there were)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, PoolReport } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   const { acquire, use } = yield* PoolReport.distributions(pool)
 *   return [PoolReport.countOf(acquire), PoolReport.countOf(use)] // => [1, 1]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const distributions = <A>(
  pool: ConnectionPool<A>
): Effect.Effect<{ readonly acquire: Distribution; readonly use: Distribution; readonly create: Distribution }> =>
  Effect.sync(() => distributionsOf(runtimeOf(pool)))

/**
 * How many there were; see {@link distributions} for an example.
 *
 * @category distributions
 * @since 0.1.0
 */
export const countOf: (distribution: Distribution) => number = Durations.countOf

/**
 * The time in milliseconds within which this share (0 to 1) of them ended; 0 if there were none.
 *
 * **Example** (The middle of three)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolReport } from "effect-pool"
 *
 * const three = { bounds: [10, 20, 30], counts: [1, 1, 1, 0], sum: 45, max: 25 }
 * const program = Effect.sync(() => PoolReport.percentile(three, 0.5)) // => 15
 * ```
 *
 * @category distributions
 * @since 0.1.0
 */
export const percentile: (distribution: Distribution, share: number) => number = Durations.percentile

/**
 * What was counted between two looks at the same pool, the later one first.
 *
 * **Example** (What has come since the last look)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolReport } from "effect-pool"
 *
 * const before = { bounds: [10, 20], counts: [1, 1, 0], sum: 20, max: 15 }
 * const now = { bounds: [10, 20], counts: [1, 3, 0], sum: 50, max: 15 }
 * const program = Effect.sync(() => PoolReport.countOf(PoolReport.since(now, before))) // => 2
 * ```
 *
 * @category distributions
 * @since 0.1.0
 */
export const since: (now: Distribution, before: Distribution) => Distribution = Durations.since
