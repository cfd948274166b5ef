import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolError } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

/** Somebody borrows until he is told to stop. */
const hold = Effect.fnUntraced(function* <A>(pool: ConnectionPool.ConnectionPool<A>) {
  const gate = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
  yield* turns()
  return Effect.andThen(Deferred.succeed(gate, undefined), Fiber.join(fiber))
})

const tagOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
  Effect.match(effect, { onSuccess: () => "success", onFailure: ({ _tag }) => _tag })

describe("resize", () => {
  it.effect("opens what is missing from a higher minimum", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 1, maxConnections: 2 })
      yield* ConnectionPool.resize(pool, { minConnections: 4, maxConnections: 8 })
      yield* TestClock.adjust("1 second")
      const { idle, limit, maxConnections, minConnections } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual(
        { idle, limit, maxConnections, minConnections },
        {
          idle: 4,
          limit: 8,
          maxConnections: 8,
          minConnections: 4
        }
      )
    })
  )

  it.effect("lets those who wait have the room that a higher maximum gives", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 1, maxConnections: 1 })
      const letGo = yield* hold(pool)
      const waiter = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.void))
      yield* turns()
      yield* ConnectionPool.resize(pool, { maxConnections: 2 })
      yield* Fiber.join(waiter)
      yield* letGo
    })
  )

  it.effect("closes idle connections above a lower maximum, and those in use when they come back", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 3, maxConnections: 3 })
      yield* TestClock.adjust("1 second")
      const letGo = yield* Effect.all([hold(pool), hold(pool)])
      yield* ConnectionPool.resize(pool, { minConnections: 0, maxConnections: 1 })
      yield* turns()
      const whileLent = yield* ConnectionPool.status(pool)
      yield* Effect.all(letGo)
      yield* turns()
      const after = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([whileLent.total, whileLent.inUse, after.total, server.live], [2, 2, 1, 1])
    })
  )

  it.effect(
    "ends connects in flight that there is no room for any more, and leaves nothing of them on the server",
    () =>
      Effect.gen(function* () {
        const server = new FakeServer()
        server.onConnect = Effect.sleep("1 second")
        const pool = yield* ConnectionPool.make(server.bare, { minConnections: 4, startup: "background" })
        yield* turns()
        yield* ConnectionPool.resize(pool, { minConnections: 1, maxConnections: 1 })
        yield* TestClock.adjust("2 seconds")
        const { idle, total } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([idle, total, server.live], [1, 1, 1])
      })
  )

  for (const [limits, fields] of [
    [{ minConnections: -1 }, ["minConnections"]],
    [{ maxConnections: 0 }, ["maxConnections"]],
    [{ minConnections: 11 }, ["minConnections"]],
    [{ minConnections: 1.5, maxConnections: Number.NaN }, ["minConnections", "maxConnections"]],
    [{ maxConnection: 5 }, ["maxConnection"]]
  ] as const) {
    it.effect(`refuses ${JSON.stringify(limits)}, names every wrong field, and changes nothing`, () =>
      Effect.gen(function* () {
        const pool = yield* ConnectionPool.make(new FakeServer().bare)
        const before = yield* ConnectionPool.status(pool)
        const error = yield* Effect.flip(ConnectionPool.resize(pool, limits as ConnectionPool.Limits))
        assert.deepStrictEqual(
          (error as PoolError.PoolConfigError).problems.map(({ field }) => field),
          [...fields]
        )
        const after = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([after.limit, after.minConnections], [before.limit, before.minConnections])
      })
    )
  }
})

describe("pause", () => {
  it.effect("lends nothing, and serves those who wait in their order when it is over", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 1, maxConnections: 1 })
      yield* ConnectionPool.pause(pool)
      const served: Array<string> = []
      const borrow = (name: string) =>
        Effect.forkChild(ConnectionPool.use(pool, () => Effect.sync(() => served.push(name))))
      const fibers = [yield* borrow("first"), yield* borrow("second")]
      yield* turns()
      const paused = yield* ConnectionPool.status(pool)
      yield* ConnectionPool.resume(pool)
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual([paused.state, paused.waiting, served], ["paused", 2, ["first", "second"]])
    })
  )

  it.effect("counts towards the deadlines of those who wait, and says what they waited for", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { acquireTimeout: "1 second" })
      yield* ConnectionPool.pause(pool)
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(waiter)
      assert.strictEqual((error as PoolError.AcquireTimeout).diagnosis, "paused")
    })
  )

  it.effect("fails acquires at once where that is asked for, those that wait already among them", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 1, maxConnections: 1 })
      const letGo = yield* hold(pool)
      const waiter = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* turns()
      yield* ConnectionPool.pause(pool, { acquires: "fail" })
      const errors = [yield* Fiber.join(waiter), yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void))]
      yield* letGo
      assert.deepStrictEqual(
        errors.map((error) => (error as PoolError.ServiceUnavailable).reason),
        ["paused", "paused"]
      )
    })
  )

  it.effect("opens, checks and retires nothing", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, {
        minConnections: 2,
        idleTimeout: "1 second",
        healthCheckInterval: "1 second"
      })
      yield* TestClock.adjust("1 second")
      yield* ConnectionPool.pause(pool)
      const { attempts } = server
      const before = [attempts.length, server.checks, server.closed.length]
      yield* ConnectionPool.resize(pool, { minConnections: 5 })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([attempts.length, server.checks, server.closed.length], before)
    })
  )

  it.effect("is no ready pool: awaitReady waits for its end", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare)
      yield* ConnectionPool.pause(pool)
      const fiber = yield* Effect.forkChild(ConnectionPool.awaitReady(pool))
      yield* turns()
      assert.isUndefined(fiber.pollUnsafe())
      yield* ConnectionPool.resume(pool)
      yield* Fiber.join(fiber)
    })
  )
})

describe("recycle", () => {
  it.effect("replaces every connection, and never lets go of more than may connect at a time", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("100 millis")
      const pool = yield* ConnectionPool.make(server.bare, {
        minConnections: 6,
        maxConnections: 6,
        maxConnecting: 2,
        startup: "background"
      })
      yield* TestClock.adjust("5 seconds")
      yield* ConnectionPool.recycle(pool)
      let least = server.live
      for (let step = 0; step < 200; step++) {
        yield* TestClock.adjust("50 millis")
        least = Math.min(least, server.live)
      }
      const { idle } = yield* ConnectionPool.status(pool)
      assert.sameMembers(server.closed, [1, 2, 3, 4, 5, 6])
      assert.deepStrictEqual([idle, least], [6, 4])
    })
  )

  it.effect("lets borrowers finish, and closes what they had when they return it", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      const letGo = yield* hold(pool)
      yield* ConnectionPool.recycle(pool)
      yield* TestClock.adjust("5 seconds")
      const whileLent = server.closed.length
      yield* letGo
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([whileLent, server.closed, (yield* ConnectionPool.status(pool)).idle], [0, [1], 1])
    })
  )

  it.effect("closes connections under their borrowers where that is asked for", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      const letGo = yield* hold(pool)
      yield* ConnectionPool.recycle(pool, { interrupt: true })
      yield* turns()
      const next = yield* ConnectionPool.use(pool, ({ id }) => Effect.succeed(id))
      yield* letGo
      const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([server.closed, next, acquired, released, inUse], [[1], 2, 2, 2, 0])
    })
  )

  it.effect("in a paused pool closes all that rest, and opens new ones when the pool is resumed", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 8, maxConnections: 8 })
      yield* TestClock.adjust("2 seconds")
      yield* ConnectionPool.pause(pool)
      yield* ConnectionPool.recycle(pool)
      yield* turns()
      const whilePaused = server.live
      yield* ConnectionPool.resume(pool)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual([whilePaused, server.live], [0, 8])
    })
  )
})

describe("checkIdle", () => {
  it.effect("checks all idle connections but the last, and closes those that fail", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { minConnections: 4, maxConnections: 4 })
      yield* TestClock.adjust("1 second")
      server.checkFails.add(2)
      const summary = yield* ConnectionPool.checkIdle(pool)
      yield* turns()
      assert.deepStrictEqual([summary, server.closed], [{ checked: 4, failed: 1, skipped: 0 }, [2]])
    })
  )

  it.effect("leaves the only one to callers", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { minConnections: 1 })
      assert.deepStrictEqual(yield* ConnectionPool.checkIdle(pool), { checked: 0, failed: 0, skipped: 1 })
    })
  )

  it.effect("skips them all where there is no check", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 2 })
      yield* turns()
      assert.deepStrictEqual(yield* ConnectionPool.checkIdle(pool), { checked: 0, failed: 0, skipped: 2 })
    })
  )

  it.effect("comes to an end when the pool is paused or closed meanwhile", () =>
    Effect.gen(function* () {
      const pause = (pool: ConnectionPool.ConnectionPool<FakeConnection>) => ConnectionPool.pause(pool)
      const drain = (pool: ConnectionPool.ConnectionPool<FakeConnection>) => ConnectionPool.drain(pool)
      for (const end of [pause, drain]) {
        const server = new FakeServer()
        server.onCheck = Effect.sleep("1 second")
        const pool = yield* ConnectionPool.make(server.complete, { minConnections: 4, maxConnections: 4 })
        yield* TestClock.adjust("100 millis")
        const fiber = yield* Effect.forkChild(ConnectionPool.checkIdle(pool))
        yield* turns()
        yield* Effect.forkChild(end(pool))
        yield* TestClock.adjust("2 seconds")
        const { checked, skipped } = yield* Fiber.join(fiber)
        assert.strictEqual(checked + skipped, 4)
      }
    })
  )
})

describe("drain", () => {
  it.effect("fails those who wait, gives borrowers the deadline, and closes their connections under them", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      const letGo = yield* hold(pool)
      const waiter = yield* Effect.forkChild(tagOf(ConnectionPool.use(pool, () => Effect.void)))
      yield* turns()
      const drained = yield* Effect.forkChild(ConnectionPool.drain(pool, "3 seconds"))
      yield* turns()
      assert.strictEqual(yield* Fiber.join(waiter), "PoolClosed")
      yield* TestClock.adjust("2999 millis")
      assert.deepStrictEqual([drained.pollUnsafe(), server.live], [undefined, 1])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(drained)
      assert.deepStrictEqual([server.live, (yield* ConnectionPool.status(pool)).state], [0, "closed"])
      yield* letGo
    })
  )

  it.effect("is over as soon as the last borrower is done", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1 })
      const letGo = yield* hold(pool)
      const drained = yield* Effect.forkChild(ConnectionPool.drain(pool, "1 hour"))
      yield* turns()
      yield* letGo
      yield* Fiber.join(drained)
      assert.strictEqual(server.live, 0)
    })
  )

  it.effect("goes on when whoever called it is interrupted, and the scope's end waits for nothing more", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(ConnectionPool.make(server.bare, { minConnections: 1 }), scope)
      const letGo = yield* hold(pool)
      const drained = yield* Effect.forkChild(ConnectionPool.drain(pool, "1 second"))
      yield* turns()
      yield* Fiber.interrupt(drained)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "closed")
      yield* Scope.close(scope, Exit.void)
      yield* letGo
    })
  )

  it.effect("of two deadlines keeps the earlier", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1 })
      const letGo = yield* hold(pool)
      const drains = yield* Effect.all([
        Effect.forkChild(ConnectionPool.drain(pool, "1 hour")),
        Effect.forkChild(ConnectionPool.drain(pool, "1 second"))
      ])
      yield* turns()
      yield* TestClock.adjust("1 second")
      yield* Fiber.joinAll(drains)
      yield* letGo
    })
  )
})

describe("after its end", () => {
  it.effect("a pool refuses what is asked of it, with a typed error, and changes nothing", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete)
      yield* ConnectionPool.drain(pool)
      const before = yield* ConnectionPool.status(pool)
      const answers = yield* Effect.all([
        tagOf(ConnectionPool.use(pool, () => Effect.void)),
        tagOf(Effect.scoped(ConnectionPool.acquire(pool))),
        tagOf(Effect.scoped(ConnectionPool.reserve(pool))),
        tagOf(Effect.scoped(ConnectionPool.lease(pool))),
        tagOf(ConnectionPool.resize(pool, { maxConnections: 3 })),
        tagOf(ConnectionPool.pause(pool)),
        tagOf(ConnectionPool.resume(pool)),
        tagOf(ConnectionPool.recycle(pool)),
        tagOf(ConnectionPool.checkIdle(pool)),
        tagOf(ConnectionPool.awaitReady(pool))
      ])
      assert.deepStrictEqual(new Set(answers), new Set(["PoolClosed"]))
      yield* ConnectionPool.drain(pool)
      yield* ConnectionPool.invalidate(pool, server.connections[0]!)
      const after = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual(
        { total: after.total, limit: after.limit, created: after.created, refused: after.refused },
        { total: 0, limit: before.limit, created: before.created, refused: before.refused + 4 }
      )
    })
  )
})
