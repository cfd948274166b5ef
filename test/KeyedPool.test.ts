import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schedule, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { Connector, KeyedPool } from "../src/index.ts"
import { FakeServer } from "./support/FakeServer.ts"

/** One server for all keys, which counts what they have together. Keys are tenants; some are not known. */
const make = (options: Partial<KeyedPool.Options<string, unknown>> = {}) => {
  const server = new FakeServer()
  const pool = KeyedPool.make({
    name: "tenants",
    maxConnections: 4,
    connector: (tenant: string) => (tenant.startsWith("t") ? server.bare : undefined),
    ...(options as Partial<KeyedPool.Options<string, typeof server.connections extends Array<infer C> ? C : never>>),
    config: { drainTimeout: 0, ...options.config }
  })
  return { pool, server }
}

/** All that can happen without time passing has happened. */
const settle = Effect.andThen(TestClock.adjust(1), TestClock.adjust(0))

/** A borrower who holds until he is told to let go. */
const holder = Effect.fnUntraced(function* <A>(pool: KeyedPool.KeyedPool<string, A>, key: string) {
  const done = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(KeyedPool.use(pool, key, () => Deferred.await(done)))
  yield* settle
  return { fiber, letGo: Effect.andThen(Deferred.succeed(done, undefined), settle) }
})

describe("a keyed pool", () => {
  it.effect("opens nothing before a key is used", () =>
    Effect.gen(function* () {
      const { pool, server } = make()
      yield* pool
      yield* settle
      assert.isEmpty(server.attempts)
    })
  )

  it.effect("has a pool for each key, and one only", () =>
    Effect.gen(function* () {
      const { pool, server } = make()
      const tenants = yield* pool
      for (const key of ["t1", "t2", "t1", "t2"]) yield* KeyedPool.use(tenants, key, () => Effect.void)
      assert.deepStrictEqual([server.connections.length, (yield* KeyedPool.status(tenants)).opened], [2, 2])
    })
  )

  it.effect("makes one pool for many who come first at the same time, wherever their fibers yield", () =>
    Effect.gen(function* () {
      for (let budget = 3; budget <= 64; budget++) {
        const { pool } = make()
        const status = yield* Effect.scoped(
          Effect.flatMap(pool, (tenants) =>
            Effect.andThen(
              Effect.all(
                Array.from({ length: 5 }, () => KeyedPool.use(tenants, "t1", () => Effect.yieldNow)),
                { concurrency: "unbounded" }
              ),
              KeyedPool.status(tenants)
            )
          )
        ).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, budget))
        assert.deepStrictEqual([status.opened, status.keys], [1, 1])
      }
    })
  )

  it.effect("closes all of them with its scope", () =>
    Effect.gen(function* () {
      const { pool, server } = make()
      const use = (key: string) => Effect.flatMap(pool, (tenants) => KeyedPool.use(tenants, key, () => Effect.void))
      yield* Effect.scoped(Effect.andThen(use("t1"), use("t2")))
      assert.deepStrictEqual([server.connections.length, server.live], [2, 0])
    })
  )

  it.effect("lends for the length of a scope, too", () =>
    Effect.gen(function* () {
      const { pool } = make()
      const tenants = yield* pool
      const held = yield* Effect.scoped(
        Effect.andThen(
          KeyedPool.acquire(tenants, "t1"),
          Effect.map(KeyedPool.status(tenants), ({ inUse }) => inUse)
        )
      )
      assert.deepStrictEqual([held, (yield* KeyedPool.status(tenants)).inUse], [1, 0])
    })
  )

  it.effect("refuses a key that nobody knows", () =>
    Effect.gen(function* () {
      const tenants = yield* make().pool
      const error = yield* Effect.flip(KeyedPool.use(tenants, "nobody", () => Effect.void))
      assert.strictEqual(error.message, '[pool tenants] the connector function has none for the key "nobody"')
    })
  )

  it.effect("never has more connections than it may, whatever the keys want", () =>
    Effect.gen(function* () {
      const { pool, server } = make({ maxConnections: 3 })
      const tenants = yield* pool
      yield* Effect.forEach(
        Array.from({ length: 200 }, (_, n) => `t${n % 7}`),
        (key) => KeyedPool.use(tenants, key, () => Effect.yieldNow),
        { concurrency: 40 }
      ).pipe(Effect.raceFirst(Effect.repeat(settle, Schedule.forever)))
      assert.isAtMost(server.mostLive, 3)
    })
  )

  it.effect("serves a new key before the next in a crowd of another one", () =>
    Effect.gen(function* () {
      const { pool } = make({ maxConnections: 2 })
      const tenants = yield* pool
      const crowd = yield* Effect.forEach(Array.from({ length: 10 }), () => holder(tenants, "t1"))
      const other = yield* holder(tenants, "t2")
      yield* crowd[0]!.letGo
      const { busiest } = yield* KeyedPool.status(tenants)
      assert.deepStrictEqual(
        busiest.map(({ key, status }) => [key, status.inUse, status.waiting]),
        [
          ["t1", 1, 8],
          ["t2", 1, 0]
        ]
      )
      yield* other.letGo
    })
  )

  it.effect("serves in turn where there are more keys than connections", () =>
    Effect.gen(function* () {
      const { pool } = make({ maxConnections: 1 })
      const tenants = yield* pool
      const first = yield* holder(tenants, "t1")
      const second = yield* holder(tenants, "t2")
      const third = yield* holder(tenants, "t3")
      const again = yield* holder(tenants, "t1")
      const inUse = Effect.map(KeyedPool.status(tenants), ({ busiest }) =>
        busiest.filter(({ status }) => status.inUse > 0).map(({ key }) => key)
      )
      const seen: Array<ReadonlyArray<string>> = []
      for (const { letGo } of [first, second, third, again]) {
        seen.push(yield* inUse)
        yield* letGo
      }
      assert.deepStrictEqual(seen, [["t1"], ["t2"], ["t3"], ["t1"]])
    })
  )

  it.effect("closes the pool of a key that nobody has used for a while, and opens it again", () =>
    Effect.gen(function* () {
      const { pool, server } = make({ idleTimeToLive: "1 minute" })
      const tenants = yield* pool
      yield* KeyedPool.use(tenants, "t1", () => Effect.void)
      yield* TestClock.adjust("80 seconds")
      assert.deepStrictEqual([(yield* KeyedPool.status(tenants)).keys, server.live], [0, 0])
      yield* KeyedPool.use(tenants, "t1", () => Effect.void)
      assert.strictEqual(server.live, 1)
    })
  )

  it.effect("keeps the pool of a key that somebody holds, however long", () =>
    Effect.gen(function* () {
      const { pool, server } = make({ idleTimeToLive: "1 minute" })
      const tenants = yield* pool
      const { letGo } = yield* holder(tenants, "t1")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(server.live, 1)
      yield* letGo
    })
  )

  it.effect("makes room for another key by closing the one that was used last longest ago", () =>
    Effect.gen(function* () {
      const { pool } = make({ maxKeys: 2 })
      const tenants = yield* pool
      for (const key of ["t1", "t2", "t1", "t3"]) {
        yield* KeyedPool.use(tenants, key, () => Effect.void)
        yield* settle
      }
      const { busiest } = yield* KeyedPool.status(tenants)
      assert.sameMembers(
        busiest.map(({ key }) => key),
        ["t1", "t3"]
      )
    })
  )

  it.effect("refuses another key where all are in use, and says how many there are", () =>
    Effect.gen(function* () {
      const { pool } = make({ maxKeys: 1 })
      const tenants = yield* pool
      const { letGo } = yield* holder(tenants, "t1")
      const error = yield* Effect.flip(KeyedPool.use(tenants, "t2", () => Effect.void))
      assert.include(error.message, "1 of 1 keys in use: no room for the key t2")
      yield* letGo
    })
  )

  it.effect("counts nobody as a user who was interrupted, wherever his fiber yields", () =>
    Effect.gen(function* () {
      for (let budget = 3; budget <= 64; budget++) {
        const { pool, server } = make({ maxKeys: 1 })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const tenants = yield* pool
            for (let turns = 0; turns < 8; turns++) {
              const fiber = yield* Effect.forkChild(KeyedPool.use(tenants, "t1", () => Effect.yieldNow))
              for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
              yield* Fiber.interrupt(fiber)
            }
            // With a user left, there would be no room for another key.
            yield* KeyedPool.use(tenants, "t2", () => Effect.void)
          })
        ).pipe(Effect.provideService(Scheduler.MaxOpsBeforeYield, budget))
        assert.strictEqual(server.live, 0)
      }
    })
  )

  it.effect("closes the pool of a key when told, and opens another for who comes next", () =>
    Effect.gen(function* () {
      const { pool, server } = make()
      const tenants = yield* pool
      yield* KeyedPool.use(tenants, "t1", () => Effect.void)
      yield* KeyedPool.close(tenants, "t1")
      assert.strictEqual(server.live, 0)
      yield* KeyedPool.use(tenants, "t1", () => Effect.void)
      assert.strictEqual(server.connections.length, 2)
    })
  )

  it.effect("is closed when its scope is", () =>
    Effect.gen(function* () {
      const tenants = yield* Effect.scoped(make().pool)
      const error = yield* Effect.flip(KeyedPool.use(tenants, "t1", () => Effect.void))
      assert.strictEqual(error._tag, "PoolClosed")
    })
  )

  it.effect("calls keys what its user calls them, so that none shows a secret", () =>
    Effect.gen(function* () {
      const tenants = yield* make({ label: (key) => key.slice(0, 2) }).pool
      const error = yield* Effect.flip(KeyedPool.use(tenants, "password", () => Effect.void))
      assert.notInclude(error.message, "password")
    })
  )

  it.effect("is not made with wrong options, and names all of them", () =>
    Effect.gen(function* () {
      const { pool } = make({ maxConnections: 0, maxKeys: 1.5, idleTimeToLive: 0, config: { checkTimeout: -1 } })
      const error = yield* Effect.flip(Effect.scoped(pool))
      assert.includeMembers(
        error.problems.map(({ field }) => field),
        ["maxConnections", "maxKeys", "idleTimeToLive", "config.checkTimeout"]
      )
    })
  )

  it.effect("refuses a key whose connector is misconfigured, and leaves the others alone", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const problems = [{ field: "port", value: "0", expected: "a port" }]
      const tenants = yield* KeyedPool.make({
        name: "tenants",
        maxConnections: 2,
        connector: (key: string) => (key === "bad" ? Connector.make({ ...server.bare, problems }) : server.bare)
      })
      const error = yield* Effect.flip(KeyedPool.use(tenants, "bad", () => Effect.void))
      yield* KeyedPool.use(tenants, "good", () => Effect.void)
      assert.deepStrictEqual([error._tag, (yield* KeyedPool.status(tenants)).keys], ["PoolConfigError", 1])
    })
  )
})
