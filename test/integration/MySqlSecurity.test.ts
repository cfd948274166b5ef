import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger, Redacted } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as MySql from "../../src/connectors/MySql.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as Certificate from "../support/Certificate.ts"
import { eventually } from "../support/Eventually.ts"
import * as MariaDbServer from "../support/MariaDbServer.ts"
import { type Connection, connectFailure, live, rowsOf, single, titled, valueOf } from "./MySqlServer.ts"

interface Secure {
  readonly port: number
  /** The certificate that the server shows, and another one that it could show. */
  readonly ca: string
  readonly otherCa: string
  /** Has the server show the one or the other to whoever comes from now on. */
  readonly show: (which: "own" | "other") => Effect.Effect<unknown, unknown>
  readonly outside: Connection
}

/** A server that asks for passwords and speaks TLS. */
class SecureServer extends Context.Service<SecureServer, Secure>()("test/SecureMariaDb") {
  static readonly layer = Layer.effect(
    SecureServer,
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-secure-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
      )
      fs.chmodSync(folder, 0o755)
      const own = Certificate.make(folder, "database.test")
      const other = Certificate.make(folder, "other.test")
      const read = (file: string | undefined) => (file === undefined ? "" : fs.readFileSync(file, "utf8"))
      const texts = {
        own: { cert: read(own?.cert), key: read(own?.key) },
        other: { cert: read(other?.cert), key: read(other?.key) }
      }
      const server = yield* MariaDbServer.make(own === undefined ? {} : { "ssl-cert": own.cert, "ssl-key": own.key })
      const outside = yield* MySql.connector({ url: server.url }).connect
      for (const sql of [
        "create user app@'127.0.0.1' identified by 'right'",
        "create user encrypted@'127.0.0.1' require ssl",
        "grant all on test.* to app@'127.0.0.1', encrypted@'127.0.0.1'"
      ]) {
        yield* outside.query(sql)
      }
      const show = (which: "own" | "other") =>
        Effect.andThen(
          Effect.sync(() => {
            fs.writeFileSync(own!.cert, texts[which].cert)
            fs.writeFileSync(own!.key, texts[which].key)
          }),
          outside.query("flush ssl")
        )
      return { port: server.port, ca: texts.own.cert, otherCa: texts.other.cert, show, outside }
    })
  )
}

const at = Effect.map(SecureServer, ({ port }) => ({ host: "127.0.0.1", port, database: "test" }))

const silent = Logger.layer([])

const whoAmI = (connection: Connection) => valueOf(connection, "select substring_index(user(), '@', 1)")

const who = (options: MySql.Options) =>
  Effect.scoped(
    Effect.flatMap(ConnectionPool.make(MySql.connector(options), { ...single, startup: "failFast" }), (pool) =>
      ConnectionPool.use(pool, whoAmI)
    )
  ).pipe(Effect.provide(silent))

const isPermanent = (options: MySql.Options) =>
  Effect.map(connectFailure(options), (error) => {
    assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent", error.message)
    return error
  })

describe.skipIf(MariaDbServer.unavailable !== undefined)(titled("MySql.connector"), () => {
  layer(
    SecureServer.layer,
    live
  )((it) => {
    describe("passwords", () => {
      it.effect("proves a password that is a text, redacted, an effect, or in the url", () =>
        Effect.gen(function* () {
          const options = { ...(yield* at), username: "app" }
          assert.strictEqual(yield* who({ ...options, password: "right" }), "app")
          assert.strictEqual(yield* who({ ...options, password: Redacted.make("right") }), "app")
          assert.strictEqual(yield* who({ ...options, password: Effect.succeed(Redacted.make("right")) }), "app")
          assert.strictEqual(yield* who({ url: `mysql://app:right@127.0.0.1:${options.port}/test` }), "app")
        })
      )

      it.effect("a wrong password is a permanent failure, and no error shows it", () =>
        Effect.gen(function* () {
          const { port } = yield* at
          const error = yield* isPermanent({ url: `mysql://app:s3cret@127.0.0.1:${port}/test` })
          assert.include(error.message, "Access denied for user 'app'")
          assert.notInclude(error.message, "s3cret")
          assert.notInclude(JSON.stringify(error), "s3cret")
        })
      )

      it.effect("starts by itself when the password has been put right", () =>
        Effect.gen(function* () {
          const { outside } = yield* SecureServer
          yield* outside.query("create user rotated@'127.0.0.1' identified by 'old'")
          yield* outside.query("grant all on test.* to rotated@'127.0.0.1'")
          const connector = MySql.connector({ ...(yield* at), username: "rotated", password: "new" })
          const config: Input = { ...single, startup: "background", retry: { initial: 10, max: 100 } }
          const pool = yield* Effect.provide(ConnectionPool.make(connector, config), silent)
          const { lastFailure } = yield* eventually(
            ConnectionPool.status(pool),
            (status) => status.lastFailure !== undefined
          )
          assert.strictEqual(lastFailure?.kind, "permanent")
          const waiting = yield* Effect.forkChild(ConnectionPool.use(pool, whoAmI))
          yield* outside.query("set password for rotated@'127.0.0.1' = password('new')")
          assert.strictEqual(yield* Effect.timeout(Fiber.join(waiting), "3 seconds"), "rotated")
        })
      )

      it.effect("goes on under load while the password is rotated, and asks for the new one for each connection", () =>
        Effect.gen(function* () {
          const { outside } = yield* SecureServer
          yield* outside.query("create user rolling@'127.0.0.1' identified by 'one'")
          yield* outside.query("grant all on test.* to rolling@'127.0.0.1'")
          let current = "one"
          const password = Effect.sync(() => Redacted.make(current))
          const connector = MySql.connector({ ...(yield* at), username: "rolling", password })
          const config: Input = { minConnections: 2, maxConnections: 4, retry: { initial: 10, max: 50 } }
          const pool = yield* Effect.provide(ConnectionPool.make(connector, config), silent)
          const load = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 400 }), () => ConnectionPool.use(pool, whoAmI), { concurrency: 8 })
          )
          yield* outside.query("set password for rolling@'127.0.0.1' = password('two')")
          current = "two"
          yield* ConnectionPool.recycle(pool)
          const answers = yield* Fiber.join(load)
          assert.deepStrictEqual([...new Set(answers)], ["rolling"])
          yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed >= 2 && idle >= 2)
        })
      )
    })

    describe.skipIf(!Certificate.hasOpenssl)(Certificate.titled("TLS"), () => {
      const encrypted = Effect.map(Effect.all([at, SecureServer]), ([options, { ca }]) => ({
        ...options,
        username: "encrypted",
        ssl: { ca, servername: "database.test" }
      }))

      const cipher = (connection: Connection) =>
        Effect.map(rowsOf(connection, "show session status like 'Ssl_cipher'"), ([row]) => String(row?.["Value"]))

      it.effect("encrypts, with the authority and the server's name it is given", () =>
        Effect.gen(function* () {
          const pool = yield* Effect.provide(ConnectionPool.make(MySql.connector(yield* encrypted), single), silent)
          assert.match(yield* ConnectionPool.use(pool, cipher), /^TLS_/)
        })
      )

      it.effect("encrypts with ssl-mode=REQUIRED, whatever the certificate", () =>
        Effect.gen(function* () {
          const { port } = yield* at
          assert.strictEqual(
            yield* who({ url: `mysql://encrypted@127.0.0.1:${port}/test?ssl-mode=REQUIRED` }),
            "encrypted"
          )
        })
      )

      it.effect("keeps the connection of a statement that was cancelled over TLS", () =>
        Effect.gen(function* () {
          const pool = yield* Effect.provide(ConnectionPool.make(MySql.connector(yield* encrypted), single), silent)
          const statement = ConnectionPool.use(pool, (connection) => connection.query("select sleep(60)"))
          for (let n = 0; n < 5; n++) yield* Effect.flip(Effect.timeout(statement, 30))
          assert.match(yield* ConnectionPool.use(pool, cipher), /^TLS_/)
          const { closed, created } = yield* ConnectionPool.status(pool)
          assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
        })
      )

      it.effect("notices over TLS too that an idle connection died", () =>
        Effect.gen(function* () {
          const { outside } = yield* SecureServer
          const pool = yield* Effect.provide(ConnectionPool.make(MySql.connector(yield* encrypted), single), silent)
          const id = yield* ConnectionPool.use(pool, ({ threadId }) => Effect.succeed(threadId))
          yield* outside.query(`kill ${id}`)
          const { created } = yield* eventually(
            ConnectionPool.status(pool),
            ({ closed, idle }) => closed === 1 && idle === 1
          )
          assert.strictEqual(created, 2)
        })
      )

      it.effect("says goodbye over TLS when the pool closes", () =>
        Effect.gen(function* () {
          const { outside } = yield* SecureServer
          const options = yield* encrypted
          const aborted = Effect.map(
            rowsOf(outside, "show global status like 'Aborted_clients'"),
            ([row]) => row?.["Value"]
          )
          const before = yield* aborted
          yield* who(options)
          const sessions = valueOf(
            outside,
            "select count(*) from information_schema.processlist where user = 'encrypted'"
          )
          yield* eventually(sessions, (count) => Number(count) === 0)
          assert.strictEqual(yield* aborted, before)
        })
      )

      it.effect.each([
        { name: "is not trusted", ssl: () => ({ servername: "database.test" }) },
        {
          name: "comes from another authority",
          ssl: ({ otherCa }: Secure) => ({ ca: otherCa, servername: "database.test" })
        },
        { name: "is another server's", ssl: ({ ca }: Secure) => ({ ca, servername: "elsewhere.test" }) }
      ])("a certificate that $name is a permanent failure", ({ ssl }) =>
        Effect.gen(function* () {
          yield* isPermanent({ ...(yield* at), username: "encrypted", ssl: ssl(yield* SecureServer) })
        })
      )

      it.effect("a server that insists on TLS is a permanent failure for whoever comes without", () =>
        Effect.gen(function* () {
          yield* isPermanent({ ...(yield* at), username: "encrypted", ssl: false })
        })
      )

      it.effect(
        "refuses the server from when its certificate is replaced by a wrong one until it has its own again",
        () =>
          Effect.gen(function* () {
            const { outside, show } = yield* SecureServer
            const config: Input = { ...single, acquireTimeout: "5 seconds", retry: { initial: 20, max: 100 } }
            const pool = yield* Effect.provide(ConnectionPool.make(MySql.connector(yield* encrypted), config), silent)
            const id = yield* ConnectionPool.use(pool, ({ threadId }) => Effect.succeed(threadId))
            yield* Effect.acquireRelease(show("other"), () => Effect.orDie(show("own")))
            // The connection that is there goes on.
            assert.match(yield* ConnectionPool.use(pool, cipher), /^TLS_/)
            yield* outside.query(`kill ${id}`)
            const { lastFailure } = yield* eventually(
              ConnectionPool.status(pool),
              (status) => status.lastFailure !== undefined
            )
            assert.strictEqual(lastFailure?.kind, "permanent")
            const waiting = yield* Effect.forkChild(ConnectionPool.use(pool, whoAmI))
            yield* show("own")
            assert.strictEqual(yield* Fiber.join(waiting), "encrypted")
          })
      )
    })
  })
})
