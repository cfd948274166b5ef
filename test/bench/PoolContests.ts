/**
 * The pool itself: what it costs to borrow and to wait, with connections that cost nothing.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import { ConnectionPool } from "effect-pool"
import * as Contenders from "./Contenders.ts"
import { type Contender, type Contest, inSequence, type Rounds } from "./Contest.ts"
import { percentile } from "./Statistics.ts"

const contenderOf = (name: string, run: Effect.Effect<number | void>): Contender => ({ name, run })

/** Nobody else wants a connection: the price of borrowing one. */
const uncontendedUse = Effect.fnUntraced(function* (rounds: Rounds) {
  const operations = 20_000
  const borrowers = [
    yield* Contenders.ours(10),
    yield* Contenders.theirs(10),
    ...(yield* Contenders.promisePools(10)),
    Contenders.nobody
  ]
  const contest: Contest = {
    name: "use",
    unit: "ns per operation",
    operations,
    rounds,
    contenders: borrowers.map(({ inSequence, name }) => contenderOf(name, inSequence(operations)))
  }
  return contest
})

/** The same for the length of a scope; and what a scope costs with nothing in it. */
const uncontendedAcquire = Effect.fnUntraced(function* (rounds: Rounds) {
  const operations = 20_000
  const ours = yield* Contenders.makeOurs(10)
  const theirs = yield* Contenders.makeTheirs(10)
  const scoped = (name: string, effect: Effect.Effect<unknown, unknown>) =>
    contenderOf(
      name,
      inSequence(operations, () => effect)
    )
  const contest: Contest = {
    name: "scoped acquire",
    unit: "ns per operation",
    operations,
    rounds,
    contenders: [
      scoped(Contenders.ourName, Effect.scoped(ConnectionPool.acquire(ours))),
      scoped(Contenders.theirName, Effect.scoped(Pool.get(theirs))),
      scoped("a scope with a finalizer", Effect.scoped(Effect.addFinalizer(() => Effect.void))),
      scoped("an empty scope", Effect.scoped(Effect.void))
    ]
  }
  return contest
})

/**
 * Our own pool with other drivers and settings. A contest of its own, after those with others: code that has met several
 * kinds of pools is compiled for all of them, and the others bring one each.
 */
const kindsOfUse = Effect.fnUntraced(function* (rounds: Rounds) {
  const operations = 20_000
  const kinds = [
    yield* Contenders.ours(10),
    yield* Contenders.ours(10, "driver with check, reset and inspect", Contenders.attended),
    yield* Contenders.ours(10, 'nested: "allow"', Contenders.plain, { nested: "allow" })
  ]
  const contest: Contest = {
    name: "use, with other drivers and settings",
    unit: "ns per operation",
    operations,
    rounds,
    contenders: kinds.map(({ inSequence, name }) => contenderOf(name, inSequence(operations)))
  }
  return contest
})

/** More borrowers than connections: the price of waiting in line and being handed the next connection. */
const contended = Effect.fnUntraced(function* (
  rounds: Rounds,
  name: string,
  borrowers: number,
  connections: number,
  times: number
) {
  const contest: Contest = {
    name,
    unit: "ns per operation",
    operations: borrowers * times,
    rounds,
    contenders: [
      yield* Contenders.ours(connections),
      yield* Contenders.theirs(connections),
      ...(yield* Contenders.promisePools(connections)),
      Contenders.nobody
    ].map(({ name, sideBySide }) => contenderOf(name, sideBySide(borrowers, times)))
  }
  return contest
})

/** How long those in line wait, from one end to the other: the median and the 99th percentile of a run. */
const handOver = Effect.fnUntraced(function* (rounds: Rounds, percent: number) {
  const ours = yield* Contenders.makeOurs(10)
  const theirs = yield* Contenders.makeTheirs(10)
  const waits = (use: (body: () => Effect.Effect<void>) => Effect.Effect<void, unknown>): Effect.Effect<number> =>
    Effect.suspend(() => {
      const microseconds: Array<number> = []
      const borrow = Effect.suspend(() => {
        const since = performance.now()
        return use(() => {
          microseconds.push((performance.now() - since) * 1000)
          return Effect.yieldNow
        })
      })
      return Effect.as(
        Effect.forEach(Array.from({ length: 100 }), () => inSequence(50, () => borrow), {
          concurrency: "unbounded",
          discard: true
        }),
        microseconds
      )
    }).pipe(Effect.map((microseconds) => percentile(microseconds, percent)))
  const contest: Contest = {
    name: `wait of 100 borrowers for 10 connections, p${percent}`,
    unit: "µs",
    operations: 1,
    rounds,
    contenders: [
      contenderOf(
        Contenders.ourName,
        waits((body) => ConnectionPool.use(ours, body))
      ),
      contenderOf(
        Contenders.theirName,
        waits((body) => Pool.use(theirs, body))
      )
    ]
  }
  return contest
})

const waitersInStorm = 20_000

/** Every connection is lent and many wait; every other one is interrupted; then the rest are served. */
const cancelStorm = Effect.fnUntraced(function* (rounds: Rounds) {
  const ours = yield* Contenders.makeOurs(10, Contenders.plain, { acquireTimeout: "1 minute" })
  const theirs = yield* Contenders.makeTheirs(10)
  const tarn = yield* Contenders.makeTarn(10)
  const storm = (use: (body: () => Effect.Effect<void>) => Effect.Effect<void, unknown>): Effect.Effect<void> =>
    Effect.gen(function* () {
      const held = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 10 }), () => use(() => Effect.never), { concurrency: "unbounded" })
      )
      yield* Effect.yieldNow
      const fibers: Array<Fiber.Fiber<void, unknown>> = []
      for (let waiter = 0; waiter < waitersInStorm; waiter++) {
        fibers.push(
          yield* Effect.forkChild(
            use(() => Effect.void),
            { startImmediately: true }
          )
        )
      }
      for (let waiter = 0; waiter < waitersInStorm; waiter += 2) fibers[waiter]!.interruptUnsafe()
      yield* Fiber.interrupt(held)
      for (let waiter = 1; waiter < waitersInStorm; waiter += 2) yield* Fiber.await(fibers[waiter]!)
    })
  const tarnStorm = async (): Promise<void> => {
    const held = await Promise.all(Array.from({ length: 10 }, () => tarn.acquire().promise))
    const pending = Array.from({ length: waitersInStorm }, () => tarn.acquire())
    const ended = pending.map(({ promise }) =>
      promise.then(
        (session) => tarn.release(session),
        () => false
      )
    )
    for (let waiter = 0; waiter < waitersInStorm; waiter += 2) pending[waiter]!.abort()
    for (const session of held) tarn.release(session)
    await Promise.all(ended)
  }
  const contest: Contest = {
    name: "20,000 waiters, half of them interrupted",
    unit: "ns per operation",
    operations: waitersInStorm,
    rounds,
    contenders: [
      contenderOf(
        Contenders.ourName,
        storm((body) => ConnectionPool.use(ours, body))
      ),
      contenderOf(
        Contenders.theirName,
        storm((body) => Pool.use(theirs, body))
      ),
      contenderOf("tarn", Effect.promise(tarnStorm))
    ],
    remark:
      "Of the promise pools only tarn can give up a wait. Effects pay for 20,000 fibers here, and promises do not."
  }
  return contest
})

/** All wait, nobody is served, and the time of all is over at the same moment: what that costs in processor time. */
const timeOuts = Effect.fnUntraced(function* (rounds: Rounds) {
  const waiters = 10_000
  const patience = 50
  const ours = yield* Contenders.makeOurs(1, Contenders.plain, { acquireTimeout: patience })
  const theirs = yield* Contenders.makeTheirs(1)
  const [tarn, generic, sequelize] = yield* Effect.all([
    Contenders.makeTarn(1, patience),
    Contenders.makeGeneric(1, patience),
    Contenders.makeSequelize(1, patience)
  ])
  /** Nanoseconds of processor time per waiter. */
  const cost = <E>(run: Effect.Effect<unknown, E>): Effect.Effect<number> =>
    Effect.suspend(() => {
      const before = process.cpuUsage()
      return Effect.map(Effect.ignore(run), () => {
        const { system, user } = process.cpuUsage(before)
        return ((system + user) * 1000) / waiters
      })
    })
  const effects = (
    use: <A>(body: () => Effect.Effect<A>) => Effect.Effect<A, unknown>,
    wait: Effect.Effect<unknown, unknown>
  ) =>
    cost(
      use(() =>
        Effect.forEach(Array.from({ length: waiters }), () => Effect.exit(wait), {
          concurrency: "unbounded",
          discard: true
        })
      )
    )
  const promises = <A>(acquire: () => PromiseLike<A>, release: (held: A) => unknown) =>
    cost(
      Effect.promise(async () => {
        const held = await acquire()
        await Promise.allSettled(Array.from({ length: waiters }, acquire))
        await release(held)
      })
    )
  const ourUse = <A>(body: () => Effect.Effect<A>) => ConnectionPool.use(ours, body)
  const theirUse = <A>(body: () => Effect.Effect<A>) => Pool.use(theirs, body)
  const contest: Contest = {
    name: "10,000 waiters whose time is over",
    unit: "ns per operation",
    operations: waiters,
    rounds,
    contenders: [
      contenderOf(
        Contenders.ourName,
        effects(
          ourUse,
          ourUse(() => Effect.void)
        )
      ),
      contenderOf(
        `${Contenders.theirName} with Effect.timeout`,
        effects(
          theirUse,
          Effect.timeout(
            theirUse(() => Effect.void),
            patience
          )
        )
      ),
      contenderOf(
        "tarn",
        promises(
          () => tarn.acquire().promise,
          (session) => tarn.release(session)
        )
      ),
      contenderOf(
        "generic-pool",
        promises(
          () => generic.acquire(),
          (session) => generic.release(session)
        )
      ),
      contenderOf(
        "sequelize-pool",
        promises(
          () => sequelize.acquire(),
          (session) => sequelize.release(session)
        )
      )
    ],
    remark: "Processor time per waiter, since the wait itself is the same for all. Our refusal carries a diagnosis."
  }
  return contest
})

/** What must not become slower. */
export const guardedContests = (rounds: Rounds) =>
  Effect.map(Effect.all([uncontendedUse(rounds), uncontendedAcquire(rounds)]), (contests) =>
    contests.map((contest): Contest => ({ ...contest, contenders: contest.contenders.slice(0, 2) }))
  )

/** What is measured of the pool itself, fast and slow. */
export const poolContests = (isQuick: boolean) => {
  const many: Rounds = isQuick ? { warmup: 3, measured: 8 } : { warmup: 8, measured: 40 }
  const few: Rounds = isQuick ? { warmup: 1, measured: 4 } : { warmup: 3, measured: 16 }
  return Effect.all([
    uncontendedUse(many),
    uncontendedAcquire(many),
    contended(many, "100 borrowers on 10 connections", 100, 10, 50),
    contended(many, "1,000 borrowers on 1 connection", 1000, 1, 4),
    contended(few, "20,000 borrowers at once on 10 connections", 20_000, 10, 1),
    handOver(few, 50),
    handOver(few, 99),
    cancelStorm(few),
    timeOuts(few),
    kindsOfUse(many)
  ])
}
