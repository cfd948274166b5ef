/** A session with the server: what its borrowers hold, what the pool knows of it, and what is done between two of them. */
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { SqlError } from "effect/sql/SqlError"
import type * as Net from "node:net"
import type { CancelRequests } from "./PostgresCancel.ts"
import { sessionEffectOf } from "./PostgresStatement.ts"

/** What the pool's own code needs of a connection, and its borrower need not know. */
export interface Session {
  readonly base: PgConnection.PgConnection
  readonly socket: Net.Socket
  readonly cancels: CancelRequests
  isDirty: boolean
  /** How many transactions have been begun on it; of how many of these begins the outcome is known; how many have ended. */
  begun: number
  settled: number
  ended: number
  /** How many hold it for themselves. */
  pins: number
}

/** Whether it is as it was when it was opened, as far as its statements say. */
export const isAsNew = ({ begun, ended, isDirty, pins }: Session): boolean => !isDirty && ended === begun && pins === 0

/** Sessions by the connection that borrowers hold, for as long as somebody holds it. */
const sessions = new WeakMap<PgConnection.PgConnection, Session>()

/** Has the session found by another connection object too. */
export const adopt = (connection: PgConnection.PgConnection, session: Session): PgConnection.PgConnection => {
  sessions.set(connection, session)
  return connection
}

export const sessionOf = (connection: PgConnection.PgConnection): Session => sessions.get(connection)!

/** The connection as its borrowers see it: the driver's own, which also notes what may leave something behind. */
export const watched = (session: Session): PgConnection.PgConnection => new Watched(session, session.base)

/** A class, and not an object that inherits from the driver's: each transaction makes one, and it would cost as much as the rest. */
class Watched implements PgConnection.PgConnection {
  readonly [PgConnection.TypeId]: PgConnection.TypeId = PgConnection.TypeId
  readonly pin: PgConnection.PgConnection["pin"]
  private readonly session: Session
  private readonly base: PgConnection.PgConnection

  /** `base` is the session's own connection, or what the driver gives to one who pins it. */
  constructor(session: Session, base: PgConnection.PgConnection) {
    this.session = session
    this.base = base
    this.pin = Effect.andThen(
      pinning(session),
      Effect.map(base.pin, (pinned) => new Watched(session, pinned))
    )
    sessions.set(this, session)
  }

  get config(): PgConnection.Config {
    return this.base.config
  }

  get processId(): number {
    return this.base.processId
  }

  get interrupt(): Effect.Effect<void> {
    return this.base.interrupt
  }

  readonly query = (sql: string, params?: ReadonlyArray<unknown>, prepare?: boolean) =>
    this.noting(sql, this.base.query(sql, params, prepare))

  readonly queryValues = (sql: string, params?: ReadonlyArray<unknown>, prepare?: boolean) =>
    this.noting(sql, this.base.queryValues(sql, params, prepare))

  readonly stream = (sql: string, params?: ReadonlyArray<unknown>) => {
    // Nobody sees how a stream ends: the statements that a stream is made for have no need of it.
    if (sessionEffectOf(sql) !== "nothing") this.session.isDirty = true
    return this.base.stream(sql, params)
  }

  readonly listen = (channel: string) =>
    Effect.suspend(() => {
      this.session.isDirty = true
      return this.base.listen(channel)
    })

  /** Notes what a statement does when it runs. */
  private noting<X>(sql: string, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    const effect = sessionEffectOf(sql)
    if (effect === "nothing") return statement
    if (effect === "begins") return beginning(this.session, statement)
    if (effect === "ends") return ending(this.session, statement)
    this.session.isDirty = true
    return statement
  }
}

/** A pin that outlives its lease would keep the next borrower waiting. Counted before it begins, and until after it ends. */
const pinning = (session: Session) =>
  Effect.acquireRelease(
    Effect.sync(() => session.pins++),
    () => Effect.sync(() => session.pins--)
  )

/** From here on a transaction may be open, whatever comes of the statement. */
export const beginning = <X>(session: Session, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> =>
  Effect.suspend(() => {
    session.begun++
    return Effect.onExit(statement, () =>
      Effect.sync(() => {
        session.settled = Math.min(session.begun, session.settled + 1)
      })
    )
  })

/**
 * A transaction is over when the server has said so: those whose begin had been answered when this was asked for. Another
 * fiber's begin that is on its way may reach the server before this or after it.
 */
export const ending = <X>(session: Session, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> =>
  Effect.suspend(() => {
    const { settled } = session
    return Effect.map(statement, (result) => {
      session.ended = Math.max(session.ended, settled)
      return result
    })
  })

/**
 * Everything that `DISCARD ALL` does, except for forgetting the driver's own prepared statements: it would go on using
 * them, and the first to be gone inside a transaction would break that transaction.
 */
const forget = `do $$
declare name text;
begin
  reset session authorization;
  reset all;
  unlisten *;
  perform pg_advisory_unlock_all();
  for name in select c.name from pg_cursors c where c.is_holdable loop execute format('close %I', name); end loop;
  for name in select s.name from pg_prepared_statements s where s.from_sql loop execute format('deallocate %I', name); end loop;
  discard temp;
  discard sequences;
end $$`

/**
 * Work of the pool's own on a session. Whoever gives it up wants the session no more: the socket is destroyed there and
 * then. The driver would wait for its statement's answer for up to five seconds, and goes on by itself.
 */
export const upkeep = <X>(session: Session, work: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(Effect.andThen(session.cancels.settled, work)), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () =>
        Effect.sync(() => {
          session.socket.destroy()
          fiber.interruptUnsafe()
        })
      )
    )
  )

/** One round trip. */
export const check = (connection: PgConnection.PgConnection): Effect.Effect<unknown, SqlError> => {
  const session = sessionOf(connection)
  return upkeep(session, session.base.query("select 1"))
}

const isNewAgain = (session: Session): Effect.Effect<void> =>
  Effect.sync(() => {
    session.isDirty = false
    session.settled = session.begun
    session.ended = session.begun
  })

// Outside a transaction this is a warning that nobody reads; inside a failed one nothing else would be allowed.
const endTransaction = ({ base }: Session) => base.query("rollback", [], false)

/** Leaves no transaction, no setting, no lock, no listener, no cursor and no temporary table behind. */
export const reset = (connection: PgConnection.PgConnection): Effect.Effect<void, SqlError> => {
  const session = sessionOf(connection)
  const forgetAll = Effect.andThen(session.base.query(forget, [], false), isNewAgain(session))
  return upkeep(session, Effect.andThen(endTransaction(session), forgetAll))
}

/** Leaves no transaction behind. */
export const rollback = (connection: PgConnection.PgConnection): Effect.Effect<void, SqlError> => {
  const session = sessionOf(connection)
  return upkeep(session, Effect.andThen(endTransaction(session), isNewAgain(session)))
}

/** Sees to it that no cancel request is left, and leaves everything else as it is. */
export const settle = (connection: PgConnection.PgConnection): Effect.Effect<void, SqlError> =>
  sessionOf(connection).cancels.settled

export const closed = (connection: PgConnection.PgConnection): Effect.Effect<void> =>
  Effect.suspend(() => socketClosed(sessionOf(connection).socket))

export const socketClosed = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    const onClose = () => resume(Effect.void)
    socket.once("close", onClose)
    return Effect.sync(() => socket.off("close", onClose))
  })

/** A server that is well ends a statement in a millisecond or two when it is told to. */
const patience = "1 second"

/** Has the running statement end: by a request to cancel it, and where that does not help, by destroying the socket. */
export const cancel = (connection: PgConnection.PgConnection, ended: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.raceFirst(
    Effect.andThen(connection.interrupt, ended),
    Effect.delay(
      Effect.sync(() => {
        sessionOf(connection).socket.destroy()
      }),
      patience
    )
  )
