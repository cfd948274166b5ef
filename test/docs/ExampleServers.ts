/** What the examples of the documentation call by an address that everybody understands, and what stands there when they are run. */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as MySql from "../../src/connectors/MySql.ts"
import * as MariaDbServer from "../support/MariaDbServer.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import * as RedisServer from "../support/RedisServer.ts"
import * as SurrealServer from "../support/SurrealServer.ts"
import { root } from "../support/DocPages.ts"

/** Where examples are written to and run. */
export const folder = path.join(root, ".build", "examples")

interface Place {
  /** How examples call it. */
  readonly name: string
  /** Examples that need it. */
  readonly isNeeded: RegExp
  /** Why it cannot be had here. */
  readonly unavailable: string | undefined
  readonly start: Effect.Effect<string, unknown, Scope.Scope>
}

/** The table that examples ask, in either dialect. */
const rows = ["create table orders (id int primary key, customer varchar(40))", "insert into orders values (7, 'Ada')"]

const places: ReadonlyArray<Place> = [
  {
    name: "postgres://app@localhost/app",
    isNeeded: /postgres:\/\//,
    unavailable: undefined,
    start: Effect.gen(function* () {
      const { url } = yield* PostgresServer.make()
      const connection = yield* PgConnection.make({ url: Redacted.make(url) })
      for (const statement of rows) yield* connection.query(statement)
      return url
    })
  },
  {
    name: "mysql://app@localhost/app",
    isNeeded: /mysql:\/\//,
    unavailable: MariaDbServer.unavailable,
    start: Effect.gen(function* () {
      const { url } = yield* MariaDbServer.make()
      const connection = yield* MySql.connector({ url }).connect
      for (const statement of rows) yield* connection.query(statement)
      return url
    })
  },
  {
    name: "redis://localhost:6379/0",
    isNeeded: /redis:\/\//,
    unavailable: RedisServer.unavailable,
    start: Effect.map(RedisServer.make(), ({ url }) => url)
  },
  {
    // Its root's password is `correct-horse`.
    name: "ws://localhost:8000/rpc",
    isNeeded: /(ws|mem):\/\//,
    unavailable: SurrealServer.unavailable,
    start: Effect.map(SurrealServer.make(), ({ url }) => url)
  },
  {
    name: "/var/lib/app/",
    isNeeded: /\/var\/lib\/app\//,
    unavailable: undefined,
    start: Effect.sync(() => {
      const data = path.join(folder, "data")
      fs.rmSync(data, { recursive: true, force: true })
      fs.mkdirSync(data, { recursive: true })
      return `${data}/`
    })
  }
]

/** Why an example cannot be run here; `undefined` if it can. */
export const missingFor = (code: string): string | undefined =>
  places.find(({ isNeeded, unavailable }) => unavailable !== undefined && isNeeded.test(code))?.unavailable

/** All that can be had here, by the names that examples call them. */
export class ExampleServers extends Context.Service<ExampleServers, ReadonlyMap<string, string>>()(
  "test/ExampleServers"
) {
  static readonly layer = Layer.effect(
    ExampleServers,
    Effect.map(
      Effect.forEach(
        places.filter(({ unavailable }) => unavailable === undefined),
        ({ name, start }) => Effect.map(start, (place) => [name, place] as const),
        { concurrency: 2 }
      ),
      (pairs) => new Map(pairs)
    )
  )
}
