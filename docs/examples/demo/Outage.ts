import { Clock, Context, Effect } from "effect"
import type { Duration } from "effect"
import { Db } from "./Database.ts"
import * as Display from "./Display.ts"
import { Traffic } from "./Traffic.ts"

/** What the demo can do to its server; nothing, if it is the user's. */
export class Server extends Context.Service<
  Server,
  { readonly kill: Effect.Effect<void>; readonly start: Effect.Effect<void, { readonly message: string }> }
>()("demo/Server") {}

export interface OutageReport {
  readonly connectAttemptsWhileDown: number
  readonly secondsToRecover: number
  readonly connectionsRebuilt: number
}

/** Nobody waits longer than this for a pool that does not come back. */
const patience = "30 seconds"

const round = (millis: number): number => Math.round(millis / 10) / 100

/** Waits for the first request that succeeded after a moment. */
const firstSuccessAfter = Effect.fn("firstSuccessAfter")(function* (moment: number) {
  const traffic = yield* Traffic
  while (traffic.lastSuccessAt <= moment) yield* Effect.sleep("20 millis")
  return traffic.lastSuccessAt
})

/** Kills the server in the middle of the load, keeps it away, brings it back, and reports what the pool did. */
export const run = Effect.fn("outage")(function* (away: Duration.Input) {
  const server = yield* Server
  yield* Display.note("killing the server (SIGKILL)")
  const before = yield* Db.status
  yield* server.kill
  yield* Effect.sleep(away)
  const down = yield* Db.status
  yield* Display.note("starting the server again")
  yield* server.start
  const up = yield* Clock.currentTimeMillis
  const recovered = yield* Effect.timeoutOption(firstSuccessAfter(up), patience)
  if (recovered._tag === "None") return undefined
  // A look a little later: the first success needs one connection, the load wants them all back.
  yield* Effect.sleep("1 second")
  const after = yield* Db.status
  const report: OutageReport = {
    connectAttemptsWhileDown: down.connectFailures - before.connectFailures,
    secondsToRecover: round(recovered.value - up),
    connectionsRebuilt: after.created - before.created
  }
  yield* Display.note(
    `recovered: first success ${report.secondsToRecover} s after the server was up, ` +
      `${report.connectAttemptsWhileDown} attempts to connect while it was down, ` +
      `${report.connectionsRebuilt} connections rebuilt`
  )
  return report
})
