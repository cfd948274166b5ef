/**
 * What specs assert of a pool's leases. Everything is read from the pool's own record of its last 1000 facts about leases.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as ConnectionPool from "../ConnectionPool.ts"
import { Holder } from "../PoolError.ts"
import type { LeaseEnd, PoolEvent } from "../PoolEvent.ts"

/**
 * A pool did not do what a spec expects; the message begins with the numbers.
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
 * Leases were still running where none should be: who has each, on which connection, and for how long.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeakedLeases extends Schema.TaggedError<LeakedLeases>("effect-pool/LeakedLeases")("LeakedLeases", {
  pool: Schema.String,
  holders: Schema.Array(Holder)
}) {
  override get message(): string {
    const shown = this.holders.map(
      ({ connection, heldForMillis, holder, lease }) =>
        `${holder} has had connection ${connection} for ${heldForMillis} ms (lease ${lease})`
    )
    const { length } = this.holders
    return `[pool ${this.pool}] ${length} lease${length === 1 ? "" : "s"} still running: ${shown.join("; ")}`
  }
}

/**
 * One lease. `since` and `until` are wall time in milliseconds; the last two are missing while it runs.
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
 * Every lease that is still known, in the order in which they began.
 *
 * @category observing
 * @since 0.1.0
 */
export const history = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<ReadonlyArray<LeaseRecord>> =>
  Effect.map(ConnectionPool.recentEvents(pool), leasesOf)

/**
 * The greatest number of leases that ran at one time.
 *
 * @category observing
 * @since 0.1.0
 */
export const maxHeldAtOnce = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<number> =>
  Effect.map(ConnectionPool.recentEvents(pool), (events) => {
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
 * How long the longest lease that has ended was held, in milliseconds; 0 if none has.
 *
 * @category observing
 * @since 0.1.0
 */
export const longestHold = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<number> =>
  Effect.map(ConnectionPool.recentEvents(pool), (events) =>
    events.reduce((longest, event) => (event._tag === "Released" ? Math.max(longest, event.held) : longest), 0)
  )

/**
 * The tags of everything that happened, in order.
 *
 * @category observing
 * @since 0.1.0
 */
export const eventSequence = <A>(
  pool: ConnectionPool.ConnectionPool<A>
): Effect.Effect<ReadonlyArray<PoolEvent["_tag"]>> =>
  Effect.map(ConnectionPool.recentEvents(pool), (events) => events.map(({ _tag }) => _tag))

/**
 * Fails with `AssertionFailed` unless these events happened in this order; others may have happened between them.
 *
 * @category asserting
 * @since 0.1.0
 */
export const assertEvents = Effect.fn("LeaseHistory.assertEvents")(function* <A>(
  pool: ConnectionPool.ConnectionPool<A>,
  expected: ReadonlyArray<PoolEvent["_tag"]>
) {
  const seen = yield* eventSequence(pool)
  let found = 0
  for (const tag of seen) if (tag === expected[found]) found++
  if (found === expected.length) return
  return yield* new AssertionFailed({
    pool: pool.name,
    reason:
      `${found} of ${expected.length} expected events happened in order; ${expected[found]} is missing.\n` +
      `  expected: ${expected.join(", ")}\n  happened: ${seen.join(", ")}`
  })
})

/**
 * Fails with `AssertionFailed` if a fiber waited for a connection while it held one of the same pool.
 *
 * @category asserting
 * @since 0.1.0
 */
export const assertNoNestedAcquire = Effect.fn("LeaseHistory.assertNoNestedAcquire")(function* <A>(
  pool: ConnectionPool.ConnectionPool<A>
) {
  const events = yield* ConnectionPool.recentEvents(pool)
  const nested = events.filter((event) => event._tag === "NestedAcquire")
  if (nested.length === 0) return
  const shown = nested.map(({ acquire, lease }) => `acquire ${acquire} waited while its fiber held lease ${lease}`)
  return yield* new AssertionFailed({ pool: pool.name, reason: `${nested.length} nested: ${shown.join("; ")}` })
})

/**
 * Fails with {@link LeakedLeases} if a lease is still running.
 *
 * @category asserting
 * @since 0.1.0
 */
export const ensureNoLeaks = Effect.fn("LeaseHistory.ensureNoLeaks")(function* <A>(
  pool: ConnectionPool.ConnectionPool<A>
) {
  const connections = yield* ConnectionPool.connections(pool)
  const holders = connections.flatMap(({ holders }) => holders)
  if (holders.length > 0) return yield* new LeakedLeases({ pool: pool.name, holders })
})

/**
 * Runs an effect up to where it holds a lease, interrupts it there, and fails with `AssertionFailed` unless the lease comes
 * back. Waits for no time to pass: the effect must get its lease without.
 *
 * @category asserting
 * @since 0.1.0
 */
export const assertReleasedOnInterrupt = Effect.fn("LeaseHistory.assertReleasedOnInterrupt")(function* <A, B, E, R>(
  pool: ConnectionPool.ConnectionPool<A>,
  effect: Effect.Effect<B, E, R>
) {
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
