/** Waiting for what happens by itself, on the real clock: no longer than it takes, and never for ever. */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { inspect } from "node:util"

/** What was waited for did not come about. Shows the last value that was seen. */
export class NeverHeld extends Data.TaggedError("NeverHeld")<{ readonly last: unknown }> {
  override get message(): string {
    return `the condition never held; the last value was ${inspect(this.last, { depth: 4, breakLength: 120 })}`
  }
}

/** Observes every 10 ms until the condition holds, and gives the value for which it did. */
export const eventually = <A, E, R>(
  observe: Effect.Effect<A, E, R>,
  holds: (value: A) => boolean,
  patience: Duration.Input = "5 seconds"
): Effect.Effect<A, E | NeverHeld, R> =>
  Effect.retry(
    Effect.filterOrFail(observe, holds, (last) => new NeverHeld({ last })),
    {
      schedule: Schedule.upTo(Schedule.spaced("10 millis"), { duration: patience }),
      while: (error) => error instanceof NeverHeld
    }
  )
