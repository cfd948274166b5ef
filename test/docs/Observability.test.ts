import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { ConnectionPool, PoolMetrics, PoolRegistry } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

const folder = fileURLToPath(new URL("../../docs/observability", import.meta.url))

const read = (name: string): string => fs.readFileSync(path.join(folder, name), "utf8")

/** What a pool that has been used gives Prometheus. */
const output = (naming: "db_pool" | "otel" | "both") =>
  Effect.gen(function* () {
    const server = new FakeServer()
    const pool = yield* ConnectionPool.make(server.complete, {
      name: 'orders "<b>"\n',
      minConnections: 1,
      drainTimeout: 0
    })
    yield* turns()
    yield* ConnectionPool.use(pool, () => Effect.void)
    return yield* PrometheusMetrics.format({ metricNameMapper: PoolMetrics.prometheusName })
  }).pipe(
    Effect.scoped,
    Effect.provide(PoolMetrics.layer({ naming })),
    Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

/** Every name of ours that an expression asks for, with the suffixes that a histogram gives it. */
const namesIn = (text: string): ReadonlySet<string> => new Set(text.match(/\bdb_(?:pool|connection)_\w+/g))

const namesOf = (metrics: string): ReadonlySet<string> =>
  new Set(metrics.split("\n").flatMap((line) => (line.startsWith("#") ? [] : [line.split(/[{ ]/)[0]!])))

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0

const promtool = (args: ReadonlyArray<string>, input = "") => {
  const { status, stderr, stdout } = spawnSync("promtool", args, { cwd: folder, encoding: "utf8", input })
  return { status, text: `${stdout}${stderr}` }
}

describe("the metrics in Prometheus's own eyes", () => {
  // Debian's package `prometheus` has it; the gate installs that.
  const when = hasPromtool ? it.effect : it.effect.skip
  const why = hasPromtool ? "" : " (not run: promtool is not installed)"

  when(`pass promtool check metrics${why}`, () =>
    Effect.gen(function* () {
      const { status, text } = promtool(["check", "metrics"], yield* output("db_pool"))
      assert.deepStrictEqual([text, status], ["", 0])
    })
  )

  when(`named by OpenTelemetry, pass it but for the one name that OpenTelemetry has chosen so${why}`, () =>
    Effect.gen(function* () {
      for (const naming of ["otel", "both"] as const) {
        const { text } = promtool(["check", "metrics"], yield* output(naming))
        assert.match(text.trim(), /^db_client_connection_count .*"_count" suffix$/)
      }
    })
  )

  when(`have alerts that pass promtool check rules${why}`, () =>
    Effect.sync(() => {
      const { status, text } = promtool(["check", "rules", "alerts.yaml"])
      assert.strictEqual(status, 0, text)
    })
  )

  when(`have alerts that fire in the stories they are for, and not beside them${why}`, () =>
    Effect.sync(() => {
      const { status, text } = promtool(["test", "rules", "alerts.test.yaml"])
      assert.strictEqual(status, 0, text)
    })
  )
})

describe("the files for operators", () => {
  for (const name of ["alerts.yaml", "dashboard.json"]) {
    it.effect(`ask for nothing that a running pool does not have: ${name}`, () =>
      Effect.gen(function* () {
        const names = namesOf(yield* output("db_pool"))
        const asked = [...namesIn(read(name))]
        assert.isAbove(asked.length, 5)
        assert.deepStrictEqual(
          asked.filter((one) => !names.has(one)),
          []
        )
      })
    )

    it.effect(`ask for no reason that no pool gives: ${name}`, () =>
      Effect.gen(function* () {
        const metrics = yield* output("db_pool")
        const asked = Array.from(read(name).matchAll(/reason[!=~]+\\?"([^"\\]+)\\?"/g), ([, reasons]) =>
          reasons!.split("|")
        )
        for (const reason of asked.flat()) assert.include(metrics, `reason="${reason}"`)
      })
    )
  }

  it("have a dashboard that is JSON, with a place for each panel", () => {
    const { panels } = JSON.parse(read("dashboard.json")) as {
      readonly panels: ReadonlyArray<{
        readonly id: number
        readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
      }>
    }
    const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`)
    )
    assert.strictEqual(new Set(cells).size, cells.length)
    assert.strictEqual(new Set(panels.map(({ id }) => id)).size, panels.length)
  })
})
