/** The time that each statement of a client has. All have the same, so that one timer is enough: the first to begin is the first to run out. */
import { Clock } from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { ConnectionError, SqlError, StatementTimeoutError, UnknownError } from "effect/sql/SqlError"

/**
 * Tells the server to end what a connection is doing, on another way than the busy connection. `ended` completes when the statement
 * has; what does not end must be ended by force, so that this completes in any case.
 */
export type Cancel<in A> = (connection: A, ended: Effect.Effect<void>) => Effect.Effect<void>

interface Running<out A> {
  readonly connection: A
  readonly expiresAt: number
  /** Its time is over, and something is done about it. Most statements never need it. */
  ending: Ending | undefined
}

interface Ending {
  /** Opens when the statement has ended. */
  readonly ended: Latch.Latch
  /** Opens when what was done about it is over. */
  readonly settled: Latch.Latch
}

const outOfTime = (timeout: Duration.Duration, cause: SqlError): SqlError => {
  const isLost = cause.reason._tag === "ConnectionError"
  const outcome = isLost ? "it was given up, and its connection is closed" : "it was cancelled on the server"
  const message =
    `no result within ${Duration.format(timeout)} (the pool's queryTimeout): ${outcome}. Look for a lock that another session ` +
    `holds, a missing index, or too many rows.`
  return new SqlError({ reason: new StatementTimeoutError({ cause, message, operation: "execute" }) })
}

/** What a statement whose fiber was interrupted ends with: its driver has cancelled it, or nobody knows what the connection does. */
const interrupted = (isCancelled: boolean): SqlError => {
  const message = "interrupted"
  const props = { cause: new Error(message), message, operation: "execute" }
  return new SqlError({ reason: isCancelled ? new UnknownError(props) : new ConnectionError(props) })
}

/** A timer of more than 24 days would run out at once. */
const longestSleep = Duration.toMillis("1 hour")

/** The statements of one client that are running. */
export class Deadlines<in out A> {
  private readonly timeout: Duration.Duration
  private readonly millis: number
  private readonly cancel: Cancel<A> | undefined
  private readonly discard: ((connection: A) => Effect.Effect<void>) | undefined
  private readonly clock: Clock
  /** In the order in which they began, which is the order in which they run out. */
  private readonly running = new Set<Running<A>>()
  private readonly some = Latch.makeUnsafe(false)

  /** Without `cancel`, statements are interrupted; and their connections discarded, unless the driver cancels them then by itself. */
  constructor(
    timeout: Duration.Duration,
    cancel: Cancel<A> | undefined,
    discard: ((connection: A) => Effect.Effect<void>) | undefined,
    clock: Clock
  ) {
    this.timeout = timeout
    this.millis = Duration.toMillis(timeout)
    this.cancel = cancel
    this.discard = discard
    this.clock = clock
  }

  /** Gives a statement its time. What fails after it, fails because of it. */
  bound<X>(connection: A, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    if (this.millis === Number.POSITIVE_INFINITY) return statement
    return this.cancel === undefined ? this.interrupting(connection, statement) : this.watched(connection, statement)
  }

  private interrupting<X>(connection: A, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    // Also where its caller must not be interrupted, as at the end of a transaction.
    return Effect.flatMap(Effect.timeoutOption(Effect.interruptible(statement), this.timeout), (result) =>
      Option.isSome(result)
        ? Effect.succeed(result.value)
        : Effect.andThen(
            this.discard?.(connection) ?? Effect.void,
            Effect.fail(outOfTime(this.timeout, interrupted(this.discard === undefined)))
          )
    )
  }

  /** Without a fiber and a timer for each statement. */
  private watched<X>(connection: A, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    return Effect.suspend(() => {
      const running: Running<A> = { connection, expiresAt: this.now() + this.millis, ending: undefined }
      // Noted inside of what takes the note back: between the two steps the fiber may be interrupted.
      const noted = Effect.suspend(() => {
        this.running.add(running)
        if (this.running.size === 1) this.some.openUnsafe()
        return statement
      })
      return Effect.mapError(
        Effect.onExitPrimitive(noted, () => {
          this.running.delete(running)
          if (running.ending === undefined) return undefined
          running.ending.ended.openUnsafe()
          // A request to cancel that is on its way would hit whatever comes next on the connection.
          return running.ending.settled.await
        }),
        (error) => (running.ending === undefined ? error : outOfTime(this.timeout, error))
      )
    })
  }

  /** Ends what runs out of time, for ever. */
  readonly watch: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    this.cancel === undefined ? Effect.void : Effect.asVoid(Effect.forkScoped(Effect.forever(this.nextTurn)))
  )

  private readonly nextTurn: Effect.Effect<void> = Effect.suspend(() => {
    const [first] = this.running
    if (first === undefined) {
      this.some.closeUnsafe()
      return this.some.await
    }
    const left = first.expiresAt - this.now()
    return left > 0 ? Effect.sleep(Math.min(left, longestSleep)) : this.expire(first)
  })

  private expire(running: Running<A>): Effect.Effect<void> {
    this.running.delete(running)
    const ending = { ended: Latch.makeUnsafe(false), settled: Latch.makeUnsafe(false) }
    running.ending = ending
    const cancelled = Effect.ensuring(
      Effect.suspend(() => this.cancel!(running.connection, ending.ended.await)),
      Effect.sync(() => ending.settled.openUnsafe())
    )
    // At once and on its own: if it did not begin, or were ended with the client, the statement would wait for ever.
    return Effect.asVoid(Effect.forkDetach(cancelled, { startImmediately: true }))
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }
}
