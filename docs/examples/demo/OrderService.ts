import { NodeHttpServer } from "@effect/platform-node"
import { Clock, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { Db, selectOrder, workOnOrder } from "./Database.ts"
import { Traffic } from "./Traffic.ts"

const OrderId = Schema.Struct({ id: Schema.FiniteFromString })

/** `GET /orders/:id`: acquire in a scope, query, done. An acquire error that escapes answers 503 by itself. */
const getOrder = Effect.fn("getOrder")(function* () {
  const { id } = yield* HttpRouter.schemaPathParams(OrderId)
  const traffic = yield* Traffic
  const asked = yield* Clock.currentTimeMillis
  const connection = yield* Db.acquire
  traffic.waits.push((yield* Clock.currentTimeMillis) - asked)
  const { rows } = yield* selectOrder(connection, id)
  yield* workOnOrder(connection)
  return HttpServerResponse.jsonUnsafe(rows[0] ?? {}, { status: rows.length === 0 ? 404 : 200 })
}, Effect.scoped)

const routes = HttpRouter.add(
  "GET",
  "/orders/:id",
  Effect.suspend(getOrder).pipe(
    Effect.tapError((error) =>
      Effect.map(Traffic, ({ failures }) => {
        failures[error._tag] = (failures[error._tag] ?? 0) + 1
      })
    ),
    // A query that was running when its server died. The pool lends again as soon as it can; repeating is the client's choice.
    Effect.catchTag("SqlError", () => Effect.succeed(HttpServerResponse.empty({ status: 502 })))
  )
)

export const layer = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
)
