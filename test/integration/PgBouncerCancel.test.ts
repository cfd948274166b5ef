/**
 * What an interrupted statement costs behind PgBouncer: its own connection at most, and never another client's statement,
 * though both share the server connections.
 */
import { assert } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { DatabaseConnection } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import * as PgBouncerServer from "../support/PgBouncerServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { Bouncer, behindPgBouncer, makeBouncer, makePool, silent, together } from "./Bouncer.ts"
import { backendPid, type Connection, observer, Server, single, valueOf } from "./Server.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

/** Runs it with the proxy of the test instead of the file's. */
const before = <A, E, R>(bouncer: PgBouncerServer.PgBouncerServer, effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, Bouncer, bouncer)

/** Borrows a connection, and gives up a statement after so many milliseconds. */
const impatient = (pool: Pool, sql: string, millis: number) =>
  Effect.exit(ConnectionPool.use(pool, (connection) => Effect.timeout(connection.query(sql), millis)))

/** Statements of a kind that the server is running. */
const running = (outside: Connection, like: string) =>
  valueOf(
    outside,
    "select count(*)::int from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid()",
    [`%${like}%`]
  )

const linesOf = (bouncer: PgBouncerServer.PgBouncerServer, words: string) =>
  Effect.map(bouncer.log, (log) => log.split("\n").filter((line) => line.includes(words)).length)

behindPgBouncer("Postgres.pgBouncer: a statement that is interrupted", (it) => {
  it("is cancelled on the server, and its connection goes on", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("well", single)
      for (let n = 0; n < 10; n++) yield* impatient(pool, "select pg_sleep(61)", 20)
      assert.strictEqual(yield* running(outside, "pg_sleep(61)"), 0)
      assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
      const { closed, created } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
    }))

  it("is cancelled on the server when it has run for longer than the query timeout", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const bouncer = yield* Bouncer
      const connector = DatabaseConnection.connector(Postgres.pgBouncer({ url: bouncer.url() }), Postgres.queries)
      const pool = yield* ConnectionPool.make(connector, { ...single, queryTimeout: 100 })
      const error = yield* Effect.flip(
        ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(62)"))
      )
      assert.strictEqual(error._tag, "QueryTimeout")
      assert.strictEqual(yield* running(outside, "pg_sleep(62)"), 0)
      yield* ConnectionPool.use(pool, (connection) => connection.query("select 1"))
      assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
    }).pipe(Effect.provide(silent)))

  it("is not cancelled when its connection is closed under it: the proxy has forgotten whose it was", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const { port } = yield* Bouncer
      const proxy = yield* TcpProxy.make(port)
      const pool = yield* makePool("revoked", single, { port: proxy.port })
      const borrower = yield* Effect.forkChild(
        Effect.flip(ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(1.5)")))
      )
      yield* eventually(running(outside, "pg_sleep(1.5)"), (count) => count === 1)
      yield* ConnectionPool.recycle(pool, { interrupt: true })
      yield* Fiber.join(borrower)
      yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7"))
      assert.strictEqual(yield* running(outside, "pg_sleep(1.5)"), 1)
      assert.lengthOf(proxy.attempts, 2)
    }))

  it("never has another client's statement cancelled, however close it is to its end", () =>
    Effect.gen(function* () {
      const bouncer = yield* makeBouncer({ default_pool_size: 10 })
      const sizes = { minConnections: 8, maxConnections: 8 }
      const ours = yield* before(bouncer, makePool("ours", sizes))
      const others = yield* before(bouncer, makePool("others", sizes))
      let isOver = false
      let asked = 0
      let answered = 0
      const other = Effect.whileLoop({
        while: () => !isOver,
        body: () =>
          ConnectionPool.use(others, (connection) =>
            valueOf(connection, "select $1::int from pg_sleep(0.004)", [++asked])
          ),
        step: () => {
          answered++
        }
      })
      const asking = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.forkChild(other))
      // The driver asks for the cancel 10 ms after it was interrupted: that is about when these end by themselves.
      yield* Effect.forEach(
        Array.from({ length: 400 }, (_, n) => n),
        (n) => impatient(ours, `select pg_sleep(${0.008 + (n % 12) * 0.001})`, 2),
        { concurrency: 8, discard: true }
      )
      isOver = true
      // Fails if a single one of them has failed.
      yield* Effect.forEach(asking, Fiber.join, { discard: true })
      assert.isAbove(answered, 100)
      assert.isAbove(yield* linesOf(bouncer, "successfully sent cancel request"), 50)
      assert.isAbove(yield* linesOf(bouncer, "cancel request for idle client"), 10)
    }))

  it(
    "hits nobody with a request that reaches the proxy late",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ default_pool_size: 1 })
        const proxy = yield* TcpProxy.make(bouncer.port)
        const ours = yield* before(bouncer, makePool("late", single, { port: proxy.port }))
        const others = yield* before(bouncer, makePool("others", single))
        const pid = yield* ConnectionPool.use(ours, backendPid)
        // The request is stuck on its way to the proxy, and nothing else.
        yield* proxy.muteNewcomers
        const first = yield* Effect.forkChild(impatient(ours, "select pg_sleep(0.3)", 100))
        yield* eventually(
          Effect.sync(() => proxy.attempts),
          ({ length }) => length === 2
        )
        const outside = yield* observer
        yield* eventually(running(outside, "pg_sleep(0.3)"), (count) => count === 0)
        // The same server connection works for another client when it arrives.
        const other = yield* Effect.forkChild(
          ConnectionPool.use(others, (connection) => valueOf(connection, "select pg_backend_pid() from pg_sleep(0.5)"))
        )
        yield* eventually(running(outside, "pg_sleep(0.5)"), (count) => count === 1)
        yield* proxy.heal
        assert.strictEqual(yield* Fiber.join(other), pid)
        yield* Fiber.join(first)
        assert.strictEqual(yield* linesOf(bouncer, "cancel request for idle client"), 1)
      }),
    together
  )

  it(
    "hits nobody with a request that the proxy brings to the server late",
    () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const network = yield* TcpProxy.make(port)
        const bouncer = yield* PgBouncerServer.make({ serverPort: network.port, settings: { default_pool_size: 1 } })
        const ours = yield* before(bouncer, makePool("late", single))
        const others = yield* before(bouncer, makePool("others", single))
        const pid = yield* ConnectionPool.use(ours, backendPid)
        yield* ConnectionPool.use(others, backendPid)
        const seen = network.attempts.length
        yield* network.muteNewcomers
        const first = yield* Effect.forkChild(impatient(ours, "select pg_sleep(0.3)", 100))
        yield* eventually(
          Effect.sync(() => network.attempts),
          ({ length }) => length === seen + 1
        )
        yield* Fiber.join(first)
        const other = yield* Effect.forkChild(
          ConnectionPool.use(others, (connection) => valueOf(connection, "select pg_backend_pid() from pg_sleep(0.2)"))
        )
        yield* eventually(bouncer.admin("SHOW POOLS"), (rows) => rows.some((row) => Number(row["cl_waiting"]) === 1))
        // The proxy keeps the server connection from everybody until the request is through.
        const outside = yield* observer
        assert.strictEqual(yield* running(outside, "pg_sleep(0.2)"), 0)
        yield* network.serveNewcomers
        yield* network.heal
        assert.strictEqual(yield* Fiber.join(other), pid)
      }),
    together
  )

  it(
    "is forgotten by the proxy if it was still waiting there, and its caller is let go after a second",
    () =>
      Effect.gen(function* () {
        const outside = yield* observer
        yield* outside.query("drop table if exists queued")
        yield* outside.query("create table queued (id int)")
        const bouncer = yield* makeBouncer({ default_pool_size: 1 })
        const busy = yield* before(bouncer, makePool("busy", single))
        const waiting = yield* before(bouncer, makePool("waiting", single))
        const holding = yield* ConnectionPool.use(busy, (connection) =>
          Effect.gen(function* () {
            yield* connection.query("begin")
            yield* connection.query("select 1")
            const [took] = yield* Effect.timed(impatient(waiting, "insert into queued values (1)", 100))
            yield* connection.query("commit")
            return took
          })
        )
        assert.isBelow(Duration.toMillis(holding), 2000)
        assert.strictEqual(yield* ConnectionPool.use(waiting, (connection) => valueOf(connection, "select 7")), 7)
        assert.strictEqual(yield* valueOf(outside, "select count(*)::int from queued"), 0)
        const { closed, created } = yield* ConnectionPool.status(waiting)
        assert.deepStrictEqual({ created, closed }, { created: 2, closed: 1 })
      }),
    together
  )

  it(
    "costs its connection where requests are not safe, and no request is sent",
    () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer()
        const outside = yield* observer
        const pool = yield* before(bouncer, makePool("old", single, { cancel: "disconnect" }))
        const [took] = yield* Effect.timed(impatient(pool, "select pg_sleep(0.63)", 20))
        assert.isBelow(Duration.toMillis(took), 500)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
        assert.strictEqual(yield* linesOf(bouncer, "cancel request"), 0)
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 2)
        // The server finishes it, for nobody.
        yield* eventually(running(outside, "pg_sleep(0.63)"), (count) => count === 0)
      }),
    together
  )

  it("is cancelled where the proxy has no room for another client", () =>
    Effect.gen(function* () {
      const bouncer = yield* makeBouncer({ max_client_conn: 1 })
      const pool = yield* before(bouncer, makePool("full", single))
      yield* impatient(pool, "select pg_sleep(64)", 20)
      const outside = yield* observer
      assert.strictEqual(yield* running(outside, "pg_sleep(64)"), 0)
      yield* ConnectionPool.use(pool, (connection) => connection.query("select 1"))
      assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
    }))
})
