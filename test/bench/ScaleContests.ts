/**
 * What size costs: time per operation in small and in very large pools, and memory.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import * as Scope from "effect/Scope"
import { ConnectionPool } from "effect-pool"
import * as Contenders from "./Contenders.ts"
import type { Contest, Rounds } from "./Contest.ts"

const sizes = [10, 1000, 10_000, 100_000]

/** Ten who come at the same time for ten connections do not wait: the smallest line is of twenty. */
const lineSizes = [20, 1000, 10_000, 100_000]

/** The largest that is measured. It is also how many operations every size does: the figures differ by the size alone. */
const largest = (isQuick: boolean): number => (isQuick ? 10_000 : 100_000)

const counted = (count: number, what: string): string => `${count.toLocaleString("en-US")} ${what}`

/** Nanoseconds per operation, of as many runs as do all operations. */
const timed = (operations: number, size: number, run: Effect.Effect<unknown, unknown>): Effect.Effect<number> =>
  Effect.suspend(() => {
    const start = performance.now()
    let left = operations / size
    const all = Effect.whileLoop({ while: () => left-- > 0, body: () => run, step: () => {} })
    return Effect.map(Effect.orDie(all), () => ((performance.now() - start) * 1e6) / operations)
  })

/** Every connection of the pool is lent, one after the other, and then all of them are returned. */
const connections = Effect.fnUntraced(function* (rounds: Rounds, operations: number) {
  const contenders = yield* Effect.forEach(
    sizes.filter((size) => size <= operations),
    (size) =>
      Effect.map(Contenders.makeOurs(size), (pool) => {
        const lendAll = Effect.gen(function* () {
          const scopes: Array<Scope.Closeable> = []
          for (let lease = 0; lease < size; lease++) {
            const scope = Scope.makeUnsafe()
            yield* Effect.provideService(ConnectionPool.acquire(pool), Scope.Scope, scope)
            scopes.push(scope)
          }
          for (const scope of scopes) yield* Scope.close(scope, Exit.void)
        })
        return { name: counted(size, "connections"), run: timed(operations, size, lendAll) }
      })
  )
  const contest: Contest = {
    name: "a lease, with all others lent",
    unit: "ns per operation",
    operations,
    rounds,
    contenders,
    remark: "Ours, in pools of different sizes: all connections are lent one after the other, then all are returned."
  }
  return contest
})

const allAtOnce = (operations: number, count: number, effect: Effect.Effect<unknown, unknown>): Effect.Effect<number> =>
  timed(
    operations,
    count,
    Effect.forEach(Array.from({ length: count }), () => effect, { concurrency: "unbounded", discard: true })
  )

/** So many fibers come at once, and 10 connections serve them all. */
const waiters = Effect.fnUntraced(function* (rounds: Rounds, operations: number) {
  const counts = lineSizes.filter((size) => size <= operations)
  const pool = yield* Contenders.makeOurs(10, Contenders.plain, { acquireTimeout: "10 minutes" })
  const use = ConnectionPool.use(pool, () => Effect.yieldNow)
  const contest: Contest = {
    name: "a wait, with all others in line",
    unit: "ns per operation",
    operations,
    rounds,
    contenders: [
      ...counts.map((count) => ({ name: counted(count, "borrowers"), run: allAtOnce(operations, count, use) })),
      ...counts.map((count) => ({
        name: counted(count, "fibers without a pool"),
        run: allAtOnce(operations, count, Effect.yieldNow)
      }))
    ],
    remark:
      "Ours, with 10 connections. What fibers cost by themselves, and with their memory, is part of it: the last figures."
  }
  return contest
})

const held = Effect.sync(() => {
  // Twice: what finalization callbacks let go of is collected by the second.
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
})

/** Bytes that `count` of something hold while they last. */
const bytesEach = <E>(count: number, something: Effect.Effect<unknown, E, Scope.Scope>): Effect.Effect<number> =>
  Effect.gen(function* () {
    const scope = Scope.makeUnsafe()
    const before = yield* held
    yield* Effect.orDie(Effect.provideService(something, Scope.Scope, scope))
    const after = yield* held
    yield* Scope.close(scope, Exit.void)
    return (after - before) / count
  })

const count = 10_000

const inOneScope = (
  acquire: Effect.Effect<unknown, unknown, Scope.Scope>
): Effect.Effect<unknown, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    let left = count
    yield* Effect.whileLoop({ while: () => left-- > 0, body: () => acquire, step: () => {} })
  })

const parked = (wait: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    for (let waiter = 0; waiter < count; waiter++) {
      fibers.push(yield* Effect.forkDetach(wait, { startImmediately: true }))
    }
    yield* Effect.addFinalizer(() => Fiber.interruptAll(fibers))
    return fibers
  })

const memory = Effect.fnUntraced(function* (rounds: Rounds) {
  const busy = yield* Contenders.makeOurs(1, Contenders.plain, { acquireTimeout: "10 minutes" })
  const theirBusy = yield* Contenders.makeTheirs(1)
  yield* ConnectionPool.acquire(busy).pipe(Effect.orDie)
  yield* Pool.get(theirBusy)
  const large = yield* Contenders.makeOurs(count)
  const theirLarge = yield* Contenders.makeTheirs(count)
  const contest = (
    name: string,
    ours: Effect.Effect<number>,
    theirs: Effect.Effect<number>,
    remark?: string
  ): Contest => ({
    name,
    unit: "bytes",
    operations: 1,
    rounds,
    contenders: [
      { name: Contenders.ourName, run: ours },
      { name: Contenders.theirName, run: theirs }
    ],
    ...(remark === undefined ? {} : { remark })
  })
  const waiter = contest(
    "memory of a waiter",
    bytesEach(count, parked(ConnectionPool.use(busy, () => Effect.void))),
    bytesEach(count, parked(Pool.use(theirBusy, () => Effect.void))),
    "With its fiber, which alone is the last figure, and the way to interrupt it."
  )
  return [
    contest(
      "memory of an idle connection",
      bytesEach(count, Contenders.makeOurs(count)),
      bytesEach(count, Contenders.makeTheirs(count)),
      "With the session itself, an object of one field, and its scope."
    ),
    contest(
      "memory of a lease",
      bytesEach(count, inOneScope(ConnectionPool.acquire(large))),
      bytesEach(count, inOneScope(Pool.get(theirLarge))),
      "All in one scope, with its finalizers. Ours are made ready for the next lease of the same connection."
    ),
    {
      ...waiter,
      contenders: [
        ...waiter.contenders,
        {
          name: "a fiber in Effect.callback, with a way out",
          run: bytesEach(count, parked(Effect.callback(() => Effect.sync(() => {}))))
        },
        { name: "a fiber that waits for nothing", run: bytesEach(count, parked(Effect.never)) }
      ]
    }
  ]
})

export const scaleContests = (isQuick: boolean) => {
  const rounds: Rounds = isQuick ? { warmup: 1, measured: 2 } : { warmup: 1, measured: 8 }
  return Effect.map(
    Effect.all([
      connections(rounds, largest(isQuick)),
      waiters(rounds, largest(isQuick)),
      memory({ warmup: 1, measured: isQuick ? 2 : 4 })
    ]),
    ([connections, waiters, memory]): ReadonlyArray<Contest> => [connections, waiters, ...memory]
  )
}
