/** The options of `effect-pool lab`, checked. */
import type * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import { parseJson } from "../laboratory/JsonText.ts"
import * as Laboratory from "../laboratory/Laboratory.ts"
import type { LoadScenario } from "../laboratory/LoadScenario.ts"
import { parsePolicies } from "../laboratory/PolicyName.ts"

const texts = ["scenario", "file", "policy", "seeds", "from", "config", "json", "svg"] as const
type Text = (typeof texts)[number]

/** As they are typed. */
export type Given = { readonly [Name in Text]: Option.Option<string> } & {
  readonly markdown: boolean
  readonly timeline: boolean
}

export type Flags = { readonly [Name in keyof Given]: Flag.Flag<Given[Name]> }

export interface Options {
  readonly scenarios: ReadonlyArray<LoadScenario>
  readonly policies: string
  readonly seeds: number
  readonly from: number
  readonly config: Readonly<Record<string, unknown>>
  readonly json: string | undefined
  readonly svg: string | undefined
  readonly isMarkdown: boolean
  readonly hasTimeline: boolean
}

const messageOf = ({ message }: { readonly message: string }): string => message

const readFile = Effect.fnUntraced(function* (path: string) {
  const fileSystem = yield* FileSystem.FileSystem
  return yield* Effect.mapError(fileSystem.readFileString(path), ({ message }) => `cannot read ${path}: ${message}`)
})

const wholeNumber = (
  name: "seeds" | "from",
  written: Option.Option<string>,
  byDefault: number,
  least: number,
  most: number
) => {
  if (Option.isNone(written)) return Effect.succeed(byDefault)
  const number = /^\d+$/.test(written.value) ? Number(written.value) : NaN
  return number >= least && number <= most
    ? Effect.succeed(number)
    : Effect.fail(`--${name}: got ${written.value}, expected a whole number from ${least} to ${most}`)
}

/** All scenarios there are, and those of the file. */
const readScenarios = Effect.fnUntraced(function* (file: Option.Option<string>) {
  const known = Laboratory.scenarios
  if (Option.isNone(file)) return { known, ofFile: [] }
  const { value: path } = file
  const text = yield* readFile(path)
  const ofFile = yield* Effect.mapError(Laboratory.parseScenarios(text), ({ message }) => `${path}: ${message}`)
  const taken = ofFile.filter(({ name }) => name === "all" || known.some((there) => there.name === name))
  if (taken.length > 0) {
    const names = taken.map(({ name }) => name).join(", ")
    return yield* Effect.fail(`${path}: these names are taken, call the scenarios something else: ${names}`)
  }
  return { known: [...known, ...ofFile], ofFile }
})

const chosen = Effect.fnUntraced(function* ({ file, scenario }: Given) {
  const { known, ofFile } = yield* readScenarios(file)
  const names = known.map(({ name }) => name).join(", ")
  if (Option.isNone(scenario)) {
    return ofFile.length > 0 ? ofFile : yield* Effect.fail(`--scenario is missing: "all", or of ${names}`)
  }
  if (scenario.value === "all") return known
  const wanted = [...new Set(scenario.value.split(",").map((name) => name.trim()))]
  const unknown = wanted.filter((name) => !known.some((one) => one.name === name))
  if (unknown.length > 0) {
    const called = unknown.map((name) => JSON.stringify(name)).join(" or ")
    return yield* Effect.fail(`no scenario is called ${called}; there are ${names}, and "all"`)
  }
  return wanted.map((name) => known.find((one) => one.name === name)!)
})

const readConfig = Effect.fnUntraced(function* (written: Option.Option<string>) {
  if (Option.isNone(written)) return {}
  const text = written.value.startsWith("@") ? yield* readFile(written.value.slice(1)) : written.value
  const json = parseJson(text)
  const problems = Result.isFailure(json) ? [json.failure] : json.success.repeated
  if (problems.length > 0) {
    const lines = problems.map(({ expected, field, value }) => `${field}: got ${value}, expected ${expected}`)
    return yield* Effect.fail(`--config: ${lines.join("; ")}`)
  }
  const value = Result.isSuccess(json) ? json.success.value : undefined
  return isObject(value) && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : yield* Effect.fail(`--config: expected fields of a pool's configuration, as in {"maxConnections":50}`)
})

/** Fails with one message that names all options that are wrong. */
export const optionsOf = Effect.fnUntraced(function* (given: Given) {
  const policies = Option.getOrElse(given.policy, () => "predictive")
  const read = {
    scenarios: chosen(given),
    seeds: wholeNumber("seeds", given.seeds, 10, 1, 100_000),
    from: wholeNumber("from", given.from, 1, 0, 1_000_000_000),
    config: readConfig(given.config),
    policies: Effect.as(Effect.mapError(parsePolicies(policies), messageOf), policies),
    hasTimeline:
      given.timeline && Option.isNone(given.json)
        ? Effect.fail("--timeline goes with --json")
        : Effect.succeed(given.timeline)
  }
  const results = yield* Effect.all(
    Object.values(read).map((one) => Effect.result<unknown, string, FileSystem.FileSystem>(one))
  )
  const faults = results.filter(Result.isFailure).map(({ failure }) => failure)
  if (faults.length > 0) return yield* Effect.fail(faults.join("\n"))
  const options: Options = {
    ...(yield* Effect.all(read)),
    json: Option.getOrUndefined(given.json),
    svg: Option.getOrUndefined(given.svg),
    isMarkdown: given.markdown
  }
  return options
})
