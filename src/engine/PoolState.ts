/**
 * The states of a pool.
 *
 * - `starting`: no connection has opened yet; connects are retried for ever, acquires wait inside their deadline. Next:
 *   `ready` (the first connection opened, or none is asked for), `paused`, `draining`.
 * - `ready`: connections are lent. Next: `unavailable`, `paused`, `draining`.
 * - `unavailable`: for `unavailableAfter` no connection was usable and every connect failed; acquires fail at once, one
 *   probe per backoff step goes on. Next: `ready` (a probe succeeded), `paused`, `draining`.
 * - `paused`: an operator asked; nothing is lent, opened, checked or retired, borrowers finish. Acquires wait inside their
 *   deadlines, or fail at once. Next: `ready` or `starting` (resumed), `draining`.
 * - `draining`: the pool is closing; nothing is lent, borrowers finish. Next: `closed`.
 * - `closed`: every connection is gone. Final.
 */
export type PoolState = "starting" | "ready" | "unavailable" | "paused" | "draining" | "closed"

/**
 * Why an acquire was refused, at once or while it waited: it ran out of time, the line is full (`overloaded`), more comes than
 * can be served (`shed`), the server cannot be reached, the pool is paused or closed, or its own fiber holds what it waits for.
 */
export type Refusal = "timeout" | "overloaded" | "shed" | "unavailable" | "paused" | "closed" | "deadlock"

/**
 * What kind of failure a connect met.
 *
 * - `transient`: trying again may help (refused, reset, timed out).
 * - `permanent`: trying again will not help until someone changes something (wrong password, unknown database).
 * - `overloaded`: the server has no room for another connection.
 */
export type FailureKind = "transient" | "permanent" | "overloaded"
