/** The business code as it is, on a fake instead of a database: only the layer is another. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Connection, Db, findOrder } from "./Orders.ts"

const fake: Connection = {
  query: (_, [id]) => Effect.succeed(id === 7 ? [{ id: 7, customer: "Ada" }] : [])
}

describe("findOrder", () => {
  it.effect("finds an order", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* findOrder(7)).customer, "Ada")
    }).pipe(Effect.provide(Db.layerTest(fake)))
  )

  it.effect("says which order it has not found", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(findOrder(8))
      assert.strictEqual(error._tag === "OrderNotFound" ? error.id : error._tag, 8)
    }).pipe(Effect.provide(Db.layerTest(fake)))
  )
})
