/**
 * A pool as a service: declare it once, provide its layer to the program, acquire in business code, swap the layer in
 * specs.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ConnectionPool from "./ConnectionPool.ts"
import * as Connectors from "./Connector.ts"
import type { Advice } from "./PoolAdvisor.ts"
import * as PoolConfig from "./PoolConfig.ts"
import {
  type AcquireError,
  type ConnectError,
  LeakedLeases,
  type PoolClosed,
  PoolConfigError,
  type PoolNotReady
} from "./PoolError.ts"
import type { PoolEvent } from "./PoolEvent.ts"
import * as PoolReport from "./PoolReport.ts"
import type { ConnectionStatus, HealthStatus, PoolStatus } from "./PoolStatus.ts"

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
  /** The name that the service was declared with. */
  readonly key: Id
  /** A pool as a value of the service, for `Effect.provideService`. */
  of(this: void, pool: ConnectionPool.ConnectionPool<A>): ConnectionPool.ConnectionPool<A>
  /** A context that has nothing but this pool. */
  context(pool: ConnectionPool.ConnectionPool<A>): Context.Context<Self>

  /** The layer that makes the pool and closes it with its scope. One pool, however often the layer is provided. */
  readonly layer: <E, R>(
    connector: Connectors.Connector<A, E, R>,
    config?: PoolConfig.Input | PoolConfig.PoolConfig
  ) => Layer.Layer<Self, PoolConfigError | ConnectError, Exclude<R, Scope.Scope>>

  /**
   * Like `layer`, with connector and configuration read from Effect's `Config`, such as the environment. A prefix stands for
   * `PoolConfig.config(prefix)`, and for a connector such as `Postgres.config` it is the prefix of both. Fails with one error that
   * names every variable that is missing or wrong, of both; secrets are not shown.
   */
  readonly layerConfig: <E, R, Source extends Config.Config<PoolConfig.PoolConfig> | string>(
    connector:
      | Connectors.Connector<A, E, R>
      | Config.Config<Connectors.Connector<A, E, R>>
      | (Source extends string ? (prefix: string) => Config.Config<Connectors.Connector<A, E, R>> : never),
    config: Source
  ) => Layer.Layer<Self, Config.ConfigError | PoolConfigError | ConnectError, Exclude<R, Scope.Scope>>

  /**
   * The pool over a fake, for specs: a connection that everyone is lent, an effect that opens one, or a connector such as
   * `effect-pool/testing` makes. The real pool, which opens when it is asked, and closes at once with the layer: dies with
   * `LeakedLeases`, which names every borrower, if a lease is still running then.
   */
  readonly layerTest: <E = never, R = never>(
    fake: A | Effect.Effect<A, E, R> | Connectors.Connector<A, E, R>,
    config?: PoolConfig.Input | PoolConfig.PoolConfig
  ) => Layer.Layer<Self, PoolConfigError | ConnectError, Exclude<R, Scope.Scope>>

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
  /** See `ConnectionPool.health`. */
  readonly health: Effect.Effect<HealthStatus, never, Self>
  /** See `ConnectionPool.advise`. */
  readonly advise: (known?: ConnectionPool.KnownToOperators) => Effect.Effect<Option.Option<Advice>, never, Self>
  /** See `ConnectionPool.connections`. */
  readonly connections: Effect.Effect<ReadonlyArray<ConnectionStatus>, never, Self>
  /** See `PoolReport.of`. */
  readonly report: Effect.Effect<PoolReport.PoolReport, never, Self>
  /** See `ConnectionPool.events`. */
  readonly events: Stream.Stream<PoolEvent, never, Self>
  /** See `ConnectionPool.recentEvents`. */
  readonly recentEvents: Effect.Effect<ReadonlyArray<PoolEvent>, never, Self>
  /** See `ConnectionPool.awaitReady`. */
  readonly awaitReady: Effect.Effect<void, PoolClosed, Self>
  /** Like `awaitReady`, for no longer than `timeout`: then it fails with `PoolNotReady`, which has every reason so far. */
  readonly awaitReadyWithin: (timeout: Duration.Input) => Effect.Effect<void, PoolClosed | PoolNotReady, Self>
  /** See `ConnectionPool.resize`. */
  readonly resize: (limits: ConnectionPool.Limits) => Effect.Effect<void, PoolConfigError | PoolClosed, Self>
  /** See `ConnectionPool.pause`. */
  readonly pause: (options?: ConnectionPool.PauseOptions) => Effect.Effect<void, PoolClosed, Self>
  /** See `ConnectionPool.resume`. */
  readonly resume: Effect.Effect<void, PoolClosed, Self>
  /** See `ConnectionPool.evict`. */
  readonly evict: (
    connection: number,
    options?: ConnectionPool.RecycleOptions
  ) => Effect.Effect<boolean, PoolClosed, Self>
  /** See `ConnectionPool.captureStacks`. */
  readonly captureStacks: (duration: Duration.Input) => Effect.Effect<void, PoolClosed, Self>
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
 * **Example** (Swap the layer in a spec)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolLayer } from "effect-pool"
 *
 * interface Session {
 *   readonly greet: (name: string) => string
 * }
 *
 * class Sessions extends PoolLayer.Service<Sessions, Session>()("app/Sessions") {}
 *
 * const greeting = Sessions.use((session) => Effect.succeed(session.greet("Ada")))
 *
 * const program = greeting.pipe(
 *   Effect.provide(Sessions.layerTest({ greet: () => "Good day" })) // => "Good day"
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
          Effect.flatMap(readBoth(connector, config), ([connector, settings]) =>
            ConnectionPool.make(connector, settings)
          )
        ),
      layerTest: (fake, config) =>
        Layer.effect(
          tag,
          Effect.tap(
            ConnectionPool.make(connectorOf(id, fake), configOfTests(config)),
            // Registered after the pool's own end, so that it looks before the pool takes the leases back.
            (pool) => Effect.addFinalizer(() => failOnLeaks(pool))
          )
        ),
      acquire: Effect.flatMap(tag, ConnectionPool.acquire),
      reserve: Effect.flatMap(tag, ConnectionPool.reserve),
      lease: Effect.flatMap(tag, ConnectionPool.lease),
      use: (f) => Effect.flatMap(tag, (pool) => ConnectionPool.use(pool, f)),
      invalidate: (connection) => Effect.flatMap(tag, (pool) => ConnectionPool.invalidate(pool, connection)),
      status: Effect.flatMap(tag, ConnectionPool.status),
      health: Effect.flatMap(tag, ConnectionPool.health),
      advise: (known) => Effect.flatMap(tag, (pool) => ConnectionPool.advise(pool, known)),
      connections: Effect.flatMap(tag, ConnectionPool.connections),
      events: Stream.unwrap(Effect.map(tag, ConnectionPool.events)),
      recentEvents: Effect.flatMap(tag, ConnectionPool.recentEvents),
      awaitReady: Effect.flatMap(tag, (pool) => ConnectionPool.awaitReady(pool)),
      awaitReadyWithin: (timeout) => Effect.flatMap(tag, (pool) => ConnectionPool.awaitReady(pool, { timeout })),
      resize: (limits) => Effect.flatMap(tag, ConnectionPool.resize(limits)),
      pause: (options) => Effect.flatMap(tag, (pool) => ConnectionPool.pause(pool, options)),
      resume: Effect.flatMap(tag, ConnectionPool.resume),
      report: Effect.flatMap(tag, (pool) => PoolReport.of(pool)),
      evict: (connection, options) => Effect.flatMap(tag, (pool) => ConnectionPool.evict(pool, connection, options)),
      captureStacks: (duration) => Effect.flatMap(tag, (pool) => ConnectionPool.captureStacks(pool, duration)),
      recycle: (options) => Effect.flatMap(tag, (pool) => ConnectionPool.recycle(pool, options)),
      checkIdle: Effect.flatMap(tag, ConnectionPool.checkIdle),
      drain: (deadline) => Effect.flatMap(tag, (pool) => ConnectionPool.drain(pool, deadline))
    }
    return Object.assign(tag, members) as unknown as ServiceClass<Self, Id, A>
  }

type ConfigOrPrefix = Config.Config<PoolConfig.PoolConfig> | string

/** Reads both, whether or not the first is right: whoever sets variables wants to hear of all at once. */
const readBoth = <A, E, R>(
  connector:
    | Connectors.Connector<A, E, R>
    | Config.Config<Connectors.Connector<A, E, R>>
    | ((prefix: string) => Config.Config<Connectors.Connector<A, E, R>>),
  source: ConfigOrPrefix
): Effect.Effect<readonly [Connectors.Connector<A, E, R>, PoolConfig.PoolConfig], Config.ConfigError> => {
  const settings = typeof source === "string" ? PoolConfig.config(source) : source
  const asked = typeof connector === "function" ? connector(String(source)) : connector
  return Effect.gen(function* () {
    const one = yield* Effect.result(Config.isConfig(asked) ? asked : Effect.succeed(asked))
    const other = yield* Effect.result(settings)
    const isOfVariables = typeof source === "string" && typeof connector === "function"
    const found = isOfVariables && one._tag === "Success" ? foundBy(one.success, source) : []
    if (one._tag === "Success" && other._tag === "Success" && found.length === 0)
      return [one.success, other.success] as const
    const errors = [...found, ...[one, other].flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))]
    return yield* Effect.fail(errors.length === 1 ? errors[0]! : bothWrong(errors))
  })
}

/** What a connector finds wrong with what it was given, by the variables that it was read from. */
const foundBy = <A, E, R>(
  { problems = [] }: Connectors.Connector<A, E, R>,
  prefix: string
): ReadonlyArray<Config.ConfigError> => {
  if (problems.length === 0) return []
  const named = problems.map((problem) => ({ ...problem, field: PoolConfig.variableOf(prefix, problem.field) }))
  return [PoolConfig.configErrorOf(new PoolConfigError({ problems: named }))]
}

const bothWrong = (errors: ReadonlyArray<Config.ConfigError>): Config.ConfigError =>
  new Config.ConfigError(
    new ConfigProvider.SourceError({ message: errors.map(({ message }) => message).join("\n"), cause: errors })
  )

/** Nothing happens ahead of need, and nobody waits for the clock at the end: a spec's clock stands still. */
const configOfTests = (config: PoolConfig.Input | PoolConfig.PoolConfig | undefined) =>
  config instanceof PoolConfig.PoolConfig ? config : { minConnections: 0, drainTimeout: 0, ...config }

const connectorOf = <A, E, R>(
  name: string,
  fake: A | Effect.Effect<A, E, R> | Connectors.Connector<A, E, R>
): Connectors.Connector<A, E, R> => {
  if (Connectors.isConnector(fake)) return fake as Connectors.Connector<A, E, R>
  const connect = Effect.isEffect(fake) ? (fake as Effect.Effect<A, E, R>) : Effect.succeed(fake)
  return Connectors.make<A, E, R>({ name, connect }) as Connectors.Connector<A, E, R>
}

const failOnLeaks = <A>(pool: ConnectionPool.ConnectionPool<A>): Effect.Effect<void> =>
  Effect.flatMap(ConnectionPool.connections(pool), (connections) => {
    const leases = connections.flatMap(({ holders }) => holders)
    return leases.length === 0 ? Effect.void : Effect.die(new LeakedLeases({ pool: pool.name, leases }))
  })
