/** Pools for reading and for writing on one budget: who reports must leave room for who sells. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TypedPools } from "effect-pool"
import { TestConnector } from "effect-pool/testing"
import { TestClock } from "effect/testing"

interface Reader {
  readonly count: (table: string) => Effect.Effect<number>
}
interface Writer extends Reader {
  readonly insert: (table: string, row: unknown) => Effect.Effect<void>
}

const Db = TypedPools.make("shop/Db", { read: TypedPools.of<Reader>(), write: TypedPools.of<Writer>() })

const report = Db.read.use((connection) => connection.count("orders"))
const sell = Db.write.use((connection) => connection.insert("orders", { customer: "Ada" }))

/** Four connections for both, of which one is always there for writing. Reports take a minute. */
const shop = () => {
  const orders: Array<unknown> = []
  const count = () =>
    Effect.delay(
      Effect.sync(() => orders.length),
      "1 minute"
    )
  const insert = (_: string, row: unknown) => Effect.sync(() => void orders.push(row))
  const config = { minConnections: 0, startup: "background", acquireTimeout: "1 hour" } as const
  return Db.layer({
    budget: 4,
    read: { connector: TestConnector.make((): Reader => ({ count })).connector, config },
    write: { connector: TestConnector.make((): Writer => ({ count, insert })).connector, config, floor: 1 }
  })
}

describe("the shop", () => {
  it.effect("sells while every reader reports", () =>
    Effect.gen(function* () {
      const reports = yield* Effect.forkChild(Effect.replicateEffect(report, 10, { concurrency: "unbounded" }))
      yield* TestClock.adjust("1 second")
      yield* sell
      const { read, write } = yield* Db.status
      yield* TestClock.adjust("10 minutes")
      yield* Fiber.join(reports)
      assert.deepStrictEqual([read.inUse, read.waiting, write.released], [3, 7, 1])
    }).pipe(Effect.provide(shop()))
  )

  it.effect("counts what it has sold", () =>
    Effect.gen(function* () {
      yield* Effect.andThen(sell, sell)
      const fiber = yield* Effect.forkChild(report)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), 2)
    }).pipe(Effect.provide(shop()))
  )
})
