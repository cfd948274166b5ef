/**
 * How a session ends. A server that is told goodbye, or loses its client, notices when the statement that it runs has ended; and
 * until then the session is there. So a statement that is running is cancelled, and the end of the session awaited.
 */
import type * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { hasProperty } from "effect/Predicate"
import type * as Net from "node:net"
import { readsFrom } from "./PgBouncerError.ts"
import { socketClosed } from "./PostgresSession.ts"

/** A server that is well needs a millisecond or two. One that cannot be reached never answers a goodbye. */
const patienceMillis = 1000

/**
 * The request that cancels the statement that is running, if one is. `interrupt` would send none on a connection that several
 * share: they all lose it now.
 */
const cancelOf = (base: PgConnection.PgConnection): Effect.Effect<void> | undefined => {
  if (!hasProperty(base, "consumer") || base.consumer === undefined) return undefined
  return hasProperty(base, "cancel") && Effect.isEffect(base.cancel)
    ? (base.cancel as Effect.Effect<void>)
    : base.interrupt
}

/** The goodbye of one session, in two parts: before the driver says it, and after. */
export class Goodbye {
  private request: Fiber.Fiber<void> | undefined = undefined

  /**
   * Sends the request, if one is needed. The driver sends none once it has said goodbye, and does say it before the request is
   * through: so the session does nothing else after the statement, and nobody gets to see that it was cancelled.
   */
  readonly begin = (base: PgConnection.PgConnection, socket: Net.Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      const cancel = socket.destroyed ? undefined : cancelOf(base)
      if (cancel === undefined) return Effect.void
      // The end comes behind rows that nobody reads any more.
      readsFrom(base)?.resume()
      return Effect.map(Effect.forkDetach(cancel, { startImmediately: true }), (request) => {
        this.request = request
      })
    })

  /** Waits for the end of a session whose statement was cancelled. Any other ends at once, and is not waited for. */
  readonly end = (socket: Net.Socket): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { request } = this
      if (request === undefined) {
        socket.setTimeout(patienceMillis, () => socket.destroy())
        return Effect.void
      }
      return Effect.andThen(
        Effect.timeoutOption(socketClosed(socket), patienceMillis),
        Effect.sync(() => {
          socket.destroy()
          request.interruptUnsafe()
        })
      )
    })
}
