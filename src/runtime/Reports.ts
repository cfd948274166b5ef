/** What the pool tells its operator, in the log and at the level that it deserves. */
import type { Decision } from "../engine/Decision.ts"
import type { Lease } from "../engine/Lease.ts"
import type { PoolState } from "../engine/PoolState.ts"
import type { Waiter } from "../engine/Waiters.ts"
import type { AcquireError, AcquireTimeout } from "../PoolError.ts"
import { hasEnded, holderName, holderOf, type Place } from "./HolderNames.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import { redacted } from "./Redaction.ts"

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

/** Two pools where there was to be one are the commonest mistake with layers, and nothing else shows it. */
export const reportNamesake = <A>(runtime: PoolRuntime<A>): void =>
  runtime.log(
    "Warn",
    `another pool of this process has the name ${runtime.name}, and each has connections of its own. If they are meant to be one, make ` +
      `its layer once, outside of what runs for each request, and provide that value; if they are not, give each a name`
  )

export const reportWarming = <A>(runtime: PoolRuntime<A>, open: number, minimum: number): void => {
  if (open >= minimum)
    runtime.log("Info", `warm: ${open === 1 ? "1 connection is" : `${open} connections are`} open`, { open, minimum })
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

/** One lease that has run for long: said once of each, and again when it comes back. */
export const reportLeak = <A>(runtime: PoolRuntime<A>, lease: Lease<unknown>, fact: number): void => {
  const { ledger } = runtime.engine
  const held = holderOf(lease, runtime.now(), ledger.leaks.suspected)
  const { connection, heldForMillis, holder, path, place } = held
  const who = `${path ?? holder}${place === undefined ? "" : ` (${place})`}`
  ledger.recorder.describe(fact, who)
  const ended = hasEnded(lease.holder) ? "; its fiber has ended, and the scope it borrowed in is still open" : ""
  runtime.log("Warn", `leak suspected: ${who} has held connection ${connection} for ${heldForMillis} ms${ended}`, {
    ...held
  })
}

export const reportLeakReturned = <A>(
  runtime: PoolRuntime<A>,
  { connection, heldFor, holder, lease, place }: Extract<Decision<unknown>, { readonly _tag: "LeakReturned" }>
): void =>
  runtime.log(
    "Info",
    `no leak: ${holderName(holder, place as Place | undefined)} has returned connection ${connection.id} after ${Math.round(heldFor)} ms`,
    { connection: connection.id, lease }
  )

/** Whoever looks at an incident wants to know what somebody has done about it. */
export const reportOperatorAction = <A>(
  runtime: PoolRuntime<A>,
  { action, actor }: { readonly actor: string; readonly action: string }
): void => {
  const [who, what] = [redacted(actor), redacted(action)]
  runtime.engine.ledger.recorder.noteLife("OperatorAction", runtime.now(), {}, `${who}\n${what}`)
  runtime.log("Warn", `operator ${who}: ${what}`, { actor: who, action: what })
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

/** One timeout in full in this time, in milliseconds; the others are counted. */
const timeoutEvery = 10_000

const lastTimeout = new WeakMap<object, { at: number; untold: number }>()

export const reportRefusal = <A>(runtime: PoolRuntime<A>, error: AcquireError): void => {
  if (error._tag === "PoolDeadlock") runtime.log("Warn", error.message)
  else if (error._tag === "AcquireTimeout") reportTimeout(runtime, error)
  else runtime.debugLazily(() => error.message, { error: error._tag })
}

const reportTimeout = <A>(runtime: PoolRuntime<A>, error: AcquireTimeout): void => {
  const now = runtime.now()
  const last = lastTimeout.get(runtime)
  if (last !== undefined && now - last.at < timeoutEvery) {
    last.untold++
    return
  }
  const untold = last?.untold ?? 0
  lastTimeout.set(runtime, { at: now, untold: 0 })
  runtime.log("Warn", `${error.report}${untold === 0 ? "" : `\n  and ${untold} others since the last report`}`, {
    error: error._tag,
    diagnosis: error.diagnosis
  })
}
