/**
 * A pool's service in a spec: the real pool on fake connections, which fails the spec that leaks a lease.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as ConnectionPool from "../ConnectionPool.ts"
import * as PoolConfig from "../PoolConfig.ts"
import type { ConnectError, LeakedLeases, PoolConfigError } from "../PoolError.ts"
import type * as PoolLayer from "../PoolLayer.ts"
import * as LeaseHistory from "./LeaseHistory.ts"
import * as TestConnector from "./TestConnector.ts"

/**
 * The control of the connections that {@link layer} was given, and what is known of the pool they are in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Control extends Pick<
  TestConnector.TestConnector<unknown>,
  "script" | "kill" | "killAll" | "startOutage" | "endOutage" | "opened" | "closed" | "live"
> {
  /** Fails if a lease is running now. */
  readonly ensureNoLeaks: Effect.Effect<void, LeakedLeases>
  /** Every lease of the spec so far. `missed` says how many facts are not known, which is 0 unless thousands came at one moment. */
  readonly history: Effect.Effect<LeaseHistory.History>
}

/**
 * The control of the connections of the spec that {@link layer} is provided to.
 *
 * @category services
 * @since 0.1.0
 */
export class TestPool extends Context.Service<TestPool, Control>()("effect-pool/testing/TestPool") {}

/**
 * How {@link layer} makes its pool.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The pool's configuration. Here a pool opens nothing ahead of need, and its layer is ready at once, whatever the script says,
   * unless `minConnections` and `startup` are given; a whole `PoolConfig` is taken as it is.
   */
  readonly config?: PoolConfig.Input | PoolConfig.PoolConfig | undefined
  /** What happens to the connections. Changes the script of a `TestConnector`. Default: nothing. */
  readonly script?: TestConnector.Script | undefined
}

/**
 * Provides a pool's service on fake connections, and {@link TestPool} to control them. The fake is a value that all connections
 * share, a function from the number of a connection, an effect that makes one, or a `TestConnector`.
 *
 * When the layer's scope closes while a lease is running, it dies with `LeakedLeases`, which names each borrower. It waits
 * for no time to pass, and for nothing that the script lets hang.
 *
 * **Example** (Swap the layer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 * import { PoolLayer } from "effect-pool"
 * import { TestPool } from "effect-pool/testing"
 *
 * class Sessions extends PoolLayer.Service<Sessions, { readonly user: string }>()("app/Sessions") {}
 *
 * const program = Sessions.use(({ user }) => Effect.succeed(user)).pipe(
 *   Effect.provide(TestPool.layer(Sessions, { user: "Ada" })),
 *   Effect.provide(TestClock.layer()) // => "Ada"
 * )
 * ```
 *
 * Fails with `PoolConfigError` if the configuration is wrong, and in the startup mode `"failFast"` with `ConnectError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, Id extends string, A, E = never, R = never>(
  service: PoolLayer.ServiceClass<Self, Id, A>,
  fake: TestConnector.TestConnector<NoInfer<A>, E, R> | TestConnector.Fake<NoInfer<A>, E, R>,
  { config, script = {} }: Options = {}
): Layer.Layer<Self | TestPool, PoolConfigError | ConnectError, Exclude<R, Scope.Scope>> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const test = TestConnector.isTestConnector(fake)
        ? (fake as TestConnector.TestConnector<A, E, R>)
        : TestConnector.make<A, E, R>(fake, {}, { name: service.key })
      // Also where nothing changes: an outage counts from here.
      yield* test.script(script)
      const pool = yield* ConnectionPool.make(test.connector, configOfTests(config))
      yield* LeaseHistory.record(pool)
      // Registered after the pool's own end, and so run before it: the drain would wait for the borrowers that leaked, and for closes
      // that hang on a clock that stands still.
      yield* Effect.addFinalizer(() =>
        Effect.andThen(
          test.script({ connectHangs: undefined, checkHangs: undefined, closeHangs: undefined }),
          Effect.catch(LeaseHistory.ensureNoLeaks(pool), (leaked) =>
            Effect.andThen(ConnectionPool.drain(pool, 0), Effect.die(leaked))
          )
        )
      )
      const { closed, endOutage, kill, killAll, live, opened, script: change, startOutage } = test
      return Context.add(service.context(pool), TestPool, {
        script: change,
        kill,
        killAll,
        startOutage,
        endOutage,
        opened,
        closed,
        live,
        ensureNoLeaks: LeaseHistory.ensureNoLeaks(pool),
        history: LeaseHistory.history(pool)
      })
    })
  )

/** Nobody waits for the clock of a spec, which stands still: neither at the beginning nor at the end. */
const configOfTests = (
  config: PoolConfig.Input | PoolConfig.PoolConfig | undefined
): PoolConfig.Input | PoolConfig.PoolConfig =>
  config instanceof PoolConfig.PoolConfig
    ? config
    : { minConnections: 0, startup: "background", drainTimeout: 0, ...config }
