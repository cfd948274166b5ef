/**
 * `npm run lab:postgres`: two scenarios of the load laboratory on a real PostgreSQL, on the real clock.
 *
 * The server's capacity is measured first, the best of some sizes, and the load is set by it. The query is
 * one that keeps a processor busy, so that there is a knee. `-- --write` puts the table into docs/sizing.md.
 */
import { parseArgs } from "node:util"
import * as os from "node:os"
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { type PoolConfig } from "effect-pool"
import * as PostgresServer from "../../support/PostgresServer.ts"
import { capacityOf, type Load, measure, type Measured } from "./OpenLoop.ts"
import { render, write } from "./Table.ts"

const { seeds, write: isWritten } = parseArgs({
  options: { seeds: { type: "string", default: "2" }, write: { type: "boolean", default: false } }
}).values

const policies: Readonly<Record<string, PoolConfig.Input>> = {
  predictive: { minConnections: 1, maxConnections: 50, sizing: "predictive" },
  threshold: { minConnections: 1, maxConnections: 50, sizing: "threshold" },
  "fixed:2": { minConnections: 2, maxConnections: 2, sizing: "fixed" },
  "fixed:10": { minConnections: 10, maxConnections: 10, sizing: "fixed" },
  "fixed:50": { minConnections: 50, maxConnections: 50, sizing: "fixed" },
  "fixed:10/unshed": { minConnections: 10, maxConnections: 10, sizing: "fixed", shedding: { enabled: false } }
}

/** Requests a second for so many seconds, as parts of what the server can do. */
const scenarios: Readonly<Record<string, Load>> = {
  "step x10": [
    { seconds: 4, part: 0.07, isMeasured: false },
    { seconds: 12, part: 0.7, isMeasured: true }
  ],
  "overload 1.2x": [
    { seconds: 3, part: 0.1, isMeasured: false },
    { seconds: 15, part: 1.2, isMeasured: true }
  ]
}

const program = Effect.gen(function* () {
  const server = yield* PostgresServer.make({ shared_buffers: "64MB" })
  const processors = os.availableParallelism()
  const sizes = [processors, 2 * processors, 4 * processors, 8 * processors]
  const capacity = Math.max(...(yield* Effect.forEach(sizes, (size) => capacityOf(server.url, size))))
  yield* Console.log(`${server.version}, ${processors} processors: ${Math.round(capacity)} queries a second`)
  const measured: Array<Measured> = []
  for (const [scenario, load] of Object.entries(scenarios)) {
    for (const [policy, config] of Object.entries(policies)) {
      for (let seed = 1; seed <= Number(seeds); seed++) {
        measured.push({ scenario, policy, seed, ...(yield* measure(server.url, config, load, capacity, seed)) })
      }
      yield* Console.log(render(measured.filter((one) => one.scenario === scenario && one.policy === policy)))
    }
  }
  if (isWritten) write(measured, { capacity, processors, seeds: Number(seeds), version: server.version })
}).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

NodeRuntime.runMain(program)
