import { PgClient } from "@effect/sql-pg"
import type { PgConnection } from "@effect/sql-pg/PgConnection"
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Queue, Redacted, Stream, String as Text } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/connectors/Postgres.ts"
import * as Sql from "../../src/connectors/Sql.ts"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as PoolLayer from "../../src/PoolLayer.ts"
import { eventually } from "../support/Eventually.ts"
import { live, observer, Server, serverWith, sessionsOf } from "./Server.ts"
import { alone, ours, pid, reasonOf } from "./SqlClients.ts"

class Db extends PoolLayer.Service<Db, PgConnection>()("test/Db") {}

/** A table of a test's own. */
const people = Effect.fnUntraced(function* (name: string) {
  const sql = yield* SqlClient.SqlClient
  const table = sql(name)
  yield* sql`drop table if exists ${table}`
  yield* sql`create table ${table} (id int primary key, first_name text not null, notes jsonb)`
  return table
})

const transforms = { transformResultNames: Text.snakeToCamel, transformQueryNames: Text.camelToSnake }

layer(serverWith(), live)("Postgres.layerSqlClient", (it) => {
  describe("statements", () => {
    it.effect("gives rows with the server's types", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql`select ${7}::int as int, ${"Ada"} as text, ${true}::bool as bool,
          ${new Date(0)}::timestamptz as at, null::text as nothing, ${[1, 2]}::int[] as list`
        assert.deepStrictEqual(rows, [
          { int: 7, text: "Ada", bool: true, at: new Date(0), nothing: null, list: [1, 2] }
        ])
      }).pipe(Effect.provide(ours("types")))
    )

    it.effect("is both a SqlClient and a PgClient, and names its driver", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const pg = yield* PgClient.PgClient
        assert.strictEqual(sql as unknown, pg)
        assert.deepStrictEqual([sql.driver, pg[PgClient.TypeId]], ["pg", PgClient.TypeId])
        assert.isTrue(Redacted.isRedacted(pg.config.url))
        assert.deepStrictEqual(yield* pg`select 1 as one`, [{ one: 1 }])
      }).pipe(Effect.provide(ours("both")))
    )

    it.effect("inserts, updates and finds by Effect's helpers", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const table = yield* people("helped")
        yield* sql`insert into ${table} ${sql.insert([
          { id: 1, first_name: "Ada" },
          { id: 2, first_name: "Grace" }
        ])}`
        const inserted = yield* sql`insert into ${table} ${sql.insert({ id: 3, first_name: "Mary" }).returning("*")}`
        const updated = yield* sql`update ${table} set ${sql.update({ first_name: "Ada L." })} where id = 1 returning *`
        const updatedMany = yield* sql`update ${table} set first_name = data.first_name
          from ${sql.updateValues([{ id: 2, first_name: "Grace H." }], "data")} where ${table}.id = data.id
          returning ${table}.first_name`
        const found = yield* sql`select id from ${table} where ${sql.in("id", [1, 3])} and ${sql.or([
          sql`first_name = ${"Mary"}`,
          sql`first_name like ${"Ada%"}`
        ])} order by id`
        assert.deepStrictEqual(inserted, [{ id: 3, first_name: "Mary", notes: null }])
        assert.deepStrictEqual(updated, [{ id: 1, first_name: "Ada L.", notes: null }])
        assert.deepStrictEqual(updatedMany, [{ first_name: "Grace H." }])
        assert.deepStrictEqual(found, [{ id: 1 }, { id: 3 }])
      }).pipe(Effect.provide(ours("helpers")))
    )

    it.effect("gives values, raw results and unprepared rows", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const statement = sql`select 1 as one, 2 as two`
        assert.deepStrictEqual(yield* statement.values, [[1, 2]])
        assert.deepStrictEqual(yield* statement.valuesUnprepared, [[1, 2]])
        assert.deepStrictEqual(yield* statement.unprepared, [{ one: 1, two: 2 }])
        assert.deepStrictEqual(yield* sql.unsafe("select $1::int as one", [1]), [{ one: 1 }])
        const raw = yield* statement.raw
        assert.include(raw as object, { command: "SELECT", rowCount: 1 })
      }).pipe(Effect.provide(ours("forms")))
    )

    it.effect("renames columns and fields both ways, and not when asked not to", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const table = yield* people("renamed")
        yield* sql`insert into ${table} ${sql.insert({ id: 1, firstName: "Ada" })}`
        assert.deepStrictEqual(yield* sql`select first_name from ${table}`, [{ firstName: "Ada" }])
        const plain = sql.withoutTransforms()
        assert.deepStrictEqual(yield* plain`select first_name from renamed`, [{ first_name: "Ada" }])
        assert.deepStrictEqual(yield* sql`select first_name from ${table}`.withoutTransform, [{ first_name: "Ada" }])
        const streamed = yield* Stream.runCollect(sql`select first_name from ${table}`.stream)
        assert.deepStrictEqual(streamed, [{ firstName: "Ada" }])
      }).pipe(Effect.provide(ours("renamed", {}, transforms)))
    )

    it.effect("writes and reads JSON, and renames inside of it", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const table = yield* people("json")
        yield* sql`insert into ${table} ${sql.insert({ id: 1, first_name: "Ada", notes: sql.json({ aB: { cD: [2] } }) })}`
        const rows = yield* sql`select notes from ${table}`
        assert.deepStrictEqual(rows, [{ notes: { a_b: { c_d: [2] } } }])
      }).pipe(Effect.provide(ours("json", {}, { transformQueryNames: Text.camelToSnake })))
    )

    it.effect("borrows a connection for no longer than the statement", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* Effect.all(
          Array.from({ length: 20 }, () => sql`select pg_sleep(0.001)`),
          { concurrency: "unbounded" }
        )
        const { acquired, created, inUse, released } = yield* Db.status
        assert.deepStrictEqual(
          { acquired, created, inUse, released },
          { acquired: 20, created: 1, inUse: 0, released: 20 }
        )
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Sql.layer(Db, Postgres.dialect),
            Layer.unwrap(Effect.map(Server, ({ url }) => Db.layer(Postgres.connector({ url }), alone))).pipe(
              Layer.provide(Logger.layer([]))
            )
          )
        )
      )
    )

    it.effect("pipelines statements of many fibers over one shared connection", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const rows = yield* Effect.all(
          Array.from({ length: 200 }, (_, n) => sql`select ${n}::int as n, pg_backend_pid() as pid`),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          rows.map(([row]) => row?.["n"]),
          rows.map((_, n) => n)
        )
        assert.strictEqual(new Set(rows.map(([row]) => row?.["pid"])).size, 1)
        const { active } = (yield* sql<{ active: number }>`select count(*)::int as active from pg_stat_activity
          where application_name = 'piped'`)[0]!
        assert.strictEqual(active, 1)
      }).pipe(Effect.provide(ours("piped", { ...alone, concurrency: 200 })))
    )

    it.effect("gives nobody another's rows while fibers that share connections are interrupted", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const wrong: Array<unknown> = []
        const call = (n: number) => {
          const statement = Effect.map(sql`select ${n}::int as n, pg_sleep(0.001)`, ([row]) => {
            if (row?.["n"] !== n) wrong.push([n, row])
            return 1
          })
          return n % 3 === 0 ? Effect.timeoutOption(statement, 1 + (n % 7)) : Effect.asSome(statement)
        }
        const results = yield* Effect.forEach(
          Array.from({ length: 600 }, (_, n) => n),
          call,
          { concurrency: 64 }
        )
        const answered = results.filter(({ _tag }) => _tag === "Some").length
        assert.deepStrictEqual(wrong, [])
        assert.isAtLeast(answered, 400)
        assert.deepStrictEqual(yield* sql`select 1 as one`, [{ one: 1 }])
      }).pipe(Effect.provide(ours("mixed", { maxConnections: 3, concurrency: 16, acquireTimeout: "20 seconds" })))
    )

    it.effect("keeps statements prepared on the server, and does not where the driver is told so", () =>
      Effect.gen(function* () {
        const prepared = Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          yield* sql`select ${1}::int + 1 as two`
          const rows =
            yield* sql`select count(*)::int as n from pg_prepared_statements where statement like '%+ 1 as two'`
          return rows[0]?.["n"]
        })
        assert.strictEqual(yield* Effect.provide(prepared, ours("prepared", alone)), 1)
        assert.strictEqual(
          yield* Effect.provide(prepared, ours("unprepared", alone, { driver: { prepare: false } })),
          0
        )
      })
    )
  })

  describe("streams", () => {
    it.effect("reads a large result in pieces, and gives the connection back at its end", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const sum = yield* Stream.runFold(
          sql<{ n: number }>`select generate_series(1, 20000) as n`.stream,
          () => 0,
          (sum, { n }) => sum + n
        )
        assert.strictEqual(sum, 200_010_000)
        assert.deepStrictEqual(yield* sql`select 1 as one`, [{ one: 1 }])
      }).pipe(Effect.provide(ours("streamed", alone)))
    )

    it.effect("ends the query on the server when its reader stops early", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const sql = yield* SqlClient.SqlClient
        const first = yield* Stream.runCollect(
          sql<{ n: number }>`select n, repeat('x', 1000) from generate_series(1, 10000000) n`.stream.pipe(
            Stream.take(3)
          )
        )
        assert.deepStrictEqual(
          first.map(({ n }) => n),
          [1, 2, 3]
        )
        yield* eventually(sessionsOf(outside, "stopped"), (sessions) => sessions.every(({ state }) => state === "idle"))
        assert.deepStrictEqual(yield* sql`select 1 as one`, [{ one: 1 }])
      }).pipe(Effect.provide(ours("stopped", alone)))
    )

    it.effect("fails with the server's error, after the rows that came before it", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const seen: Array<number> = []
        const error = yield* sql<{ q: number }>`select 10 / (3 - n) as q from generate_series(1, 5) n`.stream.pipe(
          Stream.runForEach(({ q }) => Effect.sync(() => seen.push(q))),
          Effect.flip
        )
        assert.deepStrictEqual(seen, [5, 10])
        assert.include(String(error.reason.cause), "division by zero")
      }).pipe(Effect.provide(ours("broken stream", alone)))
    )

    it.effect("may last longer than queryTimeout", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const rows = yield* Stream.runCollect(sql`select n, pg_sleep(0.1) from generate_series(1, 5) n`.stream)
        assert.strictEqual(rows.length, 5)
      }).pipe(Effect.provide(ours("slow stream", { ...alone, queryTimeout: "200 millis" })))
    )
  })

  describe("listen and notify", () => {
    it.effect("tells listeners on another connection", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const notifications = yield* sql.listen("news")
        yield* sql.notify("news", "first")
        yield* sql`select pg_notify('news', 'second')`
        const [first, second] = [yield* Queue.take(notifications), yield* Queue.take(notifications)]
        assert.deepStrictEqual([first.payload, second.payload], ["first", "second"])
        assert.notStrictEqual(first.processId, 0)
      }).pipe(Effect.scoped, Effect.provide(ours("listening")))
    )

    it.effect("listens no more once its scope has closed", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        yield* Effect.scoped(sql.listen("gone"))
        assert.deepStrictEqual(yield* sql`select pg_listening_channels()`, [])
      }).pipe(Effect.provide(ours("listened", alone)))
    )

    it.effect("fails the queue when its connection dies, and a new listen goes on with another", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const sql = yield* PgClient.PgClient
        const error = yield* Effect.scoped(
          Effect.gen(function* () {
            const notifications = yield* sql.listen("reborn")
            yield* outside.query(
              "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'relistening'"
            )
            return yield* Effect.flip(Queue.take(notifications))
          })
        )
        assert.strictEqual((error as { _tag?: string })._tag, "SqlError")
        const again = yield* Effect.retry(sql.listen("reborn"), { times: 3 })
        yield* outside.query("select pg_notify('reborn', 'hello')")
        assert.strictEqual((yield* Queue.take(again)).payload, "hello")
      }).pipe(Effect.scoped, Effect.provide(ours("relistening", alone)))
    )

    it.effect("notifies from within a transaction when that commits, and not when it does not", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const notifications = yield* sql.listen("committed")
        yield* Effect.ignore(
          sql.withTransaction(Effect.andThen(sql.notify("committed", "undone"), Effect.fail("no" as const)))
        )
        yield* sql.withTransaction(sql.notify("committed", "done"))
        assert.strictEqual((yield* Queue.take(notifications)).payload, "done")
      }).pipe(Effect.scoped, Effect.provide(ours("transactional notify", { maxConnections: 2 })))
    )

    it.effect("refuses a channel whose name the server would cut short", () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const error = yield* Effect.flip(sql.notify("é".repeat(32), "x"))
        assert.include(error.message, "63 bytes")
      }).pipe(Effect.provide(ours("long channel")))
    )
  })

  describe("errors", () => {
    it.effect("says what kind of error it was, and keeps the server's", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const table = yield* people("wrong")
        yield* sql`insert into ${table} values (1, 'Ada')`
        const kinds = yield* Effect.forEach(
          [
            sql`insert into ${table} values (1, 'Ada')`,
            sql`insert into ${table} values (2, null)`,
            sql`selec 1`,
            sql`select * from nowhere`,
            sql`select 1 / 0`
          ],
          (statement) => Effect.flip(statement)
        )
        assert.deepStrictEqual(kinds.map(reasonOf), [
          "UniqueViolation",
          "ConstraintError",
          "SqlSyntaxError",
          "SqlSyntaxError",
          "UnknownError"
        ])
        const [unique] = kinds
        assert.strictEqual(unique?.reason._tag === "UniqueViolation" && unique.reason.constraint, "wrong_pkey")
        assert.isTrue(kinds.every(({ isRetryable }) => !isRetryable))
      }).pipe(Effect.provide(ours("errors", alone)))
    )

    it.effect("knows a serialization failure and a deadlock, which another try may pass", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const table = yield* people("contended")
        yield* sql`insert into ${table} values (1, 'one'), (2, 'two')`
        const touch = (id: number) => sql`update ${table} set first_name = first_name || '.' where id = ${id}`
        const both = (first: number, second: number, met: Effect.Effect<unknown>) =>
          sql.withTransaction(Effect.andThen(touch(first), Effect.andThen(met, touch(second))))
        const meeting = yield* Queue.unbounded<void>()
        const other = yield* Queue.unbounded<void>()
        const meet = (mine: Queue.Queue<void>, theirs: Queue.Queue<void>) =>
          Effect.andThen(Queue.offer(mine, undefined), Queue.take(theirs))
        const results = yield* Effect.all(
          [Effect.result(both(1, 2, meet(meeting, other))), Effect.result(both(2, 1, meet(other, meeting)))],
          { concurrency: 2 }
        )
        const failures = results.flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))
        assert.deepStrictEqual(failures.map(reasonOf), ["DeadlockError"])
        assert.isTrue(failures[0]!.isRetryable)

        const stale = yield* sql
          .withTransaction(
            Effect.gen(function* () {
              yield* sql`select * from ${table}`
              yield* Effect.provide(touchOutside, ours("meanwhile", alone))
              yield* touch(1)
            })
          )
          .pipe(Effect.provideService(SqlClient.BeginTransaction, "begin isolation level repeatable read"), Effect.flip)
        assert.deepStrictEqual(
          [reasonOf(stale as never), (stale as { isRetryable?: boolean }).isRetryable],
          ["SerializationError", true]
        )
      }).pipe(Effect.provide(ours("contended", {}, { startupParameters: { deadlock_timeout: "20ms" } })))
    )

    it.effect("keeps the pool's error as the cause of a SqlError", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const error = yield* Effect.scoped(
          Effect.andThen(sql.reserve, Effect.flip(Effect.flatMap(Effect.forkChild(sql`select 1`), Fiber.join)))
        )
        assert.strictEqual(reasonOf(error), "DeadlockError")
        assert.strictEqual((error.reason.cause as { _tag?: string })._tag, "PoolDeadlock")
      }).pipe(Effect.provide(ours("nested", { ...alone, acquireTimeout: "2 seconds" })))
    )

    it.effect("fails a statement that waits too long for a connection, and says that another try may help", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const holder = yield* Effect.forkChild(sql`select pg_sleep(30)`)
        yield* eventually(Db.status, ({ inUse }) => inUse === 1)
        const error = yield* Effect.flip(sql`select 1`)
        yield* Fiber.interrupt(holder)
        assert.deepStrictEqual([reasonOf(error), error.isRetryable], ["ConnectionError", true])
        assert.strictEqual((error.reason.cause as { _tag?: string })._tag, "AcquireTimeout")
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Postgres.layerSqlClientFrom(Db),
            Layer.unwrap(
              Effect.map(Server, ({ url }) => Db.layer(Postgres.connector({ url }), { ...alone, acquireTimeout: 200 }))
            )
          )
        )
      )
    )

    it.effect("is final where the pool is closed", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const sql = yield* Effect.scoped(
          Effect.flatMap(ConnectionPool.make(Postgres.connector({ url }), alone), (pool) => Postgres.sqlClient(pool))
        ).pipe(Effect.provide([Reactivity.layer, Logger.layer([])]))
        const error = yield* Effect.flip(sql`select 1`)
        assert.deepStrictEqual([reasonOf(error), error.isRetryable], ["UnknownError", false])
        assert.strictEqual((error.reason.cause as { _tag?: string })._tag, "PoolClosed")
      })
    )
  })
})

const touchOutside = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`update contended set first_name = 'meanwhile' where id = 1`
  return yield* pid
})
