/**
 * Why a connect failed, as one of few labels, by the codes that Node, TLS and the databases give their errors.
 */
import { hasProperty, isString } from "effect/Predicate"
import type { FailureKind, FailureReason } from "../PoolError.ts"

const byCode: ReadonlyArray<readonly [RegExp, FailureReason]> = [
  [/^(53300|53400|ER_CON_COUNT_ERROR|ER_TOO_MANY_USER_CONNECTIONS|ER_USER_LIMIT_REACHED)$/, "too_many_connections"],
  [
    /^(28P01|28000|3D000|ER_ACCESS_DENIED_ERROR|ER_DBACCESS_DENIED_ERROR|WRONGPASS|NOAUTH|AuthenticationError)$/,
    "auth"
  ],
  [/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|HOSTNAME_MISMATCH|ERR_OSSL)/, "tls"],
  [/^(ENOTFOUND|EAI_|ENODATA|ESERVFAIL)/, "dns"],
  [/^(ECONNREFUSED|ENOENT|EACCES|EHOSTUNREACH|ENETUNREACH)$/, "refused"],
  [/^(ETIMEDOUT|ESOCKETTIMEDOUT|CONNECT_TIMEOUT|TimeoutError|UND_ERR_CONNECT_TIMEOUT)$/, "timeout"],
  [/^(ECONNRESET|EPIPE|ECONNABORTED|PROTOCOL_CONNECTION_LOST|ERR_SOCKET_CLOSED)$/, "reset"]
]

/** Drivers that have no code for it say it in words. */
const byWord: ReadonlyArray<readonly [RegExp, FailureReason]> = [
  [/too many (connections|clients)|remaining connection slots/i, "too_many_connections"],
  [/authentication failed|access denied|password/i, "auth"],
  [/\bTLS\b|\bSSL\b|certificate/, "tls"],
  [/ENOTFOUND|EAI_AGAIN|getaddrinfo/, "dns"],
  [/ECONNREFUSED|connection refused/i, "refused"],
  [/ETIMEDOUT|timed? ?out|no answer within/i, "timeout"],
  [/ECONNRESET|connection (closed|reset|terminated)|socket hang up/i, "reset"]
]

const lookUp = (table: typeof byCode, texts: ReadonlyArray<string>): FailureReason | undefined => {
  for (const [pattern, reason] of table) if (texts.some((text) => pattern.test(text))) return reason
  return undefined
}

/** How deep the causes of an error are followed. */
const deepest = 6

const codesOf = (error: unknown, depth = 0): ReadonlyArray<string> => {
  if (depth > deepest || typeof error !== "object" || error === null) return []
  const codes = ["code", "_tag", "name"].flatMap((key) =>
    hasProperty(error, key) && isString(error[key]) ? [error[key]] : []
  )
  const beneath = ["reason", "cause"].map((key) => (hasProperty(error, key) ? error[key] : undefined))
  const several = hasProperty(error, "errors") && Array.isArray(error.errors) ? [error.errors[0] as unknown] : []
  return [...codes, ...[...beneath, ...several].flatMap((one) => codesOf(one, depth + 1))]
}

export const reasonFor = (error: unknown, kind: FailureKind, message: string): FailureReason => {
  if (kind === "overloaded") return "too_many_connections"
  return lookUp(byCode, codesOf(error)) ?? lookUp(byWord, [message]) ?? "other"
}
