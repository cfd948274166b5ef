import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as Postgres from "../../src/connectors/Postgres.ts"
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
      new SqlError({
        reason: new ConnectionError({
          cause: new Postgres.PgBouncerError({ failure: "max_client_conn", said: "no more connections allowed" }),
          message: "refused",
          operation: "connect"
        })
      })
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
    { timeout: 60_000 }
  )
})
