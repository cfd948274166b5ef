import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { behindPgBouncer, makePool } from "./Bouncer.ts"

const makeClient = Effect.fnUntraced(function* (name: string) {
  const pool = yield* makePool(name, { maxConnections: 10 })
  const sql = yield* Postgres.sqlClient(pool)
  return { pool, sql }
}, Effect.provide(Reactivity.layer))

behindPgBouncer(
  "a SqlClient behind PgBouncer",
  (it) => {
    it("runs statements, streams and transactions on three server connections", () =>
      Effect.gen(function* () {
        const { pool, sql } = yield* makeClient("client")
        yield* sql`create table if not exists moves (id int primary key)`
        const answers = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, index) => index),
          (id) =>
            sql.withTransaction(
              Effect.andThen(sql`insert into moves (id) values (${id})`, sql<{ one: number }>`select ${id}::int as one`)
            ),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          answers.map(([row]) => row?.one),
          Array.from({ length: 100 }, (_, index) => index)
        )
        const streamed = yield* Stream.runCollect(sql<{ id: number }>`select id from moves order by id`.stream)
        assert.lengthOf(streamed, 100)
        const { inUse, waiting } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
      }))

    it("undoes what a failed transaction did, and a savepoint what was done since", () =>
      Effect.gen(function* () {
        const { sql } = yield* makeClient("undone")
        yield* sql`create table if not exists undone (id int primary key)`
        yield* Effect.flip(sql.withTransaction(Effect.andThen(sql`insert into undone values (1)`, Effect.fail("no"))))
        yield* sql.withTransaction(
          Effect.andThen(
            sql`insert into undone values (2)`,
            Effect.ignore(sql.withTransaction(Effect.andThen(sql`insert into undone values (3)`, Effect.fail("no"))))
          )
        )
        assert.deepStrictEqual(yield* sql`select id from undone`, [{ id: 2 }])
      }))

    it("refuses what would stay in a session, and says so", () =>
      Effect.gen(function* () {
        const { sql } = yield* makeClient("refused")
        const error = yield* Effect.flip(sql`set statement_timeout = '1s'`)
        assert.match(String(error.cause), /PgBouncer/i)
      }))
  },
  { default_pool_size: 3 }
)
