import { Effect, Schema } from "effect"
import { PoolLayer } from "effect-pool"

/** The business code that the specs beside this file are about. It knows no driver and no fake. */
export interface Connection {
  readonly query: (sql: string, params: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Order>, QueryFailed>
}

export interface Order {
  readonly id: number
  readonly customer: string
}

export class QueryFailed extends Schema.TaggedError<QueryFailed>()("QueryFailed", { reason: Schema.String }) {}

export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { id: Schema.Int }) {}

export class Db extends PoolLayer.Service<Db, Connection>()("shop/Db") {}

export const findOrder = Effect.fn("findOrder")(function* (id: number) {
  const connection = yield* Db.acquire
  const [order] = yield* connection.query("select * from orders where id = $1", [id])
  return order ?? (yield* new OrderNotFound({ id }))
}, Effect.scoped)
