/**
 * What the console is sent: the last quarter of an hour when it connects (`History`), and then one `Frame` a second.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { PoolEvent } from "../PoolEvent.ts"
import { PoolReport } from "../PoolReport.ts"

/**
 * What one second is described by, in this order. `at` is its time; up to `leaksNow` they are levels at its end (`preparing`: checking
 * and resetting); from `acquired` to `closed` they count within it; the rest are percentiles in milliseconds, 0 where nothing ended.
 *
 * @category models
 * @since 0.1.0
 */
export const columns = [
  "at",
  "inUse",
  "idle",
  "connecting",
  "preparing",
  "closing",
  "waiting",
  "limit",
  "maxConnections",
  "minConnections",
  "oldestWaitMillis",
  "leaksNow",
  "acquired",
  "acquiredAtOnce",
  "timedOut",
  "refused",
  "connectFailures",
  "created",
  "closed",
  "waitP50",
  "waitP95",
  "waitP99",
  "useP50",
  "useP95",
  "useP99",
  "createP95"
] as const

/**
 * The name of one number of a {@link Sample}.
 *
 * @category models
 * @since 0.1.0
 */
export type Column = (typeof columns)[number]

/**
 * One second: its numbers (`row`) in the order of `columns`, and how many acquires waited how long (`waits`), by the bounds
 * that {@link History} gives.
 *
 * @category models
 * @since 0.1.0
 */
export const Sample = Schema.Struct({ row: Schema.Array(Schema.Finite), waits: Schema.Array(Schema.Finite) })

/**
 * One second in numbers.
 *
 * @category models
 * @since 0.1.0
 */
export type Sample = typeof Sample.Type

/**
 * A stretch of a connection's life, for its lane. Times are wall time in milliseconds; without an `end` it goes on.
 *
 * - `lease`: one loan, with its number (`lease`, unique within the pool) and the operation that had it (`operation`), where that was
 *   seen; `isLeakSuspected` where it is held past `leakThreshold`. Other bars have none of these.
 * - `busy`: a stretch with more short loans than a lane can show: `share` of it (0 to 1) the connection was lent.
 * - `connecting`, `checking`, `resetting`, `closing`: work of the pool's own.
 *
 * A bar that was sent before is sent again when it has changed: the same `kind`, `connection` and `start` replace it.
 *
 * @category models
 * @since 0.1.0
 */
export const LaneBar = Schema.Struct({
  kind: Schema.Literals(["lease", "busy", "connecting", "checking", "resetting", "closing"]),
  connection: Schema.Int,
  start: Schema.Finite,
  end: Schema.optionalKey(Schema.Finite),
  lease: Schema.optionalKey(Schema.Int),
  operation: Schema.optionalKey(Schema.String),
  share: Schema.optionalKey(Schema.Finite),
  isLeakSuspected: Schema.optionalKey(Schema.Boolean)
})

/**
 * A stretch of a connection's life.
 *
 * @category models
 * @since 0.1.0
 */
export type LaneBar = typeof LaneBar.Type

/**
 * The last 15 minutes, one sample a second, oldest first; the last minute of the lanes; the last facts about the pool and its
 * connections. `waitBounds` are the upper bounds, in milliseconds, of the numbers in `Sample.waits`, which has one more for what
 * was longer.
 *
 * - `columns`: the names of the numbers in each sample. `samples`: the seconds. `bars`: the lanes. `events`: the facts.
 *
 * @category models
 * @since 0.1.0
 */
export const History = Schema.Struct({
  columns: Schema.Array(Schema.String),
  waitBounds: Schema.Array(Schema.Finite),
  samples: Schema.Array(Sample),
  bars: Schema.Array(LaneBar),
  events: Schema.Array(PoolEvent)
})

/**
 * What the console is sent when it connects.
 *
 * @category models
 * @since 0.1.0
 */
export type History = typeof History.Type

/**
 * One second: its sample, the pool as it is now, the lanes' bars that have changed, and what has happened, except for leases
 * that were given and returned. Of many facts the last 100, and `eventsOmitted` says how many there were besides.
 *
 * - `sample`: the second in numbers. `report`: the pool as it is now. `bars`: those that have changed. `events`: what has
 *   happened.
 *
 * @category models
 * @since 0.1.0
 */
export const Frame = Schema.Struct({
  sample: Sample,
  report: PoolReport,
  bars: Schema.Array(LaneBar),
  events: Schema.Array(PoolEvent),
  eventsOmitted: Schema.Int
})

/**
 * What the console is sent once a second.
 *
 * @category models
 * @since 0.1.0
 */
export type Frame = typeof Frame.Type
