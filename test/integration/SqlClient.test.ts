import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Stream, String } from "effect"
import { SqlClient } from "effect/sql"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { single, live, observer, Server, serverWith, rowsOf } from "./Server.ts"

/** The client under test, with a pool of its own on the file's server. */
const clientLayer = (applicationName: string, config = {}, options: Postgres.SqlClientOptions = {}) =>
  Layer.unwrap(
    Effect.map(Server, ({ url }) =>
      Postgres.layerSqlClient({ url, applicationName, ...options }, { minConnections: 1, maxConnections: 4, ...config })
    )
  )
layer(serverWith(), live)("Postgres.layerSqlClient", (it) => {
  it.effect("quick", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      assert.deepStrictEqual(yield* sql`select ${1}::int as one`, [{ one: 1 }])
      assert.deepStrictEqual(yield* sql.withTransaction(sql.withTransaction(sql`select ${1}::int as one`)), [{ one: 1 }])
      const rows = yield* Stream.runCollect(sql`select generate_series(1, 10) as n`.stream.pipe(Stream.take(3)))
      assert.strictEqual(rows.length, 3)
      yield* sql`insert into nowhere values (1)`.pipe(Effect.flip)
      const e = yield* sql.withTransaction(sql`insert into nowhere values (1)`).pipe(Effect.flip)
      assert.strictEqual(e.reason._tag, "SqlSyntaxError")
    }).pipe(Effect.provide(clientLayer("quick")))
  )
})
