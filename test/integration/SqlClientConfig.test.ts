import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import * as PoolRegistry from "../../src/PoolRegistry.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { live, Server, serverWith } from "./Server.ts"

const environment = (variables: Readonly<Record<string, string>>) =>
  ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...variables } }))

const answer = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`select current_setting('application_name') as name,
  current_setting('statement_timeout') as timeout`
)

const configured = (variables: Readonly<Record<string, string>>) =>
  Effect.provide(
    answer,
    Postgres.layerSqlClientConfig("DB").pipe(Layer.provide([Logger.layer([]), environment(variables)]))
  )

layer(serverWith(), live)("Postgres.layerSqlClientConfig", (it) => {
  it.effect("reads connector and pool from the environment", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const rows = yield* configured({ DB_URL: url, DB_APPLICATION_NAME: "from env", DB_MAX_CONNECTIONS: "3" })
      assert.deepStrictEqual(rows, [{ name: "from env", timeout: "0" }])
    })
  )

  it.effect("has the server end slow statements where they share connections", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const rows = yield* configured({ DB_URL: url, DB_CONCURRENCY: "8", DB_QUERY_TIMEOUT: "7 seconds" })
      assert.deepStrictEqual(rows, [{ name: "effect-pool", timeout: "7s" }])
    })
  )

  it.effect("does not count a client's statements against its connections, unless it is told to", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const registry = PoolRegistry.make()
      const usesOf = (layer: Layer.Layer<SqlClient.SqlClient, unknown>) =>
        Effect.provide(
          Effect.sync(() => registry.entries().map(({ pool }) => pool.config.maxUses)),
          Layer.provide(layer, [Logger.layer([]), Layer.succeed(PoolRegistry.PoolRegistry, registry)])
        )
      const variables = { DB_URL: url, DB_MAX_USES: "5" }
      const fromEnvironment = (variables: Readonly<Record<string, string>>) =>
        Layer.provide(Postgres.layerSqlClientConfig("DB"), environment(variables))
      assert.deepStrictEqual(yield* usesOf(Postgres.layerSqlClient({ url })), [Infinity])
      assert.deepStrictEqual(yield* usesOf(Postgres.layerSqlClient({ url }, { maxUses: 5 })), [5])
      assert.deepStrictEqual(yield* usesOf(fromEnvironment({ DB_URL: url })), [Infinity])
      assert.deepStrictEqual(yield* usesOf(fromEnvironment(variables)), [5])
    })
  )

  it.effect("names every wrong variable, and shows no secret", () =>
    Effect.gen(function* () {
      const variables = { DB_URL: "mysql://app:secret@localhost", DB_MAX_CONNECTIONS: "none", DB_PORT: "99999" }
      const error = yield* Effect.flip(configured(variables))
      for (const field of ["DB_MAX_CONNECTIONS", "DB_PORT"]) assert.include(String(error), field)
      assert.notInclude(String(error), "secret")
    })
  )

  it.effect("names what is wrong with a URL and with the pool in one error", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.provide(
          answer,
          Postgres.layerSqlClient({ url: "mysql://app:secret@localhost/app" }, { maxConnections: 0 })
        )
      )
      assert.strictEqual(error._tag, "PoolConfigError")
      assert.deepStrictEqual(error._tag === "PoolConfigError" && error.problems.map(({ field }) => field), [
        "maxConnections",
        "url"
      ])
      assert.notInclude(String(error), "secret")
    })
  )

  it.effect("fails with ConnectError when it is to fail fast", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const error = yield* Effect.flip(
        Effect.provide(
          answer,
          Postgres.layerSqlClient(
            { host: "127.0.0.1", port, username: "postgres", database: "nowhere" },
            { startup: "failFast" }
          ).pipe(Layer.provide(Logger.layer([])))
        )
      )
      assert.deepInclude(error, { _tag: "ConnectError", kind: "permanent" })
    })
  )
})
