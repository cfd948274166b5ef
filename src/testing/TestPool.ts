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
import type * as PoolConfig from "../PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../PoolError.ts"
import type * as PoolLayer from "../PoolLayer.ts"
import { ensureNoLeaks, type LeakedLeases } from "./LeaseHistory.ts"
import type { TestConnector } from "./TestConnector.ts"

/**
 * The control of the connections that {@link layer} was given, and the pool they are in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Control extends Omit<TestConnector<unknown>, "connector"> {
  /** Fails if a lease is running now. */
  readonly ensureNoLeaks: Effect.Effect<void, LeakedLeases>
}

/**
 * @category services
 * @since 0.1.0
 */
export class TestPool extends Context.Service<TestPool, Control>()("effect-pool/testing/TestPool") {}

/**
 * Provides a pool's service on fake connections, and {@link TestPool} to control them. When the layer's scope closes while a
 * lease is running, it dies with `LeakedLeases`, which names each borrower; that waits for no `drainTimeout`.
 *
 * **Example** (Swap the layer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 * import { PoolLayer } from "effect-pool"
 * import { TestConnector, TestPool } from "effect-pool/testing"
 *
 * class Sessions extends PoolLayer.Service<Sessions, { readonly user: string }>()("app/Sessions") {}
 *
 * const program = Sessions.use(({ user }) => Effect.succeed(user)).pipe(
 *   Effect.provide(TestPool.layer(Sessions, TestConnector.make({ user: "Ada" }))),
 *   Effect.provide(TestClock.layer()) // => "Ada"
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, Id extends string, A, E, R>(
  service: PoolLayer.ServiceClass<Self, Id, A>,
  test: TestConnector<A, E, R>,
  config: PoolConfig.Input = {}
): Layer.Layer<Self | TestPool, PoolConfigError | ConnectError, Exclude<R, Scope.Scope>> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(test.connector, config)
      // Registered after the pool's own end, and so run before it: the drain would wait for the borrowers that leaked.
      yield* Effect.addFinalizer(() =>
        Effect.catch(ensureNoLeaks(pool), (leaked) => Effect.andThen(ConnectionPool.drain(pool, 0), Effect.die(leaked)))
      )
      return Context.add(service.context(pool), TestPool, { ...test, ensureNoLeaks: ensureNoLeaks(pool) })
    })
  )
