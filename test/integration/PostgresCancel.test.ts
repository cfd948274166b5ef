/** What a cancelled statement, and upkeep that is given up, cost those who come after. */
import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import * as net from "node:net"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { eventually } from "../support/Eventually.ts"
import * as TcpProxy from "../support/TcpProxy.ts"
import {
  backendPid,
  type Connection,
  live,
  makePool,
  observer,
  Server,
  serverWith,
  sessionsOf,
  single,
  valueOf
} from "./Server.ts"

type Pool = ConnectionPool.ConnectionPool<Connection>

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

/** The sockets of this process that are connected to a port, as Node counts them. */
const socketsTo = (port: number): number =>
  (process as unknown as { _getActiveHandles(): ReadonlyArray<unknown> })
    ._getActiveHandles()
    .filter((handle) => handle instanceof net.Socket && handle.remotePort === port).length

const resets = ["whenDirty", "never"] as const

const cases = Object.entries(impatient).flatMap(([bounds, run]) =>
  resets.map((reset) => ({ title: `when a borrower bounds ${bounds} (reset: ${reset})`, run, reset }))
)

/** Each waits for the driver to give up its request, which takes five seconds: the tests do so together. */
const atOnce = { concurrent: true, timeout: 30_000 }

layer(serverWith(), live)("Postgres.connector: a statement that was cancelled", (it) => {
  for (const { reset, run, title } of cases) {
    it.effect(`costs no connection, ${title}`, () =>
      Effect.gen(function* () {
        const pool = yield* makePool(`well, ${title}`, single, { reset })
        const pid = yield* ConnectionPool.use(pool, backendPid)
        for (let n = 0; n < 20; n++) yield* Effect.flip(run(pool, "select pg_sleep(60)", 20))
        assert.strictEqual(yield* ConnectionPool.use(pool, backendPid), pid)
        const { closed, created } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
      })
    )
  }

  for (const { reset, run, title } of cases) {
    it.effect(
      `hits no other borrower with a request that comes late, ${title}`,
      () =>
        Effect.gen(function* () {
          const { port } = yield* Server
          const outside = yield* observer
          const proxy = yield* TcpProxy.make(port)
          const pool = yield* makePool(`late, ${title}`, single, { port: proxy.port, reset })
          yield* ConnectionPool.use(pool, backendPid)
          // The request is stuck, and nothing else.
          yield* proxy.muteNewcomers
          const first = yield* Effect.forkChild(Effect.flip(run(pool, "select pg_sleep(0.6)", 300)))
          yield* eventually(
            Effect.sync(() => proxy.attempts),
            ({ length }) => length === 2
          )
          yield* proxy.serveNewcomers
          yield* Fiber.join(first)
          const next = yield* Effect.forkChild(
            ConnectionPool.use(pool, (connection) => valueOf(connection, "select 7 from pg_sleep(0.5)"))
          )
          yield* eventually(sessionsOf(outside, `late, ${title}`), (sessions) =>
            sessions.some(({ query, state }) => state === "active" && query.includes("select 7"))
          )
          yield* proxy.heal
          assert.strictEqual(yield* Fiber.join(next), 7)
          const { closed, created } = yield* ConnectionPool.status(pool)
          assert.deepStrictEqual({ created, closed }, { created: 2, closed: 1 })
        }),
      atOnce
    )
  }

  it.effect("costs no connection when the borrower goes before its own request is answered", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const outside = yield* observer
      const proxy = yield* TcpProxy.make(port)
      const pool = yield* makePool("hasty", single, { port: proxy.port })
      yield* ConnectionPool.use(pool, (connection) =>
        Effect.gen(function* () {
          yield* proxy.muteNewcomers
          yield* Effect.forkDetach(connection.interrupt)
          yield* eventually(
            Effect.sync(() => proxy.attempts),
            ({ length }) => length === 2
          )
        })
      )
      // The pool waits for the request before it lends the session again.
      assert.strictEqual((yield* ConnectionPool.status(pool)).resetting, 1)
      const next = yield* Effect.forkChild(ConnectionPool.use(pool, (c) => valueOf(c, "select 7 from pg_sleep(0.2)")))
      const [before] = yield* sessionsOf(outside, "hasty")
      assert.notInclude(before?.query, "select 7")
      yield* proxy.heal
      assert.strictEqual(yield* Fiber.join(next), 7)
      const { closed, created } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual({ created, closed }, { created: 1, closed: 0 })
    })
  )

  it.effect("costs no connection when there was nobody to send the request to", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const outside = yield* observer
      const proxy = yield* TcpProxy.make(port)
      const pool = yield* makePool("refused", single, { port: proxy.port })
      yield* ConnectionPool.use(pool, backendPid)
      yield* proxy.refuse
      yield* Effect.flip(ConnectionPool.use(pool, (c) => Effect.timeout(c.query("select pg_sleep(0.3)"), 50)))
      assert.strictEqual(yield* ConnectionPool.use(pool, (c) => valueOf(c, "select 7")), 7)
      assert.lengthOf(yield* sessionsOf(outside, "refused"), 1)
      assert.strictEqual((yield* ConnectionPool.status(pool)).created, 1)
    })
  )
})

layer(serverWith(), live)("Postgres.connector: upkeep that is given up", (it) => {
  it.effect("serves a caller in time with the default timeouts, though all idle connections are silently dead", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const proxy = yield* TcpProxy.make(port)
      const sizes = { minConnections: 2, maxConnections: 2, checkAfterIdle: 0 }
      const pool = yield* makePool("dead", sizes, { port: proxy.port })
      yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
      yield* proxy.cut("mute")
      yield* proxy.healForNewcomers
      assert.strictEqual(yield* ConnectionPool.use(pool, (c) => valueOf(c, "select 7")), 7)
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
            connection.query(work === "reset" ? "set app.tenant = 'seven'" : "select 1"),
            Effect.andThen(proxy.cut("mute"), proxy.healForNewcomers)
          )
        )
        const [millis, value] = yield* Effect.timed(ConnectionPool.use(pool, (c) => valueOf(c, "select 7")))
        assert.strictEqual(value, 7)
        assert.isBelow(Duration.toMillis(millis), 1000)
      })
    )
  }

  it.effect("leaves no socket behind when the pool closes and nobody answers", () =>
    Effect.gen(function* () {
      const { port } = yield* Server
      const proxy = yield* TcpProxy.make(port)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* makePool("parting", single, { port: proxy.port })
          yield* ConnectionPool.use(pool, backendPid)
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
