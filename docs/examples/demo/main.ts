/**
 * A pool at work on a real PostgreSQL server, through an outage and back: `npm run demo`.
 *
 * Options: `-- --seconds 60`, `-- --forever` (until Ctrl-C), `-- --json` (one line of JSON on standard output),
 * `-- --url postgres://...` (a server of yours; it is not killed, of course), `-- --port 9464` (where the console is).
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer, Option, References, Schedule, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import * as PostgresServer from "../../../test/support/PostgresServer.ts"
import * as Clients from "./Clients.ts"
import { compare } from "./Comparison.ts"
import * as Database from "./Database.ts"
import * as Display from "./Display.ts"
import * as Operations from "./Operations.ts"
import * as OrderService from "./OrderService.ts"
import * as Outage from "./Outage.ts"
import { Traffic } from "./Traffic.ts"

interface Plan {
  readonly compareMillis: number
  readonly calmMillis: number
  readonly awayMillis: number
}

/** How the time is spent: a comparison, calm load, an outage under load, calm again. */
const planFor = (seconds: number): Plan => {
  const compareMillis = Math.min(3000, seconds * 80)
  const load = seconds * 1000 - 2 * compareMillis
  return { compareMillis, calmMillis: load * 0.25, awayMillis: Math.min(6000, load * 0.25) }
}

/** Watches that the server itself never counts more sessions than the pool may have. */
const watchSessions = (url: string, onCount: (sessions: number) => void) =>
  Effect.forever(
    Effect.andThen(
      Effect.sleep("500 millis"),
      Effect.ignore(Effect.map(Effect.timeout(Database.sessionsOnServer(url), "1 second"), onCount))
    )
  )

/** The load, with outages in it; ends with what it found. */
const underLoad = Effect.fn("underLoad")(function* (url: string, plan: Plan, isForever: boolean, canKill: boolean) {
  let mostSessions = 0
  const background = yield* Effect.forEach(
    [
      Clients.run,
      Display.table,
      watchSessions(url, (sessions) => {
        mostSessions = Math.max(mostSessions, sessions)
      })
    ],
    (effect) => Effect.forkScoped(effect)
  )
  const outages: Array<Outage.OutageReport | undefined> = []
  const round = Effect.gen(function* () {
    yield* Effect.sleep(plan.calmMillis)
    if (canKill) outages.push(yield* Outage.run(plan.awayMillis))
    yield* Effect.sleep(plan.calmMillis)
  })
  yield* isForever ? Effect.forever(round) : round
  yield* Fiber.interruptAll(background)
  return { mostSessions, outages }
})

/** Clients that were stopped in the middle leave connections to be checked: leaked is only what stays lent. */
const stillLent = Effect.gen(function* () {
  for (let tries = 0; tries < 50; tries++) {
    const { inUse, resetting } = yield* Database.Db.status
    if (inUse + resetting === 0) return 0
    yield* Effect.sleep("100 millis")
  }
  return (yield* Database.Db.status).inUse
})

const work = Effect.fn("work")(function* (url: string, plan: Plan, isForever: boolean, canKill: boolean) {
  yield* Display.heading("The same query, with and without a pool")
  const comparison = yield* compare(url, plan.compareMillis)
  yield* Display.line(
    `connect, query, disconnect: ${comparison.unpooledPerSecond} per second\n` +
      `pooled:                     ${comparison.pooledPerSecond} per second  (${comparison.ratio} times as many)`
  )
  yield* Display.heading(`GET /orders/:id for 100 clients, on at most ${Database.maxConnections} connections`)
  const found = yield* Effect.scoped(underLoad(url, plan, isForever, canKill))
  return { ...comparison, ...found, lent: yield* stillLent }
})

class DemoFailed extends Schema.TaggedError<DemoFailed>()("DemoFailed", { message: Schema.String }) {}

const demo = Effect.fn("demo")(function* (options: {
  readonly seconds: number
  readonly forever: boolean
  readonly json: boolean
  readonly url: Option.Option<string>
  readonly port: number
}) {
  const server = Option.isSome(options.url) ? undefined : yield* PostgresServer.make()
  const url = server?.url ?? Option.getOrElse(options.url, () => "")
  yield* Display.line(
    `${server?.version ?? "your server"}, ${server === undefined ? "which is not killed" : `started on port ${server.port}`}`
  )
  yield* Database.createOrders(url)
  const traffic = yield* Traffic
  const canKill = server !== undefined
  const found = yield* work(url, planFor(options.seconds), options.forever, canKill).pipe(
    Effect.provide(
      Layer.provideMerge(Layer.merge(OrderService.layer, Operations.layer(options.port)), Database.layer(url))
    ),
    Effect.provideService(Outage.Server, server ?? { kill: Effect.void, start: Effect.void })
  )
  // The pool is closed now; whatever the server still counts was left behind.
  const left = yield* Database.sessionsOnServer(url).pipe(
    Effect.repeat({
      until: (sessions) => sessions === 0,
      schedule: Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(20)])
    })
  )
  yield* Effect.ignore(Database.dropOrders(url))
  const sum = (of: (report: Outage.OutageReport) => number): number =>
    found.outages.reduce((total, report) => total + (report === undefined ? 0 : of(report)), 0)
  const summary = {
    pooledPerSecond: found.pooledPerSecond,
    unpooledPerSecond: found.unpooledPerSecond,
    ratio: found.ratio,
    requests: traffic.requests,
    failures: traffic.failures,
    connectAttemptsWhileDown: sum((report) => report.connectAttemptsWhileDown),
    secondsToRecover: Math.max(0, ...found.outages.map((report) => report?.secondsToRecover ?? 0)),
    leaked: found.lent + left,
    exceededMax: Math.max(0, found.mostSessions - Database.maxConnections)
  }
  const hasRecovered = found.outages.every((report) => report !== undefined)
  yield* Display.heading("Summary")
  yield* Display.line(
    [
      `requests            ${summary.requests}, the slowest ${Math.round(traffic.slowestMillis)} ms`,
      `refused             ${
        Object.entries(summary.failures)
          .map(([tag, n]) => `${n} ${tag}`)
          .join(", ") || "none"
      }`,
      `pooled / unpooled   ${summary.pooledPerSecond} / ${summary.unpooledPerSecond} per second: ${summary.ratio} times`,
      `while it was down   ${summary.connectAttemptsWhileDown} attempts to connect, by 100 clients' pool`,
      `back after          ${hasRecovered ? `${summary.secondsToRecover} s` : "never"}`,
      `leaked              ${summary.leaked}`,
      `over the maximum    ${summary.exceededMax} (at most ${found.mostSessions} sessions on the server)`
    ].join("\n")
  )
  if (options.json) yield* Console.log(JSON.stringify(summary))
  if (summary.leaked > 0 || summary.exceededMax > 0 || !hasRecovered) {
    return yield* new DemoFailed({ message: "the pool leaked, exceeded its maximum, or did not recover" })
  }
})

const command = Command.make(
  "demo",
  {
    seconds: Flag.Int("seconds").pipe(Flag.withDefault(30), Flag.withDescription("how long, about (default 30)")),
    forever: Flag.Boolean("forever").pipe(
      Flag.withDefault(false),
      Flag.withDescription("until Ctrl-C, with an outage in each round")
    ),
    json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("the summary as one line of JSON")),
    port: Flag.Int("port").pipe(
      Flag.withDefault(0),
      Flag.withDescription("where the console is (default: any free port)")
    ),
    url: Flag.String("url").pipe(Flag.optional, Flag.withDescription("a PostgreSQL server of yours; it is not killed"))
  },
  (options) =>
    Effect.scoped(demo(options)).pipe(
      Effect.provide(Traffic.layer),
      Effect.provideService(Display.IsQuiet, options.json),
      Effect.provideService(References.LogToStderr, options.json)
    )
)

command.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
