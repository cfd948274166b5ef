/** The same programs under `@effect/sql-pg`'s own layer and under ours give the same. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Queue, Stream, String as Text } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { live, observer, serverWith } from "./Server.ts"
import { ours, theirs } from "./SqlClients.ts"

type Program = Effect.Effect<unknown, unknown, SqlClient.SqlClient | PgClient.PgClient>

const fail = Effect.fail("no" as const)

/** An error as a program sees it. */
const seen = (error: unknown) =>
  SqlError.isSqlError(error)
    ? { kind: error.reason._tag, isRetryable: error.isRetryable, message: error.message }
    : error

const errorOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.flip(effect), seen)

const countOf = (sql: SqlClient.SqlClient) => Effect.map(sql`select count(*) as n from items`, ([row]) => row?.["n"])

/** Each begins with an empty table `items (id int primary key, item_name text not null, details jsonb)`. */
const programs: Readonly<Record<string, Program>> = {
  "types of values": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return yield* sql`select 1::int2 as a, 2::int8 as b, 1.5::float8 as c, 1.50::numeric as d, 'x'::char(3) as e, true as f,
      '2020-01-02'::date as g, '2020-01-02 03:04:05+00'::timestamptz as h, '{"a": [1]}'::json as i, '{1,2}'::int[] as j,
      '\\x00ff'::bytea as k, null as l, '1 day'::interval as m, 'a4f3c2d1-0000-4000-8000-000000000000'::uuid as n`
  }),
  parameters: Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return yield* sql`select ${1}::text as a, ${"2"}::int as b, ${null}::int as c, ${[1, 2]}::int[] as d, ${new Date(1)}::timestamptz as e,
      ${new Uint8Array([1, 2])}::bytea as f, ${12345678901n}::int8 as g`
  }),
  "helpers, transforms and JSON": Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`insert into items ${sql.insert([
      { id: 1, itemName: "one", details: sql.json({ innerName: [1] }) },
      { id: 2, itemName: "two", details: sql.json(null) }
    ])}`
    const updated =
      yield* sql`update items set ${sql.update({ id: 2, itemName: "zwei" }, ["id"])} where id = 2 returning *`
    const plain = yield* sql.withoutTransforms()`select * from items order by id`
    return [
      updated,
      plain,
      yield* sql`select id, item_name from items where ${sql.in("id", [1, 2])} order by id`.values
    ]
  }),
  "raw results": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return [
      yield* sql`insert into items values (1, 'one') returning id`.raw,
      yield* sql`select 1 as one where false`.raw
    ]
  }),
  "compiled statements": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return sql`select ${sql("itemName")} from ${sql("items")} where ${sql.and([sql`id > ${1}`, sql.in("id", [2, 3])])}`.compile()
  }),
  "errors by kind": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`insert into items values (1, 'one')`
    return yield* Effect.forEach(
      [
        sql`insert into items values (1, 'one')`,
        sql`insert into items values (2, null)`,
        sql`selec`,
        sql`select 1/0`,
        sql`select * from nowhere`,
        sql`select ${"x"}::int`
      ],
      (statement) => errorOf(statement)
    )
  }),
  transactions: Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const add = (id: number) => sql`insert into items values (${id}, 'x')`
    const first = yield* sql.withTransaction(Effect.as(add(1), "done"))
    const second = yield* errorOf(sql.withTransaction(Effect.andThen(add(2), fail)))
    const third = yield* errorOf(sql.withTransaction(Effect.andThen(add(3), add(1))))
    const inside = yield* sql.withTransaction(Effect.andThen(add(4), countOf(sql)))
    return [first, second, third, inside, yield* countOf(sql)]
  }),
  "nested transactions": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const add = (id: number) => sql`insert into items values (${id}, 'x')`
    yield* sql.withTransaction(
      Effect.gen(function* () {
        yield* add(1)
        yield* Effect.ignore(sql.withTransaction(Effect.andThen(add(2), fail)))
        yield* Effect.ignore(sql.withTransaction(Effect.andThen(add(3), add(1))))
        yield* sql.withTransaction(sql.withTransaction(add(4)))
      })
    )
    yield* Effect.ignore(sql.withTransaction(Effect.andThen(sql.withTransaction(add(5)), fail)))
    return yield* sql`select id from items order by id`
  }),
  "the commit of a failed transaction": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { reason } = yield* Effect.flip(sql.withTransaction(Effect.ignore(sql`select 1/0`)))
    return [reason._tag, reason.isRetryable, reason.operation]
  }),
  "a transaction of another kind, and what comes after": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const order: Array<string> = []
    const level = yield* sql
      .withTransaction(
        Effect.gen(function* () {
          yield* sql.afterCommit(Effect.sync(() => order.push("committed")))
          order.push("inside")
          return yield* sql`select current_setting('transaction_isolation') as level`
        })
      )
      .pipe(Effect.provideService(SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL SERIALIZABLE"))
    return [level, order]
  }),
  streams: Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const numbers = sql<{ n: number }>`select n as "n" from generate_series(1, 3000) n`.stream
    const all = yield* Stream.runCollect(numbers)
    const some = yield* Stream.runCollect(Stream.take(numbers, 3))
    const inside = yield* sql.withTransaction(Stream.runCollect(Stream.take(numbers, 2)))
    return [
      all.length,
      some,
      inside,
      yield* errorOf(Stream.runDrain(sql`select 1 / (2 - n) from generate_series(1, 3) n`.stream))
    ]
  }),
  notifications: Effect.scoped(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const queue = yield* sql.listen("parity")
      yield* sql.notify("parity", "one")
      yield* sql.notify("parity", "")
      const got = [yield* Queue.take(queue), yield* Queue.take(queue)]
      return got.map(({ channel, payload }) => ({ channel, payload }))
    })
  ),
  "a connection of one's own": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    return yield* Effect.scoped(
      Effect.gen(function* () {
        const connection = yield* sql.reserve
        return [
          yield* connection.execute("select 1 as one", [], undefined),
          yield* connection.executeValues("select $1::int", [1]),
          yield* connection.executeValuesUnprepared("select 1", []),
          yield* connection.executeUnprepared("select 1 as one", [], undefined)
        ]
      })
    )
  })
}

const names = { transformResultNames: Text.snakeToCamel, transformQueryNames: Text.camelToSnake }

layer(serverWith(), live)("a program written for @effect/sql-pg", (it) => {
  const fresh = Effect.scoped(
    Effect.flatMap(observer, (outside) =>
      Effect.andThen(
        outside.query("drop table if exists items"),
        outside.query("create table items (id int primary key, item_name text not null, details jsonb)")
      )
    )
  )
  for (const [name, program] of Object.entries(programs)) {
    it.effect(`gives the same under our layer, shared connections or not: ${name}`, () =>
      Effect.gen(function* () {
        yield* fresh
        const expected = yield* Effect.provide(program, theirs(names))
        yield* fresh
        assert.deepStrictEqual(yield* Effect.provide(program, ours("parity", {}, names)), expected)
        yield* fresh
        assert.deepStrictEqual(yield* Effect.provide(program, ours("parity", { concurrency: 8 }, names)), expected)
      })
    )
  }
})
