/** Connecting to SurrealDB: who one is, what a failure means, what is told of it, limits, TLS, and many callers at once. */
import { createNodeEngines } from "@surrealdb/node"
import { assert, describe, it, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Redacted, Ref } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { applyDiagnostics, type DriverContext, Surreal, type SurrealEngine } from "surrealdb"
import { WebSocket } from "ws"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as SurrealDb from "../../src/connectors/SurrealDb.ts"
import { DatabaseConnection } from "../../src/index.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import * as Certificate from "../support/Certificate.ts"
import { eventually } from "../support/Eventually.ts"
import * as SurrealServer from "../support/SurrealServer.ts"
import {
  asOwner,
  type Connection,
  connectFailure,
  connectorFor,
  counts,
  live,
  makePool,
  modes,
  onServer,
  place,
  root,
  Server,
  serverWith,
  silent,
  single,
  valueOf
} from "./Surreal.ts"

const kindOf = (error: ConnectError | PoolConfigError) => (error._tag === "ConnectError" ? error.kind : error._tag)

const fieldsOf = (error: ConnectError | PoolConfigError) =>
  error._tag === "PoolConfigError" ? error.problems.map(({ field }) => field) : []

type Pool = ConnectionPool.ConnectionPool<Connection>

const ask = (pool: Pool, sql: string, bindings?: Readonly<Record<string, unknown>>) =>
  ConnectionPool.use(pool, (connection) => valueOf(connection, sql, bindings))

const impl = WebSocket as unknown as typeof globalThis.WebSocket

/** A token, as programs get theirs from elsewhere. */
const tokenOf = (username: string) =>
  Effect.flatMap(Server, ({ password, url }) =>
    Effect.promise(async () => {
      const surreal = new Surreal({ websocketImpl: impl })
      await surreal.connect(url)
      const { access } = await surreal.signin({ username, password })
      await surreal.close()
      return Redacted.make(access)
    })
  )

/** A port that nobody listens on: of a server that is gone. */
const silentPort = Effect.scoped(Effect.map(SurrealServer.make(), ({ port }) => port))

describe("SurrealDb.connector: what is wrong with it", () => {
  it.live("is told at once, with every wrong field", () =>
    Effect.gen(function* () {
      const error = yield* connectFailure(
        { url: "postgres://localhost/app", namespace: "", database: "" },
        { maxConnections: 0 }
      )
      assert.sameMembers(fieldsOf(error), ["url", "namespace", "database", "maxConnections"])
    })
  )

  it.live.each([
    { url: "http://localhost:8000", field: "url" },
    { url: "not a url", field: "url" },
    { url: "ws://root:secret-word@localhost:8000/rpc", field: "url" },
    { url: "mem://", mode: "socketPerConnection" as const, field: "mode" },
    { url: "ws://localhost:8000", ssl: {}, field: "ssl" },
    { url: "mem://", authentication: { username: "a", password: "b", database: "app" }, field: "authentication" }
  ])("$field: $url", ({ field, ...options }) =>
    Effect.gen(function* () {
      const error = yield* connectFailure({ ...place, ...options })
      assert.deepStrictEqual(fieldsOf(error), [field])
      assert.notInclude(error.message, "secret-word")
    })
  )

  it.live("is told by open too", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SurrealDb.open({ url: "nothing://", ...place }))
      assert.strictEqual(error._tag, "PoolConfigError")
    }).pipe(Effect.scoped)
  )
})

onServer("SurrealDb.connector", () => {
  describe.concurrent("in this process", () => {
    it.live("keeps a database in memory while its only connection is replaced", () =>
      Effect.gen(function* () {
        const connector = SurrealDb.connector({ url: "mem://", ...place })
        const pool = yield* ConnectionPool.make(connector, { ...single, maxUses: 1 })
        yield* ask(pool, "CREATE kept:1")
        const rows = yield* ask(pool, "SELECT VALUE record::id(id) FROM kept")
        const { closed } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([rows, closed > 0], [[1], true])
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("closes its engine after its last connection", () =>
      Effect.gen(function* () {
        const opened: Array<SurrealEngine> = []
        const ended: Array<string> = []
        const mem = (context: DriverContext) => {
          const engine = createNodeEngines()["mem"]!(context)
          engine.subscribe("disconnected", () => ended.push("disconnected"))
          opened.push(engine)
          return engine
        }
        const connector = SurrealDb.connector({ url: "mem://", ...place, engines: { mem } })
        yield* Effect.scoped(
          Effect.flatMap(ConnectionPool.make(connector, { minConnections: 3 }), (pool) => ask(pool, "RETURN 1"))
        )
        yield* eventually(
          Effect.sync(() => ended.length),
          (length) => length > 0
        )
        assert.strictEqual(opened.length, 1)
      }).pipe(Effect.provide(silent))
    )

    it.live("gives pools on one engine each its own identity", () =>
      Effect.gen(function* () {
        const engine = yield* SurrealDb.open({ url: "mem://", ...place })
        const owners = yield* ConnectionPool.make(SurrealDb.connectorOn(engine, place), single)
        yield* ask(owners, "DEFINE USER viewer ON DATABASE PASSWORD 'secret-word' ROLES VIEWER; DEFINE TABLE thing")
        const authentication = { ...place, username: "viewer", password: Redacted.make("secret-word") }
        const viewers = yield* ConnectionPool.make(SurrealDb.connectorOn(engine, { ...place, authentication }), single)
        yield* ask(owners, "CREATE thing:1")
        yield* Effect.ignore(ask(viewers, "CREATE thing:2"))
        const seen = yield* ask(viewers, "SELECT VALUE record::id(id) FROM thing")
        const identities = [yield* ask(viewers, "RETURN $token.ID"), yield* ask(owners, "RETURN $token.ID ?? NONE")]
        assert.deepStrictEqual([seen, identities], [[1], ["viewer", undefined]])
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("makes nobody the owner of the engine whose token has expired, neither held nor replaced", () =>
      Effect.gen(function* () {
        const engine = yield* SurrealDb.open({ url: "mem://", ...place })
        const owners = yield* ConnectionPool.make(SurrealDb.connectorOn(engine, place), single)
        yield* ask(
          owners,
          "DEFINE USER fleeting ON DATABASE PASSWORD 'secret-word' ROLES VIEWER DURATION FOR TOKEN 1s, FOR SESSION 1h"
        )
        const authentication = { ...place, username: "fleeting", password: "secret-word" }
        const viewers = yield* ConnectionPool.make(SurrealDb.connectorOn(engine, { ...place, authentication }), single)
        const whoAmI = "RETURN $token.ID ?? 'the owner'"
        const held = ConnectionPool.use(viewers, (connection) =>
          eventually(valueOf(connection, whoAmI), (identity) => identity !== "fleeting")
        )
        const error = yield* Effect.flip(held)
        const after = yield* ask(viewers, whoAmI)
        assert.deepInclude(error, { _tag: "SurrealDbError", kind: "Closed" })
        assert.strictEqual(after, "fleeting")
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("signs in anew where a token is not taken any more, and leaves no session of what fails", () =>
      Effect.gen(function* () {
        let raw: SurrealEngine | undefined = undefined
        const mem = (context: DriverContext) => (raw = createNodeEngines()["mem"]!(context))
        const engine = yield* SurrealDb.open({ url: "mem://", ...place, engines: { mem } })
        const owners = yield* ConnectionPool.make(SurrealDb.connectorOn(engine, place), single)
        const define = (password: string) =>
          ask(owners, `DEFINE USER OVERWRITE viewer ON DATABASE PASSWORD '${password}' ROLES VIEWER`)
        yield* define("old")
        const secret = yield* Ref.make("old")
        const authentication = Effect.map(Ref.get(secret), (password) => ({ ...place, username: "viewer", password }))
        const connector = SurrealDb.connectorOn(engine, { ...place, authentication })
        const sessions = Effect.promise(async () => (await raw!.sessions()).length)
        const whoAmI = Effect.scoped(
          Effect.flatMap(connector.connect, (connection) => valueOf(connection, "RETURN $token.ID"))
        )
        const first = yield* whoAmI
        const before = yield* sessions
        yield* define("new")
        const error = yield* Effect.flip(whoAmI)
        const left = (yield* sessions) - before
        yield* Ref.set(secret, "new")
        assert.deepInclude(error, { detail: "InvalidAuth" })
        assert.deepStrictEqual([first, left, yield* whoAmI], ["viewer", 0, "viewer"])
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("refuses engines that hide what their sessions do", () =>
      Effect.gen(function* () {
        const engines = applyDiagnostics(createNodeEngines(), () => {})
        const error = yield* connectFailure({ url: "mem://", ...place, engines })
        assert.strictEqual(kindOf(error), "permanent")
        assert.include(error.message, "applyDiagnostics")
      })
    )

    it.live("a wrong password on an engine is a permanent failure, and is not shown", () =>
      Effect.gen(function* () {
        const engine = yield* SurrealDb.open({ url: "mem://", ...place })
        const connector = SurrealDb.connectorOn(engine, { ...place, authentication: root("secret-word") })
        const error = yield* Effect.flip(ConnectionPool.make(connector, { ...single, startup: "failFast" }))
        assert.strictEqual(kindOf(error), "permanent")
        assert.notInclude(JSON.stringify(error), "secret-word")
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("an engine that cannot be opened says so, and does not hang", () =>
      Effect.gen(function* () {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-file-"))
        const file = path.join(folder, "file")
        fs.writeFileSync(file, "no database")
        const error = yield* connectFailure(
          { url: `surrealkv://${file}/below`, ...place },
          { connectTimeout: "5 seconds" }
        )
        fs.rmSync(folder, { recursive: true })
        assert.strictEqual(error._tag, "ConnectError")
        assert.notInclude(error.message, "5s")
      })
    )
  })

  layer(serverWith(), live)("on a server", (it) => {
    it.effect.each([
      { name: "the root", authentication: (password: string) => root(password), as: "root" },
      {
        name: "a user of the database, with a redacted password",
        authentication: (password: string) => ({ ...place, username: "editor", password: Redacted.make(password) }),
        as: "editor"
      },
      {
        name: "whoever an effect says",
        authentication: (password: string) => Effect.succeed(root(password)),
        as: "root"
      }
    ])("signs in as $name", ({ as, authentication }) =>
      Effect.gen(function* () {
        const { password } = yield* Server
        const pool = yield* makePool(single, { authentication: authentication(password) })
        assert.strictEqual(yield* ask(pool, "RETURN $token.ID"), as)
      })
    )

    it.effect("signs in as a record user", () =>
      Effect.gen(function* () {
        yield* asOwner(`
          DEFINE TABLE IF NOT EXISTS account;
          DEFINE ACCESS IF NOT EXISTS account ON DATABASE TYPE RECORD
            SIGNIN (SELECT * FROM account WHERE name = $name AND secret = $secret) DURATION FOR TOKEN 1h;
          UPSERT account:ada SET name = 'Ada', secret = 'lovelace'
        `)
        const variables = { name: "Ada", secret: Redacted.make("lovelace") }
        const pool = yield* makePool(single, { authentication: { access: "account", variables } })
        assert.strictEqual(String(yield* ask(pool, "RETURN $token.ID")), "account:ada")
      })
    )

    it.effect("signs in with a token", () =>
      Effect.gen(function* () {
        const pool = yield* makePool(single, { authentication: yield* tokenOf("root") })
        assert.strictEqual(yield* ask(pool, "RETURN $token.ID"), "root")
      })
    )

    it.effect("signs in again before its token expires, on the same connection", () =>
      Effect.gen(function* () {
        const { password } = yield* Server
        let asked = 0
        const authentication = Effect.sync(() => {
          asked++
          return { username: "fleeting", password }
        })
        const pool = yield* makePool(single, { authentication })
        const before = asked
        // One for the socket and one for the session on it.
        yield* eventually(
          Effect.sync(() => asked),
          (times) => times >= before + 2
        )
        const identity = yield* ask(pool, "RETURN $token.ID")
        const { created } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([identity, created], ["fleeting", 1])
      })
    )

    it.effect("lends no connection whose token has expired for good, to nobody an anonymous one", () =>
      Effect.gen(function* () {
        const token = yield* tokenOf("fleeting")
        const pool = yield* makePool({ ...single, acquireTimeout: "300 millis" }, { authentication: token })
        const { closed } = yield* eventually(ConnectionPool.status(pool), ({ closed }) => closed > 0)
        const error = yield* Effect.flip(ask(pool, "RETURN $token.ID"))
        const { lastFailure } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([closed, error._tag, lastFailure?.kind], [1, "AcquireTimeout", "permanent"])
      })
    )

    it.effect("leaves no timer of the SDK behind with a session that is replaced", () =>
      Effect.gen(function* () {
        const pool = yield* makePool({ ...single, maxUses: 1_000_000 })
        const timers = Effect.sync(() => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length)
        const soil = ConnectionPool.use(pool, (connection) => connection.use((session) => session.set("x", 1)))
        yield* soil
        const before = yield* timers
        yield* Effect.replicateEffect(soil, 50)
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 1)
        assert.isBelow((yield* timers) - before, 5)
      })
    )

    it.effect("knows the identity in a transaction of one request, and the server does not in one of several", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        const inOne = ConnectionPool.use(pool, (connection) => connection.query("BEGIN; $token.ID; COMMIT"))
        const inSeveral = ConnectionPool.use(pool, (connection) =>
          connection.transaction((transaction) => transaction.query("$token.ID"))
        )
        assert.deepStrictEqual([(yield* inOne)[1], (yield* inSeveral)[0] ?? "nobody"], ["root", "nobody"])
      })
    )

    it.effect("reads itself from Config", () =>
      Effect.gen(function* () {
        const { password, url } = yield* Server
        const provider = ConfigProvider.fromUnknown({
          DB_URL: url,
          DB_NAMESPACE: "app",
          DB_DATABASE: "app",
          DB_USERNAME: "editor",
          DB_PASSWORD: password,
          DB_LEVEL: "database",
          DB_MODE: "sharedSocket"
        })
        const connector = yield* SurrealDb.config("DB").parse(provider)
        const pool = yield* Effect.provide(ConnectionPool.make(connector, { minConnections: 3 }), silent)
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 3)
        const { sockets } = yield* counts
        assert.deepStrictEqual([yield* ask(pool, "RETURN $token.ID"), sockets], ["editor", 1])
      })
    )

    it.effect("a wrong password is a permanent failure, and is not shown", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const error = yield* connectFailure({ url, ...place, authentication: root("secret-word") })
        assert.strictEqual(kindOf(error), "permanent")
        assert.notInclude(`${error.message}${JSON.stringify(error)}`, "secret-word")
      })
    )

    it.effect("a token that is none is a permanent failure, and is not shown", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const error = yield* connectFailure({ url, ...place, authentication: Redacted.make("secret-word") })
        assert.strictEqual(kindOf(error), "permanent")
        assert.notInclude(`${error.message}${JSON.stringify(error)}`, "secret-word")
      })
    )

    it.effect("an effect for the credentials that fails is a transient failure", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const error = yield* connectFailure({ url, ...place, authentication: Effect.fail("the vault is closed") })
        assert.strictEqual(kindOf(error), "transient")
        assert.include(error.message, "credentials")
      })
    )

    it.effect("a server that is not there is a transient failure, which the SDK alone would wait for", () =>
      Effect.gen(function* () {
        const port = yield* silentPort
        const error = yield* connectFailure({ url: `ws://127.0.0.1:${port}/rpc`, ...place })
        assert.strictEqual(kindOf(error), "transient")
        assert.include(error.message, "ECONNREFUSED")
      })
    )

    it.effect("parameters are not shown in the error of a statement", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        const bindings = { person: { name: "secret-word", age: 48_151_623 } }
        const thrown = yield* Effect.flip(ask(pool, "THROW $person.name", bindings))
        const typed = yield* Effect.flip(ask(pool, "RETURN <datetime> $person.age", bindings))
        const shown = [thrown, typed].map((error) => `${error.message} ${JSON.stringify(error)}`).join()
        assert.include(shown, "<hidden>")
        assert.notMatch(shown, /secret-word|48151623/)
      })
    )

    it.effect("a statement that fails takes the blame for its transaction", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        const error = yield* Effect.flip(ask(pool, "BEGIN; CREATE one:1; THROW 'this one'; CREATE one:2; COMMIT"))
        assert.deepInclude(error, { _tag: "SurrealDbError", operation: "query", kind: "Thrown" })
        assert.include(error.message, "this one")
      })
    )

    it.effect("an error of a statement leaves the connection as it is", () =>
      Effect.gen(function* () {
        const pool = yield* makePool()
        yield* Effect.flip(ask(pool, "SELECT FROM WHERE"))
        yield* ask(pool, "RETURN 1")
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
      })
    )

    it.effect("a query past its timeout fails, and its caller gets another connection at once", () =>
      Effect.gen(function* () {
        const connector = DatabaseConnection.connector(yield* connectorFor(), SurrealDb.queries)
        const pool = yield* Effect.provide(ConnectionPool.make(connector, { ...single, queryTimeout: 100 }), silent)
        const query = (sql: string, params?: ReadonlyArray<unknown>) =>
          ConnectionPool.use(pool, (connection) => connection.query(sql, params))
        const error = yield* Effect.flip(query("SLEEP 10s"))
        const answer = yield* Effect.timeout(query("RETURN $p1", ["next"]), "2 seconds")
        assert.deepInclude(error, { _tag: "QueryTimeout", outcome: "abandoned" })
        assert.deepStrictEqual(answer, ["next"])
      })
    )

    it.effect("a TIMEOUT clause ends a statement on the server, and its connection goes on", () =>
      Effect.gen(function* () {
        yield* asOwner("UPSERT slow:1")
        const pool = yield* makePool()
        const error = yield* Effect.flip(ask(pool, "SELECT * FROM slow WHERE sleep(1s) TIMEOUT 50ms"))
        yield* ask(pool, "RETURN 1")
        const { created } = yield* ConnectionPool.status(pool)
        assert.deepInclude(error, { kind: "Query", detail: "TimedOut" })
        assert.strictEqual(created, 1)
      })
    )

    it.effect("a slow network delays everybody, and confuses nobody", () =>
      Effect.gen(function* () {
        class Slow extends WebSocket {
          override send(data: Parameters<WebSocket["send"]>[0]) {
            setTimeout(() => super.send(data), 10 + 20 * Math.random())
          }
        }
        const config = { minConnections: 3, maxConnections: 3 }
        const websocketImpl = Slow as unknown as typeof globalThis.WebSocket
        const pool = yield* makePool(config, { mode: "sharedSocket", websocketImpl })
        const numbers = Array.from({ length: 60 }, (_, n) => n)
        const answers = yield* Effect.forEach(numbers, (n) => ask(pool, "RETURN $n", { n }), { concurrency: 20 })
        assert.deepStrictEqual(answers, numbers)
      })
    )

    for (const mode of modes) {
      it.effect(`serves 1,000 clients with 10 connections, with mode: "${mode}"`, () =>
        Effect.gen(function* () {
          yield* asOwner("REMOVE TABLE IF EXISTS sale; DEFINE TABLE sale")
          const pool = yield* makePool(
            { minConnections: 10, maxConnections: 10, acquireTimeout: "20 seconds" },
            { mode }
          )
          const sell = (nonce: number) =>
            ConnectionPool.use(pool, (connection) =>
              connection.transaction((transaction) =>
                Effect.gen(function* () {
                  const [sale] = yield* transaction.query<[{ nonce: number }]>("CREATE ONLY sale SET nonce = $nonce", {
                    nonce
                  })
                  // Every fifth one changes his mind, or loses patience.
                  if (nonce % 10 === 0) return yield* Effect.fail("changed his mind")
                  if (nonce % 10 === 5) return yield* Effect.interrupt
                  return sale.nonce
                })
              )
            )
          const nonces = Array.from({ length: 1000 }, (_, n) => n + 1)
          const sold = yield* Effect.forEach(nonces, (nonce) => Effect.exit(sell(nonce)), { concurrency: "unbounded" })
          const wrong = sold.filter((exit, n) => exit._tag === "Success" && exit.value !== n + 1)
          const [total] = (yield* asOwner("SELECT count() AS count, math::sum(nonce) AS sum FROM sale GROUP ALL")) as [
            object
          ]
          yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 10)
          const expected = nonces.filter((nonce) => nonce % 5 !== 0)
          const { transactions } = yield* counts
          assert.deepStrictEqual(
            { wrong, total, transactions },
            {
              wrong: [],
              total: { count: expected.length, sum: expected.reduce((sum, nonce) => sum + nonce, 0) },
              transactions: 0
            }
          )
        })
      )
    }
  })

  // Each has a server of its own, and waits for it.
  describe.concurrent("on a server of another kind", () => {
    it.live("is not kept waiting by one that answers nothing, and leaves it alone", () =>
      Effect.gen(function* () {
        const server = yield* SurrealServer.make({ isMute: true })
        const options = { url: server.url, ...place, authentication: root(server.password) }
        const error = yield* connectFailure(options, { connectTimeout: "200 millis" })
        const { sockets } = yield* eventually(server.counts, ({ sockets }) => sockets === 0)
        assert.deepStrictEqual([kindOf(error), sockets], ["transient", 0])
      }).pipe(Effect.scoped)
    )

    it.live("serves everybody within the server's limit of sockets", () =>
      Effect.gen(function* () {
        const server = yield* SurrealServer.make({ maxSockets: 3 })
        const connector = SurrealDb.connector({ url: server.url, ...place, authentication: root(server.password) })
        const pool = yield* ConnectionPool.make(connector, { minConnections: 1, maxConnections: 8 })
        const numbers = [1, 2, 3]
        const held = yield* Effect.forEach(numbers, () => ConnectionPool.acquire(pool), { concurrency: 3 }).pipe(
          Effect.andThen(
            Effect.gen(function* () {
              const fourth = yield* Effect.forkChild(ask(pool, "RETURN 4"))
              const status = ConnectionPool.status(pool)
              const { lastFailure } = yield* eventually(status, ({ limit }) => limit < 8)
              return { fourth, lastFailure }
            })
          ),
          Effect.scoped
        )
        const answer = yield* Fiber.join(held.fourth)
        assert.deepStrictEqual([held.lastFailure?.reason, answer], ["too_many_connections", 4])
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("replaces what a server drops after a second without a word", () =>
      Effect.gen(function* () {
        const server = yield* SurrealServer.make({ idleMillis: 1000 })
        const connector = SurrealDb.connector({ url: server.url, ...place, authentication: root(server.password) })
        const pool = yield* ConnectionPool.make(connector, { minConnections: 2, maxConnections: 2 })
        yield* eventually(ConnectionPool.status(pool), ({ closed, idle }) => closed >= 2 && idle === 2)
        assert.strictEqual(yield* ask(pool, "RETURN 1"), 1)
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    it.live("waits for a rotated password, and goes on by itself", () =>
      Effect.gen(function* () {
        const server = yield* SurrealServer.make()
        const password = yield* Ref.make("correct-horse")
        const connector = SurrealDb.connector({
          url: server.url,
          ...place,
          authentication: Effect.map(Ref.get(password), root)
        })
        const config = { ...single, retry: { initial: "10 millis", max: "200 millis" } } as const
        const pool = yield* ConnectionPool.make(connector, config)
        yield* server.kill
        yield* server.start("rotated")
        yield* eventually(ConnectionPool.status(pool), ({ lastFailure }) => lastFailure?.kind === "permanent")
        yield* Ref.set(password, "rotated")
        assert.strictEqual(yield* ask(pool, "RETURN 1"), 1)
      }).pipe(Effect.scoped, Effect.provide(silent))
    )

    const tls = Certificate.hasOpenssl ? it.live : it.live.skip
    tls(Certificate.titled("follows a replaced certificate only to one that it trusts"), () =>
      Effect.gen(function* () {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-tls-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => fs.rmSync(folder, { recursive: true })))
        const trusted = Certificate.make(folder, "localhost")!
        const [stranger, again] = [path.join(folder, "stranger"), path.join(folder, "again")]
        fs.mkdirSync(stranger)
        fs.mkdirSync(again)
        const other = Certificate.make(stranger, "localhost")!
        const next = Certificate.make(again, "localhost")!
        const shown = { cert: path.join(folder, "shown.crt"), key: path.join(folder, "shown.key") }
        const show = ({ cert, key }: { readonly cert: string; readonly key: string }) =>
          Effect.sync(() => {
            fs.copyFileSync(cert, shown.cert)
            fs.copyFileSync(key, shown.key)
          })
        yield* show(trusted)
        const server = yield* SurrealServer.make({ tls: shown })
        const url = server.url.replace("127.0.0.1", "localhost")
        const ca = [trusted.cert, next.cert].map((file) => fs.readFileSync(file, "utf8"))
        const connector = SurrealDb.connector({ url, ...place, authentication: root(server.password), ssl: { ca } })
        const config = { ...single, retry: { initial: "10 millis", max: "200 millis" } } as const
        const pool = yield* ConnectionPool.make(connector, config)
        const restartWith = (certificate: typeof trusted) =>
          Effect.andThen(server.kill, Effect.andThen(show(certificate), server.start()))
        yield* restartWith(other)
        const { lastFailure } = yield* eventually(
          ConnectionPool.status(pool),
          ({ lastFailure }) => lastFailure?.kind === "permanent"
        )
        yield* restartWith(next)
        assert.deepStrictEqual([lastFailure?.reason, yield* ask(pool, "RETURN 1")], ["tls", 1])
      }).pipe(Effect.scoped, Effect.provide(silent))
    )
  })
})
