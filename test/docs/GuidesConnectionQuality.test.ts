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

describe("a caller who comes when all idle connections are silently dead", () => {
  for (const [idle, waited] of [
    [1, 150],
    [5, 550],
    [10, 1050],
    [30, 2050],
    [90, 2050]
  ] as const) {
    it.effect(`waits for 100 ms for each, and no longer than one check and one connect: ${idle}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* waitAmong(idle), [waited])
      })
    )
  }

  it.effect("is not served where one check may take as long as an acquire, and there are fifty", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* waitAmong(50, { checkTimeout: "5 seconds" }), [])
    })
  )
})
