import type { Connection } from "./Connection.ts"
import type { Waiter } from "./Waiters.ts"

/**
 * A record of loans of one connection, one loan after the other, each with a number of its own. Whoever keeps the record
 * keeps the number with it: a release that comes twice, or too late, finds another number and nothing to release.
 *
 * It serves again and again because a fresh object for each loan, linked into lists that live long, was half of what the
 * engine's share of a lease cost.
 */
export class Lease<A> {
  readonly connection: Connection<A>
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
  older: Lease<A> | undefined = undefined
  /** The next one in the list it is in: of those that run, or of the spare ones of its connection. */
  younger: Lease<A> | undefined = undefined

  constructor(connection: Connection<A>) {
    this.connection = connection
  }
}

/** One loan: the record, and its number in it. */
export interface Loan<A> {
  readonly lease: Lease<A>
  readonly id: number
}

/** It has not ended: its record has not gone to another. */
export const isRunning = <A>({ id, lease }: Loan<A>): boolean => lease.id === id

/** The running leases, oldest first. */
export class Leases<A> {
  oldest: Lease<A> | undefined = undefined
  youngest: Lease<A> | undefined = undefined
  length = 0
  /** How many have a holder that waits for this very pool. */
  stuck = 0
  /** How many have been taken by the very fiber that waits. */
  surelyStuck = 0

  add(lease: Lease<A>): void {
    const { youngest } = this
    lease.older = youngest
    lease.younger = undefined
    if (youngest === undefined) this.oldest = lease
    else youngest.younger = lease
    this.youngest = lease
    this.length++
  }

  remove(lease: Lease<A>): void {
    const { older, younger } = lease
    if (older === undefined) this.oldest = younger
    else older.younger = younger
    if (younger === undefined) this.youngest = older
    else younger.older = older
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
