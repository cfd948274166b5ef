import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { Connector } from "../Connector.ts"
import type { FailureKind } from "../PoolError.ts"

/**
 * A connector with the services of the place where the pool was made. Its functions are a stranger's code: one that
 * throws when it is called is a defect of the effect it was to return, and what a check takes is given back at its end.
 */
export interface BoundConnector<A> {
  readonly connect: (scope: Scope.Scope) => Effect.Effect<A, unknown>
  readonly check: ((connection: A) => Effect.Effect<unknown, unknown>) | undefined
  readonly reset: ((connection: A) => Effect.Effect<unknown, unknown>) | undefined
  readonly closed: ((connection: A) => Effect.Effect<unknown, unknown>) | undefined
  readonly inspect: (connection: A) => "clean" | "dirty" | "broken"
  readonly classify: ((error: unknown) => FailureKind) | undefined
  readonly fatal: ((error: unknown) => boolean) | undefined
  readonly statistics: ((connection: A) => Readonly<Record<string, number>> | undefined) | undefined
}

/** A stranger's question to a connection or an error. One that throws has no answer; `otherwise` is the careful one. */
const guarded = <X, B>(question: ((subject: X) => B) | undefined, otherwise: B): ((subject: X) => B) | undefined =>
  question &&
  ((subject) => {
    // Not an Effect nor a `Result`: this is asked at the end of every lease.
    try {
      return question(subject)
    } catch {
      return otherwise
    }
  })

const inspector = <A, E, R>({ inspect, reset }: Connector<A, E, R>): BoundConnector<A>["inspect"] => {
  const asked = guarded(inspect, "dirty")
  if (asked === undefined) return reset === undefined ? () => "clean" : () => "dirty"
  return (connection) => {
    const answer = asked(connection)
    return answer === "clean" || answer === "broken" ? answer : "dirty"
  }
}

/** What a stranger counts. The status of a pool must not break on it, so only numbers are taken from it. */
const counting = <A, E, R>({ statistics }: Connector<A, E, R>): BoundConnector<A>["statistics"] =>
  statistics &&
  ((connection) =>
    Result.getOrUndefined(
      Result.try(() => {
        const counted: unknown = statistics(connection)
        const isCount = (entry: readonly [string, unknown]): entry is [string, number] => Number.isFinite(entry[1])
        return isObject(counted) ? Object.fromEntries(Object.entries(counted).filter(isCount)) : undefined
      })
    ))

export const bind = <A, E, R>(connector: Connector<A, E, R>, context: Context.Context<R>): BoundConnector<A> => {
  const bound = (
    f: ((connection: A) => Effect.Effect<unknown, unknown, R>) | undefined
  ): ((connection: A) => Effect.Effect<unknown, unknown>) | undefined =>
    f && ((connection) => Effect.provideContext(Effect.scoped(Effect.suspend(() => f(connection))), context))
  return {
    connect: (scope) => Effect.provideContext(connector.connect, Context.add(context, Scope.Scope, scope)),
    check: bound(connector.check),
    reset: bound(connector.reset),
    closed: bound(connector.closed),
    inspect: inspector(connector),
    classify: connector.classify as ((error: unknown) => FailureKind) | undefined,
    fatal: guarded(connector.fatal, true),
    statistics: counting(connector)
  }
}
