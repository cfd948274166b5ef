/**
 * How a borrower gets a connection and gives it back.
 *
 * The rule of every path: a lease is taken and its release installed in one step of the fiber, because a fiber can be
 * interrupted between any two.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Connection } from "../engine/Connection.ts"
import type { LeaseOutcome } from "../engine/Engine.ts"
import type { AcquireError } from "../PoolError.ts"
import type { BoundConnector } from "./BoundConnector.ts"
import { Borrower } from "./Borrower.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { refusalError } from "./Refusals.ts"
import type { Resource } from "./Resource.ts"

type Pooled<A> = Connection<Resource<A>>
type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Borrows for the length of the surrounding scope; `give` says what the borrower gets. */
export const borrowInScope = <A, B>(
  runtime: PoolRuntime<A>,
  give: (connection: Pooled<A>) => Effect.Effect<B>
): Effect.Effect<B, AcquireError, Scope.Scope> => {
  const hold = (connection: Pooled<A>, fiber: AnyFiber): Effect.Effect<B> => {
    returnWithScope(runtime, connection, fiber)
    return give(connection)
  }
  const { engine } = runtime
  return Effect.withFiber((fiber) => {
    const connection = engine.hasSpare ? engine.lease(runtime.time.inTurn()) : undefined
    return connection === undefined ? wait(runtime, hold) : hold(connection, fiber)
  })
}

/** Borrows while an effect runs: no scope, and the fastest way. */
export const borrowWhile = <A, B, E, R>(
  runtime: PoolRuntime<A>,
  body: (connection: A) => Effect.Effect<B, E, R>
): Effect.Effect<B, E | AcquireError, R> =>
  Effect.suspend(() => {
    // The release is installed before there is anything to release, and finds out here what there is.
    let held: Pooled<A> | undefined = undefined
    let lease = 0
    const hold = (connection: Pooled<A>): Effect.Effect<B, E, R> => {
      held = connection
      lease = connection.lease
      return body(connection.resource.exit.value)
    }
    return Effect.onExitPrimitive(
      Effect.suspend<B, E | AcquireError, R>(() => {
        const { engine } = runtime
        const connection = engine.hasSpare ? engine.lease(runtime.time.inTurn()) : undefined
        return connection === undefined ? wait(runtime, hold) : hold(connection)
      }),
      (exit) => {
        if (held !== undefined) giveBack(runtime, held, lease, exit)
        return undefined
      }
      // Not `interruptible`: an interrupt unwinds past such a handler without calling it, and the lease would leak.
    )
  })

/** Waits in line. Served or not, whatever happens to the fiber ends in `take` or in `cancel`, never in neither. */
const wait = <A, B, E, R>(
  runtime: PoolRuntime<A>,
  hold: (connection: Pooled<A>, fiber: AnyFiber) => Effect.Effect<B, E, R>
): Effect.Effect<B, E | AcquireError, R> =>
  Effect.callback<B, E | AcquireError, R>((resume) => {
    const { engine } = runtime
    const borrower = new Borrower(runtime, hold, resume)
    const refusal = engine.enqueue(borrower, runtime.now())
    if (refusal !== undefined) return resume(Effect.fail(refusalError(runtime, refusal)))
    runtime.perform()
    borrower.isParked = true
    return Effect.sync(() => {
      engine.cancel(borrower, runtime.now())
      if (engine.hasDecisions) runtime.perform()
    })
  })

const returnWithScope = <A>(runtime: PoolRuntime<A>, connection: Pooled<A>, fiber: AnyFiber): void => {
  const { lease } = connection
  const scope = Context.getUnsafe(fiber.context, Scope.Scope)
  const release = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    giveBack(runtime, connection, lease, exit)
    return Effect.void
  }
  // A scope that has ended cannot hold a lease: the fiber that asked for it does, or two borrowers would share it.
  if (scope.state._tag === "Closed") fiber.addObserver(release)
  else addFinalizer(scope, release)
}

/**
 * What `Scope.addFinalizer` does, as a step instead of an effect: an effect of its own could be interrupted between the
 * lease and its release. A test holds it to the behaviour of Effect's.
 */
const addFinalizer = (
  scope: Scope.Scope,
  finalizer: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>
): void => {
  const { state } = scope
  if (state._tag === "Empty") {
    scope.state = { _tag: "Open", finalizerKey: finalizer, finalizer, finalizers: undefined }
  } else if (state._tag === "Open") {
    if (state.finalizer !== undefined) {
      state.finalizers = new Map([[state.finalizerKey!, state.finalizer]])
      state.finalizerKey = undefined
      state.finalizer = undefined
    }
    state.finalizers!.set(finalizer, finalizer)
  }
}

/** Ends a lease. Whatever the connection needs afterwards is done on the pool's own fibers. */
const giveBack = <A>(
  runtime: PoolRuntime<A>,
  connection: Pooled<A>,
  lease: number,
  exit: Exit.Exit<unknown, unknown>
): void => {
  const { connector, engine } = runtime
  const outcome = outcomeOf(connector, connection.resource.exit.value, exit)
  // Where somebody waits, a deadline is at stake: a lease is of no use to one whose time is over.
  const now = engine.waiting === 0 ? runtime.time.inTurn() : runtime.now()
  engine.release(connection, lease, outcome, now)
  if (engine.hasDecisions) runtime.perform()
}

const outcomeOf = <A>(connector: BoundConnector<A>, connection: A, exit: Exit.Exit<unknown, unknown>): LeaseOutcome => {
  if (exit._tag === "Failure") {
    const { fatal } = connector
    for (const reason of exit.cause.reasons) {
      if (reason._tag !== "Fail") return "suspect"
      if (fatal?.(reason.error) === true) return "broken"
    }
  }
  return connector.inspect(connection)
}
