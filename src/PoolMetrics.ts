/**
 * The numbers of all pools as Effect `Metric`s. They are read when somebody scrapes: a pool counts in plain numbers, and its borrowers
 * pay for no metric.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { closeReasons } from "./engine/Connection.ts"
import { type ConfigProblem, FailureReason, PoolConfigError } from "./PoolError.ts"
import { type Entry, PoolRegistry } from "./PoolRegistry.ts"
import { catalog, type MetricDefinition } from "./runtime/MetricCatalog.ts"
import { type Buckets as SeriesBuckets, MetricSeries } from "./runtime/MetricSeries.ts"
import { runtimeOf } from "./runtime/PoolHandle.ts"

/**
 * The upper bounds of the histograms, in seconds, rising: of acquires, of leases (`use`), and of connects (`create`).
 *
 * @category models
 * @since 0.1.0
 */
export type Buckets = SeriesBuckets

/**
 * What is measured, and under which names.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * - `"db_pool"` (default): `db_pool_connections_active` and the like, as Prometheus writes names.
   * - `"otel"`: OpenTelemetry's `db.client.connection.*` (semantic conventions 1.44, in development), and ours for what it does not
   *   know.
   * - `"both"`: for a change from one to the other.
   */
  readonly naming?: "db_pool" | "otel" | "both" | undefined
  /** `"basic"`: what every dashboard asks for, some 25 series a pool. `"all"` (default): some 140. */
  readonly groups?: "basic" | "all" | undefined
  /** Upper bounds of the histograms, in seconds, rising. Default: {@link buckets}, with the timeouts of the pools among them. */
  readonly buckets?: Partial<Buckets> | undefined
  /** So many pools have labels of their own; the others are summed up under `other`. Default: 100. */
  readonly maxPools?: number | undefined
}

/**
 * The buckets, in seconds: from the grain of the clock to past the timeouts.
 *
 * @category constants
 * @since 0.1.0
 */
export const buckets: Buckets = {
  acquire: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
  use: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300],
  create: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30]
}

const definitions: ReadonlyArray<MetricDefinition> = catalog(closeReasons, FailureReason.literals)

const chosen = ({ groups = "all", naming = "db_pool" }: Options): ReadonlyArray<MetricDefinition> =>
  definitions.filter(({ group, hasOtel, isOtel }) => {
    if (groups === "basic" && group !== "basic") return false
    if (naming === "both") return true
    return naming === "otel" ? isOtel || !hasOtel : !isOtel
  })

/** What is asked of the buckets, before anything is registered with them. */
const problemsOf = (options: Options): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  for (const [field, bounds] of Object.entries(options.buckets ?? {})) {
    const isRising = bounds.every((bound, place) => bound > (bounds[place - 1] ?? 0) && bound < Infinity)
    if (!isRising || bounds.length === 0 || bounds.length > 100 || !(field in buckets)) {
      const value = `[${bounds.slice(0, 20).join(", ")}]`
      problems.push({ field: `buckets.${field}`, value, expected: "1 to 100 rising numbers of seconds above 0" })
    }
  }
  const { maxPools = 1 } = options
  if (!Number.isSafeInteger(maxPools) || maxPools < 1) {
    problems.push({ field: "maxPools", value: String(maxPools), expected: "a whole number from 1" })
  }
  return problems
}

/** Pools beyond the limit are told together. */
const others = "other"

/** A label is no place for a novel. */
const longestLabel = 120

class Metrics {
  private readonly series = new Map<string, MetricSeries>()
  private readonly labels = new Map<Entry, string>()
  private readonly options: Options
  private readonly context: Context.Context<never>

  constructor(options: Options, context: Context.Context<never>) {
    this.options = options
    this.context = context
  }

  readonly added = (entry: Entry): void => {
    const wanted = entry.pool.name.slice(0, longestLabel)
    const isKnown = this.series.has(wanted)
    const label = isKnown || this.series.size < (this.options.maxPools ?? 100) ? wanted : others
    const series = this.series.get(label) ?? this.make(label, entry)
    this.labels.set(entry, label)
    series.add(runtimeOf(entry.pool))
  }

  readonly removed = (entry: Entry): void => {
    const label = this.labels.get(entry) ?? others
    const series = this.series.get(label)
    this.labels.delete(entry)
    series?.remove(runtimeOf(entry.pool))
    if (series?.isEmpty === true) this.series.delete(label)
  }

  end(): void {
    for (const series of this.series.values()) series.end()
    this.series.clear()
  }

  private make(label: string, { pool }: Entry): MetricSeries {
    const { acquireTimeout, connectTimeout } = runtimeOf(pool).engine.ledger.options
    const given = this.options.buckets ?? {}
    const series = new MetricSeries(
      label,
      chosen(this.options),
      {
        // So that "longer than the timeout" is a number and not an estimate.
        acquire: given.acquire ?? including(buckets.acquire, acquireTimeout / 1000),
        use: given.use ?? buckets.use,
        create: given.create ?? including(buckets.create, connectTimeout / 1000)
      },
      this.context
    )
    this.series.set(label, series)
    return series
  }
}

const including = (bounds: ReadonlyArray<number>, bound: number): ReadonlyArray<number> =>
  bounds.includes(bound) ? bounds : [...bounds, bound].sort((one, other) => one - other)

/**
 * Registers the metrics of every pool of the surrounding `PoolRegistry`, those to come included, and removes each pool's when it
 * has ended. Whatever exports Effect's metrics exports them: `PrometheusMetrics`, `Otlp`.
 *
 * Fails with one `PoolConfigError` that names every wrong option.
 *
 * **Example** (What Prometheus gets)
 *
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { PrometheusMetrics } from "effect/observability"
 * import { ConnectionPool, Connector, PoolMetrics } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   yield* ConnectionPool.make(Connector.make({ name: "orders", connect: Effect.succeed("connection") }))
 *   const text = yield* PrometheusMetrics.format()
 *   return text.includes('db_pool_connections_idle{pool="orders"}') // => true
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(PoolMetrics.layer()),
 *   Effect.provideService(Metric.MetricRegistry, new Map())
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never, PoolConfigError> =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const problems = problemsOf(options)
      if (problems.length > 0) return yield* Effect.fail(new PoolConfigError({ problems }))
      const registry = yield* PoolRegistry
      const context = yield* Effect.context()
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const metrics = new Metrics(options, context)
          return { metrics, unsubscribe: registry.subscribe(metrics) }
        }),
        ({ metrics, unsubscribe }) =>
          Effect.sync(() => {
            unsubscribe()
            metrics.end()
          })
      )
    })
  )

/** OpenTelemetry's names have neither unit nor kind in them; Prometheus's have both. */
const prometheusNames: ReadonlyMap<string, string> = new Map(
  definitions
    .filter(({ isOtel }) => isOtel)
    .map(({ kind, name, unit }) => {
      const plain = name.replaceAll(".", "_")
      const withUnit = unit === "s" ? `${plain}_seconds` : plain
      return [name, kind === "counter" ? `${withUnit}_total` : withUnit]
    })
)

/**
 * The name of a metric for Prometheus, as OpenTelemetry's collector would write it: for the `metricNameMapper` of Effect's
 * `PrometheusMetrics`, where OpenTelemetry's names are on. Other names stay what they are.
 *
 * **Example** (A histogram in seconds)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolMetrics } from "effect-pool"
 *
 * const program = Effect.sync(() => PoolMetrics.prometheusName("db.client.connection.wait_time"))
 * // => "db_client_connection_wait_time_seconds"
 * ```
 *
 * @category names
 * @since 0.1.0
 */
export const prometheusName = (name: string): string => prometheusNames.get(name) ?? name
