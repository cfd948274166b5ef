/** The largest number that was seen of something, looked at again and again. */
import { Effect, type Scope } from "effect"

/** Looks until its scope closes; gives what asks for the most so far. */
export const mostSeen = <E, R>(count: Effect.Effect<number, E, R>): Effect.Effect<() => number, E, R | Scope.Scope> =>
  Effect.gen(function* () {
    let most = 0
    const look = Effect.map(count, (seen) => {
      most = Math.max(most, seen)
    })
    // At once for the first time: on a busy machine it may be over before the fiber has its turn.
    yield* look
    yield* Effect.forkScoped(Effect.forever(look))
    return () => most
  })
