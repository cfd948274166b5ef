import type { Ledger } from "./Ledger.ts"
import { clearForExclusive } from "./Sharing.ts"

/**
 * How long it must look like a deadlock where it is not sure to be one, in milliseconds: one fiber holds, and another, which
 * it has started, waits. Mostly the first waits for the second, but nobody knows. If it does not, it lets go meanwhile.
 */
const patience = 250

/**
 * Every place is lent, and everyone who holds one waits for another: nobody will ever release. Whoever came last is told at
 * once, with a deadlock for an answer, and can let go of what he holds.
 */
export const breakDeadlock = <A>(ledger: Ledger<A>, now: number): void => {
  if (ledger.options.nested === "allow") return
  while (isDeadlocked(ledger)) {
    const { leases } = ledger
    if (leases.surelyStuck < leases.length) {
      ledger.stuckSince ??= now
      if (now < ledger.stuckSince + patience) return
    }
    const youngest = ledger.waiters.youngestHolder()
    if (youngest === undefined) break
    ledger.refuse(youngest, "deadlock", now)
    // If a connection was being cleared for it, its room may be what another waits for.
    if (ledger.options.concurrency > 1) clearForExclusive(ledger, now)
  }
  ledger.stuckSince = undefined
}

/** When what looks like a deadlock will be taken for one. */
export const deadlockAt = <A>({ stuckSince }: Ledger<A>): number =>
  stuckSince === undefined ? Infinity : stuckSince + patience

/**
 * A pool that was allotted less than its maximum may be allotted more, and the ceiling of a policy goes when nothing gets done:
 * what looks like a deadlock there is none. The server's own limit rises too slowly to help anyone.
 */
const isDeadlocked = <A>({ highest, inUse, leases, total }: Ledger<A>): boolean =>
  leases.stuck === leases.length && inUse === total && total >= highest
