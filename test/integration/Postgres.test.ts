import { assert, describe, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted, Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Connector from "../../src/Connector.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { Input } from "../../src/PoolConfig.ts"
import { eventually } from "../support/Eventually.ts"
import { backendPid, live, makePool, observer, Server, serverWith, sessionsOf, single, valueOf } from "./Server.ts"

layer(serverWith(), live)("Postgres.connector", (it) => {
  describe("connecting", () => {
    it.effect("connects by url", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const pool = yield* ConnectionPool.make(Postgres.connector({ url }), single)
        const { rows } = yield* ConnectionPool.use(pool, (connection) =>
          connection.query("select current_user as who, current_database() as database, $1::int + 1 as two", [1])
        )
        assert.deepStrictEqual(rows, [{ who: "postgres", database: "postgres", two: 2 }])
      })
    )

    it.effect("connects by a redacted url", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const pool = yield* ConnectionPool.make(Postgres.connector({ url: Redacted.make(url) }), single)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
      })
    )

    it.effect("connects by fields", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const fields = { host: "127.0.0.1", port, database: "template1", username: "postgres" }
        const pool = yield* ConnectionPool.make(Postgres.connector(fields), single)
        const database = yield* ConnectionPool.use(pool, (connection) =>
          valueOf(connection, "select current_database()")
        )
        assert.strictEqual(database, "template1")
      })
    )

    it.effect("takes a field rather than what the url says", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const pool = yield* ConnectionPool.make(Postgres.connector({ url, database: "template1" }), single)
        const database = yield* ConnectionPool.use(pool, (connection) =>
          valueOf(connection, "select current_database()")
        )
        assert.strictEqual(database, "template1")
      })
    )

    it.effect("connects through the directory of a Unix socket", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const host = String(yield* valueOf(yield* observer, "show unix_socket_directories"))
        const pool = yield* ConnectionPool.make(Postgres.connector({ host, port, username: "postgres" }), single)
        const address = yield* ConnectionPool.use(pool, (connection) =>
          valueOf(connection, "select inet_client_addr()")
        )
        assert.isNull(address)
      })
    )

    it.effect("names the pool by server and database, unless it is given a name", () =>
      Effect.gen(function* () {
        const { port, url } = yield* Server
        const byServer = yield* ConnectionPool.make(Postgres.connector({ url }), single)
        const byName = yield* ConnectionPool.make(Postgres.connector({ url, name: "orders" }), single)
        assert.strictEqual(byServer.name, `127.0.0.1:${port}/postgres`)
        assert.strictEqual(byName.name, "orders")
      })
    )

    it.effect("shows its application_name to the server: effect-pool, or the one it is given", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const named = yield* ConnectionPool.make(Postgres.connector({ url, applicationName: "orders service" }), single)
        const unnamed = yield* ConnectionPool.make(Postgres.connector({ url }), single)
        const onServer = "select application_name from pg_stat_activity where pid = pg_backend_pid()"
        assert.strictEqual(yield* ConnectionPool.use(named, (c) => valueOf(c, onServer)), "orders service")
        assert.strictEqual(yield* ConnectionPool.use(unnamed, (c) => valueOf(c, onServer)), "effect-pool")
      })
    )

    it.effect("sends its startup parameters with every connection", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("startup parameters", single, { startupParameters: { statement_timeout: "7s" } })
        assert.strictEqual(yield* ConnectionPool.use(pool, (c) => valueOf(c, "show statement_timeout")), "7s")
      })
    )

    it.effect("opens minConnections ahead of need, and no more", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("ahead of need", { minConnections: 3, maxConnections: 10 })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 3)
        assert.strictEqual((yield* sessionsOf(outside, "ahead of need")).length, 3)
        assert.strictEqual((yield* ConnectionPool.status(pool)).acquired, 0)
      })
    )

    it.effect("checks a connection that rested with one cheap statement, on the same session", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("checked", { ...single, checkAfterIdle: 0 })
        const pid = yield* ConnectionPool.use(pool, backendPid)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* ConnectionPool.lease(pool)
            assert.strictEqual(lease.connection.processId, pid)
            const sessions = yield* sessionsOf(outside, "checked")
            assert.deepStrictEqual(
              sessions.map(({ query }) => query),
              ["select 1"]
            )
          })
        )
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
      })
    )

    it.effect("lends a connection that was used a moment ago without asking the server", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("unchecked", { ...single, checkAfterIdle: "1 minute" })
        yield* ConnectionPool.use(pool, (connection) => connection.query("select 'the last statement'"))
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* ConnectionPool.acquire(pool)
            const sessions = yield* sessionsOf(outside, "unchecked")
            assert.deepStrictEqual(
              sessions.map(({ query }) => query),
              ["select 'the last statement'"]
            )
          })
        )
      })
    )

    it.effect("closes every session on the server when the pool's scope closes", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(makePool("closing", { minConnections: 4, maxConnections: 4 }), scope)
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 4)
        assert.strictEqual((yield* sessionsOf(outside, "closing")).length, 4)
        yield* Scope.close(scope, yield* Effect.exit(Effect.void))
        yield* eventually(sessionsOf(outside, "closing"), (sessions) => sessions.length === 0)
        const { created, closed, state, total } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ created, closed, state, total }, { created: 4, closed: 4, state: "closed", total: 0 })
        const refused = yield* Effect.flip(ConnectionPool.use(pool, backendPid))
        assert.strictEqual(refused._tag, "PoolClosed")
      })
    )

    it.effect("closes a session under its borrower when drainTimeout has passed", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const scope = yield* Scope.make()
        const pool = yield* Scope.provide(makePool("draining", { ...single, drainTimeout: "50 millis" }), scope)
        yield* ConnectionPool.acquire(pool)
        yield* Scope.close(scope, yield* Effect.exit(Effect.void))
        yield* eventually(sessionsOf(outside, "draining"), (sessions) => sessions.length === 0)
      })
    )
  })

  describe("configuration", () => {
    /** Counts the attempts of a connector to connect. */
    const counted = (options: Postgres.Options) => {
      const attempts = { count: 0 }
      const connector = Postgres.connector(options)
      const connect = Effect.suspend(() => {
        attempts.count++
        return connector.connect
      })
      return { attempts, connector: Connector.make({ ...connector, connect }) }
    }

    /** The process belongs to nobody, as in a container. */
    const withoutUser = Effect.acquireRelease(
      Effect.sync(() => {
        const { USER, USERNAME } = process.env
        delete process.env["USER"]
        delete process.env["USERNAME"]
        return { USER, USERNAME }
      }),
      (before) =>
        Effect.sync(() => {
          for (const [name, value] of Object.entries(before)) if (value !== undefined) process.env[name] = value
        })
    )

    it.effect("names everything that is wrong in one PoolConfigError, shows no password and opens nothing", () =>
      Effect.gen(function* () {
        const { attempts, connector } = counted({ url: "postgres://app:s3cret@db.example:99999/app", port: 0 })
        const config: Input = { minConnections: 5, maxConnections: 2, acquireTimeout: -1, environment: "moon" }
        const error = yield* Effect.flip(ConnectionPool.make(connector, config))
        assert.strictEqual(error._tag, "PoolConfigError")
        if (error._tag !== "PoolConfigError") return
        const fields = error.problems.map(({ field }) => field).sort()
        assert.deepStrictEqual(fields, ["acquireTimeout", "environment", "minConnections", "port", "url"])
        for (const field of fields) assert.include(error.message, `${field}: got`)
        assert.notInclude(error.message, "s3cret")
        assert.notInclude(JSON.stringify(error), "s3cret")
        assert.strictEqual(attempts.count, 0)
      })
    )

    it.effect.each([
      "not a url",
      "postgres://app:s3cret@db.example:port/app",
      "mysql://app:s3cret@db.example/app",
      "http://app:s3cret@db.example/app",
      "postgres://app:s3cret@[::1/app",
      "s3cret",
      ""
    ])("refuses the url %j without showing its password", (url) =>
      Effect.gen(function* () {
        const { attempts, connector } = counted({ url: Redacted.make(url) })
        const error = yield* Effect.flip(ConnectionPool.make(connector))
        assert.strictEqual(error._tag, "PoolConfigError")
        assert.include(error.message, "url: got")
        assert.notInclude(error.message, "s3cret")
        assert.strictEqual(attempts.count, 0)
      })
    )

    it.effect.each([
      [
        "?sslmode=bogus",
        "  url: got sslmode=bogus, expected sslmode to be disable, allow, prefer, require, verify-ca, verify-full"
      ],
      ["?connect_timeout=soon", "  url: got connect_timeout=soon, expected connect_timeout in whole seconds"],
      ["/%zz", `  url: got a malformed URL (not shown), expected a URL like "postgres://user@host:5432/database"`]
    ])("refuses what the driver would refuse at every attempt: %s", ([end, problem]) =>
      Effect.gen(function* () {
        const { attempts, connector } = counted({ url: `postgres://app:s3cret@db.example${end}` })
        const error = yield* Effect.flip(ConnectionPool.make(connector))
        assert.strictEqual(error.message.split("\n")[1], problem)
        assert.strictEqual(attempts.count, 0)
      })
    )

    it.effect("refuses startup parameters that the driver keeps for itself, and a keepAlive that is none", () =>
      Effect.gen(function* () {
        const { connector } = counted({
          username: "app",
          startupParameters: { User: "x" },
          keepAlive: "nonsense" as never
        })
        const error = yield* Effect.flip(ConnectionPool.make(connector))
        assert.deepStrictEqual(error._tag === "PoolConfigError" && error.problems.map(({ field }) => field), [
          "keepAlive",
          "startupParameters.User"
        ])
      })
    )

    it.effect("refuses to be nobody: no user in the options, in the url, or in the environment", () =>
      Effect.gen(function* () {
        yield* withoutUser
        for (const options of [{}, { url: "postgres://db.example/app" }, { host: "db.example" }]) {
          const { attempts, connector } = counted(options)
          const error = yield* Effect.flip(ConnectionPool.make(connector))
          assert.strictEqual(
            error.message.split("\n")[1],
            "  username: got nothing, expected a user, here or in the url"
          )
          assert.strictEqual(attempts.count, 0)
        }
        assert.deepStrictEqual(Postgres.connector({ url: "postgres://db.example/app?user=ada" }).problems, [])
      })
    )

    it.effect.each([0, -1, 65_536, 1.5, NaN, Infinity])("refuses the port %d", (port) =>
      Effect.gen(function* () {
        const { attempts, connector } = counted({ host: "127.0.0.1", port })
        const error = yield* Effect.flip(ConnectionPool.make(connector))
        assert.strictEqual(error.message.split("\n")[1], `  port: got ${port}, expected a port from 1 to 65535`)
        assert.strictEqual(attempts.count, 0)
      })
    )

    it.effect("opens nothing for a wrong pool configuration on a right server", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const { attempts, connector } = counted({ url })
        const error = yield* Effect.flip(ConnectionPool.make(connector, { maxConnections: 0 }))
        assert.strictEqual(error._tag, "PoolConfigError")
        assert.strictEqual(attempts.count, 0)
      })
    )

    const asking =
      "select current_user || ' ' || current_database() || ' ' || current_setting('application_name') as answer"

    it.effect.each([
      ["the URL", { url: "?application_name=from-url" }, "from-url"],
      ["the startup parameters", { startupParameters: { application_name: "from-parameters" } }, "from-parameters"],
      ["its own field first", { url: "?application_name=from-url", applicationName: "from-field" }, "from-field"]
    ] as const)("takes the connection's name from %s", ([, options, name]) =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const end = "url" in options ? options.url : ""
        const pool = yield* ConnectionPool.make(Postgres.connector({ ...options, url: `${url}${end}` }), single)
        const answer = yield* ConnectionPool.use(pool, (connection) => valueOf(connection, asking))
        assert.strictEqual(answer, `postgres postgres ${name}`)
      })
    )

    it.effect("reads a connector from <prefix>_URL", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const connector = yield* Postgres.config("DB").parse(ConfigProvider.fromUnknown({ DB_URL: url }))
        const pool = yield* ConnectionPool.make(connector, single)
        const answer = yield* ConnectionPool.use(pool, (connection) => valueOf(connection, asking))
        assert.strictEqual(answer, "postgres postgres effect-pool")
      })
    )

    it.effect("reads a connector from one variable per field", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const env = {
          ORDERS_HOST: "127.0.0.1",
          ORDERS_PORT: String(port),
          ORDERS_DATABASE: "template1",
          ORDERS_USERNAME: "postgres",
          ORDERS_PASSWORD: "unasked for",
          ORDERS_SSL: "false",
          ORDERS_APPLICATION_NAME: "orders"
        }
        const connector = yield* Postgres.config("ORDERS").parse(ConfigProvider.fromEnv({ env }))
        assert.strictEqual(connector.name, `127.0.0.1:${port}/template1`)
        const pool = yield* ConnectionPool.make(connector, single)
        const answer = yield* ConnectionPool.use(pool, (connection) => valueOf(connection, asking))
        assert.strictEqual(answer, "postgres template1 orders")
      })
    )

    it.effect("takes a variable's field rather than what the url says", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const env = { DB_URL: url, DB_DATABASE: "template1" }
        const connector = yield* Postgres.config("DB").parse(ConfigProvider.fromEnv({ env }))
        const pool = yield* ConnectionPool.make(connector, single)
        const answer = yield* ConnectionPool.use(pool, (connection) => valueOf(connection, asking))
        assert.strictEqual(answer, "postgres template1 effect-pool")
      })
    )

    it.effect("fails to read a port that is none, and names its variable", () =>
      Effect.gen(function* () {
        const provider = ConfigProvider.fromEnv({ env: { DB_PORT: "99999" } })
        const error = yield* Effect.flip(Postgres.config("DB").parse(provider))
        assert.include(error.message, "DB_PORT")
      })
    )

    it.effect("leaves a malformed <prefix>_URL to the pool, which does not show it", () =>
      Effect.gen(function* () {
        const provider = ConfigProvider.fromEnv({ env: { DB_URL: "postgres://app:s3cret@db.example:port/app" } })
        const connector = yield* Postgres.config("DB").parse(provider)
        const error = yield* Effect.flip(ConnectionPool.make(connector))
        assert.strictEqual(error._tag, "PoolConfigError")
        assert.notInclude(error.message, "s3cret")
      })
    )
  })
})
