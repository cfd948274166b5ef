/**
 * Seeded misfortune around any connector: the same seed and the same program have the same bad day.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Connector from "../Connector.ts"
import * as PoolConfig from "../PoolConfig.ts"
import type { ConnectError, PoolConfigError } from "../PoolError.ts"
import type * as PoolLayer from "../PoolLayer.ts"
import { Dice, hash } from "./Dice.ts"
import * as LeaseHistory from "./LeaseHistory.ts"

/**
 * A connect that chaos refused: transient.
 *
 * - `seed`: the seed of the chaos.
 *
 * @category errors
 * @since 0.1.0
 */
export class ChaosRefusal extends Schema.TaggedError<ChaosRefusal>("effect-pool/ChaosRefusal")("ChaosRefusal", {
  seed: Schema.Int
}) {
  override get message(): string {
    return `refused by chaos (seed ${this.seed})`
  }
}

/**
 * What takes longer than it should: with a probability of `chance`, by a random time up to `upTo`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Latency {
  readonly chance: number
  readonly upTo: Duration.Input
}

/**
 * How bad the day is. Rates are probabilities from 0 to 1; nothing happens by default.
 *
 * What happens to a connection depends on the seed and on its number only, so that it stays the same where others come and go in
 * another order.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** A whole number. */
  readonly seed: number
  /** The probability, from 0 to 1, that a connection ends as it comes back from a lease. Default: 0. */
  readonly kill?: number | undefined
  /**
   * Every connection ends by itself at a random time, at most so long after it opened. One that is lent then is not lent again, and
   * its borrower notices nothing; the others end while they are idle.
   */
  readonly diesWithin?: Duration.Input | undefined
  /** The probability, from 0 to 1, that a connect fails with `ChaosRefusal`. Default: 0. */
  readonly refuse?: number | undefined
  /** What connects take. */
  readonly latency?: Latency | undefined
  /** What checks take, which fail if it is more than `checkTimeout`. */
  readonly checkLatency?: Latency | undefined
  /** What resets take, after which the connection is lost if it is more than `resetTimeout`. */
  readonly resetLatency?: Latency | undefined
}

/** What chaos knows of one connection. Each kind of misfortune has dice of its own: none depends on how often another came. */
interface Fate {
  readonly death: Latch.Latch
  readonly returns: Dice
  readonly checks: Dice
  readonly resets: Dice
  /** From its opening, in milliseconds. */
  readonly diesAfter: number | undefined
}

const delay = (dice: Dice, latency: Latency | undefined): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (latency === undefined || !dice.chance(latency.chance)) return Effect.void
    return Effect.sleep(dice.between(0, Duration.toMillis(Duration.fromInputUnsafe(latency.upTo))))
  })

/**
 * A connector whose connects, checks, resets and connections meet with what `options` says; connects also fail with
 * `ChaosRefusal`. Its connections must be distinct values, such as objects.
 *
 * **Example** (The same misfortune for the same seed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Chaos, TestConnector } from "effect-pool/testing"
 *
 * const attempts = (seed: number) => {
 *   const { connect } = Chaos.connector(TestConnector.make({}).connector, { seed, refuse: 0.5 })
 *   return Effect.replicateEffect(Effect.isSuccess(connect), 20)
 * }
 *
 * const program = Effect.gen(function* () {
 *   return (yield* attempts(7)).join() === (yield* attempts(7)).join() // => true
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = <A, E, R>(
  inner: Connector.Connector<A, E, R>,
  { checkLatency, diesWithin, kill = 0, latency, refuse = 0, resetLatency, seed }: Options
): Connector.Connector<A, E | ChaosRefusal, R> => {
  let attempts = 0
  const fates = new Map<A, Fate>()
  const longest = diesWithin === undefined ? undefined : Duration.toMillis(Duration.fromInputUnsafe(diesWithin))

  const connect = Effect.gen(function* () {
    const attempt = ++attempts
    const diceFor = (kind: number): Dice => new Dice(hash(seed, attempt, kind))
    const opening = diceFor(0)
    yield* delay(opening, latency)
    if (opening.chance(refuse)) return yield* new ChaosRefusal({ seed })
    const value = yield* inner.connect
    fates.set(value, {
      death: Latch.makeUnsafe(false),
      returns: diceFor(1),
      checks: diceFor(2),
      resets: diceFor(3),
      diesAfter: longest === undefined ? undefined : diceFor(4).between(0, longest)
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => fates.delete(value)))
    return value
  })

  const closed = (value: A): Effect.Effect<unknown, unknown, R> => {
    const fate = fates.get(value)
    if (fate === undefined) return inner.closed?.(value) ?? Effect.never
    const killed = fate.death.await
    const death = fate.diesAfter === undefined ? killed : Effect.raceFirst(killed, Effect.sleep(fate.diesAfter))
    return inner.closed === undefined ? death : Effect.raceFirst(death, inner.closed(value))
  }

  const delayed = (
    work: ((value: A) => Effect.Effect<unknown, unknown, R>) | undefined,
    latency: Latency | undefined,
    kind: "checks" | "resets"
  ): typeof work =>
    work &&
    ((value) => {
      const fate = fates.get(value)
      return fate === undefined ? work(value) : Effect.andThen(delay(fate[kind], latency), work(value))
    })

  return Connector.make({
    ...inner,
    connect,
    check: delayed(inner.check, checkLatency, "checks"),
    reset: delayed(inner.reset, resetLatency, "resets"),
    classify: (error: E | ChaosRefusal) =>
      error instanceof ChaosRefusal ? "transient" : (inner.classify?.(error) ?? "transient"),
    inspect: (value: A) => {
      const fate = fates.get(value)
      if (fate?.returns.chance(kill) === true) fate.death.openUnsafe()
      return inner.inspect?.(value) ?? (inner.reset === undefined ? "clean" : "dirty")
    },
    closed
  }) as Connector.Connector<A, E | ChaosRefusal, R>
}

/**
 * Provides a pool's service on a connector with chaos around it. The layer is ready at once and does not wait for its borrowers at
 * the end, unless `config` says so; like `layerTest`, it dies with `LeakedLeases` if a lease is running then. All else is as in
 * production. The pool's own chances, such as the jitter of its
 * retries, are drawn from the seed as well. Every building of the layer begins the day again, and keeps a complete record for
 * `LeaseHistory`.
 *
 * **Example** (A program that gets through)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { TestClock } from "effect/testing"
 * import { PoolLayer } from "effect-pool"
 * import { Chaos, TestConnector } from "effect-pool/testing"
 *
 * class Sessions extends PoolLayer.Service<Sessions, { readonly user: string }>()("app/Sessions") {}
 *
 * const server = TestConnector.make({ user: "Ada" })
 * const use = Sessions.use(() => Effect.sleep("10 millis"))
 *
 * const program = Effect.gen(function* () {
 *   const fiber = yield* Effect.forkChild(Effect.replicateEffect(use, 20))
 *   yield* TestClock.adjust("1 minute")
 *   return (yield* Fiber.join(fiber)).length // => 20
 * }).pipe(
 *   Effect.provide(Chaos.layer(Sessions, server.connector, { seed: 7, kill: 0.05, refuse: 0.1 })),
 *   Effect.provide(TestClock.layer())
 * )
 * ```
 *
 * Fails with `PoolConfigError` if the configuration is wrong, and in the startup mode `"failFast"` with `ConnectError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, Id extends string, A, E, R>(
  service: PoolLayer.ServiceClass<Self, Id, A>,
  inner: Connector.Connector<NoInfer<A>, E, R>,
  options: Options,
  config: PoolConfig.Input | PoolConfig.PoolConfig = {}
): Layer.Layer<Self, PoolConfigError | ConnectError, Exclude<R, Scope.Scope>> => {
  const settings =
    config instanceof PoolConfig.PoolConfig
      ? Effect.succeed(config)
      : PoolConfig.make({ startup: "background", drainTimeout: 0, ...config })
  return Layer.unwrap(
    // Made anew for every building, which begins the day again. Checked before, and so taken as it is: `layerTest` has other defaults.
    Effect.map(settings, (checked) =>
      Layer.provide(
        service.layerTest<E | ChaosRefusal, R>(connector(inner as Connector.Connector<A, E, R>, options), checked),
        // The pool's own chances, such as the jitter of its retries, decide what meets whom.
        Layer.succeed(Random.Random, randomOf(new Dice(hash(options.seed, 0))))
      )
    )
  ).pipe(Layer.tap((context) => LeaseHistory.record(Context.get(context, service))))
}

const randomOf = (dice: Dice): typeof Random.Random.Service => ({
  nextDoubleUnsafe: () => dice.next(),
  nextIntUnsafe: () => dice.between(Number.MIN_SAFE_INTEGER / 2, Number.MAX_SAFE_INTEGER / 2)
})
