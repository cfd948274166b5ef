/** Where our client does otherwise than `@effect/sql-pg`'s own layer, on purpose: what both of them do. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Option, Queue } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { live, observer, serverWith } from "./Server.ts"
import { ours, pid, theirs } from "./SqlClients.ts"

type Clients = SqlClient.SqlClient | PgClient.PgClient

/** What came of it, as a caller sees it: the kind of its error and whether another try may help, or a defect. */
const outcomeOf = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<unknown, never, R> =>
  Effect.map(
    Effect.exit(program),
    Exit.match({
      onSuccess: () => "success" as unknown,
      onFailure: (cause) => {
        const error = Option.getOrUndefined(Cause.findErrorOption(cause))
        if (error === undefined) return "defect"
        return SqlError.isSqlError(error) ? [error.reason._tag, error.isRetryable] : error
      }
    })
  )

/** The same program with either of them: ours first. */
const withBoth = Effect.fnUntraced(function* <E, R>(program: Effect.Effect<unknown, E, R | Clients>) {
  const mine = yield* Effect.provide(program, ours("differences"))
  const other = yield* Effect.provide(program, theirs())
  return [mine, other]
})

const terminate = Effect.fnUntraced(function* (session: number) {
  const outside = yield* observer
  yield* outside.query("select pg_terminate_backend($1)", [session])
})

layer(serverWith(), live)("Postgres.layerSqlClient beside PgClient.layer", (it) => {
  it.effect("sends no notification of a transaction that is rolled back, and the other does", () =>
    Effect.gen(function* () {
      const program = Effect.scoped(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const heard = yield* sql.listen("orders")
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(sql.notify("orders", "undone"), Effect.fail("no"))))
          yield* sql.notify("orders", "done")
          return (yield* Queue.take(heard)).payload
        })
      )
      assert.deepStrictEqual(yield* withBoth(program), ["done", "undone"])
    })
  )

  it.effect("fails a transaction whose connection was killed, and the other dies", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const transaction = sql.withTransaction(
          Effect.gen(function* () {
            yield* terminate(yield* pid)
            return yield* sql`select 1`
          })
        )
        return yield* outcomeOf(transaction)
      })
      assert.deepStrictEqual(yield* withBoth(program), [["ConnectionError", true], "defect"])
    })
  )

  it.effect("fails the commit after a savepoint in which a failed statement was caught, and the other dies", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const savepoint = sql.withTransaction(Effect.ignore(sql`select 1 / 0`))
        return yield* outcomeOf(sql.withTransaction(savepoint))
      })
      assert.deepStrictEqual(yield* withBoth(program), [["UnknownError", false], "defect"])
    })
  )

  it.effect("names its driver, and the other does not", () =>
    Effect.gen(function* () {
      const program = Effect.map(SqlClient.SqlClient, (sql) => (sql as { readonly driver?: unknown }).driver)
      assert.deepStrictEqual(yield* withBoth(program), ["pg", undefined])
    })
  )
})
