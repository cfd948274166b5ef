/** A server with pools, as the command line talks to it. */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { PoolApi } from "../http/PoolApi.ts"
import { type Fault, faultOf, noAnswer, type OperatorError, refusal, type Said } from "./OperatorError.ts"
import { plain } from "./PlainText.ts"
import type { ServerUrl } from "./ServerUrl.ts"

/** What the API declares, and what may happen on the way. */
type Failure = Fault | (Said & { readonly _tag: string })

const isFault = (failure: Failure): failure is Fault =>
  failure._tag === "HttpClientError" || failure._tag === "SchemaError"

const adviceFor: Readonly<Record<string, string>> = {
  Unauthorized: "the token is read from the environment: EFFECT_POOL_TOKEN=... effect-pool ..."
}

/** The API's failures as one message. */
const inWords =
  (place: string) =>
  (failure: Failure): OperatorError =>
    isFault(failure) ? faultOf(place, failure) : refusal(failure, adviceFor[failure._tag])

/** A server that takes a connection and then says nothing is as good as none. What is done may take longer than what is read. */
const patience = { reading: "10 seconds", acting: "2 minutes" } as const

/** The answer, or `OperatorError` in words. */
const asked =
  (place: string, duration: (typeof patience)[keyof typeof patience]) =>
  <A, E extends Failure, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, OperatorError, R> =>
    request.pipe(
      Effect.mapError(inWords(place)),
      Effect.timeoutOrElse({
        duration,
        orElse: () => Effect.fail(noAnswer(place, `no answer within ${duration}`))
      })
    )

const withAuthorization = ({ authorization }: ServerUrl) =>
  Option.match(authorization, {
    onNone: () => (client: HttpClient.HttpClient) => client,
    onSome: (value) => HttpClient.mapRequest(HttpClientRequest.setHeader("authorization", Redacted.value(value)))
  })

/** The typed client, and the plain one for what is streamed; both say who asks. */
export const connect = Effect.fn("effect-pool.connect")(function* (url: ServerUrl) {
  const { base, place } = url
  const http = HttpClient.mapRequest(yield* HttpClient.HttpClient, HttpClientRequest.prependUrl(base))
  const client = yield* HttpApiClient.make(PoolApi, { baseUrl: base, transformClient: withAuthorization(url) })
  const ask = asked(place, patience.reading)
  return {
    place,
    http: withAuthorization(url)(http),
    act: asked(place, patience.acting),
    actions: client.actions,
    list: ask(client.pools.list()),
    report: (pool: string) => ask(client.pools.report({ params: { pool } })),
    events: (pool: string) => ask(client.pools.events({ params: { pool } })),
    /** The same with what the server has said, word by word. */
    listAsSaid: ask(client.pools.list({ responseMode: "decoded-and-response" }).pipe(Effect.flatMap(asSaid))),
    reportAsSaid: (pool: string) =>
      ask(client.pools.report({ params: { pool }, responseMode: "decoded-and-response" }).pipe(Effect.flatMap(asSaid)))
  }
})

/** A server, with what it can be asked. */
export type PoolServer = Effect.Success<ReturnType<typeof connect>>

const asSaid = <A>([value, response]: readonly [A, HttpClientResponse.HttpClientResponse]) =>
  Effect.map(response.json, (said) => ({ value, json: JSON.stringify(said) }))

/** The pool that is meant: the one that is named, or the only one. */
export const chosen = Effect.fnUntraced(function* (server: PoolServer, named: Option.Option<string>) {
  if (Option.isSome(named)) return named.value
  const { pools } = yield* server.list
  const [first] = pools
  if (pools.length === 1) return first!.key
  return yield* pools.length === 0
    ? refusal({ title: `${server.place} has no pools` })
    : refusal({
        title: "say which pool",
        detail: `${server.place} has ${pools.length}`,
        problems: pools.slice(0, 50).map(({ key }) => plain(key))
      })
})
