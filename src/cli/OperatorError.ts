/** What went wrong between the command line and a server, in words for whoever typed it. */
import * as CliError from "effect/cli/CliError"
import * as Data from "effect/Data"
import type * as HttpClientError from "effect/http/HttpClientError"
import { hasProperty, isString } from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import type * as Schema from "effect/Schema"
import { plain } from "./PlainText.ts"

/** 1: the server was asked and said no, or a value cannot be. 2: there is no answer. */
export type ExitCode = 1 | 2

/** One message, and the exit code of the command. */
export class OperatorError extends Data.TaggedError("OperatorError")<{
  readonly message: string
  readonly exitCode: ExitCode
}> {
  override get [CliError.userMessage](): string {
    return this.message
  }

  override get [Runtime.errorExitCode](): number {
    return this.exitCode
  }
}

/** A value on the command line cannot be. */
export const wrong = (message: string): OperatorError => new OperatorError({ message, exitCode: 1 })

/** There is no answer from there. */
export const noAnswer = (place: string, cause: string): OperatorError =>
  new OperatorError({ message: `cannot reach ${place}: ${cause}`, exitCode: 2 })

/** Something answered, and it is not this API. */
export const notTheApi = (place: string, what: string): OperatorError =>
  new OperatorError({
    message: `${place} answers, but not as effect-pool does (${what}): is this where the routes of PoolHttp are mounted?`,
    exitCode: 2
  })

const knownCodes: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be resolved now",
  ETIMEDOUT: "no answer in time",
  UND_ERR_CONNECT_TIMEOUT: "no answer in time",
  UND_ERR_HEADERS_TIMEOUT: "no answer in time",
  UND_ERR_BODY_TIMEOUT: "silent for too long",
  UND_ERR_SOCKET: "the connection was closed"
}

const codeOf = (error: unknown): string | undefined =>
  hasProperty(error, "code") && isString(error.code) ? error.code : undefined

/** `fetch` says "fetch failed" and hides the reason below; of many addresses, each with a reason of its own, the first. */
export const reasonOf = (error: unknown, depth: number = 0): string => {
  const code = codeOf(error)
  if (code !== undefined) return knownCodes[code] ?? `${messageOf(error)} (${code})`
  if (hasProperty(error, "errors") && Array.isArray(error.errors) && error.errors.length > 0 && depth < 8) {
    return reasonOf(error.errors[0], depth + 1)
  }
  if (hasProperty(error, "cause") && error.cause !== undefined && depth < 8) return reasonOf(error.cause, depth + 1)
  return messageOf(error)
}

const messageOf = (error: unknown): string =>
  hasProperty(error, "message") && isString(error.message) && error.message !== "" ? error.message : "unknown"

/** What an answer that is no success says of itself, as far as it says it. */
export interface Said {
  readonly title?: string | undefined
  readonly detail?: string | undefined
  readonly problems?: ReadonlyArray<string> | undefined
  readonly pools?: ReadonlyArray<string> | undefined
  readonly errors?:
    | ReadonlyArray<{ readonly path: ReadonlyArray<string | number>; readonly message: string }>
    | undefined
}

/** `title: detail`, and each problem on a line of its own. */
export const refusal = ({ detail, errors = [], pools, problems = [], title }: Said, advice?: string): OperatorError => {
  const head = [title, detail].filter((text) => text !== undefined && text !== "").map((text) => plain(text!))
  const named =
    pools === undefined ? [] : [pools.length === 0 ? "it has none" : `there are: ${pools.map(plain).join(", ")}`]
  const lines = [
    ...problems.map(plain),
    ...errors.map(({ message, path }) => plain(`${path.slice(1).join(".")}: ${message}`)),
    ...named,
    ...(advice === undefined ? [] : [advice])
  ]
  return new OperatorError({ message: [head.join(": "), ...lines.map((line) => `  ${line}`)].join("\n"), exitCode: 1 })
}

/** What the typed client fails with, apart from what the API declares. */
export type Fault = HttpClientError.HttpClientError | Schema.SchemaError

/** Nothing of a request is in it: neither a token, nor what an address may hold. */
export const faultOf = (place: string, fault: Fault): OperatorError => {
  if (fault._tag === "SchemaError") return notTheApi(place, "what it says is of another form")
  const { reason } = fault
  switch (reason._tag) {
    case "TransportError":
    case "InvalidUrlError":
    case "EncodeError":
      return noAnswer(place, plain(reasonOf(reason.cause ?? reason)))
    default: {
      // A body that ends in the middle comes as an answer that cannot be read, and is the connection's fault.
      const isBroken = hasProperty(reason.cause, "cause") && codeOf(reason.cause.cause) !== undefined
      if (isBroken) return noAnswer(place, plain(reasonOf(reason.cause)))
      const { status } = reason.response
      return notTheApi(place, status === 200 ? "what it says is of another form" : `status ${status}`)
    }
  }
}
