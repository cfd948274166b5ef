/** What a pool leaves behind when it has closed, and what it gathers while it lives: nothing. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Metric, Stream } from "effect"
import { TestClock } from "effect/testing"
import { EventEmitter } from "node:events"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ConnectionPool, Connector } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

const use = <A>(pool: ConnectionPool.ConnectionPool<A>) => ConnectionPool.use(pool, () => Effect.void)

/** Some of everything that leaves traces: waits, cancellations, deadlocks, checks, resets, closes, readers. */
const busy = Effect.fnUntraced(function* <A>(pool: ConnectionPool.ConnectionPool<A>) {
  const reader = yield* Effect.forkChild(Stream.runDrain(ConnectionPool.events(pool)), { startImmediately: true })
  const gate = yield* Deferred.make<void>()
  const holders = yield* Effect.replicateEffect(
    Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate))),
    6
  )
  yield* turns(5)
  yield* Fiber.interrupt(holders.at(-1)!)
  yield* Deferred.succeed(gate, undefined)
  yield* Fiber.awaitAll(holders)
  yield* Effect.scoped(ConnectionPool.acquire(pool))
  yield* Effect.exit(ConnectionPool.use(pool, () => Effect.die("defect")))
  yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
  yield* turns(5)
  yield* Fiber.interrupt(reader)
})

const silent = Effect.provide(Layer.fresh(Logger.layer([])))

/** Counts fibers that have not ended. */
const counted = () => {
  let running = 0
  const service: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      running++
    },
    recordFiberEnd: () => {
      running--
    }
  }
  return { running: () => running, provide: Effect.provideService(Metric.FiberRuntimeMetrics, service) }
}

describe("a pool that has closed", () => {
  it.effect("leaves no fiber behind", () => {
    const fibers = counted()
    return Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = new FakeServer()
          const pool = yield* ConnectionPool.make(server.complete, { minConnections: 2, maxConnections: 3 })
          yield* busy(pool)
          // It closes in the middle of an outage, while it sleeps for the next attempt.
          yield* server.goDown()
          yield* TestClock.adjust("2 seconds")
          assert.isAbove(fibers.running(), 0)
        }).pipe(fibers.provide)
      )
      yield* turns(50)
      assert.strictEqual(fibers.running(), 0)
    })
  })

  it.effect("leaves no fiber behind if its borrowers had to be left behind", () => {
    const fibers = counted()
    return Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, { minConnections: 1 }).pipe(fibers.provide)
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* Effect.forkChild(ConnectionPool.drain(pool, "1 second"))
      yield* TestClock.adjust("1 second")
      yield* turns(50)
      assert.strictEqual(fibers.running(), 0)
      yield* Fiber.interrupt(holder)
    })
  })

  it.live("leaves no timer behind", () =>
    Effect.gen(function* () {
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const before = timers()
      const during = yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* ConnectionPool.make(new FakeServer().complete, { minConnections: 2, maxConnections: 3 })
          yield* busy(pool)
          return timers()
        })
      )
      assert.isAbove(during, before)
      yield* eventually(Effect.sync(timers), (now) => now <= before)
    }).pipe(silent)
  )

  it.effect("leaves no listener behind where its connector listens for the end of connections", () =>
    Effect.gen(function* () {
      const socket = new EventEmitter()
      socket.setMaxListeners(100)
      const connector = Connector.make({
        name: "listening",
        connect: Effect.sync(() => ({ id: 1 })),
        closed: () =>
          Effect.callback<void>((resume) => {
            const onClose = () => resume(Effect.void)
            socket.on("close", onClose)
            return Effect.sync(() => socket.off("close", onClose))
          })
      })
      const during = yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* ConnectionPool.make(connector, { minConnections: 3 })
          yield* turns()
          yield* busy(pool)
          return socket.listenerCount("close")
        })
      )
      yield* turns()
      assert.isAbove(during, 0)
      assert.strictEqual(socket.listenerCount("close"), 0)
    })
  )
})

const collector = (): (() => void) => {
  if (globalThis.gc !== undefined) return globalThis.gc as () => void
  setFlagsFromString("--expose-gc")
  return runInNewContext("gc") as () => void
}

describe("memory", () => {
  /** A connector that keeps no books: what grows is the pool's. */
  const connector = Connector.make({
    name: "plain",
    connect: Effect.sync(() => ({ id: 1 })),
    check: () => Effect.void,
    reset: () => Effect.void,
    closed: () => Effect.never
  })

  const collect = collector()

  /** Bytes that are in use when everything that can be collected was. */
  const used = Effect.promise(async () => {
    for (let round = 0; round < 4; round++) {
      await new Promise((resolve) => {
        setImmediate(resolve)
      })
      collect()
    }
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    return heapUsed + arrayBuffers
  })

  /** How much more is in use after so many rounds, when as many went before for everything to take its size. */
  const growth = Effect.fnUntraced(function* (rounds: number, round: Effect.Effect<unknown, unknown>) {
    const many = Effect.replicateEffect(Effect.exit(round), rounds, { discard: true })
    yield* many
    const before = yield* used
    yield* many
    return ((yield* used) - before) / rounds
  })

  // A pool that stays has 100 KB of flight recorder alone; a waiter or a fiber that stays has some 200 bytes, and a round a
  // dozen of them.

  it.live("does not grow with the pools that were made and closed", () =>
    Effect.gen(function* () {
      const life = Effect.scoped(
        Effect.flatMap(ConnectionPool.make(connector, { minConnections: 2, maxConnections: 3 }), busy)
      )
      assert.isBelow(yield* growth(150, life), 10_000)
    }).pipe(silent)
  )

  it.live("does not grow with what a pool has done", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(connector, { minConnections: 2, maxConnections: 3 })
      assert.isBelow(yield* growth(1500, busy(pool)), 600)
    }).pipe(silent)
  )

  it.live("does not grow with leases that are over", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(connector, { minConnections: 2, maxConnections: 3 })
      assert.isBelow(yield* growth(20_000, Effect.andThen(use(pool), Effect.scoped(ConnectionPool.acquire(pool)))), 40)
    }).pipe(silent)
  )

  it.live("does not grow with fibers that start one another from within a lease", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(connector, { minConnections: 2, maxConnections: 3 })
      const generations = (left: number, last: Deferred.Deferred<void>): Effect.Effect<unknown, unknown> =>
        ConnectionPool.use(pool, () =>
          left === 0
            ? Effect.andThen(Deferred.succeed(last, undefined), Effect.never)
            : Effect.asVoid(Effect.forkDetach(generations(left - 1, last)))
        )
      // Somebody holds a lease all the time, so that fibers look for the loans around them.
      yield* Effect.forkChild(
        ConnectionPool.use(pool, () => Effect.never),
        { startImmediately: true }
      )
      const heaps: Array<number> = []
      for (const count of [12_000, 2000, 12_000]) {
        const last = yield* Deferred.make<void>()
        const first = yield* Effect.forkDetach(generations(count, last))
        yield* Deferred.await(last)
        heaps.push(yield* used)
        yield* Fiber.interrupt(first)
        yield* ConnectionPool.recycle(pool, { interrupt: true })
      }
      assert.isBelow((heaps[2]! - heaps[1]!) / 10_000, 40)
    }).pipe(silent)
  )

  it.live("does not grow with fibers that start one another while their own lease still runs", () =>
    Effect.gen(function* () {
      const generations = (
        pool: ConnectionPool.ConnectionPool<{ readonly id: number }>,
        how: "use" | "acquire",
        left: number,
        last: Deferred.Deferred<void>
      ): Effect.Effect<unknown, unknown> => {
        const body = Effect.suspend(() =>
          left === 0
            ? Effect.andThen(Deferred.succeed(last, undefined), Effect.never)
            : Effect.andThen(
                Effect.forkDetach(generations(pool, how, left - 1, last), { startImmediately: true }),
                Effect.andThen(turns(2), Effect.void)
              )
        )
        return how === "use"
          ? ConnectionPool.use(pool, () => body)
          : Effect.scoped(Effect.andThen(ConnectionPool.acquire(pool), body))
      }
      for (const how of ["use", "acquire"] as const) {
        const heaps: Array<number> = []
        for (const count of [6000, 1000, 6000]) {
          const pool = yield* ConnectionPool.make(connector, { minConnections: 4, maxConnections: 4 })
          const last = yield* Deferred.make<void>()
          yield* Effect.forkDetach(generations(pool, how, count, last))
          yield* Deferred.await(last)
          heaps.push(yield* used)
          yield* ConnectionPool.recycle(pool, { interrupt: true })
        }
        assert.isBelow((heaps[2]! - heaps[1]!) / 5000, 100, how)
      }
    }).pipe(Effect.scoped, silent)
  )

  it.live("of what a use has come to is given back, though a fiber it has started lives on", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(connector, { minConnections: 1 })
      const started: Array<unknown> = []
      const request = ConnectionPool.use(pool, () =>
        Effect.map(Effect.forkDetach(Effect.never, { startImmediately: true }), (fiber) => {
          started.push(fiber)
          return new Uint8Array(1_000_000)
        })
      )
      const before = yield* used
      for (let count = 0; count < 10; count++) yield* Effect.flatMap(Effect.forkChild(request), Fiber.join)
      assert.isBelow((yield* used) - before, 3_000_000)
      assert.strictEqual(started.length, 10)
    }).pipe(silent)
  )

  it.live("of a closed pool is given back", () =>
    Effect.gen(function* () {
      const made = yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* ConnectionPool.make(connector, { minConnections: 1 })
          yield* busy(pool)
          return new WeakRef(pool)
        })
      )
      yield* eventually(
        Effect.andThen(
          used,
          Effect.sync(() => made.deref())
        ),
        (pool) => pool === undefined
      )
    }).pipe(silent)
  )
})
