/** How a connection comes to a borrower and back. */
import type { Connection } from "./Connection.ts"
import type { LeaseOutcome } from "./EngineOptions.ts"
import { isHopeless, isShed } from "./Overload.ts"
import type { Lease } from "./Lease.ts"
import type { Ledger } from "./Ledger.ts"
import type { Refusal } from "./PoolState.ts"
import { isSound, reasonToClose } from "./Retirement.ts"
import { findRoom, offerRoom } from "./Sharing.ts"
import type { Waiter } from "./Waiters.ts"

/** Lends what can be lent without a wait, if nobody is in line for it. */
export const lease = <A>(ledger: Ledger<A>, isExclusive: boolean, now: number): Lease<A> | undefined => {
  if (ledger.state !== "ready") return undefined
  const connection = ledger.idle.warmest
  // Whether one that is too old may be lent all the same, since no other can be opened, is not decided on the fast path.
  const isWarm = connection !== undefined && ledger.isFresh(connection, now) && now < connection.expiresAt
  if (isWarm && ledger.waiters.length === 0) {
    ledger.takeFromIdle(connection)
    return lendAtOnce(ledger, connection, isExclusive, now)
  }
  if (ledger.shareable.length === 0 || isExclusive || ledger.waiters.sharing.length > 0) return undefined
  const shared = findRoom(ledger, now)
  return shared === undefined ? undefined : lendAtOnce(ledger, shared, false, now)
}

const lendAtOnce = <A>(ledger: Ledger<A>, connection: Connection<A>, isExclusive: boolean, now: number): Lease<A> => {
  const lease = ledger.lend(connection, isExclusive, now)
  ledger.counters.acquired++
  ledger.recorder.lent(now, ++ledger.acquires, lease.id, connection.id)
  return lease
}

/** Puts a waiter in line, or says why it cannot wait. */
export const enqueue = <A>(ledger: Ledger<A>, waiter: Waiter<A>, now: number): Refusal | undefined => {
  waiter.acquire = ++ledger.acquires
  waiter.enqueuedAt = now
  ledger.recorder.started(now, waiter.acquire)
  const refusal = refusalFor(ledger, waiter, now)
  if (refusal !== undefined) {
    waiter.state = "refused"
    ledger.noteRefused(waiter, refusal, now)
    return refusal
  }
  waiter.deadline = now + ledger.options.acquireTimeout
  waiter.position = ledger.waiters.ahead(waiter) + 1
  ledger.waiters.push(waiter)
  if (ledger.waiters.length === 1) ledger.demand.lineBegins(now, ledger.acquires)
  if (waiter.held.length > 0) {
    ledger.leases.holderWaits(waiter)
    if (ledger.options.nested === "warn") noteNested(ledger, waiter, now)
  }
  return undefined
}

const noteNested = <A>(ledger: Ledger<A>, waiter: Waiter<A>, now: number): void => {
  const { id, lease } = waiter.held[0]!
  const { acquire } = waiter
  ledger.recorder.noteLife("NestedAcquire", now, { acquire, lease: id, connection: lease.connection.id })
  ledger.decide({ _tag: "Nested", waiter })
}

const refusalFor = <A>(ledger: Ledger<A>, waiter: Waiter<A>, now: number): Refusal | undefined => {
  const refusal = ledger.refusalForAll
  if (refusal !== undefined) return refusal
  if (ledger.options.nested === "error" && waiter.held.length > 0) return "deadlock"
  if (isLineFull(ledger) && (ledger.expireWaiters(now), isLineFull(ledger))) return "overloaded"
  return isHopeless(ledger, waiter) ? "shed" : undefined
}

/** Waiters for whom there is a place, and a connection to be opened or checked, are not what makes a line too long. */
const isLineFull = <A>({ inUse, maxConnections, options, waiters }: Ledger<A>): boolean =>
  waiters.length - Math.max(0, maxConnections - inUse) >= options.maxWaiting

/** The waiter's fiber runs and takes what it was served: from here on the lease is released, not cancelled. */
export const take = <A>(ledger: Ledger<A>, waiter: Waiter<A>): Lease<A> | undefined => {
  const { lease } = waiter
  if (waiter.state !== "served" || lease === undefined) return undefined
  waiter.state = "taken"
  ledger.counters.acquired++
  const { acquire, enqueuedAt, leaseId } = waiter
  ledger.waitTimes.note(lease.since - enqueuedAt)
  ledger.recorder.acquired(lease.since, acquire, leaseId, lease.connection.id, lease.since - enqueuedAt)
  if (lease.id === leaseId) {
    if (!waiter.isWoken) lease.connection.untold--
    lease.servedTo = undefined
  }
  // The pool took it back before its fiber could run: it has a connection that is being closed.
  else ledger.noteReleased(lease, leaseId, "revoked", lease.since)
  return lease
}

/** The waiter left: it leaves the line, or what it was served goes to the next. */
export const cancel = <A>(ledger: Ledger<A>, waiter: Waiter<A>, now: number): void => {
  if (waiter.state === "waiting") {
    ledger.waiters.remove(waiter)
    ledger.leaveLine(waiter)
  } else if (waiter.state === "served") returnUntouched(ledger, waiter, now)
  waiter.state = "cancelled"
  ledger.counters.cancelled++
  ledger.failedFor.cancelled++
  ledger.recorder.failed(now, waiter.acquire, now - waiter.enqueuedAt, "cancelled")
}

/** A waiter that was served never ran: its connection goes on as if it had not been lent. */
const returnUntouched = <A>(ledger: Ledger<A>, { lease, leaseId }: Waiter<A>, now: number): void => {
  if (lease === undefined || lease.id !== leaseId) return
  lease.connection.uses--
  lease.connection.usedAt = now
  ledger.endLease(lease, "clean", now)
  comeBack(ledger, lease.connection, now)
}

/**
 * A lease ends. The state changes at once; reset, check and close are decisions, and none of them is the borrower's to
 * wait for. Says whether anything but the simplest return has happened.
 */
export const release = <A>(ledger: Ledger<A>, lease: Lease<A>, outcome: LeaseOutcome, now: number): boolean => {
  const { connection } = lease
  ledger.endLease(lease, outcome, now)
  connection.usedAt = now
  if (outcome === "suspect") connection.isSuspect = true
  if (outcome === "suspect" || outcome === "dirty") connection.isDirty = true
  if (connection.untold > 0 && connection.isDirty) ledger.putBackUntold(connection, now)
  return comeBack(ledger, connection, now)
}

/** A lease has ended: what is left of the connection is offered, restored or closed. */
const comeBack = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): boolean => {
  if (connection.leases > 0) {
    offerRoom(ledger, connection, now)
    return true
  }
  const reason = isSound(ledger, connection, now) ? undefined : reasonToClose(ledger, connection, now)
  if (reason !== undefined) ledger.close(connection, reason, now)
  else if (connection.isDirty || connection.isSuspect) restore(ledger, connection, now)
  else {
    offer(ledger, connection, now)
    return false
  }
  return true
}

/** A lease may have left something behind: reset it, and prove it if nobody knows what it is doing. */
const restore = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  const { canCheck, canReset } = ledger.options
  if (connection.isDirty && canReset) return ledger.reset(connection, now)
  connection.isDirty = false
  if (!connection.isSuspect) offer(ledger, connection, now)
  else if (canCheck) ledger.check(connection, now)
  else ledger.close(connection, "suspect", now)
}

/** The reset is done: next is the check, if one is due, or whoever waits. */
export const restored = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  if (!connection.isSuspect || !ledger.options.canCheck || connection.condemned !== undefined) {
    // What nobody can check, the reset has proven.
    connection.isSuspect = false
    return settle(ledger, connection, now)
  }
  ledger.check(connection, now)
}

/** Work on a connection ended well: it is offered, unless somebody condemned it or it grew too old meanwhile. */
export const settle = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  const reason = reasonToClose(ledger, connection, now)
  if (reason !== undefined) ledger.close(connection, reason, now)
  else offer(ledger, connection, now)
}

/** A usable connection has nobody: it goes to the first in line, once it is above doubt, else to rest. */
const offer = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  const waiter = nextWaiter(ledger, now)
  if (waiter === undefined) return ledger.rest(connection)
  if (connection.proof !== ledger.doubt) return ledger.checkForWaiter(connection, now)
  ledger.serve(connection, waiter, now)
  if (ledger.options.concurrency > 1) offerRoom(ledger, connection, now)
}

/**
 * The next in line, if anyone may be served. Those whose deadline has passed are refused, since a lease would be of no use, and
 * so are those who are shed.
 */
const nextWaiter = <A>(ledger: Ledger<A>, now: number): Waiter<A> | undefined => {
  const { waiters } = ledger
  if (waiters.length === 0 || ledger.state === "paused") return undefined
  for (let first = waiters.first; first !== undefined; first = waiters.first) {
    if (now >= first.deadline) ledger.expireWaiters(now)
    else if (isShed(ledger, first, now)) ledger.refuse(first, "shed", now)
    else return first
  }
  return undefined
}

/** Gives idle connections to those who wait: at once where they may be lent, after a check where their rest was long. */
export const serveFromIdle = <A>(ledger: Ledger<A>, now: number): void => {
  const { canCheck } = ledger.options
  let unserved = ledger.waiters.length + ledger.overdueChecks.extra - ledger.promptChecks
  for (let connection = ledger.idle.warmest; connection !== undefined; connection = ledger.idle.warmest) {
    const waiter = nextWaiter(ledger, now)
    if (waiter === undefined) return
    const reason = reasonToClose(ledger, connection, now)
    if (reason !== undefined) ledger.closeIdle(connection, reason, now)
    else if (!canCheck || ledger.isFresh(connection, now)) {
      const before = ledger.waiters.length
      ledger.takeFromIdle(connection)
      offer(ledger, connection, now)
      unserved -= before - ledger.waiters.length
    } else if (unserved > 0) {
      ledger.takeFromIdle(connection)
      ledger.checkForWaiter(connection, now)
      unserved--
    } else return
  }
}
