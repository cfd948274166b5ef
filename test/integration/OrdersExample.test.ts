import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { createTables, Orders } from "../../docs/examples/services/Orders.ts"
import { live, serverWith } from "./Server.ts"
import { ours } from "./SqlClients.ts"

const stocked = (quantity: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* createTables
    yield* sql`truncate stock, shop_orders`
    yield* sql`insert into stock values ('tea', ${quantity})`
    return sql
  })

const shop = Orders.layer.pipe(Layer.provideMerge(ours("orders", { maxConnections: 5 })))

layer(serverWith(), live)("docs/examples/services/Orders.ts", (it) => {
  it.effect("places an order, and finds it", () =>
    Effect.gen(function* () {
      const sql = yield* stocked(10)
      const orders = yield* Orders
      const order = yield* orders.place("Ada", "tea", 3)
      const found = yield* orders.find(order.id)
      assert.deepInclude(found, { id: order.id, customer: "Ada", product: "tea", quantity: 3 })
      assert.deepStrictEqual(yield* sql`select quantity from stock`, [{ quantity: 7 }])
    }).pipe(Effect.provide(shop))
  )

  it.effect("writes nothing when there is too little left", () =>
    Effect.gen(function* () {
      const sql = yield* stocked(2)
      const orders = yield* Orders
      const error = yield* Effect.flip(orders.place("Ada", "tea", 3))
      assert.deepInclude(error, { _tag: "OutOfStock", wanted: 3, left: 2 })
      assert.deepStrictEqual(yield* sql`select * from shop_orders`, [])
    }).pipe(Effect.provide(shop))
  )

  it.effect("sells no more than there is to a hundred who come at once", () =>
    Effect.gen(function* () {
      const sql = yield* stocked(30)
      const orders = yield* Orders
      const results = yield* Effect.all(
        Array.from({ length: 100 }, (_, n) => Effect.result(orders.place(`customer ${n}`, "tea", 1))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 30)
      assert.deepStrictEqual(yield* sql`select quantity from stock`, [{ quantity: 0 }])
      assert.deepStrictEqual(yield* sql`select sum(quantity)::int as sold from shop_orders`, [{ sold: 30 }])
    }).pipe(Effect.provide(shop))
  )

  it.effect("says which order it did not find", () =>
    Effect.gen(function* () {
      yield* stocked(0)
      const orders = yield* Orders
      assert.deepInclude(yield* Effect.flip(orders.find(7)), { _tag: "OrderNotFound", id: 7 })
    }).pipe(Effect.provide(shop))
  )
})
