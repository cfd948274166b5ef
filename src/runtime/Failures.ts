import * as Cause from "effect/Cause"
import { hasProperty, isError, isString } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type ConnectFailure, FailureKind, FailureReason } from "../PoolError.ts"
import type { BoundConnector } from "./BoundConnector.ts"
import { reasonFor } from "./FailureReasons.ts"
import { presentable, redacted } from "./Redaction.ts"

/** A failed attempt to connect, with the connector's own error. */
export interface Failure {
  readonly kind: FailureKind
  readonly reason: FailureReason
  readonly message: string
  readonly cause: unknown
  /** Wall time in milliseconds. */
  readonly at: number
}

const textOf = (error: unknown): string | undefined => {
  if (isError(error) && isString(error.message) && error.message !== "") return error.message
  return hasProperty(error, "code") && isString(error.code) ? error.code : undefined
}

const beneath = (error: unknown): unknown => {
  if (hasProperty(error, "reason")) return error.reason
  if (hasProperty(error, "cause")) return error.cause
  // Node's "happy eyeballs" connect reports one error per address.
  return hasProperty(error, "errors") && Array.isArray(error.errors) ? error.errors[0] : undefined
}

/** From the outside in: a driver's own words say what it did, the deepest ones say what happened. */
const describe = (error: unknown): string =>
  // A stranger's error may be anything: without a prototype, with getters that throw.
  Result.getOrElse(
    Result.try(() => textsOf(error)),
    () => "an error that cannot be shown"
  )

const textsOf = (error: unknown): string => {
  const texts: Array<string> = []
  let current: unknown = error
  for (let depth = 0; depth < 6 && current !== undefined; depth++) {
    const text = textOf(current)
    if (text !== undefined && !texts.some((other) => other.includes(text))) texts.push(text)
    current = beneath(current)
  }
  return texts.length > 0 ? texts.join(": ") : String(error)
}

/** Only errors of the connector's own type are its to classify; anything else, and no answer, may pass by itself. */
const kindOf = <A>({ classify }: BoundConnector<A>, cause: Cause.Cause<unknown>): FailureKind => {
  const fail = cause.reasons.find(Cause.isFailReason)
  if (classify === undefined || fail === undefined) return "transient"
  const answer = Result.try(() => classify(fail.error))
  return Result.isSuccess(answer) && isFailureKind(answer.success) ? answer.success : "transient"
}

const isFailureKind = Schema.is(FailureKind)

export const failureOf = <A>(connector: BoundConnector<A>, cause: Cause.Cause<unknown>, at: number): Failure => {
  const error = Cause.squash(cause)
  const kind = kindOf(connector, cause)
  const text = describe(error)
  // A stranger's error may be anything: what cannot be looked into has no code either.
  const reason = Result.getOrElse(
    Result.try(() => reasonFor(error, kind, text)),
    (): FailureReason => "other"
  )
  return { kind, reason, message: redacted(text), cause: shown(error), at }
}

/** What cannot be looked into may have a secret in it, and is not handed on. */
const shown = (error: unknown): unknown =>
  Result.getOrElse(
    Result.try(() => presentable(error)),
    () => new Error("an error that cannot be shown")
  )

/** How many different failures of an outage are remembered. */
const remembered = 5

const zeros = (): Record<FailureReason, number> =>
  Object.fromEntries(FailureReason.literals.map((reason) => [reason, 0])) as Record<FailureReason, number>

/** The failed attempts to connect since the last success, by what they said. */
export class FailureLog {
  /** How many attempts failed, and how many were made after a failure, for which reason, since the pool was made. */
  readonly failed: Record<FailureReason, number> = zeros()
  readonly retried: Record<FailureReason, number> = zeros()
  private failures: Array<{ readonly failure: Failure; readonly count: number }> = []

  /** The last one, if connects fail now. */
  get last(): Failure | undefined {
    return this.failures.at(-1)?.failure
  }

  note(failure: Failure): void {
    const { kind, message, reason } = failure
    this.failed[reason]++
    const same = this.failures.find((other) => other.failure.kind === kind && other.failure.message === message)
    const others = this.failures.filter((other) => other !== same)
    this.failures = [...others.slice(1 - remembered), { failure, count: (same?.count ?? 0) + 1 }]
  }

  /** An attempt is made because of the last failure. */
  noteRetry(): void {
    this.retried[this.last?.reason ?? "other"]++
  }

  clear(): void {
    this.failures = []
  }

  /** Each with how often it was met; the last one last. */
  get reasons(): ReadonlyArray<ConnectFailure> {
    return this.failures.map(({ count, failure }) => toConnectFailure(failure, count, undefined))
  }
}

/** What is to be said of an outage in which connects succeed. */
export const endedEarly = "connections end as soon as they are open"

/** The failure as it stands in errors and status. */
export const toConnectFailure = (
  { at, kind, message, reason }: Pick<Failure, "at" | "kind" | "message" | "reason">,
  attempts: number,
  retryInMillis: number | undefined
): ConnectFailure => ({
  kind,
  reason,
  message,
  at,
  attempts,
  ...(retryInMillis === undefined ? {} : { retryInMillis: Math.max(0, Math.round(retryInMillis)) })
})
