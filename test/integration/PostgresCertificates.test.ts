/** A server whose certificate is replaced while it runs, as they all are before they expire. */
import { assert, describe, layer } from "@effect/vitest"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Context, Effect, Layer, Redacted } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import * as Certificate from "../support/Certificate.ts"
import { eventually } from "../support/Eventually.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import { live, rowsOf } from "./Server.ts"

type Pair = NonNullable<ReturnType<typeof Certificate.make>>

class CertifiedServer extends Context.Service<
  CertifiedServer,
  {
    readonly port: number
    readonly first: Pair
    readonly second: Pair
    /** Those who come from now on are shown this certificate. */
    readonly show: (pair: Pair) => Effect.Effect<void>
  }
>()("test/CertifiedServer") {
  static readonly layer = Layer.effect(
    CertifiedServer,
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-certificates-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
      )
      const certificate = (name: string) =>
        Effect.sync(() => {
          const inside = path.join(folder, name)
          fs.mkdirSync(inside, { mode: 0o755 })
          return Certificate.make(inside, "database.test")!
        })
      yield* Effect.sync(() => fs.chmodSync(folder, 0o755))
      const first = yield* certificate("first")
      const second = yield* certificate("second")
      const shown = yield* certificate("shown")
      const show = (pair: Pair) =>
        Effect.sync(() => {
          fs.copyFileSync(pair.cert, shown.cert)
          fs.copyFileSync(pair.key, shown.key)
        })
      yield* show(first)
      const server = yield* PostgresServer.make(Certificate.postgresSettings(shown))
      const admin = yield* PgConnection.make({ url: Redacted.make(server.url) })
      const reload = Effect.orDie(Effect.asVoid(admin.query("select pg_reload_conf()")))
      return { port: server.port, first, second, show: (pair) => Effect.andThen(show(pair), reload) }
    })
  )
}

const read = (file: string): string => fs.readFileSync(file, "utf8")

describe.skipIf(!Certificate.hasOpenssl)(Certificate.titled("a certificate that is replaced"), () => {
  layer(
    CertifiedServer.layer,
    live
  )((it) => {
    const poolTrusting = Effect.fnUntraced(function* (...authorities: ReadonlyArray<string>) {
      const { port } = yield* CertifiedServer
      const ssl = { ca: authorities.map(read), servername: "database.test" }
      const connector = Postgres.connector({ host: "127.0.0.1", port, username: "postgres", database: "postgres", ssl })
      const retry = { initial: "50 millis", max: "50 millis" } as const
      return yield* ConnectionPool.make(connector, { minConnections: 1, maxConnections: 3, retry })
    })

    const one = <A extends PgConnection.PgConnection>(pool: ConnectionPool.ConnectionPool<A>) =>
      ConnectionPool.use(pool, (connection) => rowsOf(connection, "select 1 as one"))

    it.effect("is taken by whoever trusts both, without a failure", () =>
      Effect.gen(function* () {
        const { first, second, show } = yield* CertifiedServer
        const pool = yield* poolTrusting(first.cert, second.cert)
        yield* one(pool)
        yield* show(second)
        yield* ConnectionPool.recycle(pool)
        assert.deepStrictEqual(yield* one(pool), [{ one: 1 }])
        const { connectFailures, created } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ connectFailures, created }, { connectFailures: 0, created: 2 })
        yield* show(first)
      })
    )

    it.effect(
      "leaves those alone who are connected, stops who does not trust it, and is forgotten when it is put right",
      () =>
        Effect.gen(function* () {
          const { first, second, show } = yield* CertifiedServer
          const pool = yield* poolTrusting(first.cert)
          yield* one(pool)
          yield* show(second)
          yield* Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* ConnectionPool.acquire(pool)
              // A second connection is wanted for this one, and cannot be had.
              yield* Effect.forkScoped(Effect.ignore(one(pool)))
              const { lastFailure } = yield* eventually(
                ConnectionPool.status(pool),
                ({ connectFailures }) => connectFailures > 0
              )
              assert.strictEqual(lastFailure?.kind, "permanent")
              assert.match(lastFailure?.message ?? "", /certificate/)
              assert.deepStrictEqual(yield* rowsOf(connection, "select 1 as one"), [{ one: 1 }])
            })
          )
          yield* show(first)
          yield* ConnectionPool.recycle(pool)
          assert.deepStrictEqual(yield* one(pool), [{ one: 1 }])
        })
    )
  })
})
