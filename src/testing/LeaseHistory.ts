/**
 * What specs assert of a pool's leases.
 *
 * A pool remembers its last 1000 facts about leases. What is asserted here is read from a complete record where there is one, which
 * `TestPool.layer` and {@link record} see to, and else from the pool's memory: then facts may be missing, and nothing here keeps
 * silent about that. {@link history} counts them in `missed`; what cannot be known without them fails with `AssertionFailed`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ConnectionPool from "../ConnectionPool.ts"
import { LeakedLeases } from "../PoolError.ts"
import type { LeaseEnd, PoolEvent } from "../PoolEvent.ts"

/**
 * A pool did not do what a spec expects; the message begins with the numbers.
 *
 * - `pool`: the pool's name. `reason`: what was expected, and what was seen.
 *
 * @category errors
 * @since 0.1.0
 */
export class AssertionFailed extends Schema.TaggedError<AssertionFailed>("effect-pool/AssertionFailed")(
  "AssertionFailed",
  { pool: Schema.String, reason: Schema.String }
) {
  override get message(): string {
    return `[pool ${this.pool}] ${this.reason}`
  }
}

/**
 * One lease.
 *
 * - `lease`, `connection`: its number, and its connection's. `acquire`: the number of the acquire that got it.
 * - `since`, `until`: when it began and ended, in wall time in milliseconds. `end`: how it ended. `until` and `end` are
 *   missing while it runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface LeaseRecord {
  readonly lease: number
  readonly connection: number
  readonly acquire: number
  readonly since: number
  readonly until: number | undefined
  readonly end: LeaseEnd | undefined
}

/**
 * The leases that are known (`leases`), in the order in which they began, and how many facts are not known (`missed`): 0
 * where the record is complete.
 *
 * @category models
 * @since 0.1.0
 */
export interface History {
  readonly leases: ReadonlyArray<LeaseRecord>
  readonly missed: number
}

interface Known {
  readonly events: ReadonlyArray<PoolEvent>
  readonly missed: number
}

/** The pools of which there is a complete record. */
const records = new WeakMap<object, Effect.Effect<Known>>()

/**
 * Keeps a complete record of a pool up to its end, for everything else in this module to read: what the pool remembers when this is
 * called, and all that happens from then on. `TestPool.layer` does so by itself.
 *
 * **Example** (More leases than the pool remembers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const server = TestConnector.make({ name: "session" })
 *   const pool = yield* ConnectionPool.make(server.connector)
 *   yield* LeaseHistory.record(pool)
 *   const use = ConnectionPool.use(pool, () => Effect.yieldNow)
 *   yield* Effect.replicateEffect(use, 2000)
 *   const { leases, missed } = yield* LeaseHistory.history(pool)
 *   return [leases.length, missed] // => [2000, 0]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const record = Effect.fn("LeaseHistory.record")(function* <A>(pool: ConnectionPool.ConnectionPool<A>) {
  if (records.has(pool)) return
  // In one turn of the scheduler: between the two nothing may happen that neither of them sees.
  const [pull, before] = yield* Effect.all([
    // It has nothing to close.
    Scope.provide(Stream.toPull(ConnectionPool.events(pool)), Scope.makeUnsafe()),
    known(pool)
  ]).pipe(unbroken)
  const events: Array<PoolEvent> = [...before.events]
  let { missed } = before
  const reading = Effect.forever(
    Effect.map(pull, (news) => {
      for (const event of news) {
        if (event._tag === "EventsMissed") missed += event.count
        else events.push(event)
      }
    })
  ).pipe(
    Pull.catchDone(() => Effect.void),
    unbroken
  )
  // Ends with the pool, whose events do.
  const read = Effect.forkDetach(reading, { startImmediately: true })
  let reader = yield* read
  // A new reader reads what there is before its fork returns. The old one waits for news, and holds none when it is interrupted.
  const upToDate = Effect.flatMap(
    Effect.suspend(() => Fiber.interrupt(reader)),
    () =>
      Effect.map(read, (next) => {
        reader = next
        return { events, missed }
      })
  )
  records.set(pool, upToDate)
})

/** Without a break for others, however many operations it takes. */
const unbroken = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Scheduler.PreventSchedulerYield, true)

/** What the pool remembers. Leases are counted, so that it is known how many of them are not. */
const known = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<Known> =>
  Effect.zipWith(ConnectionPool.recentEvents(pool), ConnectionPool.status(pool), (events, { acquired }) => {
    const seen = events.filter(({ _tag }) => _tag === "Acquired").length
    // Of the facts about its life, the pool forgets the first one first.
    const isBeginningKnown = events.some(({ _tag }) => _tag === "PoolCreated")
    return { events, missed: acquired - seen + (isBeginningKnown ? 0 : 1) }
  })

const read = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<Known> =>
  Effect.suspend(() => records.get(pool) ?? unbroken(known(pool)))

/** What is wrong without some of the facts. */
const readAll = Effect.fnUntraced(function* <A>(pool: ConnectionPool.ConnectionPool<A>) {
  const { events, missed } = yield* read(pool)
  if (missed === 0) return events
  const reason =
    `${missed} facts or more are no longer known, and this needs all of them: provide the pool with TestPool.layer, or call ` +
    `LeaseHistory.record when it is made`
  return yield* new AssertionFailed({ pool: pool.name, reason })
})

const leasesOf = (events: ReadonlyArray<PoolEvent>): ReadonlyArray<LeaseRecord> => {
  const leases = new Map<number, LeaseRecord>()
  for (const event of events) {
    if (event._tag === "Acquired") {
      const { acquire, at, connection, lease } = event
      leases.set(lease, { lease, connection, acquire, since: at, until: undefined, end: undefined })
    } else if (event._tag === "Released") {
      const begun = leases.get(event.lease)
      if (begun !== undefined) leases.set(event.lease, { ...begun, until: event.at, end: event.end })
    }
  }
  return [...leases.values()]
}

/**
 * Every lease that is known.
 *
 * See {@link record} for an example.
 *
 * @category observing
 * @since 0.1.0
 */
export const history = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<History> =>
  Effect.map(read(pool), ({ events, missed }) => ({ leases: leasesOf(events), missed }))

/**
 * The greatest number of leases that ran at one time. Fails with `AssertionFailed` if facts are missing.
 *
 * **Example** (Never more than there may be)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector, { maxConnections: 2 })
 *   const use = ConnectionPool.use(pool, () => Effect.yieldNow)
 *   yield* Effect.all([use, use, use, use, use], { concurrency: "unbounded" })
 *   return yield* LeaseHistory.maxHeldAtOnce(pool) // => 2
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const maxHeldAtOnce = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<number, AssertionFailed> =>
  Effect.map(readAll(pool), (events) => {
    const running = new Set<number>()
    let most = 0
    for (const event of events) {
      if (event._tag === "Acquired") running.add(event.lease)
      else if (event._tag === "Released") running.delete(event.lease)
      most = Math.max(most, running.size)
    }
    return most
  })

/**
 * How long the longest lease that has ended was held, in milliseconds; 0 if none has. Fails with `AssertionFailed` if facts are
 * missing.
 *
 * **Example** (A lease of 50 ms)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { TestClock } from "effect/testing"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector)
 *   const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("50 millis")))
 *   yield* TestClock.adjust("50 millis")
 *   yield* Fiber.join(fiber)
 *   return [yield* LeaseHistory.longestHold(pool), yield* LeaseHistory.averageWait(pool)] // => [50, 0]
 * }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const longestHold = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<number, AssertionFailed> =>
  Effect.map(readAll(pool), (events) =>
    events.reduce((longest, event) => (event._tag === "Released" ? Math.max(longest, event.held) : longest), 0)
  )

/**
 * How long acquires that got a connection waited for it on average, in milliseconds; 0 if none did. Fails with `AssertionFailed` if
 * facts are missing.
 *
 * See {@link longestHold} for an example.
 *
 * @category observing
 * @since 0.1.0
 */
export const averageWait = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<number, AssertionFailed> =>
  Effect.map(readAll(pool), (events) => {
    const waits = events.flatMap((event) => (event._tag === "Acquired" ? [event.waited] : []))
    return waits.length === 0 ? 0 : waits.reduce((sum, wait) => sum + wait, 0) / waits.length
  })

/**
 * The tags of everything that happened, in order. Fails with `AssertionFailed` if facts are missing.
 *
 * **Example** (What a lease looks like)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector)
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   const tags = yield* LeaseHistory.eventSequence(pool)
 *   return tags.slice(-3) // => ["AcquireStarted", "Acquired", "Released"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const eventSequence = <A>(
  pool: ConnectionPool.ConnectionPool<A>
): Effect.Effect<ReadonlyArray<PoolEvent["_tag"]>, AssertionFailed> =>
  Effect.map(readAll(pool), (events) => events.map(({ _tag }) => _tag))

/**
 * Fails with `AssertionFailed` unless these events happened in this order; others may have happened between them. The message says
 * if facts are missing.
 *
 * **Example** (Served, and given back)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector)
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   yield* LeaseHistory.assertEvents(pool, ["PoolCreated", "Acquired", "Released"])
 *   const error = yield* Effect.flip(LeaseHistory.assertEvents(pool, ["Acquired", "PoolCreated"]))
 *   return error.reason.split("\n")[0]
 *   // => "1 of 2 expected events happened in order; PoolCreated is missing."
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category asserting
 * @since 0.1.0
 */
export const assertEvents = Effect.fn("LeaseHistory.assertEvents")(function* <A>(
  pool: ConnectionPool.ConnectionPool<A>,
  expected: ReadonlyArray<PoolEvent["_tag"]>
): Effect.fn.Return<void, AssertionFailed> {
  const { events, missed } = yield* read(pool)
  const seen = events.map(({ _tag }) => _tag)
  let found = 0
  for (const tag of seen) if (tag === expected[found]) found++
  if (found === expected.length) return
  return yield* new AssertionFailed({
    pool: pool.name,
    reason:
      `${found} of ${expected.length} expected events happened in order; ${expected[found]} is missing.\n` +
      `  expected: ${expected.join(", ")}\n  happened: ${seen.join(", ")}` +
      (missed === 0 ? "" : `\n  not known: ${missed} facts or more before these`)
  })
})

/**
 * Fails with `AssertionFailed` if a fiber waited for a connection while it held one of the same pool, and if facts are missing.
 *
 * **Example** (One after the other)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector)
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   yield* LeaseHistory.assertNoNestedAcquire(pool)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category asserting
 * @since 0.1.0
 */
export const assertNoNestedAcquire = Effect.fn("LeaseHistory.assertNoNestedAcquire")(function* <A>(
  pool: ConnectionPool.ConnectionPool<A>
): Effect.fn.Return<void, AssertionFailed> {
  const events = yield* readAll(pool)
  const nested = events.filter((event) => event._tag === "NestedAcquire")
  if (nested.length === 0) return
  const shown = nested.map(({ acquire, lease }) => `acquire ${acquire} waited while its fiber held lease ${lease}`)
  return yield* new AssertionFailed({ pool: pool.name, reason: `${nested.length} nested: ${shown.join("; ")}` })
})

/**
 * Fails with `LeakedLeases` if a lease is still running.
 *
 * **Example** (In the middle of a lease)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector)
 *   const error = yield* ConnectionPool.use(pool, () => Effect.flip(LeaseHistory.ensureNoLeaks(pool)))
 *   yield* LeaseHistory.ensureNoLeaks(pool)
 *   return [error._tag, error.leases.length] // => ["LeakedLeases", 1]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category asserting
 * @since 0.1.0
 */
export const ensureNoLeaks = Effect.fnUntraced(function* <A>(
  pool: ConnectionPool.ConnectionPool<A>
): Effect.fn.Return<void, LeakedLeases> {
  // No span of its own: a borrower who asks would be named after it.
  const connections = yield* ConnectionPool.connections(pool)
  const leases = connections.flatMap(({ holders }) => holders)
  if (leases.length > 0) return yield* new LeakedLeases({ pool: pool.name, leases })
})

/**
 * Runs an effect up to where it holds a lease, interrupts it there, and fails with `AssertionFailed` unless the lease comes
 * back. Waits for no time to pass: the effect must get its lease without.
 *
 * **Example** (A borrower that is interrupted)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool } from "effect-pool"
 * import { LeaseHistory, TestConnector } from "effect-pool/testing"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(TestConnector.make({ name: "session" }).connector)
 *   yield* LeaseHistory.assertReleasedOnInterrupt(
 *     pool,
 *     ConnectionPool.use(pool, () => Effect.never)
 *   )
 *   return (yield* ConnectionPool.status(pool)).leases // => 0
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category asserting
 * @since 0.1.0
 */
export const assertReleasedOnInterrupt = Effect.fn("LeaseHistory.assertReleasedOnInterrupt")(function* <A, B, E, R>(
  pool: ConnectionPool.ConnectionPool<A>,
  effect: Effect.Effect<B, E, R>
): Effect.fn.Return<void, AssertionFailed | E, R> {
  const leases = Effect.map(ConnectionPool.status(pool), ({ leases }) => leases)
  const before = yield* leases
  const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
  for (let turn = 0; turn < 100 && (yield* leases) === before; turn++) yield* Effect.yieldNow
  const held = (yield* leases) - before
  yield* Fiber.interrupt(fiber)
  const left = (yield* leases) - before
  if (held > 0 && left === 0) return
  const reason =
    held > 0 ? `${left} of ${held} leases not returned by the interrupt` : "0 leases held, so none to return"
  return yield* new AssertionFailed({ pool: pool.name, reason })
})
