/**
 * A scenario that a user has written down as JSON. What may be left out has a default; everything that is wrong is named, with its
 * place, all at once.
 */
import * as Effect from "effect/Effect"
import { isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaParser from "effect/SchemaParser"
import { ConfigProblem } from "../PoolError.ts"
import { parseJson } from "./JsonText.ts"
import { fromJson, problemsIn, type WrittenConfig } from "./LoadConfig.ts"
import type { LoadScenario } from "./LoadScenario.ts"
import { contradictionsIn } from "./ScenarioContradictions.ts"
import { problemsOf } from "./ScenarioIssues.ts"
import { Scenario } from "./ScenarioSchema.ts"

/**
 * A scenario is written down wrong. Names every wrong place, not just the first.
 *
 * - `problems`: one for each wrong place.
 *
 * @category errors
 * @since 0.1.0
 */
export class ScenarioError extends Schema.TaggedError<ScenarioError>("effect-pool/laboratory/ScenarioError")(
  "ScenarioError",
  { problems: Schema.Array(ConfigProblem) }
) {
  override get message(): string {
    const { problems } = this
    const lines = problems.map(({ expected, field, value }) => `  ${field}: got ${value}, expected ${expected}`)
    return `${problems.length} mistake${problems.length === 1 ? "" : "s"} in the scenario:\n${lines.join("\n")}`
  }
}

/** Reads a text: one scenario, or a list of them. */
export const parseScenarios = Effect.fnUntraced(function* (
  text: string
): Effect.fn.Return<ReadonlyArray<LoadScenario>, ScenarioError> {
  const json = parseJson(text)
  return Result.isFailure(json)
    ? yield* new ScenarioError({ problems: [json.failure] })
    : yield* decodeScenarios(json.success.value, json.success.repeated)
})

/** Reads a value: one scenario, or a list of them. `others` are mistakes that were found before. */
export const decodeScenarios = Effect.fnUntraced(function* (
  value: unknown,
  others: ReadonlyArray<ConfigProblem> = []
): Effect.fn.Return<ReadonlyArray<LoadScenario>, ScenarioError> {
  const values: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  const problems = [...others, ...(values.length === 0 ? [noScenario] : []), ...repeatedNames(values)]
  const scenarios: Array<LoadScenario> = []
  for (const [index, one] of values.entries()) {
    const decoded = yield* decodeOne(one, Array.isArray(value) ? [index] : [])
    if (Result.isSuccess(decoded)) scenarios.push(decoded.success)
    else problems.push(...decoded.failure)
  }
  return problems.length === 0 ? scenarios : yield* new ScenarioError({ problems })
})

const noScenario: ConfigProblem = { field: "the list", value: "[]", expected: "at least one scenario" }

const decodeOne = Effect.fnUntraced(function* (
  value: unknown,
  place: ReadonlyArray<PropertyKey>
): Effect.fn.Return<Result.Result<LoadScenario, ReadonlyArray<ConfigProblem>>> {
  const decoded = decodeFields(value)
  const fields = isObject(value) ? (value as Readonly<Record<string, unknown>>) : {}
  const pool = fields["pool"]
  const ofPool = isObject(pool) && !Array.isArray(pool) ? yield* problemsIn(fromJson(pool as WrittenConfig)) : []
  const problems = [
    ...(Result.isFailure(decoded) ? problemsOf(decoded.failure, place) : []),
    ...ofPool.map(({ expected, field, value }) => ({ field: `pool.${field}`, value, expected })).map(at(place)),
    ...contradictionsIn(fields).map(at(place))
  ]
  return Result.isSuccess(decoded) && problems.length === 0
    ? Result.succeed({ ...decoded.success, pool: fromJson(decoded.success.pool) })
    : Result.fail(problems)
})

const decodeFields = SchemaParser.decodeUnknownResult(Scenario, {
  errors: "all",
  onExcessProperty: "error",
  reportInput: true
})

/** The same mistake in one scenario of a list. */
const at =
  ([index]: ReadonlyArray<PropertyKey>) =>
  (problem: ConfigProblem): ConfigProblem =>
    index === undefined ? problem : { ...problem, field: `[${String(index)}].${problem.field}` }

/** Results are kept by the names of their scenarios. */
const repeatedNames = (values: ReadonlyArray<unknown>): ReadonlyArray<ConfigProblem> => {
  const names = values.map((value) => (isObject(value) ? (value as { readonly name?: unknown }).name : undefined))
  return names.flatMap((name, index) => {
    const first = names.indexOf(name)
    if (typeof name !== "string" || first === index) return []
    return [{ field: `[${index}].name`, value: JSON.stringify(name), expected: `another name than that of [${first}]` }]
  })
}
