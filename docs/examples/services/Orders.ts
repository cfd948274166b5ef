import { Context, Effect, Layer, Option, Schedule, Schema } from "effect"
import { SqlClient, SqlSchema } from "effect/sql"

/**
 * An order service on Effect's `SqlClient`. It knows neither driver nor pool: `Postgres.layerSqlClient` gives it both, and so would
 * `PgClient.layer` of `@effect/sql-pg`.
 */
export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  product: Schema.String,
  wanted: Schema.Int,
  left: Schema.Int
}) {}

export class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { id: Schema.Int }) {}

export class Order extends Schema.Class<Order>("Order")({
  id: Schema.Int,
  customer: Schema.String,
  product: Schema.String,
  quantity: Schema.Int
}) {}

const Stock = Schema.Struct({ quantity: Schema.Int })

export class Orders extends Context.Service<Orders>()("shop/Orders", {
  make: Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient

    /** Until the transaction ends, nobody else takes from this product. */
    const lockStock = SqlSchema.findOneOption({
      Request: Schema.String,
      Result: Stock,
      execute: (product) => sql`select quantity from stock where product = ${product} for update`
    })

    const insertOrder = SqlSchema.findOne({
      Request: Schema.Struct({ customer: Schema.String, product: Schema.String, quantity: Schema.Int }),
      Result: Order,
      execute: (order) => sql`insert into shop_orders ${sql.insert(order)} returning *`
    })

    const selectOrder = SqlSchema.findOneOption({
      Request: Schema.Int,
      Result: Order,
      execute: (id) => sql`select * from shop_orders where id = ${id}`
    })

    /** Takes from the stock and writes the order down, both or neither. */
    const place = Effect.fn("Orders.place")(
      function* (customer: string, product: string, quantity: number) {
        const left = Option.match(yield* lockStock(product), { onNone: () => 0, onSome: ({ quantity }) => quantity })
        if (left < quantity) return yield* new OutOfStock({ product, wanted: quantity, left })
        yield* sql`update stock set quantity = quantity - ${quantity} where product = ${product}`
        return yield* insertOrder({ customer, product, quantity })
      },
      sql.withTransaction,
      // A whole transaction is tried again: a connection that died in it has taken the first attempt with it.
      Effect.retry({
        while: (error) => error._tag === "SqlError" && error.isRetryable,
        schedule: Schedule.exponential("20 millis"),
        times: 5
      })
    )

    const find = Effect.fn("Orders.find")(function* (id: number) {
      const found = yield* selectOrder(id)
      return yield* Effect.mapError(Effect.fromOption(found), () => new OrderNotFound({ id }))
    })

    return { place, find } as const
  })
}) {
  static readonly layer = Layer.effect(Orders, Orders.make)
}

/** What a migration would do. */
export const createTables = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table if not exists stock (product text primary key, quantity int not null)`
  yield* sql`create table if not exists shop_orders (
    id int generated always as identity primary key, customer text not null, product text not null, quantity int not null)`
})
