/** A shop's stock in one file: whoever looks never waits for whoever sells, and nothing is sold twice. */
import { Context, Effect, Layer, Schema } from "effect"
import * as Sqlite from "effect-pool/Sqlite"

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  item: Schema.String,
  asked: Schema.Int,
  left: Schema.Int
}) {}

export class UnknownItem extends Schema.TaggedError<UnknownItem>()("UnknownItem", { item: Schema.String }) {}

/** What is in the file is checked where it comes in. */
const Level = Schema.Struct({ item: Schema.String, level: Schema.Int })
const readLevels = Schema.decodeUnknownEffect(Schema.Array(Level))

export const Db = Sqlite.pools("shop/Stock")

/** One transaction, since two processes may start at the same time. */
const migrate = Db.write.use((writer) =>
  writer.transaction(
    writer.script(`
      create table if not exists stock (item text primary key, level integer not null check (level >= 0)) strict;
      create table if not exists sales (id integer primary key, item text not null references stock, quantity integer not null) strict;
    `)
  )
)

const levelOf = Effect.fnUntraced(function* (connection: Sqlite.Reader, item: string) {
  const [found] = yield* readLevels(yield* connection.query("select item, level from stock where item = ?", [item]))
  return found?.level ?? (yield* new UnknownItem({ item }))
})

const deliver = Effect.fn("Stock.deliver")(function* (item: string, quantity: number) {
  yield* Db.write.use((writer) =>
    writer.execute("insert into stock values (?, ?) on conflict (item) do update set level = level + excluded.level", [
      item,
      quantity
    ])
  )
})

/** Looks and takes in one transaction: nobody can have taken the same in between. */
const sell = Effect.fn("Stock.sell")(function* (item: string, quantity: number) {
  return yield* Db.write.use((writer) =>
    writer.transaction(
      Effect.gen(function* () {
        const left = yield* levelOf(writer, item)
        if (left < quantity) return yield* new OutOfStock({ item, asked: quantity, left })
        yield* writer.execute("update stock set level = level - ? where item = ?", [quantity, item])
        yield* writer.execute("insert into sales (item, quantity) values (?, ?)", [item, quantity])
        return left - quantity
      })
    )
  )
})

const level = Effect.fn("Stock.level")((item: string) => Db.read.use((reader) => levelOf(reader, item)))

/** Levels and sales of the same moment, while the shop goes on selling. */
const report = Effect.fn("Stock.report")(function* () {
  return yield* Db.read.use((reader) =>
    reader.snapshot(
      Effect.all({
        levels: Effect.flatMap(reader.query("select item, level from stock order by item"), readLevels),
        sold: Effect.flatMap(
          reader.query("select item, sum(quantity) as level from sales group by item order by item"),
          readLevels
        )
      })
    )
  )
})

/** What the rest of the program knows of it. */
export class Stock extends Context.Service<Stock>()("shop/Stock/Service", {
  make: Effect.as(migrate, { deliver, sell, level, report })
}) {
  static readonly layer = (options: Sqlite.PoolsOptions) =>
    Layer.provideMerge(Layer.effect(Stock, Stock.make), Db.layer(options))
}
