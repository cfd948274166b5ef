/**
 * How many connections a pool has, between its minimum and its maximum.
 *
 * A policy is a pure function from what was measured (`SizingWindow`) to a decision with its reason in words. The pool asks it
 * when its period is over, and, if it likes, whenever somebody waits to whom no connection is on its way. Its reasons stand in
 * the status and in the events. The same policies run in the load laboratory (`effect-pool/laboratory`).
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { predictiveSizing } from "./engine/PredictiveSizing.ts"
import type * as Engine from "./engine/SizingPolicy.ts"

/**
 * What a policy is told: counts of now, and what was measured. Times are milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export type SizingWindow = Engine.SizingWindow

/**
 * How many connections the pool should have, and why.
 *
 * @category models
 * @since 0.1.0
 */
export type SizingDecision = Engine.SizingDecision

/**
 * What got done up to the time `at` (milliseconds of the pool's monotonic clock), while somebody waited all the time: with so many
 * `connections` in use, so many `leases` ended, which are so many `perSecond`.
 *
 * @category models
 * @since 0.1.0
 */
export type CapacitySample = Engine.CapacitySample

/**
 * Where more connections stop helping, with how far that can be believed.
 *
 * @category models
 * @since 0.1.0
 */
export type Knee = Engine.Knee

const TypeId = "~effect-pool/SizingPolicy"

/**
 * A policy. Make one with `make`, or take one of those that are here.
 *
 * @category models
 * @since 0.1.0
 */
export interface SizingPolicy extends Engine.SizingPolicy {
  readonly [TypeId]: typeof TypeId
}

/**
 * Whether something is a policy, made by {@link make} or one of those that are here.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSizingPolicy = (u: unknown): u is SizingPolicy => typeof u === "object" && u !== null && TypeId in u

/**
 * A policy as a schema: it is what it is, and nothing can be written down for it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const SizingPolicy: Schema.declare<SizingPolicy> = Schema.declare(isSizingPolicy)

/**
 * The policies that can be called by their names in a configuration.
 *
 * @category models
 * @since 0.1.0
 */
export const names = ["predictive", "threshold", "fixed"] as const

/**
 * The name of a policy that a configuration may call so.
 *
 * @category models
 * @since 0.1.0
 */
export type Name = (typeof names)[number]

const tagged = (policy: Engine.SizingPolicy): SizingPolicy => ({ ...policy, [TypeId]: TypeId })

/**
 * Your own policy, which status, events and log call by its `name`.
 *
 * `decide` answers how many connections there should be, from `minConnections` to `maxConnections`, and why. It is asked every
 * `period` (at least a second; default: one), and, with `asksWhenWaiting`, whenever somebody waits to whom no connection is on
 * its way (`window.occasion` says which). It must be quick, and must not keep the window: that is a view of the pool.
 *
 * A policy that throws, answers what is no number of connections, or turns round more than six times in a minute is not
 * followed: the default decides instead, the log names the policy once, and the status counts.
 *
 * **Example** (One connection for every ten requests a second)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig, SizingPolicy } from "effect-pool"
 *
 * const perTen = SizingPolicy.make({
 *   name: "one for ten",
 *   period: "5 seconds",
 *   decide: ({ arrivalRate, limit, minConnections }) => ({
 *     connections: Math.max(minConnections, Math.min(limit, Math.ceil(arrivalRate / 10))),
 *     reason: `${Math.round(arrivalRate)} requests a second`
 *   })
 * })
 *
 * const program = Effect.gen(function* () {
 *   const config = yield* PoolConfig.make({ sizing: perTen })
 *   return SizingPolicy.isSizingPolicy(config.sizing) // => true
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly name: string
  readonly period?: Duration.Input | undefined
  readonly asksWhenWaiting?: boolean | undefined
  readonly decide: (window: SizingWindow) => SizingDecision
}): SizingPolicy => {
  const { asksWhenWaiting = false, decide, name, period = "1 second" } = options
  return tagged({ name, period: Duration.toMillis(Duration.fromInputUnsafe(period)), asksWhenWaiting, decide })
}

/**
 * The default.
 *
 * It opens another connection when that would arrive before the line is empty: when
 * `waiting * holdTime / (serving + connecting) > connectTime`, beyond five only as far as what comes keeps them busy. When the line has
 * been there for half a second the arrivals decide, and when it is still there after longer than a connect takes, one more is
 * opened, unless it is getting shorter. While it stands, the size that gets the most done is a ceiling. It keeps `ceil(1.2 * p95) + 1` connections, where `p95` is what 95 % of
 * the seconds of the last `idleTimeout` needed at most, and closes at most a tenth a second, from the cold end.
 *
 * With `kneeIsCeiling` there are never more connections than where the server gets the most done, once that is known.
 *
 * **Example** (The knee as a ceiling)
 *
 * ```ts
 * import { SizingPolicy } from "effect-pool"
 *
 * const config = { maxConnections: 100, sizing: SizingPolicy.predictive({ kneeIsCeiling: true }) }
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const predictive = (options: { readonly kneeIsCeiling?: boolean | undefined } = {}): SizingPolicy =>
  tagged(predictiveSizing({ kneeIsCeiling: options.kneeIsCeiling ?? false }))

/**
 * Always the same number: `connections`, or as many as `maxConnections` allows.
 *
 * The best policy there is for whoever knows the right number.
 *
 * **Example** (Twenty, whatever happens)
 *
 * ```ts
 * import { SizingPolicy } from "effect-pool"
 *
 * const config = { maxConnections: 50, sizing: SizingPolicy.fixed(20) }
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const fixed = (connections = Infinity): SizingPolicy =>
  make({
    name: "fixed",
    asksWhenWaiting: true,
    decide: ({ limit, minConnections }) => {
      const size = Math.max(minConnections, Math.min(limit, Math.ceil(connections)))
      return { connections: size, reason: `the size is ${size}` }
    }
  })

/**
 * The numbers of `threshold`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Threshold {
  /** How often it decides. Default: 5 seconds. */
  readonly period: Duration.Input
  /** It grows when acquires waited longer than this on average. Default: 100 milliseconds. */
  readonly waitAbove: Duration.Input
  /** By this factor. Default: 1.2. */
  readonly growBy: number
  /** It shrinks when a larger part than this was idle. Default: 0.8. */
  readonly idleAbove: number
  /** By this factor. Default: 0.8. */
  readonly shrinkBy: number
}

/**
 * A rule of thumb: 1.2 times as many when the average wait passes 100 ms, 0.8 times as many when more than 0.8 of them are idle.
 *
 * Here for comparison, and for those who know it. It reads waits of those who were served only, needs ten periods to grow from
 * 10 to 60, and grows hardest when the server is slow; docs/sizing.md shows what comes of it.
 *
 * **Example** (Quicker to grow)
 *
 * ```ts
 * import { SizingPolicy } from "effect-pool"
 *
 * const config = { sizing: SizingPolicy.threshold({ period: "2 seconds", growBy: 1.5 }) }
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const threshold = (options: Partial<Threshold> = {}): SizingPolicy => {
  const { growBy = 1.2, idleAbove = 0.8, period = "5 seconds", shrinkBy = 0.8, waitAbove = "100 millis" } = options
  const longest = Duration.toMillis(Duration.fromInputUnsafe(waitAbove))
  return make({
    name: "threshold",
    period,
    decide: ({ averageWait, idleRatio, kept, limit, minConnections }) => {
      const bounded = (size: number): number => Math.max(minConnections, Math.min(limit, size))
      if (averageWait > longest) {
        const reason = `acquires waited ${Math.round(averageWait)} ms on average, which is more than ${longest} ms`
        return { connections: bounded(Math.ceil(kept * growBy - grain)), reason }
      }
      const idle = `${Math.round(idleRatio * 100)} % were idle`
      if (idleRatio > idleAbove) return { connections: bounded(Math.floor(kept * shrinkBy + grain)), reason: idle }
      return { connections: bounded(kept), reason: `acquires waited ${Math.round(averageWait)} ms on average, ${idle}` }
    }
  })
}

/** 50 * 1.1 is a little more than 55: not a reason for one connection more. */
const grain = 1e-9

const byName: Readonly<Record<Name, SizingPolicy>> = {
  predictive: predictive(),
  threshold: threshold(),
  fixed: fixed()
}

/**
 * The policy of a configuration.
 *
 * @internal
 */
export const policyOf = ({ sizing }: { readonly sizing: Name | SizingPolicy }): SizingPolicy =>
  typeof sizing === "string" ? byName[sizing] : sizing
