import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { PoolError, PoolLayer } from "../../src/index.ts"
import { TestConnector, TestPool } from "../../src/testing/index.ts"

interface Session {
  readonly name: string
}

class Sessions extends PoolLayer.Service<Sessions, Session>()("test/Sessions") {}

const sessions = (script: TestConnector.Script = {}) =>
  TestConnector.make((n): Session => ({ name: `session ${n}` }), script)

const nameOf = ({ name }: Session) => Effect.succeed(name)

/** What a spec dies of that ends while somebody holds a connection. */
const endOfLeak = (options: TestPool.Options = {}) =>
  Effect.gen(function* () {
    const holder = Effect.forkDetach(Sessions.use(() => Effect.never).pipe(Effect.withSpan("forgetful")), {
      startImmediately: true
    })
    const exit = yield* Effect.exit(
      Effect.provide(Effect.andThen(holder, TestClock.adjust(1)), TestPool.layer(Sessions, sessions(), options))
    )
    return Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  })

describe("TestPool.layer", () => {
  it.effect("names the borrower whose lease outlives the layer, and waits for no time", () =>
    Effect.gen(function* () {
      const defect = yield* endOfLeak()
      assert.match(
        (defect as Error).message,
        /^\[pool test\] 1 lease not returned.*\n {2}fiber #\d+ \(forgetful\) has held connection 1 \(lease 1\)/
      )
    })
  )

  it.effect("dies with the pool's own error of a leak", () =>
    Effect.gen(function* () {
      assert.instanceOf(yield* endOfLeak(), PoolError.LeakedLeases)
    })
  )

  it.effect("names the borrower even if closes hang", () =>
    Effect.gen(function* () {
      assert.instanceOf(yield* endOfLeak({ script: { closeHangs: true } }), PoolError.LeakedLeases)
    })
  )

  it.effect("ends even if closes hang", () =>
    Effect.gen(function* () {
      const server = sessions({ closeHangs: true })
      yield* Effect.provide(Sessions.use(nameOf), TestPool.layer(Sessions, server))
      assert.deepStrictEqual([yield* server.opened, yield* server.closed], [1, 1])
    })
  )

  it.effect("has no complaint when every lease came back", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Sessions.use(nameOf), "session 1")
      yield* (yield* TestPool.TestPool).ensureNoLeaks
    }).pipe(Effect.provide(TestPool.layer(Sessions, sessions())))
  )

  it.effect("complains of a lease that runs when it is asked", () =>
    Effect.gen(function* () {
      yield* Sessions.acquire
      const error = yield* Effect.flip((yield* TestPool.TestPool).ensureNoLeaks)
      assert.lengthOf(error.leases, 1)
    }).pipe(Effect.scoped, Effect.provide(TestPool.layer(Sessions, sessions())))
  )

  it.effect("is ready at once, whatever the script says", () =>
    Effect.gen(function* () {
      const server = yield* TestPool.TestPool
      assert.strictEqual(yield* server.opened, 0)
    }).pipe(
      Effect.provide(
        TestPool.layer(Sessions, sessions(), { config: { minConnections: 1 }, script: { connectHangs: true } })
      )
    )
  )

  it.effect("takes a value that all connections share", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Sessions.use(nameOf), "Ada")
    }).pipe(Effect.provide(TestPool.layer(Sessions, { name: "Ada" })))
  )

  it.effect("takes a function from the number of a connection", () =>
    Effect.gen(function* () {
      const names = yield* Effect.scoped(Effect.replicateEffect(Effect.flatMap(Sessions.lease, nameOfLease), 1))
      assert.deepStrictEqual(names, ["n1"])
    }).pipe(Effect.provide(TestPool.layer(Sessions, (n) => ({ name: `n${n}` }))))
  )

  it.effect("takes an effect that makes a connection, and closes it", () => {
    const closed: Array<string> = []
    const open = Effect.acquireRelease(Effect.succeed({ name: "Ada" }), ({ name }) =>
      Effect.sync(() => closed.push(name))
    )
    return Effect.gen(function* () {
      yield* Effect.provide(Sessions.use(nameOf), TestPool.layer(Sessions, open))
      assert.deepStrictEqual(closed, ["Ada"])
    })
  })

  it.effect("names the pool of a bare fake after the service", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Sessions).name, "test/Sessions")
    }).pipe(Effect.provide(TestPool.layer(Sessions, { name: "Ada" })))
  )

  it.effect("changes the script of a connector", () =>
    Effect.gen(function* () {
      const server = yield* TestPool.TestPool
      yield* Effect.forkScoped(Effect.ignore(Sessions.use(nameOf)))
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* server.opened, 0)
    }).pipe(
      Effect.provide(
        TestPool.layer(Sessions, sessions(), { script: { connectFails: { times: 1, reason: "transient" } } })
      )
    )
  )

  it.effect("counts an outage of the script from its building", () =>
    Effect.gen(function* () {
      const server = yield* TestPool.TestPool
      yield* TestClock.adjust("9 seconds")
      yield* Sessions.use(nameOf)
      const before = yield* server.live
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([before, yield* server.live], [1, 0])
    }).pipe(
      Effect.provide(
        TestPool.layer(Sessions, sessions(), { script: { outage: { after: "10 seconds", lasts: "1 minute" } } })
      )
    )
  )

  it.effect("has a history of more leases than the pool remembers", () =>
    Effect.gen(function* () {
      yield* Effect.replicateEffect(
        Sessions.use(() => Effect.yieldNow),
        3000,
        { discard: true }
      )
      const { leases, missed } = yield* (yield* TestPool.TestPool).history
      assert.deepStrictEqual([leases.length, missed], [3000, 0])
    }).pipe(Effect.provide(TestPool.layer(Sessions, sessions())))
  )

  it.effect("has a history up to the last lease when it is asked", () =>
    Effect.gen(function* () {
      const { history } = yield* TestPool.TestPool
      const counts: Array<number> = []
      for (let use = 0; use < 3; use++) {
        yield* Sessions.use(nameOf)
        counts.push((yield* history).leases.length)
      }
      assert.deepStrictEqual(counts, [1, 2, 3])
    }).pipe(Effect.provide(TestPool.layer(Sessions, sessions())))
  )
})

const nameOfLease = ({ connection }: { readonly connection: Session }) => nameOf(connection)
