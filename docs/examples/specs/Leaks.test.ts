/** Every connection comes back, whatever happens to its borrower. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { LeaseHistory, TestPool } from "effect-pool/testing"
import { type Connection, Db, findOrder, QueryFailed } from "./Orders.ts"

const broken: Connection = { query: () => Effect.fail(new QueryFailed({ reason: "no such table" })) }
const silent: Connection = { query: () => Effect.never }

describe("findOrder", () => {
  // The layer itself fails a spec that ends with a lease. This asks earlier.
  it.effect("returns its connection when the query fails", () =>
    Effect.gen(function* () {
      yield* Effect.flip(findOrder(7))
      yield* (yield* TestPool.TestPool).ensureNoLeaks
    }).pipe(Effect.provide(TestPool.layer(Db, broken)))
  )

  it.effect("returns its connection when it is interrupted", () =>
    Effect.gen(function* () {
      yield* LeaseHistory.assertReleasedOnInterrupt(yield* Db, findOrder(7))
    }).pipe(Effect.provide(TestPool.layer(Db, silent)))
  )

  it.effect("needs one connection at a time", () =>
    Effect.gen(function* () {
      yield* Effect.flip(findOrder(7))
      yield* LeaseHistory.assertNoNestedAcquire(yield* Db)
    }).pipe(Effect.provide(TestPool.layer(Db, broken)))
  )
})

describe("a leak", () => {
  it.effect("is told with its borrower", () =>
    Effect.gen(function* () {
      // What not to do: a fiber that nobody waits for.
      const forgotten = yield* Effect.forkDetach(findOrder(7), { startImmediately: true })
      yield* Effect.yieldNow
      const error = yield* Effect.flip((yield* TestPool.TestPool).ensureNoLeaks)
      yield* Fiber.interrupt(forgotten)
      assert.match(error.message, /1 lease not returned.*\n.*\(findOrder\) has held connection 1/)
    }).pipe(Effect.provide(TestPool.layer(Db, silent)))
  )
})
