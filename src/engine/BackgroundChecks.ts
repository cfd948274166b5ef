import type { Connection } from "./Connection.ts"
import type { Ledger } from "./Ledger.ts"

/** How many idle connections are being checked in the background at once. */
const atOnce = 2

/** One look at all idle connections that somebody asked for, and what came of it. */
export interface Sweep {
  readonly since: number
  /** Connections that were asked, and of those the ones that failed. */
  checked: number
  failed: number
  /** Connections that were lent or closed before their turn, or that callers could not have done without. */
  skipped: number
  /** Connections that nobody has come to yet. */
  pending: number
}

interface Due<A> {
  readonly connection: Connection<A>
  readonly sweep: Sweep | undefined
}

/**
 * Checks of idle connections that no borrower waits for: a few at a time, and never of the last idle connection, which is
 * left to callers and checked before it is lent.
 */
export class BackgroundChecks<A> {
  private due: Array<Due<A>> = []
  private taken = 0
  private readonly running = new Map<Connection<A>, Sweep | undefined>()
  private readonly ledger: Ledger<A>

  constructor(ledger: Ledger<A>) {
    this.ledger = ledger
  }

  /** Nobody has come to some of those found due before. */
  get isBusy(): boolean {
    return this.taken < this.due.length
  }

  /** Finds the connections that have gone unproven for `healthCheckInterval`. */
  findDue(now: number): void {
    const { idle, options } = this.ledger
    // Those found before are still to be checked: a slow server is not asked faster than it answers.
    if (!options.canCheck || options.healthCheckInterval === Infinity || this.isBusy) return
    for (let connection = idle.coldest; connection !== undefined; connection = connection.warmer) {
      if (now - lastProven(connection) >= options.healthCheckInterval) this.due.push({ connection, sweep: undefined })
    }
  }

  /** Notes all idle connections as due, whenever they were proven. */
  sweep(now: number): Sweep {
    const { idle, options, state } = this.ledger
    const sweep = { since: now, checked: 0, failed: 0, skipped: 0, pending: 0 }
    for (let connection = idle.coldest; connection !== undefined; connection = connection.warmer) {
      if (options.canCheck && state !== "paused") {
        sweep.pending++
        this.due.push({ connection, sweep })
      } else sweep.skipped++
    }
    if (sweep.pending === 0) this.ledger.decide({ _tag: "Swept", sweep })
    return sweep
  }

  /** Checks as many as may be checked now. */
  go(now: number): void {
    const { idle } = this.ledger
    if (this.ledger.state === "paused") return
    while (this.isBusy && this.running.size < atOnce) {
      if (idle.length <= 1) {
        // Those that are being checked come back, and then there is one to spare.
        if (this.running.size > 0) return
        this.abandon()
        return
      }
      const { connection, sweep } = this.next()
      if (connection.state !== "idle" || (sweep !== undefined && lastProven(connection) > sweep.since)) {
        if (sweep !== undefined) this.settle(sweep, "skipped")
        continue
      }
      this.running.set(connection, sweep)
      connection.isBackgroundCheck = true
      this.ledger.takeFromIdle(connection)
      this.ledger.check(connection, now)
    }
  }

  /** A background check has ended, one way or another. */
  ended(connection: Connection<A>, outcome: "alive" | "dead" | "abandoned"): void {
    if (!this.running.has(connection)) return
    const sweep = this.running.get(connection)
    this.running.delete(connection)
    if (sweep === undefined) return
    if (outcome === "dead") sweep.failed++
    this.settle(sweep, outcome === "abandoned" ? "skipped" : "checked")
  }

  /** Nobody is to be checked any more. */
  abandon(): void {
    while (this.isBusy) {
      const { sweep } = this.next()
      if (sweep !== undefined) this.settle(sweep, "skipped")
    }
  }

  private next(): Due<A> {
    const due = this.due[this.taken++]!
    if (this.taken === this.due.length) {
      this.due = []
      this.taken = 0
    }
    return due
  }

  private settle(sweep: Sweep, as: "checked" | "skipped"): void {
    sweep[as]++
    if (--sweep.pending === 0) this.ledger.decide({ _tag: "Swept", sweep })
  }
}

const lastProven = <A>(connection: Connection<A>): number => Math.max(connection.usedAt, connection.provenAt)
