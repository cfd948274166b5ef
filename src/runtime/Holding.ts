/**
 * Who holds what, seen through the context of fibers: a fiber that has a lease carries a note of it, and so does every fiber
 * that it starts. A nested acquire finds it there, however deep in `Effect.all`, a timeout or a race it happens.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Lease, Loan } from "../engine/Lease.ts"
import type { Resource } from "./Resource.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** One loan, and the context in which it was made. The note outlives the loan; its number says so. */
class Note implements Loan<Resource<never>> {
  /** The pool's runtime. */
  readonly pool: unknown
  readonly lease: Lease<Resource<never>>
  readonly id: number
  readonly around: Context.Context<never>

  constructor(pool: unknown, lease: Lease<Resource<never>>, around: Context.Context<never>) {
    this.pool = pool
    this.lease = lease
    this.id = lease.id
    this.around = around
  }
}

const Holding = Context.Reference<Note | undefined>("effect-pool/Holding", { defaultValue: () => undefined })

/** Notes a loan in the fiber's context, in the fiber's own step. Whoever ends the loan need not take the note back. */
export const noteLease = <A>(pool: object, lease: Lease<Resource<A>>, fiber: AnyFiber): void => {
  const { context } = fiber
  const note = new Note(pool, lease as unknown as Lease<Resource<never>>, context)
  fiber.setContext(Context.add(context, Holding, note))
}

/** The same where notes are not taken back one by one: those of loans that are over are left out, or they would pile up. */
export const noteLeaseForScope = <A>(pool: object, lease: Lease<Resource<A>>, fiber: AnyFiber): void => {
  let around = fiber.context
  for (let outer = fiber.getRef(Holding); outer !== undefined && outer.lease.id !== outer.id;) {
    around = outer.around
    outer = Context.get(around, Holding)
  }
  const note = new Note(pool, lease as unknown as Lease<Resource<never>>, around)
  fiber.setContext(Context.add(fiber.context, Holding, note))
}

const none: ReadonlyArray<never> = []

/** The running loans of a pool that a fiber has, by itself or through the fiber that started it; innermost first. */
export const loansOf = <A>(pool: object, fiber: AnyFiber): ReadonlyArray<Loan<Resource<A>>> => {
  let note = fiber.getRef(Holding)
  if (note === undefined) return none
  const loans: Array<Loan<Resource<A>>> = []
  for (; note !== undefined; note = Context.get(note.around, Holding)) {
    if (note.pool === pool && note.lease.id === note.id) loans.push(note as unknown as Loan<Resource<A>>)
  }
  return loans
}
