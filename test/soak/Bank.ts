/**
 * Money that is moved between accounts by a thousand clients, and a book of every transfer. Whatever happens to the connections and
 * the server, the sum stays what it was, and what a client was told is done stands in the book.
 */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

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
