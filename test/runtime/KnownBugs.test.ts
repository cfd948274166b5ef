/** Bugs that other pools have had and that no other test here is about. `docs/known-bugs.md` says which. */
import { assert, describe, it } from "@effect/vitest"
import { Data, Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { ConnectionPool, Connector, type PoolConfig } from "../../src/index.ts"
import { type FakeConnection, FakeServer, Refused, turns } from "../support/FakeServer.ts"

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

const one = { minConnections: 1, maxConnections: 1, retry: { jitter: 0 } } as const

const idOf = (pool: Pool) => ConnectionPool.use(pool, ({ id }) => Effect.succeed(id))

/** Somebody who has a connection until he is told to let go. */
const hold = Effect.fnUntraced(function* (pool: Pool) {
  const gate = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
  yield* turns()
  return Effect.andThen(Deferred.succeed(gate, undefined), Fiber.join(fiber))
})

describe("a resize while a connection is being opened", () => {
  it.effect("gives no connection to two borrowers", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("1 second")
      const pool = yield* ConnectionPool.make(server.bare, { ...one, minConnections: 0 })
      const borrowers = yield* Effect.replicateEffect(
        Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.as(Effect.sleep("1 minute"), id))),
        3
      )
      yield* turns()
      yield* ConnectionPool.resize(pool, { maxConnections: 5 })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).inUse, 3)
      yield* TestClock.adjust("1 minute")
      const ids = yield* Fiber.joinAll(borrowers)
      assert.deepStrictEqual(
        ids.toSorted((a, b) => a - b),
        [1, 2, 3]
      )
    })
  )
})

describe("connections for many who wait", () => {
  it.effect("are opened side by side", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("1 second")
      const config = { minConnections: 0, maxConnections: 5, maxConnecting: 5 }
      const pool = yield* ConnectionPool.make(server.bare, config)
      const borrowers = yield* Effect.replicateEffect(
        Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("1 minute"))),
        5
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ConnectionPool.status(pool)).inUse, 5)
      yield* Fiber.interruptAll(borrowers)
    })
  )

  it.effect("are counted while what prepares them goes on", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const connect = Effect.tap(server.connect, () => Effect.sleep("1 second"))
      const connector = Connector.make({ name: "prepared", connect })
      const pool = yield* ConnectionPool.make(connector, { minConnections: 0, maxConnections: 3 })
      const borrowers = yield* Effect.replicateEffect(Effect.forkChild(idOf(pool)), 20)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.joinAll(borrowers)
      assert.strictEqual(server.mostLive, 3)
    })
  )
})

describe("a server that has no room for another connection", () => {
  it.effect("keeps nobody from a connection that is returned", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { ...one, maxConnections: 3 })
      const letGo = yield* hold(pool)
      server.onConnect = Effect.fail(new Refused({ kind: "overloaded", message: "too many clients already" }))
      const waiter = yield* Effect.forkChild(idOf(pool))
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined(waiter.pollUnsafe())
      yield* letGo
      assert.strictEqual(yield* Fiber.join(waiter), 1)
    })
  )
})

describe("checks that always fail", () => {
  it.effect("do not have connections opened and closed in a loop", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onCheck = Effect.fail(new Refused({ kind: "transient", message: "no answer" }))
      const config = { minConnections: 3, maxConnections: 3, checkAfterIdle: 0, retry: { jitter: 0 } }
      const pool = yield* ConnectionPool.make(server.complete, config)
      yield* TestClock.adjust("10 minutes")
      // Each is checked once in 30 s, fails, and is replaced.
      assert.isAtMost(server.attempts.length, 3 + 3 * 20)
      assert.isNumber(yield* idOf(pool))
      assert.strictEqual(server.mostLive, 3)
    })
  )
})

describe("a borrower that is interrupted", () => {
  it.effect("does not wait for the check of its connection, which cannot be interrupted", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { ...one, checkAfterIdle: 0 })
      server.onCheck = Effect.uninterruptible(Effect.sleep("1 second"))
      const borrower = yield* Effect.forkChild(idOf(pool))
      yield* turns()
      assert.strictEqual((yield* ConnectionPool.status(pool)).checking, 1)
      yield* Fiber.interrupt(borrower)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(borrower)))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 1)
    })
  )

  it.effect("leaves no connection open on the server, however long its close takes", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onClose = Effect.sleep("1 second")
      const pool = yield* ConnectionPool.make(server.bare, { ...one, minConnections: 0 })
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* Fiber.interrupt(borrower)
      assert.deepStrictEqual([(yield* ConnectionPool.status(pool)).closing, server.live], [1, 1])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([(yield* ConnectionPool.status(pool)).total, server.live], [0, 0])
    })
  )
})

describe("a close that hangs", () => {
  it.effect("delays nobody who can have another connection", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { ...one, maxConnections: 2 })
      server.onClose = Effect.never
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      assert.strictEqual(yield* idOf(pool), 2)
      assert.strictEqual((yield* ConnectionPool.status(pool)).closing, 1)
      server.onClose = Effect.void
      yield* TestClock.adjust("5 seconds")
    })
  )
})

describe("an overload", () => {
  it.effect("that is over leaves nothing behind: the next borrower is served at once", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, one)
      const letGo = yield* hold(pool)
      const crowd = yield* Effect.replicateEffect(Effect.forkChild(Effect.flip(idOf(pool))), 1000)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* ConnectionPool.status(pool)).waiting, 1000)
      yield* TestClock.adjust("1 millis")
      const errors = yield* Fiber.joinAll(crowd)
      assert.deepStrictEqual(new Set(errors.map(({ _tag }) => _tag)), new Set(["AcquireTimeout"]))
      yield* letGo
      assert.strictEqual(yield* idOf(pool), 1)
      const { timedOut, waiting } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([timedOut, waiting], [1000, 0])
    })
  )
})

describe("idle connections above the minimum", () => {
  /** A pool with four idle connections, of which the minimum is one. */
  const grown = Effect.fnUntraced(function* (server: FakeServer, config: PoolConfig.Input = {}) {
    const options = { minConnections: 1, maxConnections: 4, idleTimeout: "1 minute", retry: { jitter: 0 } } as const
    const pool = yield* ConnectionPool.make(server.complete, { ...options, ...config })
    return { pool, grow: Effect.scoped(Effect.replicateEffect(ConnectionPool.reserve(pool), 4)) }
  })

  it.effect("are closed after idleTimeout after an outage, too", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { grow, pool } = yield* grown(server)
      yield* grow
      yield* server.goDown()
      yield* TestClock.adjust("2 minutes")
      yield* server.comeBack
      yield* TestClock.adjust("2 minutes")
      yield* grow
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 4)
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 1)
    })
  )

  it.effect("are closed after idleTimeout though another was closed meanwhile", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { grow, pool } = yield* grown(server)
      yield* grow
      yield* TestClock.adjust("30 seconds")
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 3)
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 1)
    })
  )

  it.effect("are closed after idleTimeout where connections are shared", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const { grow, pool } = yield* grown(server, { concurrency: 4 })
      yield* grow
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 4)
      yield* TestClock.adjust("70 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 1)
    })
  )
})

describe("a waiter", () => {
  it.effect("is served by another connection when the one it waited for has died", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      const letGo = yield* hold(pool)
      const waiter = yield* Effect.forkChild(idOf(pool))
      yield* turns()
      yield* Deferred.succeed(server.connections[0]!.dead, undefined)
      yield* turns()
      yield* letGo
      assert.strictEqual(yield* Fiber.join(waiter), 2)
    })
  )

  it.effect("for a connection of its own is served by an empty pool", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const scope = yield* Scope.make()
      const config = { minConnections: 0, concurrency: 4 }
      const pool = yield* Scope.provide(ConnectionPool.make(server.bare, config), scope)
      yield* Effect.scoped(ConnectionPool.reserve(pool))
      assert.strictEqual((yield* ConnectionPool.status(pool)).idle, 1)
      // And the pool closes without a wait when it has been given back.
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(server.live, 0)
    })
  )
})

describe("a connect that never settles", () => {
  it.effect("is told as begun, failed and ended, each of them once", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const pool = yield* ConnectionPool.make(server.bare, { ...one, startup: "background" })
      yield* TestClock.adjust("5 seconds")
      const events = yield* ConnectionPool.recentEvents(pool)
      assert.deepStrictEqual(
        events.flatMap((event) => ("connection" in event ? [[event._tag, event.connection]] : [])),
        [
          ["ConnectionCreated", 1],
          ["ConnectFailed", 1],
          ["ConnectionClosed", 1]
        ]
      )
    })
  )
})

describe("a connection that is lent a hundred times", () => {
  it.effect("is watched once", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      let watchers = 0
      const closed = () =>
        Effect.acquireUseRelease(
          Effect.sync(() => watchers++),
          () => Effect.never,
          () => Effect.sync(() => watchers--)
        )
      const pool = yield* ConnectionPool.make(Connector.make({ name: "watched", connect: server.connect, closed }), one)
      for (let n = 0; n < 100; n++) yield* idOf(pool)
      yield* turns()
      assert.strictEqual(watchers, 1)
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([server.live, watchers], [1, 1])
    })
  )
})

describe("what the pool has let go of", () => {
  v8.setFlagsFromString("--expose-gc")
  const collect = vm.runInNewContext("gc") as () => void

  class Thing extends Data.Class<{ readonly id: number }> {}

  /** Whether none of them is left when the garbage has been collected. */
  const areGone = (refs: ReadonlyArray<WeakRef<object>>) =>
    Effect.promise(async () => {
      for (let attempt = 0; attempt < 20; attempt++) {
        // A `WeakRef` keeps what it was asked for until the end of the turn.
        await new Promise((resolve) => setTimeout(resolve, 5))
        collect()
        if (refs.every((ref) => ref.deref() === undefined)) return true
      }
      return false
    })

  it.live("is not kept in memory: connections that were replaced", () =>
    Effect.gen(function* () {
      const refs: Array<WeakRef<object>> = []
      const connect = Effect.sync(() => {
        const thing = new Thing({ id: refs.length })
        refs.push(new WeakRef(thing))
        return thing
      })
      const pool = yield* ConnectionPool.make(Connector.make({ name: "things", connect }), { ...one, maxUses: 1 })
      for (let n = 0; n < 50; n++) yield* ConnectionPool.use(pool, () => Effect.void)
      yield* Effect.sleep("10 millis")
      assert.isAtLeast(refs.length, 50)
      assert.isTrue(yield* areGone(refs.slice(0, 49)))
    })
  )

  it.live("is not kept in memory: waiters that left while every connection was lent", () =>
    Effect.gen(function* () {
      const refs: Array<WeakRef<object>> = []
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const letGo = yield* hold(pool)
      for (let n = 0; n < 50; n++) {
        const waiter = yield* Effect.forkChild(idOf(pool))
        yield* turns(3)
        yield* Fiber.interrupt(waiter)
        refs.push(new WeakRef(waiter))
      }
      // The last one is in this function's own hands.
      assert.isTrue(yield* areGone(refs.slice(0, 49)))
      yield* letGo
    })
  )
})
