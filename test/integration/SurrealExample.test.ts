/** The shop of docs/examples, on a server and in this process. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as Shop from "../../docs/examples/services/Shop.ts"
import * as SurrealDb from "../../src/connectors/SurrealDb.ts"
import * as SurrealServer from "../support/SurrealServer.ts"
import { onServer, root, silent } from "./Surreal.ts"

const secrets = { reader: Redacted.make("read-only"), seller: Redacted.make("sell-only") }

const onOneServer = Layer.unwrap(
  Effect.map(SurrealServer.make(), ({ password, url }) => Shop.layer({ url, administrator: root(password), secrets }))
)

const inThisProcess = Layer.unwrap(
  Effect.map(SurrealDb.open({ url: "mem://", namespace: "shop", database: "shop" }), (engine) =>
    Shop.layerOn(engine, secrets)
  )
)

const installed = <E, R>(pools: Layer.Layer<Layer.Success<typeof inThisProcess>, E, R>) =>
  Layer.effectDiscard(Shop.install(secrets)).pipe(Layer.provideMerge(pools), Layer.provide(silent))

onServer("the shop", () => {
  for (const [where, pools] of [
    ["on a server", installed(onOneServer)],
    ["in this process", installed(inThisProcess)]
  ] as const) {
    layer(pools, { excludeTestServices: true, timeout: "30 seconds" })(where, (it) => {
      it.effect("sells what it has, and writes it down", () =>
        Effect.gen(function* () {
          yield* Shop.stock({ tea: 5 })
          yield* Shop.sell("tea", 2)
          assert.deepStrictEqual(yield* Shop.look("tea"), new Shop.Stock({ left: 3, sold: 2 }))
        })
      )

      it.effect("does not sell what it has not, nor what it does not know", () =>
        Effect.gen(function* () {
          yield* Shop.stock({ rice: 1 })
          const tooMany = yield* Effect.flip(Shop.sell("rice", 2))
          const unknown = yield* Effect.flip(Shop.sell("rye", 1))
          assert.deepInclude(tooMany, { _tag: "OutOfStock", left: 1 })
          assert.deepInclude(unknown, { _tag: "UnknownProduct", product: "rye" })
          assert.deepStrictEqual(yield* Shop.look("rice"), new Shop.Stock({ left: 1, sold: 0 }))
        })
      )

      it.effect("sells no more than it has to many at once", () =>
        Effect.gen(function* () {
          yield* Shop.stock({ figs: 10 })
          const sales = yield* Effect.forEach(Array.from({ length: 30 }), () => Effect.result(Shop.sell("figs", 1)), {
            concurrency: "unbounded"
          })
          const refused = sales.filter((sale) => sale._tag === "Failure").map(({ failure }) => failure._tag)
          assert.deepStrictEqual(
            refused,
            Array.from({ length: 20 }, () => "OutOfStock")
          )
          assert.deepStrictEqual(yield* Shop.look("figs"), new Shop.Stock({ left: 0, sold: 10 }))
        })
      )

      it.effect("lets a reader change nothing, whatever he asks for", () =>
        Effect.gen(function* () {
          yield* Shop.stock({ salt: 5 })
          yield* Shop.Db.read.use((connection) => connection.query("UPDATE product:salt SET left = 0"))
          assert.deepStrictEqual(yield* Shop.look("salt"), new Shop.Stock({ left: 5, sold: 0 }))
        })
      )

      it.effect("lets a seller define nothing", () =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Shop.Db.sell.use((connection) => connection.query("DEFINE TABLE bribe")))
          assert.deepInclude(error, { _tag: "SurrealDbError", kind: "NotAllowed" })
        })
      )
    })
  }
})
