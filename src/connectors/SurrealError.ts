/** What SurrealDB's SDK fails with, as one typed error: what was done, what kind of failure it is, and no value of anybody's. */
import { hasProperty, isNumber, isString } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { ServerError } from "surrealdb"
import type { FailureKind } from "../PoolError.ts"

/**
 * What an operation on a SurrealDB connection fails with. What is not known is absent.
 *
 * - `operation`: what was done. `text`: why it failed, in words. `cause`: the SDK's own error.
 * - `kind`: what the server calls it (`Validation`, `Query`, `NotAllowed`, `NotFound`, `AlreadyExists`, `Thrown`, `Internal` ...), or
 *   `Unreachable` (no server answers there), `Closed` (the connection is gone; of what was running nobody knows the outcome) or
 *   `Driver` (the SDK refuses).
 * - `detail`: what the server adds to it, such as `InvalidAuth`, `SessionExpired`, `TimedOut`, `TransactionConflict`.
 * - `code`: Node's or OpenSSL's code of a connection that could not be made.
 *
 * Values of parameters and credentials are replaced by `<hidden>`, in the message and in the cause.
 *
 * @category errors
 * @since 0.1.0
 */
export class SurrealDbError extends Schema.TaggedError<SurrealDbError>()("SurrealDbError", {
  operation: Schema.String,
  kind: Schema.String,
  detail: Schema.optionalKey(Schema.String),
  code: Schema.optionalKey(Schema.String),
  text: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `SurrealDB: ${this.operation}: ${this.text}`
  }
}

const hidden = "<hidden>"

/** A shorter one is found in half of all words. */
const shortestHidden = 3

/** Of so many values nobody looks for each one: then the whole text is hidden. */
const mostValues = 1000

/** The texts of the values that somebody has given, the longest first: one may be a part of another. */
const textsOf = (values: unknown): ReadonlyArray<string> => {
  const texts = new Set<string>()
  const gather = (value: unknown, depth: number): void => {
    if (texts.size > mostValues) return
    if (isString(value) || isNumber(value) || typeof value === "bigint") texts.add(String(value))
    else if (typeof value === "object" && value !== null && depth < 5) {
      if (!Array.isArray(value)) texts.add(wordOf(value))
      for (const part of Object.values(value)) gather(part, depth + 1)
      // A getter of the SDK's record ids.
      if (hasProperty(value, "id")) gather(value.id, depth + 1)
    }
  }
  gather(values, 0)
  return [...texts].filter((text) => text.length >= shortestHidden).sort((a, b) => b.length - a.length)
}

/** The SDK's own values (record ids, dates, decimals) are written in one word; of a plain object this is never a part of a text. */
const wordOf = (value: object): string =>
  Result.getOrElse(
    Result.try(() => (value as { readonly toString: () => string }).toString()),
    () => ""
  )

/** The same text with none of the values in it. */
const without = (text: string, values: unknown): string => {
  const texts = textsOf(values)
  if (texts.length > mostValues) return hidden
  return texts.reduce((shown, value) => shown.replaceAll(value, hidden), text)
}

/** The innermost word of what a server adds: `{ kind: "Auth", details: { kind: "SessionExpired" } }`. */
const innermostKind = (details: unknown, depth = 0): string | undefined => {
  if (depth > 4 || !hasProperty(details, "kind") || !isString(details.kind)) return undefined
  return (hasProperty(details, "details") ? innermostKind(details.details, depth + 1) : undefined) ?? details.kind
}

const codeOf = (error: unknown): string | undefined => {
  for (let current = error, depth = 0; depth < 4; depth++) {
    if (hasProperty(current, "code") && isString(current.code)) return current.code
    if (!hasProperty(current, "cause")) return undefined
    current = current.cause
  }
  return undefined
}

/** Up to 3.0 the server says only in words that a transaction met another one. */
const conflictWords = /transaction can be retried|transaction conflict/i

/** The SDK's errors by their names: its classes are not all exported, and there may be two copies of the package. */
const closedNames = new Set(["CallTerminatedError", "ConnectionUnavailableError", "InvalidSessionError"])

const kindOf = (error: unknown): { readonly kind: string; readonly detail?: string } => {
  if (error instanceof ServerError) {
    const said = conflictWords.test(error.message) ? "TransactionConflict" : innermostKind(error.details)
    return { kind: error.kind, ...(said === undefined ? {} : { detail: said }) }
  }
  const name = hasProperty(error, "name") && isString(error.name) ? error.name : "Error"
  if (closedNames.has(name)) return { kind: "Closed", detail: name }
  return { kind: name === "UnexpectedConnectionError" ? "Unreachable" : "Driver", detail: name }
}

/** What an SDK's error says of why: that of a connection keeps the reason in its cause, as an error or as a text. */
const wordsOf = (error: unknown): string => {
  if (hasProperty(error, "name") && error.name === "UnexpectedConnectionError" && hasProperty(error, "cause")) {
    return wordsOf(error.cause)
  }
  return error instanceof Error ? error.message : String(error)
}

/** An SDK's error as ours. `values` are what must not be read in it. */
export const fromDriver = (operation: string, error: unknown, values?: unknown): SurrealDbError => {
  if (error instanceof SurrealDbError) return error
  const words = wordsOf(error)
  const text = without(words, values)
  const code = codeOf(error)
  return new SurrealDbError({
    operation,
    ...kindOf(error),
    ...(code === undefined ? {} : { code }),
    text,
    // Logs print causes too. What is left out here is a stack inside the SDK.
    ...(text === words && !hasHidden(error, values) ? { cause: error } : {})
  })
}

/** Whether an error keeps one of the values in something else than its message, such as the server's details. */
const hasHidden = (error: unknown, values: unknown): boolean => {
  const texts = textsOf(values)
  if (texts.length === 0) return false
  if (texts.length > mostValues) return true
  const holds = (part: unknown, depth: number): boolean => {
    if (isString(part)) return texts.some((text) => part.includes(text))
    if (isNumber(part)) return texts.includes(String(part))
    if (typeof part !== "object" || part === null || depth > 5) return false
    return Object.getOwnPropertyNames(part).some(
      (name) => name !== "stack" && holds((part as Record<string, unknown>)[name], depth + 1)
    )
  }
  return holds(error, 0)
}

/** The connection is gone, with whatever was running on it. */
export const closed = (operation: string): SurrealDbError =>
  new SurrealDbError({ operation, kind: "Closed", text: "the connection is closed" })

/**
 * Whether a transaction failed because another one has written the same records: nothing of it was done, and to run it again may
 * help.
 *
 * **Example** (Whether to run a transaction again)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as SurrealDb from "effect-pool/SurrealDb"
 *
 * const error = new SurrealDb.SurrealDbError({
 *   operation: "commit",
 *   kind: "Query",
 *   detail: "TransactionConflict",
 *   text: "Transaction conflict: this transaction can be retried"
 * })
 *
 * const program = Effect.sync(() => SurrealDb.isConflict(error)) // => true
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isConflict = (error: unknown): error is SurrealDbError =>
  error instanceof SurrealDbError && error.detail === "TransactionConflict"

const permanentKinds = new Set(["NotAllowed", "NotFound", "Validation", "Configuration", "Driver"])

/** Certificates that will not become right by trying again (Node's `tls` and OpenSSL's verification codes). */
const isTlsCode = (code: string): boolean =>
  /^(ERR_TLS_|ERR_SSL_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/.test(code)

/** What kind of failure it is that no connection could be made. */
export const classify = ({ code = "", kind, text }: SurrealDbError): FailureKind => {
  // What `ws` says of a server that does not let us speak its protocol.
  const status = /^Unexpected server response: (\d+)/.exec(text)?.[1]
  if (status !== undefined) {
    return status === "429" || status === "503" ? "overloaded" : status.startsWith("4") ? "permanent" : "transient"
  }
  if (isTlsCode(code) || permanentKinds.has(kind)) return "permanent"
  // A token that is none: 3.0 calls it internal.
  return kind === "Internal" && /InvalidToken|InvalidAuth/.test(text) ? "permanent" : "transient"
}

const fatalDetails = new Set(["SessionExpired", "TokenExpired", "Session"])

/** Whether a connection is of no use any more after this. */
export const isFatal = (error: unknown): boolean =>
  error instanceof SurrealDbError &&
  (error.kind === "Closed" || error.kind === "Unreachable" || fatalDetails.has(error.detail ?? ""))
