/**
 * The pools that are compared, over the same connections, of the same size, each used as its own documentation says and
 * otherwise as it comes.
 */
import databases from "@databases/connection-pool"
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import type * as Scope from "effect/Scope"
import { ConnectionPool, Connector, type PoolConfig } from "effect-pool"
import * as generic from "generic-pool"
import * as lightning from "lightning-pool"
import * as sequelize from "sequelize-pool"
import * as tarn from "tarn"
import { inSequence, promisesInSequence, promisesSideBySide, sideBySide } from "./Contest.ts"

/** As good as nothing: what is measured is the pool. */
export class Session {
  queries = 0
}

const connect = Effect.sync(() => new Session())

/** Has as little as Effect's `Pool` has. */
export const plain = Connector.make({ name: "plain", connect })

/** Has all that a driver brings, and sessions that are always found clean and alive. */
export const attended = Connector.make({
  name: "attended",
  connect,
  check: () => Effect.void,
  reset: () => Effect.void,
  inspect: (session) => (session.queries > 0 ? "dirty" : "clean"),
  closed: () => Effect.never,
  fatal: () => false
})

/** All of its connections are open, as they are in a pool of Effect's. */
export const makeOurs = (size: number, connector = plain, config: PoolConfig.Input = {}) =>
  ConnectionPool.make(connector, {
    minConnections: size,
    maxConnections: size,
    warmup: { batchSize: size, delay: 0 },
    ...config
  }).pipe(
    Effect.orDie,
    Effect.tap((pool) =>
      ConnectionPool.status(pool).pipe(
        Effect.tap(Effect.yieldNow),
        Effect.repeat({ until: ({ idle }) => idle === size })
      )
    )
  )

export const makeTheirs = (size: number) => Pool.make({ acquire: connect, size })

/** Who borrows, and how: once after the other, or many at the same time who hold what they have for one turn. */
export interface Borrower {
  readonly name: string
  readonly inSequence: (times: number) => Effect.Effect<void>
  readonly sideBySide: (borrowers: number, times: number) => Effect.Effect<void>
}

type Use = (body: (session: Session) => Effect.Effect<void>) => Effect.Effect<void, unknown>

const returnAtOnce = (_: Session) => Effect.void
const holdForOneTurn = (_: Session) => Effect.yieldNow

const effectBorrower = (name: string, use: Use): Borrower => ({
  name,
  inSequence: (times) => inSequence(times, () => use(returnAtOnce)),
  sideBySide: (borrowers, times) => sideBySide(borrowers, times, () => use(holdForOneTurn))
})

/** In code that is made of promises, a turn is an `await`. It is a cheaper one than a fiber's. */
const promiseBorrower = <A>(
  name: string,
  acquire: () => PromiseLike<A>,
  release: (borrowed: A) => PromiseLike<unknown> | void
): Borrower => {
  const returned = async (): Promise<void> => {
    const returning = release(await acquire())
    // Where a return is done at once, nobody waits for it.
    if (returning !== undefined) await returning
  }
  const held = async (): Promise<void> => {
    const borrowed = await acquire()
    await Promise.resolve()
    const returning = release(borrowed)
    if (returning !== undefined) await returning
  }
  return {
    name,
    inSequence: (times) => Effect.promise(() => promisesInSequence(times, returned)),
    sideBySide: (borrowers, times) => Effect.promise(() => promisesSideBySide(borrowers, times, held))
  }
}

export const ourName = "effect-pool"
export const theirName = "Effect's Pool"

/** No pool at all: what everyone who is made of effects pays for that. */
export const nobody: Borrower = {
  name: "no pool",
  inSequence: (times) => inSequence(times, () => Effect.void),
  sideBySide: (borrowers, times) => sideBySide(borrowers, times, () => Effect.yieldNow)
}

export const ours = (size: number, name = ourName, connector = plain, config: PoolConfig.Input = {}) =>
  Effect.map(makeOurs(size, connector, config), (pool) =>
    effectBorrower(name, (body) => ConnectionPool.use(pool, body))
  )

export const theirs = (size: number) =>
  Effect.map(makeTheirs(size), (pool) => effectBorrower(theirName, (body) => Pool.use(pool, body)))

const create = () => Promise.resolve(new Session())
const destroy = () => Promise.resolve()

/** A pool made of promises, opened, and closed with the scope. */
const opened = <P>(make: () => P, close: (pool: P) => PromiseLike<unknown>): Effect.Effect<P, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(make), (pool) => Effect.promise(async () => close(pool)))

export const makeTarn = (size: number, acquireTimeoutMillis = 30_000) =>
  opened(
    () => new tarn.Pool({ create, destroy, min: size, max: size, acquireTimeoutMillis }),
    (pool) => pool.destroy()
  )

export const makeGeneric = (size: number, acquireTimeoutMillis?: number) =>
  opened(
    () =>
      generic.createPool(
        { create, destroy },
        { min: size, max: size, ...(acquireTimeoutMillis === undefined ? {} : { acquireTimeoutMillis }) }
      ),
    async (pool) => {
      await pool.drain()
      await pool.clear()
    }
  )

export const makeSequelize = (size: number, acquireTimeoutMillis = 30_000) =>
  opened(
    () => new sequelize.Pool({ create, destroy, validate: () => true, min: size, max: size, acquireTimeoutMillis }),
    async (pool) => {
      await pool.drain()
      await pool.destroyAllNow()
    }
  )

export const makeLightning = (size: number, acquireTimeoutMillis = 0) =>
  opened(
    () => new lightning.Pool({ create, destroy }, { min: size, max: size, maxQueue: 1_000_000, acquireTimeoutMillis }),
    (pool) => pool.closeAsync(true)
  )

const makeDatabases = (size: number) =>
  opened(
    () => databases.default<Session>({ openConnection: create, closeConnection: destroy, maxSize: size }),
    (pool) => pool.drain()
  )

/** The pools of the world of promises. pg-pool is measured with its driver: it pools nothing else. */
export const promisePools = Effect.fnUntraced(function* (size: number) {
  const [tarnPool, genericPool, sequelizePool, lightningPool, databasesPool] = yield* Effect.all([
    makeTarn(size),
    makeGeneric(size),
    makeSequelize(size),
    makeLightning(size),
    makeDatabases(size)
  ])
  return [
    promiseBorrower(
      "tarn",
      () => tarnPool.acquire().promise,
      (session) => void tarnPool.release(session)
    ),
    promiseBorrower(
      "generic-pool",
      () => genericPool.acquire(),
      (session) => genericPool.release(session)
    ),
    promiseBorrower(
      "sequelize-pool",
      () => sequelizePool.acquire(),
      (session) => sequelizePool.release(session)
    ),
    promiseBorrower(
      "lightning-pool",
      () => lightningPool.acquire(),
      (session) => lightningPool.releaseAsync(session)
    ),
    promiseBorrower(
      "@databases/connection-pool",
      () => databasesPool.getConnection(),
      (session) => session.release()
    )
  ]
})
