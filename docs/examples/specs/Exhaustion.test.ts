/** More is asked of the pool than it has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { LeaseHistory, TestPool } from "effect-pool/testing"
import { TestClock } from "effect/testing"
import { fakeConnection } from "./Fakes.ts"
import { Db, findOrder } from "./Orders.ts"

describe("the limit", () => {
  it.effect("of five connections, held by five borrowers, lets the sixth acquire time out", () =>
    Effect.gen(function* () {
      const holder = Db.use(() => Effect.sleep("1 minute"))
      const holders = yield* Effect.replicateEffect(Effect.forkChild(holder), 5)
      yield* TestClock.adjust("1 second")

      const sixth = yield* Effect.forkChild(Effect.flip(findOrder(7)))
      yield* TestClock.adjust("5 seconds")
      const error = yield* Fiber.join(sixth)
      assert.strictEqual(error._tag, "AcquireTimeout")

      yield* TestClock.adjust("1 minute")
      yield* Fiber.joinAll(holders)
    }).pipe(Effect.provide(TestPool.layer(Db, fakeConnection, { config: { maxConnections: 5 } })))
  )
})

describe("the load", () => {
  it.effect("of 100 tasks with 10 acquisitions of 10 ms each waits less than a second on average", () =>
    Effect.gen(function* () {
      const task = Effect.replicateEffect(findOrder(7), 10)
      const tasks = yield* Effect.forkChild(Effect.replicateEffect(task, 100, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(tasks)

      const pool = yield* Db
      const { leases, missed } = yield* LeaseHistory.history(pool)
      assert.deepStrictEqual([leases.length, missed], [1000, 0])
      assert.isBelow(yield* LeaseHistory.averageWait(pool), 1000)
      assert.strictEqual(yield* LeaseHistory.maxHeldAtOnce(pool), 10)
    }).pipe(Effect.provide(TestPool.layer(Db, fakeConnection, { config: { maxConnections: 10 } })))
  )
})
