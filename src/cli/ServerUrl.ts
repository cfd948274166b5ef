/** Where a server's routes are mounted, and what is sent there to say who asks. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { type OperatorError, wrong } from "./OperatorError.ts"
import { plain } from "./PlainText.ts"

/** A server: `base` is sent to, and `place` is shown. `authorization` is the header's value. */
export interface ServerUrl {
  readonly base: string
  readonly place: string
  readonly authorization: Option.Option<Redacted.Redacted>
}

const parse = (text: string): Option.Option<URL> => {
  const trimmed = text.trim()
  // Whoever types `localhost:9464` means a host, which a URL takes for a scheme.
  const written = /^[a-z][a-z\d+.-]*:\/\//i.test(trimmed) ? trimmed : `http://${trimmed}`
  const url = URL.canParse(written) ? new URL(written) : undefined
  return url !== undefined && /^https?:$/.test(url.protocol) && url.hostname !== "" ? Option.some(url) : Option.none()
}

/** What is typed may hold a password: nothing before an `@` is shown. */
const shown = (text: string): string => plain(text.replace(/^([a-z][a-z\d+.-]*:\/\/)?.*@/i, "$1***@"))

const isLoopback = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host)

const decoded = (text: string): string =>
  Result.getOrElse(
    Result.try(() => decodeURIComponent(text)),
    () => text
  )

const basic = ({ password, username }: URL): Option.Option<Redacted.Redacted> =>
  username === "" && password === ""
    ? Option.none()
    : Option.some(Redacted.make(`Basic ${Encoding.encode(`${decoded(username)}:${decoded(password)}`)}`))

/** Read when it is needed and from nowhere else: what stands on a command line is seen by everyone on the machine. */
const token = Config.option(Config.Redacted("EFFECT_POOL_TOKEN"))

/** A page, a list or a slash at the end of a pasted address is not part of where the routes are mounted. */
const pathOf = ({ pathname }: URL): string =>
  pathname
    .replace(/\/+$/, "")
    .replace(/\/(console|pools|health|metrics|openapi\.json)$/, "")
    .replace(/\/+$/, "")

/**
 * Reads the address as it is typed, and the token from `EFFECT_POOL_TOKEN`. Fails if the address is none, or if a secret would cross
 * a network where others can read it, unless `isInsecure` says that they may.
 */
export const read = Effect.fnUntraced(function* (
  written: string,
  isInsecure: boolean
): Effect.fn.Return<ServerUrl, OperatorError> {
  const found = parse(written)
  if (Option.isNone(found)) {
    return yield* wrong(
      `<url>: got ${shown(written)}, expected where the routes are mounted, as in http://127.0.0.1:9464`
    )
  }
  const url = found.value
  const place = `${url.protocol}//${url.host}${pathOf(url)}`
  const given = yield* Effect.mapError(token, () => wrong("EFFECT_POOL_TOKEN cannot be read"))
  const bearer = Option.map(
    Option.filter(given, (value) => Redacted.value(value).trim() !== ""),
    (value) => Redacted.make(`Bearer ${Redacted.value(value).trim()}`)
  )
  const login = basic(url)
  if (Option.isSome(bearer) && Option.isSome(login)) {
    return yield* wrong(
      `${place}: a user name in the address and EFFECT_POOL_TOKEN both want to be the Authorization header; use one of them`
    )
  }
  const authorization = Option.orElse(bearer, () => login)
  if (Option.isSome(authorization) && url.protocol === "http:" && !isLoopback(url.hostname) && !isInsecure) {
    const what = Option.isSome(bearer) ? "EFFECT_POOL_TOKEN" : "the password"
    return yield* wrong(
      `${place}: ${what} is not sent over plain http, where others can read it. Use https or a tunnel; --insecure sends it all the same.`
    )
  }
  if (Option.exists(authorization, (value) => /[^\x21-\x7e ]/.test(Redacted.value(value)))) {
    return yield* wrong("EFFECT_POOL_TOKEN has characters that no header can have")
  }
  return { base: place, place: plain(place), authorization }
})
