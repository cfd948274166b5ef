/**
 * A contest: the same work done by several contenders, who take turns.
 */
import * as Effect from "effect/Effect"

export interface Contender {
  readonly name: string
  /** Does the work once, and says what was measured if that is not the time it took. */
  readonly run: Effect.Effect<number | void>
}

/** What was measured. A rate is better when it is higher, everything else when it is lower. */
export type Unit = "ns per operation" | "µs" | "bytes" | "per second" | "attempts" | "ms"

export interface Contest {
  readonly name: string
  readonly unit: Unit
  /** How many operations one run does: the time it takes is divided by them. */
  readonly operations: number
  /** The first is ours, and the others are measured against it. */
  readonly contenders: ReadonlyArray<Contender>
  /** Runs that are not counted, and runs that are: of each contender. */
  readonly rounds: Rounds
  /** What the figures need to be understood. */
  readonly remark?: string
}

export interface Rounds {
  readonly warmup: number
  readonly measured: number
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

/** The same for code that is made of promises. */
export const promisesInSequence = async (times: number, operation: () => Promise<unknown>): Promise<void> => {
  for (let left = times; left > 0; left--) await operation()
}

export const promisesSideBySide = async (
  runners: number,
  times: number,
  operation: () => Promise<unknown>
): Promise<void> => {
  await Promise.all(Array.from({ length: runners }, () => promisesInSequence(times, operation)))
}
