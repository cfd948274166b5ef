/**
 * The pools that are compared: over the same connections, of the same size, and otherwise as they come.
 */
import * as Effect from "effect/Effect"
import * as Pool from "effect/Pool"
import { ConnectionPool, Connector } from "effect-pool"

/** As good as nothing: what is measured is the pool. */
export class Session {
  queries = 0
}

const connect = Effect.sync(() => new Session())

/** Has as little as Effect's `Pool` has. */
export const plain = Connector.make({ name: "plain", connect })

/** Has all that a driver brings, and sessions that are always found clean and alive. */
export const attended = Connector.make({
  name: "attended",
  connect,
  check: () => Effect.void,
  reset: () => Effect.void,
  inspect: (session) => (session.queries > 0 ? "dirty" : "clean"),
  closed: () => Effect.never,
  fatal: () => false
})

export const makeOurs = (connector: typeof plain, size: number) =>
  Effect.orDie(ConnectionPool.make(connector, { minConnections: size, maxConnections: size }))

export const makeTheirs = (size: number) => Pool.make({ acquire: connect, size })
