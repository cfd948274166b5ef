/** A server that goes on answering and takes no writes any more, as after a fail-over that ends no session. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as MySql from "../../src/connectors/MySql.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import { live, observer, Server, serverWith, single, titled } from "./MySqlServer.ts"

const messageOf = (error: unknown): string =>
  isSqlError(error) && error.reason.cause instanceof Error ? error.reason.cause.message : String(error)

describe.skipIf(unavailable !== undefined)(titled("a MySQL server that has become read-only"), () => {
  layer(
    serverWith(),
    live
  )((it) => {
    /** A pool of one who may not write where nobody may. */
    const writers = Effect.fnUntraced(function* (fatal?: (error: unknown) => boolean) {
      const { url } = yield* Server
      const outside = yield* observer
      yield* outside.query("create or replace user writer@'127.0.0.1'")
      yield* outside.query("grant create, insert on test.* to writer@'127.0.0.1'")
      const connector = MySql.connector({ url, username: "writer" })
      const pool = yield* ConnectionPool.make(fatal === undefined ? connector : { ...connector, fatal }, single)
      const first = yield* ConnectionPool.use(pool, ({ threadId }) => Effect.succeed(threadId))
      yield* Effect.acquireRelease(outside.query("set global read_only = 1"), () =>
        Effect.orDie(outside.query("set global read_only = 0"))
      )
      const error = yield* Effect.flip(ConnectionPool.use(pool, (c) => c.query("create table written (id int)")))
      assert.match(messageOf(error), /read-only/)
      return { first, next: yield* ConnectionPool.use(pool, ({ threadId }) => Effect.succeed(threadId)) }
    })

    it.effect("is told to whoever writes, whose connection is lent again", () =>
      Effect.gen(function* () {
        const { first, next } = yield* writers()
        assert.strictEqual(next, first)
      })
    )

    it.effect("costs the connection of whoever writes, where the connector is told so", () =>
      Effect.gen(function* () {
        const { first, next } = yield* writers((error) => messageOf(error).includes("read-only"))
        assert.notStrictEqual(next, first)
      })
    )
  })
})
