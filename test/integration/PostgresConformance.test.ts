import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SqlError, ConnectionError } from "effect/sql/SqlError"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { DatabaseConnection, Replicas } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { type Connection, live, observer, Server, serverWith, valueOf } from "./Server.ts"

const applicationName = "conformance"

/** How the kit looks at the server, from a connection outside of what it checks. */
const optionsOn = Effect.gen(function* () {
  const { freeze, thaw } = yield* Server
  const outside = yield* observer
  const setting = "coalesce(current_setting('app.tenant', true), '')"
  const options: Conformance.Options<Connection> = {
    use: (connection) => connection.query("select $1::int from pg_sleep(0.001)", [7]),
    dirty: (connection) => connection.query("set app.tenant = 'seven'"),
    isClean: (connection) => Effect.map(valueOf(connection, `select ${setting}`), (tenant) => tenant === ""),
    kill: (connection) => outside.query("select pg_terminate_backend($1, 5000)", [connection.processId]),
    count: Effect.map(
      valueOf(outside, "select count(*)::int from pg_stat_activity where application_name = $1", [applicationName]),
      Number
    ),
    hang: { freeze, thaw },
    connectErrors: [
      new SqlError({
        reason: new ConnectionError({ cause: new Error("refused"), message: "refused", operation: "connect" })
      })
    ]
  }
  return options
})

layer(serverWith(), { ...live, timeout: "60 seconds" })("Postgres.connector and the conformance kit", (it) => {
  for (const reset of ["whenDirty", "always"] as const) {
    it.effect(
      `passes every check, with reset: "${reset}"`,
      () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const connector = Postgres.connector({ url, applicationName, reset })
          const report = yield* Conformance.check(connector, yield* optionsOn)
          assert.deepStrictEqual([report.failed, report.skipped], [[], []], report.render)
        }),
      // Each of its sweeps goes on for up to five seconds on a slow machine.
      60_000
    )
  }

  it.effect(
    "passes every check as the connector of counted and bounded connections, on one of two replicas",
    () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const counted = DatabaseConnection.connector(Postgres.connector({ url, applicationName }), Postgres.queries)
        const { count, connectErrors, dirty, hang, isClean, kill, use } = yield* optionsOn
        const report = yield* Conformance.check(Replicas.connector([counted, counted]), {
          use: ({ raw }) => use!(raw),
          dirty: ({ raw }) => dirty!(raw),
          isClean: ({ raw }) => isClean!(raw),
          kill: ({ raw }) => kill!(raw),
          count: count!,
          hang: hang!,
          connectErrors: connectErrors!
        })
        assert.deepStrictEqual([report.failed, report.skipped], [[], []], report.render)
      }),
    60_000
  )
})
