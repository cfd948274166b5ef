/**
 * How a pool opens, checks and resets its connections. A connector is the only thing a driver has to bring.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { ConfigProblem, FailureKind } from "./PoolError.ts"

const TypeId = "~effect-pool/Connector"

/**
 * A function that a pool calls only with what came from the same connector. That makes a connector of a subtype a
 * connector of its supertype, which only a method's parameters may express.
 */
type Asks<in out X, out B> = { ask(subject: X): B }["ask"]

/**
 * How a pool opens, checks and resets connections of type `A`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connector<A, E = never, R = never> extends Connector.Options<A, E, R> {
  readonly [TypeId]: typeof TypeId
}

/**
 * What belongs to the type {@link Connector}.
 *
 * @category models
 * @since 0.1.0
 */
export declare namespace Connector {
  /**
   * What a connector is made of. Only `name` and `connect` are needed; each of the others buys a promise.
   *
   * @category models
   * @since 0.1.0
   */
  export interface Options<A, E = never, R = never> {
    /** Names the pool in errors, logs and status, unless the pool's configuration does. */
    readonly name: string
    /**
     * Opens one connection; its finalizer, registered in the `Scope`, closes it. May hang, fail, die or be slow to
     * interrupt: `connectTimeout` bounds it, and a connection that arrives late is closed.
     */
    readonly connect: Effect.Effect<A, E, R | Scope.Scope>
    /**
     * A cheap round trip that succeeds while the connection is alive. Without it the pool relies on `closed`, and
     * discards a connection whose lease was interrupted (unless it can `reset` it).
     */
    readonly check?: Asks<A, Effect.Effect<unknown, unknown, R>> | undefined
    /** Makes a connection as new before its next borrower. Runs after the borrower has gone on. */
    readonly reset?: Asks<A, Effect.Effect<unknown, unknown, R>> | undefined
    /**
     * What a lease left behind, as far as can be told without a round trip: nothing (`"clean"`), something for `reset`
     * (`"dirty"`), or a connection that is dead already (`"broken"`). Default: `"dirty"` if there is a `reset`.
     */
    readonly inspect?: Asks<A, "clean" | "dirty" | "broken"> | undefined
    /** Completes, or fails, when the connection dies by itself. */
    readonly closed?: Asks<A, Effect.Effect<unknown, unknown, R>> | undefined
    /** What kind of failure an error of `connect` is. Default: `"transient"`. */
    readonly classify?: Asks<E, FailureKind> | undefined
    /** Whether a connection is of no use after its borrower met this error. Default: never. */
    readonly fatal?: ((error: unknown) => boolean) | undefined
    /**
     * What the connector counts of a connection, for status and console. Asked whenever somebody looks: it must be cheap and
     * must not throw. What is not a finite number is left out.
     */
    readonly statistics?: Asks<A, Readonly<Record<string, number>>> | undefined
    /** What is wrong with the connector's own configuration; the pool refuses to start and names it all at once. */
    readonly problems?: ReadonlyArray<ConfigProblem> | undefined
  }
}

/**
 * How long a query may take, for connectors that run queries: in the context of `connect`, the pool's `queryTimeout`. Outside
 * a pool, 30 seconds. `Duration.infinity` switches it off.
 *
 * @category references
 * @since 0.1.0
 */
export const QueryTimeout: Context.Reference<Duration.Duration> = Context.Reference(
  "effect-pool/Connector/QueryTimeout",
  { defaultValue: () => Duration.seconds(30) }
)

/**
 * Whether a value is a connector, made by {@link make}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isConnector = (u: unknown): u is Connector<unknown, unknown, unknown> => hasProperty(u, TypeId)

/**
 * Makes a connector.
 *
 * **Example** (Pooling any scoped resource)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector } from "effect-pool"
 *
 * const workers = Connector.make({
 *   name: "workers",
 *   connect: Effect.acquireRelease(
 *     Effect.sync(() => ({ run: (n: number) => n * 2 })),
 *     () => Effect.log("worker stopped")
 *   )
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E = never, R = never>(
  options: Connector.Options<A, E, R>
): Connector<A, E, Exclude<R, Scope.Scope>> => {
  type Made = Connector.Options<A, E, Exclude<R, Scope.Scope>>
  // Called on the options and not copied out of them: they may be an instance with methods.
  const { check, classify, closed, connect, fatal, inspect, name, problems, reset, statistics } = options as Made
  return {
    [TypeId]: TypeId,
    name,
    connect,
    check: check && ((connection) => check.call(options, connection)),
    reset: reset && ((connection) => reset.call(options, connection)),
    inspect: inspect && ((connection) => inspect.call(options, connection)),
    closed: closed && ((connection) => closed.call(options, connection)),
    classify: classify && ((error) => classify.call(options, error)),
    fatal: fatal && ((error) => fatal.call(options, error)),
    statistics: statistics && ((connection) => statistics.call(options, connection)),
    problems
  }
}
