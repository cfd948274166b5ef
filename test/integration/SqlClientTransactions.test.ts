import type { PgConnection } from "@effect/sql-pg/PgConnection"
import { assert, describe, layer } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Logger, Scheduler } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as PoolLayer from "../../src/PoolLayer.ts"
import { eventually } from "../support/Eventually.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { live, observer, rowsOf, Server, serverWith, sessionsOf } from "./Server.ts"
import { alone, pid, reasonOf } from "./SqlClients.ts"

class Db extends PoolLayer.Service<Db, PgConnection>()("test/Db") {}

/** The client, and its pool to look at. */
const client = (applicationName: string, config: Input = alone, options: Postgres.Options = {}) =>
  Postgres.layerSqlClientFrom(Db).pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(Server, ({ url }) =>
          Db.layer(Postgres.connector({ url, applicationName, ...options }), { minConnections: 1, ...config })
        )
      ).pipe(Layer.provide(Logger.layer([])))
    )
  )

/** An empty table of a test's own, and what is in it in the end. */
const notes = Effect.fnUntraced(function* (name: string) {
  const outside = yield* observer
  yield* outside.query(`drop table if exists ${name}`)
  yield* outside.query(`create table ${name} (text text primary key)`)
  const sql = yield* SqlClient.SqlClient
  return {
    outside,
    write: (text: string) => sql`insert into ${sql(name)} values (${text})`,
    written: Effect.map(rowsOf(outside, `select text from ${name} order by text`), (rows) =>
      rows.map(({ text }) => text)
    )
  }
})

/** Ends the session of the one that runs this, and sees that it is gone. */
const killed = Effect.fnUntraced(function* (outside: PgConnection, applicationName: string) {
  yield* outside.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1", [
    applicationName
  ])
  yield* eventually(
    sessionsOf(outside, applicationName),
    (sessions) => !sessions.some(({ state }) => state.includes("in transaction"))
  )
})

const nothingLent = eventually(Db.status, ({ idle, inUse, total }) => inUse === 0 && idle === total)

layer(serverWith(), live)("Postgres.layerSqlClient: transactions", (it) => {
  describe("in good order", () => {
    it.effect("commits what succeeds, and rolls back what fails, dies or is interrupted", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write, written } = yield* notes("ends")
        assert.strictEqual(yield* sql.withTransaction(Effect.as(write("committed"), 7)), 7)
        const failed = yield* Effect.flip(
          sql.withTransaction(Effect.andThen(write("failed"), Effect.fail("no" as const)))
        )
        const died = yield* Effect.exit(sql.withTransaction(Effect.andThen(write("died"), Effect.die("bug"))))
        const sleeper = yield* Effect.forkChild(
          sql.withTransaction(Effect.andThen(write("interrupted"), sql`select pg_sleep(60)`))
        )
        yield* eventually(sessionsOf(outside, "ends"), ([session]) => session?.query.includes("pg_sleep") === true)
        yield* Fiber.interrupt(sleeper)
        assert.strictEqual(failed, "no")
        assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
        assert.deepStrictEqual(yield* written, ["committed"])
        const { closed } = yield* nothingLent
        assert.strictEqual(closed, 0)
      }).pipe(Effect.provide(client("ends")))
    )

    it.effect("is a savepoint within another one, on the same connection, which is no nested acquire", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("savepoints")
        const pids = yield* sql.withTransaction(
          Effect.gen(function* () {
            const outer = yield* pid
            yield* write("outer")
            yield* Effect.ignore(
              sql.withTransaction(Effect.andThen(write("undone"), sql`insert into savepoints values ('outer')`))
            )
            const inner = yield* sql.withTransaction(
              Effect.andThen(write("inner"), sql.withTransaction(Effect.andThen(write("innermost"), pid)))
            )
            return [outer, inner]
          })
        )
        assert.strictEqual(pids[0], pids[1])
        assert.deepStrictEqual(yield* written, ["inner", "innermost", "outer"])
        const { acquired, created } = yield* Db.status
        assert.deepStrictEqual({ acquired, created }, { acquired: 1, created: 1 })
      }).pipe(Effect.provide(client("savepoints", { ...alone, nested: "error" })))
    )

    it.effect("is told at once that it waits for a connection that it holds up itself", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const started = performance.now()
        const error = yield* Effect.flip(
          sql.withTransaction(
            Effect.andThen(
              sql`select 1`,
              Db.use(() => Effect.void)
            )
          )
        )
        assert.strictEqual(error._tag, "PoolDeadlock")
        assert.isBelow(performance.now() - started, 2000)
        assert.deepStrictEqual(yield* sql.withTransaction(sql`select 1 as one`), [{ one: 1 }])
      }).pipe(Effect.provide(client("deadlocked")))
    )

    it.effect("undoes its savepoints with it", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("undone")
        yield* Effect.ignore(
          sql.withTransaction(Effect.andThen(sql.withTransaction(write("inner")), Effect.fail("no" as const)))
        )
        assert.deepStrictEqual(yield* written, [])
      }).pipe(Effect.provide(client("undone")))
    )

    it.effect("begins as it is told to", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write } = yield* notes("readonly")
        const error = yield* sql
          .withTransaction(write("x"))
          .pipe(Effect.provideService(SqlClient.BeginTransaction, "begin read only"), Effect.flip)
        assert.include(String(error.reason.cause), "read-only transaction")
        yield* sql.withTransaction(write("x"))
      }).pipe(Effect.provide(client("readonly")))
    )

    it.effect("runs what is to come after the commit when the connection is back", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("after")
        yield* sql.withTransaction(Effect.andThen(write("one"), sql.afterCommit(Effect.ignore(write("two")))))
        yield* Effect.ignore(
          sql.withTransaction(
            Effect.andThen(sql.afterCommit(Effect.ignore(write("three"))), Effect.fail("no" as const))
          )
        )
        assert.deepStrictEqual(yield* written, ["one", "two"])
      }).pipe(Effect.provide(client("after")))
    )

    it.effect("costs no reset, since it leaves nothing behind", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write } = yield* notes("clean")
        yield* sql.withTransaction(sql.withTransaction(write("x")))
        yield* nothingLent
        const [session] = yield* sessionsOf(outside, "clean")
        assert.strictEqual(session?.query, "COMMIT")
      }).pipe(Effect.provide(client("clean")))
    )

    it.effect("has a connection for itself where statements share them", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("shared")
        const work = (n: number) =>
          n % 2 === 0
            ? sql.withTransaction(Effect.andThen(write(`${n}`), Effect.fail("no" as const)))
            : write(`${n}`.padStart(3, "0"))
        yield* Effect.all(
          Array.from({ length: 100 }, (_, n) => Effect.ignore(work(n))),
          { concurrency: "unbounded" }
        )
        const seen = yield* written
        assert.deepStrictEqual(
          seen,
          Array.from({ length: 50 }, (_, n) => `${2 * n + 1}`.padStart(3, "0"))
        )
      }).pipe(Effect.provide(client("shared", { maxConnections: 3, concurrency: 16 }, { driver: { multiplex: true } })))
    )
  })

  describe("whose connection is killed", () => {
    it.effect("fails, and none of its statements runs anywhere else", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write, written } = yield* notes("killed")
        const outcomes: Array<string> = []
        const exit = yield* Effect.exit(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* write("before")
              yield* killed(outside, "killed")
              // Whatever the program makes of the errors.
              for (const text of ["first", "second"]) outcomes.push((yield* Effect.result(write(text)))._tag)
              return yield* write("third")
            })
          )
        )
        assert.deepStrictEqual(outcomes, ["Failure", "Failure"])
        assert.isTrue(Exit.isFailure(exit) && !Cause.hasDies(exit.cause), String(exit))
        assert.deepStrictEqual(yield* written, [])
        yield* write("afterwards")
        assert.deepStrictEqual(yield* written, ["afterwards"])
      }).pipe(Effect.provide(client("killed", { maxConnections: 3 })))
    )

    it.effect("fails with what its body failed with, if that was something else", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write } = yield* notes("own_error")
        const error = yield* Effect.flip(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* write("before")
              yield* killed(outside, "own_error")
              return yield* Effect.fail("mine" as const)
            })
          )
        )
        assert.strictEqual(error, "mine")
      }).pipe(Effect.provide(client("own_error")))
    )

    it.effect("fails from within a savepoint, though that was caught", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write, written } = yield* notes("killed_inside")
        const exit = yield* Effect.exit(
          sql.withTransaction(
            Effect.gen(function* () {
              yield* write("outer")
              yield* Effect.ignore(
                sql.withTransaction(Effect.andThen(killed(outside, "killed_inside"), write("inner")))
              )
              yield* Effect.ignore(write("outside"))
            })
          )
        )
        assert.isTrue(Exit.isFailure(exit) && !Cause.hasDies(exit.cause), String(exit))
        assert.deepStrictEqual(yield* written, [])
        assert.deepStrictEqual((yield* nothingLent).acquired, 1)
      }).pipe(Effect.provide(client("killed_inside")))
    )

    it.effect("is not said to be retryable when it was the commit that had no answer", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write } = yield* notes("lost_commit")
        const error = yield* Effect.flip(
          sql.withTransaction(Effect.andThen(write("x"), Effect.orDie(killed(outside, "lost_commit"))))
        )
        if (!SqlError.isSqlError(error)) return assert.fail(String(error))
        assert.deepStrictEqual(
          [error.isRetryable, error.reason.operation, SqlError.isSqlError(error.reason.cause)],
          [false, "commit", true]
        )
      }).pipe(Effect.provide(client("lost_commit")))
    )

    it.effect("may be tried again as a whole when it was a statement that failed", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write, written } = yield* notes("retried")
        let attempts = 0
        yield* sql
          .withTransaction(
            Effect.gen(function* () {
              yield* write("once")
              if (++attempts === 1) yield* Effect.orDie(killed(outside, "retried"))
              yield* write("twice")
            })
          )
          .pipe(Effect.retry({ while: (error) => error.isRetryable, times: 3 }))
        assert.strictEqual(attempts, 2)
        assert.deepStrictEqual(yield* written, ["once", "twice"])
      }).pipe(Effect.provide(client("retried")))
    )
  })

  describe("and those who hold on to them", () => {
    it.effect("refuses the statements of a fiber that goes on after the end", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("late")
        const over = yield* Deferred.make<void>()
        const late = yield* sql.withTransaction(
          Effect.andThen(
            write("in time"),
            Effect.forkDetach(Effect.andThen(Deferred.await(over), Effect.flip(write("too late"))))
          )
        )
        yield* Deferred.succeed(over, undefined)
        const error = yield* Fiber.join(late)
        assert.include(error.message, "the transaction has ended")
        assert.isFalse(error.isRetryable)
        assert.deepStrictEqual(yield* written, ["in time"])
      }).pipe(Effect.provide(client("late")))
    )

    it.effect("takes the statements along that are under way when it ends", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("under_way")
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        yield* Effect.ignore(
          sql.withTransaction(
            Effect.gen(function* () {
              for (let n = 0; n < 5; n++)
                fibers.push(yield* Effect.forkDetach(write(`${n}`), { startImmediately: true }))
              return yield* Effect.fail("no" as const)
            })
          )
        )
        for (const fiber of fibers) yield* Fiber.await(fiber)
        assert.deepStrictEqual(yield* written, [])
      }).pipe(Effect.provide(client("under_way")))
    )

    it.effect("refuses what is sent through a reserved connection after its scope", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside } = yield* notes("reserved")
        const connection = yield* Effect.scoped(
          Effect.tap(sql.reserve, (connection) => connection.execute("begin", [], undefined))
        )
        const error = yield* Effect.flip(connection.execute("select 1", [], undefined))
        assert.include(error.message, "given back")
        // The transaction that was left open on it is over.
        yield* eventually(sessionsOf(outside, "reserved"), (sessions) =>
          sessions.every(({ state }) => state === "idle")
        )
      }).pipe(Effect.provide(client("reserved")))
    )

    it.effect("fails the commit of a transaction in which a failed statement was caught", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("caught")
        const error = yield* Effect.flip(
          sql.withTransaction(Effect.andThen(write("x"), Effect.ignore(sql`select 1 / 0`)))
        )
        assert.include(error.message, "rolled it back")
        assert.deepStrictEqual(yield* written, [])
      }).pipe(Effect.provide(client("caught")))
    )
  })

  describe("that take too long", () => {
    it.effect("cancels a statement on the server, and the connection goes on", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const outside = yield* observer
        const before = yield* pid
        const error = yield* Effect.flip(sql`select pg_sleep(60)`)
        assert.deepStrictEqual([reasonOf(error), error.isRetryable], ["StatementTimeoutError", true])
        assert.include(error.message, "cancelled on the server")
        const sessions = yield* sessionsOf(outside, "timeout")
        assert.isFalse(sessions.some(({ state }) => state === "active"))
        assert.strictEqual(yield* pid, before)
      }).pipe(Effect.provide(client("timeout", { ...alone, queryTimeout: "150 millis" })))
    )

    it.effect("rolls back the transaction whose statement is cancelled", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { write, written } = yield* notes("timeout_inside")
        const error = yield* Effect.flip(sql.withTransaction(Effect.andThen(write("x"), sql`select pg_sleep(60)`)))
        assert.strictEqual(reasonOf(error), "StatementTimeoutError")
        assert.deepStrictEqual(yield* written, [])
        assert.strictEqual((yield* nothingLent).closed, 0)
      }).pipe(Effect.provide(client("timeout_inside", { ...alone, queryTimeout: "150 millis" })))
    )

    it.effect("has the server end a statement that shares its connection, and spares the others", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const [slow, quick] = yield* Effect.all([Effect.flip(sql`select pg_sleep(60)`), sql`select 1 as one`], {
          concurrency: 2
        })
        assert.strictEqual(reasonOf(slow), "StatementTimeoutError")
        assert.deepStrictEqual(quick, [{ one: 1 }])
      }).pipe(
        Effect.provide(
          Layer.unwrap(
            Effect.map(Server, ({ url }) =>
              Postgres.layerSqlClient({ url }, { ...alone, concurrency: 8, queryTimeout: "200 millis" })
            )
          ).pipe(Layer.provide(Logger.layer([])))
        )
      )
    )

    it.effect("cancels a transaction's statement where others share connections, since it has its own", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const error = yield* Effect.flip(sql.withTransaction(sql`select pg_sleep(60)`))
        assert.include(error.message, "cancelled on the server")
        assert.strictEqual((yield* nothingLent).closed, 0)
      }).pipe(
        Effect.provide(
          client(
            "timeout_pinned",
            { ...alone, concurrency: 8, queryTimeout: "150 millis" },
            { driver: { multiplex: true } }
          )
        )
      )
    )

    it.effect("ends in bounded time on a server that is frozen, by closing the connection", () =>
      Effect.gen(function* () {
        const server = yield* Server
        const sql = yield* SqlClient.SqlClient
        yield* sql`select 1`
        const started = performance.now()
        const exit = yield* Effect.exit(
          sql.withTransaction(
            Effect.andThen(
              sql`select 1`,
              Effect.andThen(
                Effect.acquireRelease(server.freeze, () => server.thaw),
                sql`select 1`
              )
            )
          )
        )
        const took = performance.now() - started
        yield* server.thaw
        assert.isTrue(Exit.isFailure(exit) && !Cause.hasDies(exit.cause), String(exit))
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.isTrue(SqlError.isSqlError(error) && error.reason._tag === "StatementTimeoutError")
        assert.isBelow(took, 4000)
        assert.strictEqual((yield* Effect.retry(sql`select 1 as one`, { times: 5 }))[0]?.["one"], 1)
      }).pipe(Effect.provide(client("frozen", { ...alone, queryTimeout: "150 millis", closeTimeout: "500 millis" })))
    )

    it.effect("ends in bounded time when the network is cut in silence, and goes on when it is back", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const { written } = yield* Effect.provide(notes("cut"), client("outside the cut"))
        const proxy = yield* TcpProxy.make(port)
        const url = `postgres://postgres@127.0.0.1:${proxy.port}/postgres`
        const config: Input = {
          ...alone,
          queryTimeout: "150 millis",
          connectTimeout: "300 millis",
          closeTimeout: "300 millis",
          acquireTimeout: "5 seconds",
          retry: { initial: "50 millis", max: "100 millis" }
        }
        yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const started = performance.now()
          const error = yield* Effect.flip(
            sql.withTransaction(
              Effect.gen(function* () {
                yield* sql`insert into cut values ('before')`
                yield* proxy.cut("mute")
                yield* sql`insert into cut values ('after')`
              })
            )
          )
          assert.strictEqual(reasonOf(error), "StatementTimeoutError")
          assert.isBelow(performance.now() - started, 4000)
          yield* proxy.healForNewcomers
          yield* sql`insert into cut values ('healed')`
        }).pipe(Effect.provide(Postgres.layerSqlClient({ url }, config).pipe(Layer.provide(Logger.layer([])))))
        assert.deepStrictEqual(yield* written, ["healed"])
      })
    )

    it.effect("cancels on the server what is interrupted", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const outside = yield* observer
        const fiber = yield* Effect.forkChild(sql`select pg_sleep(60)`)
        yield* eventually(sessionsOf(outside, "interrupted"), ([session]) => session?.state === "active")
        yield* Fiber.interrupt(fiber)
        yield* eventually(sessionsOf(outside, "interrupted"), (sessions) =>
          sessions.every(({ state }) => state === "idle")
        )
        assert.strictEqual((yield* sql`select 1 as one`)[0]?.["one"], 1)
      }).pipe(Effect.provide(client("interrupted")))
    )
  })

  describe("whose fiber is killed anywhere", () => {
    it.effect("leaves nothing behind: no lease, no open transaction, no half of one", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { outside, write, written } = yield* notes("swept")
        const ticks = (n: number) =>
          Effect.promise(async () => {
            for (let tick = 0; tick < n; tick++) await new Promise((resolve) => setImmediate(resolve))
          })
        // On its way to the first statement and through `BEGIN`; from the end of the body on, through `COMMIT`.
        const moments = [0, 1, 2, 3, 5, 8].map((wait) => ["start", wait] as const)
        const later = [0, 1, 3].map((wait) => ["body", wait] as const)
        for (let budget = 3; budget <= 64; budget++) {
          for (const [from, wait] of [...moments, ...later]) {
            const name = `${budget}-${from}-${wait}`
            const bodyEnds = yield* Deferred.make<void>()
            const fiber = yield* sql
              .withTransaction(
                Effect.andThen(
                  Effect.andThen(write(`${name} a`), sql.withTransaction(write(`${name} b`))),
                  Deferred.succeed(bodyEnds, undefined)
                )
              )
              .pipe(
                Effect.provideService(Scheduler.MaxOpsBeforeYield, budget),
                Effect.forkChild({ startImmediately: true })
              )
            if (from === "body") yield* Deferred.await(bodyEnds)
            yield* ticks(wait)
            yield* Fiber.interrupt(fiber)
          }
        }
        const { acquired, inUse, released, waiting } = yield* nothingLent
        assert.deepStrictEqual({ inUse, waiting, released }, { inUse: 0, waiting: 0, released: acquired })
        const sessions = yield* sessionsOf(outside, "swept")
        assert.isTrue(sessions.every(({ state }) => state === "idle"))
        const all = (yield* written).map((text) => String(text).split(" ")[0])
        for (const name of new Set(all)) assert.strictEqual(all.filter((other) => other === name).length, 2, name)
        // The sweep means something only where some were in time and some were not.
        assert.isAbove(all.length, 0)
        assert.isBelow(all.length, 2 * 62 * 9)
      }).pipe(Effect.provide(client("swept", { maxConnections: 2 })))
    )
  })
})
