import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, Connector, type PoolConfig } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"
import { capture, type Line } from "../support/Logged.ts"

const one = { minConnections: 1, maxConnections: 1, retry: { jitter: 0 } } as const

/** What is logged while a pool lives, up to where the story ends; what follows is the test's own end. */
const logOf = <A, E>(
  config: PoolConfig.Input,
  story: (pool: ConnectionPool.ConnectionPool<{ readonly id: number }>, server: FakeServer) => Effect.Effect<A, E>,
  {
    before = () => Effect.void,
    connectorOf = ({ complete }: FakeServer): Connector.Connector<{ readonly id: number }, unknown> =>
      complete as never,
    minimum = "Info" as "Info" | "Debug"
  }: {
    readonly before?: (server: FakeServer) => Effect.Effect<void>
    readonly connectorOf?: (server: FakeServer) => Connector.Connector<{ readonly id: number }, unknown>
    readonly minimum?: "Info" | "Debug"
  } = {}
): Effect.Effect<ReadonlyArray<Line>, unknown> => {
  const { layer, lines } = capture()
  return Effect.scoped(
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* before(server)
      const pool = yield* ConnectionPool.make(connectorOf(server), { ...one, name: "orders", ...config })
      yield* story(pool, server)
      yield* turns()
      const told = [...lines]
      // The end of the pool must not wait for time that nobody will let pass.
      server.onClose = Effect.void
      yield* Effect.forkChild(ConnectionPool.drain(pool, 0))
      yield* TestClock.adjust("1 hour")
      return told
    })
  ).pipe(Effect.provideService(References.MinimumLogLevel, minimum), Effect.provide(layer))
}

const background = { startup: "background" } as const

const down = (message: string, kind: "transient" | "permanent") => (server: FakeServer) => server.goDown(message, kind)

const texts = (lines: ReadonlyArray<Line>): ReadonlyArray<string> => lines.map(({ level, text }) => `${level} ${text}`)

const lineWith = (lines: ReadonlyArray<Line>, part: string): Line => {
  const line = lines.find(({ text }) => text.includes(part))
  return line ?? assert.fail(`no line says "${part}": ${texts(lines).join(" | ")}`)
}

const use = <A>(pool: ConnectionPool.ConnectionPool<A>) => ConnectionPool.use(pool, () => Effect.void)

describe("the log", () => {
  it.effect("says at Info that the pool is ready and warm", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, () => Effect.void)
      assert.deepStrictEqual(texts(lines), ["Info ready", "Info warm: 1 connection is open"])
    })
  )

  it.effect("says at Warn that another pool has the name, of the second one, and not when the first has ended", () => {
    const { layer, lines } = capture()
    const other = "Warn another pool of this process has the name twins"
    const make = ConnectionPool.make(new FakeServer().complete, { ...one, name: "twins", drainTimeout: 0 })
    return Effect.gen(function* () {
      yield* Effect.scoped(make)
      yield* Effect.scoped(make)
      assert.notInclude(texts(lines).join("\n"), other)
      yield* Effect.scoped(Effect.andThen(make, make))
      assert.strictEqual(texts(lines).filter((text) => text.startsWith(other)).length, 1)
    }).pipe(Effect.provide(layer))
  })

  it.effect("does not say so of a successor that is made while the first one drains", () => {
    const { layer, lines } = capture()
    const make = ConnectionPool.make(new FakeServer().complete, { ...one, name: "twins" })
    return Effect.gen(function* () {
      const first = yield* make
      const borrower = yield* Effect.forkChild(ConnectionPool.use(first, () => Effect.sleep("1 second")))
      yield* Effect.yieldNow
      const draining = yield* Effect.forkChild(ConnectionPool.drain(first))
      yield* Effect.yieldNow
      assert.strictEqual((yield* ConnectionPool.status(first)).state, "draining")
      yield* make
      assert.notInclude(texts(lines).join("\n"), "another pool of this process")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(borrower)
      yield* Fiber.join(draining)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("says at Info that the pool drains and that it is closed", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, (pool) => ConnectionPool.drain(pool))
      assert.deepStrictEqual(texts(lines).slice(2), [
        "Info draining: borrowers may finish, nothing is lent any more",
        "Info closed"
      ])
    })
  )

  it.effect("says at Warn that a connect has failed and may work later, why, and when the next attempt is", () =>
    Effect.gen(function* () {
      const lines = yield* logOf(background, () => TestClock.adjust("1 second"), {
        before: down("connection refused", "transient")
      })
      assert.deepStrictEqual(texts(lines), [
        "Warn cannot connect (transient), attempt 1: connection refused; next attempt in 1s",
        "Warn cannot connect (transient), attempt 2: connection refused; next attempt in 2s"
      ])
    })
  )

  it.effect("says at Error that a connect has failed for good", () =>
    Effect.gen(function* () {
      const lines = yield* logOf(background, () => Effect.void, { before: down("wrong password", "permanent") })
      assert.deepStrictEqual(texts(lines), [
        "Error cannot connect (permanent), attempt 1: wrong password; next attempt in 1m"
      ])
    })
  )

  it.effect("says at Error that the pool is unavailable, and at Warn that it is back", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({ unavailableAfter: "2 seconds" }, (_, server) =>
        Effect.gen(function* () {
          yield* server.goDown("connection refused")
          yield* TestClock.adjust("10 seconds")
          yield* server.comeBack
          yield* TestClock.adjust("10 seconds")
        })
      )
      assert.deepStrictEqual(
        texts(lines).filter((text) => text.includes("avail") || text.includes("reached")),
        [
          "Error unavailable: acquires fail until a connection opens: connection refused",
          "Warn ready: the server can be reached again"
        ]
      )
    })
  )

  it.effect("says at Warn that the pool is paused, what becomes of acquires, and that it is resumed", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, (pool) =>
        Effect.gen(function* () {
          yield* turns()
          yield* ConnectionPool.pause(pool)
          yield* ConnectionPool.resume(pool)
          yield* ConnectionPool.pause(pool, { acquires: "fail" })
        })
      )
      assert.deepStrictEqual(texts(lines).slice(2), [
        "Warn paused: acquires wait",
        "Warn resumed",
        "Warn paused: acquires fail"
      ])
    })
  )

  it.effect("says at Warn that a connection did not close in time: which, why, and after what time", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({ closeTimeout: "3 seconds" }, (pool, server) =>
        Effect.gen(function* () {
          server.onClose = Effect.sleep("7 seconds")
          yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
          yield* TestClock.adjust("7 seconds")
        })
      )
      const { annotations, level } = lineWith(lines, "did not close")
      const { connection, duration, reason } = annotations
      assert.deepStrictEqual(
        { level, connection, duration, reason },
        { level: "Warn", connection: 1, duration: "3000 ms", reason: "invalidated" }
      )
    })
  )

  it.effect("says at Warn that a finalizer has failed", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, (pool, server) => {
        server.onClose = Effect.die("finalizer")
        return ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      })
      const { annotations, level, text } = lineWith(lines, "finalizer")
      assert.deepStrictEqual(
        [level, text, annotations["connection"]],
        ["Warn", "the finalizer of connection 1 (invalidated) failed", 1]
      )
    })
  )

  it.effect("says at Warn that leases were revoked, how many, and who had them", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({ maxConnections: 2 }, (pool) =>
        Effect.gen(function* () {
          const hold = Effect.withSpan(
            ConnectionPool.use(pool, () => Effect.never),
            "nightlyReport"
          )
          const holders = yield* Effect.replicateEffect(Effect.forkChild(hold), 2)
          yield* turns()
          yield* Effect.forkChild(ConnectionPool.drain(pool, "4 seconds"))
          yield* TestClock.adjust("4 seconds")
          yield* Fiber.interruptAll(holders)
        })
      )
      const { annotations, level, text } = lineWith(lines, "did not end in time")
      assert.deepStrictEqual(
        [level, annotations["leases"], text.replaceAll(/#\d+/g, "#N")],
        [
          "Warn",
          2,
          "2 leases did not end in time: the connections are closed under their borrowers. " +
            "fiber #N (nightlyReport) has had connection 1 for 4000 ms; " +
            "fiber #N (nightlyReport) has had connection 2 for 4000 ms"
        ]
      )
    })
  )

  it.effect("says at Warn that there was a deadlock", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, (pool) => Effect.exit(ConnectionPool.use(pool, () => use(pool))))
      assert.strictEqual(lineWith(lines, "deadlock: ").level, "Warn")
    })
  )

  it.effect("says at Warn that a connection cannot be watched", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, () => Effect.void, {
        connectorOf: ({ connect }) => Connector.make({ name: "bad", connect, closed: () => Effect.die("watcher") })
      })
      const { annotations, level } = lineWith(lines, "cannot watch")
      assert.deepStrictEqual([level, annotations["connection"]], ["Warn", 1])
    })
  )

  it.effect("says nothing of ordinary leases", () =>
    Effect.gen(function* () {
      const lines = yield* logOf(
        {},
        (pool) => Effect.replicateEffect(Effect.exit(ConnectionPool.use(pool, () => Effect.fail("theirs"))), 20),
        { minimum: "Debug" }
      )
      assert.deepStrictEqual(texts(lines), [
        "Info ready",
        "Info warm: 1 connection is open",
        "Debug opened connection 1"
      ])
    })
  )
})

describe("every line", () => {
  it.effect("says which pool it is about, and how many connections are in which state", () =>
    Effect.gen(function* () {
      const lines = yield* logOf(
        { maxConnections: 3 },
        (pool, server) =>
          Effect.gen(function* () {
            yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("1 minute")))
            yield* turns()
            yield* server.goDown()
            yield* TestClock.adjust("3 seconds")
            yield* Effect.forkChild(Effect.exit(use(pool)))
            yield* TestClock.adjust("3 seconds")
            yield* ConnectionPool.pause(pool)
          }),
        { minimum: "Debug" }
      )
      const shape = /^\d+\/3 in use, \d+ idle, \d+ in all, \d+ waiting$/
      const without = lines.filter(
        ({ annotations: { counts, pool } }) => pool !== "orders" || !shape.test(String(counts))
      )
      assert.isAbove(lines.length, 4)
      assert.deepStrictEqual(without, [])
    })
  )

  it.effect("counts what was there when it was written", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({ maxConnections: 2 }, (pool) =>
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          const borrow = Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
          const fibers = yield* Effect.replicateEffect(borrow, 5)
          yield* turns()
          yield* ConnectionPool.pause(pool)
          yield* ConnectionPool.resume(pool)
          yield* Deferred.succeed(gate, undefined)
          yield* Fiber.joinAll(fibers)
        })
      )
      assert.strictEqual(lineWith(lines, "paused").annotations["counts"], "2/2 in use, 0 idle, 2 in all, 3 waiting")
    })
  )

  it.effect("has the annotations of the place where the pool was made, and not of those who use it", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* Effect.annotateLogs(ConnectionPool.make(new FakeServer().bare, one), "app", "shop")
      yield* Effect.annotateLogs(ConnectionPool.pause(pool), "request", 17)
      yield* turns()
      const { app, request } = lineWith(lines, "paused").annotations
      assert.deepStrictEqual({ app, request }, { app: "shop", request: undefined })
    }).pipe(Effect.provide(layer))
  })

  it.effect("of the end has the sums of the pool's life", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, (pool) => Effect.andThen(use(pool), ConnectionPool.drain(pool)))
      const { acquired, closed, created, released } = lineWith(lines, "closed").annotations
      assert.deepStrictEqual(
        { acquired, closed, created, released },
        { acquired: 1, closed: 1, created: 1, released: 1 }
      )
    })
  )
})

describe("lines for somebody who looks for a fault", () => {
  const story = (pool: ConnectionPool.ConnectionPool<{ readonly id: number }>, server: FakeServer) =>
    Effect.gen(function* () {
      server.onConnect = Effect.sleep("25 millis")
      server.onClose = Effect.sleep("40 millis")
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      yield* TestClock.adjust("1 second")
    })

  it.effect("are there if the minimum level lets them: which connection has opened and closed, and how fast", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, story, { minimum: "Debug" })
      const debug = lines.filter(({ level }) => level === "Debug")
      assert.deepStrictEqual(
        debug.map(({ annotations: { connection, duration, reason }, text }) => [text, connection, duration, reason]),
        [
          ["opened connection 1", 1, "0 ms", undefined],
          ["closed connection 1 (invalidated)", 1, "40 ms", "invalidated"],
          ["opened connection 2", 2, "25 ms", undefined]
        ]
      )
    })
  )

  it.effect("are not there otherwise", () =>
    Effect.gen(function* () {
      const lines = yield* logOf({}, story)
      assert.deepStrictEqual(
        lines.filter(({ level }) => level === "Debug"),
        []
      )
    })
  )

  it.effect("say why a check or a reset has failed", () =>
    Effect.gen(function* () {
      const lines = yield* logOf(
        { checkAfterIdle: 0 },
        (pool, server) =>
          Effect.gen(function* () {
            server.checkFails.add(1)
            yield* use(pool)
            server.onReset = Effect.die("reset")
            yield* Effect.exit(ConnectionPool.use(pool, () => Effect.die("defect")))
          }),
        { minimum: "Debug" }
      )
      lineWith(lines, "connection 1 failed its check")
      lineWith(lines, "connection 2 could not be reset")
    })
  )

  it.effect("say with what an acquire was refused that had waited for it", () =>
    Effect.gen(function* () {
      const lines = yield* logOf(
        {},
        (pool) =>
          Effect.gen(function* () {
            const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
            yield* turns()
            yield* Effect.forkChild(Effect.exit(use(pool)))
            yield* TestClock.adjust("5 seconds")
            yield* Fiber.interrupt(holder)
          }),
        { minimum: "Debug" }
      )
      const { annotations, level } = lineWith(lines, "no connection within 5.0 s")
      assert.deepStrictEqual([level, annotations["error"]], ["Warn", "AcquireTimeout"])
    })
  )
})

describe("a logger that throws", () => {
  const throwing = Layer.fresh(
    Logger.layer([
      Logger.make(() => {
        throw new Error("logger")
      })
    ])
  )

  /** Everything that is logged, at every level. */
  const life = Effect.gen(function* () {
    const server = new FakeServer()
    yield* server.goDown("wrong password", "permanent")
    const status = yield* Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* ConnectionPool.make(server.complete, {
          ...one,
          ...background,
          closeTimeout: "1 second",
          unavailableAfter: "1 second",
          retry: { initial: "1 second", factor: 1, jitter: 0 }
        })
        yield* turns()
        yield* server.comeBack
        yield* TestClock.adjust("2 minutes")
        yield* server.goDown()
        yield* TestClock.adjust("10 seconds")
        yield* server.comeBack
        yield* TestClock.adjust("10 seconds")
        yield* ConnectionPool.pause(pool)
        yield* ConnectionPool.resume(pool)
        yield* Effect.exit(ConnectionPool.use(pool, () => use(pool)))
        server.onClose = Effect.sleep("2 seconds")
        yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
        yield* TestClock.adjust("3 seconds")
        server.onClose = Effect.die("finalizer")
        yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
        yield* TestClock.adjust("3 seconds")
        const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
        yield* turns()
        yield* Effect.forkChild(ConnectionPool.drain(pool, "1 second"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(holder)
        yield* turns()
        return yield* ConnectionPool.status(pool)
      })
    )
    return Object.assign({ live: server.live }, status)
  })

  it.effect("changes nothing in the life of a pool", () =>
    Effect.gen(function* () {
      const quiet = yield* Effect.provide(life, Layer.fresh(Logger.layer([])))
      const loud = yield* life.pipe(
        Effect.provideService(References.MinimumLogLevel, "Trace"),
        Effect.provide(throwing)
      )
      assert.deepStrictEqual(loud, quiet)
    })
  )

  it.effect("leaves the pool closed and nothing on the server", () =>
    Effect.gen(function* () {
      const { acquired, closed, created, live, released, state } = yield* Effect.provide(life, throwing)
      assert.deepStrictEqual(
        { live, open: created - closed, running: acquired - released, state },
        { live: 0, open: 0, running: 0, state: "closed" }
      )
    })
  )
})
