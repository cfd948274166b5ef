import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, type SqlConnection, SqlError, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import * as Connector from "../../src/Connector.ts"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Sql from "../../src/connectors/Sql.ts"
import { AcquireTimeout, PoolClosed, PoolDeadlock, PoolOverloaded, ServiceUnavailable } from "../../src/PoolError.ts"
import * as PoolLayer from "../../src/PoolLayer.ts"

/** A driver's connection that writes down what it is told, and answers as the test says. */
interface Wire {
  readonly id: number
  readonly log: Array<string>
  readonly answer: (sql: string) => Effect.Effect<ReadonlyArray<object>, SqlError.SqlError>
}

class Db extends PoolLayer.Service<Db, Wire>()("test/Db") {}

const broken = (message: string) =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({ cause: new Error(message), message, operation: "execute" })
  })

const adapter = ({ answer, id, log }: Wire): SqlConnection.Connection => {
  const run = (sql: string) =>
    Effect.suspend(() => {
      log.push(`${id} ${sql}`)
      return answer(sql)
    })
  return {
    execute: run,
    executeRaw: run,
    executeUnprepared: run,
    executeValues: () => Effect.succeed([]),
    executeValuesUnprepared: () => Effect.succeed([]),
    executeStream: (sql) => Stream.fromIterableEffect(run(sql))
  }
}

const dialect: Sql.Dialect<Wire> = {
  driver: "test",
  connection: adapter,
  compiler: Statement.makeCompilerSqlite(),
  spanAttributes: [],
  releaseSavepoint: (name) => `RELEASE ${name}`
}

const noRows = Effect.succeed<ReadonlyArray<object>>([])

/** The client, on connections that all answer the same way, and what they were told. */
const withClient = Effect.fnUntraced(function* <A, E>(
  answer: Wire["answer"],
  program: (sql: SqlClient.SqlClient, log: ReadonlyArray<string>) => Effect.Effect<A, E, Db>,
  options: Partial<Sql.Dialect<Wire>> = {}
) {
  const log: Array<string> = []
  let opened = 0
  const connector = Connector.make<Wire>({ name: "test", connect: Effect.sync(() => ({ id: ++opened, log, answer })) })
  return yield* Effect.flatMap(SqlClient.SqlClient, (sql) => program(sql, log)).pipe(
    Effect.provide(
      Sql.layer(Db, { ...dialect, ...options }).pipe(
        Layer.provideMerge(Db.layerTest(connector, { maxConnections: 1, queryTimeout: "1 second" }))
      )
    )
  )
})

const reasonOf = (exit: Exit.Exit<unknown, unknown>) => {
  const error = Exit.isFailure(exit) && !Cause.hasDies(exit.cause) ? Cause.squash(exit.cause) : undefined
  return SqlError.isSqlError(error) ? error.reason._tag : exit._tag
}

describe("Sql", () => {
  describe("transactions", () => {
    it.effect("discard the connection when a rollback fails, and fail with what made them roll back", () =>
      withClient(
        (sql) => (sql === "ROLLBACK" ? Effect.fail(broken("no answer")) : noRows),
        (sql, log) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(
              sql.withTransaction(Effect.andThen(sql`one`, Effect.fail("mine" as const)))
            )
            yield* sql`two`
            assert.strictEqual(error, "mine")
            assert.deepStrictEqual(log, ["1 BEGIN", "1 one", "1 ROLLBACK", "2 two"])
          })
      )
    )

    it.effect("run no statement after a savepoint that could not be undone", () =>
      withClient(
        (sql) => (sql.startsWith("ROLLBACK TO") ? Effect.fail(broken("no answer")) : noRows),
        (sql, log) =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(
              sql.withTransaction(
                Effect.gen(function* () {
                  yield* Effect.ignore(sql.withTransaction(Effect.fail("no" as const)))
                  yield* Effect.ignore(sql`outside`)
                })
              )
            )
            assert.strictEqual(reasonOf(exit), "UnknownError")
            assert.deepStrictEqual(log, ["1 BEGIN", "1 SAVEPOINT effect_sql_1", "1 ROLLBACK TO SAVEPOINT effect_sql_1"])
            yield* sql`next`
            assert.strictEqual(log.at(-1), "2 next")
          })
      )
    )

    it.effect("are lost with a savepoint that is not there any more", () =>
      withClient(
        (sql) => (sql.startsWith("RELEASE") ? Effect.fail(broken("no such savepoint")) : noRows),
        (sql, log) =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(sql.withTransaction(sql.withTransaction(sql`one`)))
            assert.strictEqual(reasonOf(exit), "UnknownError")
            assert.notInclude(log, "1 COMMIT")
          })
      )
    )

    it.effect("that fail to begin give their connection back", () =>
      withClient(
        (sql) => (sql === "BEGIN" ? Effect.fail(broken("no answer")) : noRows),
        (sql, log) =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(sql.withTransaction(sql`one`))
            assert.strictEqual(reasonOf(exit), "ConnectionError")
            assert.deepStrictEqual(log, ["1 BEGIN"])
            assert.strictEqual((yield* Db.status).inUse, 0)
          })
      )
    )

    it.effect("are not tried again when the answer to their commit was lost", () =>
      withClient(
        (sql) => (sql === "COMMIT" ? Effect.fail(broken("no answer")) : noRows),
        (sql) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(sql.withTransaction(sql`one`))
            assert.deepStrictEqual([error.reason._tag, error.isRetryable], ["UnknownError", false])
            assert.include(error.message, "not known")
          })
      )
    )

    it.effect("are cleaned up after a failed commit where the dialect has a way to", () =>
      withClient(
        (sql) => (sql === "COMMIT" ? Effect.fail(broken("busy")) : noRows),
        (sql, log) =>
          Effect.gen(function* () {
            yield* Effect.exit(sql.withTransaction(sql`one`))
            assert.deepStrictEqual(log, ["1 BEGIN", "1 one", "1 COMMIT", "1 undo"])
          }),
        { onCommitFailure: (connection) => Effect.asVoid(connection.executeUnprepared("undo", [], undefined)) }
      )
    )

    it.effect(
      "fail with the commit's own error where the clean-up after it fails, too, and lend its connection to nobody",
      () =>
        withClient(
          (sql) => (sql === "COMMIT" || sql === "undo" ? Effect.fail(broken("no answer")) : noRows),
          (sql) =>
            Effect.gen(function* () {
              const error = yield* Effect.flip(sql.withTransaction(sql`one`))
              assert.strictEqual(error.reason.operation, "commit")
              yield* sql`two`
              const { closed } = yield* Db.status
              assert.strictEqual(closed, 1)
            }),
          { onCommitFailure: (connection) => Effect.asVoid(connection.executeUnprepared("undo", [], undefined)) }
        )
    )

    it.effect("roll nothing back where the dialect says that there is nothing", () =>
      withClient(
        () => noRows,
        (sql, log) =>
          Effect.gen(function* () {
            yield* Effect.exit(sql.withTransaction(Effect.fail("no" as const)))
            assert.deepStrictEqual(log, ["1 BEGIN"])
          }),
        { isTransaction: () => false }
      )
    )

    it.effect("end after the statements that are under way in other fibers", () => {
      const ended: Array<string> = []
      return withClient(
        (sql) =>
          sql === "slow"
            ? Effect.tap(Effect.delay(noRows, "500 millis"), () => Effect.sync(() => ended.push(sql)))
            : noRows,
        (sql, log) =>
          Effect.gen(function* () {
            const transaction = yield* Effect.forkChild(
              sql.withTransaction(Effect.forkDetach(sql`slow`, { startImmediately: true }))
            )
            yield* TestClock.adjust("499 millis")
            assert.deepStrictEqual(log, ["1 BEGIN", "1 slow"])
            yield* TestClock.adjust("1 millis")
            yield* Fiber.join(transaction)
            assert.deepStrictEqual([log.at(-1), ended], ["1 COMMIT", ["slow"]])
          })
      )
    })

    it.effect("wait for a stream of theirs that is still being read", () =>
      withClient(
        () => Effect.succeed([{ n: 1 }, { n: 2 }]),
        (sql, log) =>
          Effect.gen(function* () {
            const read = yield* sql.withTransaction(Stream.runCollect(sql`rows`.stream))
            assert.deepStrictEqual(read, [{ n: 1 }, { n: 2 }])
            assert.deepStrictEqual(log, ["1 BEGIN", "1 rows", "1 COMMIT"])
          })
      )
    )
  })

  describe("a statement that takes longer than queryTimeout", () => {
    it.effect("is interrupted where the driver cannot be told otherwise", () => {
      let isInterrupted = false
      return withClient(
        (sql) =>
          sql === "slow" ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => (isInterrupted = true))) : noRows,
        (sql, log) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(Effect.exit(sql`slow`))
            yield* TestClock.adjust("1 second")
            assert.strictEqual(reasonOf(yield* Fiber.join(fiber)), "StatementTimeoutError")
            assert.isTrue(isInterrupted)
            yield* sql`next`
            assert.deepStrictEqual(log, ["1 slow", "2 next"])
          })
      )
    })

    it.effect("is cancelled through the dialect, and nothing follows it before that is over", () => {
      const ended: Array<() => void> = []
      const log: Array<string> = []
      return withClient(
        (sql) =>
          sql === "slow"
            ? Effect.callback<ReadonlyArray<object>, SqlError.SqlError>((resume) => {
                ended.push(() => resume(Effect.fail(broken("cancelled"))))
              })
            : noRows,
        (sql) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(
              Effect.exit(sql`slow`).pipe(Effect.tap(() => Effect.sync(() => log.push("failed"))))
            )
            yield* TestClock.adjust("999 millis")
            assert.deepStrictEqual(log, [])
            yield* TestClock.adjust("1 millis")
            assert.deepStrictEqual(log, ["told", "ended"])
            yield* TestClock.adjust("100 millis")
            assert.strictEqual(reasonOf(yield* Fiber.join(fiber)), "StatementTimeoutError")
            assert.deepStrictEqual(log, ["told", "ended", "over", "failed"])
          }),
        {
          cancel: (_, whenEnded) =>
            Effect.gen(function* () {
              log.push("told")
              ended[0]!()
              yield* whenEnded
              log.push("ended")
              yield* Effect.sleep("100 millis")
              log.push("over")
            })
        }
      )
    })

    it.effect("is left alone when it was quick, and a later one has all of its time", () => {
      let cancelled = 0
      return withClient(
        (sql) => (sql === "slow" ? Effect.delay(noRows, "900 millis") : noRows),
        (sql) =>
          Effect.gen(function* () {
            yield* sql`quick`
            yield* TestClock.adjust("500 millis")
            const fiber = yield* Effect.forkChild(sql`slow`)
            yield* TestClock.adjust("900 millis")
            yield* Fiber.join(fiber)
            assert.strictEqual(cancelled, 0)
          }),
        { cancel: () => Effect.sync(() => void cancelled++) }
      )
    })
  })

  describe("the pool's errors", () => {
    const snapshot = {
      total: 1,
      idle: 0,
      inUse: 1,
      connecting: 0,
      checking: 0,
      resetting: 0,
      closing: 0,
      waiting: 1,
      limit: 1
    }
    const common = { pool: "p", snapshot, retryAfterSeconds: 1 }
    const deadlock = { pool: "p", snapshot, waiter: "w", cycle: [] }

    it("become SqlErrors that keep them as their cause, retryable or not", () => {
      const errors = [
        [
          new AcquireTimeout({
            ...common,
            timeoutMillis: 1,
            waitedMillis: 1,
            waiter: "w",
            position: 1,
            diagnosis: "burst",
            summary: "",
            advice: [],
            holders: []
          }),
          "ConnectionError",
          true
        ],
        [new ServiceUnavailable({ ...common, reason: "paused", failingForMillis: 1 }), "ConnectionError", true],
        [new PoolOverloaded({ ...common, reason: "shed", waitedMillis: 1, emptyInMillis: 1 }), "ConnectionError", true],
        [new PoolDeadlock({ ...deadlock, isForbidden: false }), "DeadlockError", true],
        [new PoolDeadlock({ ...deadlock, isForbidden: true }), "UnknownError", false],
        [new PoolClosed({ pool: "p" }), "UnknownError", false]
      ] as const
      for (const [error, reason, isRetryable] of errors) {
        const sqlError = Sql.toSqlError(error)
        assert.deepStrictEqual([sqlError.reason._tag, sqlError.isRetryable], [reason, isRetryable])
        assert.strictEqual(sqlError.reason.cause, error)
      }
    })

    it.effect("are made of those that acquiring fails with", () =>
      withClient(
        () => noRows,
        (sql) =>
          Effect.gen(function* () {
            const waiting = yield* Effect.forkChild(Effect.scoped(Effect.andThen(sql.reserve, Effect.never)))
            yield* Effect.yieldNow
            const fiber = yield* Effect.forkChild(Effect.flip(sql`one`))
            yield* TestClock.adjust(Duration.seconds(5))
            const { isRetryable, reason } = yield* Fiber.join(fiber)
            assert.instanceOf(reason.cause, AcquireTimeout)
            assert.isTrue(isRetryable)
            yield* Fiber.interrupt(waiting)
          })
      )
    )
  })

  it.effect("makes a client over a pool that is not a service", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const wires = Connector.make<Wire>({
        name: "test",
        connect: Effect.succeed({ id: 1, log, answer: () => noRows })
      })
      const pool = yield* ConnectionPool.make(wires, { minConnections: 0 })
      const sql = yield* Sql.make(pool, dialect)
      yield* sql`one`
      assert.deepStrictEqual([log, sql.driver], [["1 one"], "test"])
    }).pipe(Effect.provide(Reactivity.layer))
  )
})
