import * as Effect from "effect/Effect"
import * as PoolConfig from "../PoolConfig.ts"
import type { PoolConfigError } from "../PoolError.ts"
import { Dice, hash } from "./Dice.ts"
import * as SizingPolicy from "../SizingPolicy.ts"
import type { Scenario } from "./Scenario.ts"
import type { Setting } from "./World.ts"

const withKnee = SizingPolicy.predictive({ kneeIsCeiling: true })

/** A small pool with short times, every knob of it drawn: what is rare with ten connections is daily bread with two. */
const drawConfig = (dice: Dice): PoolConfig.Input => {
  const maxConnections = dice.between(1, 5)
  return {
    maxConnections,
    minConnections: dice.between(0, Math.min(3, maxConnections)),
    acquireTimeout: dice.pick([50, 300, 2000]),
    connectTimeout: dice.pick([50, 200, 1000]),
    checkTimeout: dice.pick([20, 100, 500]),
    resetTimeout: dice.pick([20, 100, 500]),
    closeTimeout: dice.pick([20, 100, 500]),
    idleTimeout: dice.pick([500, 3000, Infinity]),
    maxLifetime: dice.pick([1000, 10_000, Infinity]),
    maxUses: dice.pick([1, 3, 20, Infinity]),
    healthCheckInterval: dice.pick([500, 3000, Infinity]),
    checkAfterIdle: dice.pick([0, 50, 500, Infinity]),
    maxConnecting: dice.between(1, 3),
    warmup: { batchSize: dice.between(1, 3), delay: dice.pick([0, 10, 100]) },
    maxWaiting: dice.pick([0, 3, 10, Infinity, Infinity]),
    unavailableAfter: dice.pick([0, 300, 3000, Infinity]),
    drainTimeout: dice.pick([0, 50, 500]),
    concurrency: dice.pick([1, 1, 1, 2, 4]),
    nested: dice.pick(["allow", "warn", "warn", "error"]),
    retry: {
      initial: dice.pick([10, 100]),
      max: dice.pick([200, 1000]),
      factor: dice.pick([1, 2]),
      jitter: dice.pick([0, 0.2, 0.5])
    },
    sizing: dice.pick(["predictive", "predictive", "predictive", "threshold", "fixed", withKnee]),
    shedding: { enabled: dice.chance(0.7), target: dice.pick([1, 20, 100]), interval: dice.pick([10, 100, 500]) },
    startup: dice.pick(["await", "background", "background", "failFast"])
  }
}

/** Everything that a run has before its first operation. The user's own configuration goes before what is drawn. */
export const drawSetting = (
  scenario: Scenario,
  seed: number,
  config: PoolConfig.Input | PoolConfig.PoolConfig | undefined
): Effect.Effect<Setting, PoolConfigError> => {
  const dice = new Dice(hash(seed, 0xc0ffee))
  const drawn = { ...drawConfig(dice), ...scenario.config?.(dice) }
  const traits = {
    checks: dice.chance(0.7),
    resets: dice.chance(0.6),
    inspects: dice.chance(0.7),
    watches: dice.chance(0.7),
    classifies: dice.chance(0.8),
    ...scenario.traits
  }
  const budget = dice.between(3, 64)
  const disorder = dice.pick([0, 0.05, 0.3])
  return Effect.map(PoolConfig.make(config ?? drawn), (config) => ({
    config,
    traits,
    faults: scenario.faults ?? {},
    budget,
    disorder
  }))
}
