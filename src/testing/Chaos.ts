/**
 * Seeded misfortune around any connector: the same seed and the same program have the same bad day.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as Connector from "../Connector.ts"
import { Dice } from "./Dice.ts"

/**
 * A connect that chaos refused: transient.
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
 * How bad the day is. Rates are probabilities from 0 to 1, 0 by default: `kill` of a connection to end as it comes back from
 * a lease, `refuse` of a connect to fail, `latency.chance` of a connect to take up to `latency.upTo` longer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly seed: number
  readonly kill?: number | undefined
  readonly refuse?: number | undefined
  readonly latency?: { readonly chance: number; readonly upTo: Duration.Input } | undefined
}

/**
 * Wraps a connector whose connections are distinct values, such as objects.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = <A, E, R>(
  inner: Connector.Connector<A, E, R>,
  { kill = 0, latency, refuse = 0, seed }: Options
): Connector.Connector<A, E | ChaosRefusal, R> => {
  const dice = new Dice(seed)
  const deaths = new Map<A, Latch.Latch>()
  const connect = Effect.gen(function* () {
    if (latency !== undefined && dice.chance(latency.chance)) {
      yield* Effect.sleep(dice.between(0, Duration.toMillis(Duration.fromInputUnsafe(latency.upTo))))
    }
    if (dice.chance(refuse)) return yield* new ChaosRefusal({ seed })
    const value = yield* inner.connect
    deaths.set(value, Latch.makeUnsafe(false))
    yield* Effect.addFinalizer(() => Effect.sync(() => deaths.delete(value)))
    return value
  })
  return Connector.make({
    ...inner,
    connect,
    classify: (error: E | ChaosRefusal) =>
      error instanceof ChaosRefusal ? "transient" : (inner.classify?.(error) ?? "transient"),
    inspect: (value: A) => {
      if (dice.chance(kill)) deaths.get(value)?.openUnsafe()
      return inner.inspect?.(value) ?? (inner.reset === undefined ? "clean" : "dirty")
    },
    closed: (value: A) => {
      const death: Effect.Effect<unknown, unknown, R> = deaths.get(value)?.await ?? Effect.never
      return inner.closed === undefined ? death : Effect.raceFirst(death, inner.closed(value))
    }
  }) as Connector.Connector<A, E | ChaosRefusal, R>
}
