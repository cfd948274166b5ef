/** The pages about other pools: their connectors pass what ours pass, and what they say of others' defaults is so. */
import { assert, describe, it } from "@effect/vitest"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Effect, Redacted } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { type Client, Pool, type QueryResult } from "pg"
import { createPool } from "generic-pool"
import { Pool as TarnPool } from "tarn"
import type { Connector } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { docPages, root } from "../support/DocPages.ts"
import * as PostgresServer from "../support/PostgresServer.ts"

const pageOf = (name: string) => docPages.find(({ file }) => file === `docs/migration/${name}.md`)!

interface PageModule {
  readonly connectorFor: (connectionString: string) => Connector.Connector<Client, unknown>
}

/** A block of the page as a module. */
const load = async (code: string): Promise<PageModule> => {
  const file = path.join(root, ".build", "migration", "pg-client.ts")
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, code)
  return (await import(/* @vite-ignore */ pathToFileURL(file).href)) as PageModule
}

const ask = (client: Client, sql: string) => Effect.tryPromise(() => client.query(sql) as Promise<QueryResult>)

describe("the connector", () => {
  it.live(
    "of the page about pg-pool passes every check",
    () =>
      Effect.gen(function* () {
        const block = pageOf("pg-pool").blocks.find(({ code }) => code.includes("export const connectorFor"))!
        const server = yield* PostgresServer.make()
        const outside = yield* PgConnection.make({ url: Redacted.make(server.url), applicationName: "outside" })
        const { connectorFor } = yield* Effect.promise(() => load(block.code))
        const { checks, failed } = yield* Conformance.check(connectorFor(server.url), {
          use: (client) => ask(client, "select 1"),
          dirty: (client) => ask(client, "set application_name = 'dirty'"),
          isClean: (client) =>
            Effect.map(ask(client, "show application_name"), ({ rows }) => !JSON.stringify(rows).includes("dirty")),
          kill: (client) =>
            outside.query(`select pg_terminate_backend(${(client as { processID?: number }).processID})`),
          count: Effect.map(
            outside.queryValues(
              "select count(*)::int from pg_stat_activity where backend_type = 'client backend' and application_name <> 'outside'"
            ),
            ([row]) => Number(row?.[0])
          ),
          timeout: "2 seconds",
          hang: { freeze: server.freeze, thaw: server.thaw }
        })
        assert.deepStrictEqual(failed, [])
        assert.isAbove(checks.filter(({ outcome }) => outcome === "passed").length, 18)
      }).pipe(Effect.scoped),
    60_000
  )
})

/** The first cells of the rows of a page's tables, each with the cell beside it. */
const tableOf = (name: string): ReadonlyMap<string, string> =>
  new Map(
    pageOf(name)
      .text.split("\n")
      .filter((line) => line.startsWith("| `"))
      .map((line) => {
        const [, first = "", second = ""] = line.split("|").map((cell) => cell.trim())
        return [first, second]
      })
  )

describe("what the pages say of others' defaults", () => {
  it("is what generic-pool has", () => {
    const pool = createPool({ create: async () => 1, destroy: async () => {} }, { autostart: false })
    const config = (pool as unknown as { readonly _config: Readonly<Record<string, unknown>> })._config
    const {
      evictionRunIntervalMillis,
      fifo,
      idleTimeoutMillis,
      max,
      min,
      numTestsPerEvictionRun,
      softIdleTimeoutMillis
    } = config
    assert.deepStrictEqual(
      { evictionRunIntervalMillis, fifo, idleTimeoutMillis, max, min, numTestsPerEvictionRun, softIdleTimeoutMillis },
      {
        evictionRunIntervalMillis: 0,
        fifo: true,
        idleTimeoutMillis: 30_000,
        max: 1,
        min: 0,
        numTestsPerEvictionRun: 3,
        softIdleTimeoutMillis: -1
      }
    )
    assert.deepStrictEqual(
      [config["testOnBorrow"], config["acquireTimeoutMillis"], config["destroyTimeoutMillis"]],
      [false, undefined, undefined]
    )
    const table = tableOf("generic-pool")
    assert.deepStrictEqual(
      ["`max`", "`numTestsPerEvictionRun`", "`acquireTimeoutMillis`"].map((name) => table.get(name)),
      ["1", "3", "none"]
    )
  })

  it("is what tarn has", () => {
    const pool = new TarnPool({ create: async () => 1, destroy: () => {}, min: 0, max: 1 })
    const names = [
      "acquireTimeoutMillis",
      "createTimeoutMillis",
      "destroyTimeoutMillis",
      "idleTimeoutMillis",
      "reapIntervalMillis",
      "createRetryIntervalMillis",
      "propagateCreateError"
    ]
    assert.deepStrictEqual(
      names.map((name) => (pool as unknown as Readonly<Record<string, unknown>>)[name]),
      [30_000, 30_000, 5000, 30_000, 1000, 200, false]
    )
    const table = tableOf("tarn")
    assert.deepStrictEqual(
      names.slice(0, 5).map((name) => table.get(`\`${name}\``)),
      ["30 s (knex: 60 s)", "30 s", "5 s", "30 s", "1 s"]
    )
  })

  it("is what pg-pool has", async () => {
    const pool = new Pool()
    const { options } = pool as unknown as { readonly options: Readonly<Record<string, unknown>> }
    const names = ["max", "min", "connectionTimeoutMillis", "idleTimeoutMillis", "maxLifetimeSeconds", "maxUses"]
    assert.deepStrictEqual(
      names.map((name) => options[name]),
      [10, 0, undefined, 10_000, 0, Infinity]
    )
    const table = tableOf("pg-pool")
    assert.deepStrictEqual(
      ["max", "idleTimeoutMillis", "maxUses"].map((name) => table.get(`\`${name}\``)),
      ["10", "10 s", "unlimited"]
    )
    await pool.end()
  })
})
