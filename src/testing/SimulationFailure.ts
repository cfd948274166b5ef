import * as Schema from "effect/Schema"
import { type PromiseNumber, promises } from "./Promises.ts"

/**
 * A promise was broken in a simulated run. The message says which, shows the shortest script that breaks it with its
 * trace, and names the command that repeats the whole run.
 *
 * - `scenario`, `seed`: which run it was; `hasOwnConfig`: whether it had a configuration that was not drawn from the seed. `promise`: the number of the promise. `what`: how it is broken.
 * - `script`: the operations of the run that are needed to break it. `trace`: what happens when they are performed.
 *
 * @category errors
 * @since 0.1.0
 */
export class SimulationFailure extends Schema.TaggedError<SimulationFailure>("effect-pool/SimulationFailure")(
  "SimulationFailure",
  {
    scenario: Schema.String,
    seed: Schema.Int,
    /** Its configuration was given, and not drawn from the seed. */
    hasOwnConfig: Schema.Boolean,
    /** The number of the promise. */
    promise: Schema.Int,
    what: Schema.String,
    /** The operations of the run that are needed to break it. */
    script: Schema.Array(Schema.String),
    /** What happens when they are performed. */
    trace: Schema.Array(Schema.String)
  }
) {
  /** Repeats the run: as a call, and where its configuration was drawn also as a command in a clone of the repository. */
  get command(): string {
    const { hasOwnConfig, scenario, seed } = this
    return hasOwnConfig
      ? `Simulation.run({ scenario: "${scenario}", seed: ${seed}, config }) with the same configuration`
      : `Simulation.run({ scenario: "${scenario}", seed: ${seed} }), or npm run simulate -- --scenario ${scenario} --seed ${seed}`
  }

  override get message(): string {
    const { command, promise, scenario, script, seed, trace, what } = this
    return [
      `scenario ${scenario}, seed ${seed}: promise ${promise} is broken (${promises[promise as PromiseNumber]}): ${what}`,
      `The operations that are needed for it:`,
      ...script.map((line) => `  ${line}`),
      `What happens:`,
      ...trace.map((line) => `  ${line}`),
      `To repeat it: ${command}`
    ].join("\n")
  }
}
