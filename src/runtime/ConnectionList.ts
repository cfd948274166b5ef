import type { Connection } from "../engine/Connection.ts"
import type { Lease } from "../engine/Lease.ts"
import { ConnectionStatus } from "../PoolStatus.ts"
import { holderOf, operationOf, type Place } from "./HolderNames.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import type { Resource } from "./Resource.ts"

/** Every connection that counts, in the order in which they were begun. */
export const connectionList = <A>(runtime: PoolRuntime<A>): ReadonlyArray<ConnectionStatus> => {
  const now = runtime.now()
  return Array.from(runtime.engine.ledger.connections, (connection) => statusOf(runtime, connection, now))
}

const statusOf = <A>(
  { connector, engine }: PoolRuntime<A>,
  connection: Connection<Resource<A>>,
  now: number
): ConnectionStatus => {
  const { createdAt, id, openedAt, resource, state, usedAt, uses } = connection
  const leases = runningLeases(connection)
  const oldest = leases[0]
  // Before it has opened there is nothing to ask.
  const statistics = openedAt === undefined ? undefined : connector.statistics?.(resource.value)
  return new ConnectionStatus({
    id,
    // One that is closed is not in the list.
    state: state as ConnectionStatus["state"],
    ageMillis: since(openedAt ?? createdAt, now),
    ...(state === "idle" ? { idleForMillis: since(usedAt, now) } : {}),
    ...(oldest === undefined ? {} : { inUseForMillis: since(oldest.since, now) }),
    uses,
    leases: leases.length,
    ...(uses > 0 && { lastOperation: operationOf(newestPlace(connection)) }),
    holders: leases.map((lease) => holderOf(lease as Lease<unknown>, now, engine.ledger.leaks.suspected)),
    ...(statistics === undefined ? {} : { statistics })
  })
}

/** Where its newest lease was borrowed, over or not. */
const newestPlace = <A>({ leaseRecords }: Connection<A>): Place | undefined => {
  let newest = leaseRecords
  for (let lease = leaseRecords; lease !== undefined; lease = lease.sibling) {
    if (newest === undefined || lease.since > newest.since) newest = lease
  }
  return newest?.place as Place | undefined
}

/** The oldest first. */
const runningLeases = <A>({ leaseRecords }: Connection<A>): ReadonlyArray<Lease<A>> => {
  const leases: Array<Lease<A>> = []
  for (let lease = leaseRecords; lease !== undefined; lease = lease.sibling) if (lease.id !== 0) leases.push(lease)
  return leases.sort((self, that) => self.id - that.id)
}

const since = (moment: number, now: number): number => Math.max(0, Math.round(now - moment))
