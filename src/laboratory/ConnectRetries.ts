/** The pool's walk along its retry schedule, as the runtime makes it, step by step and without a fiber. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { FailureKind } from "../engine/PoolState.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import type { Dice } from "../testing/Dice.ts"

type Step = (
  now: number,
  input: FailureKind
) => Pull.Pull<[Duration.Duration, Duration.Duration], never, Duration.Duration>

export class ConnectRetries {
  private readonly config: PoolConfig
  private readonly random: typeof Random.Random.Service
  private step: Step | undefined = undefined

  constructor(config: PoolConfig, dice: Dice) {
    this.config = config
    this.random = {
      nextDoubleUnsafe: () => dice.next(),
      nextIntUnsafe: () => dice.below(Number.MAX_SAFE_INTEGER)
    }
  }

  startOver(): void {
    this.step = undefined
  }

  /** How long until the next attempt, in milliseconds. */
  delayAfter(kind: FailureKind, now: number): number {
    const { retry } = this.config
    const step = (this.step ??= Effect.runSync(Schedule.toStep(RetryPolicy.forConnects(retry))))
    const delay = step(now, kind).pipe(
      Effect.map(([, delay]) => delay),
      // The schedule has no end; if it ever had one, its longest delay would go on.
      Effect.catchCause(() => Effect.succeed(retry.max)),
      Effect.provideService(Random.Random, this.random)
    )
    return Duration.toMillis(Effect.runSync(delay))
  }
}
