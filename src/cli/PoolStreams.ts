/** What a server streams of a pool: a frame each second, or every event. */
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Frame, History } from "../http/ConsoleFeed.ts"
import { PoolEvent } from "../PoolEvent.ts"
import { faultOf, noAnswer, notTheApi, type OperatorError, reasonOf, refusal } from "./OperatorError.ts"
import { plain } from "./PlainText.ts"
import type { PoolServer } from "./PoolServer.ts"

const Refusal = Schema.fromJsonString(
  Schema.Struct({
    title: Schema.String,
    detail: Schema.optionalKey(Schema.String),
    pools: Schema.optionalKey(Schema.Array(Schema.String))
  })
)

/** An answer that is no stream says why. */
const accepted = Effect.fnUntraced(function* (place: string, response: HttpClientResponse.HttpClientResponse) {
  if (response.status === 200) return response
  const said = yield* Effect.mapError(response.text, (fault) => faultOf(place, fault))
  return yield* Option.match(Schema.decodeUnknownOption(Refusal)(said), {
    onNone: () => notTheApi(place, `status ${response.status}`),
    onSome: (problem) => refusal(problem)
  })
})

/** Server-sent events, until the server ends them. Fails when they break off. */
const eventsOf = (
  { http, place }: PoolServer,
  path: string,
  lastEventId: number
): Stream.Stream<Sse.Event, OperatorError> => {
  const request = HttpClientRequest.get(path).pipe(
    HttpClientRequest.setHeader("accept", "text/event-stream"),
    lastEventId > 0 ? HttpClientRequest.setHeader("last-event-id", String(lastEventId)) : (same) => same
  )
  const response = http.execute(request).pipe(
    Effect.mapError((fault) => faultOf(place, fault)),
    Effect.flatMap((response) => accepted(place, response)),
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(silent(place)) })
  )
  return Stream.unwrap(
    Effect.map(response, ({ stream }) =>
      stream.pipe(
        Stream.decodeText,
        Stream.pipeThroughChannelOrFail(Sse.decode()),
        Stream.mapError((fault) => {
          if (fault instanceof Sse.Retry || fault instanceof Sse.SseError) return notTheApi(place, "an event too long")
          // Once it has begun, whatever ends a stream early is the way there.
          return fault._tag === "HttpClientError" ? noAnswer(place, plain(reasonOf(fault))) : fault
        })
      )
    )
  )
}

/** A frame comes each second: after so many without one the way there is dead, even if nobody has said so. */
const patience = "10 seconds"

const silent = (place: string): OperatorError => noAnswer(place, `silent for ${patience}`)

/** What the watch of a pool says. */
export type Watched =
  | { readonly _tag: "History"; readonly history: History }
  | { readonly _tag: "Frame"; readonly frame: Frame }
  | { readonly _tag: "Ended" }

const decodeHistory = Schema.decodeUnknownEffect(Schema.fromJsonString(History))
const decodeFrame = Schema.decodeUnknownEffect(Schema.fromJsonString(Frame))

const watched = ({ data, event }: Sse.Event): Effect.Effect<Option.Option<Watched>, Schema.SchemaError> => {
  if (event === "frame") return Effect.map(decodeFrame(data), (frame) => Option.some({ _tag: "Frame", frame }))
  if (event === "history")
    return Effect.map(decodeHistory(data), (history) => Option.some({ _tag: "History", history }))
  return Effect.succeed(event === "end" ? Option.some({ _tag: "Ended" }) : Option.none())
}

/** The pool's history, and then a frame each second. */
export const watch = (server: PoolServer, pool: string): Stream.Stream<Watched, OperatorError> =>
  eventsOf(server, `/pools/${encodeURIComponent(pool)}/watch`, 0).pipe(
    Stream.timeoutOrElse({ duration: patience, orElse: () => Stream.fail(silent(server.place)) }),
    Stream.mapEffect((event) => Effect.mapError(watched(event), (fault) => faultOf(server.place, fault))),
    Stream.filterMap(Result.fromOption(() => undefined))
  )

/** An event, and where to go on after it. `event` is absent if this version does not know its kind; `json` has it anyway. */
export interface Followed {
  readonly id: number
  readonly json: string
  readonly event: Option.Option<PoolEvent>
}

const decodeEvent = Schema.decodeUnknownOption(Schema.fromJsonString(PoolEvent))

/** Every event after that one, of those that are kept, and then as they come. Ends with the pool. */
export const follow = (server: PoolServer, pool: string, lastEventId: number): Stream.Stream<Followed, OperatorError> =>
  eventsOf(server, `/pools/${encodeURIComponent(pool)}/events/stream`, lastEventId).pipe(
    Stream.map(({ data, id }) => ({ id: Number(id ?? 0) || 0, json: data, event: decodeEvent(data) }))
  )
