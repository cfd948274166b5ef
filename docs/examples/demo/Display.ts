import { Clock, Console, Context, Effect, Schedule } from "effect"
import { Db } from "./Database.ts"
import { percentile, Traffic } from "./Traffic.ts"

/** Where the words go: to standard error when standard output is kept for the JSON line. */
export const IsQuiet = Context.Reference<boolean>("demo/IsQuiet", { defaultValue: () => false })

export const line = (text: string): Effect.Effect<void> =>
  Effect.flatMap(IsQuiet, (isQuiet) => (isQuiet ? Console.error(text) : Console.log(text)))

export const note = (text: string): Effect.Effect<void> => line(`\n>>> ${text}\n`)

export const heading = (text: string): Effect.Effect<void> => line(`\n${text}\n${"-".repeat(text.length)}`)

const columns = [
  ["time", 5],
  ["pool", 12],
  ["in use", 7],
  ["idle", 5],
  ["connecting", 11],
  ["closing", 8],
  ["waiting", 8],
  ["req/s", 7],
  ["refused/s", 10],
  ["wait p50", 9],
  ["wait p99", 9]
] as const

const row = (cells: ReadonlyArray<string | number>): string =>
  cells.map((cell, index) => String(cell).padStart(columns[index]?.[1] ?? 0)).join(" ")

const header = row(columns.map(([name]) => name))

/** One row a second: connections by state, waiters, requests, and how long they waited for a connection. */
export const table = Effect.gen(function* () {
  const traffic = yield* Traffic
  const started = yield* Clock.currentTimeMillis
  let last = { succeeded: 0, failed: 0, at: started }
  let rows = 0
  const next = Effect.gen(function* () {
    if (rows++ % 20 === 0) yield* line(header)
    const status = yield* Db.status
    const at = yield* Clock.currentTimeMillis
    const failed = Object.values(traffic.failures).reduce((sum, n) => sum + n, 0)
    const perSecond = (count: number): number => Math.round((count * 1000) / Math.max(1, at - last.at))
    const waits = traffic.waits.sort((a, b) => a - b)
    const millis = (share: number): string => (waits.length === 0 ? "-" : `${percentile(waits, share)} ms`)
    yield* line(
      row([
        `${Math.round((at - started) / 1000)} s`,
        status.state,
        `${status.inUse}/${status.maxConnections}`,
        status.idle,
        status.connecting,
        status.closing,
        status.waiting,
        perSecond(traffic.succeeded - last.succeeded),
        perSecond(failed - last.failed),
        millis(0.5),
        millis(0.99)
      ])
    )
    last = { succeeded: traffic.succeeded, failed, at }
    traffic.waits = []
  })
  yield* Effect.repeat(Effect.delay(next, "1 second"), Schedule.forever)
})
