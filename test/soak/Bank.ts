/**
 * Money that is moved between accounts by a thousand clients, and a book of every transfer. Whatever happens to the connections and
 * the server, the sum stays what it was, and what a client was told is done stands in the book.
 */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { ConnectionPool } from "effect-pool"
import type * as Redis from "effect-pool/Redis"
import type * as SurrealDb from "effect-pool/SurrealDb"

export const accounts = 200
const opening = 1000

/** What everything sums up to, always. */
export const total = accounts * opening

export interface Bank<out E> {
  readonly open: Effect.Effect<void, E>
  readonly transfer: (entry: string, from: number, to: number, amount: number) => Effect.Effect<void, E>
  readonly sum: Effect.Effect<number, E>
  readonly book: Effect.Effect<ReadonlyArray<string>, E>
}

/** On anything that Effect's `SqlClient` speaks to. */
export const onSql = (sql: SqlClient.SqlClient): Bank<SqlError> => ({
  open: Effect.gen(function* () {
    yield* sql`drop table if exists book`
    yield* sql`drop table if exists accounts`
    yield* sql`create table accounts (id int primary key, balance int not null)`
    yield* sql`create table book (entry varchar(40) primary key, amount int not null)`
    for (let id = 0; id < accounts; id++) yield* sql`insert into accounts (id, balance) values (${id}, ${opening})`
  }),
  transfer: (entry, from, to, amount) =>
    sql.withTransaction(
      Effect.gen(function* () {
        yield* sql`insert into book (entry, amount) values (${entry}, ${amount})`
        // The smaller first: no two transfers wait for one another.
        const steps = [
          { id: from, change: -amount },
          { id: to, change: amount }
        ].sort((one, other) => one.id - other.id)
        for (const { change, id } of steps)
          yield* sql`update accounts set balance = balance + ${change} where id = ${id}`
      })
    ),
  sum: Effect.map(sql<{ sum: number | string }>`select sum(balance) as sum from accounts`, ([row]) => Number(row?.sum)),
  book: Effect.map(sql<{ entry: string }>`select entry from book`, (rows) => rows.map(({ entry }) => entry))
})

/** On Redis, where a transaction is a list of commands. */
export const onRedis = (pool: ConnectionPool.ConnectionPool<Redis.Connection>): Bank<unknown> => {
  const account = (id: number) => `account:${id}`
  const every = Array.from({ length: accounts }, (_, id) => account(id))
  const send = (name: string, ...args: ReadonlyArray<string>) =>
    ConnectionPool.use(pool, (connection) => connection.send(name, ...args))
  return {
    open: Effect.asVoid(send("MSET", ...every.flatMap((key) => [key, String(opening)]))),
    transfer: (entry, from, to, amount) =>
      Effect.asVoid(
        ConnectionPool.use(pool, (connection) =>
          connection.transaction([
            ["HSET", "book", entry, amount],
            ["DECRBY", account(from), amount],
            ["INCRBY", account(to), amount]
          ])
        )
      ),
    sum: Effect.map(send("MGET", ...every), (values) =>
      (values as ReadonlyArray<string>).reduce((sum, value) => sum + Number(value), 0)
    ),
    book: Effect.map(send("HKEYS", "book"), (keys) => keys as ReadonlyArray<string>)
  }
}

/**
 * On SurrealDB, as records that are only ever added: its engine 3.0.2 loses one update in some ten thousand where transactions change the
 * same record at once, also without a pool (docs/surrealdb.md). A transaction that met another one is the caller's to repeat, and is
 * not done here.
 */
export const onSurreal = (pool: ConnectionPool.ConnectionPool<SurrealDb.Connection>): Bank<unknown> => {
  const query = (sql: string, bindings: Record<string, unknown> = {}) =>
    ConnectionPool.use(pool, (connection) => connection.query(sql, bindings))
  return {
    open: Effect.asVoid(query("create moved set amount = 0")),
    transfer: (entry, from, to, amount) =>
      Effect.asVoid(
        query(
          `begin; create type::record("book", $entry) set amount = $amount;
           create moved set account = $from, amount = -$amount;
           create moved set account = $to, amount = $amount; commit;`,
          { entry, from, to, amount }
        )
      ),
    sum: Effect.map(query("return math::sum((select value amount from moved))"), ([sum]) => total + Number(sum)),
    book: Effect.map(query("select value record::id(id) from book"), ([ids]) => ids as ReadonlyArray<string>)
  }
}
