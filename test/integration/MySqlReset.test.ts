/** What one borrower leaves behind, and the next one must not find. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import {
  type Connection,
  live,
  makePool,
  observer,
  rowsOf,
  serverWith,
  sessionsOf,
  single,
  titled,
  valueOf
} from "./MySqlServer.ts"

/** Something that a borrower does, and how to see it afterwards. */
interface Remain {
  readonly name: string
  readonly leave: ReadonlyArray<string>
  readonly look: string
  readonly clean: unknown
}

const remains: ReadonlyArray<Remain> = [
  { name: "a user variable", leave: ["set @tenant = 7"], look: "select @tenant", clean: null },
  { name: "a user variable set by a select", leave: ["select @tenant := 7"], look: "select @tenant", clean: null },
  {
    name: "a setting",
    leave: ["set sql_mode = 'ANSI', time_zone = '+05:00'"],
    look: "select @@time_zone",
    clean: "SYSTEM"
  },
  {
    name: "an isolation level",
    leave: ["set session transaction isolation level serializable"],
    look: "select @@tx_isolation",
    clean: "REPEATABLE-READ"
  },
  { name: "autocommit switched off", leave: ["set autocommit = 0"], look: "select @@autocommit", clean: 1 },
  {
    name: "a character set",
    leave: ["set names latin1"],
    look: "select concat(@@character_set_client, @@collation_connection)",
    clean: "utf8mb4utf8mb4_unicode_ci"
  },
  {
    name: "a temporary table",
    leave: ["create temporary table scratch (id int)", "insert into scratch values (7)"],
    look: "select count(*) from scratch",
    clean: 0
  },
  {
    name: "a lock with a name",
    leave: ["select get_lock('mine', 0)"],
    look: "select is_used_lock('mine')",
    clean: null
  },
  { name: "another database", leave: ["use mysql"], look: "select database()", clean: "test" },
  {
    name: "an open transaction",
    leave: ["begin", "insert into scratch values (7)"],
    look: "select count(*) from scratch",
    clean: 0
  },
  {
    name: "a transaction begun by switching autocommit off",
    leave: ["set autocommit = 0", "insert into scratch values (7)"],
    look: "select count(*) from scratch",
    clean: 0
  },
  {
    name: "locked tables",
    leave: ["lock tables scratch write"],
    look: "select count(*) from other_scratch",
    clean: 0
  }
]

const runAll = (connection: Connection, statements: ReadonlyArray<string>) =>
  Effect.forEach(statements, (sql) => connection.query(sql), { discard: true })

const prepared = Effect.gen(function* () {
  const outside = yield* observer
  yield* runAll(outside, [
    "drop table if exists scratch, other_scratch",
    "create table scratch (id int) engine = innodb",
    "create table other_scratch (id int) engine = innodb"
  ])
  return outside
})

describe.skipIf(unavailable !== undefined)(titled("MySql.connector: what borrowers leave"), () => {
  layer(
    serverWith(),
    live
  )((it) => {
    it.effect.each(remains)("leaves nothing of $name to the next borrower", ({ clean, leave, look, name }) =>
      Effect.gen(function* () {
        yield* prepared
        const pool = yield* makePool(`remains of ${name}`)
        const first = yield* ConnectionPool.use(pool, (c) =>
          Effect.andThen(runAll(c, leave), Effect.succeed(c.threadId))
        )
        const [second, seen] = yield* ConnectionPool.use(pool, (c) =>
          Effect.map(valueOf(c, look), (value) => [c.threadId, value] as const)
        )
        assert.deepStrictEqual([second, typeof clean === "number" ? Number(seen) : seen], [first, clean])
      })
    )

    it.effect("leaves no prepared statement to the next borrower", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("prepared by hand")
        yield* ConnectionPool.use(pool, (c) => c.query("prepare p from 'select 1'"))
        const error = yield* Effect.flip(ConnectionPool.use(pool, (c) => c.query("execute p")))
        assert.include(error.message, "Unknown prepared statement handler")
      })
    )

    it.effect("closes a connection whose borrower has chosen a database where there was none", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const port = Number(yield* valueOf(outside, "select @@port"))
        const pool = yield* makePool("astray", single, { url: `mysql://root@127.0.0.1:${port}` })
        const first = yield* ConnectionPool.use(pool, (c) => Effect.as(c.query("use test"), c.threadId))
        const [second, database] = yield* ConnectionPool.use(pool, (c) =>
          Effect.map(valueOf(c, "select database()"), (value) => [c.threadId, value] as const)
        )
        assert.notStrictEqual(second, first)
        assert.isNull(database)
      })
    )

    it.effect("lets go of locks even if nobody borrows the connection again", () =>
      Effect.gen(function* () {
        const outside = yield* prepared
        const pool = yield* makePool("locks")
        yield* outside.query("insert into scratch values (1)")
        yield* ConnectionPool.use(pool, (c) => runAll(c, ["begin", "update scratch set id = 2"]))
        yield* Effect.timeout(outside.query("update scratch set id = 3"), "2 seconds")
        assert.deepStrictEqual(yield* rowsOf(outside, "select id from scratch"), [{ id: 3 }])
      })
    )

    it.effect("returns to the connector's settings, and to the umlauts of its borrowers", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("settings", single, { settings: { time_zone: "+02:00", lock_wait_timeout: 7 } })
        const look = (c: Connection) =>
          rowsOf(c, "select @@time_zone as zone, @@lock_wait_timeout as wait, hex('ü€😀') as hex")
        const fresh = yield* ConnectionPool.use(pool, look)
        yield* ConnectionPool.use(pool, (c) => runAll(c, ["set time_zone = '+00:00', lock_wait_timeout = 99"]))
        assert.deepStrictEqual(fresh, [{ zone: "+02:00", wait: 7, hex: "C3BCE282ACF09F9880" }])
        assert.deepStrictEqual(yield* ConnectionPool.use(pool, look), fresh)
      })
    )

    it.effect("forgets the driver's prepared statements with the server, and prepares them anew", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("prepared", single, { reset: "always" })
        const answers = yield* Effect.forEach([1, 2, 3], (n) =>
          ConnectionPool.use(pool, (c) => valueOf(c, "select ? + 1", [n]))
        )
        assert.deepStrictEqual(answers.map(Number), [2, 3, 4])
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
      })
    )

    it.effect("resets nothing after plain statements and a whole transaction", () =>
      Effect.gen(function* () {
        yield* prepared
        const pool = yield* makePool("plain")
        yield* ConnectionPool.use(pool, (c) =>
          Effect.andThen(
            runAll(c, ["start transaction", "savepoint a", "insert into scratch values (1)"]),
            c.query("commit")
          )
        )
        yield* ConnectionPool.use(pool, (c) => c.execute("select id from scratch where id = ?", [1]))
        // A reset would have set the session's counters to zero.
        const kept = yield* ConnectionPool.use(pool, (c) => rowsOf(c, "show session status like 'Com_stmt_prepare'"))
        assert.deepStrictEqual(kept, [{ Variable_name: "Com_stmt_prepare", Value: "1" }])
      })
    )

    it.effect("resets after whatever was done with the driver's own connection", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("raw")
        yield* ConnectionPool.use(pool, ({ raw }) =>
          Effect.callback<void>((resume) => {
            raw.query("set @tenant = 7", () => resume(Effect.void))
          })
        )
        assert.isNull(yield* ConnectionPool.use(pool, (c) => valueOf(c, "select @tenant")))
      })
    )

    it.effect("resets after every lease with reset: always, and after none with reset: never", () =>
      Effect.gen(function* () {
        const always = yield* makePool("always", single, { reset: "always" })
        const never = yield* makePool("never", single, { reset: "never" })
        // Status counters of a session begin anew with a reset.
        const questions = (c: Connection) =>
          Effect.map(rowsOf(c, "show session status like 'Com_select'"), ([row]) => Number(row?.["Value"]))
        const select = (c: Connection) => Effect.repeat(c.query("select 1"), { times: 4 })
        yield* ConnectionPool.use(always, select)
        yield* ConnectionPool.use(never, (c) => Effect.andThen(c.query("set @tenant = 7"), select(c)))
        assert.isBelow(yield* ConnectionPool.use(always, questions), 5)
        assert.isAtLeast(yield* ConnectionPool.use(never, questions), 5)
        assert.strictEqual(Number(yield* ConnectionPool.use(never, (c) => valueOf(c, "select @tenant"))), 7)
      })
    )

    it.effect("waits for a statement that outlives its lease before it lends the connection on", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("outlived")
        const first = yield* ConnectionPool.use(pool, (c) =>
          Effect.gen(function* () {
            yield* Effect.forkDetach(c.query("set @tenant = sleep(0.2)"), { startImmediately: true })
            yield* eventually(sessionsOf(outside, "outlived"), ([session]) => session?.command === "Query")
            return c.threadId
          })
        )
        assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 1)
        const [second, tenant] = yield* ConnectionPool.use(pool, (c) =>
          Effect.map(valueOf(c, "select @tenant"), (value) => [c.threadId, value] as const)
        )
        assert.deepStrictEqual([second, tenant], [first, null])
      })
    )

    it.effect("gives 1,000 clients on 10 connections their own variables and transactions", () =>
      Effect.gen(function* () {
        const outside = yield* prepared
        const pool = yield* makePool("clients", {
          minConnections: 10,
          maxConnections: 10,
          acquireTimeout: "30 seconds"
        })
        const client = Effect.fnUntraced(function* (n: number) {
          return yield* ConnectionPool.use(pool, (c) =>
            Effect.gen(function* () {
              const before = n % 4 === 0 ? yield* valueOf(c, "select @client") : null
              if (n % 4 === 0) yield* c.query(`set @client = ${n}`)
              yield* c.query("begin")
              yield* c.execute("insert into scratch values (?)", [n])
              // One in four is careless.
              if (n % 4 !== 1) yield* c.query("commit")
              return [before, Number(yield* valueOf(c, "select ?", [n]))] as const
            })
          )
        })
        const answers = yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, n) => n),
          client,
          {
            concurrency: "unbounded"
          }
        )
        assert.deepStrictEqual(
          answers,
          Array.from({ length: 1000 }, (_, n) => [null, n])
        )
        const kept = Array.from({ length: 1000 }, (_, n) => n).filter((n) => n % 4 !== 1)
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 10)
        const [row] = yield* rowsOf(outside, "select count(*) as n, sum(id) as total from scratch")
        assert.deepStrictEqual(
          [Number(row?.["n"]), Number(row?.["total"])],
          [kept.length, kept.reduce((sum, n) => sum + n, 0)]
        )
        const { acquired, created, released } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([created, acquired - released], [10, 0])
      })
    )
  })
})
