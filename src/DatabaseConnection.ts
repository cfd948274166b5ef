/**
 * A connection that counts its queries and ends those that take too long. Any driver's connection becomes one.
 *
 * @since 0.1.0
 */
import { Clock } from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import { hasProperty } from "effect/Predicate"
import * as Connector from "./Connector.ts"
import { type ConfigProblem, QueryTimeout } from "./PoolError.ts"

const TypeId = "~effect-pool/DatabaseConnection"

/** How long a query may take to end once it is cancelled. A server that is well needs a millisecond or two. */
const patience = Duration.seconds(1)

const shortestTimeout = Duration.millis(1)

/**
 * A connection of type `A` whose queries are counted and bounded.
 *
 * @category models
 * @since 0.1.0
 */
export interface DatabaseConnection<out A, out Rows = unknown, out E = never> {
  readonly [TypeId]: typeof TypeId
  /** Counts from 1 for each connector. */
  readonly id: number
  /** When it was opened, in milliseconds of the wall clock. */
  readonly createdAt: number
  /** When a query last began or ended, in milliseconds of the wall clock; `createdAt` before the first one. */
  readonly lastUsed: number
  /** How many queries have begun. */
  readonly queryCount: number
  /** How many of them failed, died or ran out of time. One that its borrower interrupted is none of these. */
  readonly errorCount: number
  /** How long borrowers have waited for their queries, in milliseconds in all. */
  readonly totalQueryTime: number
  /** The driver's own connection. What is done with it directly is neither counted nor bounded. */
  readonly raw: A
  /**
   * Runs a query. Fails with the driver's error, and with `QueryTimeout` when there is no result within the timeout: then the
   * query has been cancelled and the connection can be used again, or it could not be and the connection is discarded when it
   * is returned. Even a driver that ignores interruption delays neither by more than a second.
   */
  readonly query: (sql: string, params?: ReadonlyArray<unknown>) => Effect.Effect<Rows, E | QueryTimeout>
}

/**
 * How a driver runs a query, and how it cancels one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in A, out Rows, out E> {
  /** Runs a query on the driver's connection. */
  readonly query: (connection: A, sql: string, params?: ReadonlyArray<unknown>) => Effect.Effect<Rows, E>
  /**
   * How the server is told to end the query that is running; the query is then given a second to end.
   *
   * - an effect of the connection: it tells the server, on another way than the busy connection.
   * - `"interrupt"`: the driver does so by itself when its query's fiber is interrupted.
   * - nothing (default): the driver cannot. The query is interrupted, and its connection discarded.
   */
  readonly cancel?: ((connection: A) => Effect.Effect<unknown, unknown>) | "interrupt" | undefined
  /** How long a query may take; `Infinity` for as long as it likes. Default: the pool's `queryTimeout` (30 seconds). */
  readonly queryTimeout?: Duration.Input | undefined
}

/**
 * Whether a value is a connection made by {@link connector}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isDatabaseConnection = (u: unknown): u is DatabaseConnection<unknown, unknown, unknown> =>
  hasProperty(u, TypeId)

/**
 * Makes a connector's connections count their queries and end those that take too long. What they count is seen in
 * `ConnectionPool.connections`.
 *
 * A query that its borrower interrupts is cancelled in the same way, and the borrower does not wait for that. Until it has
 * ended, the next query on the connection waits, and the pool neither checks nor resets nor lends it.
 *
 * Where connections are shared (`concurrency`), `cancel` must name the one query that it is for, or it ends another's.
 *
 * **Example** (Count what is asked of any driver)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, DatabaseConnection } from "effect-pool"
 *
 * const driver = Connector.make({
 *   name: "lengths",
 *   connect: Effect.succeed({ run: (sql: string) => Effect.succeed([sql.length]) })
 * })
 *
 * const lengths = DatabaseConnection.connector(driver, { query: (connection, sql) => connection.run(sql) })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* ConnectionPool.make(lengths, { queryTimeout: "5 seconds" })
 *   return yield* ConnectionPool.use(pool, (connection) =>
 *     Effect.map(connection.query("select 1"), (rows) => [rows, connection.queryCount])
 *   ) // => [[8], 1]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const connector = <A, E, R, Rows, E2>(
  connector: Connector.Connector<A, E, R>,
  options: Options<A, Rows, E2>
): Connector.Connector<DatabaseConnection<A, Rows, E2>, E, R> => {
  type Wrapped = DatabaseConnection<A, Rows, E2>
  const { check, classify, closed, fatal, inspect, name, problems, reset, statistics } = connector
  const own = readTimeout(options.queryTimeout)
  let opened = 0
  const connect = Effect.gen(function* () {
    const raw = yield* connector.connect
    const timeout = own.timeout ?? (yield* Connector.QueryTimeout)
    const connection = new Counted(name, ++opened, raw, options, timeout, yield* Clock)
    yield* Effect.addFinalizer(() => Effect.sync(() => connection.gone.openUnsafe()))
    return connection
  })
  const isResettable = reset !== undefined
  return Connector.make<Wrapped, E, R>({
    name,
    connect: connect as Effect.Effect<Wrapped, E, R>,
    check: check && ((connection) => countedOf(connection).whenSettled(() => check(connection.raw))),
    reset: reset && ((connection) => countedOf(connection).whenSettled(() => reset(connection.raw))),
    inspect: (connection) => {
      const { isBroken, isSettled, raw } = countedOf(connection)
      // Only a reset waits for a query's end. Where there is none, the next borrower would get a busy connection.
      if (isBroken || (!isSettled && !isResettable)) return "broken"
      const answer = inspect === undefined ? (isResettable ? "dirty" : "clean") : inspect(raw)
      return answer === "clean" && !isSettled ? "dirty" : answer
    },
    closed: closed && (({ raw }) => closed(raw)),
    classify,
    fatal: fatal && ((error) => !(error instanceof QueryTimeout) && fatal(error)),
    statistics: (connection) => {
      const { createdAt, errorCount, lastUsed, queryCount, raw, totalQueryTime } = connection
      return {
        ...statistics?.(raw),
        createdAt,
        lastUsed,
        queryCount,
        errorCount,
        totalQueryTime: Math.round(totalQueryTime)
      }
    },
    problems: [...(problems ?? []), ...own.problems]
  })
}

interface OwnTimeout {
  readonly timeout: Duration.Duration | undefined
  readonly problems: ReadonlyArray<ConfigProblem>
}

const readTimeout = (given: Duration.Input | undefined): OwnTimeout => {
  if (given === undefined) return { timeout: undefined, problems: [] }
  const timeout = Duration.fromInput(given)
  // Not a number is read as zero.
  if (Option.isSome(timeout) && Duration.isGreaterThanOrEqualTo(timeout.value, shortestTimeout)) {
    return { timeout: timeout.value, problems: [] }
  }
  const value = Option.isSome(timeout) ? Duration.format(timeout.value) : "not a duration"
  const problem = { field: "queryTimeout", value, expected: "a duration from 1ms to Infinity" }
  return { timeout: undefined, problems: [problem] }
}

/** What the connector's functions are given is what its `connect` gave. */
const countedOf = <A, Rows, E>(connection: DatabaseConnection<A, Rows, E>): Counted<A, Rows, E> =>
  connection as Counted<A, Rows, E>

/** A query's fiber, and when it began, in milliseconds of the monotonic clock. */
interface Running<Rows, E> {
  readonly fiber: Fiber.Fiber<Rows, E>
  readonly since: number
}

class Counted<A, Rows, E> implements DatabaseConnection<A, Rows, E> {
  readonly [TypeId] = TypeId
  readonly name: string
  readonly id: number
  readonly raw: A
  readonly createdAt: number
  lastUsed: number
  queryCount = 0
  errorCount = 0
  totalQueryTime = 0
  /** A query could not be ended: whatever comes next on the connection may meet it. */
  isBroken = false
  /** Opens when the connection is closed: what is still being awaited then is of no more interest. */
  readonly gone = Latch.makeUnsafe(false)
  private readonly options: Options<A, Rows, E>
  private readonly timeout: Duration.Duration
  private readonly clock: Clock
  /** Queries that were given up, and of which it is not known yet whether they have ended. */
  private unsettled = 0
  private readonly noneUnsettled = Latch.makeUnsafe(true)

  constructor(
    name: string,
    id: number,
    raw: A,
    options: Options<A, Rows, E>,
    timeout: Duration.Duration,
    clock: Clock
  ) {
    this.name = name
    this.id = id
    this.raw = raw
    this.options = options
    this.timeout = timeout
    this.clock = clock
    this.createdAt = clock.currentTimeMillisUnsafe()
    this.lastUsed = this.createdAt
  }

  get isSettled(): boolean {
    return !this.isBroken && this.unsettled === 0
  }

  // No span of its own: for as long as the query takes, the pool would name its borrower after it.
  readonly query = (sql: string, params?: ReadonlyArray<unknown>): Effect.Effect<Rows, E | QueryTimeout> =>
    this.whenSettled(() => this.run(sql, params))

  /** Does something when every query that was given up has ended, which is known in a bounded time, or fails. */
  whenSettled<X, E2, R>(next: () => Effect.Effect<X, E2, R>): Effect.Effect<X, E2 | QueryTimeout, R> {
    return Effect.suspend(() => {
      if (this.isSettled) return next()
      return Effect.flatMap(this.noneUnsettled.await, (): Effect.Effect<X, E2 | QueryTimeout, R> =>
        this.isBroken ? Effect.fail(this.timedOut("notSent", 0)) : this.whenSettled(next)
      )
    })
  }

  private run(sql: string, params: ReadonlyArray<unknown> | undefined): Effect.Effect<Rows, E | QueryTimeout> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(this.begin(sql, params), (running) => {
        const { fiber } = running
        const inTime = restore(Effect.timeoutOption(Fiber.await(fiber), this.timeout))
        const unlessInterrupted = Effect.onInterrupt(inTime, () => {
          this.noteEnd(running, false)
          return Effect.asVoid(this.giveUp(fiber))
        })
        return Effect.flatMap(unlessInterrupted, (exit): Effect.Effect<Rows, E | QueryTimeout> => {
          if (Option.isNone(exit)) return this.endLate(running, restore)
          this.noteEnd(running, Exit.isFailure(exit.value))
          return exit.value
        })
      })
    )
  }

  /** On a fiber of its own: a query that ignores interruption must hold up nobody. */
  private begin(sql: string, params: ReadonlyArray<unknown> | undefined): Effect.Effect<Running<Rows, E>> {
    return Effect.suspend(() => {
      const since = this.now()
      this.queryCount++
      this.lastUsed = this.clock.currentTimeMillisUnsafe()
      const query = Effect.suspend(() => this.options.query(this.raw, sql, params))
      // At once, so that a driver which pipelines sees together what is asked for together.
      return Effect.map(Effect.forkDetach(query, { startImmediately: true }), (fiber) => ({ fiber, since }))
    })
  }

  private noteEnd({ since }: Running<Rows, E>, isError: boolean): void {
    this.totalQueryTime += this.now() - since
    this.lastUsed = this.clock.currentTimeMillisUnsafe()
    if (isError) this.errorCount++
  }

  private endLate(
    running: Running<Rows, E>,
    restore: <X, E2, R>(effect: Effect.Effect<X, E2, R>) => Effect.Effect<X, E2, R>
  ): Effect.Effect<never, QueryTimeout> {
    this.noteEnd(running, true)
    return Effect.flatMap(this.giveUp(running.fiber), (ending) =>
      Effect.flatMap(restore(Fiber.join(ending)), (hasEnded) =>
        Effect.fail(this.timedOut(hasEnded ? "cancelled" : "abandoned", this.now() - running.since))
      )
    )
  }

  /** Has a query ended; the fiber that sees to it says whether it has. */
  private giveUp(fiber: Fiber.Fiber<Rows, E>): Effect.Effect<Fiber.Fiber<boolean>> {
    return Effect.suspend(() => {
      // Noted before anything else can happen: a lease that ends now must not pass the connection on.
      this.unsettled++
      this.noneUnsettled.closeUnsafe()
      const ending = Effect.map(this.end(fiber), (hasEnded) => {
        if (!hasEnded) this.isBroken = true
        if (--this.unsettled === 0) this.noneUnsettled.openUnsafe()
        return hasEnded
      })
      return Effect.forkDetach(ending, { startImmediately: true })
    })
  }

  private end(fiber: Fiber.Fiber<Rows, E>): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (fiber.pollUnsafe() !== undefined) return Effect.succeed(true)
      const { cancel } = this.options
      if (cancel === undefined) {
        fiber.interruptUnsafe()
        return Effect.succeed(false)
      }
      const tell =
        cancel === "interrupt" ? Effect.sync(() => fiber.interruptUnsafe()) : Effect.suspend(() => cancel(this.raw))
      const cancelling = Effect.andThen(tell, Fiber.await(fiber))
      return Effect.flatMap(Effect.forkDetach(cancelling, { startImmediately: true }), (cancelled) =>
        Effect.map(this.soon(Fiber.await(cancelled)), (exit) => {
          if (Option.isSome(exit) && Exit.isSuccess(exit.value)) return true
          cancelled.interruptUnsafe()
          fiber.interruptUnsafe()
          return false
        })
      )
    })
  }

  /** What comes in a second, and before the connection is closed. */
  private soon<X>(effect: Effect.Effect<X>): Effect.Effect<Option.Option<X>> {
    return Effect.raceFirst(Effect.timeoutOption(effect, patience), Effect.as(this.gone.await, Option.none<X>()))
  }

  private timedOut(outcome: QueryTimeout["outcome"], waitedMillis: number): QueryTimeout {
    return new QueryTimeout({
      connector: this.name,
      connection: this.id,
      timeoutMillis: Duration.toMillis(this.timeout),
      waitedMillis: Math.round(waitedMillis),
      outcome
    })
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }
}
