/**
 * Leases that run for so long that somebody may have forgotten them. One look a second at all leases: no timer for any of them.
 */
import type { Lease } from "./Lease.ts"
import type { Ledger } from "./Ledger.ts"

/** Those that have been reported and are still out. */
export class Leaks<A> {
  readonly suspected = new Set<Lease<A>>()
  /** How many there have been. */
  total = 0
  /** When the next look is due. */
  lookAt: number

  constructor(now: number) {
    this.lookAt = now + interval
  }
}

/** How often leases are looked at, in milliseconds. */
const interval = 1000

/** Reports those that have run past the threshold, each once. */
export const findLeaks = <A>(ledger: Ledger<A>, now: number): void => {
  const { leaks, leases, options } = ledger
  leaks.lookAt = now + interval
  if (options.leakThreshold === Infinity || leases.length === 0) return
  for (const lease of leases) {
    // What nobody has taken yet is the pool's own affair.
    if (lease.servedTo !== undefined || now - lease.since < options.leakThreshold) continue
    if (leaks.suspected.has(lease)) continue
    leaks.suspected.add(lease)
    leaks.total++
    const { connection, id } = lease
    const fact = ledger.recorder.noteLife("LeakSuspected", now, {
      connection: connection.id,
      lease: id,
      duration: now - lease.since
    })
    ledger.decide({ _tag: "LeakSuspected", lease, id, fact })
  }
}

/** A suspected lease has ended: it was slow, and not lost. One that the pool has taken back did not come back by itself. */
export const endLeak = <A>(ledger: Ledger<A>, lease: Lease<A>, isRevoked: boolean, now: number): void => {
  const { connection, holder, id, place, since } = lease
  if (!ledger.leaks.suspected.delete(lease) || isRevoked) return
  ledger.recorder.noteLife("LeakReturned", now, { connection: connection.id, lease: id, duration: now - since })
  ledger.decide({ _tag: "LeakReturned", connection, lease: id, heldFor: now - since, holder, place })
}
