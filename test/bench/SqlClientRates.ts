/**
 * Statements per second through `Postgres.layerSqlClient` against `@effect/sql-pg`'s own layer, on one server, in turns: a pool of 10,
 * 32 fibers. `node .build/test/bench/SqlClientRates.js [rounds] [seconds per round] [fibers] [connections]`
 */
import { PgClient } from "@effect/sql-pg"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import { SqlClient } from "effect/sql"
import * as Postgres from "effect-pool/Postgres"
import * as PostgresServer from "../support/PostgresServer.ts"

const rounds = Number(process.argv[2] ?? 9)
const secondsPerRound = Number(process.argv[3] ?? 1)
const fibers = Number(process.argv[4] ?? 32)
const connections = Number(process.argv[5] ?? 10)

type Work = (sql: SqlClient.SqlClient) => Effect.Effect<unknown, unknown>

const works: Readonly<Record<string, Work>> = {
  "select by key": (sql) => sql`select id, balance from accounts where id = ${7}`,
  "transaction of two statements": (sql) =>
    sql.withTransaction(
      Effect.suspend(() => {
        const id = Math.floor(Math.random() * 1000)
        return Effect.andThen(
          sql`update accounts set balance = balance + 1 where id = ${id}`,
          sql`select balance from accounts where id = ${id}`
        )
      })
    )
}

/** Statements or transactions per second. */
const rateOf = Effect.fnUntraced(function* (work: Work) {
  const sql = yield* SqlClient.SqlClient
  let done = 0
  const started = performance.now()
  const end = started + secondsPerRound * 1000
  const caller = Effect.whileLoop({
    while: () => performance.now() < end,
    body: () => work(sql),
    step: () => {
      done++
    }
  })
  yield* Effect.all(
    Array.from({ length: fibers }, () => caller),
    { concurrency: "unbounded", discard: true }
  )
  return (done * 1000) / (performance.now() - started)
})

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!

const compare = Effect.fnUntraced(function* (url: string, isShared: boolean) {
  const ours = ManagedRuntime.make(
    Postgres.layerSqlClient(
      { url },
      { minConnections: connections, maxConnections: connections, concurrency: isShared ? 32 : 1 }
    ).pipe(Layer.provide(Logger.layer([])))
  )
  const theirs = ManagedRuntime.make(
    PgClient.layer({
      url: Redacted.make(url),
      minConnections: connections,
      maxConnections: connections,
      multiplex: isShared,
      multiplexConcurrency: 32
    })
  )
  for (const [name, work] of Object.entries(works)) {
    const rates: { readonly ours: Array<number>; readonly theirs: Array<number> } = { ours: [], theirs: [] }
    for (let round = 0; round <= rounds; round++) {
      const order = round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const)
      for (const side of order) {
        const runtime = side === "ours" ? ours : theirs
        const rate = yield* Effect.promise(() => runtime.runPromise(rateOf(work)))
        // The first round warms up.
        if (round > 0) rates[side].push(rate)
      }
    }
    const ratio = median(rates.ours.map((rate, i) => rate / rates.theirs[i]!))
    yield* Console.log(
      `${name}, ${isShared ? "shared connections" : "a connection each"}: ours ${Math.round(median(rates.ours))}/s, ` +
        `@effect/sql-pg ${Math.round(median(rates.theirs))}/s, ratio ${ratio.toFixed(2)}`
    )
  }
  yield* Effect.promise(() => ours.dispose())
  yield* Effect.promise(() => theirs.dispose())
})

const program = Effect.scoped(
  Effect.gen(function* () {
    const { url } = yield* PostgresServer.make()
    const prepare = Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`create table accounts (id int primary key, balance int not null)`
      yield* sql`insert into accounts select n, 0 from generate_series(0, 999) n`
    })
    yield* Effect.provide(prepare, PgClient.layer({ url: Redacted.make(url) }))
    for (const isShared of [false, true]) yield* compare(url, isShared)
  })
).pipe(Effect.provide(Logger.layer([])))

void Effect.runPromise(program)
