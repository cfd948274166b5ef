/**
 * Several leases on one connection, for drivers that pipeline. A connection gives room to others while nothing speaks
 * against it: nobody has it to himself, no lease that ended left anything behind, nobody doubts it, it is not too old.
 * Whatever does speak against it waits for its last lease to end.
 */
import type { Connection } from "./Connection.ts"
import type { Ledger } from "./Ledger.ts"
import { isShed } from "./Overload.ts"
import { reasonNotToLend } from "./Retirement.ts"

/** Whether a connection in use may have one more lease. */
export const hasRoom = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): boolean =>
  connection.leases < ledger.options.concurrency &&
  !connection.isReserved &&
  !connection.isClearing &&
  !connection.isDirty &&
  !connection.isSuspect &&
  connection.proof === ledger.doubt &&
  reasonNotToLend(ledger, connection, now) === undefined

/** The connection whose room is to be given next. Those that have lost theirs are found out here. */
export const findRoom = <A>(ledger: Ledger<A>, now: number): Connection<A> | undefined => {
  for (let connection = ledger.shareable.first; connection !== undefined; connection = ledger.shareable.first) {
    if (hasRoom(ledger, connection, now)) return connection
    ledger.shareable.remove(connection)
  }
  return undefined
}

/**
 * Offers the room on a connection in use: to those who share, in the order in which they came, unless somebody who wants a
 * connection to himself came before them. For him it is cleared.
 */
export const offerRoom = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  const { clearing, waiters } = ledger
  while (hasRoom(ledger, connection, now)) {
    const sharing = waiters.sharing.first
    if (waiters.exclusive.length > clearing.size && waiters.first !== sharing) return clear(ledger, connection)
    if (sharing === undefined || ledger.state === "paused") {
      ledger.shareable.remove(connection)
      ledger.shareable.addFirst(connection)
      return
    }
    if (now >= sharing.deadline) ledger.expireWaiters(now)
    else if (isShed(ledger, sharing, now)) ledger.refuse(sharing, "shed", now)
    else ledger.serve(connection, sharing, now)
  }
}

const clear = <A>(ledger: Ledger<A>, connection: Connection<A>): void => {
  connection.isClearing = true
  ledger.clearing.add(connection)
  ledger.shareable.remove(connection)
}

/** As many connections are cleared as there are waiters who want one to themselves; those who have left need none. */
export const clearForExclusive = <A>(ledger: Ledger<A>, now: number): void => {
  const { clearing, waiters } = ledger
  for (const connection of clearing) {
    if (clearing.size <= waiters.exclusive.length) break
    clearing.delete(connection)
    connection.isClearing = false
    offerRoom(ledger, connection, now)
  }
  while (clearing.size < waiters.exclusive.length) {
    const connection = findRoom(ledger, now)
    if (connection === undefined) return
    clear(ledger, connection)
  }
}

/** Gives the room there is to those who wait for some. */
export const serveFromRoom = <A>(ledger: Ledger<A>, now: number): void => {
  if (ledger.waiters.sharing.length === 0) return
  for (let connection = findRoom(ledger, now); connection !== undefined; connection = findRoom(ledger, now)) {
    offerRoom(ledger, connection, now)
    if (ledger.waiters.sharing.length === 0) return
  }
}

/** While connects fail, an old connection is better than none: those that have lost their room to their age have it again. */
export const serveFromOldRoom = <A>(ledger: Ledger<A>, now: number): void => {
  for (const connection of ledger.connections) {
    if (ledger.waiters.sharing.length === 0) return
    if (connection.state === "inUse") offerRoom(ledger, connection, now)
  }
}
