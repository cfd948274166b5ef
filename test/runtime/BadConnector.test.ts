import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, Connector } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

const one = { minConnections: 1, maxConnections: 1, retry: { jitter: 0 } } as const

/** A connector made of a fake server's, with parts replaced. */
const withParts = (
  server: FakeServer,
  parts: Partial<Connector.Connector.Options<FakeConnection, unknown>>
): Connector.Connector<FakeConnection, unknown> =>
  Connector.make<FakeConnection, unknown>({ name: "bad", connect: server.connect, ...parts })

describe("a connect that", () => {
  it.effect("throws, is retried by the schedule and does not spin", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let attempts = 0
      const connect = Effect.suspend(() => {
        if (++attempts <= 3) throw new Error("thrown, not failed")
        return server.connect
      })
      const pool = yield* ConnectionPool.make(withParts(server, { connect }), { ...one, startup: "background" })
      yield* turns()
      assert.strictEqual(attempts, 1)
      assert.strictEqual((yield* ConnectionPool.status(pool)).lastFailure?.message, "thrown, not failed")
      yield* TestClock.adjust("7 seconds")
      assert.deepStrictEqual([attempts, (yield* ConnectionPool.status(pool)).idle], [4, 1])
    })
  )

  it.effect("rejects at once, is retried by the schedule and does not spin", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      yield* ConnectionPool.make(server.bare, { ...one, startup: "background" })
      yield* turns(200)
      assert.strictEqual(server.attempts.length, 1)
    })
  )

  it.effect("never settles, gives its place back after connectTimeout", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const pool = yield* ConnectionPool.make(server.bare, { ...one, startup: "background" })
      yield* TestClock.adjust("5 seconds")
      const status = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([status.total, status.connectFailures], [0, 1])
      assert.strictEqual(status.lastFailure?.message, "no answer within 5s")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(server.attempts, [0, 6000])
    })
  )

  it.effect("cannot be interrupted and settles late, has its connection closed", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("8 seconds")
      const connect = Effect.uninterruptible(server.connect)
      const pool = yield* ConnectionPool.make(withParts(server, { connect }), { ...one, startup: "background" })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).closing, 1)
      server.onConnect = Effect.void
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(server.closed, [1])
      yield* turns()
      assert.deepStrictEqual([(yield* ConnectionPool.status(pool)).idle, server.mostLive], [1, 1])
    })
  )

  it.effect("can be neither interrupted nor awaited, holds its place no longer than closeTimeout", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const release = yield* Deferred.make<void>()
      server.onConnect = Deferred.await(release)
      const connect = Effect.uninterruptible(server.connect)
      const pool = yield* ConnectionPool.make(withParts(server, { connect }), { ...one, startup: "background" })
      yield* TestClock.adjust("5 seconds")
      server.onConnect = Effect.void
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).total, 1)
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 1)
      // It settles at last, long after it was given up: what it opened is closed at once.
      yield* Deferred.succeed(release, undefined)
      yield* turns()
      assert.deepStrictEqual([server.connections.length, server.closed], [2, [2]])
    })
  )

  it.effect("fails after it took something, has that closed before the next attempt", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const connect = Effect.andThen(server.connect, Effect.fail("handshake"))
      yield* ConnectionPool.make(withParts(server, { connect }), { ...one, startup: "background" })
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual([server.connections.length, server.live, server.mostLive], [3, 0, 1])
    })
  )
})

describe("a classifier that", () => {
  for (const [how, classify] of [
    [
      "throws",
      () => {
        throw new Error("no idea")
      }
    ],
    ["answers nonsense", () => "fishy" as never]
  ] as const) {
    it.effect(`${how}, leaves the failure transient`, () =>
      Effect.gen(function* () {
        const server = new FakeServer()
        yield* server.goDown()
        const pool = yield* ConnectionPool.make(withParts(server, { classify }), { ...one, startup: "background" })
        yield* turns()
        assert.strictEqual((yield* ConnectionPool.status(pool)).lastFailure?.kind, "transient")
      })
    )
  }
})

describe("a check that", () => {
  const afterRest = Effect.fnUntraced(function* (check: () => Effect.Effect<unknown, unknown>) {
    const server = new FakeServer()
    const pool = yield* ConnectionPool.make(withParts(server, { check }), one)
    yield* TestClock.adjust("1 second")
    return { pool, server }
  })

  it.effect("fails, has the connection replaced, and the borrower served", () =>
    Effect.gen(function* () {
      const { pool, server } = yield* afterRest(() => Effect.fail("dead"))
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 2)
      assert.deepStrictEqual(server.closed, [1])
    })
  )

  it.effect("throws, counts as failed", () =>
    Effect.gen(function* () {
      const { pool } = yield* afterRest(() => {
        throw new Error("thrown")
      })
      assert.strictEqual(yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)), 2)
    })
  )

  it.effect("hangs, counts as failed after checkTimeout", () =>
    Effect.gen(function* () {
      const { pool } = yield* afterRest(() => Effect.never)
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(borrower.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(borrower), 2)
    })
  )

  it.effect("hangs, does not delay a borrower who can have another connection", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let checks = 0
      const check = () => (++checks === 1 ? Effect.never : Effect.void)
      const pool = yield* ConnectionPool.make(withParts(server, { check }), {
        ...one,
        minConnections: 2,
        maxConnections: 2
      })
      yield* TestClock.adjust("1 second")
      const first = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.void))
      const second = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.void))
      yield* turns()
      assert.isDefined(first.pollUnsafe())
      assert.isDefined(second.pollUnsafe())
    })
  )
})

describe("a reset that", () => {
  for (const [how, reset] of [
    ["fails", () => Effect.fail("stuck")],
    ["hangs", () => Effect.never],
    [
      "throws",
      (): Effect.Effect<never> => {
        throw new Error("thrown")
      }
    ]
  ] as const) {
    it.effect(`${how}, has the connection closed instead of handed on`, () =>
      Effect.gen(function* () {
        const server = new FakeServer()
        const pool = yield* ConnectionPool.make(withParts(server, { reset }), one)
        yield* ConnectionPool.use(pool, () => Effect.void)
        const next = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
        yield* TestClock.adjust("4999 millis")
        yield* TestClock.adjust("1 millis")
        yield* turns()
        assert.strictEqual(how === "hangs" ? (yield* ConnectionPool.status(pool)).created : yield* Fiber.join(next), 2)
      })
    )
  }
})

describe("a finalizer that", () => {
  it.effect("hangs, holds its place no longer than closeTimeout", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, one)
      server.onClose = Effect.never
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* ConnectionPool.status(pool)).closing, 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        [(yield* ConnectionPool.status(pool)).closing, (yield* ConnectionPool.status(pool)).idle],
        [0, 1]
      )
      server.onClose = Effect.void
    })
  )

  it.effect("dies, ends the connection all the same", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onClose = Effect.die("finalizer")
      const pool = yield* ConnectionPool.make(server.bare, one)
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      yield* TestClock.adjust("1 second")
      const status = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([status.closed, status.idle], [1, 1])
    })
  )
})

describe("a question that throws", () => {
  const raise = (): never => {
    throw new Error("no answer")
  }

  it.effect("is taken as the careful answer: what a lease left is reset", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let resets = 0
      const reset = () => Effect.sync(() => resets++)
      for (const inspect of [raise, () => "fishy" as never]) {
        const pool = yield* ConnectionPool.make(withParts(server, { inspect, reset }), one)
        yield* ConnectionPool.use(pool, () => Effect.void)
        yield* turns()
      }
      assert.deepStrictEqual([resets, server.closed], [2, []])
    })
  )

  it.effect("is taken as the careful answer: an error is fatal", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(withParts(server, { fatal: raise }), one)
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.fail("any")))
      yield* turns()
      assert.deepStrictEqual(server.closed, [1])
    })
  )
})

describe("a death watch that", () => {
  it.effect("breaks, closes nothing", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(withParts(server, { closed: () => Effect.die("watcher") }), one)
      yield* turns()
      assert.deepStrictEqual([server.closed.length, (yield* ConnectionPool.status(pool)).idle], [0, 1])
    })
  )

  it.effect("fails, says that the connection has died", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* ConnectionPool.make(withParts(server, { closed: () => Effect.fail("reset by peer") }), one)
      yield* turns()
      assert.include(server.closed, 1)
    })
  )
})

describe("a borrower's body that throws", () => {
  it.effect("dies with what it threw, and its connection is not handed on blindly", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, one)
      const exit = yield* Effect.exit(
        ConnectionPool.use(pool, (): Effect.Effect<void> => {
          throw new Error("body")
        })
      )
      assert.isTrue(Exit.hasDies(exit))
      yield* turns()
      assert.deepStrictEqual([server.closed, (yield* ConnectionPool.status(pool)).inUse], [[1], 0])
    })
  )
})

describe("an error of a connect that cannot be shown", () => {
  const odd: ReadonlyArray<readonly [string, unknown]> = [
    ["has no prototype", Object.create(null)],
    [
      "has a message that is no text",
      Object.assign(new Error("outer", { cause: new Error("inner") }), { message: 42 })
    ],
    [
      "has a getter that throws",
      Object.defineProperty(new Error("outer"), "cause", {
        get: () => {
          throw new Error("getter")
        }
      })
    ],
    ["is a symbol", Symbol("odd")]
  ]
  for (const [what, error] of odd) {
    it.effect(`because it ${what}, is retried like any other`, () =>
      Effect.gen(function* () {
        const connector = Connector.make<number, unknown>({ name: "odd", connect: Effect.fail(error) })
        const pool = yield* ConnectionPool.make(connector, { ...one, startup: "background" })
        yield* TestClock.adjust("10 seconds")
        assert.isAtLeast((yield* ConnectionPool.status(pool)).connectFailures, 3)
      })
    )
  }
})

describe("a server that takes connections and drops them at once", () => {
  it.effect("is asked by the schedule, not as fast as it drops them", () =>
    Effect.gen(function* () {
      let attempts = 0
      const connector = Connector.make({
        name: "proxy",
        connect: Effect.sync(() => ({ id: ++attempts })),
        closed: () => Effect.void
      })
      const pool = yield* ConnectionPool.make(connector, {
        minConnections: 2,
        retry: { jitter: 0 },
        startup: "background"
      })
      const borrowers = yield* Effect.replicateEffect(
        Effect.forkChild(Effect.forever(Effect.ignore(ConnectionPool.use(pool, () => Effect.fail("broken pipe"))))),
        20
      )
      // Three deaths tell; by then the rest of some batches is on its way.
      yield* turns(200)
      assert.isBelow(attempts, 50)
      const before = attempts
      yield* TestClock.adjust("1 minute")
      assert.isBelow(attempts - before, 20)
      yield* Fiber.interruptAll(borrowers)
    })
  )
})

describe("an outage of connections that are dropped", () => {
  it.effect("is told as what it is, with the time to the next attempt, and not as the failure before", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("the failure before")
      const pool = yield* ConnectionPool.make(server.complete, {
        ...one,
        startup: "background",
        acquireTimeout: "1 second",
        warmup: { delay: 0 },
        retry: { initial: "10 seconds", jitter: 0 }
      })
      yield* turns()
      yield* server.comeBack
      yield* TestClock.adjust("1 minute")
      server.dropsNew = true
      yield* Effect.forEach(server.connections, ({ dead }) => Deferred.succeed(dead, undefined))
      yield* turns(100)
      const borrower = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(borrower)
      assert.include(error.message, "connections end as soon as they are open")
      assert.strictEqual(error._tag === "AcquireTimeout" && error.retryAfterSeconds, 9)
    })
  )
})

describe("a connector", () => {
  it.effect("gives back at the end of a check what the check took", () =>
    Effect.gen(function* () {
      let open = 0
      const take = Effect.acquireRelease(
        Effect.sync(() => open++),
        () => Effect.sync(() => open--)
      )
      const connector = Connector.make({ name: "taking", connect: Effect.succeed({}), check: () => take })
      const pool = yield* ConnectionPool.make(connector, { ...one, checkAfterIdle: 0 })
      yield* Effect.replicateEffect(
        ConnectionPool.use(pool, () => Effect.void),
        10
      )
      assert.strictEqual(open, 0)
    })
  )

  it.effect("runs outside the span in which the pool was made, and its logs say which pool it is", () =>
    Effect.gen(function* () {
      const spans: Array<string> = []
      const pools: Array<unknown> = []
      const note = Effect.gen(function* () {
        spans.push((yield* Effect.option(Effect.currentParentSpan))._tag)
        pools.push((yield* References.CurrentLogAnnotations)["pool"])
      })
      const connector = Connector.make({
        name: "noting",
        connect: Effect.as(note, {}),
        check: () => note,
        reset: () => note
      })
      const make = ConnectionPool.make(connector, { ...one, checkAfterIdle: 0 })
      const pool = yield* make.pipe(Effect.withSpan("outer"), Effect.annotateLogs("app", "a"))
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* turns()
      assert.deepStrictEqual(
        [spans, pools],
        [
          ["None", "None", "None"],
          ["noting", "noting", "noting"]
        ]
      )
    })
  )

  it.effect("may be an object with methods that call one another", () =>
    Effect.gen(function* () {
      class Methods {
        readonly name = "methods"
        readonly connect = Effect.succeed({})
        resets = 0
        private note(): Effect.Effect<number> {
          return Effect.sync(() => ++this.resets)
        }
        reset(): Effect.Effect<number> {
          return this.note()
        }
      }
      const methods = new Methods()
      const pool = yield* ConnectionPool.make(Connector.make(methods), one)
      yield* ConnectionPool.use(pool, () => Effect.void)
      yield* turns()
      assert.deepStrictEqual([methods.resets, (yield* ConnectionPool.status(pool)).closed], [1, 0])
    })
  )
})

describe("a logger that throws", () => {
  const throwing = Logger.layer([
    Logger.make(() => {
      throw new Error("logger")
    })
  ])

  it.effect("stops no retry, no close and no end", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* server.goDown()
          const pool = yield* ConnectionPool.make(server.bare, { ...one, startup: "background" })
          yield* turns()
          yield* server.comeBack
          yield* TestClock.adjust("5 seconds")
          yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
          yield* turns()
          assert.strictEqual((yield* ConnectionPool.status(pool)).closed, 1)
        })
      )
      assert.strictEqual(server.live, 0)
    }).pipe(Effect.provide(Layer.fresh(throwing)))
  )
})
