/** Every server that a soak can be played on, with a bank in it, and a pool of ten connections that leads there. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Reactivity from "effect/reactivity/Reactivity"
import { ConnectionPool } from "effect-pool"
import * as MySql from "effect-pool/MySql"
import * as Postgres from "effect-pool/Postgres"
import * as Redis from "effect-pool/Redis"
import * as Sql from "effect-pool/Sql"
import * as SurrealDb from "effect-pool/SurrealDb"
import * as MariaDbServer from "../support/MariaDbServer.ts"
import * as PgBouncerServer from "../support/PgBouncerServer.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import * as RedisServer from "../support/RedisServer.ts"
import * as SurrealServer from "../support/SurrealServer.ts"
import * as Bank from "./Bank.ts"
import { poolConfig, type Target } from "./Soak.ts"

const applicationName = "soak"

/** What was answered outlasts a kill: the servers of the tests are quick instead. */
const durable = { synchronous_commit: "on" }

const postgres = Effect.gen(function* () {
  const server = yield* PostgresServer.make(durable)
  const pool = yield* ConnectionPool.make(Postgres.connector({ url: server.url, applicationName }), poolConfig)
  const sql = yield* Postgres.sqlClient(pool)
  const endOne = Effect.scoped(
    Effect.flatMap(Postgres.connector({ url: server.url }).connect, (admin) =>
      admin.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 order by random() limit 1",
        [applicationName]
      )
    )
  )
  return { name: "PostgreSQL", server, bank: Bank.onSql(sql), pool, endOne }
})

const pgBouncer = Effect.gen(function* () {
  const server = yield* PostgresServer.make(durable)
  const settings = { default_pool_size: 4 }
  const proxy = yield* PgBouncerServer.make({ serverPort: server.port, databases: ["app"], settings })
  const pool = yield* ConnectionPool.make(Postgres.pgBouncer({ url: proxy.url() }), poolConfig)
  const sql = yield* Postgres.sqlClient(pool)
  return { name: "PostgreSQL behind PgBouncer", server: proxy, bank: Bank.onSql(sql), pool, endOne: Effect.void }
})

const mariaDb = Effect.gen(function* () {
  const server = yield* MariaDbServer.make({ "innodb-flush-log-at-trx-commit": 1 })
  const pool = yield* ConnectionPool.make(MySql.connector({ url: server.url, applicationName }), poolConfig)
  const sql = yield* Sql.make(pool, MySql.dialect)
  const endOne = Effect.scoped(
    Effect.gen(function* () {
      const admin = yield* MySql.connector({ url: server.url, applicationName: "admin" }).connect
      const { rows } = yield* admin.query(
        "select id from information_schema.processlist where id <> connection_id() order by rand() limit 1"
      )
      const id = Number(Object.values(rows[0] ?? {})[0])
      if (Number.isInteger(id)) yield* admin.query(`kill ${id}`)
    })
  )
  return { name: "MariaDB", server, bank: Bank.onSql(sql), pool, endOne }
})

const redis = Effect.gen(function* () {
  // What was answered is on the disk.
  const server = yield* RedisServer.make({ settings: { appendonly: "yes", appendfsync: "always" } })
  const pool = yield* ConnectionPool.make(Redis.connector({ url: server.url, clientName: applicationName }), poolConfig)
  const endOne = Effect.scoped(
    Effect.flatMap(Redis.connector({ url: server.url, clientName: "admin" }).connect, (admin) =>
      Effect.flatMap(admin.send("CLIENT", "LIST"), (list) => {
        const ids = [...String(list).matchAll(/id=(\d+) .*name=soak/g)].map(([, id]) => id!)
        const id = ids[Math.floor(Math.random() * ids.length)]
        return id === undefined ? Effect.void : admin.send("CLIENT", "KILL", "ID", id)
      })
    )
  )
  return { name: "Redis", server, bank: Bank.onRedis(pool), pool, endOne }
})

const surrealDb = Effect.gen(function* () {
  const server = yield* SurrealServer.make()
  const connector = SurrealDb.connector({
    url: server.url,
    namespace: "soak",
    database: "soak",
    authentication: { username: "root", password: server.password }
  })
  const pool = yield* ConnectionPool.make(connector, poolConfig)
  return {
    name: "SurrealDB",
    server: { ...server, start: server.start() },
    bank: Bank.onSurreal(pool),
    pool,
    endOne: Effect.void
  }
})

type Make = Effect.Effect<
  Omit<Target, "pool"> & { readonly pool: unknown },
  unknown,
  Scope.Scope | Reactivity.Reactivity
>

const every: Readonly<Record<string, { readonly make: Make; readonly unavailable?: string | undefined }>> = {
  postgres: { make: postgres },
  pgbouncer: { make: pgBouncer, unavailable: PgBouncerServer.unavailable },
  mariadb: { make: mariaDb, unavailable: MariaDbServer.unavailable },
  redis: { make: redis, unavailable: RedisServer.unavailable },
  surrealdb: { make: surrealDb, unavailable: SurrealServer.unavailable }
}

export const names = Object.keys(every)

/** Nothing, and why, where its server cannot be had. */
export const make = Effect.fnUntraced(function* (
  name: string
): Effect.fn.Return<Target | undefined, unknown, Scope.Scope | Reactivity.Reactivity> {
  const { make, unavailable } = every[name]!
  if (unavailable === undefined) return (yield* make) as Target
  yield* Console.log(`${name}: not run: ${unavailable}`)
  return undefined
})
