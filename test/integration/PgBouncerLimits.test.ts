/** PgBouncer at its limits, and how its refusals reach those who are refused. */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import * as Certificate from "../support/Certificate.ts"
import { eventually } from "../support/Eventually.ts"
import type * as PgBouncerServer from "../support/PgBouncerServer.ts"
import { Bouncer, behindPgBouncer, connectFailure, makeBouncer, makePool, silent, together } from "./Bouncer.ts"
import { observer, Server, single, valueOf } from "./Server.ts"

const before = <A, E, R>(bouncer: PgBouncerServer.PgBouncerServer, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Bouncer, bouncer)

/** Connections of somebody else, who does nothing with them. */
const crowd = (url: string, count: number) =>
  Effect.forEach(Array.from({ length: count }), () => PgConnection.make({ url: Redacted.make(url), prepare: false }))

/** What the proxy said, and what the pool made of it. */
const refusal = (error: unknown) => {
  const found = Postgres.pgBouncerErrorIn(error)
  return found && { failure: found.failure, kind: found.kind }
}

behindPgBouncer("Postgres.pgBouncer: at the proxy's limits", (it) => {
  it("serves 1,000 clients on 10 connections on 3 server connections, each transaction whole or not at all", () =>
    Effect.gen(function* () {
      const bouncer = yield* Bouncer
      const outside = yield* observer
      yield* outside.query("drop table if exists ledger")
      yield* outside.query("create table ledger (client int, round int, amount int)")
      const sizes = {
        minConnections: 0,
        maxConnections: 10,
        acquireTimeout: 30_000,
        shedding: { enabled: false }
      }
      const pool = yield* makePool("thousand", sizes)
      const rounds = 2
      const transfer = (client: number, round: number) =>
        ConnectionPool.use(pool, (connection) =>
          Effect.gen(function* () {
            const insert = "insert into ledger values ($1::int, $2::int, $3::int) returning client * 10 + round"
            yield* connection.query("begin")
            const debit = yield* valueOf(connection, insert, [client, round, -client])
            const credit = yield* valueOf(connection, insert, [client, round, client])
            // Every tenth thinks better of it.
            yield* connection.query((client + round) % 10 === 0 ? "rollback" : "commit")
            return [debit, credit]
          })
        )
      const pairs = Array.from({ length: 1000 }, (_, client) => client)
      const answers = yield* Effect.forEach(
        pairs,
        (client) => Effect.forEach(Array.from({ length: rounds }), (_, round) => transfer(client, round)),
        { concurrency: "unbounded" }
      )
      const key = (client: number, round: number) => client * 10 + round
      assert.deepStrictEqual(
        answers,
        pairs.map((client) => Array.from({ length: rounds }, (_, round) => [key(client, round), key(client, round)]))
      )
      const kept = pairs.flatMap((client) =>
        [0, 1].filter((round) => (client + round) % 10 !== 0).map((r) => key(client, r))
      )
      const sums = yield* outside.queryValues(
        "select count(*)::int, sum(amount)::int, sum(client * 10 + round)::int, count(distinct client * 10 + round)::int from ledger"
      )
      const checksum = 2 * kept.reduce((sum, one) => sum + one, 0)
      assert.deepStrictEqual(sums, [[2 * kept.length, 0, checksum, kept.length]])
      const { acquired, released, total } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ acquired, released }, { acquired: 2000, released: 2000 })
      assert.isAtMost(total, 10)
      const servers = (yield* bouncer.admin("SHOW SERVERS")).filter((row) => row["database"] === "app")
      assert.isAtMost(servers.length, 3)
    }))

  it(
    "takes max_client_conn for overload: it backs off, and serves everybody with what it has",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ max_client_conn: 8 })
        yield* crowd(bouncer.url(), 5)
        const sizes = { minConnections: 1, maxConnections: 10, acquireTimeout: 10_000 }
        const pool = yield* before(bouncer, makePool("crowded", sizes))
        const ask = (n: number) =>
          ConnectionPool.use(pool, (connection) => valueOf(connection, "select $1::int from pg_sleep(0.01)", [n]))
        const numbers = Array.from({ length: 200 }, (_, n) => n)
        assert.deepStrictEqual(yield* Effect.forEach(numbers, ask, { concurrency: 20 }), numbers)
        const { connectFailures, limit, total } = yield* ConnectionPool.status(pool)
        assert.isAtMost(total, 3)
        assert.isAtLeast(connectFailures, 1)
        assert.isBelow(limit, 10)
        // One burst of attempts, and no more.
        const refused = (yield* bouncer.log).split("closing because: no more connections allowed").length - 1
        assert.isAtMost(refused, 10)
      }),
    together
  )

  it("is told by max_client_conn that the proxy is overloaded", () =>
    Effect.gen(function* () {
      const bouncer = yield* makeBouncer({ max_client_conn: 2 })
      yield* crowd(bouncer.url(), 2)
      const error = yield* connectFailure({ url: bouncer.url() })
      assert.deepStrictEqual(refusal(error), { failure: "max_client_conn", kind: "overloaded" })
      assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "overloaded")
    }))

  it(
    "connects by itself when the proxy has room again",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ max_client_conn: 2 })
        const others = yield* Scope.make()
        yield* Scope.provide(crowd(bouncer.url(), 2), others)
        const retry = { initial: 100, max: 200, factor: 2, jitter: 0 }
        const pool = yield* before(bouncer, makePool("patient", { ...single, startup: "background", retry }))
        const asking = yield* Effect.forkChild(
          ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7"))
        )
        yield* eventually(ConnectionPool.status(pool), ({ connectFailures }) => connectFailures >= 2)
        yield* Scope.close(others, Exit.void)
        assert.strictEqual(yield* Fiber.join(asking), 7)
      }),
    together
  )

  it(
    "names query_wait_timeout as the cause, and opens another connection",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ default_pool_size: 1, query_wait_timeout: 0.3 })
        const busy = yield* before(bouncer, makePool("busy", single))
        const waiting = yield* before(bouncer, makePool("waiting", single))
        const error = yield* ConnectionPool.use(busy, (connection) =>
          Effect.gen(function* () {
            yield* connection.query("begin")
            const failed = yield* Effect.flip(ConnectionPool.use(waiting, (c) => c.query("select 1")))
            yield* connection.query("commit")
            return failed
          })
        )
        assert.deepStrictEqual(refusal(error), { failure: "query_wait_timeout", kind: "overloaded" })
        assert.strictEqual(yield* ConnectionPool.use(waiting, (connection) => valueOf(connection, "select 7")), 7)
        const { created } = yield* ConnectionPool.status(waiting)
        assert.strictEqual(created, 2)
      }),
    together
  )

  it(
    "notices at once, without a query, that the proxy has ended an idle connection",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ client_idle_timeout: 1 })
        const config = { minConnections: 2, maxConnections: 2, healthCheckInterval: Infinity, checkAfterIdle: Infinity }
        const pool = yield* before(bouncer, makePool("idle", config))
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        const closed = ConnectionPool.events(pool).pipe(
          Stream.filter((event) => event._tag === "ConnectionClosed"),
          Stream.map(({ reason }) => reason),
          Stream.take(2),
          Stream.runCollect
        )
        assert.deepStrictEqual([...(yield* Effect.timeout(closed, 3000))], ["died", "died"])
        // Nobody met it, and there are two again.
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
      }),
    together
  )

  it(
    "lets no borrower meet a connection that the proxy ended, at whatever time he comes",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ client_idle_timeout: 1 })
        const profile = Postgres.pgBouncerPool({ poolSize: 3, clientIdleTimeout: "1 second" })
        const pool = yield* before(bouncer, makePool("profile", profile))
        const ask = (millis: number) =>
          Effect.delay(
            ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")),
            millis
          )
        const answers = yield* Effect.forEach([0, 700, 1150], ask)
        assert.deepStrictEqual(answers, [7, 7, 7])
        const ended = (yield* bouncer.log).split("pooler error: client_idle_timeout").length - 1
        // The pool was first, every time.
        assert.strictEqual(ended, 0)
      }),
    together
  )

  it("tells a wrong password at the proxy, and goes on by itself when it is right again", () =>
    Effect.gen(function* () {
      const bouncer = yield* makeBouncer({ auth_type: "scram-sha-256" }, { password: "second" })
      const url = bouncer.url()
      const error = yield* connectFailure({ url, password: "first" })
      assert.deepStrictEqual(refusal(error), { failure: "authentication", kind: "permanent" })
      assert.notInclude(error.message, "first")
      // The secret is asked for at every attempt, and the proxy learns it later.
      const connector = Postgres.pgBouncer({ url, password: Effect.succeed(Redacted.make("third")) })
      const retry = { initial: 50, max: 100, factor: 1, jitter: 0 }
      const pool = yield* Effect.provide(
        ConnectionPool.make(connector, { ...single, startup: "background", retry, acquireTimeout: "10 seconds" }),
        silent
      )
      const asking = yield* Effect.forkChild(ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")))
      yield* eventually(ConnectionPool.status(pool), ({ connectFailures }) => connectFailures > 0)
      yield* bouncer.setPassword("third")
      assert.strictEqual(yield* Fiber.join(asking), 7)
    }))

  const refusals: Readonly<
    Record<string, (bouncer: PgBouncerServer.PgBouncerServer) => Effect.Effect<Postgres.PgBouncerOptions, unknown>>
  > = {
    no_such_database: (bouncer) => Effect.succeed({ url: bouncer.url("nowhere") }),
    database_disabled: (bouncer) => Effect.as(bouncer.admin("DISABLE other"), { url: bouncer.url("other") }),
    authentication: (bouncer) => Effect.succeed({ url: bouncer.url(), username: "nobody" }),
    startup_parameter: (bouncer) =>
      Effect.succeed({
        url: bouncer.url(),
        startupParameters: { search_path: "app" },
        // So says the program, and the proxy knows nothing of it.
        trackedParameters: ["search_path"]
      }),
    prepared_statements: (bouncer) => Effect.succeed({ url: bouncer.url(), preparedStatements: true })
  }
  for (const [failure, prepare] of Object.entries(refusals)) {
    it(`takes a refusal to connect for what it is: ${failure} is permanent`, () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer()
        const error = yield* connectFailure(yield* prepare(bouncer))
        assert.deepStrictEqual(refusal(error), { failure, kind: "permanent" })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent")
      }))
  }

  it("finds no fault with prepared statements where there is no proxy", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const connector = Postgres.pgBouncer({ url, preparedStatements: true })
      const pool = yield* Effect.provide(ConnectionPool.make(connector, { ...single, startup: "failFast" }), silent)
      const names = yield* ConnectionPool.use(pool, (connection) =>
        Effect.andThen(
          connection.query("select 1"),
          valueOf(connection, "select count(*)::int from pg_prepared_statements")
        )
      )
      assert.strictEqual(names, 3)
    }))

  it("names the server as the cause while the proxy cannot reach it, and serves when it can", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const bouncer = yield* makeBouncer({ query_wait_timeout: 0.3, server_login_retry: 0.1 })
      const retry = { initial: 100, max: 200 }
      const pool = yield* before(bouncer, makePool("headless", { ...single, retry }))
      const ask = ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7"))
      yield* ask
      const errors = yield* Effect.acquireUseRelease(
        server.kill,
        () => Effect.all([Effect.flip(ask), Effect.flip(ask), Effect.flip(ask)]),
        () => Effect.orDie(server.start)
      )
      // The proxy may not have noticed before the first of them.
      const known = new Set<unknown>(["server_lost", "server_login_failing", "query_wait_timeout"])
      const failures = errors.map((error) => refusal(error)?.failure)
      assert.isTrue(
        failures.every((failure) => known.has(failure)),
        failures.join()
      )
      yield* eventually(Effect.exit(ask), Exit.isSuccess)
    }))

  it("names idle_transaction_timeout as the cause to a borrower that kept a transaction waiting", () =>
    Effect.gen(function* () {
      const bouncer = yield* makeBouncer({ idle_transaction_timeout: 0.3 })
      const pool = yield* before(bouncer, makePool("sleepy", single))
      const error = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("begin")
          yield* eventually(bouncer.log, (log) => log.includes("pooler error: idle transaction timeout"))
          return yield* Effect.flip(connection.query("select 1"))
        })
      )
      assert.strictEqual(refusal(error)?.failure, "idle_transaction_timeout")
      assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
    }))

  // Without openssl there is no certificate to be had, as in the tests of TLS without a proxy.
  if (Certificate.hasOpenssl) {
    const tls = Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-tls-"))),
        (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
      )
      fs.chmodSync(folder, 0o755)
      const { cert, key } = Certificate.make(folder, "localhost")!
      const bouncer = yield* makeBouncer({
        default_pool_size: 1,
        query_wait_timeout: 0.3,
        client_tls_sslmode: "require",
        client_tls_cert_file: cert,
        client_tls_key_file: key
      })
      return { folder, bouncer, ssl: { ca: fs.readFileSync(cert), servername: "localhost" } }
    })

    it("hears the proxy's last words under TLS too", () =>
      Effect.gen(function* () {
        const { bouncer, ssl } = yield* tls
        const busy = yield* before(bouncer, makePool("busy", single, { ssl }))
        const waiting = yield* before(bouncer, makePool("waiting", single, { ssl }))
        const error = yield* ConnectionPool.use(busy, (connection) =>
          Effect.andThen(
            connection.query("begin"),
            Effect.flip(ConnectionPool.use(waiting, (c) => c.query("select 1")))
          )
        )
        assert.strictEqual(refusal(error)?.failure, "query_wait_timeout")
      }))

    it("is told that the proxy wants TLS", () =>
      Effect.gen(function* () {
        const { bouncer } = yield* tls
        const error = yield* connectFailure({ url: bouncer.url() })
        assert.deepStrictEqual(refusal(error), { failure: "configuration", kind: "permanent" })
      }))

    it("takes a certificate that was replaced for a permanent failure, and keeps what is open", () =>
      Effect.gen(function* () {
        const { bouncer, folder, ssl } = yield* tls
        const pool = yield* before(bouncer, makePool("trusting", single, { ssl }))
        yield* ConnectionPool.use(pool, (connection) => connection.query("select 1"))
        Certificate.make(folder, "localhost")
        yield* bouncer.admin("RELOAD")
        const error = yield* connectFailure({ url: bouncer.url(), ssl })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent")
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
        const renewed = { ca: fs.readFileSync(path.join(folder, "localhost.crt")), servername: "localhost" }
        const next = yield* before(bouncer, makePool("renewed", single, { ssl: renewed }))
        assert.strictEqual(yield* ConnectionPool.use(next, (connection) => valueOf(connection, "select 7")), 7)
      }))
  }
})
