/** What a pool does when more is asked of it than it can do, as its callers see it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig, PoolError } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

/** One connection, so that ten leases of 100 ms are all that can be done in a second. */
const makePool = (config: PoolConfig.Input = {}) =>
  Effect.tap(
    ConnectionPool.make(new FakeServer().complete, {
      name: "orders",
      minConnections: 1,
      maxConnections: 1,
      startup: "background",
      drainTimeout: 0,
      ...config
    }),
    () => TestClock.adjust("1 second")
  )

const call = (pool: Pool) => Effect.forkChild(Effect.result(ConnectionPool.use(pool, () => Effect.sleep(100))))

/** A caller comes every so many milliseconds, for so long. */
const come = Effect.fnUntraced(function* (pool: Pool, everyMillis: number, forMillis: number) {
  const fibers: Array<Fiber.Fiber<Result.Result<void, PoolError.AcquireError>>> = []
  for (let at = 0; at < forMillis; at += everyMillis) {
    fibers.push(yield* call(pool))
    yield* turns()
    yield* TestClock.adjust(everyMillis)
  }
  return fibers
})

/** The same, and then everybody has his answer. */
const openLoop = Effect.fnUntraced(function* (pool: Pool, everyMillis: number, forMillis: number) {
  const fibers = yield* come(pool, everyMillis, forMillis)
  yield* Effect.repeat(TestClock.adjust(100), { times: 100 })
  return yield* Effect.forEach(fibers, Fiber.join)
})

const refusals = (results: ReadonlyArray<Result.Result<void, PoolError.AcquireError>>) =>
  results.filter(Result.isFailure).map(({ failure }) => failure)

describe("more than a pool can do", () => {
  it.effect("is refused early, not after acquireTimeout", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const refused = refusals(yield* openLoop(pool, 50, 10_000))
      assert.deepStrictEqual(
        refused.map(({ _tag }) => _tag).filter((tag) => tag !== "PoolOverloaded"),
        []
      )
      assert.isAbove(refused.length, 50)
    })
  )

  it.effect("leaves those who are served with a wait that is short", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      yield* openLoop(pool, 50, 20_000)
      const events = yield* ConnectionPool.recentEvents(pool)
      const waits = events.flatMap((event) => (event._tag === "Acquired" ? [event.waited] : [])).slice(-50)
      assert.isBelow(Math.max(...waits), 500)
    })
  )

  it.effect("is not refused where shedding is off", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ shedding: { enabled: false } })
      const refused = refusals(yield* openLoop(pool, 50, 20_000))
      assert.deepStrictEqual(new Set(refused.map(({ _tag }) => _tag)), new Set(["AcquireTimeout"]))
    })
  )

  it.effect("is told of in the status while it lasts", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const before = (yield* ConnectionPool.status(pool)).isOverloaded
      const fibers = yield* come(pool, 50, 5000)
      const meanwhile = (yield* ConnectionPool.status(pool)).isOverloaded
      yield* Effect.repeat(TestClock.adjust(100), { times: 100 })
      yield* Effect.forEach(fibers, Fiber.join)
      const after = (yield* ConnectionPool.status(pool)).isOverloaded
      assert.deepStrictEqual([before, meanwhile, after], [false, true, false])
    })
  )

  it.effect("is a warning to whoever asks for the health, and no failure", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const fibers = yield* come(pool, 50, 5000)
      const { reasons, status } = yield* ConnectionPool.health(pool)
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(status, "warn")
      assert.match(reasons.at(-1) ?? "", /^overloaded: more comes than is served; \d+ have been refused so far$/)
    })
  )

  it.effect("is answered with when to come back", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const refused = refusals(yield* openLoop(pool, 20, 10_000))
      const last = refused.findLast((error) => error._tag === "PoolOverloaded")
      assert.isAtLeast(last?.retryAfterSeconds ?? 0, 1)
      assert.match(
        last?.message ?? "",
        /^\[pool orders\] refused after \d+ ms: more has come than was served since the line began to stand \(/
      )
    })
  )
})

describe("much at once is no overload", () => {
  it.effect("when it comes once: everybody is served who can be inside his time", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const fibers = yield* Effect.replicateEffect(call(pool), 45)
      yield* Effect.repeat(TestClock.adjust(100), { times: 60 })
      assert.deepStrictEqual(refusals(yield* Effect.forEach(fibers, Fiber.join)), [])
    })
  )

  it.effect("when it is the same callers again and again", () =>
    Effect.gen(function* () {
      const pool = yield* makePool()
      const caller = Effect.replicateEffect(Effect.result(ConnectionPool.use(pool, () => Effect.sleep(100))), 20)
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(caller), 20)
      yield* Effect.repeat(TestClock.adjust(100), { times: 420 })
      assert.deepStrictEqual(refusals((yield* Effect.forEach(fibers, Fiber.join)).flat()), [])
    })
  )
})

describe("a line that is full", () => {
  it.effect("says when those who stand in it will have been served", () =>
    Effect.gen(function* () {
      const pool = yield* makePool({ maxWaiting: 30 })
      for (let i = 0; i < 5; i++) {
        const fiber = yield* call(pool)
        yield* TestClock.adjust(100)
        yield* Fiber.join(fiber)
      }
      const fibers = yield* Effect.replicateEffect(call(pool), 31)
      yield* turns()
      const refused = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void))
      yield* Fiber.interruptAll(fibers)
      assert.deepStrictEqual(
        [refused._tag, "retryAfterSeconds" in refused ? refused.retryAfterSeconds : 0],
        ["PoolOverloaded", 4]
      )
    })
  )
})
