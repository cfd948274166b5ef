/** What the pool does with a session between two borrowers. */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Connection } from "mysql2"
import * as Driver from "./MySqlDriver.ts"
import { lost, toSqlError } from "./MySqlError.ts"
import type { Session } from "./MySqlSession.ts"
import type { Target } from "./MySqlTarget.ts"

/** One round trip. */
export const check = (session: Session): Effect.Effect<unknown, SqlError> => {
  const { line, turn } = session
  return turn.withPermit(Driver.command(line, "ping"))
}

/** The text that makes a session's settings what they were: a reset returns to those of the server. */
export const settingsText = ({ driver, target }: { readonly driver: Connection; readonly target: Target }): string =>
  ["set names utf8mb4 collate utf8mb4_unicode_ci"]
    .concat(Object.entries(target.settings).map(([name, value]) => driver.format(`${name} = ?`, [value])))
    .join(", ")

/** A statement of the pool's own. Whoever gives it up wants the session no more. */
const upkeep = ({ line }: Session, sql: string): Effect.Effect<void, SqlError> =>
  Effect.callback<void, SqlError>((resume) => {
    const onClose = () => resume(Effect.fail(lost("reset")))
    if (line.socket.destroyed) return onClose()
    line.socket.once("close", onClose)
    Driver.send(line, { sql, params: [], isPrepared: false, asArrays: false }, (error) => {
      line.socket.off("close", onClose)
      resume(error ? Effect.fail(error) : Effect.void)
    })
    return Effect.sync(() => line.socket.destroy())
  })

/** Sets what every session has, on one that is new. */
export const settle = (session: Session): Effect.Effect<void, SqlError> => {
  const { line, target } = session
  return Object.keys(target.settings).length === 0
    ? Effect.void
    : upkeep(session, settingsText({ driver: line.driver, target }))
}

/** Nobody can leave all databases again but by a new connection. */
const astray = (): SqlError =>
  toSqlError(new Error("the session is in a database, and was in none when it was opened"), "reset")

/**
 * Leaves no transaction, variable, setting, lock, prepared statement and temporary table behind. What a reset does not do: the
 * character set goes back to the server's (MySQL) or stays (MariaDB), and the database stays.
 */
export const reset = (session: Session): Effect.Effect<void, SqlError> => {
  const { line, target, turn } = session
  return turn.withPermit(
    Effect.gen(function* () {
      if (session.hasMoved && target.database === undefined) return yield* astray()
      yield* Driver.command(line, "reset")
      yield* upkeep(session, settingsText({ driver: line.driver, target }))
      if (target.database !== undefined) yield* upkeep(session, `use ${line.driver.escapeId(target.database)}`)
      session.isDirty = false
      session.hasMoved = false
      session.transaction = "none"
    })
  )
}

/** Completes when the connection is lost, used or not. */
export const closed = (session: Session): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const { socket } = session.line
    if (socket.destroyed) return resume(Effect.void)
    const onClose = () => resume(Effect.void)
    socket.once("close", onClose)
    return Effect.sync(() => socket.off("close", onClose))
  })
