/** What `docs/connection-quality.md` says of connections that nobody has said to be dead. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig } from "../../src/index.ts"
import { FakeServer } from "../support/FakeServer.ts"

/** How long a caller waits who comes when so many idle connections are dead, and their checks hang; a connect takes 50 ms. */
const waitAmong = Effect.fnUntraced(function* (idle: number, config: PoolConfig.Input = {}) {
  const server = new FakeServer()
  server.onConnect = Effect.sleep("50 millis")
  const sizes = { minConnections: idle, maxConnections: 100, startup: "background" } as const
  const pool = yield* ConnectionPool.make(server.complete, { ...sizes, ...config })
  yield* TestClock.adjust("10 seconds")
  server.onCheck = Effect.never
  const caller = yield* Effect.forkChild(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
  yield* TestClock.adjust("5 seconds")
  yield* Fiber.join(caller)
  const events = yield* ConnectionPool.recentEvents(pool)
  server.onCheck = Effect.void
  return events.flatMap((event) => (event._tag === "Acquired" ? [event.waited] : []))
})

/** How many connections a server's slowness has opened, where a request comes each second and a check takes so long. */
const openedBySlowness = Effect.fnUntraced(function* (idle: number, checkTakes: number) {
  const server = new FakeServer()
  server.onConnect = Effect.sleep(3 * checkTakes)
  server.onCheck = Effect.sleep(checkTakes)
  const sizes = { minConnections: idle, maxConnections: 100, startup: "background" } as const
  const pool = yield* ConnectionPool.make(server.complete, sizes)
  yield* TestClock.adjust("10 seconds")
  const before = (yield* ConnectionPool.status(pool)).created
  for (let request = 0; request < 30; request++) {
    const caller = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.void))
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(caller)
  }
  return (yield* ConnectionPool.status(pool)).created - before
})

describe("a caller who comes when all idle connections are silently dead", () => {
  for (const [idle, waited] of [
    [1, 150],
    [5, 350],
    [10, 450],
    [30, 550],
    [50, 650],
    [90, 750]
  ] as const) {
    it.effect(`waits for 100 ms each time that as many more are asked, and for one connect: ${idle}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* waitAmong(idle), [waited])
      })
    )
  }

  for (const idle of [5, 50]) {
    it.effect(`waits for one check and one connect where there is no room for another: ${idle}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* waitAmong(idle, { maxConnections: idle }), [2050])
      })
    )
  }

  it.effect("is served where one check may take as long as an acquire, and there are fifty", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* waitAmong(50, { checkTimeout: "5 seconds" }), [650])
    })
  )

  it.effect("is not served where one check may take as long as an acquire, and there is no room for another", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* waitAmong(50, { checkTimeout: "5 seconds", maxConnections: 50 }), [])
    })
  )
})

describe("a server that is slow, and not gone", () => {
  for (const [idle, checkTakes, opened] of [
    [5, 150, 0],
    [10, 150, 0],
    [5, 500, 1],
    [10, 500, 1]
  ] as const) {
    it.effect(`has no more than one connection opened for that: ${idle} idle, ${checkTakes} ms for a check`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* openedBySlowness(idle, checkTakes), opened)
      })
    )
  }
})
