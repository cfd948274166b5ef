/**
 * Orders of many tenants behind PgBouncer. Row security needs to know the tenant: a session setting would reach whoever gets
 * the server connection next, so it is set for one transaction at a time.
 */
import type { PgConnection } from "@effect/sql-pg/PgConnection"
import { Effect, Schema } from "effect"
import { PoolLayer } from "effect-pool"

export class Db extends PoolLayer.Service<Db, PgConnection>()("shop/Db") {}

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  product: Schema.String,
  wanted: Schema.Int
}) {}

/** Does its work in one transaction for a tenant: all of it is kept, or nothing. */
const forTenant = <A, E, R>(tenant: string, work: (connection: PgConnection) => Effect.Effect<A, E, R>) =>
  Db.use((connection) =>
    Effect.gen(function* () {
      yield* connection.query("begin")
      // The literal `true` ends it with the transaction. Without it the statement would be refused.
      yield* connection.query("select set_config('app.tenant', $1, true)", [tenant])
      const result = yield* work(connection)
      yield* connection.query("commit")
      return result
    }).pipe(
      // Should this fail too, the pool ends the transaction.
      Effect.tapError(() => Effect.ignore(connection.query("rollback")))
    )
  )

/** Takes the goods from stock and writes the order, whose number it gives. */
export const placeOrder = Effect.fn("placeOrder")((tenant: string, product: string, wanted: number) =>
  forTenant(tenant, (connection) =>
    Effect.gen(function* () {
      const taken = yield* connection.query(
        "update stock set amount = amount - $2::int where product = $1 and amount >= $2::int",
        [product, wanted]
      )
      if (taken.rowCount === 0) return yield* new OutOfStock({ product, wanted })
      const [[id] = []] = yield* connection.queryValues(
        "insert into orders (tenant, product, amount) values (current_setting('app.tenant'), $1, $2::int) returning id",
        [product, wanted]
      )
      return Number(id)
    })
  )
)

/** The products that a tenant has ordered. Only row security keeps the tenants apart. */
export const orderedProducts = Effect.fn("orderedProducts")((tenant: string) =>
  forTenant(tenant, (connection) =>
    Effect.map(connection.queryValues("select product from orders order by id"), (rows) => rows.flat())
  )
)
