/**
 * Who goes first when connections are scarce.
 *
 * Those who wait for an answer (`"interactive"`, unless said otherwise) are served before those who work through a batch. A batch
 * is not starved: while one waits, every tenth connection that becomes free is for a batch. Within each class whoever came first
 * is served first. When connections are idle, nobody waits and the class does not matter.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/**
 * The class in which a fiber waits: `"interactive"` before `"batch"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Priority = "interactive" | "batch"

/**
 * The class in which a fiber, and every fiber it starts, waits for a connection.
 *
 * @category references
 * @since 0.1.0
 */
export const Priority = Context.Reference<Priority>("effect-pool/Priority", {
  defaultValue: (): Priority => "interactive"
})

/**
 * Lets others go first in everything that an effect acquires.
 *
 * **Example** (A report that runs beside a service)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, Priority } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(Connector.make({ name: "any", connect: Effect.succeed("connection") }))
 *   return yield* ConnectionPool.use(pool, () => Priority.Priority).pipe(Priority.batch) // => "batch"
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category classes
 * @since 0.1.0
 */
export const batch = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Priority, "batch")

/**
 * Goes first in everything that an effect acquires: for the part of a batch that somebody waits for.
 *
 * The other way round than {@link batch}.
 *
 * @category classes
 * @since 0.1.0
 */
export const interactive = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Priority, "interactive")
