/**
 * When a pool tries to connect again after a failure, as `Schedule`s.
 *
 * There is one schedule per pool, not one per caller: whoever waits, a server that is down sees one attempt per step.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { FailureKind } from "./PoolError.ts"

/**
 * The numbers of an exponential backoff.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exponential {
  /** The first delay. Default: 1 second. */
  readonly initial: Duration.Input
  /** No delay is longer. Default: 60 seconds. */
  readonly max: Duration.Input
  /** Each delay is this many times the one before. Default: 2. */
  readonly factor: number
  /** Each delay is shortened by up to this share, so that many pools do not knock together. Default: 0.2. */
  readonly jitter: number
}

/**
 * The defaults: 1 s, 2 s, 4 s ... 60 s, each up to 20 % shorter.
 *
 * @category presets
 * @since 0.1.0
 */
export const defaults = { initial: Duration.seconds(1), max: Duration.seconds(60), factor: 2, jitter: 0.2 } as const

/**
 * Exponential backoff without end: delay `n` is `min(max, initial * factor^n)`, shortened by jitter.
 *
 * Jitter only shortens, so that `max` is what it says. Its purpose is that pools which lost the same server do not come
 * back in step (Marc Brooker, "Exponential Backoff and Jitter", 2015).
 *
 * **Example** (A quick retry with a low ceiling)
 *
 * ```ts
 * import { RetryPolicy } from "effect-pool"
 *
 * const policy = RetryPolicy.exponential({ initial: "100 millis", max: "5 seconds" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const exponential = (options: Partial<Exponential> = {}): Schedule.Schedule<Duration.Duration> => {
  const { factor = defaults.factor, initial = defaults.initial, jitter = defaults.jitter, max = defaults.max } = options
  return Schedule.min([Schedule.exponential(initial, factor), Schedule.spaced(max)]).pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.map(Random.next, (random) => Duration.times(duration, 1 - jitter * random))
    )
  )
}

/**
 * What a pool follows: `exponential`, except that a permanent failure (a wrong password, an unknown database) waits
 * `max` at once. It is still tried again, since secrets get rotated; it is not worth a quick retry.
 *
 * **Example** (A low ceiling, for a server nearby)
 *
 * ```ts
 * import { RetryPolicy } from "effect-pool"
 *
 * const policy = RetryPolicy.forConnects({ max: "5 seconds" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const forConnects = (options: Partial<Exponential> = {}): Schedule.Schedule<Duration.Duration, FailureKind> => {
  const { max = defaults.max } = options
  return exponential(options).pipe(
    Schedule.setInputType<FailureKind>(),
    Schedule.modifyDelay(({ duration, input }) => Effect.succeed(input === "permanent" ? max : duration))
  )
}

/**
 * What a pool does while it starts: never gives up. A server that is started after its clients is an ordinary morning.
 *
 * @category presets
 * @since 0.1.0
 */
export const startup: Schedule.Schedule<Duration.Duration> = exponential()

/**
 * Gives up after 30 seconds: for work of your own that should fail when a pool would call itself unavailable.
 *
 * @category presets
 * @since 0.1.0
 */
export const operational: Schedule.Schedule<Duration.Duration> = exponential().pipe(
  Schedule.upTo({ duration: "30 seconds" })
)
