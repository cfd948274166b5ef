import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig, PoolError } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"
import { capture } from "../support/Logged.ts"

type Pool = ConnectionPool.ConnectionPool<FakeConnection>

/** A pool of so many connections, all of them open. */
const full = Effect.fnUntraced(function* (size: number, config: PoolConfig.Input = {}) {
  const pool = yield* ConnectionPool.make(new FakeServer().bare, {
    minConnections: size,
    maxConnections: size,
    ...config
  })
  yield* TestClock.adjust("1 second")
  return pool
})

/** One more connection, in each way that there is. */
const ways = {
  use: (pool: Pool) => ConnectionPool.use(pool, () => Effect.void),
  acquire: (pool: Pool) => Effect.scoped(Effect.asVoid(ConnectionPool.acquire(pool))),
  reserve: (pool: Pool) => Effect.scoped(Effect.asVoid(ConnectionPool.reserve(pool)))
}

type Inner = (pool: Pool) => Effect.Effect<void, PoolError.AcquireError>

/** So many fibers hold a connection each; then each of them, in their order, does what comes next. */
const holdersThat = Effect.fnUntraced(function* (
  count: number,
  holdAndThen: (inner: Effect.Effect<void>) => Effect.Effect<void, PoolError.AcquireError>
) {
  const gate = yield* Deferred.make<void>()
  const fibers = yield* Effect.replicateEffect(Effect.forkChild(holdAndThen(Deferred.await(gate))), count)
  yield* turns()
  yield* Deferred.succeed(gate, undefined)
  yield* turns()
  return fibers
})

const inUse =
  (pool: Pool, inner: Inner = ways.use) =>
  (gate: Effect.Effect<void>) =>
    ConnectionPool.use(pool, () => Effect.andThen(gate, inner(pool)))

const twiceInScope =
  (
    pool: Pool,
    acquire: (pool: Pool) => ReturnType<typeof ConnectionPool.acquire<FakeConnection>> = ConnectionPool.acquire
  ) =>
  (gate: Effect.Effect<void>) =>
    Effect.scoped(Effect.andThen(Effect.andThen(acquire(pool), gate), Effect.asVoid(acquire(pool))))

/** How a fiber has ended by now. */
const outcomeOf = (fiber: Fiber.Fiber<unknown, PoolError.AcquireError>): string => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return "goes on"
  if (Exit.isSuccess(exit)) return "served"
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error._tag : "defect"
}

const deadlockOf = (effect: Effect.Effect<unknown, PoolError.AcquireError>) =>
  Effect.map(Effect.flip(effect), (error) => {
    if (error._tag !== "PoolDeadlock") assert.fail(`${error._tag} instead of PoolDeadlock`)
    return error
  })

/** Nobody is left who has anything, and the books agree. */
const isAtRest = Effect.fnUntraced(function* (pool: Pool) {
  yield* turns()
  const { acquired, inUse, leases, released, waiting } = yield* ConnectionPool.status(pool)
  assert.deepStrictEqual(
    { contradictions: yield* ConnectionPool.audit(pool), inUse, leases, waiting, running: acquired - released },
    { contradictions: [], inUse: 0, leases: 0, waiting: 0, running: 0 }
  )
})

describe("when everyone who holds a connection waits for another", () => {
  const cases: ReadonlyArray<readonly [string, PoolConfig.Input, (pool: Pool) => ReturnType<typeof inUse>]> = [
    ["use inside use", {}, (pool) => inUse(pool)],
    ["acquire inside use", {}, (pool) => inUse(pool, ways.acquire)],
    ["two acquires in one scope", {}, (pool) => twiceInScope(pool)],
    ["two reserves in one scope", {}, (pool) => twiceInScope(pool, ConnectionPool.reserve)],
    [
      "reserve inside reserve, in a shared pool",
      { concurrency: 4 },
      (pool) => twiceInScope(pool, ConnectionPool.reserve)
    ]
  ]
  for (const [how, config, nest] of cases) {
    it.effect(`the youngest is told at once and the others go on: ${how}`, () =>
      Effect.gen(function* () {
        const pool = yield* full(3, config)
        const before = yield* Clock.currentTimeMillis
        const fibers = yield* holdersThat(3, nest(pool))
        yield* turns()
        assert.deepStrictEqual(
          [fibers.map(outcomeOf), (yield* Clock.currentTimeMillis) - before],
          [["served", "served", "PoolDeadlock"], 0]
        )
        yield* isAtRest(pool)
      })
    )
  }

  it.effect("one who shares a connection and wants it to himself is told", () =>
    Effect.gen(function* () {
      const pool = yield* full(1, { concurrency: 4 })
      yield* deadlockOf(inUse(pool, ways.reserve)(Effect.void))
      yield* isAtRest(pool)
    })
  )

  it.effect("one who holds the only connection is told that he waits for himself", () =>
    Effect.gen(function* () {
      const pool = yield* full(1)
      const { cycle } = yield* deadlockOf(inUse(pool)(Effect.void))
      assert.deepStrictEqual(
        cycle.map(({ connection }) => connection),
        [1]
      )
      yield* isAtRest(pool)
    })
  )

  it.effect("nobody is told while one of the holders only works", () =>
    Effect.gen(function* () {
      const pool = yield* full(2, { acquireTimeout: "1 minute" })
      const gate = yield* Deferred.make<void>()
      const worker = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
      yield* turns()
      const [nested] = yield* holdersThat(1, inUse(pool))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(outcomeOf(nested!), "goes on")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(worker)
      yield* Fiber.join(nested!)
      yield* isAtRest(pool)
    })
  )

  it.effect("those who wait and hold nothing are served after it", () =>
    Effect.gen(function* () {
      const pool = yield* full(2)
      const gate = yield* Deferred.make<void>()
      const holders = yield* Effect.replicateEffect(Effect.forkChild(inUse(pool)(Deferred.await(gate))), 2)
      yield* turns()
      const others = yield* Effect.replicateEffect(Effect.forkChild(ways.use(pool)), 5)
      yield* turns()
      yield* Deferred.succeed(gate, undefined)
      yield* turns(50)
      assert.deepStrictEqual([...holders, ...others].map(outcomeOf), [
        "served",
        "PoolDeadlock",
        "served",
        "served",
        "served",
        "served",
        "served"
      ])
      yield* isAtRest(pool)
    })
  )
})

describe("the error", () => {
  const transferMoney = Effect.fn("transferMoney")(function* (pool: Pool, gate: Deferred.Deferred<void>) {
    return yield* inUse(pool)(Deferred.await(gate))
  })

  const told = Effect.gen(function* () {
    const pool = yield* full(2, { name: "orders" })
    const gate = yield* Deferred.make<void>()
    const first = yield* Effect.forkChild(transferMoney(pool, gate))
    yield* turns()
    const second = yield* Effect.forkChild(
      deadlockOf(Effect.withSpan(inUse(pool)(Deferred.await(gate)), "sendReceipt"))
    )
    yield* TestClock.adjust("2 seconds")
    yield* Deferred.succeed(gate, undefined)
    const error = yield* Fiber.join(second)
    yield* Fiber.join(first)
    return error
  })

  it.effect("names in its cycle who holds which connection and for how long, the one who is told first", () =>
    Effect.gen(function* () {
      const { cycle, waiter } = yield* told
      assert.match(waiter, /^fiber #\d+ \(sendReceipt\)$/)
      assert.deepStrictEqual(
        cycle.map(({ connection, heldForMillis, holder, lease }) => [
          holder.replace(/\d+/, "N"),
          connection,
          lease,
          heldForMillis
        ]),
        [
          ["fiber #N (sendReceipt)", 1, 2, 2000],
          ["fiber #N (transferMoney)", 2, 1, 2000]
        ]
      )
    })
  )

  it.effect("says it all in its message, and what to do", () =>
    Effect.gen(function* () {
      const { message } = yield* told
      assert.strictEqual(
        message.replaceAll(/#\d+/g, "#N"),
        "[pool orders] deadlock: fiber #N (sendReceipt) waits for a connection, and so does everyone who holds one " +
          "(2 of 2 in use, 0 idle, 0 connecting, 1 waiting): fiber #N (sendReceipt) holds connection 1 for 2.0 s; " +
          "fiber #N (transferMoney) holds connection 2 for 2.0 s. Acquire once and hand the connection down, or give it " +
          "back before you acquire the next; a larger pool only makes it rarer."
      )
    })
  )

  it.effect("counts as deadlocked, and as nothing else", () =>
    Effect.gen(function* () {
      const pool = yield* full(1)
      yield* deadlockOf(inUse(pool)(Effect.void))
      const { cancelled, deadlocked, refused, shed, timedOut } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual(
        { cancelled, deadlocked, refused, shed, timedOut },
        {
          cancelled: 0,
          deadlocked: 1,
          refused: 0,
          shed: 0,
          timedOut: 0
        }
      )
    })
  )
})

describe("a nested acquire on a fiber of its own", () => {
  const wrappings: ReadonlyArray<
    readonly [string, (inner: Effect.Effect<void, PoolError.AcquireError>) => ReturnType<Inner>]
  > = [
    ["Effect.all", (inner) => Effect.all([inner, Effect.void], { concurrency: 2, discard: true })],
    ["Effect.timeout", (inner) => Effect.catchTag(Effect.timeout(inner, "1 hour"), "TimeoutError", Effect.die)],
    ["Effect.race", (inner) => Effect.raceFirst(inner, Effect.never)],
    [
      "a fork and a join, three deep",
      (inner) =>
        Effect.flatMap(
          Effect.forkChild(Effect.flatMap(Effect.forkChild(Effect.timeoutOption(inner, "1 hour")), Fiber.join)),
          (fiber) => Effect.asVoid(Fiber.join(fiber))
        )
    ]
  ]
  for (const [name, wrap] of wrappings) {
    it.effect(`inside ${name} is told of a deadlock after 250 ms of patience`, () =>
      Effect.gen(function* () {
        const pool = yield* full(1)
        const [fiber] = yield* holdersThat(
          1,
          inUse(pool, (pool) => wrap(ways.use(pool)))
        )
        yield* TestClock.adjust("249 millis")
        const before = outcomeOf(fiber!)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual([before, outcomeOf(fiber!)], ["goes on", "PoolDeadlock"])
        yield* isAtRest(pool)
      })
    )
  }

  it.effect("that takes over where its starter lets go is served, and was no deadlock", () =>
    Effect.gen(function* () {
      const pool = yield* full(1)
      const detached = yield* ConnectionPool.use(pool, () =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkDetach(ways.use(pool), { startImmediately: true })
          yield* turns()
          assert.strictEqual(outcomeOf(fiber), "goes on")
          return fiber
        })
      )
      yield* Fiber.join(detached)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* ConnectionPool.status(pool)).deadlocked, 0)
      yield* isAtRest(pool)
    })
  )

  it.effect("that outlives the lease is no nested acquire any more", () =>
    Effect.gen(function* () {
      const pool = yield* full(1, { nested: "error" })
      const gate = yield* Deferred.make<void>()
      const detached = yield* ConnectionPool.use(pool, () =>
        Effect.forkDetach(Effect.andThen(Deferred.await(gate), ways.use(pool)))
      )
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(detached)
      yield* isAtRest(pool)
    })
  )

  it.effect("is no deadlock of two pools: what is held of another pool does not count", () =>
    Effect.gen(function* () {
      const outer = yield* full(1, { nested: "error" })
      const inner = yield* full(1, { nested: "error" })
      yield* ConnectionPool.use(outer, () => ways.use(inner))
      yield* isAtRest(outer)
      yield* isAtRest(inner)
    })
  )
})

describe(`nested: "allow"`, () => {
  it.effect("lets a deadlock run into its deadline", () =>
    Effect.gen(function* () {
      const pool = yield* full(1, { nested: "allow" })
      const [fiber] = yield* holdersThat(1, inUse(pool))
      yield* TestClock.adjust("4999 millis")
      const before = outcomeOf(fiber!)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([before, outcomeOf(fiber!)], ["goes on", "AcquireTimeout"])
      yield* isAtRest(pool)
    })
  )
})

describe(`nested: "error"`, () => {
  for (const [name, way] of Object.entries(ways)) {
    it.effect(`refuses a nested ${name} even when a connection is idle`, () =>
      Effect.gen(function* () {
        const pool = yield* full(3, { nested: "error" })
        const error = yield* deadlockOf(inUse(pool, way)(Effect.void))
        assert.deepStrictEqual([error.isForbidden, error.snapshot.idle], [true, 2])
        assert.include(error.message, `holds a connection of this pool already, and nested is "error"`)
        yield* isAtRest(pool)
      })
    )
  }

  it.effect("refuses one on a fiber that the holder has started", () =>
    Effect.gen(function* () {
      const pool = yield* full(3, { nested: "error" })
      const nested = inUse(pool, (pool) => Effect.all([ways.use(pool), Effect.void], { concurrency: 2, discard: true }))
      assert.isTrue((yield* deadlockOf(nested(Effect.void))).isForbidden)
      yield* isAtRest(pool)
    })
  )

  it.effect("does not refuse fibers that hold nothing, while others do", () =>
    Effect.gen(function* () {
      const pool = yield* full(2, { nested: "error" })
      const gate = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
      yield* turns()
      yield* ways.use(pool)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(holder)
      yield* isAtRest(pool)
    })
  )

  for (const [name, way] of Object.entries(ways)) {
    it.effect(`does not refuse the same fiber once it has returned what it had: ${name}`, () =>
      Effect.gen(function* () {
        const pool = yield* full(2, { nested: "error" })
        yield* way(pool)
        yield* Effect.exit(Effect.andThen(way(pool), Effect.fail("afterwards")))
        yield* way(pool)
        yield* isAtRest(pool)
      })
    )
  }
})

describe(`nested: "warn"`, () => {
  /** While a bystander has one of two connections, somebody who has the other waits for it and gets it. */
  const nestedWait = Effect.fnUntraced(function* (pool: Pool) {
    const gate = yield* Deferred.make<void>()
    const bystander = yield* Effect.forkChild(ConnectionPool.use(pool, () => Deferred.await(gate)))
    yield* turns()
    const [nested] = yield* holdersThat(1, inUse(pool))
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.joinAll([bystander, nested!])
    yield* turns()
  })

  it.effect("says once a minute, and no more often, that a fiber waits while it holds", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* full(2)
      const warnings = () => lines.filter(({ level }) => level === "Warn").length
      const counts: Array<number> = []
      for (let round = 0; round < 10; round++) yield* nestedWait(pool)
      counts.push(warnings())
      yield* TestClock.adjust("59999 millis")
      yield* nestedWait(pool)
      counts.push(warnings())
      yield* TestClock.adjust("1 millis")
      yield* nestedWait(pool)
      counts.push(warnings())
      assert.deepStrictEqual(counts, [1, 1, 2])
    }).pipe(Effect.provide(layer))
  })

  it.effect("says who waits and what he holds", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* full(2)
      yield* Effect.withSpan(nestedWait(pool), "report")
      const warning = lines.find(({ level }) => level === "Warn")
      assert.match(warning!.text, /^fiber #\d+ \(report\) waits for a connection while it holds \d\. /)
    }).pipe(Effect.provide(layer))
  })

  it.effect("says nothing of a nested acquire that finds an idle connection", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* full(2)
      yield* inUse(pool)(Effect.void)
      yield* turns()
      assert.deepStrictEqual(
        lines.filter(({ level }) => level === "Warn"),
        []
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("says of one pool what it has said of another", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      yield* nestedWait(yield* full(2, { name: "one" }))
      yield* nestedWait(yield* full(2, { name: "other" }))
      assert.deepStrictEqual(
        lines.filter(({ level }) => level === "Warn").map(({ annotations }) => annotations["pool"]),
        ["one", "other"]
      )
    }).pipe(Effect.provide(layer))
  })
})

describe("nothing leaks", () => {
  it.effect("when nested waits are interrupted", () =>
    Effect.gen(function* () {
      const pool = yield* full(2, { acquireTimeout: "1 hour", nested: "allow" })
      const fibers = yield* holdersThat(2, inUse(pool))
      yield* Fiber.interruptAll(fibers)
      yield* isAtRest(pool)
    })
  )

  it.effect("over many deadlocks in a row", () =>
    Effect.gen(function* () {
      const pool = yield* full(3)
      for (let round = 0; round < 50; round++) {
        const fibers = yield* holdersThat(3, round % 2 === 0 ? inUse(pool) : twiceInScope(pool))
        yield* turns()
        assert.deepStrictEqual(fibers.map(outcomeOf).toSorted(), ["PoolDeadlock", "served", "served"])
      }
      yield* isAtRest(pool)
    })
  )
})

describe("the context of a borrower", () => {
  class Deep extends Context.Service<Deep, number>()("test/Deep") {}

  it.effect("has its services, and shows a nested acquire, however much was added to it before", () =>
    Effect.gen(function* () {
      const pool = yield* full(2, { nested: "error" })
      const nested = ConnectionPool.use(pool, () =>
        Effect.all([Deep, Effect.flip(ConnectionPool.use(pool, () => Effect.void))])
      )
      for (let depth = 1; depth <= 20; depth++) {
        let program = Effect.all([nested, nested, Deep])
        for (let level = 1; level <= depth; level++) program = Effect.provideService(program, Deep, level)
        const [first, second, after] = yield* program as Effect.Effect<
          Effect.Success<typeof program>,
          PoolError.AcquireError
        >
        assert.deepStrictEqual(
          [first[0], first[1]._tag, second[0], second[1]._tag, after],
          [1, "PoolDeadlock", 1, "PoolDeadlock", 1]
        )
      }
    })
  )
})
