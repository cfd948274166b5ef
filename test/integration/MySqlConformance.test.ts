import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as MySql from "../../src/connectors/MySql.ts"
import { DatabaseConnection, Replicas } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import { type Connection, live, observer, Server, serverWith, sessionsOf, titled, valueOf } from "./MySqlServer.ts"

const applicationName = "conformance"

/** How the kit looks at the server, from a connection outside of what it checks. */
const optionsOn = Effect.gen(function* () {
  const { freeze, thaw } = yield* Server
  const outside = yield* observer
  const options: Conformance.Options<Connection> = {
    use: (connection) => connection.execute("select ? from (select sleep(0.001)) as pause", [7]),
    dirty: (connection) => connection.query("set @tenant = 'seven'"),
    isClean: (connection) => Effect.map(valueOf(connection, "select @tenant"), (tenant) => tenant === null),
    kill: (connection) => outside.query(`kill ${connection.threadId}`),
    count: Effect.map(sessionsOf(outside, applicationName), ({ length }) => length),
    hang: { freeze, thaw },
    connectErrors: [
      new SqlError({
        reason: new ConnectionError({ cause: new Error("refused"), message: "refused", operation: "connect" })
      })
    ]
  }
  return options
})

describe.skipIf(unavailable !== undefined)(titled("MySql.connector and the conformance kit"), () => {
  layer(
    serverWith(),
    live
  )((it) => {
    it.effect(
      "passes every check",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const connector = MySql.connector({ url, applicationName })
          const report = yield* Conformance.check(connector, yield* optionsOn)
          assert.deepStrictEqual([report.failed, report.skipped], [[], []], report.render)
        }),
      // Each of its sweeps goes on for up to five seconds on a slow machine.
      60_000
    )

    it.effect(
      "passes every check as the connector of counted and bounded connections, on one of two replicas",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const counted = DatabaseConnection.connector(MySql.connector({ url, applicationName }), MySql.queries)
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
})
