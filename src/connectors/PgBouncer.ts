/**
 * PostgreSQL behind PgBouncer in transaction mode, where a connection has a server session for one transaction at a time.
 */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { isString } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { SqlError } from "effect/sql/SqlError"
import * as Connector from "../Connector.ts"
import type { Input } from "../PoolConfig.ts"
import type { ConfigProblem } from "../PoolError.ts"
import { pgBouncerErrorIn, typed, untracked } from "./PgBouncerError.ts"
import { guarded } from "./PgBouncerSession.ts"
import type * as Postgres from "./Postgres.ts"
import * as Session from "./PostgresSession.ts"

/**
 * The options of a connector that goes through PgBouncer: those of PostgreSQL's, and what the proxy can do. There is no
 * `reset`: a connection has nothing to be reset but an open transaction.
 *
 * @category models
 * @since 0.1.0
 */
export interface PgBouncerOptions extends Omit<Postgres.Options, "reset"> {
  /**
   * Whether the driver may prepare its statements under names of their own: for PgBouncer 1.21 or later with
   * `max_prepared_statements` above 0. A proxy that does not keep track of them is refused at the first connect, for one more
   * round trip. Default: no.
   */
  readonly preparedStatements?: boolean | undefined
  /**
   * Startup parameters that the proxy takes besides those that it always does (`application_name`, `client_encoding`,
   * `DateStyle`, `TimeZone`, `standard_conforming_strings`): its `track_extra_parameters`, of 1.20 or later.
   */
  readonly trackedParameters?: ReadonlyArray<string> | undefined
  /**
   * What happens to a statement that is interrupted while it runs.
   *
   * - `"request"` (default): it is cancelled on the server. PgBouncer before 1.18 may cancel another client's statement then.
   * - `"disconnect"`: the connection is given up, and the proxy gives up its server connection. The server may finish the
   *   statement.
   */
  readonly cancel?: "request" | "disconnect" | undefined
}

const alwaysTracked = ["application_name", "client_encoding", "datestyle", "timezone", "standard_conforming_strings"]

const hasUrlOptions = (url: Postgres.Options["url"]): boolean => {
  const text = url === undefined ? "" : isString(url) ? url : Redacted.value(url)
  return URL.canParse(text) && new URL(text).searchParams.has("options")
}

const problemsOf = (options: PgBouncerOptions): ReadonlyArray<ConfigProblem> => {
  const { driver, preparedStatements = false, startupParameters = {}, trackedParameters = [], url } = options
  const problems: Array<ConfigProblem> = []
  const tracked = new Set([...alwaysTracked, ...trackedParameters.map((name) => name.toLowerCase())])
  for (const name of Object.keys(startupParameters)) {
    if (tracked.has(name.toLowerCase())) continue
    const expected = "a parameter that PgBouncer tracks (`trackedParameters`), or `alter role ... set` on the server"
    problems.push({ field: `startupParameters.${name}`, value: "one that PgBouncer refuses", expected })
  }
  const expected = "no startup options: PgBouncer refuses or ignores them"
  if (driver?.startupOptions !== undefined) problems.push({ field: "driver.startupOptions", value: "given", expected })
  if (hasUrlOptions(url)) problems.push({ field: "url", value: "options=", expected })
  if (driver?.prepare === true && !preparedStatements) {
    problems.push({
      field: "driver.prepare",
      value: "true",
      expected: "`preparedStatements: true`, with PgBouncer 1.21 or later and `max_prepared_statements` above 0"
    })
  }
  return problems
}

/** The options of the connector that goes to the proxy as if it were the server. */
export const throughProxy = (options: PgBouncerOptions): Postgres.Options => ({
  ...options,
  driver: { ...options.driver, prepare: options.preparedStatements ?? false },
  reset: "never"
})

/**
 * A statement that looks for itself. A proxy that keeps track of names gives the server others than the driver's; and without
 * a proxy the session is our own, and so are its names.
 */
const seesItself =
  "select pg_backend_pid() <> $1::int8 and exists (select from pg_prepared_statements where name like 'effect\\_%')"

const ensureTracked = (session: Session.Session): Effect.Effect<void, SqlError> =>
  Effect.flatMap(Session.upkeep(session, session.base.queryValues(seesItself, [session.base.processId])), ([row]) =>
    row?.[0] === true ? Effect.fail(untracked()) : Effect.void
  )

/** What differs from a connection to PostgreSQL itself. */
export const behindProxy = (
  direct: Connector.Connector<PgConnection.PgConnection, SqlError>,
  options: PgBouncerOptions
): Connector.Connector<PgConnection.PgConnection, SqlError> => {
  const { classify, inspect, problems = [], reset } = direct
  const opened = (connection: PgConnection.PgConnection): Effect.Effect<PgConnection.PgConnection, SqlError> => {
    const session = Session.sessionOf(connection)
    session.cancels.areProxied = true
    if (options.cancel === "disconnect") session.cancels.endInstead = () => session.socket.destroy()
    return Effect.as(options.preparedStatements === true ? ensureTracked(session) : Effect.void, guarded(session))
  }
  return Connector.make({
    ...direct,
    connect: Effect.mapError(Effect.flatMap(direct.connect, opened), (error) => typed(error, "connect")),
    // Nothing else of a session outlasts its transaction, and another round trip would go to another server connection.
    reset: (connection) =>
      Session.isAsNew(Session.sessionOf(connection)) ? reset!(connection) : Session.rollback(connection),
    inspect: (connection) => {
      const verdict = inspect!(connection)
      return verdict !== "clean" || Session.isAsNew(Session.sessionOf(connection)) ? verdict : "dirty"
    },
    classify: (error) => pgBouncerErrorIn(error)?.kind ?? classify!(error),
    problems: [...problems, ...problemsOf(options)]
  })
}

/**
 * The settings of PgBouncer that a pool's own depend on. The defaults are PgBouncer's.
 *
 * @category models
 * @since 0.1.0
 */
export interface PgBouncerSettings {
  /** The server connections for our user and database: `pool_size` or `default_pool_size`. Default: 20. */
  readonly poolSize?: number | undefined
  /** How many processes with such a pool share them. Default: 1. */
  readonly processes?: number | undefined
  /** `server_lifetime`. Default: one hour. */
  readonly serverLifetime?: Duration.Input | undefined
  /** `client_idle_timeout`. Default: none. */
  readonly clientIdleTimeout?: Duration.Input | undefined
  /** `query_wait_timeout`. Default: two minutes. */
  readonly queryWaitTimeout?: Duration.Input | undefined
}

/** Part of what the proxy allows, if that is less than usual. What is no duration is left for the pool to report. */
const shorterOf = (allowed: Duration.Input, part: number, usual: Duration.Input): Duration.Input =>
  Option.match(Duration.fromInput(allowed), {
    onNone: () => allowed,
    onSome: (limit) => Duration.min(Duration.times(limit, part), Duration.fromInputUnsafe(usual))
  })

/**
 * A pool's settings before PgBouncer: no wider than our share of the proxy's server connections, so that the line is ours,
 * where it has deadlines, priorities and shedding; and with lifetimes below the proxy's. Spread it, and change what you like.
 *
 * - At most one connection stands ready: to open one costs about a millisecond, and the proxy keeps the server connections
 *   warm. None does where the proxy ends idle clients.
 * - A check waits in the proxy's line like any statement. So it is seldom made, and given time: a dead connection is noticed
 *   without one.
 *
 * **Example** (Four processes before a proxy that ends clients which are idle for a minute)
 *
 * ```ts
 * import { Duration, Effect } from "effect"
 * import * as Postgres from "effect-pool/Postgres"
 *
 * const config = Postgres.pgBouncerPool({ poolSize: 20, processes: 4, clientIdleTimeout: "1 minute" })
 *
 * const program = Effect.succeed([config.maxConnections, Duration.toSeconds(config.idleTimeout)]) // => [5, 30]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const pgBouncerPool = (settings: PgBouncerSettings = {}) => {
  const { clientIdleTimeout, poolSize = 20, processes = 1 } = settings
  return {
    minConnections: clientIdleTimeout === undefined ? 1 : 0,
    maxConnections: Math.max(1, Math.floor(poolSize / processes)),
    // The pool takes up to a quarter off by itself.
    maxLifetime: shorterOf(settings.serverLifetime ?? "1 hour", 0.9, "30 minutes"),
    idleTimeout: shorterOf(clientIdleTimeout ?? Duration.infinity, 0.5, "5 minutes"),
    queryTimeout: shorterOf(settings.queryWaitTimeout ?? "2 minutes", 0.9, "30 seconds"),
    checkTimeout: Duration.seconds(5),
    checkAfterIdle: Duration.seconds(30),
    healthCheckInterval: Duration.minutes(1),
    // The proxy itself spares a server that is down (`server_login_retry`), and an attempt costs the proxy next to nothing.
    retry: { initial: Duration.millis(500), max: Duration.seconds(5) }
  } satisfies Input
}
