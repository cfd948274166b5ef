import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, PoolLayer } from "../../src/index.ts"
import { LeaseHistory, TestConnector, TestPool } from "../../src/testing/index.ts"

interface Session {
  readonly name: string
}

class Sessions extends PoolLayer.Service<Sessions, Session>()("test/Sessions") {}

const sessions = (script: TestConnector.Script = {}) =>
  TestConnector.make((n): Session => ({ name: `session ${n}` }), script)

const nameOf = ({ name }: Session) => Effect.succeed(name)

describe("the specs of an application", () => {
  it.effect("limit: of a pool of five, the sixth acquire times out", () =>
    Effect.gen(function* () {
      // Five borrowers: one who held all five and waited for a sixth would be told of a deadlock, and at once.
      const holders = yield* Effect.replicateEffect(Effect.forkChild(Sessions.use(() => Effect.sleep("1 minute"))), 5)
      yield* TestClock.adjust("1 second")
      const sixth = yield* Effect.forkChild(Effect.flip(Sessions.acquire))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(sixth)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.joinAll(holders)
      assert.strictEqual(error._tag, "AcquireTimeout")
    }).pipe(
      Effect.scoped,
      Effect.provide(TestPool.layer(Sessions, sessions(), { minConnections: 5, maxConnections: 5 }))
    )
  )

  it.effect("load: 100 tasks of 10 acquisitions of 10 ms wait less than a second on average", () =>
    Effect.gen(function* () {
      // Measured by the borrowers: the pool remembers its last 1000 facts, and this makes three thousand.
      const waits: Array<number> = []
      const borrow = Effect.gen(function* () {
        const since = yield* Clock.currentTimeMillis
        yield* Sessions.use(() =>
          Effect.andThen(
            Effect.map(Clock.currentTimeMillis, (now) => waits.push(now - since)),
            Effect.sleep("10 millis")
          )
        )
      })
      const task = Effect.replicateEffect(borrow, 10)
      const tasks = yield* Effect.forkChild(Effect.replicateEffect(task, 100, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(tasks)
      const average = waits.reduce((sum, wait) => sum + wait, 0) / waits.length
      assert.lengthOf(waits, 1000)
      assert.isBelow(average, 1000)
    }).pipe(Effect.provide(TestPool.layer(Sessions, sessions(), { minConnections: 10, maxConnections: 10 })))
  )
})

describe("TestPool.layer", () => {
  it.effect("names the borrower whose lease outlives the layer, and waits for no time", () =>
    Effect.gen(function* () {
      const holder = Effect.forkDetach(Sessions.use(() => Effect.never).pipe(Effect.withSpan("forgetful")), {
        startImmediately: true
      })
      const exit = yield* Effect.exit(
        Effect.provide(holder, TestPool.layer(Sessions, sessions(), { minConnections: 1 }))
      )
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, LeaseHistory.LeakedLeases)
      assert.match((defect as Error).message, /1 lease still running: fiber #\d+ \(forgetful\) has had connection 1/)
    })
  )

  it.effect("has no complaint when every lease came back", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Sessions.use(nameOf), "session 1")
      yield* (yield* TestPool.TestPool).ensureNoLeaks
    }).pipe(Effect.provide(TestPool.layer(Sessions, sessions())))
  )
})

const pooled = (server: TestConnector.TestConnector<Session>) =>
  ConnectionPool.make(server.connector, { minConnections: 1, startup: "background" })

describe("a scripted connector", () => {
  it.effect("fails as often as it is told, and then connects", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ connectFails: { times: 2, reason: "transient" } }))
      yield* TestClock.adjust("1 minute")
      yield* ConnectionPool.use(pool, nameOf)
      assert.strictEqual((yield* ConnectionPool.status(pool)).connectFailures, 2)
    })
  )

  it.effect("replaces a connection that dies after its uses", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ diesAfterUses: 1 }))
      const names: Array<string> = []
      for (let use = 0; use < 2; use++) {
        yield* TestClock.adjust("10 seconds")
        names.push(yield* ConnectionPool.use(pool, nameOf))
      }
      assert.deepStrictEqual(names, ["session 1", "session 2"])
    })
  )

  it.effect("has no live connection during an outage, and one after it", () =>
    Effect.gen(function* () {
      const server = sessions()
      yield* pooled(server)
      yield* TestClock.adjust("1 second")
      yield* server.startOutage
      yield* TestClock.adjust("30 seconds")
      const during = yield* server.live
      yield* server.endOutage
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([during, yield* server.live], [0, 1])
    })
  )

  it.effect("dies where a fake is used after its connection closed", () =>
    Effect.gen(function* () {
      const kept = yield* Effect.scoped(Effect.flatMap(pooled(sessions()), ConnectionPool.acquire))
      const exit = yield* Effect.exit(Effect.sync(() => kept.name))
      const defect = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(defect, TestConnector.FakeUsedAfterClose)
    })
  )
})

describe("the assertions", () => {
  it.effect("read how many leases ran at once and how long the longest was held", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions())
      const hold = ConnectionPool.use(pool, () => Effect.sleep("3 seconds"))
      const holders = yield* Effect.forkChild(Effect.all([hold, hold], { concurrency: 2 }))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(holders)
      assert.deepStrictEqual(
        [yield* LeaseHistory.maxHeldAtOnce(pool), yield* LeaseHistory.longestHold(pool)],
        [2, 3000]
      )
    })
  )

  it.effect("show both lists when an event is missing", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions())
      yield* LeaseHistory.assertEvents(pool, ["PoolCreated", "ConnectionCreated"])
      const error = yield* Effect.flip(LeaseHistory.assertEvents(pool, ["PoolCreated", "PoolPaused"]))
      assert.match(error.message, /1 of 2 expected events.*PoolPaused is missing\.\n {2}expected: .*\n {2}happened: /)
    })
  )

  it.effect("see that an interrupt returns the lease", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions())
      yield* TestClock.adjust("1 second")
      yield* LeaseHistory.assertReleasedOnInterrupt(
        pool,
        ConnectionPool.use(pool, () => Effect.never)
      )
    })
  )
})
