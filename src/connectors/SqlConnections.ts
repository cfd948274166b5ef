/** A pool's connections as those who write SQL hold them: for one statement, or for themselves until they give them back. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { Deadlines } from "./SqlDeadlines.ts"

type Connection = SqlConnection.Connection
type Transform = Parameters<Connection["execute"]>[2]
type Values = ReadonlyArray<unknown>

/** A connection each of whose statements goes the same way. */
abstract class Guarded implements Connection {
  protected abstract readonly inner: Connection
  protected abstract run<X>(statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError>
  abstract executeStream(sql: string, params: Values, transform: Transform): Stream.Stream<unknown, SqlError>

  execute(sql: string, params: Values, transform: Transform) {
    return this.run(this.inner.execute(sql, params, transform))
  }
  executeRaw(sql: string, params: Values) {
    return this.run(this.inner.executeRaw(sql, params))
  }
  executeValues(sql: string, params: Values) {
    return this.run(this.inner.executeValues(sql, params))
  }
  executeValuesUnprepared(sql: string, params: Values) {
    return this.run(this.inner.executeValuesUnprepared(sql, params))
  }
  executeUnprepared(sql: string, params: Values, transform: Transform) {
    return this.run(this.inner.executeUnprepared(sql, params, transform))
  }
}

/** A connection on which everything ends in time, also what runs on the dialect's own. */
export interface Bounded extends Connection {
  readonly inner: Connection
  run<X>(statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError>
}

/** A connection whose statements end in time. A stream lasts as long as its reader likes. */
export class Timed<A> extends Guarded implements Bounded {
  /** As the dialect made it. */
  readonly inner: Connection
  private readonly raw: A
  private readonly deadlines: Deadlines<A>

  constructor(raw: A, inner: Connection, deadlines: Deadlines<A>) {
    super()
    this.raw = raw
    this.inner = inner
    this.deadlines = deadlines
  }

  run<X>(statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    return this.deadlines.bound(this.raw, statement)
  }

  executeStream(sql: string, params: Values, transform: Transform) {
    return this.inner.executeStream(sql, params, transform)
  }
}

/** Why a reserved connection takes no statement any more. Made an error only for those who need one: an error takes its stack along. */
interface Refusal {
  readonly message: string
  readonly cause?: SqlError
}

const gone: Refusal = { message: "the connection was given back: whoever reserved it has ended" }
const ended: Refusal = { message: "the transaction has ended" }

const refused = ({ cause, message }: Refusal): Effect.Effect<never, SqlError> =>
  Effect.fail(
    new SqlError({ reason: new UnknownError({ cause: cause ?? new Error(message), message, operation: "execute" }) })
  )

/**
 * A connection that is reserved, for a transaction or as it is. Whoever started a fiber in it may go on with it after its end: that
 * fiber's statements are refused, since the connection is somebody else's by then.
 */
export class Reserved extends Guarded {
  /** The same, for the statements that begin and end what it is reserved for. */
  readonly control: Bounded
  protected readonly inner: Connection
  /** The services of the one who reserved it, with the pool's note of that. */
  readonly context: Context.Context<never>
  private readonly discard: Effect.Effect<void>
  /** Why no statement may run any more. */
  private over: Refusal | undefined = undefined
  private running = 0
  private readonly idle = Latch.makeUnsafe(true)

  constructor(connection: Bounded, discard: Effect.Effect<void>, context: Context.Context<never>) {
    super()
    this.context = context
    this.inner = connection
    this.control = connection
    this.discard = discard
  }

  protected run<X>(statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    return Effect.suspend(() => {
      let isCounted = false
      // Counted inside of what counts it off: between the two steps the fiber may be interrupted.
      const counted = Effect.suspend(() => {
        if (this.over !== undefined) return refused(this.over)
        isCounted = true
        this.enter()
        return statement
      })
      return Effect.onExitPrimitive(counted, () => {
        if (isCounted) this.leave()
        return undefined
      })
    })
  }

  executeStream(sql: string, params: Values, transform: Transform) {
    const entered = Effect.acquireRelease(
      Effect.suspend(() => (this.over === undefined ? Effect.sync(() => this.enter()) : refused(this.over))),
      () => Effect.sync(() => this.leave())
    )
    return Stream.unwrap(Effect.map(entered, () => this.inner.executeStream(sql, params, transform)))
  }

  /** Whether a rollback has failed: its connection is not to be used any more. */
  isLost = false

  /** Says that it was given back. */
  readonly giveBack: Effect.Effect<void> = Effect.sync(() => {
    this.over ??= gone
  })

  /**
   * Ends the transaction. Statements that began before it are in it; those that come later are refused, or they would run after it,
   * outside of any transaction.
   */
  end<X, E>(statement: Effect.Effect<X, E>): Effect.Effect<X, E> {
    return Effect.suspend(() => {
      this.over ??= ended
      return Effect.andThen(this.idle.await, statement)
    })
  }

  /** Ends the transaction for good, unless it is lost. */
  commit(statement: Effect.Effect<void, SqlError>): Effect.Effect<void, SqlError> {
    return this.end(Effect.suspend(() => (this.isLost ? refused(this.over!) : statement)))
  }

  /**
   * Goes back to where the transaction or its savepoint began. If that fails, nothing may run in the transaction any more, nobody
   * gets the connection, and the error that made it go back is the one to be seen.
   */
  undo(statement: Effect.Effect<unknown, SqlError>): Effect.Effect<void> {
    return Effect.catch(Effect.asVoid(statement), (cause) =>
      Effect.suspend(() => {
        this.isLost = true
        this.over = { message: "the transaction could not be rolled back, and its connection is discarded", cause }
        return Effect.andThen(this.discard, Effect.logDebug("A rollback failed; its connection is discarded.", cause))
      })
    )
  }

  private enter(): void {
    this.running++
    this.idle.closeUnsafe()
  }

  private leave(): void {
    if (--this.running === 0) this.idle.openUnsafe()
  }
}
