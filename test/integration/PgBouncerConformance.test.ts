import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { DatabaseConnection } from "../../src/index.ts"
import { Conformance } from "../../src/testing/index.ts"
import { Bouncer, behindPgBouncer } from "./Bouncer.ts"
import { type Connection, valueOf } from "./Server.ts"

/**
 * How the kit looks at the proxy, through its console. What a borrower can leave behind is an open transaction, and nothing
 * else gets through: so `dirty` leaves one, with a setting in it that its end takes away. `kill` is the operator's `KILL`,
 * which ends all connections of the database; the kit has it to itself.
 */
const optionsOn = Effect.gen(function* () {
  const bouncer = yield* Bouncer
  const options: Conformance.Options<Connection> = {
    use: (connection) => connection.query("select $1::int from pg_sleep(0.001)", [7]),
    dirty: (connection) =>
      Effect.andThen(connection.query("begin"), connection.query("set local app.tenant = 'seven'")),
    isClean: (connection) =>
      Effect.map(valueOf(connection, "select coalesce(current_setting('app.tenant', true), '')"), (it) => it === ""),
    kill: () => Effect.andThen(bouncer.admin("KILL kit"), bouncer.admin("RESUME kit")),
    count: Effect.map(bouncer.clientsOf("kit"), ({ length }) => length),
    hang: { freeze: bouncer.freeze, thaw: bouncer.thaw },
    connectErrors: [
      new Postgres.PgBouncerError({ failure: "max_client_conn", said: "no more connections allowed (max_client_conn)" })
    ]
  }
  return options
})

behindPgBouncer("Postgres.pgBouncer and the conformance kit", (it) => {
  it(
    "passes every check",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* Bouncer
        const connector = Postgres.pgBouncer({ url: bouncer.url("kit") })
        const report = yield* Conformance.check(connector, yield* optionsOn)
        assert.deepStrictEqual([report.failed, report.skipped], [[], []], report.render)
      }),
    60_000
  )

  it(
    "passes every check where cancel requests are not safe, as the connector of counted and bounded connections",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* Bouncer
        const connector = DatabaseConnection.connector(
          Postgres.pgBouncer({ url: bouncer.url("kit"), cancel: "disconnect" }),
          Postgres.queries
        )
        const { count, connectErrors, dirty, hang, isClean, kill, use } = yield* optionsOn
        const report = yield* Conformance.check(connector, {
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
