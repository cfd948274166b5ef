/** Who may read, and who may act. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as ByteSize from "effect/ByteSize"
import { type ActionName, actionNames, Forbidden, Operating, Reading, Unauthorized } from "./PoolApi.ts"

/**
 * What an `authorize` hook is asked about.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asked {
  /** What is to be done. */
  readonly action: ActionName
  /** The pool's key, as it stands in the path. */
  readonly pool: string
  /** The request, for its headers. */
  readonly request: HttpServerRequest.HttpServerRequest
}

/**
 * Who may read and act.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Switches the operator actions on, for whoever brings it: `Authorization: Bearer <token>`. Without it they answer 403. */
  readonly token?: Redacted.Redacted | undefined
  /** Asks for this token, or `token`, before anything but the page itself is read. Default: everybody who gets here may read. */
  readonly readToken?: Redacted.Redacted | undefined
  /** The actions that there are, where a token switches them on. Default: all. */
  readonly actions?: ReadonlyArray<ActionName> | undefined
  /**
   * Asked before each action: whoever it is that asks, for the event and the log; or a failure with `Forbidden`. Default: "operator".
   */
  readonly authorize?: ((asked: Asked) => Effect.Effect<string, Forbidden>) | undefined
}

/** The options, for those who answer requests. */
export class Access extends Context.Service<
  Access,
  {
    readonly mayRead: Effect.Effect<void, Unauthorized, HttpServerRequest.HttpServerRequest>
    readonly isEnabled: boolean
    readonly actions: ReadonlyArray<ActionName>
    readonly reason: string | null
  }
>()("effect-pool/http/Access") {}

/** Whoever has asked for the action that is running. */
export const Actor: Context.Reference<string> = Context.Reference("effect-pool/http/Actor", {
  defaultValue: () => "operator"
})

/** Takes as long for a token that is wrong at its first letter as for one that is wrong at its last. */
const isSame = (given: string, wanted: Redacted.Redacted): boolean => {
  const encoder = new TextEncoder()
  const one = encoder.encode(given)
  const other = encoder.encode(Redacted.value(wanted))
  let difference = one.length ^ other.length
  for (let place = 0; place < other.length; place++) difference |= (one[place] ?? 0) ^ other[place]!
  return difference === 0 && other.length > 0
}

const bearer = ({ headers }: HttpServerRequest.HttpServerRequest): string | undefined =>
  /^bearer +(.+)$/i.exec(headers["authorization"] ?? "")?.[1]?.trim()

/** A page of another site may make a browser send requests: what a browser says of itself tells them apart. */
const isFromElsewhere = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const site = headers["sec-fetch-site"]
  if (site !== undefined) return site !== "same-origin" && site !== "none"
  const { origin } = headers
  return origin !== undefined && origin.replace(/^https?:\/\//, "") !== headers["host"]
}

const actionOf = (identifier: string): Option.Option<ActionName> =>
  Option.fromUndefinedOr(actionNames.find((name) => name === identifier))

/** An action is a few words; whoever sends more has something else in mind. */
const mostBytes = ByteSize.kibibytes(16)

const problem = (status: number, title: string, detail: string): HttpServerResponse.HttpServerResponse =>
  ProblemDetails.toResponse({ type: "about:blank", status, title, detail })

/** A body of another type is refused before anybody looks at it, and in plain words. */
const asProblem = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
  response.status === 415 ? problem(415, "Unsupported Media Type", "Send JSON") : response

const tooLarge = problem(413, "Content Too Large", `Send no more than ${ByteSize.format(mostBytes)}`)

const isTooLarge = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) &&
  error.reason._tag === "RequestParseError" &&
  error.reason.reason === "BodyTooLarge"

export const layer = (options: Options): Layer.Layer<Access | Reading | Operating> => {
  const { authorize, readToken, token } = options
  const actions = options.actions ?? actionNames
  const isEnabled = token !== undefined && actions.length > 0
  const mayRead = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    if (readToken === undefined) return Effect.void
    const given = bearer(request)
    const isKnown = given !== undefined && (isSame(given, readToken) || (token !== undefined && isSame(given, token)))
    return isKnown ? Effect.void : Effect.fail(new Unauthorized({ detail: "Reading asks for a token here" }))
  })
  const access = Layer.succeed(Access, {
    mayRead,
    isEnabled,
    actions: isEnabled ? actions : [],
    reason: isEnabled ? null : "Operator actions are switched off: no token is configured"
  })
  const reading = Layer.succeed(Reading, (effect) => Effect.andThen(mayRead, effect))

  const permitted = Effect.fnUntraced(function* (identifier: string, credential: Redacted.Redacted) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const action = actionOf(identifier)
    if (token === undefined) {
      return yield* new Forbidden({ detail: "Operator actions are switched off: no token is configured" })
    }
    if (isFromElsewhere(request)) {
      return yield* new Forbidden({ detail: "The request comes from a page of another site" })
    }
    if (!isSame(Redacted.value(credential), token)) {
      return yield* new Unauthorized({ detail: "The bearer token is missing or wrong" })
    }
    if (Option.isNone(action) || !actions.includes(action.value)) {
      return yield* new Forbidden({ detail: `The action ${identifier} is switched off` })
    }
    return authorize === undefined
      ? "operator"
      : yield* authorize({ action: action.value, pool: (yield* HttpRouter.params)["pool"] ?? "", request })
  })
  const operating = Layer.succeed(Operating, {
    bearer: (effect, { credential, endpoint }) =>
      Effect.flatMap(permitted(endpoint.identifier, credential), (actor) =>
        effect.pipe(
          Effect.map(asProblem),
          // Reading the body is a defect where it fails.
          Effect.catchDefect((defect) => (isTooLarge(defect) ? Effect.succeed(tooLarge) : Effect.die(defect))),
          Effect.provideService(Actor, actor),
          Effect.provideService(HttpIncomingMessage.MaxBodySize, mostBytes)
        )
      )
  })
  return Layer.mergeAll(access, reading, operating)
}
