import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool } from "../../src/index.ts"
import { Chaos, LeaseHistory, TestConnector } from "../../src/testing/index.ts"

/** What a pool goes through on such a day: its events, and how many of its uses were served. */
const day = (seed: number) =>
  Effect.gen(function* () {
    const fakes = TestConnector.make((n) => ({ n }))
    const chaos = Chaos.connector(fakes.connector, {
      seed,
      kill: 0.2,
      refuse: 0.3,
      latency: { chance: 0.5, upTo: "50 millis" }
    })
    // Connections that end soon after they open are an outage to the pool, and this day has many of them.
    const patience = { acquireTimeout: "3 hours", unavailableAfter: "3 hours" } as const
    const pool = yield* ConnectionPool.make(chaos, { startup: "background", ...patience })
    const use = ConnectionPool.use(pool, ({ n }) => Effect.as(Effect.sleep("10 millis"), n))
    const fiber = yield* Effect.forkChild(Effect.replicateEffect(use, 50))
    yield* TestClock.adjust("2 hours")
    const served = yield* Fiber.join(fiber)
    return { served, events: yield* LeaseHistory.eventSequence(pool) }
  }).pipe(Effect.scoped)

describe("chaos", () => {
  it.effect("ends connections, and everyone is served", () =>
    Effect.gen(function* () {
      const { events, served } = yield* day(7)
      assert.deepStrictEqual(
        [served.length, events.includes("ConnectFailed"), new Set(served).size > 1],
        [50, true, true]
      )
    })
  )

  it.effect("does the same with the same seed, and another thing with another", () =>
    Effect.gen(function* () {
      const [one, same, other] = [yield* day(7), yield* day(7), yield* day(8)]
      assert.deepStrictEqual(one.served, same.served)
      assert.notDeepEqual(one.served, other.served)
    })
  )
})
