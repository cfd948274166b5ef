/** How a statement runs on a session, one after the other, and how one that nobody wants any more is ended. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { SqlError } from "effect/sql/SqlError"
import { killQuery, killSession, type SharedLine } from "./MySqlCancel.ts"
import * as Driver from "./MySqlDriver.ts"
import { lost } from "./MySqlError.ts"
import * as Session from "./MySqlSession.ts"

/** Runs a statement when those before it are over. */
export const run = (session: Session.Session, request: Driver.Request): Effect.Effect<Driver.Answer, SqlError> =>
  session.turn.withPermit(
    inDoubtAsk(
      session,
      request.sql,
      Effect.suspend(() => {
        const refusal = Session.note(session, request.sql)
        return refusal ? Effect.fail(refusal) : exchange(session, request)
      })
    )
  )

/** A statement that gives nothing. */
const nothing: Driver.Request = { sql: "do 0", params: [], isPrepared: false, asArrays: false }

/** After a failure in a transaction, first asks the server whether it has ended the transaction with it. */
export const inDoubtAsk = <X>(
  session: Session.Session,
  sql: string,
  next: Effect.Effect<X, SqlError>
): Effect.Effect<X, SqlError> =>
  Effect.suspend(() => {
    if (session.transaction !== "doubtful" || !Session.isMeantForTransaction(sql)) return next
    return Effect.flatMap(exchange(session, nothing), () => {
      if (session.transaction === "none") session.transaction = "lost"
      return next
    })
  })

/** Sends a statement, and waits for its answer. */
const exchange = (session: Session.Session, request: Driver.Request): Effect.Effect<Driver.Answer, SqlError> =>
  Effect.callback<Driver.Answer, SqlError>((resume) => {
    if (session.line.socket.destroyed) return resume(Effect.fail(lost("execute")))
    const end = Deferred.makeUnsafe<void>()
    const finish = (outcome: Effect.Effect<Driver.Answer, SqlError>): void => {
      if (session.onLost !== onLost) return
      Session.free(session)
      Deferred.doneUnsafe(end, Exit.void)
      resume(outcome)
    }
    const onLost = () => finish(Effect.fail(lost("execute")))
    Session.occupy(session, onLost)
    Driver.send(session.line, request, (error, answer) => {
      if (error) Session.learnFailure(session, error)
      else Session.learn(session, answer)
      finish(error ? Effect.fail(error) : Effect.succeed(answer))
    })
    return giveUp(session, Deferred.await(end))
  })

/** How long a statement may take to end once nobody wants it any more. A server that is well needs a few milliseconds. */
const patience = "900 millis"

/** A statement that takes upon itself a `KILL QUERY` that came after the statement it was meant for. */
const absorb = (session: Session.Session): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (session.line.socket.destroyed) return resume(Effect.void)
    Driver.send(session.line, nothing, () => resume(Effect.void))
  })

/**
 * Ends the statement that is running: when this is over, so is the statement, and no request to cancel it is under way. If
 * that cannot be had, so is the connection.
 */
export const giveUp = (session: Session.Session, end: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { identity, line, target } = session
    const hasEnded = () => session.onLost === undefined
    if (hasEnded()) return Effect.void
    if (identity === undefined) return Effect.sync(() => line.socket.destroy())
    const cancelled = Effect.andThen(
      killQuery(target, identity, () => hasEnded() || line.socket.destroyed),
      Effect.andThen(end, absorb(session))
    )
    return Effect.flatMap(Effect.exit(Effect.timeoutOption(cancelled, patience)), (exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) || Option.isNone(exit.value)) line.socket.destroy()
      })
    )
  })

/**
 * Leaves a session in the middle of a statement. The server would notice when the statement has ended, and have the session until
 * then: it is told to end it, and given some time. A connection that runs none ends at once.
 */
export const leave = (session: Session.Session, shared: SharedLine): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { identity, line } = session
    if (!Session.isBusy(session) || line.socket.destroyed || identity === undefined) return Effect.void
    line.socket.destroy()
    return Effect.ignore(Effect.timeoutOption(killSession(shared, identity), patience))
  })
