import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Service from "../../docs/examples/services/PgBouncer.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { Bouncer, behindPgBouncer, silent } from "./Bouncer.ts"
import { observer, valueOf } from "./Server.ts"

const schema = [
  "drop table if exists orders",
  "drop table if exists stock",
  // Never anew: the proxy keeps sessions of the role, which are not those of another one by this name.
  "do $$ begin create role shop login; exception when duplicate_object then null; end $$",
  "create table stock (product text primary key, amount int not null)",
  "create table orders (id int generated always as identity, tenant text, product text, amount int)",
  "alter table orders enable row level security",
  "create policy own on orders using (tenant = current_setting('app.tenant'))",
  "grant all on stock, orders to shop",
  "insert into stock values ('tea', 5), ('salt', 100)"
]

/** The service on a pool that goes through the proxy, as a role that row security holds for. */
const onShop = <A, E>(program: Effect.Effect<A, E, Service.Db>) =>
  Effect.gen(function* () {
    const bouncer = yield* Bouncer
    const outside = yield* observer
    yield* Effect.forEach(schema, (sql) => outside.query(sql))
    const connector = Postgres.pgBouncer({ url: bouncer.url(), username: "shop", password: "shop" })
    return yield* Effect.provide(program, Service.Db.layer(connector, Postgres.pgBouncerPool({ poolSize: 3 })))
  }).pipe(Effect.provide(silent))

behindPgBouncer("the example of orders behind PgBouncer", (it) => {
  it("keeps the orders of tenants apart, though they share the server connections", () =>
    Effect.gen(function* () {
      const tenants = Array.from({ length: 20 }, (_, n) => `tenant ${n}`)
      const seen = yield* onShop(
        Effect.andThen(
          Effect.forEach(tenants, (tenant) => Service.placeOrder(tenant, "salt", 1), { concurrency: 8 }),
          Effect.forEach([...tenants, "nobody"], Service.orderedProducts, { concurrency: 8 })
        )
      )
      assert.deepStrictEqual(seen, [...tenants.map(() => ["salt"]), []])
    }))

  it("takes nothing from stock for an order that fails", () =>
    Effect.gen(function* () {
      const outside = yield* observer
      const error = yield* onShop(
        Effect.andThen(Service.placeOrder("ada", "tea", 3), Effect.flip(Service.placeOrder("ada", "tea", 3)))
      )
      assert.deepStrictEqual(error, new Service.OutOfStock({ product: "tea", wanted: 3 }))
      assert.strictEqual(yield* valueOf(outside, "select amount from stock where product = 'tea'"), 2)
    }))
})
