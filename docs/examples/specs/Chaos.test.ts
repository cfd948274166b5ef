/** A bad day from a seed: connections die, connects are refused, everything is slow at times. The same seed is the same day. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Chaos, TestConnector } from "effect-pool/testing"
import { TestClock } from "effect/testing"
import { fakeConnection } from "./Fakes.ts"
import { Db, findOrder } from "./Orders.ts"

const badDay: Chaos.Options = {
  seed: 20_260,
  kill: 0.05,
  refuse: 0.1,
  diesWithin: "5 minutes",
  latency: { chance: 0.3, upTo: "200 millis" },
  checkLatency: { chance: 0.1, upTo: "100 millis" }
}

const server = TestConnector.make(() => fakeConnection)

describe("on a bad day", () => {
  it.effect("everybody finds the order", () =>
    Effect.gen(function* () {
      const customer = Effect.delay(findOrder(7), "1 second")
      const customers = yield* Effect.forkChild(
        Effect.replicateEffect(Effect.replicateEffect(customer, 50), 4, { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("10 minutes")
      const found = (yield* Fiber.join(customers)).flat()
      assert.deepStrictEqual([found.length, new Set(found.map(({ id }) => id)).size], [200, 1])
    }).pipe(Effect.provide(Chaos.layer(Db, server.connector, badDay)))
  )
})
