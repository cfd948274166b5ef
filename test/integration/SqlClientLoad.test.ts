import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Schedule } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import type { PgConnection } from "@effect/sql-pg/PgConnection"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as PoolLayer from "../../src/PoolLayer.ts"
import { eventually } from "../support/Eventually.ts"
import { live, observer, Server, serverWith, sessionsOf, valueOf } from "./Server.ts"

class Db extends PoolLayer.Service<Db, PgConnection>()("test/Db") {}

const callers = 1000
const accounts = 100
const opening = 1000

const config: Input = {
  minConnections: 2,
  maxConnections: 10,
  acquireTimeout: "20 seconds",
  unavailableAfter: "1 minute",
  retry: { initial: "50 millis", max: "200 millis" },
  // What is measured here is what becomes of the money, and not who is turned away.
  shedding: { enabled: false }
}

const client = (applicationName: string, more: Input = {}, driver: Postgres.Options["driver"] = {}) =>
  Postgres.layerSqlClientFrom(Db).pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(Server, ({ url }) =>
          Db.layer(Postgres.connector({ url, applicationName, driver }), { ...config, ...more })
        )
      )
    ),
    Layer.provide(Logger.layer([]))
  )

/** Accounts that hold money, and a ledger of every transfer. */
const bank = Effect.gen(function* () {
  const outside = yield* observer
  for (const statement of [
    "drop table if exists accounts, ledger",
    `create table accounts (id int primary key, balance int not null)`,
    "create table ledger (id int primary key, source int not null, target int not null, amount int not null)",
    `insert into accounts select n, ${opening} from generate_series(0, ${accounts - 1}) n`
  ]) {
    yield* outside.query(statement)
  }
})

/** Accounts in the order of their numbers, so that no two transfers wait for one another. */
const transfer = Effect.fnUntraced(function* (id: number) {
  const sql = yield* SqlClient.SqlClient
  const source = (id * 7) % accounts
  const target = (source + 1 + (id % (accounts - 1))) % accounts
  const amount = 1 + (id % 5)
  const change = (account: number, by: number) =>
    sql`update accounts set balance = balance + ${by} where id = ${account}`
  const [first, second] =
    source < target
      ? [change(source, -amount), change(target, amount)]
      : [change(target, amount), change(source, -amount)]
  yield* sql.withTransaction(
    Effect.andThen(
      sql`insert into ledger values (${id}, ${source}, ${target}, ${amount})`,
      Effect.andThen(first, second)
    )
  )
})

type Outcome = "committed" | "failed" | "unknown"

/** A transfer and its outcome: what could be tried again is, and what may have been committed is looked up. */
const call = (id: number): Effect.Effect<Outcome, never, SqlClient.SqlClient> =>
  transfer(id).pipe(
    Effect.retry({
      while: (error) => error.isRetryable,
      schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(100)])
    }),
    Effect.as("committed" as const),
    Effect.catch(({ reason: { cause, operation } }) =>
      Effect.succeed<Outcome>(operation === "commit" && SqlError.isSqlError(cause) ? "unknown" : "failed")
    )
  )

/** Every sum that must be right, whatever happened. */
const audit = Effect.fnUntraced(function* (outcomes: ReadonlyArray<Outcome>) {
  const outside = yield* Effect.retry(observer, { times: 20, schedule: Schedule.spaced("50 millis") })
  const counts = { committed: 0, failed: 0, unknown: 0 }
  for (const outcome of outcomes) counts[outcome]++
  const rows = Number(yield* valueOf(outside, "select count(*)::int from ledger"))
  const total = yield* valueOf(outside, "select sum(balance)::int from accounts")
  // Each balance is what the ledger says: no half of a transfer, and none without its line.
  const wrong = yield* valueOf(
    outside,
    `select count(*)::int from accounts a where balance <> ${opening}
       - coalesce((select sum(amount) from ledger where source = a.id), 0)
       + coalesce((select sum(amount) from ledger where target = a.id), 0)`
  )
  assert.deepStrictEqual({ total, wrong }, { total: accounts * opening, wrong: 0 })
  assert.isAtLeast(rows, counts.committed)
  assert.isAtMost(rows, counts.committed + counts.unknown)
  assert.strictEqual(counts.failed, 0, JSON.stringify(counts))
  return counts
})

const settled = Effect.fnUntraced(function* () {
  const { acquired, inUse, released, total, waiting } = yield* eventually(
    Db.status,
    ({ idle, inUse, total }) => inUse === 0 && idle === total,
    "10 seconds"
  )
  assert.deepStrictEqual({ inUse, waiting, released }, { inUse: 0, waiting: 0, released: acquired })
  return total
})

/** Ends one session when 25 more leases have come back. */
const killOne = Effect.fnUntraced(function* (outside: PgConnection) {
  const { released } = yield* Db.status
  yield* eventually(Db.status, (status) => status.released >= released + 25, "30 seconds")
  yield* outside.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'transfers' order by random() limit 1"
  )
})

const runAll = Effect.forEach(
  Array.from({ length: callers }, (_, id) => id),
  (id) => Effect.forkChild(call(id))
)

// A commit that was answered must be in the hands of the operating system, which is not killed: no need for `fsync`.
layer(serverWith({ synchronous_commit: "on" }), live)(
  "Postgres.layerSqlClient: a thousand fibers that move money",
  (it) => {
    const killing = Effect.gen(function* () {
      const outside = yield* observer
      yield* bank
      const fibers = yield* runAll
      const kills = yield* Effect.forkChild(Effect.forever(killOne(outside)))
      const outcomes = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      yield* Fiber.interrupt(kills)
      const counts = yield* audit(outcomes)
      assert.isAbove(counts.committed, callers * 0.9)
      const total = yield* settled()
      const { closed } = yield* Db.status
      assert.isAbove(closed, 5)
      yield* eventually(sessionsOf(outside, "transfers"), ({ length }) => length === total)
    })

    it.effect("loses none of it while sessions are terminated", () => killing.pipe(Effect.provide(client("transfers"))))

    it.effect("loses none of it while shared sessions are terminated", () =>
      killing.pipe(Effect.provide(client("transfers", { concurrency: 16 }, { multiplex: true })))
    )

    it.effect("loses none of it while the server is killed and restarted", () =>
      Effect.gen(function* () {
        const server = yield* Server
        yield* bank
        const fibers = yield* runAll
        for (const after of [100, 250]) {
          const { released } = yield* Db.status
          yield* eventually(Db.status, (status) => status.released >= released + after, "20 seconds")
          yield* server.kill
          yield* server.start
        }
        const outcomes = yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
        yield* audit(outcomes)
        const total = yield* settled()
        const outside = yield* observer
        yield* eventually(sessionsOf(outside, "outage"), ({ length }) => length === total)
      }).pipe(Effect.provide(client("outage")))
    )
  }
)
