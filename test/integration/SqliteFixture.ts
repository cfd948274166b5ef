/** What every test of the SQLite connector needs: a file, its pools, and what they fail with. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import type { Input } from "../../src/PoolConfig.ts"
import { drivers, libsql, newFile } from "../support/SqliteFile.ts"

export const Db = Sqlite.pools("test/Db")

/** What a pool logs about its outages is no news in a test that makes them. */
export const silent = Logger.layer([])

/** Keeps one connection, the same for every borrower. */
export const single: Input = { minConnections: 1, maxConnections: 1 }

/** Both pools on a file of their own, or on one that is given. */
export const dbLive = (options: Partial<Sqlite.PoolsOptions> = {}) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const path = options.path ?? (yield* newFile)
      return Db.layer({ driver: libsql, ...options, path })
    })
  ).pipe(Layer.provide(silent))

/** A pool of one writer on a file. */
export const writerOn = (path: string, options: Partial<Sqlite.FileOptions> = {}, config: Input = single) =>
  Effect.provide(ConnectionPool.make(Sqlite.connector({ driver: libsql, ...options, path }), config), silent)

/** A pool of one reader on a file. */
export const readerOn = (path: string, options: Partial<Sqlite.FileOptions> = {}, config: Input = single) =>
  Effect.provide(
    ConnectionPool.make(Sqlite.connector({ driver: libsql, ...options, path, mode: "read" }), config),
    silent
  )

/** How the first attempt to connect fails. */
export const connectFailure = (options: Partial<Sqlite.Options> & { readonly path: string }) =>
  Effect.scoped(
    Effect.flip(
      ConnectionPool.make(Sqlite.connector({ driver: libsql, ...options, mode: "write" }), {
        ...single,
        startup: "failFast"
      })
    )
  ).pipe(Effect.provide(silent))

/** The code of SQLite that an effect fails with. */
export const codeOf = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.map(Effect.flip(effect), Sqlite.resultCode)

/** Rows as others would write them down: one driver's objects have no prototype. */
export const plain = (rows: ReadonlyArray<object>): unknown => JSON.parse(JSON.stringify(rows))

/** The only column of the first row. */
export const valueOf = (connection: Sqlite.Reader, sql: string, params: ReadonlyArray<unknown> = []) =>
  Effect.map(connection.queryValues(sql, params), ([row]) => row?.[0])

/** Tells a story of each driver that runs here; of the others it says why it does not. */
export const onEachDriver = (subject: string, story: (driver: Sqlite.Driver) => void) => {
  for (const { driver, unavailable } of drivers) {
    if (unavailable === undefined) describe(`${subject}, on ${driver.name}`, () => story(driver))
    else it.skip(`${subject}, on ${driver.name} (not run: ${unavailable})`, () => assert.fail("not run"))
  }
}
