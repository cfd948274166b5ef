/** Who one is for a server, and the secrets in that. */
import * as Effect from "effect/Effect"
import { isObject, isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { AnyAuth } from "surrealdb"
import { SurrealDbError } from "./SurrealError.ts"

export type Secret = string | Redacted.Redacted

/**
 * Who one is for the server.
 *
 * - `username` and `password`: a system user, of a database if `namespace` and `database` are given, of a namespace if only that
 *   is, else of the root. With `access`, by that access method.
 * - `access` and `variables`: a record user, in the connector's namespace and database unless others are given.
 * - `access` and `key`: a bearer key.
 * - a redacted text: a token.
 *
 * @category models
 * @since 0.1.0
 */
export type Credentials =
  | {
      readonly username: string
      readonly password: Secret
      readonly namespace?: string | undefined
      readonly database?: string | undefined
      readonly access?: string | undefined
    }
  | {
      readonly access: string
      readonly variables: Readonly<Record<string, unknown>>
      readonly namespace?: string | undefined
      readonly database?: string | undefined
    }
  | {
      readonly access: string
      readonly key: Secret
      readonly namespace?: string | undefined
      readonly database?: string | undefined
    }
  | Redacted.Redacted

export const isPlainObject = (u: unknown): u is Readonly<Record<string, unknown>> =>
  isObject(u) && Object.getPrototypeOf(u) === Object.prototype

export const reveal = (secret: Secret): string => (isString(secret) ? secret : Redacted.value(secret))

/** What the SDK takes: without the wrappers of secrets, and without what is not given. */
const revealed = (credentials: Credentials): AnyAuth | string => {
  if (Redacted.isRedacted(credentials)) return Redacted.value(credentials)
  const plain = (value: unknown): unknown =>
    Redacted.isRedacted(value)
      ? Redacted.value(value)
      : isPlainObject(value)
        ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]))
        : value
  const given = Object.entries(credentials).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([key, value]) => [key, plain(value)])) as unknown as AnyAuth
}

/** The credentials, or the effect that gives them, as an effect that the SDK asks for its own. */
export const authenticationOf = (
  given: Credentials | Effect.Effect<Credentials, unknown> | undefined
): Effect.Effect<AnyAuth | string, SurrealDbError> | undefined => {
  if (given === undefined) return undefined
  if (!Effect.isEffect(given)) return Effect.sync(() => revealed(given))
  return Effect.mapBoth(given, {
    onSuccess: revealed,
    onFailure: (cause) =>
      new SurrealDbError({
        operation: "connect",
        kind: "Credentials",
        text: "the effect that gives the credentials has failed",
        cause
      })
  })
}
