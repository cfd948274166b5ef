import type { SheddingOptions } from "./Shedding.ts"
import type { SizingPolicy } from "./SizingPolicy.ts"

/** The numbers the engine works with. Durations are milliseconds; `Infinity` switches a limit off. */
export interface EngineOptions {
  readonly minConnections: number
  readonly maxConnections: number
  readonly maxConnecting: number
  readonly maxWaiting: number
  readonly acquireTimeout: number
  readonly connectTimeout: number
  /** From here on a lease is suspected to be lost. */
  readonly leakThreshold: number
  readonly checkAfterIdle: number
  readonly healthCheckInterval: number
  readonly idleTimeout: number
  readonly maxLifetime: number
  readonly maxUses: number
  readonly unavailableAfter: number
  readonly warmupBatchSize: number
  readonly warmupDelay: number
  /** How many leases may share one connection. */
  readonly concurrency: number
  /** What becomes of an acquire by someone who holds a connection of this pool already. */
  readonly nested: Nested
  readonly sizing: SizingPolicy
  /** What is called overload; and whether anyone is refused because of it. */
  readonly shedding: SheddingOptions & { readonly isOn: boolean }
  readonly canCheck: boolean
  readonly canReset: boolean
  /** A number from 0 to 1, for the jitter of lifetimes. */
  readonly random: () => number
}

/**
 * - `allow`: nested acquires are nobody's business; a deadlock ends at the deadline.
 * - `warn`: one that has to wait is worth a warning, and a deadlock ends at once.
 * - `error`: every one is refused.
 */
export type Nested = "allow" | "warn" | "error"

/**
 * How a lease ended, as far as the borrower shows.
 *
 * - `clean`: it left nothing behind. `dirty`: it may have, so the connection is reset.
 * - `suspect`: it was interrupted or died, so nobody knows what the connection is doing.
 * - `broken`: it met an error after which the connection is of no use.
 */
export type LeaseOutcome = "clean" | "dirty" | "suspect" | "broken"

/** How a lease ended, in all: `revoked` if the pool took it back. */
export type LeaseEnd = LeaseOutcome | "revoked"

/** Sums over the life of the pool. */
export interface Counters {
  /** Connections opened, and of those the ones that are gone again. */
  created: number
  closed: number
  acquired: number
  released: number
  timedOut: number
  cancelled: number
  shed: number
  /** Acquires refused because the server cannot be reached, or the pool was paused or closed. */
  refused: number
  /** Acquires refused because their own fibers held what they waited for. */
  deadlocked: number
  connectFailures: number
  /** Probes: attempts to connect after a failed one. */
  retries: number
}

export const noCounts = (): Counters => ({
  created: 0,
  closed: 0,
  acquired: 0,
  released: 0,
  timedOut: 0,
  cancelled: 0,
  shed: 0,
  refused: 0,
  deadlocked: 0,
  connectFailures: 0,
  retries: 0
})
