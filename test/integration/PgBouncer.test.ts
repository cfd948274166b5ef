/** What borrowers may and may not do behind PgBouncer, and what they leave to each other. */
import { assert } from "@effect/vitest"
import { Effect, Exit, Queue, Stream } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { eventually } from "../support/Eventually.ts"
import { Bouncer, behindPgBouncer, makeBouncer, makePool } from "./Bouncer.ts"
import { backendPid, type Connection, observer, rowsOf, single, valueOf } from "./Server.ts"

/** What each of these leaves on a session of one's own. */
const refusals: Readonly<Record<string, (connection: Connection) => Effect.Effect<unknown, unknown>>> = {
  setting: (connection) => connection.query("set app.tenant = 'seven'"),
  listener: (connection) => connection.query("listen orders"),
  "prepared statement": (connection) => connection.query("prepare p as select 1"),
  "temporary object": (connection) => connection.query("create temp table scratch (id int)"),
  "advisory lock": (connection) => connection.query("select pg_advisory_lock(7)"),
  cursor: (connection) => connection.query("declare c cursor with hold for select 1")
}

/** Ways to a statement other than `query`. */
const detours: typeof refusals = {
  "as rows of values": (connection) => connection.queryValues("set app.tenant = 'seven'"),
  "as a stream": (connection) => Stream.runDrain(connection.stream("set app.tenant = 'seven'")),
  "on a pinned connection": (connection) =>
    Effect.scoped(Effect.flatMap(connection.pin, (pinned) => pinned.query("set app.tenant = 'seven'"))),
  "as a listener": (connection) => Effect.scoped(connection.listen("orders"))
}

/** What may be left on a server session. */
const leftovers = `select
  (select count(*) from pg_listening_channels())::int as listeners,
  (select count(*) from pg_prepared_statements)::int as statements,
  (select count(*) from pg_cursors where is_holdable)::int as cursors,
  (select count(*) from pg_locks where locktype = 'advisory')::int as locks,
  (select count(*) from pg_class where relpersistence = 't')::int as tables,
  coalesce(current_setting('app.tenant', true), '') as tenant`

const nothing = { listeners: 0, statements: 0, cursors: 0, locks: 0, tables: 0, tenant: "" }

behindPgBouncer("Postgres.pgBouncer", (it) => {
  for (const [state, leave] of Object.entries(refusals)) {
    it(`refuses to leave a session state (${state}), and goes on`, () =>
      Effect.gen(function* () {
        const pool = yield* makePool("refusing", single)
        const [error, after] = yield* ConnectionPool.use(pool, (connection) =>
          Effect.all([Effect.flip(leave(connection)), valueOf(connection, "select 7")])
        )
        assert.strictEqual(Postgres.sessionStateRefusedIn(error)?.state, state)
        assert.strictEqual(after, 7)
        assert.strictEqual((yield* ConnectionPool.status(pool)).closed, 0)
      }))
  }

  for (const [way, leave] of Object.entries(detours)) {
    it(`refuses to leave anything ${way}`, () =>
      Effect.gen(function* () {
        const pool = yield* makePool("refusing", single)
        const error = yield* ConnectionPool.use(pool, (connection) => Effect.flip(leave(connection)))
        assert.isDefined(Postgres.sessionStateRefusedIn(error))
      }))
  }

  it("says in one sentence what was refused, why, and what to do", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("refusing", single)
      const error = yield* ConnectionPool.use(pool, (c) => Effect.flip(c.query("set app.secret = 'hunter2'")))
      assert.strictEqual(
        error.message,
        "refused behind PgBouncer: `set app.secret = ''` would leave a setting on a server connection that goes to another " +
          "client next; use `set local`, or `set_config` with a literal `true`, inside a transaction; or `alter role ... set`."
      )
    }))

  it("lets a transaction have settings, locks, cursors and temporary tables of its own, and leaves none of them", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("transactional", { minConnections: 1, maxConnections: 1 })
      const within = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("begin")
          yield* connection.query("set local app.tenant = 'seven'")
          yield* connection.query("select pg_advisory_xact_lock(7)")
          yield* connection.query("declare c cursor for select 1")
          yield* connection.query("create temp table scratch (id int) on commit drop")
          const [found] = yield* rowsOf(connection, leftovers)
          yield* connection.query("commit")
          return found
        })
      )
      assert.deepStrictEqual(within, { ...nothing, locks: 1, tables: 1, tenant: "seven" })
      const [next] = yield* ConnectionPool.use(pool, (connection) => rowsOf(connection, leftovers))
      assert.deepStrictEqual(next, nothing)
    }))

  it("leaves nothing on any server connection, whatever its borrowers try", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("leaving", { minConnections: 6, maxConnections: 6 })
      const attempts = [...Object.values(refusals), ...Object.values(detours)]
      const rude = Effect.forEach(
        Array.from({ length: 120 }),
        (_, index) =>
          ConnectionPool.use(pool, (connection) => Effect.ignore(attempts[index % attempts.length]!(connection))),
        { concurrency: 20, discard: true }
      )
      yield* rude
      const looks = yield* Effect.forEach(
        Array.from({ length: 30 }),
        () =>
          ConnectionPool.use(pool, (connection) =>
            Effect.zip(backendPid(connection), rowsOf(connection, `${leftovers}, pg_sleep(0.02)::text as slept`))
          ),
        { concurrency: 6 }
      )
      // The three server connections of the proxy.
      assert.strictEqual(new Set(looks.map(([pid]) => pid)).size, 3)
      for (const [, [found]] of looks) assert.deepStrictEqual(found, { ...nothing, slept: "" })
    }))

  it("sends no statement under a name", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("nameless", single)
      const names = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("begin")
          for (let n = 0; n < 3; n++) yield* connection.query("select $1::int", [n], true)
          const found = yield* rowsOf(connection, "select name from pg_prepared_statements")
          yield* connection.query("commit")
          return found
        })
      )
      assert.deepStrictEqual(names, [])
    }))

  it("serves more borrowers than there are server connections, each with its own answer", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("many", { minConnections: 1, maxConnections: 10 })
      const answers = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, n) => n),
        (n) =>
          ConnectionPool.use(pool, (connection) => valueOf(connection, "select $1::int from pg_sleep(0.001)", [n])),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        answers,
        Array.from(answers, (_, n) => n)
      )
    }))

  for (const ending of ["returns", "fails", "is interrupted"] as const) {
    it(`ends a transaction that is open when its borrower ${ending}, and the next one does not see it`, () =>
      Effect.gen(function* () {
        const outside = yield* observer
        yield* outside.query("drop table if exists left_open")
        yield* outside.query("create table left_open (id int)")
        const pool = yield* makePool("open", single)
        const leave = (connection: Connection) =>
          Effect.gen(function* () {
            yield* connection.query("begin")
            yield* connection.query("insert into left_open values (1)")
            yield* connection.query("set local app.tenant = 'seven'")
            if (ending === "fails") yield* connection.query("select 1 / 0")
            if (ending === "is interrupted") return yield* Effect.interrupt
          })
        yield* Effect.exit(ConnectionPool.use(pool, leave))
        const seen = yield* ConnectionPool.use(pool, (connection) =>
          Effect.all([
            valueOf(connection, "select count(*)::int from left_open"),
            valueOf(connection, "select coalesce(current_setting('app.tenant', true), '')")
          ])
        )
        assert.deepStrictEqual(seen, [0, ""])
        const open = "select count(*)::int from pg_stat_activity where state like 'idle in transaction%'"
        yield* eventually(valueOf(outside, open), (count) => count === 0)
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
      }))
  }

  it("gives a server connection back to the proxy between two transactions of one borrower", () =>
    Effect.gen(function* () {
      const bouncer = yield* Bouncer
      const pool = yield* makePool("resting", single)
      yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("begin")
          yield* connection.query("commit")
          const pools = yield* bouncer.admin("SHOW POOLS")
          const active = pools.filter((row) => row["database"] === "app").map((row) => Number(row["sv_active"]))
          assert.deepStrictEqual(active, [0])
        })
      )
    }))

  it("sends nothing between two borrowers that left nothing", () =>
    Effect.gen(function* () {
      const bouncer = yield* Bouncer
      const pool = yield* makePool("quiet", single, { url: bouncer.url("other") })
      const statements = Effect.map(bouncer.admin("SHOW STATS_TOTALS"), (rows) =>
        Number(rows.find((row) => row["database"] === "other")?.["query_count"] ?? 0)
      )
      yield* ConnectionPool.use(pool, backendPid)
      const before = yield* statements
      for (let n = 0; n < 10; n++) {
        yield* ConnectionPool.use(pool, (connection) =>
          Effect.gen(function* () {
            yield* connection.query("begin")
            yield* connection.query("set local app.tenant = 'seven'")
            yield* connection.query("create table if not exists made (id int)")
            yield* connection.query("commit")
          })
        )
      }
      assert.strictEqual((yield* statements) - before, 40)
    }))

  it("streams, and keeps what a savepoint keeps", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("working", single)
      const outside = yield* observer
      yield* outside.query("drop table if exists saved")
      yield* outside.query("create table saved (id int)")
      const streamed = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("begin")
          yield* connection.query("insert into saved values (1)")
          yield* connection.query("savepoint a")
          yield* connection.query("insert into saved values (2)")
          yield* connection.query("rollback to savepoint a")
          yield* connection.query("commit")
          return yield* Stream.runCount(connection.stream("select n from generate_series(1, 5000) as n"))
        })
      )
      assert.strictEqual(streamed, 5000)
      assert.deepStrictEqual(yield* outside.queryValues("select id from saved"), [[1]])
    }))

  it("notifies those who listen on the server itself", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("notifying", single)
      const outside = yield* observer
      const heard = yield* outside.listen("orders")
      yield* ConnectionPool.use(pool, (connection) => connection.query("notify orders, 'seven'"))
      assert.strictEqual((yield* Queue.take(heard)).payload, "seven")
    }))

  it("names its connections on the server", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("orders-service", single)
      yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          const pid = yield* backendPid(connection)
          yield* connection.query("begin")
          yield* connection.query("select 1")
          const sql = "select count(*)::int from pg_stat_activity where application_name = 'orders-service'"
          assert.isAtLeast((yield* valueOf(outside, sql)) as number, 1, String(pid))
          yield* connection.query("commit")
        })
      )
    }))

  it("has every statement run with the startup parameters that the proxy tracks", () =>
    Effect.gen(function* () {
      const tokyo = yield* makePool("tokyo", single, { startupParameters: { TimeZone: "Asia/Tokyo" } })
      const lima = yield* makePool("lima", single, { startupParameters: { TimeZone: "America/Lima" } })
      const zoneOf = (pool: ConnectionPool.ConnectionPool<Connection>) =>
        ConnectionPool.use(pool, (connection) => valueOf(connection, "show timezone"))
      for (let n = 0; n < 5; n++) {
        assert.deepStrictEqual(yield* Effect.all([zoneOf(tokyo), zoneOf(lima)]), ["Asia/Tokyo", "America/Lima"])
      }
    }))

  it("reports every option that PgBouncer would refuse, before the first attempt", () =>
    Effect.gen(function* () {
      const connector = Postgres.pgBouncer({
        url: "postgres://app:hunter2@localhost/app?options=-cgeqo%3Doff",
        port: 0,
        startupParameters: { statement_timeout: "30s", TimeZone: "UTC", Search_Path: "app" },
        trackedParameters: ["search_path"],
        driver: { prepare: true, startupOptions: "-c geqo=off" }
      })
      const error = yield* Effect.flip(Effect.scoped(ConnectionPool.make(connector, { maxConnections: 0 })))
      assert.strictEqual(error._tag, "PoolConfigError")
      assert.sameMembers(error._tag === "PoolConfigError" ? error.problems.map(({ field }) => field) : [], [
        "maxConnections",
        "port",
        "startupParameters.statement_timeout",
        "driver.startupOptions",
        "url",
        "driver.prepare"
      ])
      assert.notInclude(error.message, "hunter2")
    }))

  it("ends the transaction of a borrower that dies in it", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("dying", single)
      const exit = yield* Effect.exit(
        ConnectionPool.use(pool, (connection) =>
          Effect.andThen(connection.query("begin"), Effect.andThen(connection.query("select 1"), Effect.die("bug")))
        )
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7")), 7)
      const open = "select count(*)::int from pg_stat_activity where state like 'idle in transaction%'"
      yield* eventually(valueOf(outside, open), (count) => count === 0)
    }))

  for (const [reset, left] of [
    [0, "seven"],
    [1, ""]
  ] as const) {
    it(`does not see what code on the server does, and the proxy ${reset === 1 ? "can be told to undo" : "leaves"} it`, () =>
      Effect.gen(function* () {
        const bouncer = yield* makeBouncer({ default_pool_size: 1, server_reset_query_always: reset })
        const through = Effect.provideService(Bouncer, bouncer)
        const one = yield* through(makePool("hiding", single))
        const other = yield* through(makePool("finding", single))
        const hidden = "do $$ begin perform set_config('app.tenant', 'seven', false); end $$"
        yield* ConnectionPool.use(one, (connection) => connection.query(hidden))
        const find = "select coalesce(current_setting('app.tenant', true), '')"
        assert.strictEqual(yield* ConnectionPool.use(other, (connection) => valueOf(connection, find)), left)
      }))
  }
})
