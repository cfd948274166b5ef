/**
 * A statement that is interrupted is cancelled by a `CancelRequest`, which travels on a socket of its own. It names the
 * session and not the statement: one that arrives late hits whatever the session is doing by then.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import type * as Net from "node:net"
import { Duplex } from "node:stream"

/** A server that is well answers a request in a millisecond or two. */
const patience = "1 second"

const unsettled = (): SqlError => {
  const message = "a cancel request of this session may still arrive, and would hit its next borrower"
  return new SqlError({ reason: new ConnectionError({ cause: new Error(message), message, operation: "reset" }) })
}

/** The cancel requests of one session, and whether each of them is over. */
export class CancelRequests {
  /** Ends the session in place of every request, where a request is not safe to send. */
  endInstead: (() => void) | undefined = undefined
  /** Whether they go to a proxy, which forgets those of a session that has ended. */
  areProxied = false
  private underway = 0
  private isOneLost = false
  private readonly noneUnderway = Latch.makeUnsafe(true)

  /** Whether the server may yet be told to cancel what the session is doing. */
  get mayArrive(): boolean {
    return this.isOneLost || this.underway > 0
  }

  /** Waits a moment for requests that are under way, and fails if one may arrive even so. */
  readonly settled: Effect.Effect<void, SqlError> = Effect.suspend(() =>
    this.mayArrive
      ? Effect.andThen(
          Effect.timeoutOption(this.noneUnderway.await, patience),
          Effect.suspend(() => (this.mayArrive ? Effect.fail(unsettled()) : Effect.void))
        )
      : Effect.void
  )

  /**
   * The socket of a request, as the driver gets it. The server ends it when it has passed the request on to the session,
   * so a socket that the server has ended is done with, whoever closes it. One that never connected has carried nothing:
   * Node keeps what is written until then. From any other, the request may still be on its way.
   */
  carry(socket: Net.Socket): Duplex {
    if (this.endInstead !== undefined) {
      this.endInstead()
      return socket.destroy()
    }
    let isOver = true
    this.underway++
    this.noneUnderway.closeUnsafe()
    socket
      .once("connect", () => {
        isOver = false
      })
      .once("end", () => {
        isOver = true
      })
      .once("close", () => {
        if (!isOver) this.isOneLost = true
        if (--this.underway === 0) this.noneUnderway.openUnsafe()
      })
    return relay(socket)
  }
}

/**
 * The same bytes on a stream of its own. Under TLS the driver would take the bare socket over, and its end would not be
 * seen any more.
 */
const relay = (socket: Net.Socket): Duplex => {
  const stream = new Duplex({
    // There is no backpressure, which the few bytes of a request do not need.
    read: () => {},
    write: (chunk: Uint8Array, _encoding, done) => {
      socket.write(chunk, done)
    },
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    }
  })
  socket
    .on("data", (chunk) => stream.push(chunk))
    .on("error", (error) => stream.destroy(error))
    .on("close", () => stream.destroy())
  return stream
}
