/** `effect-pool status`: how a pool is, or all of them. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { OperatorError } from "./OperatorError.ts"
import * as Output from "./Output.ts"
import { plainJson } from "./PlainText.ts"
import { aboutToken, insecure, json, pool, serverAt, url } from "./ServerArguments.ts"
import { statusLines, tableLines } from "./StatusText.ts"

/** A pool does not do its work. The report has said so: nothing is printed for it, and the exit code is 1. */
export class Unhealthy extends Data.TaggedError("Unhealthy") {
  override get [Runtime.errorExitCode](): number {
    return 1
  }

  override get [Runtime.errorReported](): boolean {
    return false
  }
}

type Health = "pass" | "warn" | "fail"

const one = Effect.fnUntraced(function* (url: string, pool: string, isInsecure: boolean, isJson: boolean) {
  const server = yield* serverAt({ url, insecure: isInsecure })
  const { json, value: report } = yield* server.reportAsSaid(pool)
  const style = yield* Output.style
  yield* isJson
    ? Console.log(plainJson(json))
    : Output.print(statusLines(report, { ...style, columns: style.columnsOfText }), style)
  return [report.health.status]
})

const all = Effect.fnUntraced(function* (url: string, isInsecure: boolean, isJson: boolean) {
  const server = yield* serverAt({ url, insecure: isInsecure })
  const { json, value: list } = yield* server.listAsSaid
  yield* isJson ? Console.log(plainJson(json)) : Output.print(tableLines(list), yield* Output.style)
  return list.pools.map(({ health }) => health)
})

const ended = (healths: ReadonlyArray<Health>) =>
  healths.includes("fail") ? Effect.fail(new Unhealthy()) : Effect.void

/** Prints how a pool is; without a name, a table of all. */
export const status = Command.make(
  "status",
  { url, pool: Argument.optional(pool), insecure, json: json("Print what the API says, as JSON") },
  Effect.fn("effect-pool.status")(function* ({ insecure, json, pool, url }) {
    const shown = Option.match(pool, {
      onNone: () => all(url, insecure, json),
      onSome: (pool) => one(url, pool, insecure, json)
    })
    // A probe that reads 1 as "does not work" must not read it when nobody knows.
    const healths = yield* Effect.mapError(shown, ({ message }) => new OperatorError({ message, exitCode: 2 }))
    yield* ended(healths)
  })
).pipe(
  Command.withDescription(
    `Say how a pool is, or all of them in a table. ${aboutToken} ` +
      "Ends with 0 if health is pass or warn, 1 if it is fail, 2 if there is no report to be had."
  ),
  Command.withShortDescription("Say how a pool is, or all of them"),
  Command.withExamples([
    { command: "effect-pool status http://127.0.0.1:9464", description: "All pools of a process in a table" },
    { command: "effect-pool status http://127.0.0.1:9464 orders --json", description: "One of them, for a program" }
  ])
)
