import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect } from "effect"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { typed } from "../../src/connectors/PgBouncerError.ts"
import { ConnectionPool, PoolConfig } from "../../src/index.ts"

/** An error as the driver makes it of what the server says. */
const fromServer = (code: string, said: string) =>
  new SqlError({
    reason: new ConnectionError({
      cause: Object.assign(new Error(said), { severity: "FATAL", code }),
      message: "PgConnection: Failed to connect",
      operation: "connect"
    })
  })

/** What PgBouncer of one version or another says, and what a pool makes of it. */
const words: ReadonlyArray<readonly [code: string, said: string, failure: string, kind: string]> = [
  ["08P01", "no more connections allowed (max_client_conn)", "max_client_conn", "overloaded"],
  ["53300", "no more connections allowed (max_user_client_connections)", "max_client_conn", "overloaded"],
  ["08P01", "query_wait_timeout", "query_wait_timeout", "overloaded"],
  ["08P01", "pgbouncer cannot connect to server", "server_login_failing", "transient"],
  ["08P01", "server login has been failing, try again later (server_login_retry)", "server_login_failing", "transient"],
  ["08P01", "client_login_timeout (server down)", "server_login_failing", "transient"],
  ["08P01", "server conn crashed?", "server_lost", "transient"],
  ["08P01", "client_idle_timeout", "client_idle_timeout", "transient"],
  ["08P01", "client_login_timeout", "client_login_timeout", "transient"],
  ["08P01", "idle transaction timeout", "idle_transaction_timeout", "transient"],
  ["08P01", "query timeout", "query_timeout", "transient"],
  ["57P01", "server is shutting down", "shutting_down", "transient"],
  ["08P01", "database removed", "killed", "transient"],
  ["08P01", 'database "app" is disabled', "database_disabled", "permanent"],
  ["3D000", "no such database: app", "no_such_database", "permanent"],
  ["28P01", "password authentication failed", "authentication", "permanent"],
  ["08P01", "SASL authentication failed", "authentication", "permanent"],
  ["08P01", '"trust" authentication failed', "authentication", "permanent"],
  ["08P01", "unsupported startup parameter: statement_timeout", "startup_parameter", "permanent"],
  ["08P01", "transaction blocks not allowed in statement pooling mode", "pool_mode", "permanent"],
  ["08P01", "bouncer config error", "configuration", "permanent"],
  ["08P01", "SSL required", "configuration", "permanent"]
]

describe("what PgBouncer says", () => {
  it.each(words)("%s %s: is %s, %s", (code, said, failure, kind) => {
    const error = typed(fromServer(code, said), "connect")
    const found = Postgres.pgBouncerErrorIn(error)
    assert.deepStrictEqual([found?.failure, found?.kind, found?.said], [failure, kind, said])
    assert.strictEqual(Postgres.pgBouncer().classify?.(error), kind)
  })

  it("is not what PostgreSQL says behind it", () => {
    const error = fromServer("57014", "query_wait_timeout")
    assert.strictEqual(typed(error, "query"), error)
    assert.isUndefined(Postgres.pgBouncerErrorIn(error))
  })

  it("is found in no error of another kind", () => {
    const looped: { cause?: unknown } = {}
    looped.cause = looped
    for (const odd of [undefined, null, "text", 42, {}, looped, new Error("text")]) {
      assert.isUndefined(Postgres.pgBouncerErrorIn(odd))
      assert.isUndefined(Postgres.sessionStateRefusedIn(odd))
    }
  })
})

describe("Postgres.pgBouncerPool", () => {
  const millis = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))

  it.effect("is a configuration that a pool takes", () =>
    Effect.gen(function* () {
      const config = yield* PoolConfig.make(Postgres.pgBouncerPool())
      assert.deepStrictEqual([config.minConnections, config.maxConnections], [1, 20])
    })
  )

  it("gives each process its part of the proxy's server connections, and one at least", () => {
    assert.strictEqual(Postgres.pgBouncerPool({ poolSize: 20, processes: 3 }).maxConnections, 6)
    assert.strictEqual(Postgres.pgBouncerPool({ poolSize: 2, processes: 8 }).maxConnections, 1)
  })

  it("keeps nothing ready and nothing for long where the proxy ends idle clients", () => {
    const { idleTimeout, minConnections } = Postgres.pgBouncerPool({ clientIdleTimeout: "10 seconds" })
    assert.deepStrictEqual([minConnections, millis(idleTimeout)], [0, 5000])
  })

  it("stays below the proxy's lifetimes and timeouts", () => {
    const { maxLifetime, queryTimeout } = Postgres.pgBouncerPool({
      serverLifetime: "10 minutes",
      queryWaitTimeout: "10 seconds"
    })
    assert.deepStrictEqual([millis(maxLifetime), millis(queryTimeout)], [540_000, 9000])
  })

  it.effect("leaves a wrong duration for the pool to report with everything else", () =>
    Effect.gen(function* () {
      const settings = { serverLifetime: "soon" as "1 hour", poolSize: Number.NaN }
      const error = yield* Effect.flip(PoolConfig.make(Postgres.pgBouncerPool(settings)))
      assert.sameMembers(
        error.problems.map(({ field }) => field),
        ["maxConnections", "maxLifetime"]
      )
    })
  )
})

describe("Postgres.pgBouncerConfig", () => {
  it.effect("reads the same variables as a connector without a proxy, and reports what the proxy would refuse", () =>
    Effect.gen(function* () {
      const env = { DB_HOST: "proxy.internal", DB_PORT: "6432", DB_DATABASE: "app", DB_PASSWORD: "hunter2" }
      const config = Postgres.pgBouncerConfig("DB", { startupParameters: { statement_timeout: "30s" } })
      const connector = yield* config.parse(ConfigProvider.fromUnknown(env))
      assert.strictEqual(connector.name, "proxy.internal:6432/app")
      const error = yield* Effect.flip(Effect.scoped(ConnectionPool.make(connector)))
      assert.include(error.message, "startupParameters.statement_timeout")
      assert.notInclude(error.message, "hunter2")
    })
  )
})
