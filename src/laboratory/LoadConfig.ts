/** The configuration of a pool in the load laboratory: what the scenario says, what its user changes, and the policy. */
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import { isObject } from "effect/Predicate"
import { type ConfigProblem, PoolConfigError } from "../PoolError.ts"
import * as PoolConfig from "../PoolConfig.ts"
import * as SizingPolicy from "../SizingPolicy.ts"
import type { LoadScenario } from "./LoadScenario.ts"
import type { PolicyName } from "./PolicyName.ts"

/** A pool's configuration as it is written down, in JSON or in a scenario. */
export type WrittenConfig = Readonly<Record<string, unknown>>

/** Fails with everything that is wrong in any of it. `overrides` come before the scenario, and the policy before both. */
export const configOf = (
  scenario: Pick<LoadScenario, "pool">,
  policy: PolicyName,
  overrides: WrittenConfig
): Effect.Effect<PoolConfig.PoolConfig, PoolConfigError> => {
  const written = merged(scenario.pool, fromJson(overrides))
  return PoolConfig.make(merged(written, ofPolicy(policy)), takenFields(written))
}

/** What is wrong in a configuration that is written down, before there is a policy. */
export const problemsIn = (written: WrittenConfig): Effect.Effect<ReadonlyArray<ConfigProblem>> => {
  const { sizing: _, ...rest } = written
  return PoolConfig.make(rest, takenFields(written)).pipe(
    Effect.match({ onSuccess: () => [], onFailure: ({ problems }) => problems })
  )
}

/** The only place that knows what a policy's name means to a pool. */
const ofPolicy = ({ connections, kneeIsCeiling, policy, sheds }: PolicyName): WrittenConfig => ({
  sizing: kneeIsCeiling ? SizingPolicy.predictive({ kneeIsCeiling }) : policy,
  ...(connections === undefined ? {} : { minConnections: connections, maxConnections: connections }),
  // Where a policy sheds, what is written down may still say otherwise.
  ...(sheds ? {} : { shedding: { enabled: false } })
})

/** What the policy's name decides would be lost if it were written down as well. */
const takenFields = (written: WrittenConfig): ReadonlyArray<ConfigProblem> =>
  written["sizing"] === undefined
    ? []
    : [
        {
          field: "sizing",
          value: format(written["sizing"]),
          expected: "to be left out: the policy is chosen for a run"
        }
      ]

/** JSON has no number for what has no limit: `"maxUses": "Infinity"`. */
export const fromJson = (written: WrittenConfig): WrittenConfig =>
  Object.fromEntries(
    Object.entries(written).map(([field, value]) => [
      field,
      value === "Infinity" && field !== "name" ? Infinity : value
    ])
  )

/** A record within a record is changed field by field. */
const merged = (base: WrittenConfig, changes: WrittenConfig): WrittenConfig => {
  const all: Record<string, unknown> = { ...base }
  for (const [field, value] of Object.entries(changes)) {
    const before = all[field]
    all[field] = isPlain(before) && isPlain(value) ? { ...before, ...value } : value
  }
  return all
}

const isPlain = (value: unknown): value is object =>
  isObject(value) && Object.getPrototypeOf(value) === Object.prototype
