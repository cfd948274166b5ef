/** Effect's `SqlClient` over one pool, and over the readers and the writer. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import * as Sql from "../../src/connectors/Sql.ts"
import { eventually } from "../support/Eventually.ts"
import { Db, dbLive, onEachDriver, plain } from "./SqliteFixture.ts"

const live = (options: Partial<Sqlite.PoolsOptions> = {}) =>
  Layer.provideMerge(Sqlite.layerSqlClientFrom(Db), dbLive(options))

const orders = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`create table orders (id integer primary key, customer text not null unique)`
)

/** How many leases each pool has given. */
const leases = Effect.map(Db.status, ({ read, write }) => ({ read: read.acquired, write: write.acquired }))

/** Which pool a statement was lent a connection of; of both, if the first could not do it. */
const usedBy = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const before = yield* leases
  const result = yield* effect
  const after = yield* leases
  return { result, read: after.read - before.read, write: after.write - before.write }
})

onEachDriver("a SqlClient over readers and a writer", (driver) => {
  const cases = [
    ["select id from orders", { read: 1, write: 0 }],
    ["with a as (select 7 as n) select n from a", { read: 1, write: 0 }],
    ["values (1)", { read: 1, write: 0 }],
    ["insert into orders values (1, 'Ada')", { read: 0, write: 1 }],
    ["insert into orders values (2, 'Eve') returning id", { read: 0, write: 1 }],
    ["pragma table_info(orders)", { read: 0, write: 1 }],
    ["select last_insert_rowid()", { read: 0, write: 1 }],
    // It looks like reading: the reader refuses, and the writer does it.
    ["with a as (select 7 as n) insert into orders select n, 'Bob' from a", { read: 1, write: 1 }]
  ] as const
  for (const [statement, lent] of cases) {
    it.live(`runs ${statement} on the right one`, () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* orders
        const { read, write } = yield* usedBy(sql.unsafe(statement))
        assert.deepStrictEqual({ read, write }, lent)
      }).pipe(Effect.provide(live({ driver })))
    )
  }

  it.live("does once what the reader refused and the writer did", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      const returned = yield* sql`with a as (select 7 as n) insert into orders select n, 'Bob' from a returning id`
      const rows = yield* sql`select * from orders`
      assert.deepStrictEqual([returned, rows].map(plain), [[{ id: 7 }], [{ id: 7, customer: "Bob" }]])
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("reads what it has just written", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      const counts = yield* Effect.forEach([1, 2, 3], (id) =>
        Effect.andThen(
          sql`insert into orders ${sql.insert({ id, customer: `customer ${id}` })}`,
          Effect.map(sql`select count(*) as n from orders`, ([row]) => row?.["n"])
        )
      )
      assert.deepStrictEqual(counts, [1, 2, 3])
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("runs everything in a transaction on the writer", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      const seen = yield* usedBy(
        sql.withTransaction(Effect.andThen(sql`insert into orders values (1, 'Ada')`, sql`select id from orders`))
      )
      assert.deepStrictEqual(
        { ...seen, result: seen.result.map((row) => row["id"]) },
        { result: [1], read: 0, write: 1 }
      )
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("rolls a nested transaction back to where it began", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* sql`insert into orders values (1, 'Ada')`
          yield* Effect.exit(
            sql.withTransaction(Effect.andThen(sql`insert into orders values (2, 'Bob')`, Effect.fail("no")))
          )
          yield* sql.withTransaction(sql`insert into orders values (3, 'Eve')`)
        })
      )
      const rows = yield* sql`select id from orders order by id`
      assert.deepStrictEqual(
        rows.map((row) => row["id"]),
        [1, 3]
      )
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("rolls back what cannot be committed, and goes on", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`create table a (id integer primary key)`
      yield* sql`create table b (a integer references a deferrable initially deferred)`
      const error = yield* Effect.flip(sql.withTransaction(sql`insert into b values (7)`))
      yield* sql.withTransaction(sql`insert into a values (1)`)
      const [left] = yield* sql`select count(*) as n from b`
      assert.deepStrictEqual([error.reason._tag, left?.["n"]], ["ConstraintError", 0])
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("names what was wrong", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      yield* sql`insert into orders values (1, 'Ada')`
      const error = yield* Effect.flip(sql`insert into orders values (2, 'Ada')`)
      assert.deepStrictEqual(
        [error.reason._tag, Sqlite.resultCode(error)],
        ["UniqueViolation", "SQLITE_CONSTRAINT_UNIQUE"]
      )
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("streams from a reader, which comes back", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const numbers = sql`with recursive r(i) as (select 1 union all select i + 1 from r where i < 1000) select i from r`
      const all = yield* Stream.runCollect(numbers.stream)
      const { read, write } = yield* Db.status
      assert.deepStrictEqual(
        [all.length, all[999]?.["i"], read.acquired, read.inUse, write.acquired],
        [1000, 1000, 1, 0, 0]
      )
    }).pipe(Effect.provide(live({ driver })))
  )

  it.live("gives values and raw results", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      const raw = yield* sql`insert into orders values (7, 'Ada')`.raw
      const values = yield* sql`select id, customer from orders`.values
      assert.deepStrictEqual([values, (raw as Sqlite.Changes).changes], [[[7, "Ada"]], 1])
    }).pipe(Effect.provide(live({ driver })))
  )
})

describe("a SqlClient over the readers alone", () => {
  it.live("cannot write", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const code = yield* Effect.map(Effect.flip(sql`create table t (a)`), Sqlite.resultCode)
      assert.strictEqual(code, "SQLITE_READONLY")
    }).pipe(Effect.provide(Layer.provide(Sql.layer(Db.read, Sqlite.dialect), dbLive())))
  )
})

describe("a SqlClient over the writer alone", () => {
  it.live("reads and writes", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      yield* sql.withTransaction(sql`insert into orders values (7, 'Ada')`)
      const rows = yield* sql`select id from orders`
      assert.strictEqual(rows.length, 1)
    }).pipe(Effect.provide(Layer.provide(Sql.layer(Db.write, Sqlite.dialect), dbLive())))
  )
})

describe("the queue for the writer", () => {
  it.live("can be left by whoever is interrupted", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* orders
      const holder = yield* Effect.forkChild(sql.withTransaction(Effect.never))
      yield* eventually(Db.status, ({ write }) => write.inUse === 1)
      const waiter = yield* Effect.forkChild(sql`insert into orders values (1, 'Ada')`)
      yield* eventually(Db.status, ({ write }) => write.waiting === 1)
      const exit = yield* Effect.andThen(Fiber.interrupt(waiter), Fiber.await(waiter))
      yield* Fiber.interrupt(holder)
      assert.deepStrictEqual([Exit.hasInterrupts(exit), yield* sql`select * from orders`], [true, []])
    }).pipe(Effect.provide(live()))
  )

  it.live("ends in a SqlError that keeps the pool's own as its cause", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      const holder = yield* Effect.forkChild(sql.withTransaction(Effect.never))
      yield* eventually(Db.status, ({ write }) => write.inUse === 1)
      const error = yield* Effect.flip(sql`create table t (a)`)
      yield* Fiber.interrupt(holder)
      assert.deepInclude(error.reason.cause, { _tag: "AcquireTimeout" })
    }).pipe(Effect.provide(live({ write: { acquireTimeout: 50 } })))
  )
})
