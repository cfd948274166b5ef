/**
 * What a pool adds to traces: by default an event on the current span when somebody has waited for long, and no spans of its own.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"

/**
 * What a pool adds to traces.
 *
 * - `slowWait`: from which wait on the borrower's current span gets an event `pool.waited`, with the wait and the place in line.
 *   Default: 100 ms. `Infinity` switches it off.
 * - `spans`: every acquire is a span `pool.acquire` of its own, of some microseconds each. Default: no.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly slowWait: Duration.Duration
  readonly spans: boolean
}

/**
 * What the pools that are made here add to traces.
 *
 * @category references
 * @since 0.1.0
 */
export const PoolTracing: Context.Reference<Options> = Context.Reference("effect-pool/PoolTracing", {
  defaultValue: (): Options => ({ slowWait: Duration.millis(100), spans: false })
})

/**
 * Sets what the pools of the layers it is provided to add to traces.
 *
 * **Example** (A span for each acquire)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, PoolTracing } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const connector = Connector.make({ name: "orders", connect: Effect.succeed("connection") })
 *   const pool = yield* ConnectionPool.make(connector)
 *   return yield* ConnectionPool.use(pool, (connection) => Effect.succeed(connection)) // => "connection"
 * }).pipe(Effect.scoped, Effect.provide(PoolTracing.layer({ spans: true })))
 * ```
 *
 * `slowWait` and `spans` as in {@link Options}; what is left out has its default.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly slowWait?: Duration.Input | undefined
  readonly spans?: boolean | undefined
}): Layer.Layer<never> =>
  Layer.succeed(PoolTracing, {
    slowWait: Duration.fromInputUnsafe(options.slowWait ?? "100 millis"),
    spans: options.spans ?? false
  })
