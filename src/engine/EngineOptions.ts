/** The numbers the engine works with. Durations are milliseconds; `Infinity` switches a limit off. */
export interface EngineOptions {
  readonly minConnections: number
  readonly maxConnections: number
  readonly maxConnecting: number
  readonly maxWaiting: number
  readonly acquireTimeout: number
  readonly checkAfterIdle: number
  readonly healthCheckInterval: number
  readonly idleTimeout: number
  readonly maxLifetime: number
  readonly maxUses: number
  readonly unavailableAfter: number
  readonly warmupBatchSize: number
  readonly warmupDelay: number
  readonly canCheck: boolean
  readonly canReset: boolean
  /** A number from 0 to 1, for the jitter of lifetimes. */
  readonly random: () => number
}

/**
 * How a lease ended.
 *
 * - `clean`: it left nothing behind. `dirty`: it may have, so the connection is reset.
 * - `suspect`: it was interrupted or died, so nobody knows what the connection is doing.
 * - `broken`: it met an error after which the connection is of no use.
 */
export type LeaseOutcome = "clean" | "dirty" | "suspect" | "broken"

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
  connectFailures: 0,
  retries: 0
})
