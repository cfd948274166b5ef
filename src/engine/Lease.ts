import type { Connection } from "./Connection.ts"
import type { Waiter } from "./Waiters.ts"

/**
 * A record of loans of one connection, one loan after the other, each with a number of its own. Whoever keeps the record
 * keeps the number with it: a release that comes twice, or too late, finds another number and nothing to release.
 *
 * It serves again and again, and is in no list but its connection's, because a fresh object for each loan, linked into lists
 * that live long, was half of what the engine's share of a lease cost. One whose loan was revoked never serves again: its
 * connection is being closed. So whoever took it is the only one to have it until he returns it.
 */
export class Lease<A> {
  readonly connection: Connection<A>
  /** The next record of the same connection, whether or not one of its loans is running. */
  readonly sibling: Lease<A> | undefined
  /** The next one to be used, while none of its loans is running. */
  spare: Lease<A> | undefined = undefined
  /** The number of the running loan, counting from 1 in the pool; 0 when none is running. */
  id = 0
  since = 0
  /** How many of those in line have this lease, themselves or through the one that started them. */
  waitingHolders = 0
  /** How many of them have taken it themselves: while one waits, it releases nothing. */
  waitingOwners = 0
  /** The waiter that was served with it, until its fiber has run and taken it. */
  servedTo: Waiter<A> | undefined = undefined
  /** Whoever holds it. The engine never looks into it. */
  holder: unknown = undefined
  /** Where it was borrowed, as whoever drives the engine knows it. Of the last loan, while none is running. */
  place: unknown = undefined
  /** Whatever whoever drives the engine keeps with the record, from one loan to the next. */
  attached: unknown = undefined

  constructor(connection: Connection<A>, sibling: Lease<A> | undefined) {
    this.connection = connection
    this.sibling = sibling
  }
}

/** One loan: the record, and its number in it. */
export interface Loan<A> {
  readonly lease: Lease<A>
  readonly id: number
}

/** It has not ended: its record has not gone to another. */
export const isRunning = <A>({ id, lease }: Loan<A>): boolean => lease.id === id

/** The running leases: how many there are, and which, through the records of the connections. */
export class Leases<A> {
  length = 0
  /** How many have a holder that waits for this very pool. */
  stuck = 0
  /** How many have been taken by the very fiber that waits. */
  surelyStuck = 0
  private readonly connections: ReadonlySet<Connection<A>>

  constructor(connections: ReadonlySet<Connection<A>>) {
    this.connections = connections
  }

  /** One connection after the other. */
  *[Symbol.iterator](): Generator<Lease<A>> {
    for (const { leaseRecords } of this.connections) {
      for (let lease = leaseRecords; lease !== undefined; lease = lease.sibling) if (lease.id !== 0) yield lease
    }
  }

  oldestFirst(): ReadonlyArray<Lease<A>> {
    return Array.from(this).sort((self, that) => self.id - that.id)
  }

  ended(lease: Lease<A>): void {
    this.length--
    if (lease.waitingHolders > 0) this.loosen(lease)
  }

  /** What its holders waited for is of no more interest: the lease is over. */
  private loosen(lease: Lease<A>): void {
    this.stuck--
    if (lease.waitingOwners > 0) this.surelyStuck--
    lease.waitingHolders = 0
    lease.waitingOwners = 0
  }

  /** Somebody who holds leases has come to wait. */
  holderWaits({ held, holder }: Waiter<A>): void {
    for (const loan of held) {
      if (!isRunning(loan)) continue
      const { lease } = loan
      if (lease.waitingHolders++ === 0) this.stuck++
      if (lease.holder === holder && lease.waitingOwners++ === 0) this.surelyStuck++
    }
  }

  /** Somebody who holds leases has left the line. */
  holderLeft({ held, holder }: Waiter<A>): void {
    for (const loan of held) {
      if (!isRunning(loan)) continue
      const { lease } = loan
      if (--lease.waitingHolders === 0) this.stuck--
      if (lease.holder === holder && --lease.waitingOwners === 0) this.surelyStuck--
    }
  }
}
