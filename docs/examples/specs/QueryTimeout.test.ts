/** Queries that take too long end, and their connections are as good as new, or gone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { DatabaseConnection, PoolLayer } from "effect-pool"
import { TestConnector } from "effect-pool/testing"
import { TestClock } from "effect/testing"

interface Driver {
  readonly run: (sql: string) => Effect.Effect<string>
}

type Connection = DatabaseConnection.DatabaseConnection<Driver, string>

class Db extends PoolLayer.Service<Db, Connection>()("shop/Db") {}

/** A driver that takes an hour for whatever locks, and ends it when it is interrupted, if it can. */
const driver = TestConnector.make(() => ({
  run: (sql: string) => Effect.delay(Effect.succeed(`result of ${sql}`), sql.startsWith("lock") ? "1 hour" : "1 milli")
}))

const database = (cancel?: "interrupt") =>
  Db.layerTest(
    DatabaseConnection.connector(driver.connector, { query: (connection: Driver, sql) => connection.run(sql), cancel }),
    { queryTimeout: "10 seconds", maxConnections: 1 }
  )

/** What a query ends with in a minute. */
const ask = Effect.fnUntraced(function* (sql: string) {
  const fiber = yield* Effect.forkChild(Effect.result(Db.use((connection) => connection.query(sql))))
  yield* TestClock.adjust("1 minute")
  return yield* Fiber.join(fiber)
})

const outcomeOf = Effect.fnUntraced(function* (sql: string) {
  const result = yield* ask(sql)
  if (result._tag === "Success") return result.success
  return result.failure._tag === "QueryTimeout" ? result.failure.outcome : result.failure._tag
})

const used = Effect.map(Db.connections, (connections) => connections.map(({ id, uses }) => ({ id, uses })))

describe("a query that takes too long", () => {
  it.effect("is cancelled, and its connection is lent again", () =>
    Effect.gen(function* () {
      const outcomes = [yield* outcomeOf("lock orders"), yield* outcomeOf("select 1")]
      assert.deepStrictEqual(outcomes, ["cancelled", "result of select 1"])
      assert.deepStrictEqual(yield* used, [{ id: 1, uses: 2 }])
    }).pipe(Effect.provide(database("interrupt")))
  )

  it.effect("is abandoned where the driver cannot cancel, and the next borrower has a new connection", () =>
    Effect.gen(function* () {
      const outcomes = [yield* outcomeOf("lock orders"), yield* outcomeOf("select 1")]
      assert.deepStrictEqual(outcomes, ["abandoned", "result of select 1"])
      assert.deepStrictEqual(yield* used, [{ id: 2, uses: 1 }])
    }).pipe(Effect.provide(database()))
  )
})
