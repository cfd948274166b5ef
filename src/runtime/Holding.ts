/**
 * Who holds what, seen through the context of fibers: a fiber that has a lease carries a note of it, and so does every fiber
 * that it starts. A nested acquire finds it there, however deep in `Effect.all`, a timeout or a race it happens.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import type { Lease, Loan } from "../engine/Lease.ts"
import type { Resource } from "./Resource.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/**
 * One loan, and the one that was running around it. The note outlives the loan in every fiber that was started meanwhile, and
 * keeps nothing else alive; its number says that it is over.
 */
export class Note implements Loan<Resource<never>> {
  /** The pool's runtime. */
  readonly pool: unknown
  readonly lease: Lease<Resource<never>>
  readonly id: number
  outer: Note | undefined

  constructor(pool: unknown, lease: Lease<Resource<never>>, id: number, outer: Note | undefined) {
    this.pool = pool
    this.lease = lease
    this.id = id
    this.outer = outer
  }
}

const Holding = Context.Reference<Note | undefined>("effect-pool/Holding", { defaultValue: () => undefined })

/** How many noted loans run, of all pools. While none does, no fiber carries a note worth looking for. */
let running = 0

/** The first that is running, from one outwards. */
const firstRunning = (note: Note | undefined): Note | undefined => {
  let first = note
  while (first !== undefined && first.lease.id !== first.id) first = first.outer
  return first
}

/** The same services as a context that is deep, without its depth. */
const flat = new WeakMap<Context.Context<never>, Context.Context<never>>()

/**
 * A context to add to. Effect keeps what is added as a chain, and copies all services at every ninth addition: a fiber that stands just
 * before it would pay for a copy with each of its leases, which made `use` twice as slow. It pays for one, here.
 */
const shallow = (context: Context.Context<never>): Context.Context<never> => {
  // Not public. Where an Effect to come has no depth, nothing is deep, and every addition costs what it costs.
  const { depth, maxDepth } = context as { readonly depth?: number; readonly maxDepth?: number }
  if (depth === undefined || maxDepth === undefined || depth < maxDepth) return context
  const known = flat.get(context)
  if (known !== undefined) return known
  const made = Context.makeUnsafe(new Map(context.mapUnsafe))
  flat.set(context, made)
  return made
}

/** Notes a loan in the fiber's context, in the fiber's own step. */
export const noteLoan = <A>(pool: object, lease: Lease<Resource<A>>, id: number, fiber: AnyFiber): Note => {
  const outer = running === 0 ? undefined : firstRunning(fiber.getRef(Holding))
  const note = new Note(pool, lease as unknown as Lease<Resource<never>>, id, outer)
  running++
  fiber.setContext(Context.addUnsafe(shallow(fiber.context), Holding.key, note))
  return note
}

/**
 * A noted loan has ended, or is about to. To be said once of each. What is over is left out of the chain, at its end as at its
 * beginning: fibers that start one another from within leases, for ever, would hand on one that grows.
 */
export const loanEnded = (note: Note): void => {
  running--
  note.outer = firstRunning(note.outer)
}

const none: ReadonlyArray<never> = []

/** The running loans of a pool that a fiber has, by itself or through the fiber that started it; innermost first. */
export const loansOf = <A>(pool: object, fiber: AnyFiber): ReadonlyArray<Loan<Resource<A>>> => {
  let note = running === 0 ? undefined : firstRunning(fiber.getRef(Holding))
  if (note === undefined) return none
  const loans: Array<Loan<Resource<A>>> = []
  for (; note !== undefined; note = firstRunning(note.outer)) {
    if (note.pool === pool) loans.push(note as unknown as Loan<Resource<A>>)
  }
  return loans
}
