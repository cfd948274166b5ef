/** What the pool tells its operator, in the log and at the level that it deserves. */
import type { PoolState } from "../engine/PoolState.ts"
import type { Waiter } from "../engine/Waiters.ts"
import type { AcquireError } from "../PoolError.ts"
import { holderName, holderOf } from "./HolderNames.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

/** One warning about nested acquires in this time, in milliseconds: under load each of them would be one. */
const nestedEvery = 60_000

const lastNested = new WeakMap<object, number>()

export const reportChange = <A>(runtime: PoolRuntime<A>, state: PoolState, from: PoolState): void => {
  const { counters } = runtime.engine.ledger
  switch (state) {
    case "unavailable":
      return runtime.log(
        "Error",
        `unavailable: acquires fail until a connection opens: ${runtime.failures.last?.message ?? "no connection lasts"}`
      )
    case "ready":
      return runtime.log(from === "paused" || from === "unavailable" ? "Warn" : "Info", readyText(from))
    case "paused":
      return runtime.log(
        "Warn",
        `paused: ${runtime.engine.ledger.failsWhilePaused ? "acquires fail" : "acquires wait"}`
      )
    case "draining":
      return runtime.log("Info", "draining: borrowers may finish, nothing is lent any more")
    case "closed":
      return runtime.log("Info", "closed", { ...counters })
    case "starting":
      return runtime.log("Info", "resumed: no connection has opened yet")
  }
}

const readyText = (from: PoolState): string => {
  if (from === "unavailable") return "ready: the server can be reached again"
  return from === "paused" ? "resumed" : "ready"
}

export const reportWarming = <A>(runtime: PoolRuntime<A>, open: number, minimum: number): void => {
  if (open >= minimum) runtime.log("Info", `warm: ${open} connections are open`, { open, minimum })
  else runtime.debug(`warming: ${open} of ${minimum} connections are open`, () => ({ open, minimum }))
}

export const reportRevoked = <A>(runtime: PoolRuntime<A>, leases: number): void => {
  const oldest: Array<string> = []
  const now = runtime.now()
  for (const lease of runtime.engine.ledger.leases.oldestFirst().slice(0, 5)) {
    const { connection, heldForMillis, holder } = holderOf(lease, now)
    oldest.push(`${holder} has had connection ${connection} for ${heldForMillis} ms`)
  }
  runtime.log(
    "Warn",
    `${leases} lease${leases === 1 ? "" : "s"} did not end in time: the connections are closed under their borrowers. ` +
      oldest.join("; "),
    { leases }
  )
}

/** An acquire waits for what its own fiber may be holding: harmless while others return, and a deadlock when all do it. */
export const reportNested = <A>(runtime: PoolRuntime<A>, { held, holder }: Waiter<unknown>): void => {
  const now = runtime.now()
  if (now - (lastNested.get(runtime) ?? -Infinity) < nestedEvery) return
  lastNested.set(runtime, now)
  const connections = held.map(({ lease }) => lease.connection.id).join(", ")
  runtime.log(
    "Warn",
    `${holderName(holder)} waits for a connection while it holds ${connections}. When all holders do that at once, none of ` +
      `them goes on: acquire what you need together, or one after the other (said once a minute)`
  )
}

/** Said once: the status counts the others. */
export const reportPolicyFault = <A>(runtime: PoolRuntime<A>, policy: string, fault: string): void =>
  runtime.log("Warn", `the sizing policy ${policy} is not followed when ${fault}; the default decides instead`, {
    policy
  })

export const reportLimitLowered = <A>(runtime: PoolRuntime<A>, limit: number): void =>
  runtime.log("Warn", `the server has too many connections: no more than ${limit} for now, and one more every 10 s`, {
    limit
  })

export const reportRefusal = <A>(runtime: PoolRuntime<A>, error: AcquireError): void => {
  if (error._tag === "PoolDeadlock") runtime.log("Warn", error.message)
  else runtime.debug(error.message, () => ({ error: error._tag }))
}
