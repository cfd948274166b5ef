import type { CloseReason, Connection } from "./Connection.ts"
import type { Ledger } from "./Ledger.ts"

/** How long before its end a connection no longer counts as kept, in milliseconds: its replacement is opened meanwhile. */
const replacedAhead = 3000

/** The same, in leases left, as a share of `maxUses`. */
const usesLeft = 0.05

/** Of all connections, how many may be retired in one second: never so many at once that callers would notice. */
const retiredPerSecond = 0.1

/**
 * Why a connection that nobody holds must not be lent again; `undefined` if it may.
 *
 * `maxUses` and `maxLifetime` are promises. The jitter that shortens a lifetime is not: many that are due at once, as after
 * an outage in which nothing was retired, go a few a second.
 */
export const reasonToClose = <A>(
  ledger: Ledger<A>,
  connection: Connection<A>,
  now: number
): CloseReason | undefined => {
  const reason = reasonNotToLend(ledger, connection, now)
  if (reason !== undefined || connection.generation === ledger.generation || ledger.isFailing) return reason
  return isReplacing(ledger) ? undefined : "recycled"
}

/** The same for one that is to be lent once more: one that is to be replaced may be, until its turn has come. */
export const reasonNotToLend = <A>(
  ledger: Ledger<A>,
  connection: Connection<A>,
  now: number
): CloseReason | undefined => {
  if (connection.condemned !== undefined) return connection.condemned
  if (ledger.surplus > 0) return ledger.sizing.ceiling < Infinity ? "unneeded" : "resized"
  if (ledger.isFailing) return undefined
  if (connection.uses >= ledger.options.maxUses) return "maxUses"
  if (now < connection.retireAt) return undefined
  return now >= connection.expiresAt || ledger.retirementsLeft > 0 ? "maxLifetime" : undefined
}

/** Nothing speaks against lending it again: what `reasonToClose` would find, in the few comparisons that a lease can afford. */
export const isSound = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): boolean =>
  connection.condemned === undefined &&
  connection.uses < ledger.options.maxUses &&
  now < connection.retireAt &&
  connection.generation === ledger.generation &&
  !ledger.isOverfull

/** As many connections as may connect at once are being replaced: the others go on meanwhile. */
const isReplacing = <A>({ closing, connecting, options, state }: Ledger<A>): boolean =>
  state !== "paused" && closing + connecting >= options.maxConnecting

/** A second has passed: gives the retirements of the next one, and notes whose end is near. */
export const beginSecond = <A>(ledger: Ledger<A>, now: number): void => {
  ledger.retirementsLeft = Math.max(1, Math.floor(ledger.total * retiredPerSecond))
  const { maxLifetime, maxUses } = ledger.options
  // Without a minimum there is nothing to keep up.
  if (ledger.minConnections === 0 || (maxLifetime === Infinity && maxUses === Infinity)) return
  for (const connection of ledger.connections) {
    if (connection.isLeaving || connection.openedAt === undefined || connection.state === "closing") continue
    const isNearEnd = now >= connection.retireAt - replacedAhead || connection.uses >= maxUses * (1 - usesLeft)
    if (isNearEnd) ledger.markLeaving(connection)
  }
}

/** Retires idle connections from the cold end: those that are too old, are to be replaced, or that nobody has needed. */
export const retireIdle = <A>(ledger: Ledger<A>, now: number): void => {
  if (ledger.isFailing) return
  for (let connection = ledger.idle.coldest; connection !== undefined;) {
    const warmer: Connection<A> | undefined = connection.warmer
    const reason = reasonToRetire(ledger, connection, now)
    // Recycling has a measure of its own, and so has being too many: no more go than are.
    const isInTurn = hasItsOwnMeasure(reason) || ledger.retirementsLeft > 0
    if (reason !== undefined && isInTurn) ledger.closeIdle(connection, reason, now)
    connection = warmer
  }
  if (ledger.options.concurrency > 1) recycleShared(ledger, now)
}

const hasItsOwnMeasure = (reason: CloseReason | undefined): boolean =>
  reason === "recycled" || reason === "resized" || reason === "unneeded"

/** A connection that is shared may never come back by itself: when its turn has come, it gets no further leases. */
const recycleShared = <A>(ledger: Ledger<A>, now: number): void => {
  for (const connection of ledger.connections) {
    if (ledger.closing + ledger.connecting + ledger.doomed >= ledger.options.maxConnecting) return
    const isDue = connection.generation < ledger.generation && connection.state === "inUse"
    if (isDue) ledger.condemn(connection, "recycled", now)
  }
}

const reasonToRetire = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): CloseReason | undefined => {
  const reason = reasonToClose(ledger, connection, now)
  if (reason !== undefined) return reason
  const isSpare = ledger.kept > Math.max(ledger.minConnections, ledger.sizing.target)
  return isSpare && now - connection.usedAt >= ledger.options.idleTimeout ? "idleTimeout" : undefined
}

/** What is too many closes: connects first, then what rests, then what comes back. */
export const closeSurplus = <A>(ledger: Ledger<A>, now: number, reason: CloseReason = "resized"): void => {
  ledger.isOverfull = ledger.surplus > 0
  if (!ledger.isOverfull) return
  for (const connection of Array.from(ledger.connections).reverse()) {
    if (ledger.surplus > 0 && connection.state === "connecting") ledger.closeUnlent(connection, reason, now)
  }
  for (let connection = ledger.idle.coldest; connection !== undefined && ledger.surplus > 0;) {
    const { warmer } = connection
    ledger.closeIdle(connection, reason, now)
    connection = warmer
  }
  // A connection that is shared may never be free by itself. One that is not goes when it comes back, whichever is first.
  if (ledger.options.concurrency === 1) return
  for (const connection of ledger.connections) {
    if (ledger.surplus > 0 && connection.state === "inUse") ledger.condemn(connection, reason, now)
  }
}

/** The sizing policy keeps fewer than there are: those that have rested longest go. */
export const closeUnneeded = <A>(ledger: Ledger<A>, now: number): void => {
  const { idle, sizing } = ledger
  const least = Math.max(ledger.minConnections, sizing.target)
  for (let { coldest } = idle; coldest !== undefined && ledger.kept > least; { coldest } = idle) {
    const isOver = now - coldest.usedAt >= ledger.options.idleTimeout
    ledger.closeIdle(coldest, isOver ? "idleTimeout" : "unneeded", now)
  }
}
