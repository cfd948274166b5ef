/**
 * How a connection comes back from its borrower: with the end of a `use` or of a scope.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { EffectPrimitive } from "effect/Tracer"
import type { LeaseOutcome } from "../engine/Engine.ts"
import type { Lease } from "../engine/Lease.ts"
import type { BoundConnector } from "./BoundConnector.ts"
import { captureStack } from "./HolderNames.ts"
import { loanEnded, type Note, noteLoan } from "./Holding.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import type { Resource } from "./Resource.ts"

type AnyLease<A> = Lease<Resource<A>>
type AnyFiber = Fiber.Fiber<unknown, unknown>
type AnyExit = Exit.Exit<unknown, unknown>

/** Returns the lease when the fiber is through with what it does next. To be said in the step in which it was taken. */
export const returnAfterUse = <A>(runtime: PoolRuntime<A>, lease: AnyLease<A>, id: number, fiber: AnyFiber): void => {
  installFinalizer(fiber, returnOf(runtime, lease).begin(id, fiber).afterUse)
}

/**
 * Has a function called when the fiber is through with what the running step returns, however that ends. Effect's own pool does
 * it with a function that is private; evaluating `onExitPrimitive` installs it in the same way, and says what comes next.
 */
const installFinalizer = (fiber: AnyFiber, finalizer: (exit: AnyExit) => undefined): void => {
  // Not `interruptible`: an interrupt unwinds past such a handler without calling it, and the lease would leak.
  const frame = Effect.onExitPrimitive(Effect.void, finalizer) as unknown as EffectPrimitive<unknown>
  frame["~effect/Effect/evaluate"](fiber)
}

/**
 * Dies if the installed Effect does not do that. It is nowhere promised, and a pool that leaks every lease in production is worse
 * than one that does not start.
 */
export const ensureFinalizersWork: Effect.Effect<void> = Effect.suspend(() => {
  let ends = 0
  const step = Effect.withFiber((fiber) => {
    installFinalizer(fiber, () => {
      ends++
    })
    return Effect.void
  })
  return Effect.flatMap(step, () =>
    ends === 1
      ? Effect.void
      : Effect.die(new Error("This version of Effect is too new for this version of effect-pool: leases would leak."))
  )
})

/** Returns the lease when the fiber's scope closes. To be said in the step in which it was taken. */
export const returnWithScope = <A>(runtime: PoolRuntime<A>, lease: AnyLease<A>, id: number, fiber: AnyFiber): void => {
  const scope = Context.getUnsafe(fiber.context, Scope.Scope)
  const { afterScope } = returnOf(runtime, lease).begin(id, fiber)
  // A scope that has ended cannot hold a lease: the fiber that asked for it does, or two borrowers would share it.
  if (scope.state._tag === "Closed") fiber.addObserver(afterScope)
  else addFinalizer(scope, afterScope)
}

const returnOf = <A>(runtime: PoolRuntime<A>, lease: AnyLease<A>): Return<A> =>
  (lease.attached ??= new Return(runtime, lease)) as Return<A>

/**
 * The way back for all loans of one record, one after the other. Made once: objects and closures of its own for each loan
 * were a sixth of what a `use` cost. It can be, since only its borrower gives a record back that was lent.
 */
class Return<A> {
  private readonly runtime: PoolRuntime<A>
  private readonly lease: AnyLease<A>
  private fiber: AnyFiber | undefined = undefined
  /** What the fiber's context was before the note. */
  private context: Context.Context<never> | undefined = undefined
  private note: Note | undefined = undefined

  constructor(runtime: PoolRuntime<A>, lease: AnyLease<A>) {
    this.runtime = runtime
    this.lease = lease
  }

  begin(id: number, fiber: AnyFiber): this {
    const { lease, runtime } = this
    // Taken back by the pool before its fiber could take it: nobody holds it.
    if (lease.id === id) {
      lease.holder = fiber
      lease.place = fiber.cache
      if (runtime.capturesStacks) captureStack(lease as AnyLease<unknown>)
    }
    if (runtime.watchesNesting) {
      this.fiber = fiber
      this.context = fiber.context
      this.note = noteLoan(runtime, lease, id, fiber)
    }
    return this
  }

  readonly afterUse = (exit: AnyExit): undefined => {
    // What the scope of a borrower does to his context in the end is done by the scope.
    if (this.context !== undefined) this.fiber!.setContext(this.context)
    this.end(exit)
  }

  readonly afterScope = (exit: AnyExit): Effect.Effect<void> => {
    this.end(exit)
    return Effect.void
  }

  private end(exit: AnyExit): void {
    if (this.note !== undefined) {
      loanEnded(this.note)
      this.note = undefined
      this.context = undefined
      this.fiber = undefined
    }
    giveBack(this.runtime, this.lease, exit)
  }
}

/**
 * What `Scope.addFinalizer` does, as a step instead of an effect: an effect of its own could be interrupted between the
 * lease and its release. A test holds it to the behaviour of Effect's.
 */
const addFinalizer = (scope: Scope.Scope, finalizer: (exit: AnyExit) => Effect.Effect<void>): void => {
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
const giveBack = <A>(runtime: PoolRuntime<A>, lease: AnyLease<A>, exit: AnyExit): void => {
  // Taken back by the pool: what its borrower left behind is of no more interest.
  if (lease.id === 0) return
  const { connector, engine } = runtime
  const outcome = outcomeOf(connector, lease.connection.resource.exit.value, exit)
  // Where somebody waits, a deadline is at stake: a lease is of no use to one whose time is over.
  const now = engine.ledger.waiters.length === 0 ? runtime.time.inTurn() : runtime.now()
  engine.release(lease, lease.id, outcome, now)
  if (engine.hasDecisions) runtime.perform()
}

const outcomeOf = <A>(connector: BoundConnector<A>, connection: A, exit: AnyExit): LeaseOutcome => {
  if (exit._tag === "Failure") {
    const { fatal } = connector
    for (const reason of exit.cause.reasons) {
      if (reason._tag !== "Fail") return "suspect"
      if (fatal?.(reason.error) === true) return "broken"
    }
  }
  return connector.inspect(connection)
}
