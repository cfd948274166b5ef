/** A fault from a script: the server is gone for 30 seconds. No test waits for one of them: the clock is the spec's. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestPool } from "effect-pool/testing"
import { TestClock } from "effect/testing"
import { fakeConnection } from "./Fakes.ts"
import { Db, findOrder } from "./Orders.ts"

const DbWithOutage = TestPool.layer(Db, () => fakeConnection, {
  config: { minConnections: 2 },
  script: { outage: { after: "1 minute", lasts: "30 seconds", message: "connection refused" } }
})

/** Asks for order 7, after so much time. */
const orderAfter = Effect.fnUntraced(function* (seconds: number) {
  yield* TestClock.adjust(seconds * 1000)
  const fiber = yield* Effect.forkChild(Effect.exit(findOrder(7)))
  // A little more than the pool's acquireTimeout.
  yield* TestClock.adjust("6 seconds")
  return (yield* Fiber.join(fiber))._tag
})

describe("an outage of 30 seconds", () => {
  it.effect("fails those who ask meanwhile, and nobody before and after", () =>
    Effect.gen(function* () {
      const before = yield* orderAfter(10)
      const meanwhile = yield* orderAfter(50)
      const afterwards = yield* orderAfter(60)
      assert.deepStrictEqual([before, meanwhile, afterwards], ["Success", "Failure", "Success"])
    }).pipe(Effect.provide(DbWithOutage))
  )

  it.effect("is over without anybody's help", () =>
    Effect.gen(function* () {
      const server = yield* TestPool.TestPool
      yield* TestClock.adjust("70 seconds")
      const meanwhile = yield* server.live
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([meanwhile, yield* server.live], [0, 2])
    }).pipe(Effect.provide(DbWithOutage))
  )

  it.effect("can begin at the moment that a spec is about", () =>
    Effect.gen(function* () {
      const server = yield* TestPool.TestPool
      const fiber = yield* Effect.forkChild(findOrder(7))
      yield* TestClock.adjust("5 millis")
      yield* server.script({ outage: { lasts: "30 seconds" } })
      yield* TestClock.adjust("5 millis")
      // Its connection is gone, but the answer was on its way.
      assert.strictEqual((yield* Fiber.join(fiber)).customer, "Ada")
    }).pipe(Effect.provide(TestPool.layer(Db, fakeConnection)))
  )
})
