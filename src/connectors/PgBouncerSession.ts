/** A session as its borrowers see it behind a proxy in transaction mode. */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { isString } from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { LastWords, readsFrom, refused, typed } from "./PgBouncerError.ts"
import { verdictOn } from "./PgBouncerStatement.ts"
import * as Session from "./PostgresSession.ts"

/** A server that is well answers a cancel request in a millisecond or two. */
const patience = "1 second"

/**
 * The connection that borrowers get: it sends nothing that would stay on a server connection, notes the transactions, and
 * says what the proxy said.
 */
export const guarded = (session: Session.Session): PgConnection.PgConnection => {
  const { base, socket } = session
  const reads = readsFrom(base)
  const lastWords = reads && new LastWords(reads)
  const explained = (error: SqlError): SqlError => typed(error, "query", lastWords)

  const running = <X>(sql: string, statement: Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> => {
    const verdict = verdictOn(sql)
    if (!isString(verdict)) return Effect.fail(refused(verdict))
    const bounded = Effect.mapError(letGo(statement, socket), explained)
    if (verdict === "nothing") return bounded
    if (verdict === "begins") return Session.beginning(session, bounded)
    if (verdict === "ends") return Session.ending(session, bounded)
    session.isDirty = true
    return bounded
  }

  const over = (connection: PgConnection.PgConnection): PgConnection.PgConnection =>
    Object.assign(Object.create(connection) as PgConnection.PgConnection, {
      query: (sql: string, params?: ReadonlyArray<unknown>, prepare?: boolean) =>
        running(sql, connection.query(sql, params, prepare)),
      queryValues: (sql: string, params?: ReadonlyArray<unknown>, prepare?: boolean) =>
        running(sql, connection.queryValues(sql, params, prepare)),
      stream: (sql: string, params?: ReadonlyArray<unknown>) => {
        const verdict = verdictOn(sql)
        if (!isString(verdict)) return Stream.fail(refused(verdict))
        // Nobody sees how a stream ends: the statements that a stream is made for have no need of it.
        if (verdict !== "nothing") session.isDirty = true
        return Stream.mapError(connection.stream(sql, params), explained)
      },
      pin: Effect.map(connection.pin, over),
      listen: () => Effect.fail(refused({ state: "listener", words: "listen" }))
    })

  return Session.adopt(over(base), session)
}

/**
 * A statement that waits in the proxy's own queue cannot be cancelled: the proxy drops the request, and the driver would wait
 * for an answer for five seconds, with its caller. The connection is given up instead, and the proxy forgets the statement.
 */
const letGo = <X>(
  statement: Effect.Effect<X, SqlError>,
  socket: Session.Session["socket"]
): Effect.Effect<X, SqlError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(statement), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () =>
        Effect.suspend(() => {
          fiber.interruptUnsafe()
          const giveUp = Effect.sync(() => void socket.destroy())
          return Effect.timeoutOrElse(Effect.asVoid(Fiber.await(fiber)), { duration: patience, orElse: () => giveUp })
        })
      )
    )
  )
