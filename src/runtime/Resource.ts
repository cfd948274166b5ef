import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"

/** What the runtime keeps for a connection of the engine: the connection itself, its scope, and who works on it. */
export class Resource<A> {
  /** Holds the connector's finalizers; closing it is what closes the connection. */
  readonly scope: Scope.Closeable = Scope.makeUnsafe()
  /** The connection as an effect, so that a borrower gets it without an allocation. */
  declare exit: Exit.Success<A>
  /** The connect, check or reset that is running. It may outlive its timeout: only the close waits for it. */
  work: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** Waits for the connection to die by itself. */
  watcher: Fiber.Fiber<unknown, unknown> | undefined = undefined

  get value(): A {
    return this.exit.value
  }

  settle(value: A): void {
    this.exit = Exit.succeed(value) as Exit.Success<A>
  }
}
