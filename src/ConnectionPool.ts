/**
 * The pool: opens connections ahead of need, lends each for the length of a `Scope`, and looks after them.
 *
 * @since 0.1.0
 */
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import { Random } from "effect/Random"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { Connector } from "./Connector.ts"
import { audit as auditEngine } from "./engine/Audit.ts"
import * as PoolConfig from "./PoolConfig.ts"
import { type AcquireError, type ConnectError, PoolClosed, type PoolConfigError } from "./PoolError.ts"
import { PoolStatus } from "./PoolStatus.ts"
import { bind } from "./runtime/BoundConnector.ts"
import { borrowInScope, borrowWhile } from "./runtime/Lending.ts"
import { PoolRuntime } from "./runtime/PoolRuntime.ts"
import { lastFailureOf, snapshotOf } from "./runtime/Refusals.ts"

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
  readonly acquire: Effect.Effect<A, AcquireError, Scope.Scope>
}

const runtimeOf = <A>(pool: ConnectionPool<A>): PoolRuntime<A> => (pool as PoolImpl<A>).runtime

/**
 * Whether a value is a pool.
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
  const context = Context.omit(Tracer.ParentSpan)(surroundings).pipe(
    Context.add(References.CurrentLogAnnotations, {
      ...Context.get(surroundings, References.CurrentLogAnnotations),
      pool: name
    })
  ) as Context.Context<R | Scope.Scope>
  const random = yield* Random
  const runtime = new PoolRuntime<A>({
    name,
    connector: bind(connector, context),
    config,
    context: context as Context.Context<never>,
    clock: yield* Clock,
    random: () => random.nextDoubleUnsafe()
  })
  yield* runtime.start
  if (config.startup === "failFast" && config.minConnections > 0) yield* Deferred.await(runtime.firstConnect)
  else if (config.startup === "await") yield* runtime.ready.await
  const pool: PoolImpl<A> = {
    [TypeId]: { _A: (_) => _ },
    name,
    config,
    runtime,
    acquire: borrowInScope(runtime, (connection) => connection.resource.exit),
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  return pool
})

/**
 * Borrows a connection until the surrounding scope closes.
 *
 * Takes the most recently used idle connection, or waits in line, in all no longer than `acquireTimeout`. The connection
 * is returned however the scope ends; after an interruption or a defect it is checked or discarded before anyone else
 * gets it.
 *
 * Fails with `AcquireTimeout`, `ServiceUnavailable` (503), `PoolOverloaded` or `PoolClosed`.
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
 * Borrows a connection while an effect runs. Needs no scope, and is the fastest way to borrow.
 *
 * Fails like {@link acquire}, and with whatever the effect fails with.
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
  ): Effect.Effect<B, E | AcquireError, R> => borrowWhile(runtimeOf(pool), f)
)

/**
 * Like {@link acquire}, but gives the lease as a value: the connection with its number, age and uses, and `discard` for
 * a borrower who knows that nobody should have it again.
 *
 * @category borrowing
 * @since 0.1.0
 */
export const lease = <A>(pool: ConnectionPool<A>): Effect.Effect<Lease<A>, AcquireError, Scope.Scope> => {
  const runtime = runtimeOf(pool)
  return borrowInScope(runtime, (connection) => {
    const { id, lease, leasedAt, openedAt, resource, uses } = connection
    return Effect.succeed({
      connection: resource.value,
      id,
      age: leasedAt - (openedAt ?? leasedAt),
      uses,
      discard: Effect.sync(() => runtime.engine.discard(connection, lease))
    })
  })
}

/**
 * Says that a connection must not be lent again: it is closed now if it is idle, else when its borrower returns it, and
 * replaced when it is needed. A value that is not a connection of this pool changes nothing.
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
    for (const candidate of runtime.engine.connections) {
      if (candidate.openedAt === undefined || candidate.resource.value !== connection) continue
      return runtime.transition(() => runtime.engine.invalidate(candidate, runtime.now()))
    }
  })
)

/**
 * What the pool looks like now. Never acquires, so it answers when the pool is stuck; O(1).
 *
 * @category observing
 * @since 0.1.0
 */
export const status = <A>(pool: ConnectionPool<A>): Effect.Effect<PoolStatus> =>
  Effect.sync(() => {
    const runtime = runtimeOf(pool)
    const { counters, options, state } = runtime.engine
    const lastFailure = lastFailureOf(runtime)
    return new PoolStatus({
      name: runtime.name,
      state,
      ...snapshotOf(runtime.engine),
      minConnections: options.minConnections,
      maxConnections: options.maxConnections,
      ...counters,
      ...(lastFailure === undefined ? {} : { lastFailure })
    })
  })

/**
 * What contradicts the pool's promises, one sentence each; empty when all is well. It looks at the whole state, which
 * costs O(connections + waiters), for tests and for whoever suspects a fault in the pool.
 *
 * @category observing
 * @since 0.1.0
 */
export const audit = <A>(pool: ConnectionPool<A>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.sync(() => {
    const runtime = runtimeOf(pool)
    return auditEngine(runtime.engine, runtime.now())
  })

/**
 * Waits until the pool is ready: at once if it is, as long as it takes if it is starting or unavailable. Bound it with
 * `Effect.timeout` where that may be too long. Fails with `PoolClosed` when the pool closes instead.
 *
 * @category observing
 * @since 0.1.0
 */
export const awaitReady = <A>(pool: ConnectionPool<A>): Effect.Effect<void, PoolClosed> =>
  Effect.suspend(() => {
    const { engine, name, ready } = runtimeOf(pool)
    return Effect.andThen(
      ready.await,
      Effect.suspend(() =>
        engine.state === "draining" || engine.state === "closed"
          ? Effect.fail(new PoolClosed({ pool: name }))
          : Effect.void
      )
    )
  })
