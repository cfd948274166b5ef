/**
 * How large a pool should be, and why, from what its users know: how often it is asked, how long a lease lasts, and what the
 * server bears.
 *
 * The formulas: Little's law (L = λW) for the connections that are busy; square-root staffing (Halfin and Whitt) and a target
 * utilization for the room above them; Erlang's C with Allen and Cunneen's correction for the wait; HikariCP's n(m - 1) + 1 for
 * borrowers that hold several connections; the server's `max_connections` divided among all replicas; and the knee of the
 * Universal Scalability Law (Gunther), where it has been measured.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { format } from "effect/Formatter"
import { isObject } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { type Question, type Sizes, sizesOf } from "./advisor/Sizes.ts"
import { because, bindingOf, isBeyondHelp, millis, mostAllowed, notesOf, numeral, percent } from "./advisor/Words.ts"
import { type ConfigProblem, PoolConfigError } from "./PoolError.ts"

/** A day, in milliseconds: a pool lets nobody wait longer. */
const longest = 86_400_000

const between = (minimum: number, maximum: number, unit: string) =>
  Schema.Finite.check(Schema.isBetween({ minimum, maximum })).annotate({
    expected: `${unit} from ${minimum} to ${maximum}`
  })

const count = (minimum: number, maximum = 1_000_000) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum })).annotate({
    expected: `a whole number from ${minimum} to ${maximum}`
  })

const duration = (minimum: number) => between(minimum, longest, "milliseconds")

/**
 * What is known. Numbers of this one replica, at its busiest, unless a field says otherwise; times are milliseconds.
 *
 * | field | default | what it is |
 * |---|---|---|
 * | `arrivalRate` | required | acquires a second |
 * | `holdMillisP50` | required | half of all leases last no longer |
 * | `holdMillisP95` | | 95 of 100 leases last no longer. Without it `holdMillisP50` is taken as the mean, and the times as exponential |
 * | `replicas` | 1 | processes with such a pool, this one included, that share the server |
 * | `serverMaxConnections` | | the server's `max_connections` |
 * | `serverReserved` | 3 | those of them that are not for pools: PostgreSQL's `superuser_reserved_connections` and other programs |
 * | `serverCores` | | the server's processors, for HikariCP's start value |
 * | `nestingDepth` | 1 | connections that one fiber holds at the same time |
 * | `concurrentBorrowers` | | fibers that may do so at the same time |
 * | `knee` | | where the server gets the most done, as the pool measures it; below a confidence of 0.5 it limits nothing |
 * | `waitTargetMillis` | 100 | 99 of 100 acquires are to wait no longer |
 * | `acquireTimeoutMillis` | 5000 | when an acquire gives up |
 * | `targetUtilization` | 0.75 | the part of the connections that may be busy on average |
 * | `minConnections`, `maxConnections` | | the present configuration |
 * | `concurrency` | 1 | leases that may share one connection |
 *
 * @category models
 * @since 0.1.0
 */
export class Facts extends Schema.Class<Facts>("effect-pool/PoolAdvisor/Facts")({
  arrivalRate: between(0, 1_000_000, "acquires a second"),
  holdMillisP50: duration(0.001),
  holdMillisP95: Schema.optionalKey(duration(0.001)),
  replicas: Schema.optionalKey(count(1)),
  serverMaxConnections: Schema.optionalKey(count(1)),
  serverReserved: Schema.optionalKey(count(0)),
  serverCores: Schema.optionalKey(count(1, 10_000)),
  nestingDepth: Schema.optionalKey(count(1, 1000)),
  concurrentBorrowers: Schema.optionalKey(count(1)),
  knee: Schema.optionalKey(
    Schema.Struct({
      connections: between(1, 1_000_000, "connections"),
      confidence: between(0, 1, "a number")
    }).annotate({ expected: "{ connections: from 1 to 1000000, confidence: from 0 to 1 }" })
  ),
  waitTargetMillis: Schema.optionalKey(duration(0)),
  acquireTimeoutMillis: Schema.optionalKey(duration(1)),
  targetUtilization: Schema.optionalKey(between(0.05, 0.99, "a number")),
  minConnections: Schema.optionalKey(count(0)),
  maxConnections: Schema.optionalKey(count(1)),
  concurrency: Schema.optionalKey(count(1, 10_000))
}) {}

/**
 * What is written to {@link factsFrom}: the fields of {@link Facts}, unchecked.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = { readonly [Name in keyof typeof Facts.Encoded]?: (typeof Facts.Encoded)[Name] | undefined }

const defaults = {
  replicas: 1,
  serverReserved: 3,
  nestingDepth: 1,
  waitTargetMillis: 100,
  acquireTimeoutMillis: 5000,
  targetUtilization: 0.75,
  concurrency: 1
} as const

/**
 * What decided the recommended maximum:
 *
 * - `load`: the connections that are busy, and room above them. `waitTarget`: more are needed for the wait. `spare`: one would
 *   do, and a pool of one is empty while it is replaced.
 * - `nesting`: with fewer, borrowers that hold several could all wait for each other.
 * - `serverConnections`, `knee`, `largestPool`: more would be wanted, and the server does not give them, gets less done with
 *   them, or no pool may have them.
 * - `holdTime`: no maximum carries the load, or none carries it before acquires give up.
 *
 * @category models
 * @since 0.1.0
 */
export const BindingConstraint = Schema.Literals([
  "load",
  "waitTarget",
  "spare",
  "nesting",
  "serverConnections",
  "knee",
  "largestPool",
  "holdTime"
])

/**
 * What decided the recommended maximum: one of the names of the schema.
 *
 * @category models
 * @since 0.1.0
 */
export type BindingConstraint = typeof BindingConstraint.Type

/**
 * The recommendation for one replica, and why. Times are milliseconds.
 *
 * - `verdict`: `fits` (the present maximum carries the load within every limit; where none was told, the recommended one does),
 *   `change` (the present maximum is too small or too big), `noMaximumHelps` (what is wrong is not the size: see `because`).
 * - `because`: the reason, with its numbers. `notes`: what else an operator should know.
 * - `expectedWaitMillis`, `expectedWaitMillisP99`: what acquires wait with the recommended maximum, on average and 99 of 100 at
 *   most. Absent where no maximum carries the load.
 * - `utilization`: the part of the recommended maximum that is busy on average; 1 or more where it cannot carry the load.
 * - `holdMillisMean`: how long a lease lasts on average. `busyConnections`: how many are busy on average.
 * - `deadlockFreeMinimum`: the smallest maximum in which borrowers of several connections cannot all wait for each other. Absent
 *   where there are none, or their number is not known.
 *
 * - `minConnections`, `maxConnections`: what is recommended. `bindingConstraint`: what decided the maximum.
 *
 * @category models
 * @since 0.1.0
 */
export class Advice extends Schema.Class<Advice>("effect-pool/PoolAdvisor/Advice")({
  verdict: Schema.Literals(["fits", "change", "noMaximumHelps"]),
  minConnections: Schema.Int,
  maxConnections: Schema.Int,
  bindingConstraint: BindingConstraint,
  because: Schema.String,
  expectedWaitMillis: Schema.optionalKey(Schema.Finite),
  expectedWaitMillisP99: Schema.optionalKey(Schema.Finite),
  utilization: Schema.Finite,
  holdMillisMean: Schema.Finite,
  busyConnections: Schema.Finite,
  deadlockFreeMinimum: Schema.optionalKey(Schema.Int),
  notes: Schema.Array(Schema.String)
}) {}

const problemOf = (field: string, value: unknown, expected: string): ConfigProblem => {
  const text = value === undefined ? "nothing" : format(value)
  return { field, value: text.length > 80 ? `${text.slice(0, 77)}...` : text, expected }
}

const required: ReadonlySet<string> = new Set(["arrivalRate", "holdMillisP50", "knee.connections", "knee.confidence"])

const expectedOf = (schema: Schema.Top): string => {
  const expected = Schema.resolveAnnotations(schema)?.["expected"]
  return typeof expected === "string" ? expected : "another value"
}

/** What `optionalKey` wraps, which is where the annotations are. */
const innerOf = (schema: Schema.Top): Schema.Top =>
  "schema" in schema && Schema.isSchema(schema.schema) ? schema.schema : schema

type Fields = Readonly<Record<string, Schema.Top>>

const fieldsOf = (schema: Schema.Top): Fields | undefined =>
  "fields" in schema ? (schema.fields as Fields) : undefined

/** Every wrong field of one record; a nested record is a record of its own. */
const fieldProblems = (
  fields: Fields,
  input: Readonly<Record<string, unknown>>,
  prefix = ""
): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  for (const [name, field] of Object.entries(fields)) {
    const value = input[name]
    const schema = innerOf(field)
    const nested = fieldsOf(schema)
    if (nested !== undefined && isObject(value)) {
      problems.push(...fieldProblems(nested, value as never, `${prefix}${name}.`))
      continue
    }
    const isRight =
      value === undefined ? !required.has(prefix + name) : Schema.is(schema as Schema.Codec<unknown>)(value)
    if (!isRight) problems.push(problemOf(prefix + name, value, expectedOf(schema)))
  }
  for (const name of Object.keys(input)) {
    if (!Object.hasOwn(fields, name) && input[name] !== undefined)
      problems.push(problemOf(prefix + name, input[name], "no such field"))
  }
  return problems
}

/** What no field can know alone: each must not exceed (or, of a server, fall short of) its partner. */
const crossFieldProblems = (facts: Question): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  const atMost = (low: keyof Question, high: keyof Question): void => {
    const value = facts[low]
    const limit = facts[high]
    if (typeof value === "number" && typeof limit === "number" && value > limit)
      problems.push(problemOf(low, value, `at most ${high} (${limit})`))
  }
  atMost("holdMillisP50", "holdMillisP95")
  atMost("minConnections", "maxConnections")
  atMost("waitTargetMillis", "acquireTimeoutMillis")
  const { serverMaxConnections, serverReserved } = facts
  if (serverMaxConnections !== undefined && serverReserved >= serverMaxConnections)
    problems.push(
      problemOf("serverReserved", serverReserved, `less than serverMaxConnections (${serverMaxConnections})`)
    )
  return problems
}

/**
 * Checks the facts. Fails with one `PoolConfigError` that names every wrong field.
 *
 * **Example** (Every wrong field at once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolAdvisor } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const error = yield* Effect.flip(PoolAdvisor.factsFrom({ arrivalRate: -1, holdMillisP50: 25, replicas: 0.5 }))
 *   return error.problems.map(({ field }) => field) // => ["arrivalRate", "replicas"]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const factsFrom = (input: Input): Effect.Effect<Facts, PoolConfigError> =>
  Effect.suspend(() => {
    const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
    const wrong = fieldProblems(Facts.fields, given)
    const isRight = ([name]: readonly [string, unknown]) => wrong.every(({ field }) => field.split(".")[0] !== name)
    const right = Object.fromEntries(Object.entries(given).filter(isRight))
    const problems = [...wrong, ...crossFieldProblems({ ...defaults, ...right } as Question)]
    return problems.length === 0 ? Effect.succeed(new Facts(right as never)) : new PoolConfigError({ problems })
  })

const verdictOf = ({ maxConnections: present }: Question, sizes: Sizes): Advice["verdict"] => {
  if (isBeyondHelp(sizes)) return "noMaximumHelps"
  return present === undefined || (present >= sizes.recommended && present <= mostAllowed(sizes)) ? "fits" : "change"
}

/** What is busy on average is kept open, and a second one for when the first is replaced. */
const minimumOf = ({ busy, recommended }: Sizes): number => Math.min(recommended, Math.max(2, Math.ceil(busy - 1e-9)))

/**
 * The size that the facts call for, in connections of one replica, with its reason and the wait to expect.
 *
 * The maximum is the largest of what is needed: for the load (a = arrivalRate × mean hold; the larger of a / targetUtilization
 * and a + 1.5√a), for the target of the wait (the fewest with which the 99th percentile of the wait, by Erlang's C and Allen and
 * Cunneen's (1 + cv²) / 2, is within it), for nesting (borrowers × (depth - 1) + 1), and two in any case. The knee, where it is
 * certain enough, bounds all of these but the one for nesting; the server's share, (max_connections - reserved) / replicas,
 * bounds everything. The minimum is what is busy on average.
 *
 * The mean and cv² of hold times are those of the lognormal distribution through their p50 and p95. Acquires are taken to come
 * at random (Poisson); where they come in bursts, the wait is longer.
 *
 * **Example** (How large should this pool be?)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolAdvisor } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const facts = yield* PoolAdvisor.factsFrom({ arrivalRate: 200, holdMillisP50: 25, replicas: 4, serverMaxConnections: 100 })
 *   const advice = PoolAdvisor.advise(facts)
 *   // because "200 acquires a second, each holding a connection for 25 ms, keep 5 connections busy; with room for chance that makes 9"
 *   return [advice.verdict, advice.minConnections, advice.maxConnections] // => ["fits", 5, 9]
 * })
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const advise = (facts: Facts): Advice => {
  const question: Question = Object.assign({}, defaults, facts)
  const sizes = sizesOf(question)
  const binding = bindingOf(sizes)
  const minimum = minimumOf(sizes)
  const { wait } = sizes
  return new Advice({
    verdict: verdictOf(question, sizes),
    minConnections: minimum,
    maxConnections: sizes.recommended,
    bindingConstraint: binding,
    because: because(binding, question, sizes),
    ...(wait === undefined ? {} : { expectedWaitMillis: wait.mean, expectedWaitMillisP99: wait.p99 }),
    utilization: sizes.busy / sizes.recommended,
    holdMillisMean: sizes.hold.meanMillis,
    busyConnections: sizes.busy,
    ...(question.concurrentBorrowers === undefined || sizes.forNesting === 0
      ? {}
      : { deadlockFreeMinimum: sizes.forNesting }),
    notes: notesOf(question, sizes, minimum)
  })
}

const verdictWords: Readonly<Record<Advice["verdict"], string>> = {
  fits: "fits",
  change: "change it to this",
  noMaximumHelps: "no maximum helps; this is the least bad"
}

/**
 * The advice as several lines of plain text, without a line break at the end: the recommendation, why, what to expect, and the
 * notes.
 *
 * **Example** (For a terminal)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolAdvisor } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const facts = yield* PoolAdvisor.factsFrom({ arrivalRate: 200, holdMillisP50: 25 })
 *   return PoolAdvisor.show(PoolAdvisor.advise(facts)).split("\n")[0]
 *   // => "maxConnections 9, minConnections 5 (fits)"
 * })
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const show = (advice: Advice): string => {
  const { because, expectedWaitMillis, expectedWaitMillisP99, maxConnections, minConnections, utilization } = advice
  const longest =
    expectedWaitMillisP99 === 0
      ? "none for 99 of 100"
      : `at most ${millis(expectedWaitMillisP99 ?? Infinity)} for 99 of 100`
  const wait =
    expectedWaitMillis === undefined
      ? "wait: without end, the line only grows"
      : `wait: ${millis(expectedWaitMillis)} on average, ${longest}`
  return [
    `maxConnections ${numeral(maxConnections)}, minConnections ${numeral(minConnections)} (${verdictWords[advice.verdict]})`,
    `why: ${because}`,
    `${wait}; ${percent(utilization)} of the connections busy`,
    ...advice.notes.map((note) => `- ${note}`)
  ].join("\n")
}
