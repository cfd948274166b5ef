import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { ConnectionPool, Priority } from "../src/index.ts"
import { FakeServer, turns } from "./support/FakeServer.ts"

/** A pool of one connection, which is lent until `letGo`; and who got it after that, in what order. */
const scarce = Effect.gen(function* () {
  const server = new FakeServer()
  const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
  const gate = yield* Deferred.make<void>()
  const order: Array<string> = []
  const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
  yield* turns()
  const waiting: Array<Fiber.Fiber<unknown, unknown>> = [holder]
  const use = (name: string) => ConnectionPool.use(pool, () => Effect.sync(() => order.push(name)))
  return {
    order,
    use,
    /** Somebody comes, and is in line before the next does. */
    comes: (effect: Effect.Effect<unknown, unknown>) =>
      Effect.flatMap(Effect.forkChild(effect), (fiber) => {
        waiting.push(fiber)
        return turns()
      }),
    /** The connection goes from one to the next until all are done. */
    letGo: Effect.andThen(
      Deferred.succeed(gate, undefined),
      Effect.suspend(() => Fiber.joinAll(waiting))
    )
  }
})

describe("a batch", () => {
  it.effect("waits behind those who wait for an answer and came later", () =>
    Effect.gen(function* () {
      const { comes, letGo, order, use } = yield* scarce
      yield* comes(Priority.batch(use("batch")))
      yield* comes(use("first"))
      yield* comes(use("second"))
      yield* letGo
      assert.deepStrictEqual(order, ["first", "second", "batch"])
    })
  )

  it.effect("is served in the order in which it came, among its like", () =>
    Effect.gen(function* () {
      const { comes, letGo, order, use } = yield* scarce
      for (const name of ["one", "two", "three"]) yield* comes(Priority.batch(use(name)))
      yield* letGo
      assert.deepStrictEqual(order, ["one", "two", "three"])
    })
  )

  it.effect("has every tenth connection that becomes free", () =>
    Effect.gen(function* () {
      const { comes, letGo, order, use } = yield* scarce
      yield* comes(Priority.batch(use("batch")))
      for (let request = 0; request < 15; request++) yield* comes(use("request"))
      yield* letGo
      assert.strictEqual(order.indexOf("batch"), 9)
    })
  )

  it.effect("does not wait where a connection is idle", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare)
      assert.strictEqual(yield* Priority.batch(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id > 0))), true)
    })
  )

  it.effect("waits in its class whether it acquires or uses", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      const order: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
      yield* turns()
      const acquire = Effect.scoped(
        Effect.andThen(
          ConnectionPool.acquire(pool),
          Effect.sync(() => order.push("batch"))
        )
      )
      const batch = yield* Effect.forkChild(Priority.batch(acquire))
      yield* turns()
      const other = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sync(() => order.push("other"))))
      yield* turns()
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll([holder, batch, other])
      assert.deepStrictEqual(order, ["other", "batch"])
    })
  )
})

describe("the class", () => {
  it.effect("is interactive, unless said otherwise", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Priority.Priority, "interactive")
    })
  )

  it.effect("is that of the fiber that started one", () =>
    Effect.gen(function* () {
      const { comes, letGo, order, use } = yield* scarce
      yield* comes(Priority.batch(Effect.flatMap(Effect.forkChild(use("child of a batch")), Fiber.join)))
      yield* comes(use("request"))
      yield* letGo
      assert.deepStrictEqual(order, ["request", "child of a batch"])
    })
  )

  it.effect("is that of all who work side by side", () =>
    Effect.gen(function* () {
      const { comes, letGo, order, use } = yield* scarce
      const report = Effect.all([use("page 1"), use("page 2")], { concurrency: "unbounded" })
      yield* comes(Priority.batch(report))
      yield* comes(use("request"))
      yield* letGo
      assert.deepStrictEqual(order, ["request", "page 1", "page 2"])
    })
  )

  it.effect("of a part may be another: somebody waits for that part of a batch", () =>
    Effect.gen(function* () {
      const { comes, letGo, order, use } = yield* scarce
      yield* comes(Priority.batch(use("batch")))
      yield* comes(Priority.batch(Priority.interactive(use("part"))))
      yield* letGo
      assert.deepStrictEqual(order, ["part", "batch"])
    })
  )

  it.effect("is as before after the batch", () =>
    Effect.gen(function* () {
      const during = yield* Priority.batch(Priority.Priority)
      assert.deepStrictEqual([during, yield* Priority.Priority], ["batch", "interactive"])
    })
  )
})
