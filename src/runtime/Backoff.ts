import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type { FailureKind } from "../PoolError.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import { endedEarly } from "./Failures.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

type Step = (
  now: number,
  input: FailureKind
) => Pull.Pull<[Duration.Duration, Duration.Duration], never, Duration.Duration>

/** The pool's one walk along the retry schedule: a step for each failed probe, back to its start after a recovery. */
export class Backoff<A> {
  private readonly runtime: PoolRuntime<A>
  private step: Step | undefined = undefined
  private sleeper: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(runtime: PoolRuntime<A>) {
    this.runtime = runtime
  }

  start(kind: FailureKind, startsOver: boolean): void {
    if (startsOver) this.step = undefined
    // Of an outage that has ended, if it still sleeps.
    this.sleeper?.interruptUnsafe()
    this.sleeper = this.runtime.fork(this.wait(kind))
  }

  private readonly wait = Effect.fnUntraced(function* <A>(this: Backoff<A>, kind: FailureKind) {
    const { config, engine } = this.runtime
    // In the startup mode "failFast" the pool is closing by now, and there will be no next attempt to announce.
    yield* Effect.yieldNow
    const { outage } = engine.ledger
    if (outage === undefined) return
    this.step ??= yield* Schedule.toStep(RetryPolicy.forConnects(config.retry))
    const now = this.runtime.now()
    // The schedule has no end; if it ever had one, its longest delay would go on.
    const delay = yield* this.step(now, kind).pipe(
      Effect.map(([, delay]) => delay),
      Effect.catchCause(() => Effect.succeed(config.retry.max))
    )
    engine.backoffStarted(now + Duration.toMillis(delay), now)
    this.runtime.log(
      kind === "permanent" ? "Error" : "Warn",
      `cannot connect (${kind}), attempt ${outage.failures}: ${this.runtime.failures.last?.message ?? endedEarly}; ` +
        `next attempt in ${Duration.format(Duration.millis(Math.round(Duration.toMillis(delay))))}`
    )
    yield* Effect.sleep(delay)
    this.runtime.transition(() => engine.backoffEnded(this.runtime.now()))
  })
}
