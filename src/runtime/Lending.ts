/**
 * How a borrower gets a connection and gives it back.
 *
 * The rule of every path: a lease is taken and its release installed in one step of the fiber, because a fiber can be
 * interrupted between any two.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { EffectPrimitive } from "effect/Tracer"
import type { LeaseOutcome } from "../engine/Engine.ts"
import type { Lease } from "../engine/Lease.ts"
import type { AcquireError } from "../PoolError.ts"
import type { BoundConnector } from "./BoundConnector.ts"
import { Borrower, type Hold } from "./Borrower.ts"
import { loanEnded, loansOf, type Note, noteLoan } from "./Holding.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { refusalError } from "./Refusals.ts"
import type { Resource } from "./Resource.ts"

type AnyLease<A> = Lease<Resource<A>>
type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Borrows for the length of the surrounding scope; `give` says what the borrower gets. */
export const borrowInScope = <A, B>(
  runtime: PoolRuntime<A>,
  give: (lease: AnyLease<A>, id: number) => Effect.Effect<B>,
  isExclusive = false
): Effect.Effect<B, AcquireError, Scope.Scope> => {
  const hold = (lease: AnyLease<A>, id: number, fiber: AnyFiber): Effect.Effect<B> => {
    returnWithScope(runtime, lease, id, fiber)
    return give(lease, id)
  }
  return Effect.withFiber((fiber) => {
    const lease = leaseAtOnce(runtime, fiber, isExclusive)
    return lease === undefined ? wait(runtime, hold, fiber, isExclusive) : hold(lease, lease.id, fiber)
  })
}

/** Borrows while an effect runs: no scope, and the fastest way. */
export const borrowWhile = <A, B, E, R>(
  runtime: PoolRuntime<A>,
  body: (connection: A) => Effect.Effect<B, E, R>
): Effect.Effect<B, E | AcquireError, R> =>
  Effect.withFiber((fiber) => {
    const use = new Use(runtime, body, fiber)
    // Not `interruptible`: an interrupt unwinds past such a handler without calling it, and the lease would leak.
    const frame = Effect.onExitPrimitive(use, (exit) => use.end(exit))
    // Installed in this very step, which says what the next one is. If that is the use, as it is today, it begins here and
    // now: a step less, and they are what a use costs.
    const next = (frame as unknown as EffectPrimitive<typeof frame>)["~effect/Effect/evaluate"](fiber)
    return next === use ? use.asEffect() : next
  })

/** One run of `use`, with its lease from the beginning to the end. */
class Use<A, B, E, R> extends Effectable.Class<B, E | AcquireError, R> {
  private readonly runtime: PoolRuntime<A>
  private readonly body: (connection: A) => Effect.Effect<B, E, R>
  private readonly fiber: AnyFiber
  /** What the fiber's context was before the note, and is again after it. */
  private readonly context: Context.Context<never>
  /** Installed before there is anything to release, its end finds out here what there is. */
  private lease: AnyLease<A> | undefined = undefined
  private id = 0
  private note: Note | undefined = undefined

  constructor(runtime: PoolRuntime<A>, body: (connection: A) => Effect.Effect<B, E, R>, fiber: AnyFiber) {
    super()
    this.runtime = runtime
    this.body = body
    this.fiber = fiber
    this.context = fiber.context
  }

  /** Begins it. */
  asEffect(): Effect.Effect<B, E | AcquireError, R> {
    const { fiber, runtime } = this
    const lease = leaseAtOnce(runtime, fiber, false)
    if (lease !== undefined) return this.hold(lease, lease.id)
    return wait(runtime, (served, id) => this.hold(served, id), fiber, false)
  }

  private hold(lease: AnyLease<A>, id: number): Effect.Effect<B, E, R> {
    const { fiber, runtime } = this
    this.lease = lease
    this.id = id
    noteHolder(lease, id, fiber)
    if (runtime.watchesNesting) this.note = noteLoan(runtime, lease, id, fiber)
    return this.body(lease.connection.resource.exit.value)
  }

  end(exit: Exit.Exit<B, E | AcquireError>): undefined {
    const { fiber, id, lease, note, runtime } = this
    if (lease === undefined) return
    if (note !== undefined) {
      fiber.setContext(this.context)
      loanEnded(note)
    }
    giveBack(runtime, lease, id, exit)
  }
}

/** A lease that was taken back before its fiber could take it has none: its record may be another's by now. */
const noteHolder = <A>(lease: AnyLease<A>, id: number, fiber: AnyFiber): void => {
  if (lease.id === id) lease.holder = fiber
}

/** A lease without a wait, if there is one to be had. */
const leaseAtOnce = <A>(runtime: PoolRuntime<A>, fiber: AnyFiber, isExclusive: boolean): AnyLease<A> | undefined => {
  const { engine } = runtime
  if (!engine.hasSpare) return undefined
  // What is forbidden is refused in line, like everything else that is refused.
  if (runtime.forbidsNesting && loansOf(runtime, fiber).length > 0) return undefined
  return engine.lease(runtime.time.inTurn(), isExclusive)
}

/** Waits in line. Served or not, whatever happens to the fiber ends in `take` or in `cancel`, never in neither. */
const wait = <A, B, E, R>(
  runtime: PoolRuntime<A>,
  hold: Hold<A, B, E, R>,
  fiber: AnyFiber,
  isExclusive: boolean
): Effect.Effect<B, E | AcquireError, R> =>
  Effect.callback<B, E | AcquireError, R>((resume) => {
    const { engine } = runtime
    const borrower = new Borrower(runtime, hold, resume)
    borrower.isExclusive = isExclusive && runtime.config.concurrency > 1
    borrower.holder = fiber
    if (runtime.watchesNesting) borrower.held = loansOf(runtime, fiber)
    const refusal = engine.enqueue(borrower, runtime.now())
    if (refusal !== undefined) return resume(Effect.fail(refusalError(runtime, refusal, borrower)))
    runtime.perform()
    borrower.isParked = true
    return Effect.sync(() => {
      engine.cancel(borrower, runtime.now())
      if (engine.hasDecisions) runtime.perform()
    })
  })

const returnWithScope = <A>(runtime: PoolRuntime<A>, lease: AnyLease<A>, id: number, fiber: AnyFiber): void => {
  noteHolder(lease, id, fiber)
  const scope = Context.getUnsafe(fiber.context, Scope.Scope)
  const note = runtime.watchesNesting ? noteLoan(runtime, lease, id, fiber) : undefined
  const release = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
    if (note !== undefined) loanEnded(note)
    giveBack(runtime, lease, id, exit)
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
  lease: AnyLease<A>,
  id: number,
  exit: Exit.Exit<unknown, unknown>
): void => {
  // Taken back by the pool: what its borrower left behind is of no more interest.
  if (lease.id !== id) return
  const { connector, engine } = runtime
  const outcome = outcomeOf(connector, lease.connection.resource.exit.value, exit)
  // Where somebody waits, a deadline is at stake: a lease is of no use to one whose time is over.
  const now = engine.ledger.waiters.length === 0 ? runtime.time.inTurn() : runtime.now()
  engine.release(lease, id, outcome, now)
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
