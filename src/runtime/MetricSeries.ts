/** The series of the pools that share one label: registered with the first of them, removed with the last. */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import { countOf, countWithin, type Distribution } from "../engine/Durations.ts"
import type { MetricDefinition } from "./MetricCatalog.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

type Runtime = PoolRuntime<unknown>

/** Upper bounds in seconds, rising. */
export interface Buckets {
  readonly acquire: ReadonlyArray<number>
  readonly use: ReadonlyArray<number>
  readonly create: ReadonlyArray<number>
}

const nothing: Distribution = { bounds: [], counts: [], sum: 0, max: 0 }

export class MetricSeries {
  private readonly runtimes = new Set<Runtime>()
  private registrations: ReadonlyArray<Metric.Registration> = []
  /** What those had counted that are gone while others stay: a counter must not fall. */
  private readonly left = new Map<string, number>()
  private readonly leftTimes = new Map<string, ReadonlyArray<Distribution>>()
  private readonly definitions: ReadonlyArray<MetricDefinition>
  private readonly label: string
  private readonly buckets: Buckets
  private readonly context: Context.Context<never>

  constructor(
    label: string,
    definitions: ReadonlyArray<MetricDefinition>,
    buckets: Buckets,
    context: Context.Context<never>
  ) {
    this.label = label
    this.definitions = definitions
    this.buckets = buckets
    this.context = context
  }

  get isEmpty(): boolean {
    return this.runtimes.size === 0
  }

  add(runtime: Runtime): void {
    this.runtimes.add(runtime)
    // In milliseconds from here on. Bounds that the pool has not counted by until now are exact from now on.
    const { acquire, create, use } = this.buckets
    const { connectTimes, useTimes, waitTimes } = runtime.engine.ledger
    waitTimes.refine(acquire.map(inMillis))
    useTimes.refine(use.map(inMillis))
    connectTimes.refine(create.map(inMillis))
    if (this.runtimes.size === 1) this.registrations = this.definitions.flatMap((one) => this.register(one))
  }

  remove(runtime: Runtime): void {
    if (!this.runtimes.delete(runtime)) return
    if (this.runtimes.size === 0) this.end()
    else this.keepCounts(runtime)
  }

  end(): void {
    for (const registration of this.registrations) registration.remove()
    this.registrations = []
    this.runtimes.clear()
  }

  private keepCounts(runtime: Runtime): void {
    for (const { kind, name, points } of this.definitions) {
      if (kind === "histogram") {
        this.leftTimes.set(name, [...(this.leftTimes.get(name) ?? []), points[0]!.read(runtime)].slice(-1000))
      } else if (kind === "counter") {
        for (const { labels, read } of points) {
          const key = keyOf(name, labels)
          this.left.set(key, (this.left.get(key) ?? 0) + read(runtime))
        }
      }
    }
  }

  private register(definition: MetricDefinition): ReadonlyArray<Metric.Registration> {
    const { description, isOtel, kind, name, unit } = definition
    const label = isOtel ? "db.client.connection.pool.name" : "pool"
    const options = (labels: Readonly<Record<string, string>>) => ({
      description,
      // Without a unit, Effect's exporter says "1", and a collector makes ratios of connections.
      attributes: { [label]: this.label, ...labels, unit }
    })
    const ignore = { update: () => {}, modify: () => {} }
    if (kind === "histogram") {
      const boundaries = this.buckets[definition.times]
      const metric = Metric.histogram(name, { ...options({}), boundaries })
      const get = () => this.histogram(name, definition.points[0]!.read, boundaries)
      return [Metric.registerUnsafe(metric, this.context, { get, ...ignore })]
    }
    return definition.points.map(({ labels, read }) => {
      const key = keyOf(name, labels)
      if (kind === "gauge") {
        const get = () => ({ value: this.sum(read) })
        return Metric.registerUnsafe(Metric.gauge(name, options(labels)), this.context, { get, ...ignore })
      }
      const metric = Metric.counter(name, { ...options(labels), incremental: true })
      const get = () => ({ count: this.sum(read) + (this.left.get(key) ?? 0), incremental: true })
      return Metric.registerUnsafe(metric, this.context, { get, ...ignore })
    })
  }

  private sum(read: (runtime: Runtime) => number): number {
    let sum = 0
    for (const runtime of this.runtimes) sum += read(runtime)
    return sum
  }

  private histogram(
    name: string,
    read: (runtime: Runtime) => Distribution,
    boundaries: ReadonlyArray<number>
  ): Metric.HistogramState {
    const all = [...Array.from(this.runtimes, read), ...(this.leftTimes.get(name) ?? [])]
    const within = (seconds: number): number =>
      all.reduce((sum, one) => sum + Math.round(countWithin(one, inMillis(seconds))), 0)
    return {
      buckets: boundaries.map((bound): [number, number] => [bound, within(bound)]),
      count: all.reduce((sum, one) => sum + countOf(one), 0),
      // The fastest is not kept: the lower bound of the first bucket with anything in it.
      min: Math.min(...all.map(leastOf)) / 1000,
      max: Math.max(0, ...all.map(({ max }) => max)) / 1000,
      sum: all.reduce((sum, one) => sum + one.sum, 0) / 1000
    }
  }
}

const inMillis = (seconds: number): number => Number((seconds * 1000).toPrecision(12))

const keyOf = (name: string, labels: Readonly<Record<string, string>>): string => `${name} ${JSON.stringify(labels)}`

const leastOf = ({ bounds, counts }: Distribution = nothing): number => {
  const place = counts.findIndex((count) => count > 0)
  return place <= 0 ? 0 : bounds[place - 1]!
}
