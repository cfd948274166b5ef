/** How a pool finds its size, as its users see it: in the status, in the events, and in the log. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig, PoolStatus, SizingPolicy } from "../../src/index.ts"
import { type FakeConnection, FakeServer, Refused, turns } from "../support/FakeServer.ts"
import { capture } from "../support/Logged.ts"
import * as Schema from "effect/Schema"

const makePool = (server: FakeServer, config: PoolConfig.Input = {}) =>
  Effect.tap(
    ConnectionPool.make(server.complete, {
      minConnections: 1,
      maxConnections: 10,
      startup: "background",
      drainTimeout: 0,
      ...config
    }),
    () => TestClock.adjust("1 second")
  )

/** A server that takes 100 ms to open a connection. */
const slowToConnect = (): FakeServer => {
  const server = new FakeServer()
  server.onConnect = Effect.sleep(100)
  return server
}

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

/** So many callers at once, each of whom keeps his connection for so long. */
const callers = (pool: Pool, count: number, holdMillis: number) =>
  Effect.tap(
    Effect.replicateEffect(
      Effect.forkChild(Effect.exit(ConnectionPool.use(pool, () => Effect.sleep(holdMillis)))),
      count
    ),
    () => turns()
  )

/** Time passes in small steps, as it does. */
const pass = (millis: number) => Effect.repeat(TestClock.adjust(5), { times: Math.ceil(millis / 5) - 1 })

/** So many callers one after the other: what they leave is knowledge of how long they take. */
const known = (pool: Pool, holdMillis: number, count = 50) =>
  Effect.replicateEffect(
    Effect.flatMap(callers(pool, 1, holdMillis), (fibers) => Effect.andThen(pass(holdMillis), Fiber.joinAll(fibers))),
    count
  )

describe("a pool that grows", () => {
  it.effect("opens nothing for a line that is empty before a connection would come, and says so", () =>
    Effect.gen(function* () {
      const server = slowToConnect()
      const pool = yield* makePool(server)
      yield* known(pool, 5)
      const fibers = yield* callers(pool, 5, 5)
      const { sizing } = yield* ConnectionPool.status(pool)
      yield* pass(30)
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(
        [server.connections.length, sizing.notGrown?.reason],
        [1, "a new connection would arrive 80 ms after the queue is empty"]
      )
    })
  )

  it.effect("opens as many as get the line empty in the time that a connect takes, and says why", () =>
    Effect.gen(function* () {
      const server = slowToConnect()
      const pool = yield* makePool(server)
      yield* known(pool, 50)
      const fibers = yield* callers(pool, 7, 50)
      yield* pass(400)
      yield* Fiber.joinAll(fibers)
      const { sizing } = yield* ConnectionPool.status(pool)
      // Three who wait for 50 ms each are served after 150 ms, five with two connections after 125 ms; six with three after 100.
      assert.deepStrictEqual(
        [server.connections.length, sizing.changed?.reason],
        [3, "the queue would be empty in 125 ms, and a new connection takes 100 ms"]
      )
    })
  )

  it.effect("tells of it in an event", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(slowToConnect())
      yield* known(pool, 50)
      const fibers = yield* callers(pool, 4, 50)
      yield* pass(400)
      yield* Fiber.joinAll(fibers)
      const events = yield* ConnectionPool.recentEvents(pool)
      const { from, reason, to } = events.find(({ _tag }) => _tag === "SizingDecision") as never
      assert.deepStrictEqual(
        [from, to, reason],
        [1, 2, "the queue would be empty in 150 ms, and a new connection takes 100 ms"]
      )
    })
  )

  it.effect("opens more for leases that do not end, whatever was usual", () =>
    Effect.gen(function* () {
      const server = slowToConnect()
      const pool = yield* makePool(server)
      yield* known(pool, 2)
      const fibers = yield* callers(pool, 5, 60_000)
      yield* pass(2000)
      const { inUse, waiting } = yield* ConnectionPool.status(pool)
      yield* Fiber.interruptAll(fibers)
      assert.deepStrictEqual([inUse, waiting], [5, 0])
    })
  )
})

describe("a pool that shrinks", () => {
  it.effect("keeps what the peaks of the time that a connection may rest have needed", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer(), { idleTimeout: "20 seconds" })
      const fibers = yield* callers(pool, 8, 100)
      yield* pass(1000)
      yield* Fiber.joinAll(fibers)
      // Each second two are needed at once: ceil(1.2 * 2) + 1.
      yield* Effect.replicateEffect(
        Effect.flatMap(callers(pool, 2, 100), (fibers) => Effect.andThen(pass(1000), Fiber.joinAll(fibers))),
        40
      )
      const { sizing, total } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([total, sizing.connections], [4, 4])
    })
  )

  it.effect("goes back to the minimum when nobody needs it", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer(), { idleTimeout: "20 seconds" })
      const fibers = yield* callers(pool, 8, 100)
      yield* pass(200)
      yield* Fiber.joinAll(fibers)
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).total, 1)
    })
  )
})

describe("a policy of one's own", () => {
  const broken = SizingPolicy.make({ name: "moody", decide: () => ({ connections: Number.NaN, reason: "who knows" }) })

  it.effect("is told of in the log once, by its name, when it answers nonsense", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      yield* makePool(new FakeServer(), { sizing: broken })
      yield* TestClock.adjust("10 seconds")
      const told = lines.filter(({ text }) => text.includes("moody")).map(({ text }) => text)
      assert.deepStrictEqual(told, [
        "the sizing policy moody is not followed when it answered NaN, which is no number of connections; the default decides instead"
      ])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("is counted in the status, with what was wrong", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer(), { sizing: broken })
      yield* TestClock.adjust("9 seconds")
      const { fault, ignored, policy } = (yield* ConnectionPool.status(pool)).sizing
      assert.deepStrictEqual(
        [policy, ignored, fault],
        ["moody", 10, "it answered NaN, which is no number of connections"]
      )
    })
  )

  it.effect("leaves nobody without a connection, whatever it answers", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* makePool(server, { sizing: broken, minConnections: 0 })
      const fibers = yield* callers(pool, 3, 10)
      yield* pass(100)
      yield* Fiber.joinAll(fibers)
      assert.isAtLeast(server.connections.length, 1)
    })
  )
})

describe("a server that has too many connections", () => {
  const full = (server: FakeServer) =>
    Effect.sync(() => {
      server.onConnect = Effect.fail(new Refused({ kind: "overloaded", message: "too many clients" }))
    })

  /** Eight connections are open when it has no room for a ninth. */
  const met = Effect.gen(function* () {
    const server = new FakeServer()
    const pool = yield* makePool(server, { minConnections: 0, maxConnections: 20 })
    const first = yield* callers(pool, 8, 100)
    yield* pass(300)
    yield* Fiber.joinAll(first)
    yield* full(server)
    const fibers = yield* callers(pool, 20, 100)
    yield* pass(300)
    yield* Fiber.joinAll(fibers)
    return pool
  })

  it.effect("lowers the limit by a quarter of what is open", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ConnectionPool.status(yield* met)).limit, 6)
    })
  )

  it.effect("is told of in the log", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      yield* met
      assert.include(
        lines.map(({ text }) => text),
        "the server has too many connections: no more than 6 for now, and one more every 10 s"
      )
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("raises it by one every ten seconds", () =>
    Effect.gen(function* () {
      const pool = yield* met
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).limit, 9)
    })
  )
})

describe("the advice of a pool", () => {
  it.effect("is none while little has been seen", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer())
      assert.isTrue(Option.isNone(yield* ConnectionPool.advise(pool)))
    })
  )

  /** Ten callers a second for 20 seconds, each for 50 ms. */
  const used = Effect.fnUntraced(function* (pool: Pool) {
    for (let i = 0; i < 200; i++) {
      const fibers = yield* callers(pool, 1, 50)
      yield* pass(100)
      yield* Fiber.joinAll(fibers)
    }
  })

  it.effect("is what the advisor says to the load that was measured", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer())
      yield* used(pool)
      const { busyConnections, holdMillisMean } = Option.getOrThrow(yield* ConnectionPool.advise(pool))
      assert.deepStrictEqual([busyConnections, holdMillisMean], [0.5, 50])
    })
  )

  it.effect("takes in what only an operator knows", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer())
      yield* used(pool)
      const advice = Option.getOrThrow(
        yield* ConnectionPool.advise(pool, { replicas: 50, serverMaxConnections: 53, serverReserved: 3 })
      )
      assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [1, "serverConnections"])
    })
  )

  it.effect("stands in the status, which survives being written down", () =>
    Effect.gen(function* () {
      const pool = yield* makePool(new FakeServer())
      yield* used(pool)
      const status = yield* ConnectionPool.status(pool)
      const codec = Schema.toCodecJson(PoolStatus.PoolStatus)
      const written = JSON.stringify(yield* Schema.encodeEffect(codec)(status))
      assert.deepStrictEqual(yield* Schema.decodeEffect(codec)(JSON.parse(written)), status)
      assert.isDefined(status.advice)
    })
  )
})
