import { assert, layer } from "@effect/vitest"
import { Effect, Scheduler, Scope, Stream } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import {
  backendPid,
  type Connection,
  live,
  makePool,
  observer,
  prepareServer,
  rowsOf,
  runAll,
  serverWith,
  sessionsOf,
  single,
  valueOf
} from "./Server.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

/** The one connection of the pool is idle again: nothing is being done to it. */
const restored = (pool: Pool) => eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === 1 && total === 1)

/** What a borrower leaves behind, and what the next one must see. */
interface Remains {
  readonly name: string
  readonly leave: ReadonlyArray<string>
  readonly look: string
  readonly clean: unknown
}

const remains: ReadonlyArray<Remains> = [
  {
    name: "an open transaction",
    leave: ["begin", "insert into orders values (1)"],
    look: "select count(*)::int from orders",
    clean: 0
  },
  {
    name: "a failed transaction",
    leave: ["begin", "insert into orders values (1)", "select 1 / 0"],
    look: "select count(*)::int from orders",
    clean: 0
  },
  {
    name: "a savepoint in a failed transaction",
    leave: ["begin", "savepoint here", "select 1 / 0"],
    look: "select pg_current_xact_id_if_assigned() is null",
    clean: true
  },
  { name: "a setting", leave: ["set statement_timeout = '7s'"], look: "show statement_timeout", clean: "0" },
  {
    name: "a setting made by a select",
    leave: ["select set_config('work_mem', '7MB', false)"],
    look: "select current_setting('work_mem') <> '7MB'",
    clean: true
  },
  {
    name: "a setting of one's own",
    leave: ["set app.tenant = 'seven'"],
    look: "select coalesce(current_setting('app.tenant', true), '')",
    clean: ""
  },
  {
    name: "a read-only session",
    leave: ["create temp table scratch (id int)", "set default_transaction_read_only = on"],
    look: "select current_setting('default_transaction_read_only') || coalesce(to_regclass('scratch')::text, '')",
    clean: "off"
  },
  { name: "a role", leave: ["set role reader"], look: "select current_user::text", clean: "postgres" },
  {
    name: "a session authorization",
    leave: ["set session authorization reader"],
    look: "select session_user::text",
    clean: "postgres"
  },
  {
    name: "a role and a failed transaction",
    leave: ["set role reader", "begin", "select 1 / 0"],
    look: "select current_user::text",
    clean: "postgres"
  },
  {
    name: "a listener made by SQL",
    leave: ["listen orders"],
    look: "select count(*)::int from pg_listening_channels()",
    clean: 0
  },
  {
    name: "a temporary table",
    leave: ["create temp table scratch (id int)"],
    look: "select to_regclass('pg_temp.scratch') is null",
    clean: true
  },
  {
    name: "a temporary table made by a select",
    leave: ["select 1 as id into temp scratch"],
    look: "select to_regclass('pg_temp.scratch') is null",
    clean: true
  },
  {
    name: "a statement prepared by SQL",
    leave: ["prepare seven as select 7"],
    look: "select count(*)::int from pg_prepared_statements where from_sql",
    clean: 0
  },
  {
    name: "advisory locks",
    leave: ["select pg_advisory_lock(7)", "select pg_advisory_lock_shared(8)"],
    look: "select count(*)::int from pg_locks where locktype = 'advisory'",
    clean: 0
  },
  {
    name: "holdable cursors",
    leave: ["declare seven cursor with hold for select 7", 'declare "Odd ""name" cursor with hold for select 8'],
    look: "select count(*)::int from pg_cursors where is_holdable",
    clean: 0
  },
  {
    name: "the value of a sequence",
    leave: ["create temp sequence numbers", "select nextval('numbers')"],
    look: "select to_regclass('pg_temp.numbers') is null",
    clean: true
  },
  {
    name: "all of it at once",
    leave: [
      "set app.tenant = 'seven'",
      "listen orders",
      "create temp table scratch (id int)",
      "prepare seven as select 7",
      "select pg_advisory_lock(7)",
      "declare seven cursor with hold for select 7",
      "set role reader",
      "begin",
      "select 1 / 0"
    ],
    look: `select current_user || coalesce(current_setting('app.tenant', true), '') || ' ' || (
      (select count(*) from pg_listening_channels()) + (select count(*) from pg_prepared_statements where from_sql) +
      (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) +
      (select count(*) from pg_cursors where is_holdable))`,
    clean: "postgres 0"
  }
]

layer(serverWith(), live)("Postgres.connector: between two borrowers", (it) => {
  it.effect.each(remains)("leaves nothing of $name to the next borrower", ({ clean, leave, look }) =>
    Effect.gen(function* () {
      yield* prepareServer
      const pool = yield* makePool("reset")
      const pid = yield* ConnectionPool.use(pool, (connection) =>
        Effect.andThen(runAll(connection, leave), Effect.succeed(connection.processId))
      )
      assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 1)
      const seen = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          return { value: yield* valueOf(connection, look), pid: yield* backendPid(connection) }
        })
      )
      // The same session: it was made as new, not replaced.
      assert.deepStrictEqual(seen, { value: clean, pid })
      assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
    })
  )

  it.effect.each([
    { name: "committed", statements: ["begin", "insert into orders values (7)", "commit"] },
    {
      name: "rolled back",
      statements: ["begin isolation level serializable", "savepoint a", "rollback to a", "rollback"]
    },
    { name: "failed, and rolled back", statements: ["begin", "select 1 / 0", "rollback"] },
    { name: "failed, and committed in vain", statements: ["begin", "select 1 / 0", "commit"] }
  ])("has nothing to reset after a transaction that was $name", ({ statements }) =>
    Effect.gen(function* () {
      const outside = yield* prepareServer
      const pool = yield* makePool("ended")
      yield* ConnectionPool.use(pool, (connection) => runAll(connection, statements))
      const { idle, resetting } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ idle, resetting }, { idle: 1, resetting: 0 })
      const state = yield* valueOf(outside, "select state from pg_stat_activity where application_name = 'ended'")
      assert.strictEqual(state, "idle", "as the server sees it")
    })
  )

  it.effect.each([
    {
      name: "begun again by the same effect",
      run: (connection: Connection): Effect.Effect<unknown, unknown> => {
        const begin = connection.query("begin")
        return Effect.andThen(begin, Effect.andThen(connection.query("commit"), begin))
      }
    },
    {
      name: "begun while the end of the one before was on its way",
      run: (connection: Connection): Effect.Effect<unknown, unknown> =>
        Effect.andThen(
          connection.query("begin"),
          Effect.all([connection.query("commit"), connection.query("begin")], { concurrency: "unbounded" })
        )
    },
    {
      name: "chained",
      run: (connection: Connection): Effect.Effect<unknown, unknown> =>
        runAll(connection, ["begin", "commit and chain"])
    }
  ])("resets a transaction that was $name", ({ run }) =>
    Effect.gen(function* () {
      yield* prepareServer
      const pool = yield* makePool("open")
      yield* ConnectionPool.use(pool, run)
      assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 1)
      yield* restored(pool)
    })
  )

  it.effect("leaves no transaction open when a begin is overtaken by another fiber's commit", () =>
    Effect.gen(function* () {
      const outside = yield* prepareServer
      const pool = yield* makePool("overtaken")
      for (let budget = 3; budget <= 40; budget++) {
        yield* ConnectionPool.use(pool, (connection) =>
          Effect.all(
            [
              Effect.provideService(connection.query("begin"), Scheduler.MaxOpsBeforeYield, budget),
              connection.query("commit")
            ],
            { concurrency: "unbounded" }
          )
        )
        yield* restored(pool)
        const state = yield* valueOf(outside, "select state from pg_stat_activity where application_name = 'overtaken'")
        assert.strictEqual(state, "idle", `with a budget of ${budget} operations`)
      }
    })
  )

  it.effect("lets the next borrower's work be seen by others at once, after a transaction was left open", () =>
    Effect.gen(function* () {
      const outside = yield* prepareServer
      const pool = yield* makePool("visible")
      yield* ConnectionPool.use(pool, (connection) => connection.query("begin"))
      yield* ConnectionPool.use(pool, (connection) => connection.query("insert into orders values (7)"))
      assert.strictEqual(yield* valueOf(outside, "select count(*)::int from orders"), 1)
    })
  )

  it.effect("lets go of locks even if nobody borrows the connection again", () =>
    Effect.gen(function* () {
      const outside = yield* prepareServer
      const pool = yield* makePool("locks")
      yield* ConnectionPool.use(pool, (connection) => runAll(connection, ["begin", "lock table orders"]))
      yield* Effect.timeout(outside.query("insert into orders values (1)"), "5 seconds")
      yield* restored(pool)
    })
  )

  it.effect("returns to the connector's startup parameters", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("parameters", single, { startupParameters: { statement_timeout: "9s" } })
      yield* ConnectionPool.use(pool, (connection) => connection.query("set statement_timeout = '1s'"))
      assert.strictEqual(yield* ConnectionPool.use(pool, (c) => valueOf(c, "show statement_timeout")), "9s")
      assert.strictEqual(yield* ConnectionPool.use(pool, (c) => valueOf(c, "show application_name")), "parameters")
    })
  )

  it.effect("gives the next borrower another session while a pin outlives its lease", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("pinned", { ...single, resetTimeout: "200 millis" })
      const outer = yield* Scope.Scope
      const pinned = yield* ConnectionPool.use(pool, (connection) => Scope.provide(connection.pin, outer))
      yield* pinned.query("set app.tenant = 'seven'")
      const seen = yield* ConnectionPool.use(pool, (connection) =>
        rowsOf(
          connection,
          "select pg_backend_pid() as pid, coalesce(current_setting('app.tenant', true), '') as tenant"
        )
      )
      assert.notStrictEqual(seen[0]?.["pid"], pinned.processId)
      assert.strictEqual(seen[0]?.["tenant"], "")
      const late = yield* Effect.flip(pinned.query("select 1"))
      assert.strictEqual(late._tag, "SqlError")
    })
  )

  it.effect("gives the next borrower another session while a listener outlives its lease", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("listening", { ...single, resetTimeout: "200 millis" })
      const outer = yield* Scope.Scope
      const first = yield* ConnectionPool.use(pool, (connection) =>
        Effect.as(Scope.provide(connection.listen("orders"), outer), connection.processId)
      )
      const seen = yield* ConnectionPool.use(pool, (connection) =>
        rowsOf(connection, "select pg_backend_pid() as pid, count(*)::int as channels from pg_listening_channels()")
      )
      assert.notStrictEqual(seen[0]?.["pid"], first)
      assert.strictEqual(seen[0]?.["channels"], 0)
    })
  )

  it.effect("resets what was done on a connection pinned inside the lease", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("pinned inside")
      const pid = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* ConnectionPool.acquire(pool)
          const pinned = yield* connection.pin
          yield* runAll(pinned, ["set app.tenant = 'seven'", "begin"])
          return connection.processId
        })
      )
      const seen = yield* ConnectionPool.use(pool, (connection) =>
        rowsOf(
          connection,
          "select pg_backend_pid() as pid, coalesce(current_setting('app.tenant', true), '') as tenant"
        )
      )
      assert.deepStrictEqual(seen, [{ pid, tenant: "" }])
    })
  )

  it.effect("listens, is notified, and no longer listens when the lease has ended", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("notified")
      const notification = yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* ConnectionPool.acquire(pool)
          const queue = yield* connection.listen("orders")
          yield* outside.query("select pg_notify('orders', 'seven')")
          return yield* Stream.runHead(Stream.fromQueue(queue))
        })
      )
      assert.strictEqual(notification._tag === "Some" ? notification.value.payload : undefined, "seven")
      const channels = "select count(*)::int from pg_listening_channels()"
      assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, channels)), 0)
    })
  )

  it.effect("resets nothing after a plain select: no state changes and the server sees no other statement", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("plain")
      for (let round = 0; round < 20; round++) {
        yield* ConnectionPool.use(pool, (connection) => connection.query("select 'plain'"))
        const { idle, resetting } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ idle, resetting }, { idle: 1, resetting: 0 })
      }
      const seen = yield* sessionsOf(outside, "plain")
      assert.deepStrictEqual(
        seen.map(({ query }) => query),
        ["select 'plain'"]
      )
    })
  )

  it.effect("resets after every lease with reset: always", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const pool = yield* makePool("always", single, { reset: "always" })
      yield* ConnectionPool.use(pool, (connection) => connection.query("select 'plain'"))
      assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 1)
      yield* restored(pool)
      const [session] = yield* sessionsOf(outside, "always")
      assert.include(session?.query, "unlisten")
    })
  )

  it.effect("resets after no lease with reset: never", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("never", single, { reset: "never" })
      yield* ConnectionPool.use(pool, (connection) => connection.query("set app.tenant = 'seven'"))
      assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 0)
      const tenant = yield* ConnectionPool.use(pool, (c) => valueOf(c, "select current_setting('app.tenant', true)"))
      assert.strictEqual(tenant, "seven")
    })
  )

  it.effect("keeps the driver's own prepared statements through a reset, inside a transaction too", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("prepared")
      const sum = (connection: Connection) => valueOf(connection, "select $1::int + 1", [6])
      const prepared = (connection: Connection) =>
        valueOf(connection, "select count(*)::int from pg_prepared_statements where statement = 'select $1::int + 1'")
      yield* ConnectionPool.use(pool, (connection) =>
        Effect.andThen(sum(connection), connection.query("set role none"))
      )
      assert.strictEqual(yield* ConnectionPool.use(pool, prepared), 1)
      yield* ConnectionPool.use(pool, (connection) => runAll(connection, ["set role none", "discard temp"]))
      const seven = yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.query("begin")
          const seven = yield* sum(connection)
          yield* connection.query("commit")
          return seven
        })
      )
      assert.strictEqual(seven, 7)
      assert.strictEqual(yield* ConnectionPool.use(pool, sum), 7)
    })
  )

  it.effect("goes on when a borrower deallocated the driver's prepared statements", () =>
    Effect.gen(function* () {
      const pool = yield* makePool("deallocated")
      const sum = (connection: Connection) => valueOf(connection, "select $1::int + 1", [6])
      yield* ConnectionPool.use(pool, sum)
      yield* ConnectionPool.use(pool, (connection) => connection.query("deallocate all"))
      assert.strictEqual(yield* ConnectionPool.use(pool, sum), 7)
    })
  )
})
