/** Effect's `SqlClient` over a pool of MySQL connections. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Option, Stream } from "effect"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as MySql from "../../src/connectors/MySql.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as PoolLayer from "../../src/PoolLayer.ts"
import { eventually } from "../support/Eventually.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import { live, observer, Server, serverWith, sessionsOf, titled } from "./MySqlServer.ts"

class Db extends PoolLayer.Service<Db, MySql.MySqlConnection>()("test/Db") {}

/** A client over four connections, a pool to look at, and the table `orders`, empty. */
const clientWith = (options: MySql.DialectOptions = {}, config: Input = {}) =>
  MySql.layerSqlClientFrom(Db, options).pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(Server, ({ url }) =>
          Db.layer(MySql.connector({ url, applicationName: "client" }), {
            minConnections: 1,
            maxConnections: 4,
            ...config
          })
        )
      )
    ),
    Layer.provide(Logger.layer([]))
  )

const orders = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`drop table if exists orders`
  yield* sql`create table orders (
    id int primary key auto_increment, customer_name varchar(50) not null unique, total int not null default 0 check (total >= 0)
  ) engine = innodb`
  return sql
})

const reasonOf = <A, R>(effect: Effect.Effect<A, SqlError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

describe.skipIf(unavailable !== undefined)(titled("MySql.layerSqlClientFrom"), () => {
  layer(
    serverWith({ "innodb-lock-wait-timeout": 1, "innodb-rollback-on-timeout": "ON" }),
    live
  )((it) => {
    it.effect("inserts, selects, updates and deletes", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders ${sql.insert([
          { customer_name: "Ada", total: 1 },
          { customer_name: "Grace", total: 7 }
        ])}`
        yield* sql`update orders set ${sql.update({ total: 9 })} where customer_name = ${"Ada"}`
        yield* sql`delete from orders where ${sql.in("customer_name", ["Grace", "Edsger"])}`
        assert.deepStrictEqual(yield* sql`select id, customer_name, total from orders`, [
          { id: 1, customer_name: "Ada", total: 9 }
        ])
        assert.deepStrictEqual(yield* sql`select * from orders where ${sql.in("id", [])}`, [])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("updates many rows at once from values", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders ${sql.insert([{ customer_name: "Ada" }, { customer_name: "Grace" }])}`
        yield* sql`update orders join ${sql.updateValues(
          [
            { id: 1, total: 10 },
            { id: 2, total: 20 }
          ],
          "data"
        )} on orders.id = data.id set orders.total = data.total`
        assert.deepStrictEqual(yield* sql`select total from orders order by id`, [{ total: 10 }, { total: 20 }])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("gives values, raw results and results of texts that are not prepared", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        assert.deepStrictEqual(yield* sql`select ${1}, ${"two"}`.values, [[1, "two"]])
        assert.deepStrictEqual(yield* sql`select ${"it's \\"} as a`.unprepared, [{ a: "it's \\" }])
        const raw = (yield* sql`insert into orders (customer_name) values (${"Ada"})`.raw) as { insertId: number }
        assert.strictEqual(raw.insertId, 1)
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("carries values of every kind there and back", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`create or replace table kinds (a bigint, b double, c varchar(20), d datetime(3), e varbinary(8), f boolean, g text) character set utf8mb4`
        const at = new Date("2026-11-28T12:34:56.789Z")
        yield* sql`insert into kinds values (${42}, ${1.5}, ${"ü😀"}, ${at}, ${new Uint8Array([0, 255])}, ${true}, ${null})`
        const [row] = yield* sql`select * from kinds`
        assert.deepStrictEqual(row, { a: 42, b: 1.5, c: "ü😀", d: at, e: Buffer.from([0, 255]), f: 1, g: null })
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("transforms names, both ways", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders ${sql.insert({ customerName: "Ada" })}`
        assert.deepStrictEqual(yield* sql`select ${sql("customerName")} from orders`, [{ customerName: "Ada" }])
        assert.deepStrictEqual(yield* Stream.runCollect(sql`select customer_name from orders`.stream), [
          { customerName: "Ada" }
        ])
      }).pipe(
        Effect.provide(
          clientWith({
            transformQueryNames: (name) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
            transformResultNames: (name) => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
          })
        )
      )
    )

    it.effect("commits a transaction on one connection, and rolls a failed one back", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        const insert = (name: string) => sql`insert into orders (customer_name) values (${name})`
        const ids = yield* sql.withTransaction(
          Effect.all([
            sql`select connection_id() as id`,
            Effect.andThen(insert("Ada"), sql`select connection_id() as id`)
          ])
        )
        assert.deepStrictEqual(ids[0], ids[1])
        yield* Effect.flip(sql.withTransaction(Effect.andThen(insert("Grace"), Effect.fail("no"))))
        assert.deepStrictEqual(yield* sql`select customer_name from orders`, [{ customer_name: "Ada" }])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("rolls a nested transaction back to its savepoint", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        const insert = (name: string) => sql`insert into orders (customer_name) values (${name})`
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* insert("Ada")
            yield* Effect.ignore(sql.withTransaction(Effect.andThen(insert("Grace"), Effect.fail("no"))))
            yield* sql.withTransaction(insert("Edsger"))
          })
        )
        assert.deepStrictEqual(yield* sql`select customer_name from orders order by id`, [
          { customer_name: "Ada" },
          { customer_name: "Edsger" }
        ])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("rolls back a transaction that is interrupted in the middle of a statement", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        const work = sql.withTransaction(
          Effect.andThen(sql`insert into orders (customer_name) values ('Ada')`, sql`select sleep(60)`)
        )
        const outcome = yield* Effect.timeoutOption(work, "100 millis")
        assert.isTrue(Option.isNone(outcome))
        assert.deepStrictEqual(yield* sql`select * from orders`, [])
        const { closed, inUse } = yield* Db.status
        assert.deepStrictEqual({ closed, inUse }, { closed: 0, inUse: 0 })
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("fails a transaction whose connection is killed, and runs nothing of it elsewhere", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const sql = yield* orders
        const insert = (name: string) => sql`insert into orders (customer_name) values (${name})`
        const exit = yield* sql
          .withTransaction(
            Effect.gen(function* () {
              yield* insert("Ada")
              const [row] = yield* sql<{ id: number }>`select connection_id() as id`
              yield* outside.query(`kill ${row!.id}`)
              yield* Effect.ignore(insert("Grace"))
              yield* Effect.ignore(insert("Edsger"))
            })
          )
          .pipe(Effect.exit)
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(yield* sql`select * from orders`, [])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("runs nothing outside a transaction that the server has rolled back after a deadlock", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders ${sql.insert([{ customer_name: "Ada" }, { customer_name: "Grace" }])}`
        let lateOutcome: unknown = undefined
        // Each has locked one row, and wants the other's. The server rolls one of them back.
        const take = (first: number, second: number) =>
          sql.withTransaction(
            Effect.gen(function* () {
              yield* sql`update orders set total = total + 1 where id = ${first}`
              yield* Effect.sleep(100)
              const update = sql`update orders set total = total + 1 where id = ${second}`
              yield* Effect.catchIf(
                update,
                ({ reason }) => reason._tag === "DeadlockError",
                // One that does not know what a deadlock means.
                () =>
                  Effect.map(Effect.flip(sql`update orders set total = 99 where id = ${first}`), (error) => {
                    lateOutcome = error.reason._tag
                  })
              )
            })
          )
        const exits = yield* Effect.all([Effect.exit(take(1, 2)), Effect.exit(take(2, 1))], { concurrency: 2 })
        assert.strictEqual(exits.filter(Exit.isFailure).length, 1)
        assert.strictEqual(lateOutcome, "SerializationError")
        assert.deepStrictEqual(yield* sql`select total from orders order by id`, [{ total: 1 }, { total: 1 }])
        assert.strictEqual((yield* Db.status).closed, 0)
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("runs nothing outside a transaction that the server has rolled back after a lock timeout", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders (customer_name) values ('Ada')`
        const holder = yield* Effect.forkChild(
          sql.withTransaction(Effect.andThen(sql`update orders set total = 1 where id = 1`, Effect.never))
        )
        yield* Effect.sleep(50)
        const insert = (name: string) => sql`insert into orders (customer_name) values (${name})`
        const late = yield* sql
          .withTransaction(
            Effect.gen(function* () {
              yield* insert("Grace")
              yield* Effect.ignore(sql.withTransaction(sql`update orders set total = 2 where id = 1`))
              return yield* insert("Edsger")
            })
          )
          .pipe(reasonOf)
        yield* Fiber.interrupt(holder)
        assert.strictEqual(late, "SerializationError")
        assert.deepStrictEqual(yield* sql`select customer_name from orders`, [{ customer_name: "Ada" }])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("goes on with a transaction in which a statement has failed, and the server has not ended it", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        const insert = (name: string) => sql`insert into orders (customer_name) values (${name})`
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* insert("Ada")
            yield* Effect.ignore(insert("Ada"))
            yield* Effect.ignore(Effect.timeout(sql`select sleep(60)`, 20))
            yield* insert("Grace")
          })
        )
        assert.deepStrictEqual(yield* sql`select customer_name from orders order by id`, [
          { customer_name: "Ada" },
          { customer_name: "Grace" }
        ])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("cancels a statement that passes the pool's queryTimeout, and goes on with its transaction", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const sql = yield* orders
        const insert = (name: string) => sql`insert into orders (customer_name) values (${name})`
        const slow = Effect.exit(sql`select sleep(60)`)
        const exit = yield* sql.withTransaction(
          Effect.andThen(
            insert("Ada"),
            Effect.tap(slow, () => insert("Grace"))
          )
        )
        const error = Exit.findErrorOption(exit)
        assert.strictEqual(Option.isSome(error) && error.value.reason._tag, "StatementTimeoutError")
        assert.deepStrictEqual(yield* sql`select count(*) as n from orders`, [{ n: 2 }])
        const sessions = yield* sessionsOf(outside, "client")
        assert.notInclude(
          sessions.map(({ info }) => info),
          "select sleep(60)"
        )
        assert.strictEqual((yield* Db.status).closed, 0)
      }).pipe(Effect.provide(clientWith({}, { queryTimeout: "200 millis" })))
    )

    it.effect("streams many rows, and no faster than they are wanted", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const all = yield* Stream.runFold(
          sql<{ seq: number }>`select seq from seq_1_to_200000`.stream,
          () => ({ count: 0, sum: 0 }),
          ({ count, sum }, { seq }) => ({ count: count + 1, sum: sum + seq })
        )
        assert.deepStrictEqual(all, { count: 200_000, sum: 20_000_100_000 })
        const outside = yield* observer
        // More than fits into any buffer on the way: the server has to wait while nobody reads.
        const slow = sql`select seq, repeat('x', 10000) as filling from seq_1_to_20000 where seq > ${0}`.stream.pipe(
          Stream.mapEffect((row) => Effect.as(Effect.sleep(1000), row)),
          Stream.take(1),
          Stream.runCollect
        )
        const fiber = yield* Effect.forkChild(slow)
        const isWaiting = (session: { readonly info: string | null } | undefined) =>
          session?.info?.includes("filling") === true
        yield* eventually(sessionsOf(outside, "client"), (sessions) => sessions.some(isWaiting))
        const before = yield* outside.query("show global status like 'Bytes_sent'")
        yield* Effect.sleep(200)
        const after = yield* outside.query("show global status like 'Bytes_sent'")
        assert.isBelow(Number(after.rows[0]?.["Value"]) - Number(before.rows[0]?.["Value"]), 20_000_000)
        assert.strictEqual((yield* Fiber.join(fiber)).length, 1)
        assert.strictEqual((yield* Db.status).inUse, 0)
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("streams the rows of whatever gives rows, and nothing else", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`create or replace procedure both_halves() begin select 1 as n; select 2 as n; end`
        const inserted = yield* Stream.runCollect(sql`insert into orders (customer_name) values (${"Ada"})`.stream)
        const called = yield* Stream.runCollect(sql`call both_halves()`.stream)
        const returned = yield* Stream.runCollect(
          sql`insert into orders (customer_name) values ('Grace') returning id`.stream
        )
        assert.deepStrictEqual([inserted, called, returned], [[], [{ n: 1 }, { n: 2 }], [{ id: 2 }]])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("fails a stream in the middle of which its connection is lost", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const sql = yield* SqlClient.SqlClient
        const [session] = yield* sessionsOf(outside, "client")
        const error = yield* Effect.flip(
          Stream.runForEach(sql`select seq, repeat('x', 10000) as filling from seq_1_to_20000`.stream, () =>
            Effect.ignore(outside.query(`kill ${session!.id}`))
          )
        )
        assert.strictEqual(isSqlError(error) && error.reason._tag, "ConnectionError")
        assert.deepStrictEqual(yield* sql`select 7 as seven`, [{ seven: 7 }])
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("fails a stream of a wrong statement, and goes on", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        for (const statement of [sql`selekt 1`, sql`select nothing from nowhere where id = ${1}`]) {
          assert.strictEqual(yield* reasonOf(Stream.runDrain(statement.stream)), "SqlSyntaxError")
        }
        assert.strictEqual((yield* Db.status).closed, 0)
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("says what is wrong with a statement", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders (customer_name) values ('Ada')`
        yield* sql`create or replace table parts (order_id int, foreign key (order_id) references orders (id))`
        const reasons = yield* Effect.forEach(
          [
            sql`selekt 1`,
            sql`select * from nowhere`,
            sql`select nothing from orders`,
            sql`insert into orders (customer_name) values (${"Ada"})`,
            sql`insert into orders (customer_name) values (${null})`,
            sql`insert into orders (customer_name, total) values ('Grace', ${-1})`,
            sql`insert into parts values (${99})`,
            sql`set statement max_statement_time = 0.05 for select sleep(60)`,
            sql`select ${() => 1}`
          ],
          reasonOf
        )
        assert.deepStrictEqual(reasons, [
          "SqlSyntaxError",
          "SqlSyntaxError",
          "SqlSyntaxError",
          "UniqueViolation",
          "ConstraintError",
          "ConstraintError",
          "ConstraintError",
          "StatementTimeoutError",
          "UnknownError"
        ])
        const { reason } = yield* Effect.flip(sql`insert into orders (customer_name) values (${"Ada"})`)
        assert.strictEqual(reason._tag === "UniqueViolation" && reason.constraint, "customer_name")
        yield* sql`drop table parts`
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("says that a lock was not to be had in time", () =>
      Effect.gen(function* () {
        const sql = yield* orders
        yield* sql`insert into orders (customer_name) values ('Ada')`
        const holder = yield* Effect.forkChild(
          sql.withTransaction(Effect.andThen(sql`update orders set total = 1`, Effect.never))
        )
        yield* Effect.sleep(50)
        assert.strictEqual(yield* reasonOf(sql`update orders set total = 2`), "LockTimeoutError")
        yield* Fiber.interrupt(holder)
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("says that there was no connection, and keeps the pool's error", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const pool = yield* Db
        yield* ConnectionPool.pause(pool, { acquires: "fail" })
        const { reason } = yield* Effect.flip(sql`select 1`)
        assert.strictEqual(reason._tag, "ConnectionError")
        assert.strictEqual((reason.cause as { readonly _tag?: string })._tag, "ServiceUnavailable")
      }).pipe(Effect.provide(clientWith()))
    )

    it.effect("calls a procedure, and gives its first rows", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`create or replace procedure pair() begin select 1 as one; select 2 as two; end`
        assert.deepStrictEqual(yield* sql`call pair()`, [{ one: 1 }])
        assert.deepStrictEqual(yield* sql`select 3 as three`, [{ three: 3 }])
      }).pipe(Effect.provide(clientWith()))
    )
  })
})
