/**
 * A pool as a service: declare it once, provide its layer to the program, acquire in business code, swap the layer in
 * specs.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ConnectionPool from "./ConnectionPool.ts"
import type { Connector } from "./Connector.ts"
import type * as PoolConfig from "./PoolConfig.ts"
import type { AcquireError, ConnectError, PoolClosed, PoolConfigError, PoolNotReady } from "./PoolError.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import type { PoolStatus } from "./PoolStatus.ts"

/**
 * The class that {@link Service} makes: the key of the service, its layers, and the operations of the pool that is in
 * the context.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, in out A> extends Context.Key<
  Self,
  ConnectionPool.ConnectionPool<A>
> {
  new (_: never): Context.ServiceClass.Shape<Id, ConnectionPool.ConnectionPool<A>>
  readonly key: Id
  of(this: void, pool: ConnectionPool.ConnectionPool<A>): ConnectionPool.ConnectionPool<A>
  context(pool: ConnectionPool.ConnectionPool<A>): Context.Context<Self>

  /** The layer that makes the pool and closes it with its scope. One pool, however often the layer is provided. */
  readonly layer: <E, R>(
    connector: Connector<A, E, R>,
    config?: PoolConfig.Input | PoolConfig.PoolConfig
  ) => Layer.Layer<Self, PoolConfigError | ConnectError, Exclude<R, Scope.Scope>>

  /** Like `layer`, with connector and configuration read from Effect's `Config`, such as the environment. */
  readonly layerConfig: <E, R>(
    connector: Connector<A, E, R> | Config.Config<Connector<A, E, R>>,
    config: Config.Config<PoolConfig.PoolConfig>
  ) => Layer.Layer<Self, Config.ConfigError | PoolConfigError | ConnectError, Exclude<R, Scope.Scope>>

  /** See `ConnectionPool.acquire`. */
  readonly acquire: Effect.Effect<A, AcquireError, Self | Scope.Scope>
  /** See `ConnectionPool.reserve`. */
  readonly reserve: Effect.Effect<A, AcquireError, Self | Scope.Scope>
  /** See `ConnectionPool.lease`. */
  readonly lease: Effect.Effect<ConnectionPool.Lease<A>, AcquireError, Self | Scope.Scope>
  /** See `ConnectionPool.use`. */
  readonly use: <B, E, R>(f: (connection: A) => Effect.Effect<B, E, R>) => Effect.Effect<B, E | AcquireError, R | Self>
  /** See `ConnectionPool.invalidate`. */
  readonly invalidate: (connection: A) => Effect.Effect<void, never, Self>
  /** See `ConnectionPool.status`. */
  readonly status: Effect.Effect<PoolStatus, never, Self>
  /** See `ConnectionPool.events`. */
  readonly events: Stream.Stream<PoolEvent, never, Self>
  /** See `ConnectionPool.recentEvents`. */
  readonly recentEvents: Effect.Effect<ReadonlyArray<PoolEvent>, never, Self>
  /** See `ConnectionPool.awaitReady`. */
  readonly awaitReady: Effect.Effect<void, PoolClosed, Self>
  /** See `ConnectionPool.awaitReady`. */
  readonly awaitReadyWithin: (timeout: Duration.Input) => Effect.Effect<void, PoolClosed | PoolNotReady, Self>
  /** See `ConnectionPool.resize`. */
  readonly resize: (limits: ConnectionPool.Limits) => Effect.Effect<void, PoolConfigError | PoolClosed, Self>
  /** See `ConnectionPool.pause`. */
  readonly pause: (options?: ConnectionPool.PauseOptions) => Effect.Effect<void, PoolClosed, Self>
  /** See `ConnectionPool.resume`. */
  readonly resume: Effect.Effect<void, PoolClosed, Self>
  /** See `ConnectionPool.recycle`. */
  readonly recycle: (options?: ConnectionPool.RecycleOptions) => Effect.Effect<void, PoolClosed, Self>
  /** See `ConnectionPool.checkIdle`. */
  readonly checkIdle: Effect.Effect<ConnectionPool.CheckSummary, PoolClosed, Self>
  /** See `ConnectionPool.drain`. */
  readonly drain: (deadline?: Duration.Input) => Effect.Effect<void, never, Self>
}

/**
 * Declares a pool as a service.
 *
 * **Example** (Declare, provide, acquire)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector, PoolLayer } from "effect-pool"
 *
 * interface Session {
 *   readonly greet: (name: string) => string
 * }
 *
 * class Sessions extends PoolLayer.Service<Sessions, Session>()("app/Sessions") {}
 *
 * const SessionsLive = Sessions.layer(
 *   Connector.make({
 *     name: "sessions",
 *     connect: Effect.succeed<Session>({ greet: (name) => `Hello ${name}` })
 *   })
 * )
 *
 * const program = Sessions.use((session) => Effect.succeed(session.greet("Ada"))).pipe(
 *   Effect.provide(SessionsLive) // => "Hello Ada"
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self, A>() =>
  <const Id extends string>(id: Id): ServiceClass<Self, Id, A> => {
    const tag = Context.Service<Self, ConnectionPool.ConnectionPool<A>>()(id)
    type Members = Omit<ServiceClass<Self, Id, A>, keyof typeof tag> & Pick<ServiceClass<Self, Id, A>, "use">
    const members: Members = {
      layer: (connector, config) => Layer.effect(tag, ConnectionPool.make(connector, config)),
      layerConfig: (connector, config) =>
        Layer.effect(
          tag,
          Effect.gen(function* () {
            const settings = yield* config
            return yield* ConnectionPool.make(Config.isConfig(connector) ? yield* connector : connector, settings)
          })
        ),
      acquire: Effect.flatMap(tag, ConnectionPool.acquire),
      reserve: Effect.flatMap(tag, ConnectionPool.reserve),
      lease: Effect.flatMap(tag, ConnectionPool.lease),
      use: (f) => Effect.flatMap(tag, (pool) => ConnectionPool.use(pool, f)),
      invalidate: (connection) => Effect.flatMap(tag, (pool) => ConnectionPool.invalidate(pool, connection)),
      status: Effect.flatMap(tag, ConnectionPool.status),
      events: Stream.unwrap(Effect.map(tag, ConnectionPool.events)),
      recentEvents: Effect.flatMap(tag, ConnectionPool.recentEvents),
      awaitReady: Effect.flatMap(tag, (pool) => ConnectionPool.awaitReady(pool)),
      awaitReadyWithin: (timeout) => Effect.flatMap(tag, (pool) => ConnectionPool.awaitReady(pool, { timeout })),
      resize: (limits) => Effect.flatMap(tag, ConnectionPool.resize(limits)),
      pause: (options) => Effect.flatMap(tag, (pool) => ConnectionPool.pause(pool, options)),
      resume: Effect.flatMap(tag, ConnectionPool.resume),
      recycle: (options) => Effect.flatMap(tag, (pool) => ConnectionPool.recycle(pool, options)),
      checkIdle: Effect.flatMap(tag, ConnectionPool.checkIdle),
      drain: (deadline) => Effect.flatMap(tag, (pool) => ConnectionPool.drain(pool, deadline))
    }
    return Object.assign(tag, members) as unknown as ServiceClass<Self, Id, A>
  }
