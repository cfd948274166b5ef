/** A server that goes on answering and takes no writes any more, as after a fail-over that ends no session. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasProperty } from "effect/Predicate"
import { isSqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { eventually } from "../support/Eventually.ts"
import { backendPid, type Connection, live, observer, Server, serverWith, single, valueOf } from "./Server.ts"

const becomesReadOnly = Effect.fnUntraced(function* (pool: ConnectionPool.ConnectionPool<Connection>) {
  const outside = yield* observer
  const set = (value: "on" | "off") =>
    Effect.andThen(
      outside.query(`alter system set default_transaction_read_only = ${value}`),
      outside.query("select pg_reload_conf()")
    )
  yield* Effect.acquireRelease(set("on"), () => Effect.orDie(set("off")))
  // Sessions hear of it when they get to it.
  const setting = ConnectionPool.use(pool, (connection) => valueOf(connection, "show default_transaction_read_only"))
  yield* eventually(setting, (value) => value === "on")
})

const write = (connection: Connection) => connection.query("create table written (id int)")

/** PostgreSQL's code for it, on the error that the driver keeps as its cause. */
const isReadOnly = (error: unknown): boolean =>
  isSqlError(error) && hasProperty(error.reason.cause, "code") && error.reason.cause.code === "25006"

layer(serverWith(), live)("a PostgreSQL server that has become read-only", (it) => {
  it.effect("is told to whoever writes, whose connection is lent again", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const pool = yield* ConnectionPool.make(Postgres.connector({ url }), single)
      const first = yield* ConnectionPool.use(pool, backendPid)
      yield* becomesReadOnly(pool)
      const error = yield* Effect.flip(ConnectionPool.use(pool, write))
      assert.isTrue(isReadOnly(error), error.message)
      assert.strictEqual(yield* ConnectionPool.use(pool, backendPid), first)
    })
  )

  it.effect("costs the connection of whoever writes, where the connector is told so", () =>
    Effect.gen(function* () {
      const { url } = yield* Server
      const connector = Postgres.connector({ url })
      const fatal = (error: unknown) => isReadOnly(error) || connector.fatal?.(error) === true
      const pool = yield* ConnectionPool.make({ ...connector, fatal }, single)
      const first = yield* ConnectionPool.use(pool, backendPid)
      yield* becomesReadOnly(pool)
      yield* Effect.flip(ConnectionPool.use(pool, write))
      assert.notStrictEqual(yield* ConnectionPool.use(pool, backendPid), first)
      assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
    })
  )
})
