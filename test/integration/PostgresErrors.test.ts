import { assert, layer } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as net from "node:net"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Postgres from "../../src/connectors/Postgres.ts"
import type { ConnectError, PoolConfigError } from "../../src/PoolError.ts"
import { eventually } from "../support/Eventually.ts"
import { connectFailure, live, makePool, observer, Server, serverWith, single, valueOf } from "./Server.ts"

const kindOf = (error: ConnectError | PoolConfigError) => (error._tag === "ConnectError" ? error.kind : error._tag)

/** A port that nobody listens on: one that was free a moment ago. */
const silentPort = Effect.callback<number>((resume) => {
  const probe = net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

/** A server that does with its clients what it is told, and does not speak PostgreSQL. */
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

layer(serverWith({ max_connections: 8, superuser_reserved_connections: 0 }), live)(
  "Postgres.connector: what a failure to connect means",
  (it) => {
    it.effect("an unknown database is a permanent failure", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const error = yield* connectFailure({ url, database: "nowhere" })
        assert.strictEqual(kindOf(error), "permanent")
        assert.include(error.message, 'database "nowhere" does not exist')
        assert.isTrue(isSqlError((error as ConnectError).cause))
      })
    )

    it.effect("a role that does not exist is a permanent failure", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const error = yield* connectFailure({ url, username: "nobody at all" })
        assert.strictEqual(kindOf(error), "permanent")
        assert.include(error.message, 'role "nobody at all" does not exist')
      })
    )

    it.effect("a server without TLS is a permanent failure for whoever asks for TLS", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const byOption = yield* connectFailure({ url, ssl: true })
        const byUrl = yield* connectFailure({ url: `${url}?sslmode=require` })
        assert.deepStrictEqual([kindOf(byOption), kindOf(byUrl)], ["permanent", "permanent"])
        assert.include(byOption.message, "TLS")
      })
    )

    it.effect("a server without TLS is good enough for sslmode=prefer", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const pool = yield* ConnectionPool.make(Postgres.connector({ url: `${url}?sslmode=prefer` }), single)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
      })
    )

    it.effect("a refused connection is a transient failure", () =>
      Effect.gen(function* () {
        const port = yield* silentPort
        const error = yield* connectFailure({ host: "127.0.0.1", port, username: "postgres" })
        assert.strictEqual(kindOf(error), "transient")
        assert.include(error.message, "ECONNREFUSED")
      })
    )

    it.effect("a host that cannot be found is a transient failure", () =>
      Effect.gen(function* () {
        const error = yield* connectFailure({ host: "nowhere.invalid", username: "postgres" })
        assert.strictEqual(kindOf(error), "transient")
      })
    )

    it.effect("a server that accepts and never answers is a transient failure after connectTimeout", () =>
      Effect.gen(function* () {
        const { port } = yield* strangeServer(() => {})
        const options = { host: "127.0.0.1", port, username: "postgres" }
        const error = yield* connectFailure(options, { connectTimeout: "100 millis" })
        assert.strictEqual(kindOf(error), "transient")
        assert.include(error.message, "100ms")
      })
    )

    it.effect.each([
      { name: "hangs up", greet: (socket: net.Socket) => void socket.destroy() },
      { name: "resets the connection", greet: (socket: net.Socket) => void socket.resetAndDestroy() },
      { name: "speaks HTTP", greet: (socket: net.Socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n") }
    ])("a server that $name is a transient failure", ({ greet }) =>
      Effect.gen(function* () {
        const { port } = yield* strangeServer(greet)
        const options = { host: "127.0.0.1", port, username: "postgres" }
        const error = yield* connectFailure(options, { connectTimeout: "1 second" })
        assert.strictEqual(kindOf(error), "transient")
      })
    )

    it.effect("a server that has too many clients is overloaded, and the pool goes on with what it has", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const scope = yield* Scope.make()
        const retry = { initial: "20 millis", max: "50 millis" } as const
        const config = { minConnections: 20, maxConnections: 20, maxConnecting: 20, retry }
        const pool = yield* Scope.provide(makePool("too many", config), scope)
        const { lastFailure, total } = yield* eventually(
          ConnectionPool.status(pool),
          (status) => status.lastFailure !== undefined && status.connecting === 0
        )
        assert.strictEqual(lastFailure?.kind, "overloaded")
        assert.include(lastFailure?.message, "too many clients")
        assert.isAtMost(total, 20)
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)

        const error = yield* connectFailure({ url })
        assert.strictEqual(kindOf(error), "overloaded")
        yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      })
    )

    it.effect("a role that may not have another connection is overloaded", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        // The sessions of the test before may still be on their way out.
        const outside = yield* Effect.retry(observer, { times: 200, while: isSqlError })
        yield* outside.query("create role narrow login connection limit 1")
        const pool = yield* makePool("narrow", single, { username: "narrow" })
        const error = yield* connectFailure({ url, username: "narrow" })
        assert.strictEqual(kindOf(error), "overloaded")
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
      })
    )

    it.effect("the borrower of a wrong statement gets its SqlError, and the connection goes on", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("wrong statement")
        const error = yield* Effect.flip(ConnectionPool.use(pool, (connection) => connection.query("select nothing")))
        assert.isTrue(isSqlError(error))
        assert.strictEqual(yield* ConnectionPool.use(pool, (connection) => valueOf(connection, "select 1")), 1)
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
      })
    )
  }
)
