/**
 * Every knob of a pool: its default, its bounds, and what it bounds.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import { isObject } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type ConfigProblem, PoolConfigError } from "./PoolError.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as SizingPolicy from "./SizingPolicy.ts"

/** The longest time a pool lets anyone wait for anything. A limit that nobody lives to see is not a limit. */
const longest = Duration.days(1)

const count = (minimum: number, maximum = 1_000_000) =>
  // @effect-diagnostics-next-line schemaNumber:off - `Infinity` stands for no limit, and the filter refuses the others
  Schema.Number.check(
    Schema.makeFilter((n: number) => (Number.isSafeInteger(n) || n === Infinity) && n >= minimum && n <= maximum)
  ).annotate({ expected: `a whole number from ${minimum} to ${maximum === Infinity ? "Infinity" : maximum}` })

const share = (minimum: number, maximum: number) =>
  Schema.Finite.check(Schema.isBetween({ minimum, maximum })).annotate({
    expected: `a number from ${minimum} to ${maximum}`
  })

const duration = (minimum: Duration.Duration, maximum: Duration.Duration) =>
  Schema.Duration.check(
    Schema.makeFilter(
      (d: Duration.Duration) => Duration.isGreaterThanOrEqualTo(d, minimum) && Duration.isLessThanOrEqualTo(d, maximum)
    )
  ).annotate({ expected: `a duration from ${Duration.format(minimum)} to ${Duration.format(maximum)}` })

const flag = Schema.Boolean.annotate({ expected: "true or false" })

const timeout = duration(Duration.millis(1), longest)
const pause = duration(Duration.zero, longest)
const limit = duration(Duration.millis(1), Duration.infinity)

/**
 * The configuration of a pool, checked and with every default filled in. Where no upper bound
 * is named, `Infinity` switches the limit off.
 *
 * | field | default | may be | what it bounds |
 * |---|---|---|---|
 * | `name` | the connector's | not empty | the pool's name in errors, logs and status |
 * | `minConnections` | 2 | 0 to 1,000,000, at most `maxConnections` | connections kept open, opened ahead of need |
 * | `maxConnections` | 10 | 1 to 1,000,000 | connections in every state, those being closed included |
 * | `acquireTimeout` | 5 s | 1 ms to 1 day | one acquire, in all: queue, connect and check |
 * | `connectTimeout` | 5 s | 1 ms to 1 day | one attempt to connect |
 * | `checkTimeout` | 2 s | 1 ms to 1 day | one check |
 * | `resetTimeout` | 5 s | 1 ms to 1 day | one reset |
 * | `closeTimeout` | 5 s | 1 ms to 1 day | how long a finalizer may hold a place in the pool |
 * | `queryTimeout` | 30 s | 1 ms or more | one query, by connectors that run queries; `Infinity` switches it off |
 * | `idleTimeout` | 300 s | 1 ms or more | how long a connection above the minimum may rest, unless the peaks of that time have needed it |
 * | `maxLifetime` | 30 min | 1 ms or more | the age of a connection, shortened by a random part of up to 25 % |
 * | `maxUses` | 1000 | 1 or more | the leases of one connection |
 * | `healthCheckInterval` | 30 s | 1 ms or more | how long an idle connection goes unchecked; the last idle one is left to callers |
 * | `checkAfterIdle` | 500 ms | 0 or more | how long it may rest and still be lent without a check |
 * | `maxConnecting` | 5 | 1 to 1,000,000 | connections being opened at the same time |
 * | `warmup` | `{ batchSize: 5, delay: 100 ms }` | from 1; 0 to 1 day | the minimum is opened `batchSize` at a time, `delay` apart |
 * | `maxWaiting` | unbounded | 0 or more | the line of waiters |
 * | `unavailableAfter` | 30 s | 0 or more | how long waiters are kept waiting for a server that cannot be reached |
 * | `leakThreshold` | 60 s | 1 ms or more | how long a lease may run before the pool says that it may be lost; `Infinity` switches it off |
 * | `concurrency` | 1 | 1 to 10,000 | the leases that may share one connection, for drivers that pipeline |
 * | `nested` | `"warn"` | one of these | acquires by a fiber that holds a connection already: `"allow"`, `"warn"` (a deadlock ends at once), `"error"` |
 * | `drainTimeout` | 10 s | 0 to 1 day | how long borrowers may finish when the pool closes |
 * | `retry` | `{ initial: 1 s, max: 60 s, factor: 2, jitter: 0.2 }` | 1 ms to 1 day; 1 to 100; 0 to 1 | the time between attempts to connect |
 * | `sizing` | `"predictive"` | a name, or a policy | how many connections there are between the minimum and the maximum; see `SizingPolicy` |
 * | `shedding` | `{ enabled: true, target: 100 ms, interval: 500 ms }` | 1 ms to 1 day | the wait that may stand while more comes than is served: beyond it the pool refuses early |
 * | `startup` | `"await"` | one of these | `"await"`: ready when the first connection is; `"background"`: at once; `"failFast"`: the first failure is final |
 *
 * @category models
 * @since 0.1.0
 */
export class PoolConfig extends Schema.Class<PoolConfig>("effect-pool/PoolConfig")({
  name: Schema.optionalKey(Schema.NonEmptyString.annotate({ expected: "a name that is not empty" })),
  minConnections: count(0),
  maxConnections: count(1),
  acquireTimeout: timeout,
  connectTimeout: timeout,
  checkTimeout: timeout,
  resetTimeout: timeout,
  closeTimeout: timeout,
  queryTimeout: limit,
  idleTimeout: limit,
  maxLifetime: limit,
  maxUses: count(1, Infinity),
  healthCheckInterval: limit,
  checkAfterIdle: duration(Duration.zero, Duration.infinity),
  maxConnecting: count(1),
  warmup: Schema.Struct({ batchSize: count(1), delay: pause }),
  maxWaiting: count(0, Infinity),
  unavailableAfter: duration(Duration.zero, Duration.infinity),
  drainTimeout: pause,
  leakThreshold: limit,
  concurrency: count(1, 10_000),
  nested: Schema.Literals(["allow", "warn", "error"]).annotate({ expected: `"allow", "warn" or "error"` }),
  sizing: Schema.Union([Schema.Literals(SizingPolicy.names), SizingPolicy.SizingPolicy]).annotate({
    expected: `${SizingPolicy.names.map((name) => `"${name}"`).join(", ")} or a SizingPolicy`
  }),
  shedding: Schema.Struct({ enabled: flag, target: timeout, interval: timeout }),
  retry: Schema.Struct({ initial: timeout, max: timeout, factor: share(1, 100), jitter: share(0, 1) }),
  startup: Schema.Literals(["await", "background", "failFast"]).annotate({
    expected: `"await", "background" or "failFast"`
  })
}) {}

/**
 * What users write: any of the fields, with durations in every form Effect takes (`"5 seconds"`, milliseconds,
 * `Duration.seconds(5)`), on top of an environment's preset or the defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface Input {
  /** `"development"` or `"production"`: the preset that the other fields change. Default: the defaults. */
  readonly environment?: string | undefined
  /** The pool's name in errors, logs and status. Default: the connector's. */
  readonly name?: string | undefined
  /** Connections kept open, opened ahead of need. Default: 2. */
  readonly minConnections?: number | undefined
  /** Connections in every state, those being closed included. Default: 10. */
  readonly maxConnections?: number | undefined
  /** One acquire, in all: queue, connect and check. Default: 5 s. */
  readonly acquireTimeout?: Duration.Input | undefined
  /** One attempt to connect. Default: 5 s. */
  readonly connectTimeout?: Duration.Input | undefined
  /** One check. Default: 2 s. */
  readonly checkTimeout?: Duration.Input | undefined
  /** One reset. Default: 5 s. */
  readonly resetTimeout?: Duration.Input | undefined
  /** How long a finalizer may hold a place in the pool. Default: 5 s. */
  readonly closeTimeout?: Duration.Input | undefined
  /** One query, by connectors that run queries; `Infinity` switches it off. Default: 30 s. */
  readonly queryTimeout?: Duration.Input | undefined
  /** How long a connection above the minimum may rest. Default: 300 s. */
  readonly idleTimeout?: Duration.Input | undefined
  /** The age of a connection, shortened by a random part of up to 25 %. Default: 30 min. */
  readonly maxLifetime?: Duration.Input | undefined
  /** The leases of one connection. Default: 1000. */
  readonly maxUses?: number | undefined
  /** How long an idle connection goes unchecked. Default: 30 s. */
  readonly healthCheckInterval?: Duration.Input | undefined
  /** How long a connection may rest and still be lent without a check. Default: 500 ms. */
  readonly checkAfterIdle?: Duration.Input | undefined
  /** Connections being opened at the same time. Default: 5. */
  readonly maxConnecting?: number | undefined
  /** How the minimum is opened: so many at a time, so long apart. Default: `{ batchSize: 5, delay: "100 millis" }`. */
  readonly warmup?: { readonly batchSize?: number | undefined; readonly delay?: Duration.Input | undefined } | undefined
  /** The line of waiters. Default: `Infinity`. */
  readonly maxWaiting?: number | undefined
  /** How long waiters are kept waiting for a server that cannot be reached. Default: 30 s. */
  readonly unavailableAfter?: Duration.Input | undefined
  /** How long borrowers may finish when the pool closes. Default: 10 s. */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long a lease may run before the pool says that it may be lost; `Infinity` switches it off. Default: 60 s. */
  readonly leakThreshold?: Duration.Input | undefined
  /** The leases that may share one connection, for drivers that pipeline. Default: 1. */
  readonly concurrency?: number | undefined
  /** Acquires by a fiber that holds a connection of the pool already. Default: `"warn"`. */
  readonly nested?: "allow" | "warn" | "error" | undefined
  /** How many connections there are between the minimum and the maximum. Default: `"predictive"`. */
  readonly sizing?: SizingPolicy.Name | SizingPolicy.SizingPolicy | undefined
  /** The wait that may stand while more comes than is served. Default: `{ enabled: true, target: "100 millis", interval: "500 millis" }`. */
  readonly shedding?:
    | {
        readonly enabled?: boolean | undefined
        readonly target?: Duration.Input | undefined
        readonly interval?: Duration.Input | undefined
      }
    | undefined
  /** The time between attempts to connect. Default: `{ initial: "1 second", max: "60 seconds", factor: 2, jitter: 0.2 }`. */
  readonly retry?:
    | { readonly [K in keyof RetryPolicy.Exponential]?: RetryPolicy.Exponential[K] | undefined }
    | undefined
  /** When the pool is ready: `"await"`, `"background"` or `"failFast"`. Default: `"await"`. */
  readonly startup?: "await" | "background" | "failFast" | undefined
}

const defaultFields = {
  minConnections: 2,
  maxConnections: 10,
  acquireTimeout: Duration.seconds(5),
  connectTimeout: Duration.seconds(5),
  checkTimeout: Duration.seconds(2),
  resetTimeout: Duration.seconds(5),
  closeTimeout: Duration.seconds(5),
  queryTimeout: Duration.seconds(30),
  idleTimeout: Duration.seconds(300),
  maxLifetime: Duration.minutes(30),
  maxUses: 1000,
  healthCheckInterval: Duration.seconds(30),
  checkAfterIdle: Duration.millis(500),
  maxConnecting: 5,
  warmup: { batchSize: 5, delay: Duration.millis(100) },
  maxWaiting: Infinity,
  unavailableAfter: Duration.seconds(30),
  drainTimeout: Duration.seconds(10),
  leakThreshold: Duration.seconds(60),
  concurrency: 1,
  nested: "warn",
  sizing: "predictive",
  shedding: { enabled: true, target: Duration.millis(100), interval: Duration.millis(500) },
  retry: RetryPolicy.defaults,
  startup: "await"
} as const

/**
 * The defaults.
 *
 * @category presets
 * @since 0.1.0
 */
export const defaults: PoolConfig = new PoolConfig(defaultFields)

/**
 * For a developer's machine: 2 to 10 connections, idle for up to 300 s, at most an hour old.
 *
 * @category presets
 * @since 0.1.0
 */
export const development: PoolConfig = new PoolConfig({
  ...defaultFields,
  minConnections: 2,
  maxConnections: 10,
  idleTimeout: Duration.seconds(300),
  maxLifetime: Duration.seconds(3600)
})

/**
 * For production: 10 to 100 connections, idle for up to 60 s, at most half an hour old.
 *
 * @category presets
 * @since 0.1.0
 */
export const production: PoolConfig = new PoolConfig({
  ...defaultFields,
  minConnections: 10,
  maxConnections: 100,
  idleTimeout: Duration.seconds(60),
  maxLifetime: Duration.seconds(1800)
})

/**
 * Where the value of a field comes from: the defaults, an environment's preset, the program, or environment variables.
 *
 * @category models
 * @since 0.1.0
 */
export type Origin = "default" | "preset" | "program" | "environment"

const known = new WeakMap<PoolConfig, ReadonlyMap<string, Origin>>()

/**
 * Where the values of a configuration come from, by field: for whoever looks at a running pool and wonders. What is missing is a
 * default.
 *
 * **Example** (Who has said so?)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const config = yield* PoolConfig.forEnvironment("production", { maxConnections: 20 })
 *   return Object.fromEntries(PoolConfig.origins(config))
 *   // => { minConnections: "preset", idleTimeout: "preset", maxConnections: "program" }
 * })
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const origins = (config: PoolConfig): ReadonlyMap<string, Origin> => known.get(config) ?? presetOrigins(config)

/** The fields that a preset, or a configuration made by hand, has otherwise than the defaults. */
const presetOrigins = (config: PoolConfig, origin: Origin = "preset"): ReadonlyMap<string, Origin> => {
  const differs = ([field, value]: readonly [string, unknown]) =>
    !Equal.equals(value, defaults[field as keyof PoolConfig])
  return new Map(
    Object.entries(config)
      .filter(differs)
      .map(([field]) => [field, origin])
  )
}

const presets: ReadonlyMap<unknown, PoolConfig> = new Map([
  ["development", development],
  ["production", production]
])

/** A value as it may stand in an error: short, on one line. */
const show = (value: unknown): string => {
  const text =
    typeof value === "string"
      ? JSON.stringify(value)
      : Duration.isDuration(value)
        ? Duration.format(value)
        : String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

const expectedOf = (schema: Schema.Top): string => {
  const expected = Schema.resolveAnnotations(schema)?.["expected"]
  return typeof expected === "string" ? expected : "another value"
}

/** `Duration.fromInput` reads NaN as zero, and a negative number as a duration; neither is what its writer meant. */
const readDuration = (value: unknown): unknown => {
  if (typeof value === "number" && !(value >= 0)) return value
  if (typeof value !== "number" && typeof value !== "string" && typeof value !== "bigint" && !isObject(value))
    return value
  return Option.getOrElse(Duration.fromInput(value as Duration.Input), () => value)
}

const isDurationSchema = (schema: Schema.Top): boolean => expectedOf(schema).startsWith("a duration")

/** Decodes one record of fields over its base, and notes every wrong one; a nested record is a record of its own. */
const decodeFields = (
  fields: Readonly<Record<string, Schema.Top>>,
  base: Readonly<Record<string, unknown>>,
  input: Readonly<Record<string, unknown>>,
  fieldName: (name: string) => string,
  problems: Array<ConfigProblem>
): Record<string, unknown> => {
  const decoded: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(fields)) {
    const given = input[name]
    if (given === undefined) {
      if (base[name] !== undefined) decoded[name] = base[name]
      continue
    }
    const nested = nestedFields[name]
    if (nested !== undefined && fields === PoolConfig.fields) {
      if (isObject(given)) {
        const nestedName = (inner: string) => fieldName(`${name}.${inner}`)
        decoded[name] = decodeFields(nested, base[name] as never, given as never, nestedName, problems)
      } else
        problems.push({ field: fieldName(name), value: show(given), expected: `{ ${Object.keys(nested).join(", ")} }` })
      continue
    }
    const value = isDurationSchema(schema) ? readDuration(given) : given
    if (Schema.is(schema)(value)) decoded[name] = value
    else problems.push({ field: fieldName(name), value: show(given), expected: expectedOf(schema) })
  }
  for (const name of Object.keys(input)) {
    if (!(name in fields) && input[name] !== undefined) {
      problems.push({ field: fieldName(name), value: show(input[name]), expected: "no such field" })
    }
  }
  return decoded
}

const nestedFields: Readonly<Record<string, Readonly<Record<string, Schema.Top>>>> = {
  warmup: PoolConfig.fields.warmup.fields,
  shedding: PoolConfig.fields.shedding.fields,
  retry: PoolConfig.fields.retry.fields
}

/** What no field can know alone. Compared only where both fields are right by themselves. */
const crossFieldProblems = (
  decoded: Record<string, unknown>,
  fieldName: (name: string) => string
): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  const { maxConnections, minConnections, retry } = decoded as Partial<PoolConfig>
  if (minConnections !== undefined && maxConnections !== undefined && minConnections > maxConnections) {
    problems.push({
      field: fieldName("minConnections"),
      value: show(minConnections),
      expected: `at most ${fieldName("maxConnections")} (${maxConnections})`
    })
  }
  if (retry?.initial !== undefined && retry.max !== undefined && Duration.isGreaterThan(retry.initial, retry.max)) {
    problems.push({
      field: fieldName("retry.initial"),
      value: show(retry.initial),
      expected: `at most ${fieldName("retry.max")} (${Duration.format(retry.max)})`
    })
  }
  return problems
}

const fieldsOf = (input: object): Readonly<Record<string, unknown>> => Object.fromEntries(Object.entries(input))

const check = (
  input: Readonly<Record<string, unknown>>,
  fieldName: (name: string) => string,
  others: ReadonlyArray<ConfigProblem>,
  origin: Origin
): Result.Result<PoolConfig, PoolConfigError> => {
  const { environment, ...rest } = input
  const problems: Array<ConfigProblem> = []
  const preset = environment === undefined ? defaults : presets.get(environment)
  if (preset === undefined) {
    problems.push({
      field: fieldName("environment"),
      value: show(environment),
      expected: [...presets.keys()].map(show).join(" or ")
    })
  }
  const decoded = decodeFields(PoolConfig.fields, fieldsOf(preset ?? defaults), rest, fieldName, problems)
  problems.push(...crossFieldProblems(decoded, fieldName), ...others)
  if (problems.length > 0) return Result.fail(new PoolConfigError({ problems }))
  const made = new PoolConfig(decoded as never)
  const given = Object.keys(rest).filter((field) => rest[field] !== undefined)
  known.set(made, new Map([...presetOrigins(preset ?? defaults), ...given.map((field) => [field, origin] as const)]))
  return Result.succeed(made)
}

/**
 * Checks a configuration and fills in its defaults. Fails with one `PoolConfigError` that names every wrong field.
 *
 * `problems` are added to those found: a connector reports its own wrong fields this way.
 *
 * **Example** (Every wrong field at once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const error = yield* Effect.flip(PoolConfig.make({ minConnections: 20, maxConnections: 10, idleTimeout: -1 }))
 *   return error.problems.map(({ field }) => field) // => ["idleTimeout", "minConnections"]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  input: Input | PoolConfig = {},
  problems: ReadonlyArray<ConfigProblem> = []
): Effect.Effect<PoolConfig, PoolConfigError> =>
  Effect.suspend(() => {
    const checked = check(fieldsOf(input), (name) => name, problems, "program")
    // Of one that was checked before, it is known who has said what.
    if (Result.isSuccess(checked) && input instanceof PoolConfig) known.set(checked.success, origins(input))
    return Effect.fromResult(checked)
  })

/**
 * The preset of an environment, `"development"` or `"production"`, changed by `overrides`.
 *
 * Fails with one `PoolConfigError` that names every wrong field, an unknown environment among them.
 *
 * **Example** (Production, with a smaller maximum)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolConfig } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const config = yield* PoolConfig.forEnvironment("production", { maxConnections: 40 })
 *   return [config.minConnections, config.maxConnections] // => [10, 40]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const forEnvironment = (
  name: string,
  overrides: Omit<Input, "environment"> = {}
): Effect.Effect<PoolConfig, PoolConfigError> => make({ ...overrides, environment: name })

/** `maxConnections` is `MAX_CONNECTIONS` in the environment, `retry.initial` is `RETRY_INITIAL`. */
const variableName = (field: string): string => field.replace(/[A-Z]/g, "_$&").replace(".", "_").toUpperCase()

/**
 * The variable that a field is read from.
 *
 * @internal
 */
export const variableOf = (prefix: string, field: string): string => `${prefix}_${variableName(field)}`

/**
 * The same for whoever reads a `Config`.
 *
 * @internal
 */
export const configErrorOf = (error: PoolConfigError): Config.ConfigError =>
  new Config.ConfigError(new ConfigProvider.SourceError({ message: error.message, cause: error }))

const environmentFields: ReadonlyArray<string> = [
  "environment",
  ...Object.keys(PoolConfig.fields).flatMap((name) =>
    nestedFields[name] === undefined ? [name] : Object.keys(nestedFields[name]).map((inner) => `${name}.${inner}`)
  )
]

/** A variable's text as the value its writer meant: numbers are numbers, everything else is left for the check. */
const readVariable = (field: string, text: string): unknown => {
  if (field === "name") return text
  if (text.trim() !== "" && !Number.isNaN(Number(text))) return Number(text)
  return words.get(text.trim()) ?? text
}

const words: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["Infinity", Infinity],
  ["true", true],
  ["false", false]
])

const fromVariables = (values: Readonly<Record<string, Option.Option<string>>>): Record<string, unknown> => {
  const input: Record<string, unknown> = {}
  for (const [field, value] of Object.entries(values)) {
    if (Option.isNone(value)) continue
    const [outer = field, inner] = field.split(".")
    const read = readVariable(field, value.value)
    if (inner === undefined) input[outer] = read
    else input[outer] = { ...(input[outer] as object | undefined), [inner]: read }
  }
  return input
}

/**
 * Reads the configuration from `Config`: with the prefix `DB`, from `DB_MAX_CONNECTIONS`, `DB_ACQUIRE_TIMEOUT`
 * (`"5 seconds"`, or milliseconds), `DB_RETRY_INITIAL`, `DB_SHEDDING_ENABLED` (`true` or `false`), ... and `DB_ENVIRONMENT` for the preset. Variables that are not
 * set leave the preset's value. Fails with one `ConfigError` that names every wrong variable.
 *
 * **Example** (From variables)
 *
 * ```ts
 * import { ConfigProvider, Duration, Effect } from "effect"
 * import { PoolConfig } from "effect-pool"
 *
 * const env = { DB_ENVIRONMENT: "production", DB_MAX_CONNECTIONS: "40", DB_ACQUIRE_TIMEOUT: "2 seconds" }
 *
 * const program = Effect.gen(function* () {
 *   const config = yield* PoolConfig.config("DB")
 *   return [config.minConnections, config.maxConnections, Duration.format(config.acquireTimeout)]
 *   // => [10, 40, "2s"]
 * }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const config = (prefix: string): Config.Config<PoolConfig> =>
  Config.all(
    Object.fromEntries(
      environmentFields.map((field) => [field, Config.option(Config.String(variableOf(prefix, field)))])
    )
  ).pipe(
    Config.mapEffect((values) =>
      Result.match(
        check(fromVariables(values), (field) => variableOf(prefix, field), [], "environment"),
        { onSuccess: Effect.succeed, onFailure: (error) => Effect.fail(configErrorOf(error)) }
      )
    )
  )
