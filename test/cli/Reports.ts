/** Reports to render: one of a real pool that does nothing, changed by hand into what a test is about. */
import { DateTime, Effect, Option } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Connector from "../../src/Connector.ts"
import type { Holder } from "../../src/PoolError.ts"
import * as PoolRegistry from "../../src/PoolRegistry.ts"
import * as PoolReport from "../../src/PoolReport.ts"
import { ConnectionStatus, HealthStatus } from "../../src/PoolStatus.ts"
import type { Style } from "../../src/cli/Line.ts"
import { start, type TopState } from "../../src/cli/TopState.ts"

export const style: Style = { columns: 80, hasColor: false, zone: Option.getOrThrow(DateTime.zoneFromString("UTC")) }

/** 2026-03-01 14:03:07 UTC. */
export const at = Date.UTC(2026, 2, 1, 14, 3, 7, 250)

type Fields = Partial<ConstructorParameters<typeof PoolReport.PoolReport>[0]>
type Health = "pass" | "warn" | "fail"

/** The report of a pool that nobody uses, with these fields instead of its own. */
export const reportWith = (fields: Fields = {}, health: Health = "pass") =>
  Effect.gen(function* () {
    const connector = Connector.make({ name: "orders", connect: Effect.succeed("connection") })
    const pool = yield* ConnectionPool.make(connector, { minConnections: 1, maxConnections: 10 })
    yield* ConnectionPool.awaitReady(pool)
    const report = yield* PoolReport.of(pool)
    const state = fields.state ?? report.state
    return new PoolReport.PoolReport({
      // oxlint-disable-next-line typescript/no-misused-spread -- its fields are what is wanted
      ...report,
      at,
      since: at - 3_600_000,
      health: new HealthStatus({ pool: "orders", status: health, state, reasons: [] }),
      ...fields
    })
  }).pipe(Effect.scoped, Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()))

export const holder = (fields: Partial<Holder> = {}): Holder => ({
  holder: "ReportService.export (fiber #218)",
  connection: 3,
  lease: 41,
  heldForMillis: 41_200,
  operation: "ReportService.export",
  place: "src/report.ts:88:21",
  ...fields
})

export const held = (...holders: ReadonlyArray<Holder>): ReadonlyArray<ConnectionStatus> =>
  holders.map(
    (one) =>
      new ConnectionStatus({
        id: one.connection,
        state: "inUse",
        ageMillis: 60_000,
        inUseForMillis: one.heldForMillis,
        uses: 7,
        leases: 1,
        holders: [one]
      })
  )

/** The last second of a pool in which 300 acquires were served. */
export const second = {
  at,
  inUse: 10,
  idle: 0,
  connecting: 0,
  preparing: 0,
  closing: 0,
  waiting: 4,
  limit: 10,
  maxConnections: 10,
  minConnections: 1,
  oldestWaitMillis: 3200,
  leaksNow: 0,
  acquired: 300,
  acquiredAtOnce: 12,
  timedOut: 0,
  refused: 0,
  connectFailures: 0,
  created: 0,
  closed: 0,
  waitP50: 800,
  waitP95: 2400,
  waitP99: 3100,
  useP50: 20,
  useP95: 90,
  useP99: 400,
  createP95: 0
}

/** What `top` knows a moment after the report was made. */
export const watching = (report: PoolReport.PoolReport, more: Partial<TopState> = {}): TopState => ({
  ...start("http://127.0.0.1:9464", [{ key: report.key, health: report.health.status }], report.key, at),
  link: { _tag: "Live" },
  report: Option.some(report),
  seconds: [second],
  ...more
})
