import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig } from "../../src/index.ts"
import { TestConnector } from "../../src/testing/index.ts"

interface Session {
  readonly name: string
}

const sessions = (script: TestConnector.Script = {}) =>
  TestConnector.make((n): Session => ({ name: `session ${n}` }), script)

const nameOf = ({ name }: Session) => Effect.succeed(name)

const pooled = <A>(server: TestConnector.TestConnector<A>, config: PoolConfig.Input = {}) =>
  ConnectionPool.make(server.connector, { minConnections: 1, maxConnections: 1, startup: "background", ...config })

/** How the connection is, and how many there were, after so much time. */
const after = Effect.fnUntraced(function* <A>(pool: ConnectionPool.ConnectionPool<A>, millis: number) {
  yield* TestClock.adjust(millis)
  const { connecting, created, idle } = yield* ConnectionPool.status(pool)
  return { connecting, idle, created }
})

/** Leaves the connection to a check before its next lease. */
const interruptLease = <A>(pool: ConnectionPool.ConnectionPool<A>) =>
  Effect.flatMap(
    Effect.forkChild(
      ConnectionPool.use(pool, () => Effect.never),
      { startImmediately: true }
    ),
    (fiber) => Fiber.interrupt(fiber)
  )

const closings = <A>(pool: ConnectionPool.ConnectionPool<A>) =>
  Effect.map(ConnectionPool.recentEvents(pool), (events) =>
    events.flatMap((event) => (event._tag === "ConnectionClosed" ? [event.reason] : []))
  )

const defectOf = (f: () => unknown) =>
  Effect.map(Effect.exit(Effect.sync(f)), (exit) => (Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined))

describe("a script for connects", () => {
  it.effect("fails as often as it says, and then connects", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ connectFails: { times: 2, reason: "transient" } }))
      yield* TestClock.adjust("1 minute")
      yield* ConnectionPool.use(pool, nameOf)
      assert.strictEqual((yield* ConnectionPool.status(pool)).connectFailures, 2)
    })
  )

  it.effect("fails for the reason and with the words it is given", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(
        sessions({ connectFails: { times: 1, reason: "permanent", message: "wrong password" } })
      )
      yield* TestClock.adjust(1)
      const { lastFailure } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([lastFailure?.kind, lastFailure?.message], ["permanent", "wrong password"])
    })
  )

  it.effect("lets a connect take its time", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ connectTakes: "2 seconds" }))
      assert.deepStrictEqual(
        [yield* after(pool, 1999), yield* after(pool, 1)],
        [
          { connecting: 1, idle: 0, created: 0 },
          { connecting: 0, idle: 1, created: 1 }
        ]
      )
    })
  )

  it.effect("lets a connect hang, up to the pool's timeout", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ connectHangs: true }), { connectTimeout: "3 seconds" })
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* ConnectionPool.status(pool)).connectFailures, 1)
    })
  )

  it.effect("lets a connect that hangs go on when the fault is taken away", () =>
    Effect.gen(function* () {
      const server = sessions({ connectHangs: true })
      const pool = yield* pooled(server)
      yield* TestClock.adjust(1)
      yield* server.script({ connectHangs: undefined })
      assert.deepStrictEqual(yield* after(pool, 1), { connecting: 0, idle: 1, created: 1 })
    })
  )

  it.effect("has no more room than it says, and room again for what died", () =>
    Effect.gen(function* () {
      const server = sessions({ maxConnections: 2 })
      const pool = yield* pooled(server, { minConnections: 3, maxConnections: 3 })
      yield* TestClock.adjust(1)
      const { connectFailures, lastFailure } = yield* ConnectionPool.status(pool)
      yield* server.kill(1)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        [connectFailures, lastFailure?.kind, lastFailure?.message, yield* server.opened, yield* server.live],
        [1, "overloaded", "too many connections", 3, 2]
      )
    })
  )
})

describe("a script for connections", () => {
  it.effect("ends each after its uses", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ diesAfterUses: 2 }))
      const names: Array<string> = []
      for (let use = 0; use < 4; use++) {
        yield* TestClock.adjust("10 seconds")
        names.push(yield* ConnectionPool.use(pool, nameOf))
      }
      assert.deepStrictEqual(names, ["session 1", "session 1", "session 2", "session 2"])
    })
  )

  it.effect("fails as many checks as it says", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ checkFails: 1 }))
      yield* TestClock.adjust(1)
      yield* interruptLease(pool)
      yield* TestClock.adjust(1)
      yield* interruptLease(pool)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* closings(pool), ["checkFailed"])
    })
  )

  it.effect("fails every check", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ checkFails: "always" }))
      for (let lease = 0; lease < 2; lease++) {
        yield* TestClock.adjust("10 seconds")
        yield* interruptLease(pool)
      }
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* closings(pool), ["checkFailed", "checkFailed"])
    })
  )

  it.effect("lets a check hang, up to the pool's timeout", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ checkHangs: true }), { checkTimeout: "2 seconds" })
      yield* TestClock.adjust(1)
      yield* interruptLease(pool)
      yield* TestClock.adjust(1999)
      const before = yield* closings(pool)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([before, yield* closings(pool)], [[], ["checkFailed"]])
    })
  )

  it.effect("lets a check take its time", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ checkTakes: "1 second" }))
      yield* TestClock.adjust(1)
      yield* interruptLease(pool)
      const during = yield* after(pool, 999)
      assert.deepStrictEqual([during.idle, (yield* after(pool, 1)).idle], [0, 1])
    })
  )

  it.effect("fails as many resets as it says", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ resetFails: 1 }))
      for (let lease = 0; lease < 3; lease++) {
        yield* TestClock.adjust(1)
        yield* ConnectionPool.use(pool, nameOf)
      }
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* closings(pool), ["resetFailed"])
    })
  )

  it.effect("lets a reset take its time", () =>
    Effect.gen(function* () {
      const pool = yield* pooled(sessions({ resetTakes: "1 second" }))
      yield* TestClock.adjust(1)
      yield* ConnectionPool.use(pool, nameOf)
      const during = yield* after(pool, 999)
      assert.deepStrictEqual([during.idle, (yield* after(pool, 1)).idle], [0, 1])
    })
  )

  it.effect("lets a close hang, which keeps its place on the server until the fault is taken away", () =>
    Effect.gen(function* () {
      const server = sessions({ closeHangs: true })
      const pool = yield* pooled(server, { closeTimeout: "2 seconds" })
      yield* TestClock.adjust(1)
      yield* ConnectionPool.recycle(pool)
      yield* TestClock.adjust("3 seconds")
      const during = [yield* server.live, yield* server.closed]
      yield* server.script({ closeHangs: false })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        [during, [yield* server.live, yield* server.closed]],
        [
          [2, 0],
          [1, 1]
        ]
      )
    })
  )

  it.effect("leaves what a change does not name as it is", () =>
    Effect.gen(function* () {
      const server = sessions({ connectTakes: "2 seconds" })
      yield* server.script({ connectFails: { times: 1, reason: "transient" } })
      const pool = yield* pooled(server)
      yield* TestClock.adjust(1999)
      const { connectFailures } = yield* ConnectionPool.status(pool)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([connectFailures, (yield* ConnectionPool.status(pool)).connectFailures], [0, 1])
    })
  )
})

describe("a server under control", () => {
  it.effect("ends one connection, and the pool replaces it", () =>
    Effect.gen(function* () {
      const server = sessions()
      const pool = yield* pooled(server)
      yield* TestClock.adjust("10 seconds")
      yield* server.kill(1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* ConnectionPool.use(pool, nameOf), "session 2")
    })
  )

  it.effect("ends nothing for a number that is no connection", () =>
    Effect.gen(function* () {
      const server = sessions()
      yield* pooled(server)
      yield* TestClock.adjust("1 second")
      yield* server.kill(2)
      assert.strictEqual(yield* server.live, 1)
    })
  )

  it.effect("ends every connection", () =>
    Effect.gen(function* () {
      const server = sessions()
      const pool = yield* pooled(server, { minConnections: 3, maxConnections: 3 })
      yield* TestClock.adjust("1 second")
      yield* server.killAll
      const live = yield* server.live
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([live, yield* closings(pool)], [0, ["died", "died", "died"]])
    })
  )

  it.effect("counts what was opened, what the pool closed, and what lives", () =>
    Effect.gen(function* () {
      const server = sessions()
      const counts = Effect.all([server.opened, server.closed, server.live])
      const before = yield* Effect.scoped(
        Effect.andThen(pooled(server), Effect.andThen(TestClock.adjust("1 second"), counts))
      )
      assert.deepStrictEqual(
        [before, yield* counts],
        [
          [1, 0, 1],
          [1, 1, 0]
        ]
      )
    })
  )

  it.effect("does not count a connection whose fake could not be made", () =>
    Effect.gen(function* () {
      const server = TestConnector.make(Effect.fail("no fake"))
      yield* ConnectionPool.make(server.connector, { minConnections: 1, startup: "background" })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([yield* server.opened, yield* server.closed], [0, 0])
    })
  )

  it.effect("tells the connections that share an instance apart", () =>
    Effect.gen(function* () {
      const server = TestConnector.make(new Counter())
      const pool = yield* pooled(server, { minConnections: 2, maxConnections: 2 })
      yield* TestClock.adjust("1 second")
      yield* server.kill(2)
      yield* TestClock.adjust("1 second")
      const connections = yield* ConnectionPool.connections(pool)
      assert.deepStrictEqual(
        connections.map(({ id }) => id),
        [1, 3]
      )
    })
  )
})

describe("an outage", () => {
  it.effect("that is begun and ended by hand leaves no live connection meanwhile, and one after it", () =>
    Effect.gen(function* () {
      const server = sessions()
      yield* pooled(server)
      yield* TestClock.adjust("1 second")
      yield* server.startOutage
      yield* TestClock.adjust("30 seconds")
      const during = yield* server.live
      yield* server.endOutage
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([during, yield* server.live], [0, 1])
    })
  )

  it.effect("in the script ends the connections at its time", () =>
    Effect.gen(function* () {
      const server = sessions({ outage: { after: "10 seconds", lasts: "30 seconds" } })
      const pool = yield* pooled(server)
      yield* TestClock.adjust(9999)
      const before = yield* closings(pool)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual([before, (yield* closings(pool))[0], yield* server.live], [[], "died", 0])
    })
  )

  it.effect("in the script refuses connects with its reason, until it is over", () =>
    Effect.gen(function* () {
      const outage = { lasts: "30 seconds", reason: "permanent", message: "the database is being restored" } as const
      const server = sessions({ outage })
      const pool = yield* pooled(server)
      yield* TestClock.adjust("29 seconds")
      const { lastFailure } = yield* ConnectionPool.status(pool)
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        [lastFailure?.kind, lastFailure?.message, yield* ConnectionPool.use(pool, nameOf)],
        ["permanent", "the database is being restored", "session 1"]
      )
    })
  )

  it.effect("counts from the change of the script that sets it", () =>
    Effect.gen(function* () {
      const server = sessions()
      yield* pooled(server)
      yield* TestClock.adjust("1 minute")
      yield* server.script({ outage: { after: "10 seconds", lasts: "30 seconds" } })
      yield* TestClock.adjust("9 seconds")
      const before = yield* server.live
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([before, yield* server.live], [1, 0])
    })
  )

  it.effect("can be called off", () =>
    Effect.gen(function* () {
      const server = sessions({ outage: { after: "10 seconds", lasts: "30 seconds" } })
      yield* pooled(server)
      yield* TestClock.adjust("9 seconds")
      yield* server.script({ outage: undefined })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([yield* server.live, yield* server.opened], [1, 1])
    })
  )

  it.effect("that passes while nobody looks ends every connection once", () =>
    Effect.gen(function* () {
      const server = sessions({ outage: { after: "10 seconds", lasts: "1 second" } })
      yield* pooled(server)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual([yield* server.live, yield* server.opened], [1, 2])
    })
  )
})

/** A class as drivers have them. */
class Counter {
  #count = 0
  readonly label = "counter"
  get count(): number {
    return this.#count
  }
  set count(value: number) {
    this.#count = value
  }
  increment(): number {
    return ++this.#count
  }
}

describe("the guard", () => {
  /** What a borrower of a guarded instance keeps when the pool has closed. */
  const kept = (use: (counter: Counter) => unknown = () => undefined) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = yield* pooled(TestConnector.make(() => new Counter(), {}, { guarded: true }))
        const counter = yield* ConnectionPool.acquire(pool)
        return { counter, used: use(counter) }
      })
    )

  it.effect("dies where a plain fake is used after its connection closed", () =>
    Effect.gen(function* () {
      const session = yield* Effect.scoped(Effect.flatMap(pooled(sessions()), ConnectionPool.acquire))
      assert.instanceOf(yield* defectOf(() => session.name), TestConnector.FakeUsedAfterClose)
    })
  )

  it.effect("lets methods of an instance reach its private fields", () =>
    Effect.gen(function* () {
      const { used } = yield* kept((counter) => [counter.increment(), counter.increment(), counter.label])
      assert.deepStrictEqual(used, [1, 2, "counter"])
    })
  )

  it.effect("lets getters and setters of an instance reach its private fields", () =>
    Effect.gen(function* () {
      const { used } = yield* kept((counter) => {
        counter.count = 41
        return counter.increment() + counter.count
      })
      assert.strictEqual(used, 84)
    })
  )

  it.effect("gives the same function for the same method", () =>
    Effect.gen(function* () {
      // oxlint-disable-next-line typescript/unbound-method -- compared, not called
      const { used } = yield* kept((counter) => counter.increment === counter.increment)
      assert.isTrue(used)
    })
  )

  it.effect("leaves an instance an instance of its class", () =>
    Effect.gen(function* () {
      const { counter } = yield* kept()
      assert.instanceOf(counter, Counter)
    })
  )

  it.effect("dies where an instance is read after its connection closed", () =>
    Effect.gen(function* () {
      const { counter } = yield* kept()
      const defect = yield* defectOf(() => counter.increment())
      assert.match((defect as Error).message, /^connection 1 is closed, and "increment" was used on it/)
    })
  )

  it.effect("dies where an instance is written after its connection closed", () =>
    Effect.gen(function* () {
      const { counter } = yield* kept()
      assert.instanceOf(yield* defectOf(() => (counter.count = 1)), TestConnector.FakeUsedAfterClose)
    })
  )

  it.effect("is not there for instances unless it is asked for", () =>
    Effect.gen(function* () {
      const counter = new Counter()
      const lent = yield* Effect.scoped(
        Effect.flatMap(pooled(TestConnector.make(() => counter)), ConnectionPool.acquire)
      )
      assert.strictEqual(lent, counter)
    })
  )
})
