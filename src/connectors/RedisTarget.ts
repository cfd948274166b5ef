/** Where the server is, read from a URL and from fields, with everything that is wrong with them. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ConnectionOptions } from "node:tls"
import type { ConfigProblem } from "../PoolError.ts"

/** The options that say where the server is and who we are there. */
export interface Place {
  readonly url?: string | Redacted.Redacted | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
  readonly database?: number | undefined
  readonly username?: string | undefined
  readonly ssl?: boolean | ConnectionOptions | undefined
  readonly clientName?: string | undefined
  readonly keepAlive?: Duration.Input | undefined
}

export interface Target {
  readonly host: string
  readonly port: number
  /** A Unix socket, in place of host and port. */
  readonly path: string | undefined
  readonly database: number
  readonly username: string | undefined
  /** The password that the URL has in it. */
  readonly password: Redacted.Redacted | undefined
  readonly tls: ConnectionOptions | undefined
  readonly clientName: string
  readonly keepAliveMillis: number
  readonly problems: ReadonlyArray<ConfigProblem>
}

const expectedUrl = `a URL like "redis://user@host:6379/0"`

/** A malformed URL cannot be masked, since nobody knows where in it the password stands: none of it is shown. */
const malformedUrl: ConfigProblem = { field: "url", value: "a malformed URL (not shown)", expected: expectedUrl }

const networkProtocols = new Set(["redis:", "rediss:"])
const socketProtocols = new Set(["unix:", "redis+unix:"])

const decodes = (part: string): boolean => Result.isSuccess(Result.try(() => decodeURIComponent(part)))

const readUrl = (text: string): Result.Result<URL, ConfigProblem> => {
  if (!URL.canParse(text)) return Result.fail(malformedUrl)
  const url = new URL(text)
  if (!networkProtocols.has(url.protocol) && !socketProtocols.has(url.protocol)) {
    return Result.fail({ field: "url", value: `"${url.protocol}//..."`, expected: expectedUrl })
  }
  const { hostname, password, pathname, username } = url
  return [hostname, username, password, pathname].every(decodes) ? Result.succeed(url) : Result.fail(malformedUrl)
}

const decoded = (part: string | undefined): string | undefined =>
  part === undefined || part === "" ? undefined : decodeURIComponent(part)

const reveal = (secret: string | Redacted.Redacted): string => (isString(secret) ? secret : Redacted.value(secret))

export const targetOf = (place: Place): Target => {
  const read = place.url === undefined ? undefined : readUrl(reveal(place.url))
  const url = read !== undefined && Result.isSuccess(read) ? read.success : undefined
  const isSocket = url !== undefined && socketProtocols.has(url.protocol)
  const database =
    place.database ?? url?.searchParams.get("db") ?? (isSocket ? undefined : decoded(url?.pathname.slice(1))) ?? 0
  const ssl = place.ssl ?? url?.protocol === "rediss:"
  const keepAlive = Duration.fromInput(place.keepAlive ?? "30 seconds")
  const password = decoded(url?.password)
  const target = {
    host: (place.host ?? decoded(url?.hostname) ?? "localhost").replace(/^\[(.*)\]$/, "$1"),
    port: place.port ?? (url === undefined || url.port === "" ? 6379 : Number(url.port)),
    path: place.path ?? (isSocket ? decoded(url.pathname) : undefined),
    database: Number(database),
    username: place.username ?? decoded(url?.username),
    password: password === undefined ? undefined : Redacted.make(password),
    tls: ssl === true ? {} : ssl === false ? undefined : ssl,
    clientName: place.clientName ?? "effect-pool",
    keepAliveMillis: Option.isSome(keepAlive) ? Duration.toMillis(keepAlive.value) : 0
  }
  const problems: Array<ConfigProblem> = read !== undefined && Result.isFailure(read) ? [read.failure] : []
  if (!(Number.isInteger(target.port) && target.port > 0 && target.port < 65_536)) {
    problems.push({ field: "port", value: String(target.port), expected: "a port from 1 to 65535" })
  }
  if (!(Number.isInteger(target.database) && target.database >= 0)) {
    problems.push({ field: "database", value: String(database), expected: "a number from 0 up" })
  }
  // The server refuses others, and says nothing of which connection it was.
  if (!/^[!-~]*$/.test(target.clientName)) {
    problems.push({ field: "clientName", value: JSON.stringify(target.clientName), expected: "a name without spaces" })
  }
  if (Option.isNone(keepAlive)) {
    problems.push({ field: "keepAlive", value: JSON.stringify(place.keepAlive), expected: "a duration" })
  }
  return { ...target, problems }
}
