import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { Db, Inventory, inventoryAt } from "../../docs/examples/services/Inventory.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import { live, observer, Server, serverWith, titled } from "./MySqlServer.ts"

/** The service on the file's server. */
const inventory = Layer.unwrap(Effect.map(Server, ({ url }) => inventoryAt(url))).pipe(Layer.provide(Logger.layer([])))

describe.skipIf(unavailable !== undefined)(titled("the inventory service"), () => {
  layer(
    inventory.pipe(Layer.provideMerge(serverWith())),
    live
  )((it) => {
    it.effect("sets aside all of an order, or nothing and says what is missing", () =>
      Effect.gen(function* () {
        const { available, receive, setAside } = yield* Inventory
        yield* receive("lamp", 3)
        yield* receive("desk", 1)
        yield* setAside("first", [
          { product: "lamp", quantity: 1 },
          { product: "desk", quantity: 1 }
        ])
        const error = yield* Effect.flip(
          setAside("second", [
            { product: "lamp", quantity: 1 },
            { product: "desk", quantity: 1 }
          ])
        )
        assert.deepInclude(error, { _tag: "OutOfStock", product: "desk", wanted: 1, available: 0 })
        assert.deepStrictEqual([yield* available("lamp"), yield* available("desk")], [2, 0])
      })
    )

    it.effect("counts an order once, however often it is sent", () =>
      Effect.gen(function* () {
        const { available, receive, setAside } = yield* Inventory
        yield* receive("chair", 10)
        yield* Effect.repeat(setAside("chairs", [{ product: "chair", quantity: 4 }]), { times: 2 })
        assert.strictEqual(yield* available("chair"), 6)
      })
    )

    it.effect("sells no more than there is to 60 who come at once, in orders that wait for one another", () =>
      Effect.gen(function* () {
        const { available, receive, setAside } = yield* Inventory
        yield* receive("cup", 40)
        yield* receive("plate", 40)
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, n) => n),
          (n) => {
            const lines = [
              { product: "cup", quantity: 1 },
              { product: "plate", quantity: 1 }
            ]
            // Half of them name the products the other way round, which must not become a deadlock.
            return Effect.result(setAside(`set ${n}`, n % 2 === 0 ? lines : lines.toReversed()))
          },
          { concurrency: "unbounded" }
        )
        const sold = outcomes.filter(({ _tag }) => _tag === "Success").length
        const refused = outcomes.filter((one) => one._tag === "Failure" && one.failure._tag === "OutOfStock").length
        assert.deepStrictEqual([sold, refused], [40, 20])
        assert.deepStrictEqual([yield* available("cup"), yield* available("plate")], [0, 0])
        const { inUse } = yield* Db.status
        assert.strictEqual(inUse, 0)
      })
    )

    it.effect("goes on when its connections are killed under it, and nothing is sold twice", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const { available, receive, setAside } = yield* Inventory
        yield* receive("fork", 1000)
        const sell = Effect.forEach(
          Array.from({ length: 200 }, (_, n) => n),
          (n) => setAside(`fork ${n}`, [{ product: "fork", quantity: 1 }]),
          { concurrency: 8, discard: true }
        )
        const kill = Effect.gen(function* () {
          yield* Effect.sleep(20)
          const { rows } = yield* outside.query(
            "select processlist_id as id from performance_schema.session_connect_attrs where attr_value = 'warehouse' limit 1"
          )
          yield* Effect.ignore(outside.query(`kill ${String(rows[0]?.["id"])}`))
        })
        yield* Effect.all([sell, Effect.repeat(kill, { times: 9 })], { concurrency: 2 })
        assert.strictEqual(yield* available("fork"), 800)
      })
    )
  })
})
