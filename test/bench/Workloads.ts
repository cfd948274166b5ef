/**
 * What is measured.
 */
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import { ConnectionPool } from "effect-pool"
import { attended, makeOurs, makeTheirs, plain, type Session } from "./Pools.ts"
import { inSequence, sideBySide, type Workload } from "./Workload.ts"

const returnAtOnce = (_: Session) => Effect.void
const holdForOneTurn = (_: Session) => Effect.yieldNow

/** Nobody else wants a connection: the price of borrowing one. */
const uncontendedUse = Effect.fnUntraced(function* (name: string, connector: typeof plain, operations: number) {
  const ours = yield* makeOurs(connector, 10)
  const theirs = yield* makeTheirs(10)
  const workload: Workload = {
    name,
    operations,
    runs: {
      ours: inSequence(operations, () => ConnectionPool.use(ours, returnAtOnce)),
      theirs: inSequence(operations, () => Pool.use(theirs, returnAtOnce)),
      floor: inSequence(operations, () => Effect.void)
    }
  }
  return workload
})

/** The same for the length of a scope. */
const uncontendedAcquire = Effect.fnUntraced(function* (name: string, operations: number) {
  const ours = yield* makeOurs(plain, 10)
  const theirs = yield* makeTheirs(10)
  const workload: Workload = {
    name,
    operations,
    runs: {
      ours: inSequence(operations, () => Effect.scoped(ConnectionPool.acquire(ours))),
      theirs: inSequence(operations, () => Effect.scoped(Pool.get(theirs))),
      floor: inSequence(operations, () => Effect.scoped(Effect.void))
    }
  }
  return workload
})

/** More fibers than connections: the price of waiting in line and being handed the next connection. */
const contendedUse = Effect.fnUntraced(function* (name: string, fibers: number, connections: number, times: number) {
  const ours = yield* makeOurs(plain, connections)
  const theirs = yield* makeTheirs(connections)
  const workload: Workload = {
    name,
    operations: fibers * times,
    runs: {
      ours: sideBySide(fibers, times, () => ConnectionPool.use(ours, holdForOneTurn)),
      theirs: sideBySide(fibers, times, () => Pool.use(theirs, holdForOneTurn)),
      floor: sideBySide(fibers, times, () => Effect.yieldNow)
    }
  }
  return workload
})

/** Opens the pools of every workload. */
export const makeWorkloads = Effect.all([
  uncontendedUse("use", plain, 20_000),
  uncontendedUse("use, with check, reset and inspect", attended, 20_000),
  uncontendedAcquire("scoped acquire", 20_000),
  contendedUse("use, 100 fibers on 10", 100, 10, 50),
  contendedUse("use, 1000 fibers on 1", 1000, 1, 4),
  contendedUse("use, 20000 at once on 10", 20_000, 10, 1)
])
