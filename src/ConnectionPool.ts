/**
 * The pool: opens connections ahead of need, lends each for the length of a `Scope`, and looks after them.
 *
 * @since 0.1.0
 */
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import { Random } from "effect/Random"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { type Connector, QueryTimeout } from "./Connector.ts"
import type { Advice } from "./PoolAdvisor.ts"
import * as PoolConfig from "./PoolConfig.ts"
import { PoolRegistry } from "./PoolRegistry.ts"
import { PoolTracing } from "./PoolTracing.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import { type AcquireError, type ConnectError, PoolClosed, type PoolConfigError, PoolNotReady } from "./PoolError.ts"
import type { ConnectionStatus, HealthStatus, PoolStatus } from "./PoolStatus.ts"
import { bind } from "./runtime/BoundConnector.ts"
import { connectionList } from "./runtime/ConnectionList.ts"
import {
  events as readEvents,
  eventsSince as readEventsSince,
  recentEvents as readRecentEvents
} from "./runtime/Events.ts"
import { healthOf } from "./runtime/HealthReport.ts"
import { borrowInScope, borrowWhile } from "./runtime/Lending.ts"
import { ensureFinalizersWork } from "./runtime/Returning.ts"
import { acquireSpan } from "./runtime/HolderNames.ts"
import { runtimeOf } from "./runtime/PoolHandle.ts"
import { PoolRuntime } from "./runtime/PoolRuntime.ts"
import { snapshotOf } from "./runtime/Refusals.ts"
import { reportNamesake, reportOperatorAction } from "./runtime/Reports.ts"
import { adviceOn, type Known } from "./runtime/SizeAdvice.ts"
import { statusOf } from "./runtime/StatusReport.ts"
import { type Member, Membership } from "./runtime/SharedBudget.ts"

const TypeId = "~effect-pool/ConnectionPool"

/**
 * A pool of connections of type `A`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionPool<in out A> extends Pipeable {
  readonly [TypeId]: { readonly _A: (_: A) => A }
  /** The pool's name in errors, logs and status. */
  readonly name: string
  /** The configuration, with every default filled in. */
  readonly config: PoolConfig.PoolConfig
}

/**
 * One loan of a connection to one borrower.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease<out A> {
  /** What was borrowed. Not to be used once the lease has ended. */
  readonly connection: A
  /** The connection's number in its pool, counting from 1. */
  readonly id: number
  /** How old the connection was when it was lent, in milliseconds. */
  readonly age: number
  /** How many times the connection has been lent, this loan included. */
  readonly uses: number
  /** Says that the connection must not be lent again. Without effect once the lease has ended. */
  readonly discard: Effect.Effect<void>
}

interface PoolImpl<in out A> extends ConnectionPool<A> {
  readonly runtime: PoolRuntime<A>
  /** Every acquire has a span of its own. */
  readonly isTraced: boolean
  readonly acquire: Effect.Effect<A, AcquireError, Scope.Scope>
  readonly reserve: Effect.Effect<A, AcquireError, Scope.Scope>
}

/**
 * Whether a value is a pool, made by {@link make}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isConnectionPool = (u: unknown): u is ConnectionPool<unknown> => hasProperty(u, TypeId)

/**
 * Makes a pool that lives as long as the surrounding scope.
 *
 * Fails with one `PoolConfigError` that names every wrong field of the configuration and the connector, before anything
 * is opened. By default (`startup: "await"`) it returns when the first connection is open and retries for ever until
 * then; `"background"` returns at once; `"failFast"` fails with `ConnectError` at the first failure.
 *
 * The connector's services are those of the place where the pool is made.
 *
 * When the scope closes, waiters fail with `PoolClosed`, idle connections close side by side, borrowers may finish for
 * `drainTimeout`, and then their connections are closed under them.
 *
 * **Example** (A pool of anything scoped)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const sessions = Connector.make({
 *   name: "sessions",
 *   connect: Effect.acquireRelease(Effect.succeed("session"), () => Effect.void)
 * })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(sessions, { maxConnections: 5 })
 *   return yield* ConnectionPool.use(pool, (session) => Effect.succeed(session.length)) // => 7
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("ConnectionPool.make")(function* <A, E, R>(
  connector: Connector<A, E, R>,
  config: PoolConfig.Input | PoolConfig.PoolConfig = {}
): Effect.fn.Return<ConnectionPool<A>, PoolConfigError | ConnectError, R | Scope.Scope> {
  const checked = yield* PoolConfig.make(config, connector.problems)
  // A scope of its own, which ends at once if the pool does not come to be: a pool that nobody holds must not go on.
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.flatMap(Effect.scope, Scope.fork), (scope) =>
      Effect.onExit(restore(Scope.provide(build(connector, checked), scope)), (exit) =>
        Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void
      )
    )
  )
})

const build = Effect.fnUntraced(function* <A, E, R>(connector: Connector<A, E, R>, config: PoolConfig.PoolConfig) {
  const name = config.name ?? connector.name
  const surroundings = yield* Effect.context<R | Scope.Scope>()
  // What runs later, connector and pool alike, says which pool it is, and is no part of a span that will have ended.
  const context = Context.omit(
    Tracer.ParentSpan,
    Membership
  )(surroundings).pipe(
    Context.add(References.CurrentLogAnnotations, {
      ...Context.get(surroundings, References.CurrentLogAnnotations),
      pool: name
    }),
    Context.add(QueryTimeout, config.queryTimeout)
  ) as Context.Context<R | Scope.Scope>
  const random = yield* Random
  const tracing = Context.get(surroundings, PoolTracing)
  const runtime = new PoolRuntime<A>({
    name,
    connector: bind(connector, context),
    config,
    context: context as Context.Context<never>,
    clock: yield* Clock,
    random: () => random.nextDoubleUnsafe(),
    slowWait: Duration.toMillis(tracing.slowWait)
  })
  yield* ensureFinalizersWork
  const membership = Context.get(surroundings, Membership)
  if (membership !== undefined) yield* joinBudget(membership, runtime)
  const traced = (acquire: PoolImpl<A>["acquire"]) => (tracing.spans ? withAcquireSpan(acquire, name) : acquire)
  const pool: PoolImpl<A> = {
    [TypeId]: { _A: (_) => _ },
    name,
    config,
    runtime,
    isTraced: tracing.spans,
    acquire: traced(borrowInScope(runtime, ({ connection }) => connection.resource.exit)),
    reserve: traced(borrowInScope(runtime, ({ connection }) => connection.resource.exit, true)),
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  yield* runtime.start
  const registry = Context.get(surroundings, PoolRegistry)
  const namesake = registry.get(name)
  // One that drains is on its way out, and this is its successor.
  if (namesake !== undefined && runtimeOf(namesake).engine.ledger.state !== "draining") reportNamesake(runtime)
  runtime.onClosed = registry.add(pool as ConnectionPool<unknown>)
  if (config.startup === "failFast" && config.minConnections > 0) yield* Deferred.await(runtime.firstConnect)
  else if (config.startup === "await") yield* runtime.ready.await
  return pool
})

/** Its stack would cost as much again, and the pool is never where the matter is. */
const withAcquireSpan = <A, E>(acquire: Effect.Effect<A, E, Scope.Scope>, pool: string) =>
  Effect.withSpan(acquire, acquireSpan, {
    kind: "client",
    attributes: { "db.client.connection.pool.name": pool },
    captureStackTrace: false
  })

/** Registered before the pool's own end, so that it leaves when its last connection has closed. */
const joinBudget = <A>({ budget, floor }: Member, runtime: PoolRuntime<A>): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => budget.join(runtime as unknown as PoolRuntime<never>, floor)),
      (leave) => Effect.sync(leave)
    )
  )

/**
 * Borrows a connection until the surrounding scope closes.
 *
 * Takes the most recently used idle connection, or waits in line, in all no longer than `acquireTimeout`. The connection
 * is returned however the scope ends; after an interruption or a defect it is checked or discarded before anyone else
 * gets it.
 *
 * Fails with `AcquireTimeout`, `ServiceUnavailable` (503), `PoolOverloaded`, `PoolDeadlock` or `PoolClosed`.
 *
 * **Example** (Two statements on one connection)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({ name: "counter", connect: Effect.sync(() => ({ count: 0 })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter)
 *   return yield* Effect.scoped(
 *     Effect.gen(function* () {
 *       const connection = yield* ConnectionPool.acquire(pool)
 *       connection.count++
 *       return ++connection.count // => 2
 *     })
 *   )
 * }).pipe(Effect.scoped)
 * ```
 *
 * @see {@link use} for one effect on one connection
 * @category borrowing
 * @since 0.1.0
 */
export const acquire = <A>(pool: ConnectionPool<A>): Effect.Effect<A, AcquireError, Scope.Scope> =>
  (pool as PoolImpl<A>).acquire

/**
 * Borrows a connection that nobody else has, until the surrounding scope closes: for a transaction, or whatever else may not
 * be mixed with the work of others. Where connections are not shared (`concurrency: 1`, the default) every lease is of this
 * kind, and this is {@link acquire}.
 *
 * Where they are shared, those who reserve wait in a line of their own. The pool lets a connection empty for each of them,
 * and goes on sharing the others meanwhile; a connection that becomes free goes to whoever came first in either line.
 *
 * Fails like {@link acquire}.
 *
 * **Example** (A session of one's own among shared ones)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const session = Connector.make({ name: "session", connect: Effect.sync(() => ({ inTransaction: false })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(session, { maxConnections: 2, concurrency: 8 })
 *   return yield* Effect.scoped(
 *     Effect.gen(function* () {
 *       const mine = yield* ConnectionPool.reserve(pool)
 *       const other = yield* ConnectionPool.acquire(pool)
 *       return mine === other // => false
 *     })
 *   )
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category borrowing
 * @since 0.1.0
 */
export const reserve = <A>(pool: ConnectionPool<A>): Effect.Effect<A, AcquireError, Scope.Scope> =>
  (pool as PoolImpl<A>).reserve

/**
 * Borrows a connection while an effect runs. Needs no scope, and is the fastest way to borrow.
 *
 * Fails like {@link acquire}, and with whatever the effect fails with.
 *
 * **Example** (One effect on one connection)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({ name: "counter", connect: Effect.sync(() => ({ count: 0 })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter)
 *   return yield* ConnectionPool.use(pool, (connection) => Effect.sync(() => ++connection.count)) // => 1
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category borrowing
 * @since 0.1.0
 */
export const use: {
  <A, B, E, R>(
    f: (connection: A) => Effect.Effect<B, E, R>
  ): (pool: ConnectionPool<A>) => Effect.Effect<B, E | AcquireError, R>
  <A, B, E, R>(
    pool: ConnectionPool<A>,
    f: (connection: A) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E | AcquireError, R>
} = dual(
  2,
  <A, B, E, R>(
    pool: ConnectionPool<A>,
    f: (connection: A) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E | AcquireError, R> => {
    const { acquire, isTraced, runtime } = pool as PoolImpl<A>
    return isTraced ? useInScope(acquire, f) : borrowWhile(runtime, f)
  }
)

/** The acquire apart from what is done with it, so that its span ends where the work begins. */
const useInScope = <A, B, E, R>(
  acquire: Effect.Effect<A, AcquireError, Scope.Scope>,
  f: (connection: A) => Effect.Effect<B, E, R>
): Effect.Effect<B, E | AcquireError, R> =>
  Effect.flatMap(Scope.make(), (scope) =>
    Effect.onExit(Effect.flatMap(Scope.provide(acquire, scope), f), (exit) => Scope.close(scope, exit))
  )

/**
 * Like {@link acquire}, but gives the lease as a value: the connection with its number, age and uses, and `discard` for
 * a borrower who knows that nobody should have it again.
 *
 * Fails like {@link acquire}.
 *
 * **Example** (A connection that nobody should have again)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({ name: "counter", connect: Effect.sync(() => ({ count: 0 })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter, { minConnections: 1 })
 *   const borrow = Effect.scoped(
 *     Effect.gen(function* () {
 *       const { discard, id, uses } = yield* ConnectionPool.lease(pool)
 *       yield* discard
 *       return [id, uses]
 *     })
 *   )
 *   return [yield* borrow, yield* borrow] // => [[1, 1], [2, 1]]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category borrowing
 * @since 0.1.0
 */
export const lease = <A>(pool: ConnectionPool<A>): Effect.Effect<Lease<A>, AcquireError, Scope.Scope> => {
  const runtime = runtimeOf(pool)
  return borrowInScope(runtime, (lease, loan) => {
    const { id, openedAt, resource, uses } = lease.connection
    return Effect.succeed({
      connection: resource.value,
      id,
      age: lease.since - (openedAt ?? lease.since),
      uses,
      discard: Effect.sync(() => runtime.engine.discard(lease, loan, runtime.now()))
    })
  })
}

/**
 * Says that a connection must not be lent again: it is closed now if it is idle, else when its borrower returns it, and
 * replaced when it is needed. A value that is not a connection of this pool changes nothing. O(1) for connections that are
 * objects.
 *
 * **Example** (A session that was ended from elsewhere)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({ name: "counter", connect: Effect.sync(() => ({ count: 0 })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter, { minConnections: 1 })
 *   const first = yield* ConnectionPool.use(pool, Effect.succeed)
 *   yield* ConnectionPool.invalidate(pool, first)
 *   return yield* ConnectionPool.use(pool, (connection) => Effect.succeed(connection === first)) // => false
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category borrowing
 * @since 0.1.0
 */
export const invalidate: {
  <A>(connection: A): (pool: ConnectionPool<A>) => Effect.Effect<void>
  <A>(pool: ConnectionPool<A>, connection: A): Effect.Effect<void>
} = dual(2, <A>(pool: ConnectionPool<A>, connection: A): Effect.Effect<void> =>
  Effect.sync(() => {
    const runtime = runtimeOf(pool)
    const found = runtime.find(connection)
    if (found !== undefined) runtime.transition(() => runtime.engine.invalidate(found, runtime.now()))
  })
)

/**
 * What the pool looks like now. Never acquires, so it answers when the pool is stuck; O(1).
 *
 * **Example** (How many are in use)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   const { inUse, waiting, acquired } = yield* ConnectionPool.use(pool, () => ConnectionPool.status(pool))
 *   return [inUse, waiting, acquired] // => [1, 0, 1]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const status = <A>(pool: ConnectionPool<A>): Effect.Effect<PoolStatus> =>
  Effect.sync(() => statusOf(runtimeOf(pool)))

/**
 * Whether the pool does its work, and why not. Never acquires, so it answers when the pool is stuck; O(1).
 *
 * **Example** (A server that cannot be reached)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const nowhere = Connector.make({ name: "nowhere", connect: Effect.fail("connection refused") })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(nowhere, { startup: "background" })
 *   yield* Effect.yieldNow
 *   const { status, reasons } = yield* ConnectionPool.health(pool)
 *   return [status, reasons.length] // => ["fail", 1]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const health = <A>(pool: ConnectionPool<A>): Effect.Effect<HealthStatus> =>
  Effect.sync(() => healthOf(runtimeOf(pool)))

/**
 * How large the pool should be, and why, as it has been used for the last minutes at its busiest: what `PoolAdvisor.advise` says to
 * the measured rate of acquires, the time for which leases were held and the knee. `known` is what the pool cannot know: how many
 * replicas there are, how many connections the server gives. `None` while fewer than 160 leases in 10 s have been seen.
 *
 * **Example** (Nothing to say yet)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   const advice = yield* ConnectionPool.advise(pool, { replicas: 4, serverMaxConnections: 100 })
 *   return advice._tag // => "None"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const advise = <A>(
  pool: ConnectionPool<A>,
  known: KnownToOperators = {}
): Effect.Effect<Option.Option<Advice>> => Effect.sync(() => Option.fromUndefinedOr(adviceOn(runtimeOf(pool), known)))

/**
 * What an operator knows and a pool does not; all of it may be left out.
 *
 * @category models
 * @since 0.1.0
 */
export type KnownToOperators = Known

/**
 * Every connection of the pool, in the order in which they were begun: its state and age, who has it, and what its connector
 * counts of it. Never acquires; takes a look at every connection and lease.
 *
 * **Example** (Who has which connection, and for how long)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({
 *   name: "counter",
 *   connect: Effect.sync(() => ({ count: 0 })),
 *   statistics: ({ count }) => ({ count })
 * })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter, { minConnections: 1 })
 *   yield* ConnectionPool.use(pool, (connection) => Effect.sync(() => connection.count++))
 *   const connections = yield* ConnectionPool.connections(pool)
 *   return connections.map(({ id, state, uses, statistics }) => ({ id, state, uses, statistics }))
 *   // => [{ id: 1, state: "idle", uses: 1, statistics: { count: 1 } }]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const connections = <A>(pool: ConnectionPool<A>): Effect.Effect<ReadonlyArray<ConnectionStatus>> =>
  Effect.sync(() => connectionList(runtimeOf(pool)))

/**
 * What happens in the pool from now on, up to its end; see `PoolEvent`. A reader costs the pool nothing while it reads and
 * holds nothing back: it reads from the last 1000 facts, and one that falls behind gets `EventsMissed` and goes on.
 *
 * **Example** (Watch connections come and go)
 *
 * ```ts
 * import { Effect, Fiber, Stream } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({ name: "counter", connect: Effect.sync(() => ({ count: 0 })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter, { minConnections: 1 })
 *   const fiber = yield* Effect.forkChild(
 *     Stream.runCollect(Stream.take(ConnectionPool.events(pool), 3)),
 *     { startImmediately: true }
 *   )
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   const events = yield* Fiber.join(fiber)
 *   return events.map(({ _tag }) => _tag) // => ["AcquireStarted", "Acquired", "Released"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const events = <A>(pool: ConnectionPool<A>): Stream.Stream<PoolEvent> => readEvents(runtimeOf(pool))

/**
 * The flight recorder: the last 1000 facts about the pool and its connections and the last 1000 about leases, oldest first.
 *
 * **Example** (What has happened so far)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const connector = Connector.make({ name: "any", connect: Effect.succeed("connection") })
 *   const pool = yield* ConnectionPool.make(connector, { minConnections: 1 })
 *   const events = yield* ConnectionPool.recentEvents(pool)
 *   return events.map(({ _tag }) => _tag)
 *   // => ["PoolCreated", "ConnectionCreated", "ConnectionReady", "PoolReady", "PoolWarming"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const recentEvents = <A>(pool: ConnectionPool<A>): Effect.Effect<ReadonlyArray<PoolEvent>> =>
  Effect.sync(() => readRecentEvents(runtimeOf(pool)))

/**
 * What has happened since a moment, for whoever asks now and then: the facts after number `sequence` (0: all that are kept), each
 * with its number, and how many are gone that nobody can tell any more.
 *
 * **Example** (Ask now and then)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   const { last } = yield* ConnectionPool.eventsSince(pool, 0)
 *   yield* ConnectionPool.use(pool, () => Effect.void)
 *   const { events, missed } = yield* ConnectionPool.eventsSince(pool, last)
 *   return [missed, events.map(({ event }) => event._tag)] // => [0, ["AcquireStarted", "Acquired", "Released"]]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const eventsSince: {
  (sequence: number): <A>(pool: ConnectionPool<A>) => Effect.Effect<EventsSince>
  <A>(pool: ConnectionPool<A>, sequence: number): Effect.Effect<EventsSince>
} = dual(2, <A>(pool: ConnectionPool<A>, sequence: number): Effect.Effect<EventsSince> =>
  Effect.sync(() => readEventsSince(runtimeOf(pool), sequence))
)

/**
 * The facts after some other one.
 *
 * - `events`: the facts, the oldest first, each with its number (`sequence`). `missed`: how many are gone that came between.
 * - `last`: the number to ask with the next time.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventsSince {
  readonly events: ReadonlyArray<{ readonly sequence: number; readonly event: PoolEvent }>
  readonly missed: number
  readonly last: number
}

/**
 * Completes when something has happened after fact number `sequence`, or the pool has ended.
 *
 * For a loop around {@link eventsSince} that is to answer at once and not to poll.
 *
 * @category observing
 * @since 0.1.0
 */
export const awaitEvent = <A>(pool: ConnectionPool<A>, sequence: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const runtime = runtimeOf(pool)
    return runtime.engine.ledger.state === "closed" ? Effect.void : runtime.readers.newsAfter(sequence)
  })

/**
 * What contradicts the pool's promises, one sentence each; empty when all is well. The pool counts everything again, which
 * takes a look at every connection, lease and waiter: for simulations and for a suspicion, not for a dashboard.
 *
 * **Example** (After a suspicion)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   return yield* ConnectionPool.use(pool, () => ConnectionPool.audit(pool)) // => []
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const audit = <A>(pool: ConnectionPool<A>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.sync(() => runtimeOf(pool).audit())

/**
 * Waits until the pool is ready: at once if it is, as long as it takes if it is starting, unavailable or paused, or no
 * longer than `timeout`.
 *
 * Fails with `PoolNotReady` after `timeout`, which says why the attempts to connect have failed so far, and with `PoolClosed`
 * when the pool closes instead.
 *
 * **Example** (Not ready yet, and why)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const nowhere = Connector.make({ name: "nowhere", connect: Effect.fail("connection refused") })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(nowhere, { startup: "background" })
 *   const error = yield* Effect.flip(ConnectionPool.awaitReady(pool, { timeout: "20 millis" }))
 *   return error._tag === "PoolNotReady" ? error.reasons.map(({ kind }) => kind) : [] // => ["transient"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export function awaitReady<A>(pool: ConnectionPool<A>): Effect.Effect<void, PoolClosed>
export function awaitReady<A>(
  pool: ConnectionPool<A>,
  options: { readonly timeout: Duration.Input }
): Effect.Effect<void, PoolClosed | PoolNotReady>
export function awaitReady<A>(
  pool: ConnectionPool<A>,
  options?: { readonly timeout: Duration.Input }
): Effect.Effect<void, PoolClosed | PoolNotReady> {
  return Effect.suspend((): Effect.Effect<void, PoolClosed | PoolNotReady> => {
    const runtime = runtimeOf(pool)
    const ready = Effect.andThen(runtime.ready.await, whileOpen(runtime, Effect.void))
    if (options === undefined) return ready
    const since = runtime.now()
    return Effect.timeoutOrElse(ready, {
      duration: options.timeout,
      orElse: () => Effect.suspend(() => Effect.fail(notReady(runtime, since)))
    })
  })
}

const notReady = <A>(runtime: PoolRuntime<A>, since: number): PoolNotReady =>
  new PoolNotReady({
    pool: runtime.name,
    state: runtime.engine.ledger.state,
    waitedMillis: Math.round(runtime.now() - since),
    reasons: runtime.failures.reasons,
    snapshot: snapshotOf(runtime.engine.ledger)
  })

/** What is asked of a pool that is closing or closed is refused, and changes nothing. */
const whileOpen = <A, B, E>(
  runtime: PoolRuntime<A>,
  operation: Effect.Effect<B, E>
): Effect.Effect<B, E | PoolClosed> =>
  Effect.suspend((): Effect.Effect<B, E | PoolClosed> =>
    runtime.engine.ledger.isEnding ? Effect.fail(new PoolClosed({ pool: runtime.name })) : operation
  )

/**
 * Gives the pool other limits while it runs. What is missing from a higher minimum is opened; what is above a lower maximum
 * closes: connects in flight at once, then idle connections, then those in use as they come back. Until then the pool has
 * more than its maximum, and opens nothing.
 *
 * Fails with `PoolConfigError`, and changes nothing, if a limit is not a whole number, the minimum is negative, the maximum is
 * below 1, or the minimum is above the maximum; with `PoolClosed` after the pool's end.
 *
 * **Example** (More room for the evening)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const counter = Connector.make({ name: "counter", connect: Effect.sync(() => ({ count: 0 })) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(counter, { maxConnections: 5 })
 *   yield* ConnectionPool.resize(pool, { maxConnections: 20 })
 *   return (yield* ConnectionPool.status(pool)).limit // => 20
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const resize: {
  (limits: Limits): <A>(pool: ConnectionPool<A>) => Effect.Effect<void, PoolConfigError | PoolClosed>
  <A>(pool: ConnectionPool<A>, limits: Limits): Effect.Effect<void, PoolConfigError | PoolClosed>
} = dual(2, <A>(pool: ConnectionPool<A>, limits: Limits): Effect.Effect<void, PoolConfigError | PoolClosed> =>
  Effect.suspend(() => {
    const runtime = runtimeOf(pool)
    const { maxConnections, minConnections } = runtime.engine.ledger
    const wanted = {
      minConnections: limits.minConnections ?? minConnections,
      maxConnections: limits.maxConnections ?? maxConnections
    }
    return Effect.flatMap(PoolConfig.make({ ...fieldsOf(limits), ...wanted }), () =>
      whileOpen(
        runtime,
        Effect.sync(() =>
          runtime.transition(() => runtime.engine.resize(wanted.minConnections, wanted.maxConnections, runtime.now()))
        )
      )
    )
  })
)

/**
 * New limits; what is left out stays as it is.
 *
 * - `minConnections`, `maxConnections`: as in `PoolConfig`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly minConnections?: number | undefined
  readonly maxConnections?: number | undefined
}

/** Whatever else somebody has written is a mistake that `PoolConfig` will name. */
const fieldsOf = (limits: Limits): PoolConfig.Input => ({ ...limits })

/**
 * Lends, opens, checks and retires nothing until {@link resume}; borrowers finish. For a maintenance of the server: pause,
 * `recycle`, wait for `inUse` to be 0, and resume afterwards.
 *
 * Acquires wait inside their deadlines (`"wait"`, the default; time spent in a pause counts), or those that wait and those
 * that come fail at once with `ServiceUnavailable` (`"fail"`). Pausing a paused pool changes the mode.
 *
 * Fails with `PoolClosed` after the pool's end.
 *
 * **Example** (A maintenance of the server)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   yield* ConnectionPool.pause(pool, { acquires: "fail" })
 *   const error = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void))
 *   yield* ConnectionPool.resume(pool)
 *   return [error._tag, yield* ConnectionPool.use(pool, Effect.succeed)] // => ["ServiceUnavailable", "connection"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const pause: {
  (options?: PauseOptions): <A>(pool: ConnectionPool<A>) => Effect.Effect<void, PoolClosed>
  <A>(pool: ConnectionPool<A>, options?: PauseOptions): Effect.Effect<void, PoolClosed>
} = dual(
  (args) => isConnectionPool(args[0]),
  <A>(pool: ConnectionPool<A>, options: PauseOptions = {}): Effect.Effect<void, PoolClosed> => {
    const runtime = runtimeOf(pool)
    return control(runtime, (now) => runtime.engine.pause(options.acquires === "fail", now))
  }
)

/**
 * What acquires do while the pool is paused: with `acquires: "wait"` (the default) they wait, with `"fail"` they fail at
 * once.
 *
 * @category models
 * @since 0.1.0
 */
export interface PauseOptions {
  readonly acquires?: "wait" | "fail" | undefined
}

/** A transition that somebody asks for, unless the pool is at its end. */
const control = <A>(runtime: PoolRuntime<A>, change: (now: number) => void): Effect.Effect<void, PoolClosed> =>
  whileOpen(
    runtime,
    Effect.sync(() => runtime.transition(() => change(runtime.now())))
  )

/**
 * Ends a {@link pause}: those who wait are served in the order in which they came. Without a pause it changes nothing. Fails
 * with `PoolClosed` after the pool's end.
 *
 * @category controlling
 * @since 0.1.0
 */
export const resume = <A>(pool: ConnectionPool<A>): Effect.Effect<void, PoolClosed> => {
  const runtime = runtimeOf(pool)
  return control(runtime, (now) => runtime.engine.resume(now))
}

/**
 * Replaces every connection that is there now: after a change of credentials, a fail-over, a deployment of the server. Those
 * in use close as they come back, idle ones from the cold end, and no more at a time than may connect at a time, so that
 * callers notice nothing; while connects fail, none. In a paused pool all that rest close at once.
 *
 * With `interrupt: true` everything closes now, under its borrowers: their leases are revoked, and what they do on their
 * connections fails with the driver's error.
 *
 * Fails with `PoolClosed` after the pool's end.
 *
 * **Example** (After a change of credentials)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const connector = Connector.make({ name: "any", connect: Effect.succeed("connection") })
 *   const pool = yield* ConnectionPool.make(connector, { minConnections: 1 })
 *   const idOf = Effect.scoped(Effect.map(ConnectionPool.lease(pool), ({ id }) => id))
 *   const before = yield* idOf
 *   yield* ConnectionPool.recycle(pool)
 *   return [before, yield* idOf] // => [1, 2]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const recycle: {
  (options?: RecycleOptions): <A>(pool: ConnectionPool<A>) => Effect.Effect<void, PoolClosed>
  <A>(pool: ConnectionPool<A>, options?: RecycleOptions): Effect.Effect<void, PoolClosed>
} = dual(
  (args) => isConnectionPool(args[0]),
  <A>(pool: ConnectionPool<A>, options: RecycleOptions = {}): Effect.Effect<void, PoolClosed> => {
    const runtime = runtimeOf(pool)
    return control(runtime, (now) => runtime.engine.recycle(options.interrupt === true, now))
  }
)

/**
 * Whether connections are also taken from those who have them: with `interrupt: true` they are, by default they are not.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecycleOptions {
  readonly interrupt?: boolean | undefined
}

/**
 * Closes one connection, by its number: now if nobody has it, else when it comes back; with `interrupt`, now and under its
 * borrowers, whose leases are revoked. Answers whether there is such a connection.
 *
 * Fails with `PoolClosed` after the pool's end.
 *
 * **Example** (The one connection that misbehaves)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const connector = Connector.make({ name: "any", connect: Effect.succeed("connection") })
 *   const pool = yield* ConnectionPool.make(connector, { minConnections: 1 })
 *   return [yield* ConnectionPool.evict(pool, 1), yield* ConnectionPool.evict(pool, 99)] // => [true, false]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const evict: {
  (connection: number, options?: RecycleOptions): <A>(pool: ConnectionPool<A>) => Effect.Effect<boolean, PoolClosed>
  <A>(pool: ConnectionPool<A>, connection: number, options?: RecycleOptions): Effect.Effect<boolean, PoolClosed>
} = dual(
  (args) => isConnectionPool(args[0]),
  <A>(
    pool: ConnectionPool<A>,
    connection: number,
    options: RecycleOptions = {}
  ): Effect.Effect<boolean, PoolClosed> => {
    const runtime = runtimeOf(pool)
    return whileOpen(
      runtime,
      Effect.sync(() => {
        const { connections } = runtime.engine.ledger
        const found = Array.from(connections).find(({ id, state }) => id === connection && state !== "closing")
        if (found === undefined) return false
        runtime.transition(() => runtime.engine.evict(found, options.interrupt === true, runtime.now()))
        return true
      })
    )
  }
)

/**
 * Notes with each lease, for a while, the JavaScript stack with which it was borrowed (`stack` of a `Holder`). It costs some
 * microseconds a lease and helps where borrowers are not named, mostly for those who call `Effect.runPromise` from other code; for
 * the others `Effect.fn` and spans say more, and cost nothing. Zero ends it; it is off at first.
 *
 * Fails with `PoolClosed` after the pool's end.
 *
 * **Example** (Where a connection was borrowed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   yield* ConnectionPool.captureStacks(pool, "10 minutes")
 *   const [connection] = yield* ConnectionPool.use(pool, () => ConnectionPool.connections(pool))
 *   return typeof connection?.holders[0]?.stack // => "string"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const captureStacks: {
  (duration: Duration.Input): <A>(pool: ConnectionPool<A>) => Effect.Effect<void, PoolClosed>
  <A>(pool: ConnectionPool<A>, duration: Duration.Input): Effect.Effect<void, PoolClosed>
} = dual(2, <A>(pool: ConnectionPool<A>, duration: Duration.Input): Effect.Effect<void, PoolClosed> => {
  const runtime = runtimeOf(pool)
  return whileOpen(
    runtime,
    Effect.sync(() => runtime.captureStacks(Duration.fromInputUnsafe(duration)))
  )
})

/**
 * Notes in the pool's events that somebody has asked for something, and in the log: for those who let operators act on a pool by ways
 * of their own. The HTTP API does it by itself.
 *
 * `actor` is whoever asked, and `action` what for, both in words.
 *
 * **Example** (A recycle by a way of your own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   yield* ConnectionPool.noteOperatorAction(pool, { actor: "Ada", action: "recycle, after the new password" })
 *   const events = yield* ConnectionPool.recentEvents(pool)
 *   return events.flatMap((event) => (event._tag === "OperatorAction" ? [event.actor] : [])) // => ["Ada"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const noteOperatorAction = <A>(
  pool: ConnectionPool<A>,
  note: { readonly actor: string; readonly action: string }
): Effect.Effect<void> => Effect.sync(() => reportOperatorAction(runtimeOf(pool), note))

/**
 * Checks every idle connection now, a few at a time, and says what came of it; those that fail are closed and replaced as
 * needed. The last idle connection is left to callers: it is among the `skipped`, as are those that are lent before their
 * turn, and all of them if the connector has no `check` or the pool is paused.
 *
 * Fails with `PoolClosed` after the pool's end.
 *
 * **Example** (The last idle connection is left to callers)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const checked = Connector.make({ name: "any", connect: Effect.sync(() => ({})), check: () => Effect.void })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(checked, { minConnections: 1 })
 *   return yield* ConnectionPool.checkIdle(pool) // => { checked: 0, failed: 0, skipped: 1 }
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const checkIdle = <A>(pool: ConnectionPool<A>): Effect.Effect<CheckSummary, PoolClosed> => {
  const runtime = runtimeOf(pool)
  return whileOpen(
    runtime,
    Effect.map(runtime.sweep, ({ checked, failed, skipped }) => ({ checked, failed, skipped }))
  )
}

/**
 * How many idle connections were `checked`, how many of these `failed`, and how many were passed over (`skipped`).
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckSummary {
  readonly checked: number
  readonly failed: number
  readonly skipped: number
}

/**
 * Closes the pool before its scope does: waiters fail with `PoolClosed`, what nobody has closes side by side, borrowers may
 * finish for `deadline` (default: `drainTimeout`), and then their connections are closed under them. Completes when every
 * connection is closed; goes on if it is interrupted meanwhile. Of several calls the earliest deadline counts.
 *
 * Never fails: acquires that come later do, with `PoolClosed`.
 *
 * **Example** (Closed before its scope)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   yield* ConnectionPool.drain(pool, "5 seconds")
 *   return (yield* ConnectionPool.status(pool)).state // => "closed"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category controlling
 * @since 0.1.0
 */
export const drain: {
  (deadline?: Duration.Input): <A>(pool: ConnectionPool<A>) => Effect.Effect<void>
  <A>(pool: ConnectionPool<A>, deadline?: Duration.Input): Effect.Effect<void>
} = dual(
  (args) => isConnectionPool(args[0]),
  <A>(pool: ConnectionPool<A>, deadline?: Duration.Input): Effect.Effect<void> => {
    const runtime = runtimeOf(pool)
    return runtime.drain(deadline === undefined ? pool.config.drainTimeout : Duration.fromInputUnsafe(deadline))
  }
)
