import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { Stock } from "../../docs/examples/services/Sqlite.ts"
import { libsql, newFile } from "../support/SqliteFile.ts"
import { silent } from "./SqliteFixture.ts"

const shop = (path: string) => Layer.provide(Stock.layer({ path, driver: libsql }), silent)

/** On a file of its own. */
const inShop = <A, E, R>(story: Effect.Effect<A, E, R>) =>
  Effect.flatMap(newFile, (path) => Effect.provide(story, shop(path))).pipe(Effect.scoped)

describe("the stock of a shop", () => {
  it.live("sells what is there, and says what is left", () =>
    inShop(
      Effect.gen(function* () {
        const stock = yield* Stock
        yield* stock.deliver("lamp", 3)
        yield* stock.deliver("lamp", 4)
        assert.deepStrictEqual([yield* stock.sell("lamp", 5), yield* stock.level("lamp")], [2, 2])
      })
    )
  )

  it.live("sells nothing twice, whoever asks at the same time", () =>
    inShop(
      Effect.gen(function* () {
        const stock = yield* Stock
        yield* stock.deliver("lamp", 10)
        const exits = yield* Effect.replicateEffect(Effect.exit(stock.sell("lamp", 3)), 20, {
          concurrency: "unbounded"
        })
        const { levels, sold } = yield* stock.report()
        assert.deepStrictEqual(
          [exits.filter(Exit.isSuccess).length, levels, sold],
          [3, [{ item: "lamp", level: 1 }], [{ item: "lamp", level: 9 }]]
        )
      })
    )
  )

  it.live("says why it does not sell", () =>
    inShop(
      Effect.gen(function* () {
        const stock = yield* Stock
        yield* stock.deliver("lamp", 1)
        const errors = yield* Effect.all([
          Effect.flip(stock.sell("lamp", 2)),
          Effect.flip(stock.sell("chair", 1)),
          Effect.flip(stock.level("chair"))
        ])
        assert.deepStrictEqual(
          errors.map(({ _tag }) => _tag),
          ["OutOfStock", "UnknownItem", "UnknownItem"]
        )
      })
    )
  )

  it.live("is still there when the shop opens again", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      yield* Effect.provide(
        Effect.flatMap(Stock, ({ deliver }) => deliver("lamp", 7)),
        shop(path)
      )
      const level = yield* Effect.provide(
        Effect.flatMap(Stock, ({ level }) => level("lamp")),
        Layer.fresh(shop(path))
      )
      assert.strictEqual(level, 7)
    }).pipe(Effect.scoped)
  )
})
