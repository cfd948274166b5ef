import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import { OtlpMetrics, OtlpSerialization, PrometheusMetrics } from "effect/observability"
import { HttpClient, HttpClientResponse } from "effect/http"
import { ConnectionPool, PoolMetrics, PoolRegistry } from "../src/index.ts"
import { FakeServer, turns } from "./support/FakeServer.ts"

const alone = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  program.pipe(
    Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

const withMetrics =
  (options?: PoolMetrics.Options) =>
  <A, E, R>(program: Effect.Effect<A, E, R>) =>
    alone(Effect.provide(program, PoolMetrics.layer(options)))

const config = { name: "orders", minConnections: 1, maxConnections: 2, drainTimeout: 0 } as const

const text = PrometheusMetrics.format({ metricNameMapper: PoolMetrics.prometheusName })

/** The value of a series in Prometheus's text. */
const valueOf = (output: string, series: string): number | undefined => {
  const line = output.split("\n").find((one) => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

const namesOf = (output: string): ReadonlyArray<string> =>
  output.split("\n").flatMap((line) => (line.startsWith("# TYPE ") ? [line.split(" ")[2]!] : []))

describe("the metrics of a pool", () => {
  it.effect("have the names that dashboards are made for, and the numbers of this moment", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      yield* turns()
      const holders = yield* Effect.forkChild(
        Effect.all(
          [1, 2, 3].map(() => ConnectionPool.use(pool, () => Effect.sleep("3 seconds"))),
          { concurrency: 3 }
        )
      )
      yield* TestClock.adjust("2 seconds")
      const during = yield* text
      const values = (output: string) =>
        ["active", "idle", "waiting", "max", "min"].map((name) =>
          valueOf(output, `db_pool_connections_${name}{pool="orders"}`)
        )
      assert.deepStrictEqual(values(during), [2, 0, 1, 2, 1])
      assert.strictEqual(valueOf(during, 'db_pool_oldest_wait_seconds{pool="orders"}'), 2)
      assert.strictEqual(valueOf(during, 'db_pool_oldest_borrow_seconds{pool="orders"}'), 2)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(holders)
      const after = yield* text
      assert.deepStrictEqual(values(after), [0, 2, 0, 2, 1])
      assert.strictEqual(valueOf(after, 'db_pool_connections_created_total{pool="orders"}'), 2)
      assert.strictEqual(valueOf(after, 'db_pool_use_seconds_count{pool="orders"}'), 3)
      assert.strictEqual(valueOf(after, 'db_pool_use_seconds_sum{pool="orders"}'), 9)
      assert.strictEqual(valueOf(after, 'db_pool_acquires_total{pool="orders",path="idle"}'), 1)
      assert.strictEqual(valueOf(after, 'db_pool_acquires_total{pool="orders",path="waited"}'), 2)
    }).pipe(withMetrics())
  )

  it.effect("count retries, failures and closes by their reasons, from 0 on", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, config)
      yield* turns()
      assert.strictEqual(valueOf(yield* text, 'db_connection_retries_total{pool="orders",reason="refused"}'), 0)
      yield* server.goDown("connect ECONNREFUSED")
      yield* TestClock.adjust("10 seconds")
      const output = yield* text
      const { connectFailures, retries } = yield* ConnectionPool.status(pool)
      assert.isAbove(retries, 0)
      assert.strictEqual(valueOf(output, 'db_connection_retries_total{pool="orders",reason="refused"}'), retries)
      assert.strictEqual(
        valueOf(output, 'db_pool_create_failures_total{pool="orders",reason="refused"}'),
        connectFailures
      )
      assert.strictEqual(valueOf(output, 'db_pool_connections_closed_total{pool="orders",reason="died"}'), 1)
    }).pipe(withMetrics())
  )

  it.effect("count the errors of acquires by type", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, {
        ...config,
        maxConnections: 1,
        maxWaiting: 1
      })
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const waiters = yield* Effect.forkChild(
        Effect.all(
          [1, 2].map(() => Effect.exit(ConnectionPool.use(pool, () => Effect.void))),
          { concurrency: 2 }
        )
      )
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(waiters)
      yield* Fiber.interrupt(holder)
      const output = yield* text
      const errors = (error: string) => valueOf(output, `db_pool_acquire_errors_total{pool="orders",error="${error}"}`)
      assert.deepStrictEqual(["AcquireTimeout", "PoolOverloaded", "PoolDeadlock"].map(errors), [1, 1, 0])
      assert.strictEqual(valueOf(output, 'db_pool_acquire_timeouts_total{pool="orders"}'), 1)
    }).pipe(withMetrics())
  )

  it.effect("have a bucket that ends at the pool's own timeout, and one beyond the last bound", () =>
    Effect.gen(function* () {
      yield* ConnectionPool.make(new FakeServer().complete, { ...config, acquireTimeout: "7 seconds" })
      const output = yield* text
      for (const le of ["0.0001", "7", "30", "+Inf"]) {
        assert.isDefined(valueOf(output, `db_pool_acquire_seconds_bucket{pool="orders",le="${le}"}`), le)
      }
    }).pipe(withMetrics())
  )

  it.effect("count exactly by the buckets that somebody asks for", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      yield* turns()
      for (const held of ["1233 millis", "1235 millis"] as const) {
        const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep(held)))
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(fiber)
      }
      assert.strictEqual(valueOf(yield* text, 'db_pool_use_seconds_bucket{pool="orders",le="1.234"}'), 1)
    }).pipe(withMetrics({ buckets: { use: [1.234, 60] } }))
  )

  it.effect("go with the pool, and come with it", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* text, "")
      const scope = yield* Scope.make()
      yield* Scope.provide(ConnectionPool.make(new FakeServer().complete, config), scope)
      assert.include(yield* text, 'pool="orders"')
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* text, "")
    }).pipe(withMetrics())
  )

  it.effect("go with the layer, while the pool goes on", () =>
    alone(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* ConnectionPool.make(new FakeServer().complete, config)
        yield* Scope.provide(Layer.build(PoolMetrics.layer()), scope)
        assert.include(yield* text, 'pool="orders"')
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* text, "")
      })
    )
  )

  it.effect("of two pools of one name are added up, and do not fall when one of them goes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(ConnectionPool.make(new FakeServer().complete, config), scope)
      const second = yield* ConnectionPool.make(new FakeServer().complete, config)
      yield* turns()
      yield* ConnectionPool.use(first, () => Effect.void)
      yield* ConnectionPool.use(second, () => Effect.void)
      const acquired = Effect.map(text, (output) =>
        valueOf(output, 'db_pool_acquires_total{pool="orders",path="idle"}')
      )
      assert.strictEqual(yield* acquired, 2)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* acquired, 2)
      assert.strictEqual(valueOf(yield* text, 'db_pool_acquire_seconds_count{pool="orders"}'), 2)
      assert.strictEqual(valueOf(yield* text, 'db_pool_connections_idle{pool="orders"}'), 1)
    }).pipe(withMetrics())
  )

  it.effect("of pools beyond the limit have one label together", () =>
    Effect.gen(function* () {
      for (let tenant = 1; tenant <= 20; tenant++) {
        yield* ConnectionPool.make(new FakeServer().complete, { ...config, name: `tenant ${tenant}` })
      }
      yield* turns()
      const output = yield* text
      const labels = new Set(Array.from(output.matchAll(/pool="([^"]*)"/g), ([, label]) => label))
      assert.deepStrictEqual([...labels], ["tenant 1", "tenant 2", "tenant 3", "other"])
      assert.strictEqual(valueOf(output, 'db_pool_connections_idle{pool="other"}'), 17)
    }).pipe(withMetrics({ maxPools: 3 }))
  )

  it.effect("are harmless whatever the pool is called", () =>
    Effect.gen(function* () {
      const name = `<script>"\\\n${"x".repeat(10_000)}`
      yield* ConnectionPool.make(new FakeServer().complete, { ...config, name })
      const output = yield* text
      assert.include(output, 'pool="<script>\\"\\\\\\nxxx')
      for (const line of output.split("\n")) assert.isAtMost(line.length, 400)
    }).pipe(withMetrics())
  )

  it.effect("are refused with every wrong option named", () =>
    Effect.gen(function* () {
      const options = { buckets: { acquire: [1, 1], use: [], create: [1, Infinity] }, maxPools: 0 }
      const error = yield* Effect.flip(Effect.scoped(Layer.build(PoolMetrics.layer(options))))
      assert.deepStrictEqual(
        error.problems.map(({ field }) => field),
        ["buckets.acquire", "buckets.use", "buckets.create", "maxPools"]
      )
    })
  )
})

describe("the names of OpenTelemetry", () => {
  const seen = (options: PoolMetrics.Options) =>
    Effect.gen(function* () {
      yield* ConnectionPool.make(new FakeServer().complete, config)
      return namesOf(yield* text)
    }).pipe(withMetrics(options), Effect.scoped)

  it.effect("stand in for ours where there are any", () =>
    Effect.gen(function* () {
      const names = yield* seen({ naming: "otel" })
      assert.includeMembers(
        [...names],
        [
          "db_client_connection_count",
          "db_client_connection_wait_time_seconds",
          "db_client_connection_timeouts_total",
          "db_client_connection_pending_requests",
          "db_connection_retries_total",
          "db_pool_leaks_total"
        ]
      )
      assert.notInclude(names, "db_pool_connections_active")
      assert.notInclude(names, "db_pool_acquire_seconds")
    })
  )

  it.effect("stand beside ours where both are asked for", () =>
    Effect.gen(function* () {
      const names = yield* seen({ naming: "both" })
      assert.includeMembers([...names], ["db_client_connection_count", "db_pool_connections_active"])
      assert.strictEqual(new Set(names).size, names.length)
    })
  )

  it.effect("are few where only the basic ones are asked for", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* seen({ groups: "basic" }), [
        "db_pool_connections_active",
        "db_pool_connections_idle",
        "db_pool_connections_waiting",
        "db_pool_connections_max",
        "db_pool_connections_min",
        "db_connection_retries_total",
        "db_pool_acquire_timeouts_total",
        "db_pool_acquire_seconds"
      ])
    })
  )

  it.effect("have their units in OTLP, and none is a ratio by mistake", () =>
    Effect.gen(function* () {
      const bodies: Array<unknown> = []
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          if (request.body._tag === "Uint8Array") bodies.push(JSON.parse(new TextDecoder().decode(request.body.body)))
          return HttpClientResponse.fromWeb(request, new Response("{}", { status: 200 }))
        })
      )
      const exporter = OtlpMetrics.layer({
        url: "http://localhost:4318/v1/metrics",
        resource: { serviceName: "orders" },
        exportInterval: "1 second"
      }).pipe(Layer.provide(OtlpSerialization.layerJson), Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))
      yield* Effect.gen(function* () {
        yield* ConnectionPool.make(new FakeServer().complete, config)
        yield* TestClock.adjust("3 seconds")
      }).pipe(Effect.scoped, Effect.provide(exporter))
      const found = new Map<string, string>()
      const walk = (value: unknown): void => {
        if (typeof value !== "object" || value === null) return
        const { name, unit } = value as { readonly name?: unknown; readonly unit?: unknown }
        if (typeof name === "string" && typeof unit === "string") found.set(name, unit)
        for (const inner of Object.values(value)) walk(inner)
      }
      walk(bodies)
      assert.deepStrictEqual(
        ["db.client.connection.count", "db.client.connection.wait_time", "db.client.connection.timeouts"].map((name) =>
          found.get(name)
        ),
        ["{connection}", "s", "{timeout}"]
      )
      const dimensionless = [...found].filter(([, unit]) => unit === "1").map(([name]) => name)
      assert.deepStrictEqual(dimensionless.sort(), ["db_pool_overloaded", "db_pool_state"])
    }).pipe(withMetrics({ naming: "otel" }))
  )
})
