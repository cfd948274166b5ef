import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { Clock } from "effect/Clock"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolError } from "../../src/index.ts"
import { FakeServer, Refused, turns } from "../support/FakeServer.ts"

describe("acquire", () => {
  it.effect("lends a connection until the scope closes", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare)
      const scope = yield* Scope.make()
      yield* Scope.provide(ConnectionPool.acquire(pool), scope)
      assert.strictEqual((yield* ConnectionPool.status(pool)).inUse, 1)
      yield* Scope.close(scope, Exit.void)
      yield* turns()
      const status = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([status.inUse, status.idle, status.acquired, status.released], [0, 2, 1, 1])
    })
  )

  it.effect("lends the most recently used connection", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 3 })
      const first = yield* ConnectionPool.use(pool, Effect.succeed)
      const second = yield* ConnectionPool.use(pool, Effect.succeed)
      assert.strictEqual(second, first)
    })
  )

  it.effect("returns every connection of a scope that took several", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { maxConnections: 3 })
      const taken = yield* Effect.scoped(Effect.replicateEffect(ConnectionPool.acquire(pool), 3))
      assert.strictEqual(new Set(taken).size, 3)
      assert.strictEqual((yield* ConnectionPool.status(pool)).released, 3)
    })
  )

  it.effect("runs its release among the scope's other finalizers, last in first out", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare)
      const inUse: Array<number> = []
      const note = Effect.flatMap(ConnectionPool.status(pool), (status) => Effect.sync(() => inUse.push(status.inUse)))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => note)
          yield* ConnectionPool.acquire(pool)
          yield* Effect.addFinalizer(() => note)
          yield* ConnectionPool.acquire(pool)
          yield* Effect.addFinalizer(() => note)
        })
      )
      assert.deepStrictEqual(inUse, [2, 1, 0])
    })
  )

  it.effect("in a scope that has closed already, lasts as long as the fiber", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare)
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      const fiber = yield* Effect.forkChild(
        Effect.andThen(Scope.provide(ConnectionPool.acquire(pool), scope), ConnectionPool.status(pool))
      )
      assert.strictEqual((yield* Fiber.join(fiber)).inUse, 1)
      yield* turns()
      assert.strictEqual((yield* ConnectionPool.status(pool)).inUse, 0)
    })
  )

  it.effect("opens connections for those who wait, up to the maximum", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 0, maxConnections: 3 })
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(ConnectionPool.use(pool, () => Effect.never)), 10)
      yield* turns()
      const status = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([status.inUse, status.waiting, server.mostLive], [3, 7, 3])
      yield* Fiber.interruptAll(fibers)
    })
  )

  it.effect("keeps a connection whose waiter left while it was being opened", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("1 second")
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 0 })
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.void))
      yield* turns()
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 second")
      const status = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([status.idle, status.cancelled, server.closed.length], [1, 1, 0])
    })
  )
})

describe("waiting", () => {
  it.effect("is served in the order of arrival, and a newcomer never overtakes", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      const order: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const borrow = (name: string) =>
        Effect.forkChild(
          ConnectionPool.use(pool, () =>
            Effect.andThen(
              Effect.sync(() => order.push(name)),
              Effect.yieldNow
            )
          )
        )
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
      yield* turns()
      const first = yield* borrow("first")
      yield* turns()
      const second = yield* borrow("second")
      yield* turns()
      yield* Deferred.succeed(gate, undefined)
      const newcomer = yield* borrow("newcomer")
      yield* Fiber.joinAll([holder, first, second, newcomer])
      assert.deepStrictEqual(order, ["first", "second", "newcomer"])
    })
  )

  it.effect("ends at one deadline that covers queue and connect", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("3 seconds")
      const pool = yield* ConnectionPool.make(server.bare, {
        minConnections: 0,
        maxConnections: 1,
        acquireTimeout: "5 seconds"
      })
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("10 seconds")))
      yield* TestClock.adjust("1 second")
      const waiter = yield* Effect.forkChild(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(waiter.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiter)))
      yield* Fiber.interrupt(holder)
    })
  )

  it.effect("that runs out of time says how long it waited, what it saw, and what to do", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { name: "orders", minConnections: 1, maxConnections: 1 })
      const exportReport = Effect.fn("exportReport")(() => ConnectionPool.use(pool, () => Effect.never))
      const holder = yield* Effect.forkChild(exportReport())
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      const error = (yield* Fiber.join(waiter)) as PoolError.AcquireTimeout
      assert.strictEqual(error._tag, "AcquireTimeout")
      assert.strictEqual(error.code, "POOL_ACQUIRE_TIMEOUT")
      assert.deepStrictEqual([error.timeoutMillis, error.waitedMillis, error.diagnosis], [5000, 5000, "held-too-long"])
      assert.strictEqual(
        error.message,
        "[pool orders] no connection within 5.0 s (waited 5.0 s, came as number 1 in line; " +
          "1 of 1 in use, 0 idle, 0 connecting, 1 waiting): held-too-long: " +
          "exportReport holds 1 of 1 leases for up to 5.0 s. " +
          `Look at exportReport (${error.holders[0]!.place}): a slow query, or a connection held while something else is done.`
      )
      assert.match(error.holders[0]!.place!, /test\/runtime\/Lending\.test\.ts:\d+:\d+$/)
      yield* Fiber.interrupt(holder)
    })
  )

  it.effect("that runs out of time while connects fail says so, whatever is lent", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 5 })
      server.onConnect = Effect.fail(new Refused({ kind: "overloaded", message: "too many clients" }))
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(waiter)
      assert.strictEqual(error._tag === "AcquireTimeout" && error.diagnosis, "server-refuses")
      assert.include(error.message, "too many clients")
      yield* Fiber.interrupt(holder)
    })
  )

  it.effect("is not served after its deadline by a borrower that blocked the event loop", () =>
    Effect.gen(function* () {
      let millis = 0
      const clock = yield* Clock
      const stalling = Object.assign(Object.create(clock) as Clock, {
        monotonicTimeNanosUnsafe: () => BigInt(millis) * 1_000_000n
      })
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, {
        minConnections: 1,
        maxConnections: 1,
        acquireTimeout: "200 millis"
      }).pipe(Effect.provideService(Clock, stalling))
      const exits = yield* Effect.gen(function* () {
        // A busy turn, which shares its reading of the clock, ends with a body that takes too long.
        yield* Effect.replicateEffect(
          ConnectionPool.use(pool, () => Effect.void),
          20
        )
        const gate = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(
          ConnectionPool.use(pool, () => Deferred.await(gate)),
          {
            startImmediately: true
          }
        )
        const waiter = yield* Effect.forkChild(Effect.exit(ConnectionPool.use(pool, () => Effect.void)), {
          startImmediately: true
        })
        millis = 600
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(holder)
        return yield* Fiber.join(waiter)
      })
      assert.isTrue(Exit.isFailure(exits))
    })
  )

  it.effect("is refused in turns when a long line is refused", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(
        ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 }),
        scope
      )
      let refused = 0
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* Effect.forkChild(
        Effect.replicateEffect(
          Effect.catch(
            ConnectionPool.use(pool, () => Effect.void),
            () => Effect.sync(() => refused++)
          ),
          10_000,
          { concurrency: "unbounded", discard: true }
        )
      )
      while ((yield* ConnectionPool.status(pool)).waiting < 10_000) yield* Effect.yieldNow
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* turns(3)
      assert.isBelow(refused, 10_000)
      yield* Fiber.interrupt(holder)
      yield* Fiber.join(closing)
    })
  )

  it.effect("is refused at once when the line is full", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1, maxWaiting: 1 })
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(ConnectionPool.use(pool, () => Effect.never)), 2)
      yield* turns()
      const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void))
      assert.strictEqual(error._tag, "PoolOverloaded")
      assert.strictEqual((yield* ConnectionPool.status(pool)).shed, 1)
      yield* Fiber.interruptAll(fibers)
    })
  )

  it.effect("drains 100,000 waiters with synchronous bodies on one connection", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1, maxUses: Infinity })
      const gate = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
      yield* turns()
      let served = 0
      const borrow = ConnectionPool.use(pool, () => Effect.sync(() => served++))
      const all = yield* Effect.forkChild(
        Effect.replicateEffect(borrow, 100_000, { concurrency: "unbounded", discard: true })
      )
      while ((yield* ConnectionPool.status(pool)).waiting < 100_000) yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll([holder, all])
      assert.strictEqual(served, 100_000)
      assert.strictEqual((yield* ConnectionPool.status(pool)).released, 100_001)
    })
  )

  it.effect("lets other fibers run while a long line is served", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1, maxUses: Infinity })
      const gate = yield* Deferred.make<void>()
      let served = 0
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
      yield* turns()
      const all = yield* Effect.forkChild(
        Effect.replicateEffect(
          ConnectionPool.use(pool, () => Effect.sync(() => served++)),
          10_000,
          { concurrency: "unbounded", discard: true }
        )
      )
      while ((yield* ConnectionPool.status(pool)).waiting < 10_000) yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(holder)
      yield* turns(2)
      assert.isBelow(served, 10_000)
      yield* Fiber.join(all)
    })
  )
})

describe("lease", () => {
  it.effect("is a value that knows its connection's number, age and uses", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      yield* TestClock.adjust("250 millis")
      yield* Effect.scoped(ConnectionPool.lease(pool))
      const lease = yield* Effect.scoped(ConnectionPool.lease(pool))
      assert.deepStrictEqual([lease.id, lease.age, lease.uses, lease.connection.id], [1, 250, 2, 1])
    })
  )

  it.effect("that is discarded closes its connection when it ends", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1 })
      yield* Effect.scoped(Effect.flatMap(ConnectionPool.lease(pool), ({ discard }) => discard))
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
    })
  )

  it.effect("cannot be discarded once it has ended", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1 })
      const lease = yield* Effect.scoped(ConnectionPool.lease(pool))
      yield* lease.discard
      yield* Effect.scoped(ConnectionPool.lease(pool))
      yield* lease.discard
      yield* turns()
      assert.deepStrictEqual(server.closed, [])
    })
  )
})

describe("invalidate", () => {
  it.effect("closes an idle connection now", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1 })
      const connection = yield* ConnectionPool.use(pool, Effect.succeed)
      yield* ConnectionPool.invalidate(pool, connection)
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
    })
  )

  it.effect("closes a lent connection when it is returned, and not before", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1 })
      yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* ConnectionPool.invalidate(pool, connection)
          yield* turns()
          assert.deepStrictEqual(server.closed, [])
        })
      )
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
    })
  )

  it.effect("changes nothing for a connection of somebody else", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 2 })
      yield* turns()
      yield* ConnectionPool.invalidate(pool, { id: 1, dead: Deferred.makeUnsafe<void>(), isDirty: false })
      yield* turns()
      assert.deepStrictEqual([server.closed.length, (yield* ConnectionPool.status(pool)).idle], [0, 2])
    })
  )
})
