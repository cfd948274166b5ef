/**
 * A process that does not run for a while, as functions between two calls, and laptops: it is stopped for real, by a child that is also the
 * server of its connections and may end them meanwhile.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as Net from "node:net"
import { ConnectionPool, Connector, type PoolError } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"

/** Answers whatever it is sent. Asked to, it stops its parent for some milliseconds, and first, if asked, ends all its connections. */
const script = `
  const sockets = new Set()
  const server = require("node:net").createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("data", () => socket.write("pong"))
    socket.on("close", () => sockets.delete(socket))
  })
  server.listen(0, "127.0.0.1", () => process.send(server.address().port))
  process.on("message", ({ ends, millis }) => {
    process.kill(process.ppid, "SIGSTOP")
    if (ends) for (const socket of sockets) socket.destroy()
    setTimeout(() => {
      process.kill(process.ppid, "SIGCONT")
      process.send("thawed")
    }, millis)
  })
  process.on("disconnect", () => process.exit())
`

interface Session {
  readonly id: number
  readonly ask: Effect.Effect<string, string>
}

const messageFrom = (child: ChildProcess): Effect.Effect<unknown> =>
  Effect.callback((resume) => {
    child.once("message", (message) => resume(Effect.succeed(message)))
  })

class Freezer extends Context.Service<
  Freezer,
  {
    readonly freeze: (millis: number, options?: { readonly ends: boolean }) => Effect.Effect<void>
    readonly connector: (options?: { readonly watches: boolean }) => Connector.Connector<Session, string>
  }
>()("test/Freezer") {
  static readonly layer = Layer.effect(
    Freezer,
    Effect.gen(function* () {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, ["-e", script], { stdio: ["ignore", "ignore", "inherit", "ipc"] })),
        (child) => Effect.sync(() => child.disconnect())
      )
      const port = Number(yield* messageFrom(child))
      return {
        freeze: (millis, { ends } = { ends: false }) =>
          Effect.suspend(() => {
            child.send({ millis, ends })
            return messageFrom(child)
          }),
        connector: ({ watches } = { watches: true }) => connectorTo(port, watches)
      }
    })
  )
}

const connectorTo = (port: number, watches: boolean): Connector.Connector<Session, string> => {
  let opened = 0
  const sockets = new Map<Session, Net.Socket>()
  const socketOf = (session: Session): Net.Socket => sockets.get(session)!
  const ask = (socket: Net.Socket): Effect.Effect<string, string> =>
    Effect.callback((resume) => {
      if (socket.destroyed) return resume(Effect.fail("closed"))
      socket.once("data", (data) => resume(Effect.succeed(String(data))))
      socket.once("close", () => resume(Effect.fail("closed")))
      socket.write("ping")
    })
  return Connector.make({
    name: "frozen",
    connect: Effect.acquireRelease(
      Effect.callback<Session, string>((resume) => {
        const socket = Net.connect(port, "127.0.0.1")
        socket.on("error", () => undefined)
        socket.once("close", () => resume(Effect.fail("refused")))
        socket.once("connect", () => {
          const session = { id: ++opened, ask: ask(socket) }
          sockets.set(session, socket)
          resume(Effect.succeed(session))
        })
      }),
      (session) => Effect.sync(() => void socketOf(session).destroy())
    ),
    check: ({ ask }) => ask,
    closed: watches
      ? (session) => Effect.callback((resume) => void socketOf(session).once("close", () => resume(Effect.void)))
      : undefined
  })
}

const missing = process.platform === "win32" ? "no signals that stop a process" : undefined
const shown = missing === undefined ? describe : describe.skip

shown(`a process that does not run for a while${missing === undefined ? "" : ` (not run: ${missing})`}`, () => {
  layer(Freezer.layer, { excludeTestServices: true })((it) => {
    for (const watches of [true, false]) {
      const how = watches ? "which hears of its end" : "which only checks"
      it.effect(`lends no connection that its server has ended meanwhile: with a connector ${how}`, () =>
        Effect.gen(function* () {
          const { connector, freeze } = yield* Freezer
          const pool = yield* ConnectionPool.make(connector({ watches }), { minConnections: 2, maxConnections: 2 })
          yield* eventually(ConnectionPool.status(pool), ({ idle }) => idle === 2)
          yield* freeze(700, { ends: true })
          const [id, answer] = yield* ConnectionPool.use(pool, ({ ask, id }) =>
            Effect.map(ask, (answer) => [id, answer])
          )
          assert.isAbove(Number(id), 2)
          assert.strictEqual(answer, "pong")
        }).pipe(Effect.scoped)
      )
    }

    it.effect("checks what has rested for long by then, and lends it", () =>
      Effect.gen(function* () {
        const { connector, freeze } = yield* Freezer
        const pool = yield* ConnectionPool.make(connector(), { minConnections: 1, maxConnections: 1 })
        yield* freeze(700)
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 1)
        const events = yield* ConnectionPool.recentEvents(pool)
        assert.lengthOf(
          events.filter(({ _tag }) => _tag === "ConnectionChecked"),
          1
        )
      }).pipe(Effect.scoped)
    )

    it.effect("lends nothing whose lifetime has ended by then", () =>
      Effect.gen(function* () {
        const { connector, freeze } = yield* Freezer
        const pool = yield* ConnectionPool.make(connector(), { minConnections: 1, maxConnections: 1, maxLifetime: 500 })
        yield* freeze(700)
        assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 2)
      }).pipe(Effect.scoped)
    )

    it.effect("tells whoever has waited for too long that the process did not run", () =>
      Effect.gen(function* () {
        const { connector, freeze } = yield* Freezer
        const config = { minConnections: 1, maxConnections: 1, acquireTimeout: 300, drainTimeout: 0 }
        const pool = yield* ConnectionPool.make(connector(), config)
        const holder = yield* Effect.forkChild(
          ConnectionPool.use(pool, () => Effect.never),
          { startImmediately: true }
        )
        const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)), {
          startImmediately: true
        })
        yield* freeze(1000)
        const error = (yield* Fiber.join(waiter)) as PoolError.AcquireTimeout
        assert.deepStrictEqual([error._tag, error.diagnosis], ["AcquireTimeout", "event-loop-blocked"])
        assert.isAbove(error.waitedMillis, 900)
        yield* Fiber.interrupt(holder)
      }).pipe(Effect.scoped)
    )
  })
})
