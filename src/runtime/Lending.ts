/**
 * How a borrower gets a connection: at once, or after a wait in line.
 *
 * The rule of every path: a lease is taken and its release installed in one step of the fiber, because a fiber can be
 * interrupted between any two.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Lease } from "../engine/Lease.ts"
import type { AcquireError } from "../PoolError.ts"
import { Priority } from "../Priority.ts"
import { Borrower, type Hold } from "./Borrower.ts"
import { loansOf } from "./Holding.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { refusalError } from "./Refusals.ts"
import type { Resource } from "./Resource.ts"
import { returnAfterUse, returnWithScope } from "./Returning.ts"

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
    const lease = leaseAtOnce(runtime, fiber, false)
    if (lease === undefined) return wait(runtime, holdWhile(runtime, body), fiber, false)
    returnAfterUse(runtime, lease, lease.id, fiber)
    return body(lease.connection.resource.exit.value)
  })

const holdWhile =
  <A, B, E, R>(runtime: PoolRuntime<A>, body: (connection: A) => Effect.Effect<B, E, R>): Hold<A, B, E, R> =>
  (lease, id, fiber) => {
    returnAfterUse(runtime, lease, id, fiber)
    return body(lease.connection.resource.exit.value)
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
    borrower.isBatch = fiber.getRef(Priority) === "batch"
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
