/**
 * A workload: the same operations done by each contender.
 */
import * as Effect from "effect/Effect"

/** Who does the operations: this pool, Effect's `Pool`, and nobody's pool, which is what both pay for being effects. */
export const contenders = ["ours", "theirs", "floor"] as const
export type Contender = (typeof contenders)[number]

export interface Workload {
  readonly name: string
  /** How many operations one run does. */
  readonly operations: number
  readonly runs: Readonly<Record<Contender, Effect.Effect<void>>>
}

/** One operation after the other in one fiber, so that the cost of starting fibers vanishes. */
export const inSequence = (times: number, operation: () => Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
  Effect.suspend(() => {
    let left = times
    return Effect.orDie(Effect.whileLoop({ while: () => left-- > 0, body: operation, step: () => {} }))
  })

/** Many fibers at the same time, each of which does some operations. */
export const sideBySide = (
  fibers: number,
  times: number,
  operation: () => Effect.Effect<unknown, unknown>
): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: fibers }), () => inSequence(times, operation), {
    concurrency: "unbounded",
    discard: true
  })
