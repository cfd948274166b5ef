import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, Connector, type PoolConfig, PoolEvent, SizingPolicy } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

type Event = PoolEvent.PoolEvent
type Named<Tag extends Event["_tag"]> = Extract<Event, { readonly _tag: Tag }>

const isNamed =
  <Tag extends Event["_tag"]>(...tags: ReadonlyArray<Tag>) =>
  (event: Event): event is Named<Tag> =>
    (tags as ReadonlyArray<string>).includes(event._tag)

/** What was recorded so far, without the times. */
const factsOf = Effect.fnUntraced(function* <A>(pool: ConnectionPool.ConnectionPool<A>) {
  return (yield* ConnectionPool.recentEvents(pool)).map(({ at: _, ...fact }) => fact)
})

/** What is recorded while something happens, without the times. */
const factsDuring = Effect.fnUntraced(function* <A, B, E, R>(
  pool: ConnectionPool.ConnectionPool<A>,
  effect: Effect.Effect<B, E, R>
) {
  const before = (yield* factsOf(pool)).length
  yield* effect
  yield* turns()
  return (yield* factsOf(pool)).slice(before)
})

/** Reads to the end of the pool. */
const read = <A>(pool: ConnectionPool.ConnectionPool<A>) =>
  Effect.forkChild(Stream.runCollect(ConnectionPool.events(pool)), { startImmediately: true })

const one = { minConnections: 1, maxConnections: 1, retry: { jitter: 0 } } as const

const use = <A>(pool: ConnectionPool.ConnectionPool<A>) => ConnectionPool.use(pool, () => Effect.void)

describe("the events of a pool", () => {
  it.effect("tell of its start", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.sleep("30 millis")
      const pool = yield* ConnectionPool.make(server.bare, {
        minConnections: 2,
        warmup: { batchSize: 1 },
        startup: "background"
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* ConnectionPool.recentEvents(pool), [
        { _tag: "PoolCreated", at: 0, minConnections: 2, maxConnections: 10 },
        { _tag: "ConnectionCreated", at: 0, connection: 1 },
        { _tag: "ConnectionReady", at: 30, connection: 1, duration: 30 },
        { _tag: "PoolReady", at: 30 },
        { _tag: "PoolWarming", at: 30, open: 1, minConnections: 2 },
        { _tag: "ConnectionCreated", at: 130, connection: 2 },
        { _tag: "ConnectionReady", at: 160, connection: 2, duration: 30 },
        { _tag: "PoolWarming", at: 160, open: 2, minConnections: 2 }
      ])
    })
  )

  it.effect("tell of a lease that was to be had at once", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const facts = yield* factsDuring(pool, Effect.andThen(use(pool), use(pool)))
      assert.deepStrictEqual(facts, [
        { _tag: "AcquireStarted", acquire: 1 },
        { _tag: "Acquired", acquire: 1, lease: 1, connection: 1, waited: 0 },
        { _tag: "Released", lease: 1, connection: 1, end: "clean", held: 0 },
        { _tag: "AcquireStarted", acquire: 2 },
        { _tag: "Acquired", acquire: 2, lease: 2, connection: 1, waited: 0 },
        { _tag: "Released", lease: 2, connection: 1, end: "clean", held: 0 }
      ])
    })
  )

  it.effect("tell how long an acquire has waited and a lease was held", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const facts = yield* factsDuring(
        pool,
        Effect.gen(function* () {
          yield* Effect.forkChild(
            ConnectionPool.use(pool, () => Effect.sleep("2 seconds")),
            { startImmediately: true }
          )
          const waiter = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("1 second")))
          yield* TestClock.adjust("3 seconds")
          yield* Fiber.join(waiter)
        })
      )
      assert.deepStrictEqual(facts, [
        { _tag: "AcquireStarted", acquire: 1 },
        { _tag: "Acquired", acquire: 1, lease: 1, connection: 1, waited: 0 },
        { _tag: "AcquireStarted", acquire: 2 },
        { _tag: "Released", lease: 1, connection: 1, end: "clean", held: 2000 },
        { _tag: "Acquired", acquire: 2, lease: 2, connection: 1, waited: 2000 },
        { _tag: "Released", lease: 2, connection: 1, end: "clean", held: 1000 }
      ])
    })
  )

  it.effect("tell of a check before a lease, and how it went", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { ...one, checkAfterIdle: 0 })
      server.onCheck = Effect.sleep("20 millis")
      const facts = yield* factsDuring(
        pool,
        Effect.andThen(Effect.forkChild(use(pool), { startImmediately: true }), TestClock.adjust("20 millis"))
      )
      assert.deepStrictEqual(facts, [
        { _tag: "AcquireStarted", acquire: 1 },
        { _tag: "ConnectionChecked", connection: 1, isAlive: true, duration: 20 },
        { _tag: "Acquired", acquire: 1, lease: 1, connection: 1, waited: 20 },
        { _tag: "Released", lease: 1, connection: 1, end: "clean", held: 0 }
      ])
    })
  )

  it.effect("tell of a lease that left something behind, and of the reset", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, one)
      server.onReset = Effect.sleep("20 millis")
      const dirty = ConnectionPool.use(pool, (connection) =>
        Effect.sync(() => {
          connection.isDirty = true
        })
      )
      const facts = yield* factsDuring(pool, Effect.andThen(dirty, TestClock.adjust("20 millis")))
      assert.deepStrictEqual(facts.slice(2), [
        { _tag: "Released", lease: 1, connection: 1, end: "dirty", held: 0 },
        { _tag: "ConnectionReset", connection: 1, isDone: true, duration: 20 }
      ])
    })
  )

  it.effect("tell of failed connects in the server's own words, of the time between them, and of the recovery", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("no route to host")
      const pool = yield* ConnectionPool.make(server.bare, { ...one, startup: "background" })
      yield* turns()
      yield* server.comeBack
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* factsOf(pool)).slice(1), [
        { _tag: "ConnectionCreated", connection: 1 },
        { _tag: "ConnectFailed", connection: 1, kind: "transient", duration: 0, message: "no route to host" },
        { _tag: "PoolWarming", open: 0, minConnections: 1 },
        { _tag: "BackoffStarted", attempts: 1, duration: 1000 },
        {
          _tag: "ConnectionClosed",
          connection: 1,
          reason: "connectFailed",
          duration: 0,
          uses: 0,
          isAbandoned: false
        },
        { _tag: "ConnectionCreated", connection: 2 },
        { _tag: "ConnectionReady", connection: 2, duration: 0 },
        { _tag: "PoolReady" },
        { _tag: "PoolWarming", open: 1, minConnections: 1 }
      ])
    })
  )

  it.effect("tell of an outage: what was refused, and from when on", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, {
        ...one,
        unavailableAfter: "3 seconds",
        acquireTimeout: "1 minute",
        retry: { initial: "1 second", factor: 1, jitter: 0 }
      })
      const facts = yield* factsDuring(
        pool,
        Effect.gen(function* () {
          yield* server.goDown()
          yield* turns()
          const waiter = yield* Effect.forkChild(Effect.exit(use(pool)))
          yield* TestClock.adjust("3 seconds")
          yield* Fiber.join(waiter)
          yield* Effect.exit(use(pool))
        })
      )
      const told = facts.filter(({ _tag }) => _tag === "PoolUnavailable" || _tag.startsWith("Acquire"))
      assert.deepStrictEqual<unknown>(told, [
        { _tag: "AcquireStarted", acquire: 1 },
        { _tag: "PoolUnavailable" },
        { _tag: "AcquireFailed", acquire: 1, reason: "unavailable", waited: 3000 },
        { _tag: "AcquireStarted", acquire: 2 },
        { _tag: "AcquireFailed", acquire: 2, reason: "unavailable", waited: 0 }
      ])
    })
  )

  it.effect("tell what an operator asked for", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { minConnections: 0, maxConnections: 2 })
      const facts = yield* factsDuring(
        pool,
        Effect.gen(function* () {
          yield* ConnectionPool.pause(pool)
          yield* ConnectionPool.pause(pool, { acquires: "fail" })
          yield* ConnectionPool.resume(pool)
          yield* ConnectionPool.resize(pool, { maxConnections: 5 })
          yield* ConnectionPool.recycle(pool)
          yield* ConnectionPool.recycle(pool, { interrupt: true })
        })
      )
      assert.deepStrictEqual(facts, [
        { _tag: "PoolPaused", acquires: "wait" },
        { _tag: "PoolPaused", acquires: "fail" },
        { _tag: "PoolResumed" },
        { _tag: "PoolResized", minConnections: 0, maxConnections: 5 },
        { _tag: "PoolCleared", generation: 1, interrupt: false },
        { _tag: "PoolCleared", generation: 2, interrupt: true }
      ])
    })
  )

  it.effect("tell of its end", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      yield* use(pool)
      const facts = yield* factsDuring(
        pool,
        Effect.gen(function* () {
          yield* Effect.forkChild(
            ConnectionPool.use(pool, () => Effect.sleep("1 hour")),
            { startImmediately: true }
          )
          const waiter = yield* Effect.forkChild(Effect.exit(use(pool)), { startImmediately: true })
          yield* Effect.forkChild(ConnectionPool.drain(pool, "2 seconds"), { startImmediately: true })
          yield* Fiber.join(waiter)
          yield* TestClock.adjust("2 seconds")
        })
      )
      assert.deepStrictEqual(facts.slice(3), [
        { _tag: "PoolDraining", leases: 1 },
        { _tag: "AcquireFailed", acquire: 3, reason: "closed", waited: 0 },
        { _tag: "Released", lease: 2, connection: 1, end: "revoked", held: 2000 },
        { _tag: "ConnectionClosed", connection: 1, reason: "drained", duration: 0, uses: 2, isAbandoned: false },
        { _tag: "PoolClosed" }
      ])
    })
  )

  it.effect("tell of a nested acquire that has to wait, and whose lease it waits with", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const facts = yield* factsDuring(pool, Effect.exit(ConnectionPool.use(pool, () => use(pool))))
      assert.deepStrictEqual(facts.slice(2, 5), [
        { _tag: "AcquireStarted", acquire: 2 },
        { _tag: "NestedAcquire", acquire: 2, lease: 1, connection: 1 },
        { _tag: "AcquireFailed", acquire: 2, reason: "deadlock", waited: 0 }
      ])
    })
  )
})

describe("the reason for which a connection was closed", () => {
  const config = { ...one, minConnections: 0, maxConnections: 2 } as const
  const keepsTheMinimum = SizingPolicy.make({
    name: "minimum",
    asksWhenWaiting: true,
    decide: ({ kept, minConnections, occasion }) => ({
      connections: occasion === "waiting" ? kept + 1 : minConnections,
      reason: "more is not needed"
    })
  })
  const reasonOf = Effect.fnUntraced(function* (
    overrides: PoolConfig.Input,
    cause: (
      pool: ConnectionPool.ConnectionPool<{ readonly id: number }>,
      server: FakeServer
    ) => Effect.Effect<unknown, unknown, Scope.Scope>,
    connectorOf: (server: FakeServer) => Connector.Connector<{ readonly id: number }, unknown> = (server) =>
      server.complete as never
  ) {
    const server = new FakeServer()
    const pool = yield* ConnectionPool.make(connectorOf(server), { ...config, ...overrides } as PoolConfig.Input)
    yield* Effect.exit(cause(pool, server))
    yield* turns(60)
    yield* TestClock.adjust("2 seconds")
    return (yield* ConnectionPool.recentEvents(pool)).find(isNamed("ConnectionClosed"))?.reason
  })

  const cases: Array<readonly [PoolEvent.CloseReason, ReturnType<typeof reasonOf>]> = [
    [
      "connectFailed",
      reasonOf(
        { minConnections: 1, startup: "background" },
        () => Effect.void,
        (server) => Connector.make({ name: "down", connect: Effect.andThen(server.connect, Effect.fail("handshake")) })
      )
    ],
    [
      "checkFailed",
      reasonOf({ checkAfterIdle: 0 }, (pool, server) =>
        Effect.gen(function* () {
          yield* use(pool)
          server.checkFails.add(1)
          yield* use(pool)
        })
      )
    ],
    [
      "died",
      reasonOf({}, (pool, server) =>
        Effect.andThen(
          use(pool),
          Effect.suspend(() => Deferred.succeed(server.connections[0]!.dead, undefined))
        )
      )
    ],
    ["broken", reasonOf({}, (pool) => ConnectionPool.use(pool, () => Effect.fail("fatal")))],
    [
      "suspect",
      reasonOf(
        {},
        (pool) => ConnectionPool.use(pool, () => Effect.die("defect")),
        (server) => server.bare
      )
    ],
    [
      "resetFailed",
      reasonOf({}, (pool, server) => {
        server.onReset = Effect.die("reset")
        return ConnectionPool.use(pool, () => Effect.die("defect"))
      })
    ],
    ["invalidated", reasonOf({}, (pool) => ConnectionPool.use(pool, (c) => ConnectionPool.invalidate(pool, c)))],
    ["discarded", reasonOf({}, (pool) => Effect.scoped(Effect.flatMap(ConnectionPool.lease(pool), (l) => l.discard)))],
    ["evicted", reasonOf({}, (pool) => Effect.andThen(use(pool), ConnectionPool.evict(pool, 1)))],
    [
      "maxLifetime",
      reasonOf({ maxLifetime: "1 minute" }, (pool) => Effect.andThen(use(pool), TestClock.adjust("2 minutes")))
    ],
    ["maxUses", reasonOf({ maxUses: 1 }, (pool) => use(pool))],
    [
      "idleTimeout",
      reasonOf({ idleTimeout: "10 seconds" }, (pool) => Effect.andThen(use(pool), TestClock.adjust("20 seconds")))
    ],
    [
      "unneeded",
      reasonOf({ sizing: keepsTheMinimum }, (pool) => Effect.andThen(use(pool), TestClock.adjust("2 seconds")))
    ],
    ["recycled", reasonOf({}, (pool) => Effect.andThen(use(pool), ConnectionPool.recycle(pool)))],
    [
      "resized",
      reasonOf({ minConnections: 2 }, (pool) =>
        Effect.andThen(
          TestClock.adjust("1 second"),
          ConnectionPool.resize(pool, { minConnections: 0, maxConnections: 1 })
        )
      )
    ],
    ["poolClosed", reasonOf({ minConnections: 1 }, (pool) => ConnectionPool.drain(pool))],
    [
      "drained",
      reasonOf({}, (pool) =>
        Effect.gen(function* () {
          yield* Effect.forkScoped(ConnectionPool.use(pool, () => Effect.never))
          yield* turns()
          yield* ConnectionPool.drain(pool, 0)
        })
      )
    ]
  ]
  for (const [reason, found] of cases) {
    it.effect(`is told: ${reason}`, () => Effect.map(found, (told) => assert.strictEqual(told, reason)))
  }

  it("is one of those that have an example here", () => {
    assert.sameMembers(
      cases.map(([reason]) => reason),
      [...PoolEvent.CloseReason.literals]
    )
  })
})

describe("a close", () => {
  const closeThat = Effect.fnUntraced(function* (takes: number) {
    const server = new FakeServer()
    server.onClose = Effect.sleep(takes)
    const pool = yield* ConnectionPool.make(server.bare, { ...one, minConnections: 0 })
    yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
    yield* TestClock.adjust("10 seconds")
    const event = (yield* ConnectionPool.recentEvents(pool)).find(isNamed("ConnectionClosed"))
    return [event?.isAbandoned, event?.duration]
  })

  it.effect("that is still running after closeTimeout is told as abandoned", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* closeThat(8000), [true, 5000])
    })
  )

  it.effect("that ends in time is not, and says how long it took", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* closeThat(4000), [false, 4000])
    })
  )
})

describe("over a busy life", () => {
  /** A pool of which everything is asked that can be asked of one, and what was told of it, from begin to end. */
  const life = Effect.gen(function* () {
    const server = new FakeServer()
    const scope = yield* Scope.make()
    const pool = yield* Scope.provide(
      ConnectionPool.make(server.complete, {
        minConnections: 2,
        maxConnections: 4,
        maxWaiting: 12,
        maxUses: 9,
        acquireTimeout: "700 millis",
        unavailableAfter: "2 seconds",
        drainTimeout: "1 second",
        checkAfterIdle: "50 millis",
        retry: { initial: "300 millis", jitter: 0 },
        startup: "background"
      }),
      scope
    )
    const reader = yield* read(pool)
    yield* TestClock.adjust("200 millis")
    let state = 20_261_124
    const dice = (sides: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return (state >>> 8) % sides
    }
    const bodies = [
      () => Effect.void,
      () => Effect.sleep(dice(300)),
      () => Effect.sleep(900),
      () => Effect.fail("fatal"),
      () => Effect.die("defect"),
      () => Effect.asVoid(Effect.exit(use(pool)))
    ]
    const borrowers: Array<Fiber.Fiber<unknown>> = []
    for (let round = 0; round < 400; round++) {
      const body = bodies[dice(bodies.length)]!
      const loan =
        dice(3) === 0
          ? Effect.scoped(Effect.andThen(ConnectionPool.acquire(pool), Effect.suspend(body)))
          : ConnectionPool.use(pool, body)
      borrowers.push(yield* Effect.forkChild(Effect.exit(loan), { startImmediately: true }))
      if (dice(6) === 0) yield* Fiber.interrupt(borrowers[dice(borrowers.length)]!)
      if (round % 97 === 90) yield* server.goDown()
      if (round % 97 === 3) yield* server.comeBack
      if (round === 120) yield* ConnectionPool.pause(pool, { acquires: "fail" })
      if (round === 125) yield* ConnectionPool.resume(pool)
      if (round === 150) yield* ConnectionPool.recycle(pool, { interrupt: true })
      if (round === 210) yield* ConnectionPool.resize(pool, { maxConnections: 3 })
      yield* TestClock.adjust(dice(80))
    }
    yield* server.comeBack
    // At its end everyone who holds a connection wants another; and some are in line when it closes.
    yield* TestClock.adjust("10 seconds")
    const greedy = ConnectionPool.use(pool, () => Effect.andThen(Effect.sleep("10 millis"), use(pool)))
    const late = ConnectionPool.use(pool, () => Effect.sleep("5 seconds"))
    for (const loan of [greedy, greedy, greedy]) borrowers.push(yield* Effect.forkChild(Effect.exit(loan)))
    yield* TestClock.adjust("1 second")
    for (const loan of [late, late, late, late, late]) borrowers.push(yield* Effect.forkChild(Effect.exit(loan)))
    yield* TestClock.adjust("100 millis")
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(closing)
    yield* Fiber.awaitAll(borrowers)
    return { events: [...(yield* Fiber.join(reader))], status: yield* ConnectionPool.status(pool) }
  })

  it.effect("every start has one end, and no end is without its start", () =>
    Effect.gen(function* () {
      const { events } = yield* life
      const open = { acquire: new Set<number>(), lease: new Set<number>(), connection: new Set<number>() }
      const wrong: Array<Event> = []
      const begin = (kind: keyof typeof open, id: number, event: Event) => {
        if (open[kind].has(id)) wrong.push(event)
        open[kind].add(id)
      }
      const end = (kind: keyof typeof open, id: number, event: Event) => {
        if (!open[kind].delete(id)) wrong.push(event)
      }
      // Those of the start were there before the reader was.
      for (const id of [1, 2]) open.connection.add(id)
      for (const event of events) {
        switch (event._tag) {
          case "AcquireStarted":
            begin("acquire", event.acquire, event)
            break
          case "AcquireFailed":
            end("acquire", event.acquire, event)
            break
          case "Acquired":
            end("acquire", event.acquire, event)
            begin("lease", event.lease, event)
            break
          case "Released":
            end("lease", event.lease, event)
            break
          case "ConnectionCreated":
            begin("connection", event.connection, event)
            break
          case "ConnectionClosed":
            end("connection", event.connection, event)
            break
          default:
        }
      }
      assert.deepStrictEqual(
        { wrong, acquires: open.acquire.size, leases: open.lease.size, connections: open.connection.size },
        { wrong: [], acquires: 0, leases: 0, connections: 0 }
      )
    })
  )

  it.effect("the counters of status are the sums of the events", () =>
    Effect.gen(function* () {
      const { events, status } = yield* life
      const count = (tag: Event["_tag"], holds: (event: never) => boolean = () => true): number =>
        events.filter((event) => event._tag === tag && holds(event as never)).length
      const failed = (...reasons: ReadonlyArray<PoolEvent.AcquireFailure>): number =>
        count("AcquireFailed", ({ reason }: Named<"AcquireFailed">) => reasons.includes(reason))
      const ready = new Set(events.filter(isNamed("ConnectionReady")).map(({ connection }) => connection))
      const { acquired, cancelled, closed, connectFailures, created, deadlocked, refused, released, shed, timedOut } =
        status
      assert.deepStrictEqual(
        { acquired, cancelled, closed, connectFailures, created, deadlocked, refused, released, shed, timedOut },
        {
          acquired: count("Acquired"),
          cancelled: failed("cancelled"),
          closed: count("ConnectionClosed", ({ connection }: Named<"ConnectionClosed">) => ready.has(connection)),
          connectFailures: count("ConnectFailed"),
          created: ready.size,
          deadlocked: failed("deadlock"),
          refused: failed("unavailable", "paused", "closed"),
          released: count("Released"),
          shed: failed("overloaded", "shed"),
          timedOut: failed("timeout")
        }
      )
    })
  )

  it.effect("everything that can end an acquire or a lease was among it", () =>
    Effect.gen(function* () {
      const { events } = yield* life
      const reasons = new Set(events.filter(isNamed("AcquireFailed")).map(({ reason }) => reason))
      const ends = new Set(events.filter(isNamed("Released")).map(({ end }) => end))
      assert.sameMembers([...reasons], [...PoolEvent.AcquireFailure.literals])
      assert.sameMembers([...ends], ["clean", "suspect", "broken", "revoked"])
    })
  )

  it.effect("nothing goes back in time", () =>
    Effect.gen(function* () {
      const { events } = yield* life
      const times = events.map(({ at }) => at)
      assert.deepStrictEqual(
        times,
        times.toSorted((a, b) => a - b)
      )
    })
  )
})

describe("a reader of the stream", () => {
  it.effect("gets what happens from when it reads, in order, up to the end of the pool", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const reader = yield* read(pool)
      yield* use(pool)
      yield* turns()
      yield* use(pool)
      yield* ConnectionPool.drain(pool)
      const events = yield* Fiber.join(reader)
      assert.deepStrictEqual(
        events.map(({ _tag }) => _tag),
        [
          "AcquireStarted",
          "Acquired",
          "Released",
          "AcquireStarted",
          "Acquired",
          "Released",
          "PoolDraining",
          "ConnectionClosed",
          "PoolClosed"
        ]
      )
    })
  )

  it.effect("of a closed pool has nothing to read, and ends", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      yield* ConnectionPool.drain(pool)
      assert.deepStrictEqual(yield* Stream.runCollect(ConnectionPool.events(pool)), [])
    })
  )

  it.effect("that falls behind is told how many it has missed, and goes on with what is still known", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { ...one, maxUses: Infinity })
      const gate = yield* Deferred.make<void>()
      const events: Array<Event> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(ConnectionPool.events(pool), (event) => {
          events.push(event)
          return Deferred.await(gate)
        }),
        { startImmediately: true }
      )
      yield* ConnectionPool.pause(pool)
      yield* turns()
      // One fact is being looked at while 2,400 more are noted: 1,200 leases, each lent and returned.
      yield* ConnectionPool.resume(pool)
      yield* Effect.replicateEffect(use(pool), 1200, { discard: true })
      yield* Deferred.succeed(gate, undefined)
      yield* ConnectionPool.drain(pool)
      yield* Fiber.join(reader)
      const missed = events.find(isNamed("EventsMissed"))
      const after = events.slice(events.indexOf(missed!) + 1).map(({ _tag }) => _tag)
      assert.deepStrictEqual(
        { missed: missed?.count, first: after.slice(0, 2), leases: after.filter((tag) => tag === "Released").length },
        { missed: 1400, first: ["PoolResumed", "AcquireStarted"], leases: 500 }
      )
    })
  )

  it.effect("that keeps up misses nothing of a long life", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { ...one, maxUses: Infinity })
      const reader = yield* read(pool)
      for (let round = 0; round < 200; round++) {
        yield* Effect.replicateEffect(use(pool), 50, { discard: true })
        yield* turns(2)
      }
      yield* ConnectionPool.drain(pool)
      const events = yield* Fiber.join(reader)
      assert.deepStrictEqual(
        [events.filter(isNamed("Released")).length, events.filter(isNamed("EventsMissed")).length],
        [10_000, 0]
      )
    })
  )

  const harmful: ReadonlyArray<readonly [string, (event: Event) => Effect.Effect<void, string>]> = [
    [
      "throws",
      () => {
        throw new Error("reader")
      }
    ],
    ["dies", () => Effect.die("reader")],
    ["fails", () => Effect.fail("reader")],
    ["never reads on", () => Effect.never]
  ]
  for (const [how, body] of harmful) {
    it.effect(`that ${how} harms neither the pool nor another reader`, () =>
      Effect.gen(function* () {
        const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
        const bad = yield* Effect.forkChild(Effect.exit(Stream.runForEach(ConnectionPool.events(pool), body)), {
          startImmediately: true
        })
        const good = yield* read(pool)
        for (let round = 0; round < 5; round++) {
          yield* use(pool)
          yield* turns()
        }
        yield* ConnectionPool.drain(pool)
        const events = yield* Fiber.join(good)
        assert.strictEqual(events.filter(isNamed("Released")).length, 5)
        yield* Fiber.interrupt(bad)
      })
    )
  }

  it.effect("that borrows from the pool for every event that it reads gets what it asks for", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      let borrowed = 0
      const reader = yield* Effect.forkChild(
        Stream.runForEach(Stream.take(ConnectionPool.events(pool), 50), () =>
          ConnectionPool.use(pool, () => Effect.sync(() => borrowed++))
        ),
        { startImmediately: true }
      )
      yield* use(pool)
      yield* Fiber.join(reader)
      assert.strictEqual(borrowed, 50)
    })
  )

  it.effect("adds no turn to a lease, however many there are", () =>
    Effect.gen(function* () {
      const turnsOf = Effect.fnUntraced(function* (readers: number) {
        const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
        const fibers = yield* Effect.replicateEffect(read(pool), readers)
        const borrower = yield* Effect.forkChild(use(pool), { startImmediately: true })
        const isDoneAtOnce = borrower.pollUnsafe() !== undefined
        yield* Fiber.interruptAll(fibers)
        return isDoneAtOnce
      })
      assert.deepStrictEqual([yield* turnsOf(0), yield* turnsOf(100)], [true, true])
    })
  )

  it.effect("is one of a thousand, and all of them get everything", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const readers = yield* Effect.replicateEffect(read(pool), 1000)
      yield* use(pool)
      yield* turns()
      yield* use(pool)
      yield* ConnectionPool.drain(pool)
      const counts = (yield* Effect.forEach(readers, (reader) => Fiber.join(reader))).map(({ length }) => length)
      assert.deepStrictEqual(new Set(counts), new Set([9]))
    })
  )

  it.effect("that leaves is forgotten", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      const reader = yield* read(pool)
      yield* Fiber.interrupt(reader)
      yield* use(pool)
      const first = yield* Stream.runCollect(Stream.take(ConnectionPool.events(pool), 1)).pipe(
        Effect.forkChild({ startImmediately: true }),
        Effect.tap(() => ConnectionPool.pause(pool)),
        Effect.flatMap((fiber) => Fiber.join(fiber))
      )
      assert.deepStrictEqual(
        first.map(({ _tag }) => _tag),
        ["PoolPaused"]
      )
    })
  )
})

describe("the flight recorder", () => {
  const isAboutLeases = ({ _tag }: Event): boolean =>
    _tag === "Acquired" || _tag === "Released" || _tag === "AcquireFailed" || _tag === "AcquireStarted"

  it.effect("keeps the last thousand facts about leases: what was lent at once is one that tells of two events", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { ...one, maxUses: Infinity })
      yield* Effect.replicateEffect(use(pool), 5000, { discard: true })
      const leases = (yield* ConnectionPool.recentEvents(pool)).filter(isAboutLeases)
      const acquires = leases.filter(isNamed("AcquireStarted")).map(({ acquire }) => acquire)
      assert.deepStrictEqual([leases.length, acquires.at(0), acquires.at(-1)], [1500, 4501, 5000])
    })
  )

  it.effect("keeps the last thousand facts about everything else", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      for (let round = 0; round < 3000; round++) yield* ConnectionPool.resize(pool, { maxConnections: 1 + (round % 7) })
      const others = (yield* ConnectionPool.recentEvents(pool)).filter((event) => !isAboutLeases(event))
      assert.deepStrictEqual(
        [others.length, new Set(others.map(({ _tag }) => _tag)).size, others.at(-1)],
        [1000, 1, { _tag: "PoolResized", at: 0, minConnections: 1, maxConnections: 1 + (2999 % 7) }]
      )
    })
  )

  it.effect("still knows of a close after any number of leases", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { ...one, maxUses: Infinity })
      yield* ConnectionPool.use(pool, (connection) => ConnectionPool.invalidate(pool, connection))
      yield* turns()
      yield* Effect.replicateEffect(use(pool), 20_000, { discard: true })
      const events = yield* ConnectionPool.recentEvents(pool)
      assert.deepStrictEqual(events.filter(isNamed("ConnectionClosed")), [
        {
          _tag: "ConnectionClosed",
          at: 0,
          connection: 1,
          reason: "invalidated",
          duration: 0,
          uses: 1,
          isAbandoned: false
        }
      ])
    })
  )

  it.effect("still knows of the pool's life when it has closed", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, one)
      yield* ConnectionPool.drain(pool)
      const tags = (yield* ConnectionPool.recentEvents(pool)).map(({ _tag }) => _tag)
      assert.deepStrictEqual([tags.at(0), tags.at(-1)], ["PoolCreated", "PoolClosed"])
    })
  )

  it.effect("never says that something was missed: whoever asks gets what there is", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().bare, { ...one, maxUses: Infinity })
      yield* Effect.replicateEffect(use(pool), 2000, { discard: true })
      assert.isFalse((yield* ConnectionPool.recentEvents(pool)).some(isNamed("EventsMissed")))
    })
  )
})

describe("an event", () => {
  const examples: { readonly [Tag in Event["_tag"]]: Omit<Named<Tag>, "_tag" | "at"> } = {
    PoolCreated: { minConnections: 2, maxConnections: 10 },
    PoolReady: {},
    PoolWarming: { open: 1, minConnections: 2 },
    PoolUnavailable: {},
    PoolPaused: { acquires: "fail" },
    PoolResumed: {},
    PoolResized: { minConnections: 0, maxConnections: 1 },
    PoolCleared: { generation: 3, interrupt: true },
    PoolDraining: { leases: 4 },
    PoolClosed: {},
    ConnectionCreated: { connection: 1 },
    ConnectionReady: { connection: 1, duration: 1.5 },
    ConnectFailed: { connection: 1, kind: "permanent", duration: 0, message: "wrong password" },
    BackoffStarted: { attempts: 7, duration: 60_000 },
    ConnectionChecked: { connection: 1, isAlive: false, duration: 2 },
    ConnectionReset: { connection: 1, isDone: true, duration: 2 },
    ConnectionClosed: { connection: 1, reason: "died", duration: 0, uses: 12, isAbandoned: false },
    AcquireStarted: { acquire: 1 },
    Acquired: { acquire: 1, lease: 2, connection: 3, waited: 0.25 },
    AcquireFailed: { acquire: 1, reason: "cancelled", waited: 5000 },
    Released: { lease: 2, connection: 3, end: "revoked", held: 10 },
    NestedAcquire: { acquire: 1, lease: 2, connection: 3 },
    SizingDecision: { from: 5, to: 6, reason: "the queue would be empty in 104 ms, and a new connection takes 100 ms" },
    SizingIgnored: { reason: "it answered NaN, which is no number of connections" },
    LimitChanged: { limit: 7, reason: "too many connections" },
    LeakSuspected: { lease: 2, connection: 3, held: 60_000, holder: "fiber #7 (exportReport)" },
    LeakReturned: { lease: 2, connection: 3, held: 90_000 },
    OperatorAction: { actor: "jo", action: "recycle" },
    EventsMissed: { count: 99 }
  }
  for (const [tag, fields] of Object.entries(examples)) {
    it.effect(`survives the way through JSON: ${tag}`, () =>
      Effect.gen(function* () {
        const event = { _tag: tag, at: 1_795_505_400_000, ...fields } as Event
        const json = JSON.stringify(yield* Schema.encodeEffect(PoolEvent.PoolEvent)(event))
        assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(PoolEvent.PoolEvent)(JSON.parse(json)), event)
      })
    )
  }

  it.effect("is refused if it is none", () =>
    Effect.gen(function* () {
      const broken = { _tag: "ConnectionClosed", at: 0, connection: 1, reason: "boredom" }
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Schema.decodeUnknownEffect(PoolEvent.PoolEvent)(broken))))
    })
  )

  it.effect("as the pool makes it, is one by its schema", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.complete, { ...one, checkAfterIdle: 0 })
      yield* Effect.exit(ConnectionPool.use(pool, () => Effect.die("defect")))
      yield* turns()
      yield* Effect.exit(ConnectionPool.use(pool, () => use(pool)))
      yield* server.goDown()
      yield* TestClock.adjust("1 minute")
      yield* ConnectionPool.drain(pool)
      const events = yield* ConnectionPool.recentEvents(pool)
      assert.deepStrictEqual(
        events.filter((event) => !Schema.is(PoolEvent.PoolEvent)(event)),
        []
      )
    })
  )
})
