import { assert, describe, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Logger, Redacted, Scope } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as net from "node:net"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as MySql from "../../src/connectors/MySql.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import { eventually } from "../support/Eventually.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import {
  connectFailure,
  connectionId,
  live,
  makePool,
  observer,
  rowsOf,
  Server,
  serverWith,
  sessionsOf,
  single,
  titled,
  valueOf
} from "./MySqlServer.ts"

const kindOf = (error: ConnectError | PoolConfigError) => (error._tag === "ConnectError" ? error.kind : error._tag)

/** The user and the database that a connection of these options has. */
const who = (options: MySql.Options) =>
  Effect.scoped(
    Effect.flatMap(ConnectionPool.make(MySql.connector(options), { ...single, startup: "failFast" }), (pool) =>
      ConnectionPool.use(pool, (c) =>
        Effect.map(
          rowsOf(c, "select substring_index(user(), '@', 1) as user, database() as db"),
          ([row]) => `${String(row?.["user"])}@${String(row?.["db"])}`
        )
      )
    )
  ).pipe(Effect.provide(Logger.layer([])))

/** The fields that the pool finds wrong in these options. */
const wrongFields = (options: MySql.Options) =>
  Effect.map(connectFailure(options), (error) =>
    error._tag === "PoolConfigError" ? error.problems.map(({ field }) => field) : [error._tag]
  )

/** A server that does with its clients what it is told, and does not speak MySQL. */
const strangeServer = (greet: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets = new Set<net.Socket>()
      const server = net.createServer((socket) => {
        sockets.add(socket.on("error", () => {}))
        greet(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const close = () => {
          for (const socket of sockets) socket.destroy()
          server.close()
        }
        resume(Effect.succeed({ port: (server.address() as net.AddressInfo).port, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

describe.skipIf(unavailable !== undefined)(titled("MySql.connector"), () => {
  layer(
    serverWith({ "max-connections": 10 }),
    live
  )((it) => {
    describe("where it connects to", () => {
      it.effect("connects by url, by a redacted url, by fields, and by a Unix socket", () =>
        Effect.gen(function* () {
          const { port, socketPath, url } = yield* Server
          const answers = yield* Effect.forEach(
            [
              { url },
              { url: Redacted.make(url.replace("mysql:", "mariadb:")) },
              { host: "127.0.0.1", port, database: "test", username: "root" },
              { socketPath, username: "root" },
              { url: `mysql://root@localhost/test?socket=${encodeURIComponent(socketPath)}` },
              { url, database: "mysql" }
            ],
            who
          )
          assert.deepStrictEqual(answers, [
            "root@test",
            "root@test",
            "root@test",
            "root@null",
            "root@test",
            "root@mysql"
          ])
        })
      )

      it("names the pool by server and database, unless it is given a name", () => {
        assert.strictEqual(MySql.connector({ url: "mysql://app:secret@db:3307/shop" }).name, "db:3307/shop")
        assert.strictEqual(MySql.connector({ url: "mysql://db/shop", name: "orders" }).name, "orders")
      })

      it.effect("reads a connector from <prefix>_URL, or from one variable per field", () =>
        Effect.gen(function* () {
          const { port, url } = yield* Server
          const read = (env: Record<string, string>) => MySql.config("DB").parse(ConfigProvider.fromEnv({ env }))
          const byUrl = yield* read({ DB_URL: url })
          const byField = yield* read({
            DB_HOST: "127.0.0.1",
            DB_PORT: String(port),
            DB_DATABASE: "test",
            DB_USERNAME: "root",
            DB_APPLICATION_NAME: "by field"
          })
          for (const connector of [byUrl, byField]) {
            const connection = yield* connector.connect
            assert.strictEqual(yield* valueOf(connection, "select database()"), "test")
          }
          assert.lengthOf(yield* sessionsOf(yield* byUrl.connect, "by field"), 1)
        })
      )

      it.effect("shows its program_name to the server: effect-pool, or the one it is given", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const outside = yield* observer
          yield* MySql.connector({ url }).connect
          yield* MySql.connector({ url, applicationName: "shop" }).connect
          assert.lengthOf(yield* sessionsOf(outside, "effect-pool"), 1)
          assert.lengthOf(yield* sessionsOf(outside, "shop"), 1)
        })
      )
    })

    describe("wrong options", () => {
      it.effect("are all named in one PoolConfigError, which shows no password", () =>
        Effect.gen(function* () {
          const error = yield* connectFailure(
            {
              url: "mysql://app:s3cret@db:3306/shop?ssl-mode=perhaps&connectionLimit=7",
              port: 70_000,
              keepAlive: "soon" as "1 second",
              settings: { "a b": 1, sql_mode: true as unknown as string }
            },
            { maxConnections: 0 }
          )
          assert.strictEqual(error._tag, "PoolConfigError")
          const fields = error._tag === "PoolConfigError" ? error.problems.map(({ field }) => field) : []
          assert.includeMembers(
            [...fields],
            ["url", "port", "keepAlive", "settings.a b", "settings.sql_mode", "maxConnections"]
          )
          assert.lengthOf(
            fields.filter((field) => field === "url"),
            2
          )
          assert.notInclude(error.message, "s3cret")
        })
      )

      it.effect.each([
        "postgres://app:s3cret@db/shop",
        "mysql://app:s3cret@[db/shop",
        "s3cret",
        "mysql://app:s3cret%@db/a"
      ])("a url that is none of ours is refused and not shown: %s", (url) =>
        Effect.gen(function* () {
          const error = yield* connectFailure({ url })
          assert.deepStrictEqual(error._tag === "PoolConfigError" && error.problems.map(({ field }) => field), ["url"])
          assert.notInclude(error.message, "s3cret")
        })
      )

      it.effect("TLS to an address needs the name that the certificate must have", () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* wrongFields({ host: "127.0.0.1", ssl: true }), ["ssl"])
          assert.deepStrictEqual(yield* wrongFields({ url: "mysql://127.0.0.1/?ssl-mode=VERIFY_IDENTITY" }), ["ssl"])
        })
      )

      it.effect("a setting that the server does not know is a permanent failure", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const error = yield* connectFailure({ url, settings: { no_such_setting: 1 } })
          assert.strictEqual(kindOf(error), "permanent")
          assert.include(error.message, "no_such_setting")
        })
      )
    })

    describe("what a failure to connect means", () => {
      it.effect("an unknown database is a permanent failure", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const error = yield* connectFailure({ url, database: "nowhere" })
          assert.strictEqual(kindOf(error), "permanent")
          assert.include(error.message, "Unknown database 'nowhere'")
          assert.isTrue(isSqlError((error as ConnectError).cause))
        })
      )

      it.effect("a user who does not exist, and a database that is not for this one, are permanent failures", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const outside = yield* observer
          yield* outside.query("create or replace user guest@'127.0.0.1'")
          assert.strictEqual(kindOf(yield* connectFailure({ url, username: "nobody" })), "permanent")
          assert.strictEqual(kindOf(yield* connectFailure({ url, username: "guest", database: "mysql" })), "permanent")
        })
      )

      it.effect("a server without TLS is a permanent failure for whoever asks for TLS", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const error = yield* connectFailure({ url: `${url}?ssl-mode=REQUIRED` })
          assert.strictEqual(kindOf(error), "permanent")
          assert.include(error.message, "does not support secure connection")
        })
      )

      it.effect("a refused connection, and a host that cannot be found, are transient failures", () =>
        Effect.gen(function* () {
          const { close, port } = yield* strangeServer(() => {})
          close()
          assert.strictEqual(kindOf(yield* connectFailure({ host: "127.0.0.1", port })), "transient")
          assert.strictEqual(kindOf(yield* connectFailure({ host: "no-such-host.invalid" })), "transient")
        })
      )

      it.effect.each([
        { name: "never answers", greet: () => {} },
        { name: "hangs up", greet: (socket: net.Socket) => socket.destroy() },
        { name: "speaks another language", greet: (socket: net.Socket) => socket.write("220 mail.test ESMTP\r\n") }
      ])("a server that $name is a transient failure, and leaves no socket behind", ({ greet }) =>
        Effect.gen(function* () {
          let open = 0
          const { port } = yield* strangeServer((socket) => {
            open++
            socket.once("close", () => open--)
            greet(socket)
          })
          const error = yield* connectFailure({ host: "127.0.0.1", port }, { connectTimeout: 200 })
          assert.strictEqual(kindOf(error), "transient")
          yield* eventually(
            Effect.sync(() => open),
            (count) => count === 0
          )
        })
      )

      it.effect("a server that has too many clients is overloaded, and the pool goes on with what it has", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const scope = yield* Scope.make()
          const outside = yield* observer
          // All places but two: one for the pool, and one that the server keeps for administrators.
          for (let n = 0; n < 8; n++) {
            yield* Scope.provide(MySql.connector({ url, applicationName: "crowd" }).connect, scope)
          }
          yield* outside.query("create or replace user crowded@'127.0.0.1'")
          yield* outside.query("grant all on test.* to crowded@'127.0.0.1'")
          const pool = yield* makePool(
            "crowded",
            { minConnections: 1, maxConnections: 4, acquireTimeout: 400, retry: { initial: 50, max: 100 } },
            { username: "crowded" }
          )
          const asleep = yield* Effect.forkChild(ConnectionPool.use(pool, (c) => c.query("select sleep(1)")))
          yield* eventually(ConnectionPool.status(pool), ({ inUse }) => inUse === 1)
          const error = yield* Effect.flip(ConnectionPool.use(pool, connectionId))
          assert.strictEqual(error._tag, "AcquireTimeout")
          const { lastFailure } = yield* ConnectionPool.status(pool)
          assert.strictEqual(lastFailure?.kind, "overloaded")
          yield* Fiber.join(asleep)
          assert.isNumber(yield* ConnectionPool.use(pool, connectionId))
          yield* Scope.close(scope, Exit.void)
        })
      )

      it.effect("a server at its limit serves a load on the connections that it gives", () =>
        Effect.gen(function* () {
          const outside = yield* observer
          yield* outside.query("create or replace user limited@'127.0.0.1' with max_user_connections 2")
          yield* outside.query("grant all on test.* to limited@'127.0.0.1'")
          const config = {
            minConnections: 1,
            maxConnections: 6,
            acquireTimeout: 20_000,
            retry: { initial: 20, max: 50 }
          }
          const pool = yield* makePool("limited", { ...config, shedding: { enabled: false } }, { username: "limited" })
          const load = Effect.forEach(
            Array.from({ length: 300 }, (_, n) => n),
            (n) =>
              ConnectionPool.use(pool, (c) =>
                Effect.map(valueOf(c, "select ? from (select sleep(0.002)) as pause", [n]), Number)
              ),
            { concurrency: 40 }
          )
          assert.deepStrictEqual(
            yield* load,
            Array.from({ length: 300 }, (_, n) => n)
          )
          const { connectFailures, created, limit } = yield* ConnectionPool.status(pool)
          assert.isAbove(connectFailures, 0)
          assert.isAtMost(created, 2)
          // What is not overload does not lower it.
          assert.isBelow(limit, 6)
        })
      )

      it.effect("a user who may not have another connection is overloaded", () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const outside = yield* observer
          yield* outside.query("create or replace user few@'127.0.0.1' with max_user_connections 1")
          yield* outside.query("grant all on test.* to few@'127.0.0.1'")
          yield* MySql.connector({ url, username: "few" }).connect
          assert.strictEqual(kindOf(yield* connectFailure({ url, username: "few" })), "overloaded")
        })
      )
    })

    describe("the life of a connection", () => {
      it.effect("is checked after a rest with a ping, on the same session", () =>
        Effect.gen(function* () {
          const outside = yield* observer
          const pool = yield* makePool("rested", { ...single, checkAfterIdle: 0 })
          const first = yield* ConnectionPool.use(pool, connectionId)
          const pings = Effect.map(rowsOf(outside, "show global status like 'Com_admin_commands'"), ([row]) =>
            Number(row?.["Value"])
          )
          const before = yield* pings
          assert.strictEqual(yield* ConnectionPool.use(pool, connectionId), first)
          assert.isAtLeast((yield* pings) - before, 1)
        })
      )

      it.effect("ends on the server when the pool's scope closes", () =>
        Effect.gen(function* () {
          const outside = yield* observer
          const aborted = Effect.map(
            rowsOf(outside, "show global status like 'Aborted_clients'"),
            ([row]) => row?.["Value"]
          )
          const before = yield* aborted
          yield* Effect.scoped(
            Effect.gen(function* () {
              const pool = yield* makePool("closing", { minConnections: 3, maxConnections: 3 })
              yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 3)
            })
          )
          yield* eventually(sessionsOf(outside, "closing"), ({ length }) => length === 0)
          // The server was told, and did not find out.
          assert.strictEqual(yield* aborted, before)
        })
      )

      it.effect("is noticed at once, without a query, when it ends while idle", () =>
        Effect.gen(function* () {
          const outside = yield* observer
          const pool = yield* makePool("killed idle", { minConnections: 2, maxConnections: 4 })
          yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
          const [first] = yield* sessionsOf(outside, "killed idle")
          yield* outside.query(`kill ${first!.id}`)
          const { acquired, created } = yield* eventually(
            ConnectionPool.status(pool),
            ({ closed, idle }) => closed === 1 && idle === 2
          )
          assert.deepStrictEqual({ acquired, created }, { acquired: 0, created: 3 })
        })
      )

      it.effect("gives the borrower of a connection killed in flight its SqlError, and the next one another", () =>
        Effect.gen(function* () {
          const outside = yield* observer
          const pool = yield* makePool("killed in flight")
          const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, (c) => c.query("select sleep(60)")))
          const [session] = yield* eventually(sessionsOf(outside, "killed in flight"), ([s]) => s?.command === "Query")
          yield* outside.query(`kill ${session!.id}`)
          const error = yield* Effect.flip(Fiber.join(borrower))
          assert.strictEqual(isSqlError(error) && error.reason._tag, "ConnectionError")
          assert.notStrictEqual(yield* ConnectionPool.use(pool, connectionId), session!.id)
          const { acquired, closed, released } = yield* ConnectionPool.status(pool)
          assert.deepStrictEqual([closed, acquired - released], [1, 0])
        })
      )

      it.effect("is replaced again and again by a server that drops whoever is idle for a second", () =>
        Effect.gen(function* () {
          const pool = yield* makePool("dropped", single, { settings: { wait_timeout: 1 } })
          yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed === 1 && idle === 1)
          assert.isNumber(yield* ConnectionPool.use(pool, connectionId))
          const { acquired } = yield* eventually(ConnectionPool.status(pool), ({ closed }) => closed === 2)
          assert.strictEqual(acquired, 1)
        })
      )

      it.effect("the borrower of a wrong statement gets its SqlError, and the connection goes on", () =>
        Effect.gen(function* () {
          const pool = yield* makePool("wrong statement")
          const id = yield* ConnectionPool.use(pool, connectionId)
          const error = yield* Effect.flip(ConnectionPool.use(pool, (c) => c.query("selekt 1")))
          assert.strictEqual(isSqlError(error) && error.reason._tag, "SqlSyntaxError")
          assert.strictEqual(yield* ConnectionPool.use(pool, connectionId), id)
        })
      )
    })
  })
})
