/** Between the pool and the server: a network that is slow, and a server or firewall that ends what is silent for too long. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import { eventually } from "../support/Eventually.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import { type Connection, live, makePool, Server, serverWith, valueOf } from "./Server.ts"

const retry = { initial: "50 millis", max: "50 millis" } as const

type Pool = ConnectionPool.ConnectionPool<Connection>

/** Each asks for a number of its own, and must get that one. */
const askAll = (pool: Pool, clients: number) =>
  Effect.forEach(
    Array.from({ length: clients }, (_, index) => index),
    (number) =>
      Effect.map(
        ConnectionPool.use(pool, (connection) => valueOf(connection, "select $1::int", [number])),
        (answer) => answer === number
      ),
    { concurrency: "unbounded" }
  )

layer(serverWith(), live)("a slow network", (it) => {
  const through = Effect.fnUntraced(function* (config: Input) {
    const { port } = yield* Server
    const proxy = yield* TcpProxy.make(port)
    const options = { host: "127.0.0.1", port: proxy.port, username: "postgres", database: "postgres" }
    const pool = yield* ConnectionPool.make(Postgres.connector(options), { retry, ...config })
    return { pool, proxy }
  })

  it.effect("costs its time and nothing else: every caller has its own answer", () =>
    Effect.gen(function* () {
      const { pool, proxy } = yield* through({ minConnections: 4, maxConnections: 4 })
      yield* proxy.slow(25)
      const answers = yield* askAll(pool, 100)
      assert.isTrue(answers.every(Boolean))
      const { connectFailures, created, holdMillis } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ connectFailures, created }, { connectFailures: 0, created: 4 })
      assert.isAtLeast(holdMillis, 50)
    })
  )

  it.effect("that is slower than connectTimeout fails connects, leaves those alone who are there, and recovers", () =>
    Effect.gen(function* () {
      const { pool, proxy } = yield* through({ minConnections: 1, maxConnections: 2, connectTimeout: "200 millis" })
      yield* askAll(pool, 1)
      yield* proxy.slow(300)
      const answers = yield* askAll(pool, 2)
      assert.deepStrictEqual(answers, [true, true])
      const { lastFailure } = yield* eventually(
        ConnectionPool.status(pool),
        ({ connectFailures }) => connectFailures > 0
      )
      assert.match(lastFailure?.message ?? "", /200 ?m/)
      yield* proxy.slow(0)
      yield* eventually(Effect.andThen(askAll(pool, 8), ConnectionPool.status(pool)), ({ total }) => total === 2)
    })
  )
})

describe("a server that ends idle sessions after a second", () => {
  layer(
    serverWith({ idle_session_timeout: "1s" }),
    live
  )((it) => {
    it.effect("is never noticed by a borrower, and the minimum is kept open", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("idle sessions", { minConnections: 2, maxConnections: 4, retry })
        const rounds = yield* Effect.forEach([1, 2, 3], (round) =>
          Effect.gen(function* () {
            // The server has ended both, and both have been opened anew.
            yield* eventually(
              ConnectionPool.status(pool),
              ({ closed, idle }) => closed >= 2 * round && idle === 2,
              "10 seconds"
            )
            return yield* askAll(pool, 4)
          })
        )
        assert.isTrue(rounds.flat().every(Boolean))
        const { timedOut } = yield* ConnectionPool.status(pool)
        assert.strictEqual(timedOut, 0)
      })
    )
  })
})
