import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { PoolConfig, PoolLayer } from "effect-pool"
import * as MySql from "effect-pool/MySql"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** What is in a warehouse, and for which orders it has been set aside. In MySQL or MariaDB. */
export class Db extends PoolLayer.Service<Db, MySql.MySqlConnection>()("warehouse/Db") {}

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  product: Schema.String,
  wanted: Schema.Int,
  available: Schema.Int
}) {}

export interface Line {
  readonly product: string
  readonly quantity: number
}

/** Nothing of an order is set aside unless all of it is. */
export class Inventory extends Context.Service<
  Inventory,
  {
    readonly receive: (product: string, quantity: number) => Effect.Effect<void, SqlError>
    readonly available: (product: string) => Effect.Effect<number, SqlError>
    readonly setAside: (order: string, lines: ReadonlyArray<Line>) => Effect.Effect<void, SqlError | OutOfStock>
  }
>()("warehouse/Inventory") {
  static readonly layer: Layer.Layer<Inventory, SqlError, SqlClient.SqlClient> = Layer.effect(
    Inventory,
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`create table if not exists stock (product varchar(40) primary key, quantity int not null) engine = innodb`
      yield* sql`create table if not exists orders (id varchar(40) primary key) engine = innodb`

      const receive = Effect.fn("Inventory.receive")(function* (product: string, quantity: number) {
        yield* sql`insert into stock ${sql.insert({ product, quantity })}
          on duplicate key update quantity = quantity + ${quantity}`
      })

      const available = Effect.fn("Inventory.available")(function* (product: string) {
        const [row] = yield* sql<{ quantity: number }>`select quantity from stock where product = ${product}`
        return row?.quantity ?? 0
      })

      const take = Effect.fnUntraced(function* ({ product, quantity: wanted }: Line) {
        const rows = yield* sql<{ quantity: number }>`select quantity from stock where product = ${product} for update`
        const available = rows[0]?.quantity ?? 0
        if (available < wanted) return yield* new OutOfStock({ product, wanted, available })
        yield* sql`update stock set quantity = quantity - ${wanted} where product = ${product}`
      })

      const setAside = Effect.fn("Inventory.setAside")(
        function* (order: string, lines: ReadonlyArray<Line>) {
          // An order that is sent twice, since nobody knows whether a lost commit has arrived, counts once.
          const isNew = yield* sql`insert into orders ${sql.insert({ id: order })}`.pipe(
            Effect.as(true),
            Effect.catchIf(
              ({ reason }) => reason._tag === "UniqueViolation",
              () => Effect.succeed(false)
            )
          )
          // In one order for all: two who wait for one another's rows would be a deadlock.
          const sorted = lines.toSorted((a, b) => (a.product < b.product ? -1 : 1))
          if (isNew) yield* Effect.forEach(sorted, take, { discard: true })
        },
        sql.withTransaction,
        // A deadlock, a lock that was not to be had in time, a connection that was lost: all of it once more. Also where nobody knows
        // whether it was committed, since what is sent twice counts once.
        Effect.retry({
          schedule: Schedule.jittered(Schedule.exponential("10 millis")),
          times: 5,
          while: (error) => isSqlError(error) && (error.isRetryable || error.reason.operation === "commit")
        })
      )

      return { receive, available, setAside }
    })
  )
}

/** The service with everything below it, for an address such as `mysql://app@localhost/app`. */
export const inventoryAt = (url: string) =>
  Inventory.layer.pipe(
    Layer.provide(MySql.layerSqlClientFrom(Db)),
    Layer.provideMerge(Db.layer(MySql.connector({ url, applicationName: "warehouse" }), PoolConfig.development))
  )
