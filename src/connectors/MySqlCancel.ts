/**
 * A statement is cancelled by `KILL QUERY`, on a connection of its own. It names a session by a number, and that number may be
 * another session's by the time it is read: on a server that was restarted, or on another one behind the same address.
 */
import * as Effect from "effect/Effect"
import { isString } from "effect/Predicate"
import * as RcRef from "effect/RcRef"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Driver from "./MySqlDriver.ts"
import type { Target } from "./MySqlTarget.ts"

/** How the server lists a session. No two sessions have the same number and come from the same port at once. */
export interface Identity {
  readonly id: number
  /** The client's address and port, as the server sees them. */
  readonly host: string
}

const rowsOf = (
  line: Driver.Line,
  sql: string,
  params: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<object>, SqlError> =>
  Effect.callback<ReadonlyArray<object>, SqlError>((resume) => {
    Driver.send(line, { sql, params, isPrepared: false, asArrays: false }, (error, { result }) =>
      resume(error ? Effect.fail(error) : Effect.succeed(Array.isArray(result) ? result : []))
    )
    // Whoever gives it up wants the connection no more: a `KILL` that is on its way must not be waited for politely.
    return Effect.sync(() => line.socket.destroy())
  })

/**
 * Who a connection is, on the server. Nothing if the server does not say, or gives another number than it did when it was
 * greeted: a proxy is in between, and what it has us talk to now may serve somebody else in a moment.
 */
export const identify = (line: Driver.Line): Effect.Effect<Identity | undefined, SqlError> =>
  Effect.map(
    rowsOf(line, "select id, host from information_schema.processlist where id = connection_id()", []),
    ([row]) => {
      const { host, id } = lowerCased(row ?? {})
      const isGreeted = Number(id) % greetedNumbers === line.driver.threadId
      return isString(host) && isGreeted ? { id: Number(id), host } : undefined
    }
  )

/** A greeting has room for 32 bits of the number. */
const greetedNumbers = 2 ** 32

/** MySQL names the columns of its own tables in upper case, whatever they were asked for by. */
const lowerCased = (row: object): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toLowerCase(), value]))

/** Under a name of its own: whoever looks at the server's list must not take it for one of the pool's connections. */
const openToCancel = (target: Target) =>
  Driver.open({ ...target, applicationName: `${target.applicationName} (cancel)` })

/** Whether the server still lists a session. */
const isListed = (line: Driver.Line, { host, id }: Identity): Effect.Effect<boolean, SqlError> =>
  Effect.map(
    rowsOf(line, "select 1 from information_schema.processlist where id = ? and host = ?", [id, host]),
    ({ length }) => length > 0
  )

/**
 * Tells the server to end what a session is doing, unless that has ended by itself. When this has succeeded, no request is
 * under way any more. The number cannot come to mean another session between the two statements: the server that answers
 * both has not been restarted.
 */
export const killQuery = (target: Target, identity: Identity, hasEnded: () => boolean): Effect.Effect<void, SqlError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const line = yield* openToCancel(target)
      const isThere = yield* isListed(line, identity)
      if (isThere && !hasEnded()) yield* rowsOf(line, `kill query ${identity.id}`, [])
    })
  )

/** A connection for those who have sessions ended, opened for the first of them and closed after the last. */
export type SharedLine = RcRef.RcRef<Driver.Line, SqlError>

/** Its scope is never closed, and keeps nothing: it is for who comes last to close the connection. */
export const makeSharedLine = (target: Target): Effect.Effect<SharedLine> =>
  Effect.flatMap(Scope.make(), (scope) => Scope.provide(RcRef.make({ acquire: openToCancel(target) }), scope))

/** Has the server end a session that its client has left, and waits until it is gone. */
export const killSession = (shared: SharedLine, identity: Identity): Effect.Effect<void, SqlError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const line = yield* RcRef.get(shared)
      if (!(yield* isListed(line, identity))) return
      // It may end by itself meanwhile: then nobody has the number.
      yield* Effect.ignore(rowsOf(line, `kill ${identity.id}`, []))
      const schedule = Schedule.spaced("10 millis")
      yield* Effect.repeat(isListed(line, identity), { while: (isThere) => isThere, schedule })
    })
  )
