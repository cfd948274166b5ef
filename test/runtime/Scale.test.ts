import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

/** A pool with all its connections open, and nothing that ends them. */
const full = Effect.fnUntraced(function* (size: number, config: PoolConfig.Input = {}) {
  // Says that this test knows what time is, so that it is not warned when it takes some.
  yield* TestClock.adjust(1)
  const pool = yield* ConnectionPool.make(new FakeServer().bare, {
    minConnections: size,
    maxConnections: size,
    maxConnecting: size,
    warmup: { batchSize: size, delay: 0 },
    maxLifetime: Infinity,
    maxUses: Infinity,
    idleTimeout: Infinity,
    drainTimeout: 0,
    ...config
  })
  yield* turns()
  assert.strictEqual((yield* ConnectionPool.status(pool)).idle, size)
  return pool
})

/** Every connection is lent until the gate opens. */
const lendAll = Effect.fnUntraced(function* (pool: Pool, size: number) {
  const gate = yield* Deferred.make<void>()
  const holders = yield* Effect.replicateEffect(
    Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate))),
    size
  )
  yield* turns(50)
  assert.strictEqual((yield* ConnectionPool.status(pool)).inUse, size)
  return { letGo: Effect.andThen(Deferred.succeed(gate, undefined), Fiber.joinAll(holders)) }
})

const use = (pool: Pool) => ConnectionPool.use(pool, () => Effect.void)

describe("10,000 connections and those who wait for them", () => {
  it.effect("are 100,000, and all are served in the order in which they came, and nothing is left", () =>
    Effect.gen(function* () {
      const pool = yield* full(10_000, { acquireTimeout: "1 day" })
      const { letGo } = yield* lendAll(pool, 10_000)
      const served: Array<number> = []
      const waiters: Array<Fiber.Fiber<unknown, unknown>> = []
      for (let index = 0; index < 100_000; index++) {
        waiters.push(
          yield* Effect.forkChild(
            ConnectionPool.use(pool, () => Effect.sync(() => served.push(index))),
            { startImmediately: true }
          )
        )
      }
      const { waiting } = yield* ConnectionPool.status(pool)
      yield* letGo
      yield* Fiber.joinAll(waiters)
      const isInOrder = served.every((index, place) => index === place)
      const { acquired, idle, inUse, released, waiting: left } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual(
        { waiting, isInOrder, served: served.length, acquired, released, idle, inUse, left },
        {
          waiting: 100_000,
          isInOrder: true,
          served: 100_000,
          acquired: 110_000,
          released: 110_000,
          idle: 10_000,
          inUse: 0,
          left: 0
        }
      )
      assert.deepStrictEqual(yield* ConnectionPool.audit(pool), [])
    })
  )

  it.effect("end together with the pool: all who wait are told, all connections closed", () =>
    Effect.gen(function* () {
      const pool = yield* full(10_000, { acquireTimeout: "1 day", drainTimeout: "1 hour" })
      const { letGo } = yield* lendAll(pool, 10_000)
      const waiter = Effect.forkChild(Effect.flip(use(pool)), { startImmediately: true })
      const waiters = yield* Effect.replicateEffect(waiter, 20_000)
      const drained = yield* Effect.forkChild(ConnectionPool.drain(pool), { startImmediately: true })
      const errors = new Set(
        yield* Effect.forEach(waiters, (fiber) => Effect.map(Fiber.join(fiber), ({ _tag }) => _tag))
      )
      yield* letGo
      yield* Fiber.join(drained)
      const { refused, state, total } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([errors, refused, state, total], [new Set(["PoolClosed"]), 20_000, "closed", 0])
    })
  )
})

describe("the cost of an operation does not grow with the number of connections", () => {
  /** Generous: a walk along the connections would be a thousand times as much. */
  const factor = 4
  const tries = 3
  const small = 10
  const large = 10_000

  const median = (numbers: ReadonlyArray<number>): number =>
    numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!

  const timeOf = Effect.fnUntraced(function* (effect: Effect.Effect<unknown, unknown>) {
    const since = performance.now()
    yield* effect
    return performance.now() - since
  })

  /** How much longer something takes in a large pool than in a small one, both measured in turns in one run. */
  const ratioOf = Effect.fnUntraced(function* (inSmall: Effect.Effect<unknown, unknown>, inLarge: typeof inSmall) {
    const times = { small: [] as Array<number>, large: [] as Array<number> }
    for (let sample = 0; sample < 15; sample++) {
      times.small.push(yield* timeOf(inSmall))
      times.large.push(yield* timeOf(inLarge))
    }
    return median(times.large) / median(times.small)
  })

  const assertFlat = Effect.fnUntraced(function* (inSmall: Effect.Effect<unknown, unknown>, inLarge: typeof inSmall) {
    const ratios: Array<number> = []
    for (let attempt = 0; attempt < tries; attempt++) {
      const ratio = yield* ratioOf(inSmall, inLarge)
      if (ratio < factor) return
      ratios.push(ratio)
    }
    assert.fail(`${large} connections cost ${ratios.map((ratio) => ratio.toFixed(1)).join(", ")} times as much`)
  })

  it.effect("lease and release", () =>
    Effect.gen(function* () {
      const operation = (pool: Pool) => Effect.replicateEffect(use(pool), 500, { discard: true })
      yield* assertFlat(operation(yield* full(small)), operation(yield* full(large)))
    })
  )

  it.effect("lease and release, while all other connections are lent", () =>
    Effect.gen(function* () {
      const busy = Effect.fnUntraced(function* (size: number) {
        const pool = yield* full(size)
        yield* Effect.forkChild(Effect.asVoid(lendAll(pool, size - 1).pipe(Effect.ignore)))
        return pool
      })
      const operation = (pool: Pool) => Effect.replicateEffect(use(pool), 500, { discard: true })
      yield* assertFlat(operation(yield* busy(small)), operation(yield* busy(large)))
    })
  )

  it.effect("enqueue and cancel, in a line as long as the pool is large", () =>
    Effect.gen(function* () {
      const busy = Effect.fnUntraced(function* (size: number) {
        const pool = yield* full(size, { acquireTimeout: "1 day" })
        yield* lendAll(pool, size)
        yield* Effect.replicateEffect(Effect.forkChild(use(pool), { startImmediately: true }), size)
        return pool
      })
      const operation = (pool: Pool) =>
        Effect.replicateEffect(
          Effect.flatMap(Effect.forkChild(use(pool), { startImmediately: true }), (fiber) => Fiber.interrupt(fiber)),
          300,
          { discard: true }
        )
      yield* assertFlat(operation(yield* busy(small)), operation(yield* busy(large)))
    })
  )

  it.effect("enqueue and time-out", () =>
    Effect.gen(function* () {
      const busy = Effect.fnUntraced(function* (size: number) {
        const pool = yield* full(size, { acquireTimeout: "100 millis" })
        yield* lendAll(pool, size)
        return pool
      })
      const operation = (pool: Pool) =>
        Effect.gen(function* () {
          const waiter = Effect.forkChild(Effect.flip(use(pool)), { startImmediately: true })
          const waiters = yield* Effect.replicateEffect(waiter, 300)
          yield* TestClock.adjust("100 millis")
          const errors = yield* Effect.forEach(waiters, (fiber) => Fiber.join(fiber))
          assert.strictEqual(errors.at(-1)?._tag, "AcquireTimeout")
        })
      yield* assertFlat(operation(yield* busy(small)), operation(yield* busy(large)))
    })
  )

  it.effect("status, and invalidate of a connection that was lent", () =>
    Effect.gen(function* () {
      const stranger = { id: 0, dead: Deferred.makeUnsafe<void>(), isDirty: false }
      const operation = (pool: Pool) =>
        Effect.replicateEffect(
          Effect.andThen(ConnectionPool.status(pool), ConnectionPool.invalidate(pool, stranger)),
          300,
          { discard: true }
        )
      yield* assertFlat(operation(yield* full(small)), operation(yield* full(large)))
    })
  )
})
