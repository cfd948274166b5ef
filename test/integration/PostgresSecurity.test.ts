import { assert, describe, layer } from "@effect/vitest"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Context, Effect, Fiber, Layer, Logger, Redacted } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import * as Certificate from "../support/Certificate.ts"
import { eventually } from "../support/Eventually.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import { type Connection, connectFailure, live, single, valueOf } from "./Server.ts"

/** Who may come in: the superuser, an application that knows its password, and a guest who never may. */
const accessRules = [
  "local   all all                  trust",
  "host    all postgres  127.0.0.1/32 trust",
  "host    all guest     127.0.0.1/32 reject",
  "hostssl all encrypted 127.0.0.1/32 trust",
  "host    all encrypted 127.0.0.1/32 reject",
  "host    all hashed    127.0.0.1/32 md5",
  "host    all clear     127.0.0.1/32 password",
  "host    all all       127.0.0.1/32 scram-sha-256"
].join("\n")

/** A server that asks for passwords and speaks TLS, and the certificate it shows. */
class SecureServer extends Context.Service<
  SecureServer,
  PostgresServer.PostgresServer & { readonly ca: string; readonly otherCa: string }
>()("test/SecureServer") {
  static readonly layer = Layer.effect(
    SecureServer,
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-secure-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
      )
      const files = yield* Effect.sync(() => {
        fs.chmodSync(folder, 0o755)
        const rules = path.join(folder, "hba.conf")
        fs.writeFileSync(rules, accessRules, { mode: 0o644 })
        const own = Certificate.make(folder, "database.test")
        const other = Certificate.make(folder, "other.test")
        const read = (file: string | undefined) => (file === undefined ? "" : fs.readFileSync(file, "utf8"))
        return { rules, own, ca: read(own?.cert), otherCa: read(other?.cert) }
      })
      const tls = files.own && Certificate.postgresSettings(files.own)
      const server = yield* PostgresServer.make({ hba_file: files.rules, ...tls })
      const outside = yield* PgConnection.make({ url: Redacted.make(server.url) })
      for (const role of ["guest", "encrypted", "hashed", "clear"]) yield* outside.query(`create role ${role} login`)
      yield* outside.query("set password_encryption = 'md5'")
      yield* outside.query("alter role hashed password 'right'")
      yield* outside.query("set password_encryption = 'scram-sha-256'")
      yield* outside.query("alter role clear password 'right'")
      yield* outside.query("create role app login password 'right'")
      return { ...server, ca: files.ca, otherCa: files.otherCa }
    })
  )
}

const at = Effect.map(SecureServer, ({ port }) => ({ host: "127.0.0.1", port, database: "postgres" }))

const whoAmI = (connection: Connection) => valueOf(connection, "select session_user::text")

const who = (options: Postgres.Options) =>
  Effect.scoped(
    Effect.flatMap(ConnectionPool.make(Postgres.connector(options), { ...single, startup: "failFast" }), (pool) =>
      ConnectionPool.use(pool, whoAmI)
    )
  )

/** Everything that is logged, a line each. */
const logged = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel} ${String(message)}`)
  })
  return { lines, layer: Logger.layer([logger]) }
}

layer(SecureServer.layer, live)("Postgres.connector", (it) => {
  describe("passwords", () => {
    it.effect("proves a password to a server that demands scram-sha-256", () =>
      Effect.gen(function* () {
        const options = { ...(yield* at), username: "app" }
        assert.strictEqual(yield* who({ ...options, password: Redacted.make("right") }), "app")
        assert.strictEqual(yield* who({ ...options, password: "right" }), "app")
        assert.strictEqual(yield* who({ ...options, password: Effect.succeed(Redacted.make("right")) }), "app")
        assert.strictEqual(yield* who({ url: `postgres://app:right@127.0.0.1:${options.port}/postgres` }), "app")
      })
    )

    it.effect.each(["hashed", "clear"])("proves a password to a server that demands it %s", (username) =>
      Effect.gen(function* () {
        const password = Redacted.make("right")
        assert.strictEqual(yield* who({ ...(yield* at), username, password }), username)
      })
    )

    it.effect("a wrong password is a permanent failure, and no error shows it", () =>
      Effect.gen(function* () {
        const { port } = yield* at
        const error = yield* connectFailure({ url: `postgres://app:s3cret@127.0.0.1:${port}/postgres` })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : undefined, "permanent")
        assert.include(error.message, 'password authentication failed for user "app"')
        assert.notInclude(error.message, "s3cret")
      })
    )

    it.effect("no password where one is asked for is a permanent failure", () =>
      Effect.gen(function* () {
        const error = yield* connectFailure({ ...(yield* at), username: "app" })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : undefined, "permanent")
      })
    )

    it.effect("a client that the server's rules reject is a permanent failure", () =>
      Effect.gen(function* () {
        const error = yield* connectFailure({ ...(yield* at), username: "guest" })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : undefined, "permanent")
        assert.include(error.message, "pg_hba.conf rejects connection")
      })
    )

    it.effect("shows a wrong password at once in status and log, and tries again only as slowly as it ever will", () =>
      Effect.gen(function* () {
        const log = logged()
        const connector = Postgres.connector({ ...(yield* at), username: "app", password: "wrong" })
        const config: Input = { ...single, startup: "background", retry: { initial: "10 millis", max: "1 minute" } }
        yield* Effect.gen(function* () {
          const pool = yield* ConnectionPool.make(connector, config)
          const { lastFailure, state } = yield* eventually(
            ConnectionPool.status(pool),
            (status) => status.lastFailure?.retryInMillis !== undefined,
            "2 seconds"
          )
          assert.strictEqual(state, "starting")
          assert.strictEqual(lastFailure?.kind, "permanent")
          assert.strictEqual(lastFailure?.attempts, 1)
          assert.include(lastFailure?.message, "password authentication failed")
          assert.isAbove(lastFailure?.retryInMillis ?? 0, 50_000)
          yield* eventually(
            Effect.sync(() => log.lines),
            (lines) => lines.some((line) => line.startsWith("Error cannot connect (permanent), attempt 1"))
          )
        }).pipe(Effect.provide(log.layer))
      })
    )

    it.effect("starts by itself when the password has been put right", () =>
      Effect.gen(function* () {
        const log = logged()
        const { url } = yield* SecureServer
        const outside = yield* PgConnection.make({ url: Redacted.make(url) })
        yield* outside.query("create role rotated login password 'old'")
        const connector = Postgres.connector({ ...(yield* at), username: "rotated", password: "new" })
        const config: Input = { ...single, retry: { initial: "10 millis", max: "200 millis" } }
        const starting = yield* ConnectionPool.make(connector, config).pipe(
          Effect.flatMap((pool) => ConnectionPool.use(pool, whoAmI)),
          Effect.scoped,
          Effect.provide(log.layer),
          Effect.forkChild
        )
        yield* eventually(
          Effect.sync(() => log.lines),
          (lines) => lines.some((line) => line.includes("cannot connect (permanent)"))
        )
        assert.isUndefined(starting.pollUnsafe())
        yield* outside.query("alter role rotated password 'new'")
        assert.strictEqual(yield* Effect.timeout(Fiber.join(starting), "3 seconds"), "rotated")
      })
    )

    it.effect("asks for the password anew for each connection", () =>
      Effect.gen(function* () {
        let asked = 0
        const password = Effect.sync(() => {
          asked++
          return Redacted.make("right")
        })
        const connector = Postgres.connector({ ...(yield* at), username: "app", password })
        const pool = yield* ConnectionPool.make(connector, { minConnections: 3, maxConnections: 3 })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 3)
        assert.strictEqual(asked, 3)
      })
    )

    it.effect(
      "keeps who is connected when the password is rotated, and lets the next one in with the new password",
      () =>
        Effect.gen(function* () {
          const { url } = yield* SecureServer
          const outside = yield* PgConnection.make({ url: Redacted.make(url) })
          yield* outside.query("create role rolling login password 'first'")
          let current = "first"
          const password = Effect.sync(() => Redacted.make(current))
          const connector = Postgres.connector({ ...(yield* at), username: "rolling", password })
          const config: Input = { ...single, retry: { initial: "10 millis", max: "100 millis" } }
          const pool = yield* ConnectionPool.make(connector, config).pipe(Effect.provide(logged().layer))
          assert.strictEqual(yield* ConnectionPool.use(pool, whoAmI), "rolling")
          yield* outside.query("alter role rolling password 'second'")
          assert.strictEqual(yield* ConnectionPool.use(pool, whoAmI), "rolling")
          assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
          yield* ConnectionPool.recycle(pool)
          const { lastFailure } = yield* eventually(
            ConnectionPool.status(pool),
            (status) => status.lastFailure !== undefined
          )
          assert.strictEqual(lastFailure?.kind, "permanent")
          current = "second"
          assert.strictEqual(yield* ConnectionPool.use(pool, whoAmI), "rolling")
        })
    )
  })

  describe.skipIf(!Certificate.hasOpenssl)(Certificate.titled("TLS"), () => {
    const isEncrypted = (connection: Connection) =>
      valueOf(connection, "select ssl from pg_stat_ssl where pid = pg_backend_pid()")

    it.effect("encrypts, with the authority and the server's name it is given", () =>
      Effect.gen(function* () {
        const { ca } = yield* SecureServer
        const ssl = { ca, servername: "database.test" }
        const options = { ...(yield* at), username: "encrypted", ssl }
        const pool = yield* ConnectionPool.make(Postgres.connector(options), { ...single, startup: "failFast" })
        assert.isTrue(yield* ConnectionPool.use(pool, isEncrypted))
      })
    )

    it.effect("keeps the connection of a statement that was cancelled over TLS", () =>
      Effect.gen(function* () {
        const { ca } = yield* SecureServer
        const ssl = { ca, servername: "database.test" }
        const connector = Postgres.connector({ ...(yield* at), username: "encrypted", ssl })
        const pool = yield* ConnectionPool.make(connector, single)
        const statement = ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(60)"))
        for (let n = 0; n < 10; n++) yield* Effect.flip(Effect.timeout(statement, 30))
        assert.isTrue(yield* ConnectionPool.use(pool, isEncrypted))
        const { closed, created } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
      })
    )

    it.effect("notices over TLS too that an idle connection died", () =>
      Effect.gen(function* () {
        const { ca, url } = yield* SecureServer
        const outside = yield* PgConnection.make({ url: Redacted.make(url) })
        const ssl = { ca, servername: "database.test" }
        const connector = Postgres.connector({ ...(yield* at), username: "encrypted", ssl })
        const pool = yield* ConnectionPool.make(connector, single)
        yield* outside.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'encrypted'")
        const { created } = yield* eventually(
          ConnectionPool.status(pool),
          ({ closed, idle }) => closed === 1 && idle === 1
        )
        assert.strictEqual(created, 2)
      })
    )

    it.effect("interrupts a query over TLS and lends the connection on", () =>
      Effect.gen(function* () {
        const { ca } = yield* SecureServer
        const ssl = { ca, servername: "database.test" }
        const connector = Postgres.connector({ ...(yield* at), username: "encrypted", ssl })
        const pool = yield* ConnectionPool.make(connector, single)
        const slow = ConnectionPool.use(pool, (connection) => connection.query("select pg_sleep(60)"))
        yield* Effect.timeoutOption(slow, "100 millis")
        assert.isTrue(yield* ConnectionPool.use(pool, isEncrypted))
      })
    )

    it.effect.each([
      { name: "is not trusted", ssl: () => true },
      { name: "comes from another authority", ssl: ({ otherCa }: { otherCa: string }) => ({ ca: otherCa }) },
      {
        name: "is another server's",
        ssl: ({ ca }: { ca: string }) => ({ ca, servername: "elsewhere.test" })
      }
    ])("a certificate that $name is a permanent failure", ({ ssl }) =>
      Effect.gen(function* () {
        const options = { ...(yield* at), username: "encrypted", ssl: ssl(yield* SecureServer) }
        const error = yield* connectFailure(options)
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent", error.message)
      })
    )

    it.effect("a certificate that is not trusted is a permanent failure with sslmode=require in the url", () =>
      Effect.gen(function* () {
        const { url } = yield* SecureServer
        const error = yield* connectFailure({ url: `${url}?sslmode=require` })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent", error.message)
      })
    )

    it.effect("a server that insists on TLS is a permanent failure for whoever comes without", () =>
      Effect.gen(function* () {
        const error = yield* connectFailure({ ...(yield* at), username: "encrypted", ssl: false })
        assert.strictEqual(error._tag === "ConnectError" ? error.kind : error._tag, "permanent", error.message)
        assert.include(error.message, "no encryption")
      })
    )
  })
})
