import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Scheduler, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type Connector, DatabaseConnection, type PoolConfig } from "../src/index.ts"
import { type FakeConnection, FakeServer, type Refused, turns } from "./support/FakeServer.ts"

type Rows = ReadonlyArray<string>
type Query = Effect.Effect<Rows, "refused">
type Options = DatabaseConnection.Options<FakeConnection, Rows, "refused">
type Connection = DatabaseConnection.DatabaseConnection<FakeConnection, Rows, "refused">

const single: PoolConfig.Input = { minConnections: 1, maxConnections: 1, queryTimeout: "10 seconds" }

/** A driver whose queries are named by their text; `cancel` ends the one that runs, as a server would. */
class Driver {
  readonly server = new FakeServer()
  readonly sent: Array<string> = []
  cancels = 0
  interrupts = 0
  private running: Deferred.Deferred<Rows, "refused"> | undefined = undefined

  readonly query: Options["query"] = (_, sql): Query =>
    Effect.suspend(() => {
      this.sent.push(sql)
      switch (sql) {
        case "fail":
          return Effect.fail("refused" as const)
        case "throw":
          throw new Error("a driver's mistake")
        case "slow":
          return Effect.delay(Effect.succeed(["late"]), "4 seconds")
        case "hang":
          return Effect.onInterrupt(this.answer(), () => Effect.sync(() => void this.interrupts++))
        case "deaf":
          return Effect.uninterruptible(this.answer())
        default:
          return Effect.succeed([sql])
      }
    })

  private answer(): Query {
    this.running = Deferred.makeUnsafe<Rows, "refused">()
    return Deferred.await(this.running)
  }

  /** What the server does with a request to cancel. */
  readonly cancel = (): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.cancels++
      return this.running === undefined ? Effect.void : Effect.asVoid(Deferred.fail(this.running, "refused"))
    })

  pool(
    options: Partial<Options> = {},
    config: PoolConfig.Input = single,
    connector: Connector.Connector<FakeConnection, Refused> = this.server.complete
  ): Effect.Effect<ConnectionPool.ConnectionPool<Connection>, never, Scope.Scope> {
    const wrapped = DatabaseConnection.connector(connector, { query: this.query, ...options })
    return Effect.orDie(ConnectionPool.make(wrapped, config))
  }
}

const run = (sql: string) => (connection: Connection) => connection.query(sql)

/** How a query ends whose time runs out, given the time that passes meanwhile. */
const endOf = Effect.fnUntraced(function* (
  pool: ConnectionPool.ConnectionPool<Connection>,
  sql: string,
  millis: number
) {
  const fiber = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, run(sql))))
  yield* TestClock.adjust(millis)
  yield* turns()
  if (fiber.pollUnsafe() !== undefined) return yield* Fiber.join(fiber)
  // The pool would wait for its borrower before it closes.
  yield* Fiber.interrupt(fiber)
  return undefined
})

const outcomeOf = (error: unknown): unknown => (error instanceof Error && "outcome" in error ? error.outcome : error)

const only = <A>(pool: ConnectionPool.ConnectionPool<A>) =>
  Effect.map(ConnectionPool.connections(pool), ([connection]) => connection)

describe("what a connection counts", () => {
  it.effect("is its queries, their errors and their time", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000)
      const pool = yield* new Driver().pool()
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) =>
          Effect.gen(function* () {
            yield* connection.query("slow")
            yield* Effect.ignore(connection.query("fail"))
            yield* Effect.exit(connection.query("throw"))
            const { createdAt, errorCount, id, lastUsed, queryCount, totalQueryTime } = connection
            return { createdAt, errorCount, id, lastUsed, queryCount, totalQueryTime }
          })
        )
      )
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), {
        createdAt: 1_000_000,
        errorCount: 2,
        id: 1,
        lastUsed: 1_004_000,
        queryCount: 3,
        totalQueryTime: 4000
      })
    })
  )

  it.effect("is seen in the list of connections, beside what the wrapped connector counts", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const counting = { ...driver.server.complete, statistics: ({ id }: FakeConnection) => ({ serverId: id }) }
      const pool = yield* driver.pool({}, single, counting)
      yield* ConnectionPool.use(pool, run("one"))
      assert.deepStrictEqual((yield* only(pool))?.statistics, {
        serverId: 1,
        createdAt: 0,
        lastUsed: 0,
        queryCount: 1,
        errorCount: 0,
        totalQueryTime: 0
      })
    })
  )

  it.effect("does not take a query for an error that its borrower interrupted", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool({ cancel: "interrupt" })
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) =>
          Effect.as(Effect.timeoutOption(connection.query("hang"), "3 seconds"), connection)
        )
      )
      yield* TestClock.adjust("3 seconds")
      const { errorCount, queryCount, totalQueryTime } = yield* Fiber.join(fiber)
      assert.deepStrictEqual([queryCount, errorCount, totalQueryTime], [1, 0, 3000])
    })
  )

  it.effect("begins with the number 1 for each connector", () =>
    Effect.gen(function* () {
      for (const pool of [yield* new Driver().pool(), yield* new Driver().pool()]) {
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 1)
      }
    })
  )
})

describe("a query that passes its timeout", () => {
  it.effect("fails with the numbers, a diagnosis and advice, and without its text", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool()
      const error = yield* endOf(pool, "hang", 10_000)
      assert.instanceOf(error, Error)
      assert.strictEqual(
        error.message,
        "[fake] connection 1: no result within 10.0 s (waited 10.0 s): it could not be cancelled and may still run, and the " +
          "connection is discarded. Look for a lock that another session holds, a missing index, or too many rows; raise " +
          "queryTimeout only for queries that are meant to take longer."
      )
    })
  )

  it.effect("does not end a moment before", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool()
      assert.isUndefined(yield* endOf(pool, "hang", 9999))
    })
  )

  it.effect("is cancelled on the server, and its connection lent on", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool({ cancel: driver.cancel })
      assert.strictEqual(outcomeOf(yield* endOf(pool, "deaf", 10_000)), "cancelled")
      assert.deepStrictEqual(yield* ConnectionPool.use(pool, run("next")), ["next"])
      assert.deepStrictEqual([driver.cancels, driver.server.attempts.length], [1, 1])
    })
  )

  it.effect("leaves a cancelled connection to its borrower", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool({ cancel: driver.cancel })
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) =>
          Effect.catch(connection.query("deaf"), () => connection.query("rollback"))
        )
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["rollback"])
    })
  )

  it.effect("is cancelled by its interruption where the driver does it so", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool({ cancel: "interrupt" })
      assert.strictEqual(outcomeOf(yield* endOf(pool, "hang", 10_000)), "cancelled")
      assert.deepStrictEqual([driver.interrupts, driver.server.closed], [1, []])
    })
  )

  const hopeless: ReadonlyArray<readonly [string, Partial<Options>]> = [
    ["the driver cannot cancel", {}],
    ["cancelling fails", { cancel: () => Effect.fail("no way through") }],
    [
      "cancelling throws",
      {
        cancel: () => {
          throw new Error("a driver's mistake")
        }
      }
    ],
    ["cancelling hangs", { cancel: () => Effect.uninterruptible(Effect.never) }],
    ["the query does not end by it", { cancel: () => Effect.void }],
    ["the query ignores the interruption that cancels it", { cancel: "interrupt" }]
  ]
  for (const [why, options] of hopeless) {
    it.effect(`has its connection replaced, and holds up its borrower for a second at most: ${why}`, () =>
      Effect.gen(function* () {
        const driver = new Driver()
        const pool = yield* driver.pool(options)
        assert.strictEqual(outcomeOf(yield* endOf(pool, "deaf", 11_000)), "abandoned")
        const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), 2)
      })
    )
  }

  it.effect("is the last that is sent on a connection where it could not be ended", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool()
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) =>
          Effect.andThen(Effect.ignore(connection.query("deaf")), Effect.flip(connection.query("next")))
        )
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(outcomeOf(yield* Fiber.join(fiber)), "notSent")
      assert.deepStrictEqual(driver.sent, ["deaf"])
    })
  )
})

describe("the timeout", () => {
  const timeouts: ReadonlyArray<readonly [string, Partial<Options>, PoolConfig.Input, number]> = [
    ["is 30 seconds", {}, { minConnections: 1 }, 30_000],
    ["is the pool's", {}, single, 10_000],
    ["is the connector's own before the pool's", { queryTimeout: "2 seconds" }, single, 2000]
  ]
  for (const [what, options, config, millis] of timeouts) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const pool = yield* new Driver().pool(options, config)
        assert.isUndefined(yield* endOf(pool, "hang", millis - 1))
        const other = yield* new Driver().pool(options, config)
        assert.strictEqual(outcomeOf(yield* endOf(other, "hang", millis)), "abandoned")
      })
    )
  }

  it.effect("is switched off by Infinity", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool({}, { ...single, queryTimeout: Infinity })
      assert.isUndefined(yield* endOf(pool, "hang", 86_400_000))
    })
  )

  for (const queryTimeout of [0, -1, Number.NaN, "a while" as "1 second"]) {
    it.effect(`is reported if it is wrong, together with the pool's configuration: ${queryTimeout}`, () =>
      Effect.gen(function* () {
        const driver = new Driver()
        const connector = DatabaseConnection.connector(driver.server.bare, { query: driver.query, queryTimeout })
        const error = yield* Effect.flip(ConnectionPool.make(connector, { maxUses: 0 }))
        assert.deepStrictEqual(error._tag === "PoolConfigError" && error.problems.map(({ field }) => field), [
          "maxUses",
          "queryTimeout"
        ])
      })
    )
  }
})

describe("a query that its borrower interrupts", () => {
  it.effect("does not hold up its borrower, whatever the driver does", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool({ cancel: () => Effect.uninterruptible(Effect.never) })
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, run("deaf")))
      yield* turns()
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("is cancelled, and its connection lent on after its check", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool({ cancel: driver.cancel })
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, run("deaf")))
      yield* turns()
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 1)
      assert.deepStrictEqual([driver.cancels, driver.server.checks], [1, 1])
    })
  )

  it.effect("has its connection replaced when it does not end", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool({ cancel: () => Effect.void })
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, run("deaf")))
      yield* turns()
      yield* Fiber.interrupt(fiber)
      const next = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(next), 2)
    })
  )

  it.effect("is interrupted at the latest when its connection is closed", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* driver.pool({ cancel: () => Effect.never })
          const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, run("hang")))
          yield* turns()
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(driver.interrupts, 0)
        })
      )
      yield* turns()
      assert.strictEqual(driver.interrupts, 1)
    })
  )

  it.effect("keeps the next query of its borrower waiting until it has ended", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool({ cancel: () => Effect.delay(driver.cancel(), "500 millis") })
      const fiber = yield* Effect.forkChild(
        ConnectionPool.use(pool, (connection) =>
          Effect.andThen(Effect.timeoutOption(connection.query("deaf"), "1 second"), connection.query("next"))
        )
      )
      yield* TestClock.adjust("1400 millis")
      assert.deepStrictEqual(driver.sent, ["deaf"])
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["next"])
    })
  )

  for (const kind of ["bare", "complete"] as const) {
    it.effect(`is not met by the next borrower when its own returns the connection at once: ${kind}`, () =>
      Effect.gen(function* () {
        const driver = new Driver()
        const cancel = () => Effect.delay(driver.cancel(), "500 millis")
        const pool = yield* driver.pool({ cancel }, single, driver.server[kind])
        const fiber = yield* Effect.forkChild(
          ConnectionPool.use(pool, (connection) => Effect.timeoutOption(connection.query("deaf"), "1 second"))
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        const next = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
        yield* TestClock.adjust("500 millis")
        // Where there is a reset it waits for the end; where there is none, nothing would.
        assert.strictEqual(yield* Fiber.join(next), kind === "complete" ? 1 : 2)
      })
    )
  }
})

describe("an interrupt at any point of a query", () => {
  for (const cancel of ["interrupt", "server"] as const) {
    it.effect(`leaves a connection that can be lent: ${cancel}`, () =>
      Effect.gen(function* () {
        for (let budget = 3; budget <= 40; budget++) {
          for (const moment of [0, 1, 2, 3, 5, 8]) {
            const driver = new Driver()
            const options = { cancel: cancel === "server" ? driver.cancel : cancel }
            const next = yield* Effect.scoped(
              Effect.gen(function* () {
                const pool = yield* driver.pool(options)
                const fiber = yield* Effect.forkChild(
                  Effect.provideService(ConnectionPool.use(pool, run("hang")), Scheduler.MaxOpsBeforeYield, budget)
                )
                yield* turns(moment)
                yield* Fiber.interrupt(fiber)
                return yield* ConnectionPool.use(pool, run("next"))
              })
            )
            assert.deepStrictEqual(next, ["next"], `budget ${budget}, moment ${moment}`)
            assert.strictEqual(driver.server.attempts.length, 1, `budget ${budget}, moment ${moment}`)
          }
        }
      })
    )
  }
})

describe("a wrapped connector", () => {
  it.effect("keeps its reset and its sign of death", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool()
      yield* ConnectionPool.use(pool, ({ raw }) => Effect.sync(() => (raw.isDirty = true)))
      yield* turns()
      yield* Deferred.succeed(driver.server.connections[0]!.dead, undefined)
      yield* turns()
      assert.deepStrictEqual([driver.server.resets, driver.server.closed], [1, [1]])
    })
  )

  it.effect("says which of its errors are fatal", () =>
    Effect.gen(function* () {
      const driver = new Driver()
      const pool = yield* driver.pool()
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("fatal")))
      yield* turns()
      assert.deepStrictEqual(driver.server.closed, [1])
    })
  )

  it.effect("is known by its connections", () =>
    Effect.gen(function* () {
      const pool = yield* new Driver().pool()
      const connection = yield* ConnectionPool.acquire(pool)
      assert.deepStrictEqual([connection, connection.raw].map(DatabaseConnection.isDatabaseConnection), [true, false])
    })
  )
})
