import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Effect, Fiber, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { type PoolError, TypedPools } from "../src/index.ts"
import { Dice } from "../src/testing/Dice.ts"
import { type FakeConnection, FakeServer } from "./support/FakeServer.ts"

interface Reader extends FakeConnection {
  readonly select?: (sql: string) => Effect.Effect<string>
}
interface Writer extends Reader {
  readonly execute?: (sql: string) => Effect.Effect<void>
}

const Db = TypedPools.make("test/Db", {
  read: TypedPools.of<Reader>(),
  write: TypedPools.of<Writer>(),
  admin: TypedPools.of<FakeConnection>()
})

/** One server for all three, which counts what they have together. */
const live = (
  budget: number,
  floors: { readonly read?: number; readonly write?: number; readonly admin?: number } = {}
) => {
  const server = new FakeServer()
  const config = { minConnections: 0, drainTimeout: 0 } as const
  const layer = Db.layer({
    budget,
    read: { connector: server.bare, config, floor: floors.read ?? 1 },
    write: { connector: server.bare, config, floor: floors.write ?? 1 },
    admin: { connector: server.bare, config, floor: floors.admin ?? 1 }
  })
  return { layer, server }
}

type Services = Effect.Services<typeof Db.status>

/** Fibers that borrow, and hold until they are interrupted. */
const holders = (count: number, acquire: Effect.Effect<unknown, PoolError.AcquireError, Scope.Scope>) =>
  Effect.tap(
    Effect.forEach(Array.from({ length: count }), () =>
      Effect.forkChild(Effect.scoped(Effect.andThen(acquire, Effect.never)))
    ),
    () => settle
  )

/** All that those who have come can bring about has happened: more than a connect's time has passed. */
const settle = Effect.repeat(TestClock.adjust(1), { times: 30 })

const inUse = Effect.map(Db.status, ({ admin, read, write }) => [read.inUse, write.inUse, admin.inUse])
const limits = Effect.map(Db.status, ({ admin, read, write }) => [read.limit, write.limit, admin.limit])

const readers = (count: number) =>
  Effect.flatMap(Db.read, (pool) => holders(count, provide(Db.read.acquire, Db.read, pool)))
const writers = (count: number) =>
  Effect.flatMap(Db.write, (pool) => holders(count, provide(Db.write.acquire, Db.write, pool)))

const provide = Effect.provideService

describe("typed pools", () => {
  it("are services with connections of their own types", () => {
    expectTypeOf<Effect.Success<typeof Db.read.acquire>>().toEqualTypeOf<Reader>()
    expectTypeOf<Effect.Success<typeof Db.write.acquire>>().toEqualTypeOf<Writer>()
    expectTypeOf<Effect.Error<typeof Db.write.acquire>>().toEqualTypeOf<PoolError.AcquireError>()
    expectTypeOf<Effect.Services<typeof Db.read.acquire>>().not.toEqualTypeOf<
      Effect.Services<typeof Db.write.acquire>
    >()
    // @ts-expect-error: who reads cannot write
    assert.isDefined(Db.read.use((connection) => connection.execute?.("delete from orders") ?? Effect.void))
  })

  it("want every pool to be made", () => {
    const { bare } = new FakeServer()
    // @ts-expect-error: there is nothing to make the others from
    assert.isDefined(() => Db.layer({ budget: 3, read: { connector: bare } }))
  })

  it.effect("are made together, and close together", () =>
    Effect.gen(function* () {
      const { layer, server } = live(10)
      yield* Effect.provide(Effect.all([Db.read.use(() => Effect.void), Db.write.use(() => Effect.void)]), layer)
      assert.deepStrictEqual([server.connections.length, server.live], [2, 0])
    })
  )

  it.effect("may use what the others do not need", () => {
    const { layer, server } = live(10)
    return Effect.gen(function* () {
      yield* readers(20)
      assert.deepStrictEqual([yield* inUse, server.mostLive], [[8, 0, 0], 8])
    }).pipe(Effect.provide(layer))
  })

  it.effect("keep their floor free for each, whatever the others want", () => {
    const { layer } = live(10, { write: 3 })
    return Effect.gen(function* () {
      yield* readers(20)
      yield* writers(3)
      yield* Db.admin.use(() => Effect.void)
      assert.deepStrictEqual(yield* inUse, [6, 3, 0])
    }).pipe(Effect.provide(layer))
  })

  it.effect("give back what others need as borrowers return it, until all have equal parts", () => {
    const { layer, server } = live(9)
    return Effect.gen(function* () {
      const fibers = yield* readers(20)
      yield* writers(20)
      assert.deepStrictEqual(yield* inUse, [7, 1, 0])
      for (const fiber of fibers.slice(0, 7)) {
        yield* Fiber.interrupt(fiber)
        yield* settle
      }
      assert.deepStrictEqual([yield* inUse, server.mostLive], [[4, 4, 0], 9 - 1])
    }).pipe(Effect.provide(layer))
  })

  it.effect("give up as many idle connections as others wait for, at once, and keep the rest", () => {
    const { layer, server } = live(6)
    return Effect.gen(function* () {
      yield* Effect.all(
        Array.from({ length: 4 }, () => Db.read.use(() => settle)),
        { concurrency: "unbounded" }
      )
      yield* writers(2)
      assert.deepStrictEqual([yield* inUse, server.connections.length, server.closed.length], [[0, 2, 0], 6, 1])
      yield* writers(3)
      assert.deepStrictEqual([yield* inUse, server.live], [[0, 4, 0], 5])
    }).pipe(Effect.provide(layer))
  })

  it.effect("give what returns unnoticed to those who have been waiting", () => {
    const { layer } = live(8)
    return Effect.gen(function* () {
      const fibers = yield* readers(4)
      yield* writers(20)
      assert.deepStrictEqual(yield* inUse, [4, 3, 0])
      for (const fiber of fibers) {
        yield* Fiber.interrupt(fiber)
        yield* settle
      }
      assert.deepStrictEqual(yield* inUse, [0, 6, 0])
    }).pipe(Effect.provide(layer))
  })

  it.live(
    "never have more connections together than the budget, and serve everyone, whoever wants how many when",
    () => {
      const { layer, server } = live(6)
      const dice = new Dice(11)
      const hold = () => Effect.forEach(Array.from({ length: dice.below(5) }), () => Effect.yieldNow, { discard: true })
      const borrow = (): Effect.Effect<void, PoolError.AcquireError, Services> => {
        const which = dice.below(10)
        if (which < 6) return Db.read.use(hold)
        return which < 9 ? Db.write.use(hold) : Db.admin.use(hold)
      }
      return Effect.gen(function* () {
        yield* Effect.forEach(Array.from({ length: 2000 }), borrow, { concurrency: 80, discard: true })
        assert.isAtMost(server.mostLive, 6)
        const { admin, read, write } = yield* Db.status
        assert.strictEqual(admin.released + read.released + write.released, 2000)
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("lend a second connection to somebody who holds one, from what the others do not need", () => {
    const { layer } = live(4)
    const both = Effect.scoped(Effect.all([Db.read.acquire, Db.read.acquire]))
    return Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(both)
      yield* settle
      assert.lengthOf(yield* Fiber.join(fiber), 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("show in status what each may have", () => {
    const { layer } = live(10, { read: 2 })
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* limits, [2, 1, 1])
    }).pipe(Effect.provide(layer))
  })

  it.effect("are not made where anything is wrong with any of them, and everything is named", () =>
    Effect.gen(function* () {
      const { bare } = new FakeServer()
      const layer = Db.layer({
        budget: 6,
        read: { connector: bare, config: { minConnections: 4 } },
        write: { connector: bare, config: { acquireTimeout: -1 } },
        admin: { connector: bare, config: { minConnections: 3 }, floor: 2 }
      })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.deepStrictEqual(error._tag === "PoolConfigError" && error.problems.map(({ field }) => field), [
        "write.acquireTimeout",
        "admin.floor"
      ])
    })
  )

  it.effect("are not made where their floors exceed the budget", () =>
    Effect.gen(function* () {
      const { layer, server } = live(5, { read: 3, write: 2 })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.include(
        error.message,
        "budget: got 5, expected at least 6, the sum of the floors (read 3, write 2, admin 1)"
      )
      assert.isEmpty(server.attempts)
    })
  )
})
