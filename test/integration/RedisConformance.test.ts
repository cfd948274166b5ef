import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Redis from "../../src/connectors/Redis.ts"
import { DatabaseConnection } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { ask, clientsOf, type Connection, observer, onServer, Server } from "./RedisServerLayer.ts"

const clientName = "conformance"

/** How the kit looks at the server, from a connection outside of what it checks. */
const optionsOn = Effect.gen(function* () {
  const { freeze, thaw } = yield* Server
  const outside = yield* observer
  const options: Conformance.Options<Connection> = {
    use: (connection) => connection.transaction([["INCR", "conformance"]]),
    dirty: (connection) => connection.send("SELECT", 3),
    isClean: (connection) => Effect.map(connection.send<string>("CLIENT", "INFO"), (info) => / db=0 /.test(info)),
    kill: (connection) => ask(outside, "CLIENT", "KILL", "ID", connection.id ?? 0),
    count: Effect.map(clientsOf(outside, clientName), ({ length }) => length),
    hang: { freeze, thaw },
    connectErrors: [new Redis.RedisError({ code: "ECONNREFUSED", message: "refused" })]
  }
  return options
})

onServer("Redis.connector and the conformance kit", { settings: { hz: 500 } }, (test) => {
  for (const reset of ["whenDirty", "always"] as const) {
    test(
      `passes every check, with reset: "${reset}"`,
      () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const report = yield* Conformance.check(Redis.connector({ url, clientName, reset }), yield* optionsOn)
          assert.deepStrictEqual([report.failed, report.skipped], [[], []], report.render)
        }),
      // Each of its sweeps goes on for up to five seconds on a slow machine.
      60_000
    )
  }

  test(
    "passes every check as the connector of counted and bounded connections, with a command that blocks",
    () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const counted = DatabaseConnection.connector(Redis.connector({ url, clientName }), Redis.queries)
        const { count, connectErrors, dirty, hang, isClean, kill } = yield* optionsOn
        const report = yield* Conformance.check(counted, {
          use: (connection) => connection.query("BLPOP", ["nothing", "0.001"]),
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
