/** `effect-pool advise`: the size that the facts on the command line call for. */
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as PoolAdvisor from "../PoolAdvisor.ts"
import type { ConfigProblem, PoolConfigError } from "../PoolError.ts"
import { readMillis, readNumber } from "./DurationText.ts"

/** Flags are read as text and checked together: each by itself, the command would name only the first that is wrong. */
const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const number = (name: string, description: string) => text(name, "number", description)

const duration = (name: string, description: string) => text(name, "duration", description)

const flags = {
  arrivalRate: number("arrival-rate", "Required. Acquires a second of one replica, at its busiest"),
  holdMillisP50: duration(
    "hold-p50",
    'Required. Half of all leases last no longer: 20ms, "20 millis", or 20 (milliseconds)'
  ),
  holdMillisP95: duration("hold-p95", "95 of 100 leases last no longer"),
  replicas: number("replicas", "Processes with such a pool on the same server (1)"),
  serverMaxConnections: number("server-max-connections", "The server's max_connections"),
  serverReserved: number("server-reserved", "Those of them that are not for these pools (3)"),
  serverCores: number("server-cores", "The server's processors"),
  nestingDepth: number("nesting-depth", "Connections that one fiber holds at the same time (1)"),
  concurrentBorrowers: number("concurrent-borrowers", "Fibers that may do so at the same time"),
  knee: number("knee", "Connections of one replica with which the server gets the most done, as measured"),
  kneeConfidence: number("knee-confidence", "How certain that is, from 0 to 1 (1)"),
  waitTargetMillis: duration("wait-target", "99 of 100 acquires are to wait no longer (100ms)"),
  acquireTimeoutMillis: duration("acquire-timeout", "When an acquire gives up (5s)"),
  targetUtilization: number("target-utilization", "The part of the connections that may be busy on average (0.75)"),
  minConnections: number("min-connections", "The present minimum"),
  maxConnections: number("max-connections", "The present maximum"),
  concurrency: number("concurrency", "Leases that may share one connection (1)"),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the advice as JSON"), Flag.withDefault(false))
}

/** The option of each field that a problem may name. */
const optionOf: Readonly<Record<string, string>> = {
  holdMillisP50: "--hold-p50",
  holdMillisP95: "--hold-p95",
  waitTargetMillis: "--wait-target",
  acquireTimeoutMillis: "--acquire-timeout",
  "knee.connections": "--knee",
  "knee.confidence": "--knee-confidence"
}

const optionFor = (field: string): string =>
  optionOf[field] ?? `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

type Given = { readonly [Name in Exclude<keyof typeof flags, "json">]: Option.Option<string> }

const isDuration = (name: string): boolean => name.includes("Millis")

const inputOf = ({ knee, kneeConfidence, ...others }: Given): PoolAdvisor.Input => {
  const input: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(others)) {
    if (Option.isSome(given)) input[name] = isDuration(name) ? readMillis(given.value) : readNumber(given.value)
  }
  if (Option.isSome(knee) || Option.isSome(kneeConfidence)) {
    input["knee"] = {
      connections: Option.getOrUndefined(Option.map(knee, readNumber)),
      confidence: Option.getOrElse(Option.map(kneeConfidence, readNumber), () => 1)
    }
  }
  return input as PoolAdvisor.Input
}

/** `at most holdMillisP95 (10)` names a field; whoever typed options knows only those. */
const withOptions = (expected: string): string =>
  expected
    .replace(/\b[a-z]+[A-Z]\w*/g, optionFor)
    .replace(/^milliseconds/, "a duration (20ms, 1.5s, or a number of milliseconds)")

const lineOf = ({ expected, field, value }: ConfigProblem): string =>
  `    ${optionFor(field)}: got ${value}, expected ${withOptions(expected)}`

const refusal = (error: PoolConfigError): CliError.UserError => {
  const { problems } = error
  const head = `${problems.length} wrong option${problems.length === 1 ? "" : "s"}:`
  return new CliError.UserError({ cause: error, userMessage: [head, ...problems.map(lineOf)].join("\n") })
}

const toJson = Schema.encodeEffect(Schema.fromJsonString(PoolAdvisor.Advice))

/**
 * Prints how large a pool should be, and why: text, or with `--json` an `Advice`. Fails with one message that names every
 * option whose value is wrong or missing.
 */
export const advise = Command.make("advise", flags, ({ json, ...given }) =>
  PoolAdvisor.factsFrom(inputOf(given)).pipe(
    Effect.mapError(refusal),
    Effect.map(PoolAdvisor.advise),
    Effect.flatMap((advice) => (json ? Effect.orDie(toJson(advice)) : Effect.succeed(PoolAdvisor.show(advice)))),
    Effect.flatMap(Console.log)
  )
).pipe(
  Command.withDescription("Say how large a pool should be, and why"),
  Command.withExamples([
    {
      command:
        "effect-pool advise --arrival-rate 200 --hold-p50 20ms --hold-p95 80ms --replicas 4 --server-max-connections 100",
      description: "Four replicas on one server"
    }
  ])
)
