/**
 * A real PostgreSQL server, on the same machine: what is left of a pool's speed when there is a database behind it.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import { ConnectionPool } from "effect-pool"
import * as Postgres from "effect-pool/Postgres"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Pool as PgPool } from "pg"
import postgres from "postgres"
import * as Certificate from "../support/Certificate.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import { type Contender, type Contest, inSequence, promisesInSequence, type Rounds } from "./Contest.ts"
import { percentile } from "./Statistics.ts"

const clients = 100
const connections = 10
const statement = "select $1::int4 as n"

/** Who runs statements: one, or a transaction of one. */
interface Runner {
  readonly name: string
  /** Runs it so often, one after the other, and says how long each took, in milliseconds. */
  readonly run: (times: number, took: (millis: number) => void) => Effect.Effect<void>
}

const effectRunner = (name: string, once: Effect.Effect<unknown, unknown>): Runner => ({
  name,
  run: (times, took) =>
    inSequence(times, () =>
      Effect.suspend(() => {
        const since = performance.now()
        return Effect.map(once, () => took(performance.now() - since))
      })
    )
})

const promiseRunner = (name: string, once: () => PromiseLike<unknown>): Runner => ({
  name,
  run: (times, took) =>
    Effect.promise(() =>
      promisesInSequence(times, async () => {
        const since = performance.now()
        await once()
        took(performance.now() - since)
      })
    )
})

/** All clients at the same time; how many a second, or how long the slowest of a hundred took. */
const together = (runner: Runner, times: number, measured: "rate" | "p99"): Contender => ({
  name: runner.name,
  run: Effect.suspend(() => {
    const millis: Array<number> = []
    const start = performance.now()
    const all = Effect.forEach(Array.from({ length: clients }), () => runner.run(times, (one) => millis.push(one)), {
      concurrency: "unbounded",
      discard: true
    })
    return Effect.map(all, () =>
      measured === "rate" ? (clients * times * 1000) / (performance.now() - start) : percentile(millis, 99)
    )
  })
})

const contest = (
  name: string,
  runners: ReadonlyArray<Runner>,
  times: number,
  rounds: Rounds,
  measured: "rate" | "p99",
  remark?: string
): Contest => ({
  name: `${name}, ${measured === "rate" ? "throughput" : "p99"}`,
  unit: measured === "rate" ? "per second" : "ms",
  operations: 1,
  rounds,
  contenders: runners.map((runner) => together(runner, times, measured)),
  ...(remark === undefined ? {} : { remark })
})

const ourPool = (
  url: string,
  config: { readonly concurrency?: number; readonly maxUses?: number } = {},
  driver: Postgres.Options["driver"] = {}
) =>
  Effect.orDie(
    ConnectionPool.make(Postgres.connector({ url, driver }), {
      minConnections: connections,
      maxConnections: connections,
      acquireTimeout: "1 minute",
      ...config
    })
  )

const theirClient = (url: string, config: { readonly multiplex?: boolean } = {}) =>
  Effect.orDie(PgClient.make({ url: Redacted.make(url), maxConnections: connections, ...config })).pipe(
    Effect.provide(Reactivity.layer)
  )

/** None of the others replaces a connection that has been used so often; ours does it at 1,000 uses, as it comes. */
const keepingAll = { maxUses: Infinity }
const keptAll = "effect-pool, maxUses: Infinity"

const statements = Effect.fnUntraced(function* (url: string, rounds: Rounds, times: number) {
  const ours = yield* ourPool(url, keepingAll)
  const asItComes = yield* ourPool(url)
  const shared = yield* ourPool(url, { ...keepingAll, concurrency: 32 }, { multiplex: true })
  const sharedAsItComes = yield* ourPool(url, { concurrency: 32 }, { multiplex: true })
  const client = yield* theirClient(url)
  const multiplexed = yield* theirClient(url, { multiplex: true })
  const pgPool = yield* Effect.acquireRelease(
    Effect.sync(() => new PgPool({ connectionString: url, max: connections })),
    (pool) => Effect.promise(() => pool.end())
  )
  const sql = yield* Effect.acquireRelease(
    Effect.sync(() => postgres(url, { max: connections })),
    (sql) => Effect.promise(() => sql.end())
  )
  const oneStatement = (connection: PgConnection.PgConnection) => connection.query(statement, [1])
  const postgresJs = promiseRunner("postgres.js", () => sql`select ${1}::int4 as n`)
  const exclusive = [
    effectRunner(keptAll, ConnectionPool.use(ours, oneStatement)),
    effectRunner("effect-pool, as it comes", ConnectionPool.use(asItComes, oneStatement)),
    effectRunner("@effect/sql-pg", client`select ${1}::int4 as n`),
    promiseRunner("pg-pool", () => pgPool.query(statement, [1])),
    promiseRunner("pg-pool, named statement", () => pgPool.query({ name: "one", text: statement, values: [1] })),
    postgresJs
  ]
  const sharing = [
    effectRunner(keptAll, ConnectionPool.use(shared, oneStatement)),
    effectRunner("effect-pool, as it comes", ConnectionPool.use(sharedAsItComes, oneStatement)),
    effectRunner("@effect/sql-pg, multiplex", multiplexed`select ${1}::int4 as n`),
    postgresJs
  ]
  const inTransaction = (connection: PgConnection.PgConnection) =>
    Effect.gen(function* () {
      yield* connection.query("begin", [], false)
      yield* connection.query(statement, [1])
      yield* connection.query("commit", [], false)
    })
  const transactions = [
    effectRunner(keptAll, ConnectionPool.use(ours, inTransaction)),
    effectRunner("@effect/sql-pg", client.withTransaction(client`select ${1}::int4 as n`)),
    promiseRunner("pg-pool", async () => {
      const connection = await pgPool.connect()
      await connection.query("begin")
      await connection.query(statement, [1])
      await connection.query("commit")
      connection.release()
    }),
    promiseRunner("postgres.js", () => sql.begin((sql) => sql`select ${1}::int4 as n`))
  ]
  const note =
    `${clients} clients, ${connections} connections; the server has the other core. As it comes, ours replaces a connection ` +
    "after 1,000 leases: at this rate that is some 30 connects a second."
  return [
    contest("statements", exclusive, times, rounds, "rate", note),
    contest("statements", exclusive, times, rounds, "p99"),
    contest(
      "statements on shared connections",
      sharing,
      times,
      rounds,
      "rate",
      "Up to 32 leases on a connection, and drivers that pipeline."
    ),
    contest("statements on shared connections", sharing, times, rounds, "p99"),
    contest(
      "transactions of one statement",
      transactions,
      Math.max(1, Math.floor(times / 3)),
      rounds,
      "rate",
      "Ours are as new for the next borrower, as far as they have to be: a transaction that has ended leaves nothing to reset."
    )
  ]
})

/** What a pool is for: the same statement with a connection of its own each time, over TCP, with and without TLS. */
const withAndWithout = Effect.fnUntraced(function* (url: string, ssl: boolean, rounds: Rounds) {
  const options = ssl ? { url, ssl: { rejectUnauthorized: false } } : { url }
  const pool = yield* Effect.orDie(
    ConnectionPool.make(Postgres.connector(options), { minConnections: 1, maxConnections: 1 })
  )
  const connect = PgConnection.make({
    url: Redacted.make(url),
    ...(ssl ? { ssl: { rejectUnauthorized: false } } : {})
  })
  const one = (connection: PgConnection.PgConnection) => connection.query(statement, [1])
  const times = 20
  const rate = (effect: Effect.Effect<unknown, unknown>): Effect.Effect<number> =>
    Effect.suspend(() => {
      const start = performance.now()
      return Effect.map(
        inSequence(times, () => effect),
        () => (times * 1000) / (performance.now() - start)
      )
    })
  const contest: Contest = {
    name: `one client, one statement after the other, TCP ${ssl ? "with" : "without"} TLS`,
    unit: "per second",
    operations: 1,
    rounds,
    contenders: [
      { name: "effect-pool", run: rate(ConnectionPool.use(pool, one)) },
      { name: "a connection for each statement", run: rate(Effect.scoped(Effect.flatMap(connect, one))) }
    ]
  }
  return contest
})

export const postgresContests = Effect.fnUntraced(function* (isQuick: boolean) {
  const rounds: Rounds = isQuick ? { warmup: 2, measured: 6 } : { warmup: 4, measured: 20 }
  const few: Rounds = isQuick ? { warmup: 1, measured: 3 } : { warmup: 2, measured: 8 }
  const server = yield* PostgresServer.make({ shared_buffers: "64MB" })
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-bench-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  fs.chmodSync(folder, 0o755)
  const certificate = Certificate.make(folder, "database.test")
  if (certificate === undefined) console.warn("nothing is measured with TLS: no openssl to make a certificate with")
  const secure = certificate && (yield* PostgresServer.make(Certificate.postgresSettings(certificate)))
  return [
    ...(yield* statements(server.url, rounds, 30)),
    yield* withAndWithout(server.url, false, few),
    ...(secure === undefined ? [] : [yield* withAndWithout(secure.url, true, few)])
  ]
})
