/** Clients for tests: ours, and `@effect/sql-pg`'s own, on the file's server. */
import { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { SqlClient, type SqlError } from "effect/sql"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import { Server } from "./Server.ts"

type Options = Postgres.Options & Postgres.SqlClientOptions

/** What a pool says of its beginning and its end is no news in a test. */
const silent = Logger.layer([])

/** Ours, with a pool of its own, whose sessions the server knows by `applicationName`. */
export const ours = (applicationName: string, config: Input = {}, options: Options = {}) =>
  Layer.unwrap(
    Effect.map(Server, ({ url }) =>
      Postgres.layerSqlClient({ url, applicationName, ...options }, { minConnections: 1, maxConnections: 4, ...config })
    )
  ).pipe(Layer.provide(silent))

/** Keeps one connection: whoever needs a second one waits for ever. */
export const alone: Input = { minConnections: 1, maxConnections: 1 }

export const theirs = (options: PgClient.PgPoolConfig = {}) =>
  Layer.unwrap(
    Effect.map(Server, ({ url }) => PgClient.layer({ url: Redacted.make(url), maxConnections: 4, ...options }))
  )

/** What kind of error it is. */
export const reasonOf = ({ reason }: SqlError.SqlError) => reason._tag

/** The session that a statement runs in. */
export const pid = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(sql<{ readonly pid: number }>`select pg_backend_pid() as pid`, ([row]) => row!.pid)
)
