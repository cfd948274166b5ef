import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Effect, Redacted } from "effect"
import { type PoolConfig, PoolLayer } from "effect-pool"
import * as Postgres from "effect-pool/Postgres"

/** The pool of the demo: declared once, provided in `main.ts`, used everywhere else. */
export class Db extends PoolLayer.Service<Db, PgConnection.PgConnection>()("demo/Db") {}

/** How the server's own list of sessions names the demo's. */
export const applicationName = "effect-pool demo"

export const maxConnections = 10

export const orders = 1000

export const settings: PoolConfig.Input = {
  name: "orders",
  minConnections: 4,
  maxConnections,
  acquireTimeout: "5 seconds",
  // Short, so that half a minute shows both what waits and what is refused with 503.
  unavailableAfter: "3 seconds"
}

export const layer = (url: string) => Db.layer(Postgres.connector({ url, applicationName }), settings)

/** One connection outside the pool: for what must not count as the pool's. */
export const direct = (url: string, name = "effect-pool demo (observer)") =>
  PgConnection.make({ url: Redacted.make(url), applicationName: name })

export const createOrders = (url: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* direct(url)
      yield* connection.query(
        "create table if not exists effect_pool_demo_orders (id int primary key, customer text, total numeric)"
      )
      yield* connection.query(
        "insert into effect_pool_demo_orders select n, 'customer ' || n % 100, n * 1.5 from generate_series(1, $1) n " +
          "on conflict do nothing",
        [orders]
      )
    })
  )

export const dropOrders = (url: string) =>
  Effect.scoped(
    Effect.flatMap(direct(url), (connection) => connection.query("drop table if exists effect_pool_demo_orders"))
  )

export const selectOrder = (connection: PgConnection.PgConnection, id: number) =>
  connection.query("select id, customer, total from effect_pool_demo_orders where id = $1", [id])

/** What an order costs the server beside the query itself: enough that a hundred clients have to wait for ten connections. */
export const workOnOrder = (connection: PgConnection.PgConnection) => connection.query("select pg_sleep(0.006)")

/** How many sessions of the pool the server itself counts. */
export const sessionsOnServer = (url: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* direct(url)
      const { rows } = yield* connection.query(
        "select count(*)::int as sessions from pg_stat_activity where application_name = $1",
        [applicationName]
      )
      return Number(rows[0]?.["sessions"])
    })
  )
