/** Where a server is and how to come in: what the options and the URL say, and what is wrong with them. */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isNumber, isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { ConnectionOptions as DriverOptions, SslOptions } from "mysql2"
import * as Net from "node:net"
import type { ConfigProblem } from "../PoolError.ts"

/**
 * TLS, as the driver takes it, and the name that the certificate must have, where it is not the host's.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tls extends SslOptions {
  /** The name that the certificate must have. Default: the host. */
  readonly servername?: string | undefined
}

/**
 * Where the server is, who we are there, and what happens between two borrowers. Fields win over what the URL says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names the pool. Default: `host:port/database`. */
  readonly name?: string | undefined
  /**
   * `mysql://user:password@host:port/database`, or `mariadb://...`. With `?ssl-mode=DISABLED`, `REQUIRED` (encrypted, and
   * nobody asks whose the certificate is), `VERIFY_CA` or `VERIFY_IDENTITY`; with `?socket=/path` for a Unix socket.
   */
  readonly url?: string | Redacted.Redacted | undefined
  /** A host name or an address. Default: `localhost`. */
  readonly host?: string | undefined
  /** Default: 3306. */
  readonly port?: number | undefined
  /** The path of a Unix socket. Host and port are not used then. */
  readonly socketPath?: string | undefined
  /** Default: what the URL says, else none. */
  readonly database?: string | undefined
  /** Default: what the URL says, else the driver's. */
  readonly username?: string | undefined
  /** An effect is run for each connection, for passwords that expire. */
  readonly password?: string | Redacted.Redacted | Effect.Effect<Redacted.Redacted> | undefined
  /**
   * `true` for TLS with a certificate that an authority of the system vouches for and that has the server's name, or the
   * driver's options. There `verifyIdentity` and `rejectUnauthorized` are `true` unless they say `false`. Default: what the
   * URL says, else none.
   */
  readonly ssl?: boolean | Tls | undefined
  /** The connection's attribute `program_name` on the server. Default: `effect-pool`. */
  readonly applicationName?: string | undefined
  /** TCP keep-alive, after this long without traffic. Default: 30 seconds. */
  readonly keepAlive?: Duration.Input | undefined
  /**
   * When a returned connection is made as new (`COM_RESET_CONNECTION`), which no borrower waits for.
   *
   * - `"whenDirty"` (default): after a lease that has left a transaction open, or ran anything but plain `select`, `insert`,
   *   `update`, `delete`, `replace`, `values`, `table`, `with`, `show`, `explain`, `describe` or `do` and the statements that
   *   begin and end a transaction, or one of these with a variable (`@a`), `get_lock` or a temporary table in it. What a
   *   function of yours does to the session is not seen: use `"always"`.
   * - `"always"`, `"never"`: as they say.
   */
  readonly reset?: "whenDirty" | "always" | "never" | undefined
  /** Session variables of every connection, such as `{ time_zone: "+00:00" }`. A reset returns to them. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined
  /** Further options of the driver. */
  readonly driver?: Pick<
    DriverOptions,
    | "bigNumberStrings"
    | "compress"
    | "dateStrings"
    | "decimalNumbers"
    | "enableCleartextPlugin"
    | "jsonStrings"
    | "maxPreparedStatements"
    | "multipleStatements"
    | "stringifyObjects"
    | "supportBigNumbers"
    | "timezone"
    | "typeCast"
  >
}

export interface Target {
  readonly host: string
  readonly port: number
  readonly socketPath: string | undefined
  readonly database: string | undefined
  readonly username: string | undefined
  readonly password: Options["password"]
  readonly ssl: Tls | undefined
  readonly applicationName: string
  readonly keepAlive: Duration.Duration
  readonly settings: Readonly<Record<string, string | number>>
  readonly driver: NonNullable<Options["driver"]>
  readonly problems: ReadonlyArray<ConfigProblem>
}

const reveal = (secret: string | Redacted.Redacted): string => (isString(secret) ? secret : Redacted.value(secret))

const expectedUrl = `a URL like "mysql://user@host:3306/database"`

const decodes = (part: string): boolean => Result.isSuccess(Result.try(() => decodeURIComponent(part)))

/** A malformed URL cannot be masked, since nobody knows where in it the password stands: none of it is shown. */
const malformedUrl: ConfigProblem = { field: "url", value: "a malformed URL (not shown)", expected: expectedUrl }

/** What MySQL's own clients mean by these. `PREFERRED` is not among them: the driver does not go on without TLS. */
const sslModes: Readonly<Record<string, Tls | undefined>> = {
  DISABLED: undefined,
  REQUIRED: { rejectUnauthorized: false, verifyIdentity: false },
  VERIFY_CA: { verifyIdentity: false },
  VERIFY_IDENTITY: {}
}

const sslModeOf = (url: URL): string | undefined =>
  (url.searchParams.get("ssl-mode") ?? url.searchParams.get("sslmode"))?.toUpperCase()

/** The URL, if it is one of ours. */
const readUrl = (text: string): { readonly url: URL | undefined; readonly problems: ReadonlyArray<ConfigProblem> } => {
  if (!URL.canParse(text)) return { url: undefined, problems: [malformedUrl] }
  const url = new URL(text)
  if (url.protocol !== "mysql:" && url.protocol !== "mariadb:") {
    return { url: undefined, problems: [{ field: "url", value: `"${url.protocol}//..."`, expected: expectedUrl }] }
  }
  if (![url.hostname, url.username, url.password, url.pathname].every(decodes)) {
    return { url: undefined, problems: [malformedUrl] }
  }
  const problems: Array<ConfigProblem> = []
  for (const parameter of new Set(url.searchParams.keys())) {
    if (["ssl-mode", "sslmode", "socket"].includes(parameter)) continue
    problems.push({ field: "url", value: `the parameter "${parameter}"`, expected: "ssl-mode or socket, and no other" })
  }
  const sslMode = sslModeOf(url)
  if (sslMode !== undefined && !(sslMode in sslModes)) {
    const expected = `ssl-mode to be ${Object.keys(sslModes).join(", ")}`
    problems.push({ field: "url", value: `ssl-mode=${sslMode}`, expected })
  }
  return { url, problems }
}

const settingProblems = (settings: Readonly<Record<string, unknown>>): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  for (const [name, value] of Object.entries(settings)) {
    const field = `settings.${name}`
    // The name becomes part of a statement.
    if (!/^[a-z_]\w*$/i.test(name)) problems.push({ field, value: "this name", expected: "the name of a variable" })
    else if (!isString(value) && !(isNumber(value) && Number.isFinite(value))) {
      problems.push({ field, value: String(value), expected: "a string or a number" })
    }
  }
  return problems
}

const optionProblems = (options: Options, target: Target): ReadonlyArray<ConfigProblem> => {
  const problems: Array<ConfigProblem> = []
  const { host, port, socketPath, ssl } = target
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) {
    problems.push({ field: "port", value: String(port), expected: "a port from 1 to 65535" })
  }
  if (options.keepAlive !== undefined && Option.isNone(Duration.fromInput(options.keepAlive))) {
    problems.push({ field: "keepAlive", value: JSON.stringify(options.keepAlive), expected: "a duration" })
  }
  // The driver would compare the certificate with the name "localhost", whatever the address.
  const isNameless = ssl?.servername === undefined && (socketPath !== undefined || Net.isIP(host) !== 0)
  if (ssl !== undefined && isNameless && ssl.verifyIdentity && ssl.rejectUnauthorized) {
    const expected =
      "a servername to look for in the certificate, since there is only an address, or verifyIdentity: false"
    problems.push({ field: "ssl", value: "no servername", expected })
  }
  return [...problems, ...settingProblems(target.settings)]
}

/** Whom nobody asked is not trusted: the driver would take the certificate of any server by default. */
const strict = (ssl: Tls): Tls => ({
  ...ssl,
  rejectUnauthorized: ssl.rejectUnauthorized ?? true,
  verifyIdentity: ssl.verifyIdentity ?? true
})

const tlsOf = ({ ssl }: Options, url: URL | undefined): Tls | undefined => {
  if (ssl === false) return undefined
  if (ssl !== undefined) return strict(ssl === true ? {} : ssl)
  const mode = url && sslModeOf(url)
  const inUrl = mode === undefined ? undefined : sslModes[mode]
  return inUrl && strict(inUrl)
}

export const targetOf = (options: Options): Target => {
  const { problems, url } = options.url === undefined ? { url: undefined, problems: [] } : readUrl(reveal(options.url))
  const inUrl = (part: string | undefined): string | undefined =>
    part === undefined || part === "" ? undefined : decodeURIComponent(part)
  const host = options.host ?? inUrl(url?.hostname) ?? "localhost"
  const keepAlive = Duration.fromInput(options.keepAlive ?? "30 seconds")
  const target: Target = {
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port: options.port ?? Number(inUrl(url?.port) ?? 3306),
    socketPath: options.socketPath ?? url?.searchParams.get("socket") ?? undefined,
    database: options.database ?? inUrl(url?.pathname.slice(1)),
    username: options.username ?? inUrl(url?.username),
    password: options.password ?? inUrl(url?.password),
    ssl: tlsOf(options, url),
    applicationName: options.applicationName ?? "effect-pool",
    keepAlive: Option.getOrElse(keepAlive, () => Duration.seconds(30)),
    settings: options.settings ?? {},
    driver: options.driver ?? {},
    problems: []
  }
  return { ...target, problems: [...problems, ...optionProblems(options, target)] }
}
