/** What goes wrong with a Redis server, in one type that has no secret in it. */
import { hasProperty, isString } from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { FailureKind } from "../PoolError.ts"

/**
 * A command that the server refused, or a connection that could not be made or was lost.
 *
 * - `code`: the first word of the server's answer (`WRONGTYPE`, `OOM`, `NOAUTH` ...), Node's code of a network or TLS error
 *   (`ECONNREFUSED` ...), `CLOSED` for a connection that ended without one, `UNKNOWN` for what is thrown inside `use`.
 * - `command`: its name. Its arguments are not kept: a password may be among them. Absent for a connection that could not be made.
 * - `message`: what the server or the driver says.
 *
 * @category errors
 * @since 0.1.0
 */
export class RedisError extends Schema.TaggedError<RedisError>()("RedisError", {
  code: Schema.String,
  message: Schema.String,
  command: Schema.optional(Schema.String)
}) {}

/**
 * A transaction was not executed, since a key that it watched has changed. Nothing of it was done: it can be tried again.
 *
 * @category errors
 * @since 0.1.0
 */
export class WatchConflict extends Schema.TaggedError<WatchConflict>()("WatchConflict", {}) {
  override get message(): string {
    return "a watched key has changed: the transaction was not executed"
  }
}

/** The server has answered, if not as one would like. */
export const isReply = (error: unknown): error is Error => error instanceof Error && error.name === "ReplyError"

/** The driver's words for a connection that has ended; why it has, it tells somebody else. */
const isClosed = (error: unknown): boolean =>
  error === undefined ||
  (error instanceof Error &&
    (error.message === "Connection is closed." ||
      error.message.startsWith("Stream isn't writeable") ||
      error.name === "AbortError"))

/** Happy Eyeballs has one error for each address, and no words of its own. */
const wordsOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== "") return error.message
  return hasProperty(error, "errors") && Array.isArray(error.errors) ? wordsOf(error.errors[0]) : error.name
}

/**
 * The driver's error as ours.
 *
 * @param lost why the connection ended, if it did and said so: the driver's own error never does.
 */
export const toRedisError = (error: unknown, lost: unknown, command?: string): RedisError => {
  const about = command === undefined ? {} : { command }
  if (isReply(error)) {
    const [code = "ERR"] = error.message.split(" ", 1)
    return new RedisError({ code: /^[A-Z]+$/.test(code) ? code : "ERR", message: error.message, ...about })
  }
  if (!isClosed(error)) {
    // Somebody's own failure inside `use`, or a mistake in what the driver was given: the connection has no part in it.
    const code = hasProperty(error, "code") && isString(error.code) ? error.code : "UNKNOWN"
    return new RedisError({ code, message: wordsOf(error), ...about })
  }
  if (isReply(lost)) return toRedisError(lost, undefined, command)
  if (lost === undefined) {
    return new RedisError({ code: "CLOSED", message: "the connection to the server was closed", ...about })
  }
  const code = hasProperty(lost, "code") && isString(lost.code) ? lost.code : "CLOSED"
  return new RedisError({ code, message: wordsOf(lost), ...about })
}

/** Credentials, rights and protocols that will not become right by trying again. */
const permanentCodes = new Set(["NOAUTH", "WRONGPASS", "NOPERM", "NOPROTO", "DENIED"])

/** Certificates that will not become right by trying again (Node's `tls` and OpenSSL's verification codes). */
const isTlsCode = (code: string): boolean =>
  /^(ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/.test(code)

/** Refusals that have no code of their own. */
const isPermanentRefusal = (message: string): boolean =>
  /^ERR (DB index is out of range|invalid DB index|invalid password|AUTH|Client sent AUTH)/i.test(message)

export const classify = ({ code, message }: RedisError): FailureKind => {
  if (message.includes("max number of clients")) return "overloaded"
  return permanentCodes.has(code) || isTlsCode(code) || isPermanentRefusal(message) ? "permanent" : "transient"
}

/**
 * The server behind the connection is no longer the one to talk to: it is a replica now, has lost its master or its cluster,
 * or does not know the session any more.
 */
const lostServerCodes = new Set(["READONLY", "MASTERDOWN", "CLUSTERDOWN", "FAILOVER", "NOAUTH"])

/** Node's codes and `CLOSED`; the server's own are words. */
const isNetworkCode = (code: string): boolean =>
  /^(CLOSED$|EPIPE$|EPROTO$|ECONN|ENOTCONN|ETIMEDOUT|EHOST|ENET|ERR_)/.test(code)

export const isFatal = (error: unknown): boolean => {
  if (!(error instanceof RedisError)) return false
  const { code, message } = error
  if (code === "UNBLOCKED") return message.includes("instance state changed")
  return lostServerCodes.has(code) || isNetworkCode(code)
}
