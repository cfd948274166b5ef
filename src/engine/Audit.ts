import type { Connection, ConnectionState } from "./Connection.ts"
import type { Engine } from "./Engine.ts"
import type { Ledger } from "./Ledger.ts"
import { uncoveredWaiters } from "./Planner.ts"
import { hasRoom } from "./Sharing.ts"
import type { Line, Waiter } from "./Waiters.ts"

/**
 * What contradicts the promises of the pool between two transitions, one sentence each; nothing, when all is well. Looks at
 * every connection, lease and waiter, and counts again what the engine has counted.
 */
export const audit = <A>({ ledger, hasDecisions }: Engine<A>, now: number): ReadonlyArray<string> => {
  const contradictions: Array<string> = []
  const holds = (isSo: boolean, otherwise: () => string): void => {
    if (!isSo) contradictions.push(otherwise())
  }
  auditCounts(ledger, holds)
  auditLeases(ledger, holds)
  auditIdle(ledger, holds)
  auditShareable(ledger, holds)
  for (const line of ledger.waiters.lines) auditLine(line, holds)
  const { exclusive, length, sharing } = ledger.waiters
  holds(length === sharing.length + exclusive.length, () => "the lines add up to those who wait")
  auditNobodyWaitsForNothing(ledger, now, holds)
  holds(!(ledger.state === "closed") || ledger.total === 0, () => "a closed pool has connections")
  holds(!(ledger.isEnding && length > 0) || hasDecisions, () => "somebody waits for a pool that is closing")
  return contradictions
}

type Holds = (isSo: boolean, otherwise: () => string) => void

const auditCounts = <A>(ledger: Ledger<A>, holds: Holds): void => {
  const { checking, closing, connecting, connections, counters, idle, inUse, resetting, total } = ledger
  const counted = { idle: idle.length, inUse, connecting, checking, resetting, closing }
  const found: Record<ConnectionState, number> = {
    idle: 0,
    inUse: 0,
    connecting: 0,
    checking: 0,
    resetting: 0,
    closing: 0,
    closed: 0
  }
  let open = 0
  let doomed = 0
  let leaving = 0
  let prompt = 0
  for (const connection of connections) {
    found[connection.state]++
    if (connection.openedAt !== undefined) open++
    if (connection.state === "inUse" && connection.condemned !== undefined) doomed++
    if (connection.isLeaving && connection.state !== "closing") leaving++
    if (connection.isPromptCheck) prompt++
  }
  for (const state of Object.keys(counted) as Array<keyof typeof counted>) {
    holds(counted[state] === found[state], () => `${state} counts ${counted[state]}, but ${found[state]} are ${state}`)
  }
  holds(found.closed === 0, () => "a closed connection is still counted")
  // More than the limit may stay after it was lowered, while they are lent or looked after, and no others.
  const isTooMany = ledger.surplus > 0 && (idle.length > 0 || connecting > 0)
  holds(
    !isTooMany,
    () => `${total} connections are more than the limit of ${ledger.limit}, and some have nothing to do`
  )
  const sum = idle.length + inUse + connecting + checking + resetting + closing
  holds(sum === total, () => `the states add up to ${sum}, and the total is ${total}`)
  holds(counters.created - counters.closed === open, () => "what was created and not closed is not what is open")
  holds(ledger.doomed === doomed, () => `${doomed} are to be closed on return, ${ledger.doomed} are counted`)
  holds(ledger.leaving === leaving, () => `${leaving} are near their end, ${ledger.leaving} are counted`)
  holds(ledger.promptChecks === prompt, () => `${prompt} checks are waited for, ${ledger.promptChecks} are counted`)
  for (const [name, count] of Object.entries(counters)) holds(count >= 0, () => `${name} is negative`)
}

const auditLeases = <A>(ledger: Ledger<A>, holds: Holds): void => {
  const { concurrency } = ledger.options
  const leasesOf = new Map<Connection<A>, number>()
  let untaken = 0
  let untold = 0
  let length = 0
  let stuck = 0
  let surelyStuck = 0
  for (const lease of ledger.leases) {
    length++
    if (lease.servedTo !== undefined) untaken++
    if (lease.servedTo?.isWoken === false) untold++
    if (lease.waitingHolders > 0) stuck++
    if (lease.waitingOwners > 0) surelyStuck++
    leasesOf.set(lease.connection, (leasesOf.get(lease.connection) ?? 0) + 1)
    holds(
      lease.connection.state === "inUse",
      () => `lease ${lease.id} is of a connection that is ${lease.connection.state}`
    )
  }
  for (const connection of ledger.connections) {
    const { id, isReserved, leases, state } = connection
    const found = leasesOf.get(connection) ?? 0
    holds(leases === found, () => `connection ${id} counts ${leases} leases and has ${found}`)
    holds(leases > 0 === (state === "inUse"), () => `connection ${id} has ${leases} leases and is ${state}`)
    const [records, spare] = recordsOf(connection)
    holds(
      records === found + spare,
      () => `connection ${id} has ${records} records, ${found} of them in use and ${spare} spare`
    )
    holds(leases <= (isReserved ? 1 : concurrency), () => `connection ${id} has ${leases} leases, and room for fewer`)
  }
  const isUntold = Array.from(ledger.connections, (connection) => connection.untold).reduce((sum, one) => sum + one, 0)
  holds(isUntold === untold, () => `${untold} leases are known to nobody yet, ${isUntold} are counted`)
  const { acquired, released } = ledger.counters
  holds(ledger.leases.length === length, () => `${length} leases run, ${ledger.leases.length} are counted`)
  holds(ledger.leases.surelyStuck === surelyStuck, () => `${surelyStuck} leases are held by waiters for sure`)
  holds(ledger.leases.stuck === stuck, () => `${stuck} leases are held by waiters, ${ledger.leases.stuck} are counted`)
  holds(acquired - released === length - untaken, () => "what was acquired and not released is not what is lent")
}

/** How many records for leases it has, and how many of them are spare. */
const recordsOf = <A>({ leaseRecords, spareLease }: Connection<A>): readonly [number, number] => {
  let records = 0
  let spare = 0
  for (let lease = leaseRecords; lease !== undefined; lease = lease.sibling) records++
  for (let lease = spareLease; lease !== undefined && spare <= records; lease = lease.spare) spare++
  return [records, spare]
}

const auditIdle = <A>({ idle }: Ledger<A>, holds: Holds): void => {
  let length = 0
  let warmer: Connection<A> | undefined = undefined
  for (let connection = idle.warmest; connection !== undefined; connection = connection.colder) {
    const { id, state } = connection
    holds(state === "idle", () => `connection ${id} rests, but is ${state}`)
    holds(connection.warmer === warmer, () => `connection ${id} is linked to one side only`)
    warmer = connection
    length++
  }
  holds(idle.coldest === warmer, () => "the coldest is not the end of the idle list")
  holds(idle.length === length, () => `${length} connections rest, but ${idle.length} are counted`)
}

const auditShareable = <A>({ clearing, options, shareable }: Ledger<A>, holds: Holds): void => {
  let length = 0
  for (let connection = shareable.first; connection !== undefined; connection = connection.colder) {
    const { id, isClearing, isReserved, leases, state } = connection
    length++
    holds(state === "inUse" && connection.isShareable, () => `connection ${id} gives room, but is ${state}`)
    holds(
      leases < options.concurrency && !isReserved && !isClearing,
      () => `connection ${id} gives room it does not have`
    )
  }
  holds(shareable.length === length, () => `${length} connections have room, but ${shareable.length} are counted`)
  for (const { id, isClearing, leases } of clearing) {
    holds(isClearing && leases > 0, () => `connection ${id} is being cleared, but not in use`)
  }
}

const auditLine = <A>(line: Line<A>, holds: Holds): void => {
  let length = 0
  let ahead: Waiter<A> | undefined = undefined
  for (let waiter = line.first; waiter !== undefined; waiter = waiter.behind) {
    const { acquire, deadline, state } = waiter
    const before: Waiter<A> | undefined = ahead
    holds(state === "waiting", () => `acquire ${acquire} is in line, but ${state}`)
    holds(waiter.ahead === before, () => `acquire ${acquire} is linked to one side only`)
    holds(
      before === undefined || (before.acquire < acquire && before.deadline <= deadline),
      () => `acquire ${acquire} stands behind one that came later`
    )
    ahead = waiter
    length++
  }
  holds(line.last === ahead, () => "the last waiter is not the end of the line")
  holds(line.length === length, () => `${length} wait, but ${line.length} are counted`)
}

/** While someone waits, no connection that could be lent rests, and all that may be done for them is being done. */
const auditNobodyWaitsForNothing = <A>(ledger: Ledger<A>, now: number, holds: Holds): void => {
  const { connecting, demand, idle, inUse, maxConnecting, outage, promptChecks, sizing, state, waiters } = ledger
  if (waiters.length === 0 || state === "paused") return
  for (let connection = idle.warmest; connection !== undefined; connection = connection.colder) {
    const { id } = connection
    holds(!ledger.isFresh(connection, now), () => `connection ${id} rests beside a waiter`)
  }
  const isLimited = ledger.total >= ledger.limit || ledger.connecting >= maxConnecting || outage !== undefined
  // The policy may have said that one would come too late: it is asked again before long.
  const isDecided = sizing.askedAt >= demand.lineSince
  const isServed = inUse + connecting + promptChecks > 0
  holds(
    isLimited || uncoveredWaiters(ledger) === 0 || (isDecided && isServed),
    () => "a waiter waits for a connection that nobody opens"
  )
  if (waiters.sharing.length === 0) return
  for (let connection = ledger.shareable.first; connection !== undefined; connection = connection.colder) {
    const { id } = connection
    holds(!hasRoom(ledger, connection, now), () => `connection ${id} has room beside a waiter`)
  }
}
