import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Scheduler from "effect/Scheduler"
import { ConnectionPool, PoolConfig } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

const shared = (server: FakeServer, config: PoolConfig.Input = {}) =>
  ConnectionPool.make(server.complete, { minConnections: 1, maxConnections: 2, concurrency: 3, ...config })

/** Borrows until its scope is closed, at the latest with the test's own. */
const borrow = Effect.fnUntraced(function* (
  pool: Pool,
  acquire: (pool: Pool) => ReturnType<typeof ConnectionPool.acquire<FakeConnection>> = ConnectionPool.acquire
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const fiber = yield* Effect.forkChild(Scope.provide(acquire(pool), scope))
  yield* turns()
  return { fiber, connection: Effect.map(Fiber.join(fiber), ({ id }) => id), close: Scope.close(scope, Exit.void) }
})

describe("a connection with room for several leases", () => {
  it.effect("is lent to as many as it has room for, and another one is opened for the next", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* shared(server)
      const loans = yield* Effect.replicateEffect(borrow(pool), 6)
      const seventh = yield* borrow(pool)
      const { inUse, leases, waiting } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual(
        { inUse, leases, waiting, opened: server.attempts.length },
        {
          inUse: 2,
          leases: 6,
          waiting: 1,
          opened: 2
        }
      )
      yield* loans[0]!.close
      yield* seventh.connection
    })
  )

  it.effect("is spread over: of two open connections none is full while the other rests", () =>
    Effect.gen(function* () {
      const pool = yield* shared(new FakeServer(), { minConnections: 2 })
      yield* turns()
      const loans = yield* Effect.replicateEffect(borrow(pool), 4)
      const ids = yield* Effect.all(loans.map(({ connection }) => connection))
      assert.sameMembers(ids, [1, 1, 2, 2])
    })
  )

  it.effect("is idle when the last lease has ended, and not before", () =>
    Effect.gen(function* () {
      const pool = yield* shared(new FakeServer(), { maxConnections: 1 })
      const loans = yield* Effect.replicateEffect(borrow(pool), 2)
      yield* loans[0]!.close
      const before = yield* ConnectionPool.status(pool)
      yield* loans[1]!.close
      const after = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([before.inUse, before.idle, after.inUse, after.idle], [1, 0, 0, 1])
    })
  )

  it.effect("is reset only when nobody uses it, and lent to nobody new until then", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* shared(server, { maxConnections: 1 })
      const loans = yield* Effect.replicateEffect(borrow(pool), 2)
      server.connections[0]!.isDirty = true
      yield* loans[0]!.close
      const newcomer = yield* borrow(pool)
      assert.deepStrictEqual([server.resets, newcomer.fiber.pollUnsafe()], [0, undefined])
      yield* loans[1]!.close
      yield* newcomer.connection
      assert.strictEqual(server.resets, 1)
    })
  )

  it.effect("gets no further leases once its server has ended it, and closes when the last has ended", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* shared(server)
      const loans = yield* Effect.replicateEffect(borrow(pool), 2)
      yield* Deferred.succeed(server.connections[0]!.dead, undefined)
      yield* turns()
      const newcomer = yield* borrow(pool)
      assert.strictEqual(yield* newcomer.connection, 2)
      yield* loans[0]!.close
      const before = server.closed.length
      yield* loans[1]!.close
      yield* turns()
      assert.deepStrictEqual([before, server.closed], [0, [1]])
    })
  )
})

describe("reserve", () => {
  it.effect("gives a connection that nobody else has or gets", () =>
    Effect.gen(function* () {
      const pool = yield* shared(new FakeServer())
      const mine = yield* borrow(pool, ConnectionPool.reserve)
      const others = yield* Effect.replicateEffect(borrow(pool), 3)
      const ids = yield* Effect.all(others.map(({ connection }) => connection))
      assert.notInclude(ids, yield* mine.connection)
    })
  )

  it.effect("waits for a connection to empty, which gets no further leases meanwhile, and holds up nobody else", () =>
    Effect.gen(function* () {
      const pool = yield* shared(new FakeServer(), { minConnections: 2 })
      yield* turns()
      const loans = yield* Effect.replicateEffect(borrow(pool), 2)
      const mine = yield* borrow(pool, ConnectionPool.reserve)
      assert.isUndefined(mine.fiber.pollUnsafe())
      const ids = yield* Effect.all(
        (yield* Effect.replicateEffect(borrow(pool), 2)).map(({ connection }) => connection)
      )
      assert.strictEqual(new Set(ids).size, 1)
      const cleared = 3 - ids[0]!
      for (const loan of loans) if ((yield* loan.connection) === cleared) yield* loan.close
      assert.strictEqual(yield* mine.connection, cleared)
    })
  )

  it.effect("is not starved by those who share, nor do they starve by it", () =>
    Effect.gen(function* () {
      const pool = yield* shared(new FakeServer(), { maxConnections: 1, concurrency: 2 })
      const order: Array<string> = []
      const work = (name: string) =>
        Effect.andThen(
          Effect.sync(() => order.push(name)),
          Effect.sleep("10 millis")
        )
      const share = (name: string) => Effect.forkChild(ConnectionPool.use(pool, () => work(name)))
      const reserve = (name: string) =>
        Effect.forkChild(Effect.scoped(Effect.andThen(ConnectionPool.reserve(pool), work(name))))
      const fibers = [
        yield* share("a"),
        yield* share("b"),
        yield* share("c"),
        yield* reserve("R"),
        yield* share("d"),
        yield* reserve("S"),
        yield* share("e")
      ]
      yield* turns()
      yield* TestClock.adjust("1 second")
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(order, ["a", "b", "c", "R", "d", "S", "e"])
    })
  )

  it.effect("gives the room back when whoever wanted a connection for himself has left", () =>
    Effect.gen(function* () {
      const pool = yield* shared(new FakeServer(), { maxConnections: 1 })
      const loan = yield* borrow(pool)
      const mine = yield* borrow(pool, ConnectionPool.reserve)
      const newcomer = yield* borrow(pool)
      assert.isUndefined(newcomer.fiber.pollUnsafe())
      yield* Fiber.interrupt(mine.fiber)
      assert.strictEqual(yield* newcomer.connection, yield* loan.connection)
    })
  )

  it.effect("is acquire, where connections are not shared", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 1, maxConnections: 1 })
      const mine = yield* borrow(pool, ConnectionPool.reserve)
      const next = yield* borrow(pool)
      const last = yield* borrow(pool, ConnectionPool.reserve)
      yield* mine.close
      yield* next.connection
      assert.isUndefined(last.fiber.pollUnsafe())
      yield* next.close
      yield* last.connection
    })
  )
})

describe("interruption, where connections are shared", () => {
  it.live("leaks nothing and loses nobody, wherever a fiber is interrupted", () =>
    Effect.gen(function* () {
      for (let budget = 3; budget <= 64; budget++) {
        for (let moment = 0; moment < 6; moment++) {
          const server = new FakeServer()
          yield* Effect.scoped(
            Effect.gen(function* () {
              const pool = yield* shared(server, { concurrency: 2 })
              const callers = [
                ConnectionPool.use(pool, () => turns(2)),
                Effect.scoped(Effect.andThen(ConnectionPool.reserve(pool), turns(2))),
                Effect.scoped(Effect.andThen(ConnectionPool.acquire(pool), turns(2)))
              ]
              const fibers = yield* Effect.forEach([...callers, ...callers, ...callers], (caller) =>
                Effect.forkChild(caller)
              )
              yield* turns(moment)
              yield* Fiber.interruptAll(fibers.filter((_, index) => index % 2 === moment % 2))
              yield* Effect.all(fibers.map((fiber) => Fiber.await(fiber)))
              yield* turns(5)
              const { acquired, inUse, leases, released, waiting } = yield* ConnectionPool.status(pool)
              assert.deepStrictEqual(
                { inUse, leases, waiting, kept: acquired - released },
                {
                  inUse: 0,
                  leases: 0,
                  waiting: 0,
                  kept: 0
                }
              )
              assert.deepStrictEqual(yield* ConnectionPool.audit(pool), [])
            })
          ).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, budget))
        }
      }
    })
  )
})
