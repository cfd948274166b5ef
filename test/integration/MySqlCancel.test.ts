/** What a cancelled statement costs, and whom `KILL QUERY` must never hit. */
import { assert, describe, layer } from "@effect/vitest"
import { Duration, Effect, Fiber, Logger, Option, Stream } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import * as net from "node:net"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as MySql from "../../src/connectors/MySql.ts"
import * as DatabaseConnection from "../../src/DatabaseConnection.ts"
import { eventually } from "../support/Eventually.ts"
import { unavailable } from "../support/MariaDbServer.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import {
  type Connection,
  connectionId,
  live,
  makePool,
  observer,
  type Pool,
  rowsOf,
  Server,
  serverWith,
  sessionsOf,
  single,
  titled,
  valueOf
} from "./MySqlServer.ts"

/** How a borrower gives up a statement: the pool sees its lease fail in the first case, and interrupted in the second. */
const impatient: Readonly<
  Record<string, (pool: Pool, sql: string, millis: number) => Effect.Effect<unknown, unknown>>
> = {
  "its statement": (pool, sql, millis) => ConnectionPool.use(pool, (c) => Effect.timeout(c.query(sql), millis)),
  "its use": (pool, sql, millis) =>
    Effect.timeout(
      ConnectionPool.use(pool, (c) => c.query(sql)),
      millis
    )
}

const cases = Object.entries(impatient).flatMap(([bounds, run]) =>
  (["whenDirty", "never"] as const).map((reset) => ({
    title: `when a borrower bounds ${bounds} (reset: ${reset})`,
    run,
    reset
  }))
)

/** How many `KILL`s the server has been sent. */
const killsOn = (outside: Connection) =>
  Effect.map(rowsOf(outside, "show global status like 'Com_kill'"), ([row]) => Number(row?.["Value"]))

const counts = (pool: Pool) => Effect.map(ConnectionPool.status(pool), ({ closed, created }) => ({ closed, created }))

/** A statement that answers with its own number, after a while. */
const echo = (connection: Connection, nonce: number, seconds: number) =>
  valueOf(connection, `select ${nonce} from (select sleep(${seconds})) as pause`)

/** A proxy that tells its clients another number of their session than the server does, as one that shares sessions would. */
const renumberingProxy = (serverPort: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const proxy = net.createServer((client) => {
          const server = net.connect(serverPort, "127.0.0.1")
          client.on("error", () => server.destroy()).on("close", () => server.destroy())
          server.on("error", () => client.destroy()).on("close", () => client.destroy())
          server.once("data", (greeting: Buffer) => {
            // After the header, the version of the protocol and that of the server, which ends with a zero.
            const at = greeting.indexOf(0, 5) + 1
            greeting.writeUInt32LE(greeting.readUInt32LE(at) + 1, at)
            client.write(greeting)
            client.pipe(server).pipe(client)
          })
        })
        proxy.listen(0, "127.0.0.1", () => resume(Effect.succeed(proxy)))
      }),
      (proxy) => Effect.sync(() => proxy.close())
    ),
    (proxy) => (proxy.address() as net.AddressInfo).port
  )

describe.skipIf(unavailable !== undefined)(titled("MySql.connector: a statement that was cancelled"), () => {
  layer(
    serverWith(),
    live
  )((it) => {
    for (const { reset, run, title } of cases) {
      it.effect(`ends on the server and costs no connection, ${title}`, () =>
        Effect.gen(function* () {
          const outside = yield* observer
          const pool = yield* makePool(`well, ${title}`, single, { reset })
          const id = yield* ConnectionPool.use(pool, connectionId)
          for (let n = 0; n < 10; n++) yield* Effect.flip(run(pool, "select sleep(60)", 20))
          assert.deepStrictEqual(
            (yield* sessionsOf(outside, `well, ${title}`)).map(({ command }) => command),
            ["Sleep"]
          )
          assert.strictEqual(yield* ConnectionPool.use(pool, connectionId), id)
          assert.deepStrictEqual(yield* counts(pool), { created: 1, closed: 0 })
        })
      )
    }

    it.effect("hits nobody else: 800 statements beside 400 that are given up about when they end", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const before = yield* killsOn(outside)
        const pool = yield* makePool("crowd", { minConnections: 4, maxConnections: 4, acquireTimeout: "20 seconds" })
        let givenUp = 0
        const wrong: Array<unknown> = []
        // Some have ended before the request to cancel them gets to the server, some about then, and some would go on.
        const seconds = (n: number): number => [0.003, 0.004, 0.006, 0.009, 0.015, 0.08][(n / 3) % 6]!
        const hasty = Effect.fnUntraced(function* (n: number) {
          const outcome = yield* Effect.catch(
            ConnectionPool.use(pool, (connection) => Effect.timeoutOption(echo(connection, n, seconds(n)), 2)),
            (error) => Effect.succeed(Option.some<unknown>(error))
          )
          if (Option.isNone(outcome)) givenUp++
          else if (outcome.value !== n) wrong.push(outcome.value)
        })
        const patient = Effect.fnUntraced(function* (n: number) {
          const answer = yield* Effect.catch(
            ConnectionPool.use(pool, (connection) => echo(connection, n, 0.0005)),
            (error) => Effect.succeed(error)
          )
          if (answer !== n) wrong.push(answer)
        })
        yield* Effect.forEach(
          Array.from({ length: 1200 }, (_, n) => n),
          (n) => (n % 3 === 0 ? hasty(n) : patient(n)),
          { concurrency: 24, discard: true }
        )
        assert.deepStrictEqual(wrong, [])
        // Some were too late to be sent: enough of them were, and enough were not.
        const sent = (yield* killsOn(outside)) - before
        assert.isAbove(sent, 20)
        assert.isAbove(givenUp - sent, 20)
        assert.strictEqual((yield* ConnectionPool.status(pool)).inUse, 0)
      })
    )

    it.effect("does not hit the next statement of its own borrower", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("own")
        const answers = yield* ConnectionPool.use(pool, (connection) =>
          Effect.forEach(
            Array.from({ length: 200 }, (_, n) => n),
            (n) =>
              Effect.andThen(
                Effect.timeoutOption(connection.query("select sleep(0.001)"), 0.6 + (n % 10) / 10),
                echo(connection, n, 0.0003)
              )
          )
        )
        assert.deepStrictEqual(
          answers,
          Array.from({ length: 200 }, (_, n) => n)
        )
      })
    )

    it.effect("does not hit another fiber's statement on a shared connection", () =>
      Effect.gen(function* () {
        const pool = yield* makePool("shared", { ...single, concurrency: 8 })
        const answers = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, n) => n),
          (n) =>
            n % 3 === 0
              ? Effect.as(
                  Effect.timeoutOption(
                    ConnectionPool.use(pool, (c) => echo(c, n, 0.002)),
                    2 + (n % 5)
                  ),
                  n
                )
              : ConnectionPool.use(pool, (c) => echo(c, n, 0.0005)),
          { concurrency: 8 }
        )
        assert.deepStrictEqual(
          answers,
          Array.from({ length: 300 }, (_, n) => n)
        )
        assert.deepStrictEqual(yield* counts(pool), { created: 1, closed: 0 })
      })
    )

    it.effect("hits nobody with a request that comes late: its connection is closed", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const outside = yield* observer
        const proxy = yield* TcpProxy.make(port)
        const pool = yield* makePool("late", single, { port: proxy.port })
        yield* ConnectionPool.use(pool, connectionId)
        // The request is stuck, and nothing else.
        yield* proxy.muteNewcomers
        const first = yield* Effect.forkChild(
          Effect.flip(ConnectionPool.use(pool, (c) => Effect.timeout(c.query("select sleep(0.6)"), 100)))
        )
        yield* eventually(
          Effect.sync(() => proxy.attempts),
          ({ length }) => length === 2
        )
        yield* proxy.serveNewcomers
        yield* Fiber.join(first)
        const next = yield* Effect.forkChild(ConnectionPool.use(pool, (c) => echo(c, 7, 0.3)))
        yield* eventually(sessionsOf(outside, "late"), (sessions) =>
          sessions.some(({ info }) => info?.includes("select 7") === true)
        )
        yield* proxy.heal
        assert.strictEqual(yield* Fiber.join(next), 7)
        assert.deepStrictEqual(yield* counts(pool), { created: 2, closed: 1 })
      })
    )

    it.effect("costs its connection when there is nobody to send the request to", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const proxy = yield* TcpProxy.make(port)
        const pool = yield* makePool("refused", { minConnections: 2, maxConnections: 2 }, { port: proxy.port })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        yield* proxy.refuse
        yield* Effect.flip(ConnectionPool.use(pool, (c) => Effect.timeout(c.query("select sleep(60)"), 50)))
        yield* eventually(ConnectionPool.status(pool), ({ closed }) => closed === 1)
        assert.strictEqual(yield* ConnectionPool.use(pool, (c) => echo(c, 7, 0)), 7)
      })
    )

    it.effect("is over on the server when its stream ends early, and the connection goes on", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("early end")
        const rows = yield* ConnectionPool.use(pool, (connection) =>
          Stream.runCollect(Stream.take(connection.stream("select seq from seq_1_to_100000000"), 3))
        )
        assert.deepStrictEqual(
          rows.map(({ seq }) => Number(seq)),
          [1, 2, 3]
        )
        const [session] = yield* sessionsOf(outside, "early end")
        assert.strictEqual(session?.command, "Sleep")
        assert.strictEqual(yield* ConnectionPool.use(pool, (c) => echo(c, 7, 0)), 7)
        assert.deepStrictEqual(yield* counts(pool), { created: 1, closed: 0 })
      })
    )

    it.effect(
      "is not cancelled by its number behind a proxy that numbers sessions by itself: its connection is closed",
      () =>
        Effect.gen(function* () {
          const { port } = yield* Server
          const outside = yield* observer
          const pool = yield* makePool("renumbered", single, { port: yield* renumberingProxy(port) })
          const before = yield* killsOn(outside)
          yield* Effect.flip(ConnectionPool.use(pool, (c) => Effect.timeout(c.query("select sleep(1)"), 50)))
          assert.strictEqual(yield* ConnectionPool.use(pool, (c) => echo(c, 7, 0)), 7)
          assert.strictEqual(yield* killsOn(outside), before)
          assert.deepStrictEqual(yield* counts(pool), { created: 2, closed: 1 })
        })
    )

    it.effect("is counted as cancelled when it has passed its timeout, and its session is lent on", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const connector = DatabaseConnection.connector(MySql.connector({ url }), MySql.queries)
        const pool = yield* ConnectionPool.make(connector, { ...single, queryTimeout: "100 millis" }).pipe(
          Effect.provide(Logger.layer([]))
        )
        const error = yield* Effect.flip(ConnectionPool.use(pool, ({ query }) => query("select sleep(?)", [60])))
        assert.strictEqual(error._tag === "QueryTimeout" && error.outcome, "cancelled")
        const { rows } = yield* ConnectionPool.use(pool, ({ query }) => query("select ? as seven", [7]))
        assert.deepStrictEqual(rows, [{ seven: 7 }])
        assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
      })
    )

    it.effect("fails its borrower with a StatementTimeoutError when somebody else has cancelled it", () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const pool = yield* makePool("by others")
        const borrower = yield* Effect.forkChild(
          Effect.flip(ConnectionPool.use(pool, (c) => c.query("select sleep(60)")))
        )
        const [session] = yield* eventually(sessionsOf(outside, "by others"), ([first]) => first?.command === "Query")
        yield* outside.query(`kill query ${session!.id}`)
        const error = yield* Fiber.join(borrower)
        assert.strictEqual(isSqlError(error) && error.reason._tag, "StatementTimeoutError")
        assert.deepStrictEqual(yield* counts(pool), { created: 1, closed: 0 })
      })
    )
  })

  // A server of its own: its numbers are small.
  layer(
    serverWith(),
    live
  )((it) => {
    it.effect("hits no other client that has the same number on a server that was restarted meanwhile", () =>
      Effect.gen(function* () {
        const server = yield* Server
        const proxy = yield* TcpProxy.make(server.port)
        const victim = yield* makePool("before", { ...single, closeTimeout: 2000 }, { port: proxy.port })
        const asleep = yield* Effect.forkChild(
          ConnectionPool.use(victim, (c) => Effect.andThen(c.query("do 0"), c.query("select sleep(60)")))
        )
        const outside = yield* observer
        const [session] = yield* eventually(sessionsOf(outside, "before"), ([first]) => first?.command === "Query")
        // The pool's connection does not learn that its server dies.
        yield* proxy.cut("mute")
        yield* server.kill
        yield* server.start
        yield* proxy.serveNewcomers
        let bystander: Connection | undefined = undefined
        while (bystander === undefined || bystander.threadId < session!.id) {
          bystander = yield* MySql.connector({ url: server.url, applicationName: "bystander" }).connect
        }
        assert.strictEqual(bystander.threadId, session!.id)
        const busy = yield* Effect.forkChild(echo(bystander, 7, 0.5))
        const attempts = proxy.attempts.length
        yield* Effect.forkChild(Fiber.interrupt(asleep))
        yield* eventually(
          Effect.sync(() => proxy.attempts),
          ({ length }) => length > attempts
        )
        assert.strictEqual(yield* Fiber.join(busy), 7)
      })
    )
  })
})

/** The sockets of this process that are connected to a port, as Node counts them. */
const socketsTo = (port: number): number =>
  (process as unknown as { _getActiveHandles(): ReadonlyArray<unknown> })
    ._getActiveHandles()
    .filter((handle) => handle instanceof net.Socket && handle.remotePort === port).length

describe.skipIf(unavailable !== undefined)(titled("MySql.connector: upkeep that is given up"), () => {
  layer(
    serverWith(),
    live
  )((it) => {
    it.effect("serves a caller in time with the default timeouts, though all idle connections are silently dead", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const proxy = yield* TcpProxy.make(port)
        const sizes = { minConnections: 2, maxConnections: 2, checkAfterIdle: 0 }
        const pool = yield* makePool("dead", sizes, { port: proxy.port })
        yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
        yield* proxy.cut("mute")
        yield* proxy.healForNewcomers
        assert.strictEqual(yield* ConnectionPool.use(pool, (c) => echo(c, 7, 0)), 7)
      })
    )

    for (const work of ["check", "reset"] as const) {
      it.effect(`frees the place of a connection whose ${work} is not answered at once`, () =>
        Effect.gen(function* () {
          const { port } = yield* Server
          const proxy = yield* TcpProxy.make(port)
          const config = { ...single, checkTimeout: 200, resetTimeout: 200, checkAfterIdle: 0 }
          const pool = yield* makePool(`silent ${work}`, config, { port: proxy.port })
          yield* ConnectionPool.use(pool, (connection) =>
            Effect.andThen(
              connection.query(work === "reset" ? "set @tenant = 7" : "select 1"),
              Effect.andThen(proxy.cut("mute"), proxy.healForNewcomers)
            )
          )
          const [duration, value] = yield* Effect.timed(ConnectionPool.use(pool, (c) => echo(c, 7, 0)))
          assert.strictEqual(value, 7)
          assert.isBelow(Duration.toMillis(duration), 1500)
        })
      )
    }

    it.effect("leaves no socket behind when the pool closes and nobody answers", () =>
      Effect.gen(function* () {
        const { port } = yield* Server
        const proxy = yield* TcpProxy.make(port)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* makePool("parting", { minConnections: 2, maxConnections: 2 }, { port: proxy.port })
            yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
            yield* proxy.cut("mute")
          })
        )
        yield* eventually(
          Effect.sync(() => socketsTo(proxy.port)),
          (sockets) => sockets === 0,
          "3 seconds"
        )
      })
    )
  })
})
