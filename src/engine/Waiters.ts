import { isRunning, type Lease, type Loan } from "./Lease.ts"

/**
 * The states of a waiter.
 *
 * - `waiting`: in line. Next: `served`, `refused`, `cancelled`.
 * - `served`: a connection is lent to it, but its fiber has not run yet. Next: `taken`, `cancelled` (it was interrupted
 *   in between, and the connection goes on to the next in line).
 * - `taken`, `refused`, `cancelled`: final.
 */
export type WaiterState = "waiting" | "served" | "taken" | "refused" | "cancelled"

const none: ReadonlyArray<never> = []

/** A fiber waiting for a lease. The engine decides when it is served; the runtime knows how to wake it. */
export abstract class Waiter<A> {
  state: WaiterState = "waiting"
  /** The number of its acquire: of two waiters, the one with the lower number came first. */
  acquire = 0
  enqueuedAt = 0
  /** Its place in line when it came, from 1; and how many waited, itself included, when it was refused. */
  position = 1
  waitingWithIt = 0
  /** The absolute end of its patience: queue, connect and check together. */
  deadline = Infinity
  /** It wants a connection to itself, where connections are shared. */
  isExclusive = false
  /** Whoever waits for an answer goes first. */
  isBatch = false
  /** It has been told that it was served: it will take its lease, whatever becomes of it meanwhile. */
  isWoken = false
  /** Whoever waits. The engine only compares it to the holders of leases. */
  holder: unknown = undefined
  /** The leases it has already, itself or through the one that started it. */
  held: ReadonlyArray<Loan<A>> = none
  /** The lease it was served, from `served` on. */
  lease: Lease<A> | undefined = undefined
  leaseId = 0
  ahead: Waiter<A> | undefined = undefined
  behind: Waiter<A> | undefined = undefined
}

/** A line: first come, first served. Leaving from the middle is O(1): a storm of interruptions costs what it took to arrive. */
export class Line<A> {
  first: Waiter<A> | undefined = undefined
  last: Waiter<A> | undefined = undefined
  length = 0

  push(waiter: Waiter<A>): void {
    waiter.ahead = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.behind = waiter
    this.last = waiter
    this.length++
  }

  /** Puts one that has left the line back to where it stood: ahead of all who came later. */
  putBack(waiter: Waiter<A>): void {
    let behind = this.first
    while (behind !== undefined && behind.acquire < waiter.acquire) behind = behind.behind
    if (behind === undefined) return this.push(waiter)
    const { ahead } = behind
    waiter.ahead = ahead
    waiter.behind = behind
    if (ahead === undefined) this.first = waiter
    else ahead.behind = waiter
    behind.ahead = waiter
    this.length++
  }

  remove(waiter: Waiter<A>): void {
    if (waiter.ahead === undefined) this.first = waiter.behind
    else waiter.ahead.behind = waiter.behind
    if (waiter.behind === undefined) this.last = waiter.ahead
    else waiter.behind.ahead = waiter.ahead
    waiter.ahead = undefined
    waiter.behind = undefined
    this.length--
  }
}

/** After so many who wait for an answer comes one who works through a batch: he waits longer, and not for ever. */
const turnsBeforeBatch = 9

/** Those who want the same, by what they are in a hurry for: an answer, or the end of a batch. */
export class Class<A> {
  readonly interactive = new Line<A>()
  readonly batch = new Line<A>()
  private readonly turns: Turns

  constructor(turns: Turns) {
    this.turns = turns
  }

  get length(): number {
    return this.interactive.length + this.batch.length
  }

  /** Whoever is next. */
  get first(): Waiter<A> | undefined {
    const one = this.interactive.first
    const other = this.batch.first
    if (other === undefined || one === undefined) return one ?? other
    return this.turns.sinceBatch < turnsBeforeBatch ? one : other
  }

  lineOf({ isBatch }: Waiter<A>): Line<A> {
    return isBatch ? this.batch : this.interactive
  }
}

/** How many others have been served since a batch was, while one was waiting. */
interface Turns {
  sinceBatch: number
}

/**
 * Those who wait. Where connections are shared there are two classes: those who take room on one (`sharing`), and those who
 * want one to themselves (`exclusive`) and must wait for it to empty. Each class is a line of its own, so that emptying one
 * connection holds up nobody whom another could serve; a connection that is free goes to whoever came first of both. Within
 * each, those who wait for an answer go before those who work through a batch.
 */
export class Waiters<A> {
  private readonly turns: Turns = { sinceBatch: 0 }
  readonly sharing = new Class<A>(this.turns)
  readonly exclusive = new Class<A>(this.turns)
  /** Each is first come, first served, and in the order of its deadlines. */
  readonly lines: ReadonlyArray<Line<A>> = [
    this.sharing.interactive,
    this.sharing.batch,
    this.exclusive.interactive,
    this.exclusive.batch
  ]
  length = 0
  /** How many of them stand in another line than the one in which nearly everybody does. */
  private others = 0

  /** Whoever is next: of two in the same hurry, the one who came first. */
  get first(): Waiter<A> | undefined {
    if (this.others === 0) return this.sharing.interactive.first
    const one = this.sharing.first
    const other = this.exclusive.first
    if (one === undefined || other === undefined) return one ?? other
    if (one.isBatch !== other.isBatch) return one.isBatch === this.turns.sinceBatch < turnsBeforeBatch ? other : one
    return one.acquire < other.acquire ? one : other
  }

  /** When the first of all runs out of time. */
  get firstDeadline(): number {
    if (this.others === 0) return this.sharing.interactive.first?.deadline ?? Infinity
    let at = Infinity
    for (const { first } of this.lines) if (first !== undefined && first.deadline < at) at = first.deadline
    return at
  }

  /** One was served: whose turn is it next? */
  noteServed({ isBatch }: Waiter<A>): void {
    if (this.others === 0) this.turns.sinceBatch = 0
    else if (isBatch || (this.sharing.batch.length === 0 && this.exclusive.batch.length === 0))
      this.turns.sinceBatch = 0
    else this.turns.sinceBatch++
  }

  push(waiter: Waiter<A>): void {
    this.lineOf(waiter).push(waiter)
    this.count(waiter, 1)
  }

  putBack(waiter: Waiter<A>): void {
    this.lineOf(waiter).putBack(waiter)
    this.count(waiter, 1)
    // What it was served was nothing: the turn that it took is its own again.
    if (waiter.isBatch) this.turns.sinceBatch = turnsBeforeBatch
  }

  /** How many are served before a newcomer of this kind. */
  ahead({ isBatch }: Waiter<A>): number {
    return isBatch ? this.length : this.sharing.interactive.length + this.exclusive.interactive.length
  }

  remove(waiter: Waiter<A>): void {
    this.lineOf(waiter).remove(waiter)
    this.count(waiter, -1)
  }

  private count({ isBatch, isExclusive }: Waiter<A>, change: number): void {
    this.length += change
    if (isBatch || isExclusive) this.others += change
  }

  /** The one who came last of those who hold a lease that has not ended. A look at everyone: for deadlocks only. */
  youngestHolder(): Waiter<A> | undefined {
    let youngest: Waiter<A> | undefined = undefined
    for (const { last } of this.lines) {
      let waiter = last
      while (waiter !== undefined && !waiter.held.some(isRunning)) waiter = waiter.ahead
      if (waiter !== undefined && waiter.acquire > (youngest?.acquire ?? 0)) youngest = waiter
    }
    return youngest
  }

  private lineOf(waiter: Waiter<A>): Line<A> {
    return (waiter.isExclusive ? this.exclusive : this.sharing).lineOf(waiter)
  }
}
