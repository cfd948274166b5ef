/**
 * A server that is gone for a while, and 500 who want something of it: how often it is asked meanwhile, and how soon all of
 * them are served when it is back.
 */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import { ConnectionPool, Connector } from "effect-pool"
import * as Postgres from "effect-pool/Postgres"
import { type ClientConfig, Client, Pool as PgPool } from "pg"
import * as PostgresServer from "../support/PostgresServer.ts"
import type { Contest } from "./Contest.ts"

const waiters = 500
const connections = 10

/** How a program goes on that is told of the failure: it asks again, ten times a second. */
const againAndAgain = Schedule.spaced("100 millis")

interface Outage {
  readonly attempts: number
  /** From the moment at which the server takes connections again to the one at which the last has been served. */
  readonly recovery: number
}

/** Starts everyone, with the server gone; brings it back after a while. */
const suffer = Effect.fnUntraced(function* (
  server: PostgresServer.PostgresServer,
  seconds: number,
  statement: Effect.Effect<unknown, unknown>,
  attempts: () => number
) {
  yield* server.kill
  const before = attempts()
  const everyone = yield* Effect.forkChild(
    Effect.forEach(Array.from({ length: waiters }), () => Effect.retry(statement, againAndAgain), {
      concurrency: "unbounded",
      discard: true
    })
  )
  yield* Effect.sleep(`${seconds} seconds`)
  const made = attempts() - before
  yield* server.start
  const back = performance.now()
  yield* Fiber.join(everyone)
  return { attempts: made, recovery: performance.now() - back } satisfies Outage
})

const ours = Effect.fnUntraced(function* (server: PostgresServer.PostgresServer, seconds: number) {
  let attempts = 0
  const connector = Postgres.connector({ url: server.url })
  const counting = Connector.make({
    ...connector,
    connect: Effect.suspend(() => {
      attempts++
      return connector.connect
    })
  })
  const pool = yield* ConnectionPool.make(counting, {
    minConnections: connections,
    maxConnections: connections,
    acquireTimeout: "1 minute"
  })
  const statement = ConnectionPool.use(pool, (connection) => connection.query("select 1"))
  return yield* suffer(server, seconds, statement, () => attempts)
}, Effect.scoped)

const theirs = Effect.fnUntraced(function* (server: PostgresServer.PostgresServer, seconds: number) {
  let attempts = 0
  const connect = Effect.suspend(() => {
    attempts++
    return PgConnection.make({ url: Redacted.make(server.url) })
  })
  const pool = yield* Pool.make({ acquire: connect, size: connections })
  const statement = Pool.get(pool).pipe(
    // As its users have to: it does not know that a connection has died.
    Effect.flatMap((connection) =>
      Effect.onError(connection.query("select 1"), () => Pool.invalidate(pool, connection))
    ),
    Effect.scoped
  )
  return yield* suffer(server, seconds, statement, () => attempts)
}, Effect.scoped)

const pgPool = Effect.fnUntraced(function* (server: PostgresServer.PostgresServer, seconds: number) {
  let attempts = 0
  class Counting extends Client {
    constructor(config?: string | ClientConfig) {
      super(config)
      attempts++
    }
  }
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const pool = new PgPool({ connectionString: server.url, max: connections, Client: Counting })
      // Without it, an idle client that dies ends the process.
      pool.on("error", () => {})
      return pool
    }),
    (pool) => Effect.promise(() => pool.end())
  )
  const statement = Effect.tryPromise(() => pool.query("select 1"))
  return yield* suffer(server, seconds, statement, () => attempts)
}, Effect.scoped)

/** One outage for each contender, and two contests that are decided by them: who asks least, and who is back first. */
export const outageContests = Effect.fnUntraced(function* (isQuick: boolean) {
  const seconds = isQuick ? 2 : 10
  const server = yield* PostgresServer.make()
  const contenders = [
    ["effect-pool", yield* ours(server, seconds)],
    ["Effect's Pool", yield* theirs(server, seconds)],
    ["pg-pool", yield* pgPool(server, seconds)]
  ] as const
  const contest = (name: string, unit: "attempts" | "ms", of: (outage: Outage) => number, remark: string): Contest => ({
    name,
    unit,
    operations: 1,
    rounds: { warmup: 0, measured: 1 },
    contenders: contenders.map(([name, outage]) => ({ name, run: Effect.succeed(of(outage)) })),
    remark
  })
  return [
    contest(
      `connects in ${seconds} s without a server, ${waiters} borrowers`,
      "attempts",
      ({ attempts }) => attempts,
      "One outage each. Whoever is told of the failure asks again 100 ms later; ours wait for as long as they have time."
    ),
    contest(
      "from the server's return to the last one served",
      "ms",
      ({ recovery }) => recovery,
      "Ours is back at the end of the backoff step (by default of 1 s at first, then twice as long each time, up to 60 s); the others ask all the time."
    )
  ]
})
