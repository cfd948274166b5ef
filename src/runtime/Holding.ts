/**
 * Who holds what, seen through the context of fibers: a fiber that has a lease carries a note of it, and so does every fiber
 * that it starts. A nested acquire finds it there, however deep in `Effect.all`, a timeout or a race it happens.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Lease, Loan } from "../engine/Lease.ts"
import type { Resource } from "./Resource.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** One loan, and the one that was running around it. The note outlives the loan; its number says so. */
export interface Note {
  /** The pool's runtime. */
  readonly pool: unknown
  readonly lease: Lease<Resource<never>> | undefined
  readonly id: number
  readonly outer: Note | undefined
}

const Holding = Context.Reference<Note | undefined>("effect-pool/Holding", { defaultValue: () => undefined })

const isOver = (note: Note): boolean => note.lease?.id !== note.id

/** How many noted loans run, of all pools. While none does, no fiber carries a note worth looking for. */
let running = 0

/**
 * The innermost loan that runs around a fiber, of whatever pool. Notes of loans that are over are left out: fibers that start
 * one another from within a lease, for ever, would hand on a chain that grows.
 */
export const loanAround = (fiber: AnyFiber): Note | undefined => {
  if (running === 0) return undefined
  let note = fiber.getRef(Holding)
  while (note !== undefined && isOver(note)) note = note.outer
  return note
}

/** Notes a loan in the fiber's context, in the fiber's own step. Whoever ends the loan need not take the note back. */
export const noteLoan = (note: Note, fiber: AnyFiber): void => {
  running++
  fiber.setContext(Context.add(fiber.context, Holding, note))
}

/** A noted loan has ended. To be said once of each. */
export const loanEnded = (): void => {
  running--
}

const none: ReadonlyArray<never> = []

/** The running loans of a pool that a fiber has, by itself or through the fiber that started it; innermost first. */
export const loansOf = <A>(pool: object, fiber: AnyFiber): ReadonlyArray<Loan<Resource<A>>> => {
  let note = loanAround(fiber)
  if (note === undefined) return none
  const loans: Array<Loan<Resource<A>>> = []
  for (; note !== undefined; note = note.outer) {
    if (note.pool === pool && !isOver(note)) loans.push(note as unknown as Loan<Resource<A>>)
  }
  return loans
}
