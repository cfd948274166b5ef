/** What is read of pools: lists, reports, events, and the console's feed. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as ConnectionPool from "../ConnectionPool.ts"
import type { PoolEvent } from "../PoolEvent.ts"
import { type Entry, PoolRegistry } from "../PoolRegistry.ts"
import * as PoolReport from "../PoolReport.ts"
import { Access } from "./Access.ts"
import { Histories, sse } from "./Histories.ts"
import { type PoolApi, type PoolSummary, TooManyWatchers, UnknownPool } from "./PoolApi.ts"

/** The pool that a request asks for. */
export const find = Effect.fnUntraced(function* (key: string) {
  const registry = yield* PoolRegistry
  const entry = registry.entries().find((one) => one.key === key)
  if (entry !== undefined) return entry
  const pools = registry.entries().map((one) => one.key)
  return yield* new UnknownPool({
    detail: "No pool of this process has that name, or it has ended",
    pools: pools.slice(0, mostNamed)
  })
})

/** An answer to a mistake is no place for a thousand names. */
const mostNamed = 50

const summaryOf = ({ diagnosis, health, ...report }: PoolReport.PoolReport): PoolSummary => ({
  key: report.key,
  name: report.name,
  state: report.state,
  health: health.status,
  diagnosis,
  limit: report.limit,
  minConnections: report.minConnections,
  maxConnections: report.maxConnections,
  total_connections: report.total_connections,
  available_connections: report.available_connections,
  in_use_connections: report.in_use_connections,
  wait_queue_length: report.wait_queue_length,
  avg_wait_time_ms: report.avg_wait_time_ms,
  connections_created_total: report.connections_created_total,
  connections_closed_total: report.connections_closed_total
})

const reportOf = ({ key, pool }: Entry) => PoolReport.of(pool, key)

const list = Effect.gen(function* () {
  const registry = yield* PoolRegistry
  const { actions, isEnabled, reason } = yield* Access
  const reports = yield* Effect.forEach(registry.entries(), reportOf)
  return { pools: reports.map(summaryOf), actions: { isEnabled, names: actions, reason } }
})

const streamHeaders = { "cache-control": "no-store", "x-accel-buffering": "no" }

/** So often something is sent where nothing happens: whatever stands in between ends connections that are silent. */
const heartbeats = Stream.as(Stream.tick("15 seconds"), ": still here\n\n")

/** How often a stream looks whether its server is still there. */
const looksAtServer = Schedule.spaced("500 millis")

/**
 * Completes when the server has stopped to listen: it waits for its answers to end, a stream has no end of its own, and a deployment
 * would wait with it. Node tells it of the socket's server; where there is none, the routes' own end has to do.
 */
const serverCloses = ({ source }: HttpServerRequest.HttpServerRequest): Effect.Effect<void> =>
  Effect.suspend(() => (isClosing(source) ? Effect.void : Effect.fail("still listening"))).pipe(
    Effect.retry(looksAtServer),
    Effect.ignore
  )

const isClosing = (source: unknown): boolean =>
  hasProperty(source, "socket") &&
  hasProperty(source.socket, "server") &&
  hasProperty(source.socket.server, "listening") &&
  source.socket.server.listening === false

/** Answers with server-sent events that are text already, until the server or the routes are taken down. */
const eventStream = Effect.fnUntraced(function* (events: Stream.Stream<string>, closing: Effect.Effect<void>) {
  const request = yield* HttpServerRequest.HttpServerRequest
  // The first line goes out at once: a reader knows that it is connected, whether or not there is news.
  const alive = Stream.concat(
    Stream.succeed(": connected\n\n"),
    Stream.merge(events, heartbeats, { haltStrategy: "left" })
  )
  const ended = Effect.race(closing, serverCloses(request))
  return HttpServerResponse.stream(Stream.encodeText(Stream.interruptWhen(alive, ended)), {
    contentType: "text/event-stream",
    headers: streamHeaders
  })
})

/** How long news is gathered before it is sent, so that thousands of leases a second are some dozen messages. */
const gathering = "100 millis"

const followedFrom = ({ pool }: Entry, first: number): Stream.Stream<string> =>
  Stream.paginate(first, (sequence) =>
    Effect.gen(function* () {
      if (sequence > 0) {
        yield* ConnectionPool.awaitEvent(pool, sequence)
        yield* Effect.sleep(gathering)
      }
      const { state } = yield* ConnectionPool.status(pool)
      const { events, last, missed } = yield* ConnectionPool.eventsSince(pool, sequence)
      const lost: ReadonlyArray<string> =
        missed > 0 && events[0] !== undefined ? [missedText(events[0].event, missed)] : []
      const texts = events.map(({ event, sequence: id }) => sse("event", JSON.stringify(event), id))
      const isOver = state === "closed" && events.length === 0
      return [[...lost, ...texts], isOver ? Option.none<number>() : Option.some(last)] as const
    })
  )

const missedText = ({ at }: PoolEvent, count: number): string =>
  sse("event", JSON.stringify({ _tag: "EventsMissed", at, count } satisfies PoolEvent))

/** Where a reader goes on that was cut off; from the oldest fact that is kept, if it does not say. */
const lastEventId = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
  const given = Number(headers["last-event-id"] ?? 0)
  return Number.isSafeInteger(given) && given > 0 ? given : 0
})

/**
 * The group `pools` of an API that is `PoolApi`, under whatever prefix. No more than `maxWatchers` streams run at a time: each is a
 * socket and a fiber, and the next one is told to come back.
 */
export const layer = (api: typeof PoolApi, maxWatchers: number) => {
  let watchers = 0
  const enter = Effect.acquireRelease(
    Effect.suspend(() => {
      if (watchers >= maxWatchers) {
        return Effect.fail(new TooManyWatchers({ detail: `${maxWatchers} are watching already; try again later` }))
      }
      watchers++
      return Effect.void
    }),
    () => Effect.sync(() => watchers--)
  )
  return HttpApiBuilder.group(
    api,
    "pools",
    Effect.fnUntraced(function* (handlers) {
      const histories = yield* Histories
      const access = yield* Access
      return handlers
        .handle("list", () => Effect.provideService(list, Access, access))
        .handle("report", ({ params }) => Effect.flatMap(find(params.pool), reportOf))
        .handle("events", ({ params }) =>
          Effect.flatMap(find(params.pool), ({ pool }) => ConnectionPool.recentEvents(pool))
        )
        .handle("diagnostics", ({ params }) =>
          Effect.gen(function* () {
            const entry = yield* find(params.pool)
            const report = yield* reportOf(entry)
            const events = yield* ConnectionPool.recentEvents(entry.pool)
            return { report, events, history: yield* histories.history(entry) }
          })
        )
        .handleRaw("follow", ({ params }) =>
          Effect.gen(function* () {
            const entry = yield* find(params.pool)
            yield* enter
            return yield* eventStream(followedFrom(entry, yield* lastEventId), histories.closing)
          })
        )
        .handleRaw("watch", ({ params }) =>
          Effect.gen(function* () {
            const entry = yield* find(params.pool)
            yield* enter
            return yield* eventStream(yield* histories.watch(entry), histories.closing)
          })
        )
    })
  ).pipe(Layer.provide(Histories.layer))
}
