/**
 * A fiber may be interrupted between any two operations, and it yields wherever its budget of operations runs out. Each
 * case here is swept over every small budget and over the moment of the interrupt, with other borrowers competing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Scheduler, type Scope } from "effect"
import { ConnectionPool, type PoolError } from "../../src/index.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

type Pool = ConnectionPool.ConnectionPool<FakeConnection>
type Borrow = (pool: Pool) => Effect.Effect<unknown, PoolError.AcquireError>

const budgets = Array.from({ length: 62 }, (_, index) => index + 3)

/** How many times the other fibers get a turn before the interrupt. */
const moments = [0, 1, 2, 3, 4, 5, 6, 8, 11, 15]

const inScope =
  (acquire: (pool: Pool) => Effect.Effect<unknown, PoolError.AcquireError, Scope.Scope>): Borrow =>
  (pool) =>
    Effect.scoped(Effect.andThen(acquire(pool), turns(3)))

/** A name, what the borrower does, and how many connections it takes so that three of them do not starve each other. */
const ways: ReadonlyArray<readonly [string, Borrow, number]> = [
  ["use", (pool) => ConnectionPool.use(pool, () => turns(3)), 2],
  ["acquire", inScope(ConnectionPool.acquire), 2],
  ["lease", inScope(ConnectionPool.lease), 2],
  ["use, with a body that ends at once", (pool) => ConnectionPool.use(pool, () => Effect.void), 2],
  [
    "acquire twice in one scope",
    inScope((pool) => Effect.andThen(ConnectionPool.acquire(pool), ConnectionPool.acquire(pool))),
    4
  ]
]

/** Interrupts one of several competing borrowers, and lets the others finish. */
const interruptOne = Effect.fnUntraced(function* (pool: Pool, borrow: Borrow, budget: number, moment: number) {
  const start = Effect.forkChild(Effect.provideService(borrow(pool), Scheduler.MaxOpsBeforeYield, budget))
  const before = yield* start
  const victim = yield* start
  const after = yield* start
  yield* turns(moment)
  yield* Fiber.interrupt(victim)
  yield* Fiber.joinAll([before, after])
})

const assertNothingLeft = Effect.fnUntraced(function* (pool: Pool, server: FakeServer, what: string) {
  yield* turns(12)
  const { acquired, inUse, released, waiting } = yield* ConnectionPool.status(pool)
  assert.deepStrictEqual(
    { inUse, waiting, unreturned: acquired - released },
    { inUse: 0, waiting: 0, unreturned: 0 },
    what
  )
  assert.isAtMost(server.mostLive, pool.config.maxConnections, what)
})

describe("an interrupted borrower", () => {
  for (const [name, borrow, maxConnections] of ways) {
    for (const [kind, connector] of [
      ["a bare connector", (server: FakeServer) => server.bare],
      ["check, reset and death watch", (server: FakeServer) => server.complete]
    ] as const) {
      it.effect(`leaks no lease and loses no waiter: ${name}, ${kind}`, () =>
        Effect.gen(function* () {
          const server = new FakeServer()
          const pool = yield* ConnectionPool.make(connector(server), {
            minConnections: 2,
            maxConnections,
            // Every idle connection is checked first, so that the sweep meets checks as well.
            checkAfterIdle: 0
          })
          for (const budget of budgets) {
            for (const moment of moments) {
              yield* interruptOne(pool, borrow, budget, moment)
              yield* assertNothingLeft(pool, server, `budget ${budget}, moment ${moment}`)
            }
          }
        })
      )
    }
  }

  it.effect("is interrupted, not served, when both happen in the same turn", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1 })
      let bodies = 0
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => turns(5)))
      yield* turns(2)
      const victim = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sync(() => bodies++)))
      yield* turns(2)
      victim.interruptUnsafe()
      yield* Fiber.join(holder)
      yield* Fiber.await(victim)
      assert.strictEqual(bodies, 0)
      assert.strictEqual((yield* ConnectionPool.status(pool)).cancelled, 1)
    })
  )
})

/** Runs what it is given when it is told to, and makes fibers yield at their very next operation while it is stubborn. */
class StubbornScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async"
  isStubborn = false
  private readonly tasks: Array<() => void> = []

  shouldYield(): boolean {
    return this.isStubborn
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => this.tasks.push(task), flush: () => this.run() }
  }

  run(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task()
  }
}

describe("a lease that was taken back before its fiber could take it", () => {
  const borrows: ReadonlyArray<readonly [string, Borrow]> = [
    ["use", (pool) => ConnectionPool.use(pool, () => Effect.void)],
    ["acquire", (pool) => Effect.scoped(ConnectionPool.acquire(pool))],
    ["lease", (pool) => Effect.scoped(Effect.flatMap(ConnectionPool.lease(pool), ({ discard }) => discard))]
  ]
  for (const [name, borrow] of borrows) {
    it.effect(`is not returned a second time: ${name}`, () =>
      Effect.gen(function* () {
        const pool = yield* ConnectionPool.make(new FakeServer().complete, { minConnections: 1, maxConnections: 1 })
        const gate = Latch.makeUnsafe(false)
        yield* Effect.forkChild(
          ConnectionPool.use(pool, () => gate.await),
          { startImmediately: true }
        )
        const scheduler = new StubbornScheduler()
        const borrower = yield* Effect.forkChild(Effect.provideService(borrow(pool), Scheduler.Scheduler, scheduler), {
          startImmediately: true
        })
        scheduler.run()
        assert.strictEqual((yield* ConnectionPool.status(pool)).waiting, 1)
        scheduler.isStubborn = true
        yield* gate.open
        yield* turns(3)
        // It has been told, and has not run.
        yield* ConnectionPool.recycle(pool, { interrupt: true })
        yield* turns(3)
        scheduler.isStubborn = false
        scheduler.run()
        yield* Fiber.await(borrower)
        yield* turns(5)
        const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual({ acquired, inUse, released }, { acquired: 2, inUse: 0, released: 2 })
        assert.deepStrictEqual(yield* ConnectionPool.audit(pool), [])
      })
    )
  }
})
