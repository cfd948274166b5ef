/** What an operator, or the end of the scope, asks of a pool. */
import type { CloseReason, Connection } from "./Connection.ts"
import type { Lease } from "./Lease.ts"
import type { Ledger } from "./Ledger.ts"
import { becomeReady } from "./Opening.ts"
import { closeSurplus } from "./Retirement.ts"

/** Lends, opens, checks and retires nothing until `resume`. Acquires wait inside their deadlines, or fail. */
export const pause = <A>(ledger: Ledger<A>, failsAcquires: boolean, now: number): void => {
  ledger.failsWhilePaused = failsAcquires
  if (ledger.state !== "paused") ledger.enter("paused")
  ledger.recorder.noteLife("PoolPaused", now, { detail: failsAcquires ? 1 : 0 })
  ledger.backgroundChecks.abandon()
  // Nobody looks for deadlocks meanwhile: what looks like one afterwards has its time anew.
  ledger.stuckSince = undefined
  if (failsAcquires) ledger.refuseAll("paused", now)
}

export const resume = <A>(ledger: Ledger<A>, now: number): void => {
  if (ledger.state !== "paused") return
  ledger.recorder.noteLife("PoolResumed", now)
  ledger.enter(ledger.hasBeenReady ? "ready" : "starting")
}

/** Other limits, from now on. */
export const resize = <A>(ledger: Ledger<A>, minConnections: number, maxConnections: number, now: number): void => {
  ledger.minConnections = minConnections
  ledger.maxConnections = maxConnections
  ledger.sizing.target = minConnections
  ledger.isWarm = ledger.usable >= minConnections
  ledger.recorder.noteLife("PoolResized", now, { acquire: minConnections, lease: maxConnections })
  if (minConnections === 0) askForNone(ledger, now)
  closeSurplus(ledger, now)
}

/** What the pool is allowed by whoever shares out a budget, and whether others wait for what it does not need. */
export const allot = <A>(ledger: Ledger<A>, allotted: number, isCoveted: boolean, now: number): void => {
  ledger.allotted = allotted
  ledger.isCoveted = isCoveted
  closeSurplus(ledger, now)
}

/** No connection is asked for any more: the pool need not wait for one to be ready. */
const askForNone = <A>(ledger: Ledger<A>, now: number): void => {
  ledger.hasBeenReady = true
  if (ledger.state === "starting") becomeReady(ledger, now)
}

/**
 * Replaces all connections: what rests a few a second, what is in use when it comes back, or, if borrowers are to be
 * interrupted, everything at once.
 */
export const recycle = <A>(ledger: Ledger<A>, interruptsBorrowers: boolean, now: number): void => {
  ledger.generation++
  ledger.recorder.noteLife("PoolCleared", now, {
    acquire: ledger.generation,
    detail: interruptsBorrowers ? 1 : 0
  })
  // Nobody misses what rests in a paused pool, and nothing is opened in its place before the pool is resumed.
  if (interruptsBorrowers || ledger.state === "paused") {
    for (const connection of ledger.connections) ledger.closeUnlent(connection, "recycled", now)
  }
  if (interruptsBorrowers) revokeAll(ledger, "recycled", now)
}

/** Closes the pool: waiters are refused, what nobody holds is closed, borrowers may finish. */
export const drain = <A>(ledger: Ledger<A>, now: number): void => {
  ledger.enter("draining")
  ledger.recorder.noteLife("PoolDraining", now, { lease: ledger.leases.length })
  ledger.outages.current = undefined
  ledger.backgroundChecks.abandon()
  ledger.refuseAll("closed", now)
  for (const connection of ledger.connections) {
    if (connection.state === "inUse") ledger.condemn(connection, "poolClosed", now)
    else ledger.closeUnlent(connection, "poolClosed", now)
  }
}

/** Closes one connection: when whoever has it lets go, or now and under its borrowers. */
export const evict = <A>(
  ledger: Ledger<A>,
  connection: Connection<A>,
  interruptsBorrowers: boolean,
  now: number
): void => {
  ledger.condemn(connection, "evicted", now)
  if (!interruptsBorrowers) return
  for (const lease of ledger.leases.oldestFirst()) {
    if (lease.connection === connection) revoke(ledger, lease, "evicted", now)
  }
}

/** Takes every lease back, and closes the connections under their borrowers. */
export const revokeAll = <A>(ledger: Ledger<A>, reason: CloseReason, now: number): void => {
  for (const lease of ledger.leases.oldestFirst()) revoke(ledger, lease, reason, now)
}

const revoke = <A>(ledger: Ledger<A>, lease: Lease<A>, reason: CloseReason, now: number): void => {
  const { connection, servedTo: waiter } = lease
  ledger.endLease(lease, "revoked", now)
  if (connection.leases === 0) ledger.close(connection, reason, now)
  // It was served but not told: there is another one for it, or an answer.
  if (waiter === undefined || waiter.isWoken) return
  ledger.waitAgain(waiter, now)
}
