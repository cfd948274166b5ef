import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig, PoolError } from "../../src/index.ts"
import { LeaseHistory, TestConnector } from "../../src/testing/index.ts"

const pooled = (config: PoolConfig.Input = {}) =>
  ConnectionPool.make(TestConnector.make((n) => ({ n })).connector, { minConnections: 1, drainTimeout: 0, ...config })

/** Holds a connection for some seconds, on a fiber of its own. */
const holdFor = <A>(pool: ConnectionPool.ConnectionPool<A>, seconds: number) =>
  Effect.forkChild(
    ConnectionPool.use(pool, () => Effect.sleep(seconds * 1000)),
    { startImmediately: true }
  )

/** So many leases in one turn of the scheduler, in which no reader comes to read. */
const inOneTurn = <A>(pool: ConnectionPool.ConnectionPool<A>, times: number) =>
  Effect.gen(function* () {
    for (let use = 0; use < times; use++) yield* ConnectionPool.use(pool, () => Effect.void)
  })

describe("the history of a pool", () => {
  it.effect("has every lease with its connection, its time and its end", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1000)
      const pool = yield* pooled()
      yield* holdFor(pool, 2)
      yield* TestClock.adjust("1 second")
      const interrupted = yield* holdFor(pool, 60)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(interrupted)
      const { leases } = yield* LeaseHistory.history(pool)
      assert.deepStrictEqual(leases, [
        { lease: 1, acquire: 1, connection: 1, since: 1000, until: 3000, end: "clean" },
        { lease: 2, acquire: 2, connection: 2, since: 2000, until: 3000, end: "suspect" }
      ])
    })
  )

  it.effect("shows that a lease is running", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const fiber = yield* holdFor(pool, 60)
      const { leases } = yield* LeaseHistory.history(pool)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([leases[0]?.until, leases[0]?.end], [undefined, undefined])
    })
  )

  it.effect("says how many facts the pool has forgotten", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 800)
      const { leases, missed } = yield* LeaseHistory.history(pool)
      assert.deepStrictEqual([leases.length, missed], [500, 300])
    })
  )

  it.effect("forgets nothing in a record", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* LeaseHistory.record(pool)
      for (let turn = 0; turn < 10; turn++) yield* Effect.andThen(inOneTurn(pool, 300), TestClock.adjust(1))
      const { leases, missed } = yield* LeaseHistory.history(pool)
      assert.deepStrictEqual([leases.length, missed], [3000, 0])
    })
  )

  it.effect("begins in a record with what the pool remembers", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 3)
      yield* LeaseHistory.record(pool)
      yield* inOneTurn(pool, 4)
      assert.lengthOf((yield* LeaseHistory.history(pool)).leases, 7)
    })
  )

  it.effect("says how many facts a record has missed", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* LeaseHistory.record(pool)
      // 900 leases are 1800 facts, of which the pool keeps 1000.
      yield* Effect.provideService(inOneTurn(pool, 900), Scheduler.PreventSchedulerYield, true)
      assert.strictEqual((yield* LeaseHistory.history(pool)).missed, 800)
    })
  )

  it.effect("goes up to the end of a pool that has been recorded", () =>
    Effect.gen(function* () {
      const pool = yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* pooled()
          yield* LeaseHistory.record(pool)
          yield* holdFor(pool, 60)
          return pool
        })
      )
      assert.strictEqual((yield* LeaseHistory.history(pool)).leases[0]?.end, "revoked")
    })
  )
})

describe("what is measured", () => {
  it.effect("is how many leases ran at once", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const holders = [yield* holdFor(pool, 3), yield* holdFor(pool, 3)]
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(holders)
      yield* Effect.andThen(holdFor(pool, 1), TestClock.adjust("1 second"))
      assert.strictEqual(yield* LeaseHistory.maxHeldAtOnce(pool), 2)
    })
  )

  it.effect("is how long the longest lease was held", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const holders = [yield* holdFor(pool, 3), yield* holdFor(pool, 1)]
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(holders)
      assert.strictEqual(yield* LeaseHistory.longestHold(pool), 3000)
    })
  )

  it.effect("is how long acquires waited on average", () =>
    Effect.gen(function* () {
      const pool = yield* pooled({ maxConnections: 1 })
      const holders = [yield* holdFor(pool, 1), yield* holdFor(pool, 1), yield* holdFor(pool, 1)]
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(holders)
      assert.strictEqual(yield* LeaseHistory.averageWait(pool), 1000)
    })
  )

  it.effect("is nothing where nobody borrowed", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const measured = [
        LeaseHistory.maxHeldAtOnce(pool),
        LeaseHistory.longestHold(pool),
        LeaseHistory.averageWait(pool)
      ]
      assert.deepStrictEqual(yield* Effect.all(measured), [0, 0, 0])
    })
  )

  it.effect("is refused where facts are missing", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 800)
      const error = yield* Effect.flip(LeaseHistory.maxHeldAtOnce(pool))
      assert.match(error.message, /^\[pool test\] 300 facts or more are no longer known/)
    })
  )
})

describe("assertEvents", () => {
  it.effect("is content with other events between", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 1)
      yield* LeaseHistory.assertEvents(pool, ["PoolCreated", "ConnectionReady", "Released"])
    })
  )

  it.effect("shows both lists when an event is missing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LeaseHistory.assertEvents(yield* pooled(), ["PoolCreated", "PoolPaused"]))
      assert.match(
        error.message,
        /1 of 2 expected events.*PoolPaused is missing\.\n {2}expected: PoolCreated, PoolPaused\n {2}happened: PoolCreated,/
      )
    })
  )

  it.effect("fails when the order is another", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LeaseHistory.assertEvents(yield* pooled(), ["ConnectionReady", "PoolCreated"]))
      assert.match(error.message, /PoolCreated is missing/)
    })
  )

  it.effect("says that facts are missing", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 800)
      const error = yield* Effect.flip(LeaseHistory.assertEvents(pool, ["PoolPaused"]))
      assert.match(error.message, /not known: 300 facts or more before these/)
    })
  )
})

describe("assertNoNestedAcquire", () => {
  it.effect("is content where every fiber has one connection", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 2)
      yield* LeaseHistory.assertNoNestedAcquire(pool)
    })
  )

  it.effect("fails where a fiber waited for a connection while it held one", () =>
    Effect.gen(function* () {
      const pool = yield* pooled({ maxConnections: 2 })
      const nested = ConnectionPool.use(pool, () => ConnectionPool.use(pool, () => Effect.void))
      const fiber = yield* Effect.forkChild(nested)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      const error = yield* Effect.flip(LeaseHistory.assertNoNestedAcquire(pool))
      assert.match(error.message, /1 nested: acquire 2 waited while its fiber held lease 1$/)
    })
  )
})

describe("ensureNoLeaks", () => {
  it.effect("is content where every lease has ended", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* inOneTurn(pool, 1)
      yield* LeaseHistory.ensureNoLeaks(pool)
    })
  )

  it.effect("fails with the borrower of a lease that runs", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const fiber = yield* Effect.withSpan(holdFor(pool, 60), "forgetful")
      yield* TestClock.adjust("2 seconds")
      const error = yield* Effect.flip(LeaseHistory.ensureNoLeaks(pool))
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(
        [error instanceof PoolError.LeakedLeases, error.leases[0]?.connection, error.leases[0]?.heldForMillis],
        [true, 1, 2000]
      )
    })
  )

  it.effect("names a borrower who asks himself after what he does", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const error = yield* ConnectionPool.use(pool, () => Effect.flip(LeaseHistory.ensureNoLeaks(pool))).pipe(
        Effect.withSpan("careful")
      )
      assert.match(error.leases[0]?.holder ?? "", /\(careful\)$/)
    })
  )
})

describe("assertReleasedOnInterrupt", () => {
  it.effect("is content where an interrupt returns the lease", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      yield* LeaseHistory.assertReleasedOnInterrupt(
        pool,
        ConnectionPool.use(pool, () => Effect.never)
      )
    })
  )

  it.effect("fails where the lease outlives its borrower", () =>
    Effect.gen(function* () {
      const pool = yield* pooled()
      const elsewhere = yield* Scope.make()
      const leaking = Effect.andThen(Scope.provide(ConnectionPool.acquire(pool), elsewhere), Effect.never)
      const error = yield* Effect.flip(LeaseHistory.assertReleasedOnInterrupt(pool, leaking))
      yield* Scope.close(elsewhere, Exit.void)
      assert.match(error.message, /1 of 1 leases not returned by the interrupt$/)
    })
  )

  it.effect("fails where there is no lease to return", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(LeaseHistory.assertReleasedOnInterrupt(yield* pooled(), Effect.never))
      assert.match(error.message, /0 leases held, so none to return$/)
    })
  )
})
