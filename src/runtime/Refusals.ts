import type { Lease } from "../engine/Lease.ts"
import type { Ledger } from "../engine/Ledger.ts"
import { timeToEmpty } from "../engine/Overload.ts"
import type { Refusal } from "../engine/PoolState.ts"
import type { Waiter } from "../engine/Waiters.ts"
import {
  type AcquireError,
  AcquireTimeout,
  type ConnectFailure,
  type Holder,
  PoolClosed,
  PoolDeadlock,
  PoolOverloaded,
  ServiceUnavailable,
  type Snapshot
} from "../PoolError.ts"
import { findingOf } from "./Diagnoses.ts"
import { endedEarly, toConnectFailure } from "./Failures.ts"
import { holderName, holderOf } from "./HolderNames.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"
import type { Resource } from "./Resource.ts"

/** What a caller who is refused for lack of room is told to wait, when nothing better is known. */
const defaultRetryAfterSeconds = 1

/** How many holders a deadlock names. */
const holdersNamed = 10

export const snapshotOf = <A>(ledger: Ledger<A>): Snapshot => ({
  total: ledger.total,
  idle: ledger.idle.length,
  inUse: ledger.inUse,
  connecting: ledger.connecting,
  checking: ledger.checking,
  resetting: ledger.resetting,
  closing: ledger.closing,
  waiting: ledger.waiting,
  limit: ledger.limit
})

/** The failure that keeps the pool from connecting; nothing while it can. */
export const lastFailureOf = <A>(runtime: PoolRuntime<A>): ConnectFailure | undefined => {
  const { outage } = runtime.engine.ledger
  if (outage === undefined) return undefined
  const now = runtime.now()
  const at = runtime.clock.currentTimeMillisUnsafe() - (now - outage.since)
  const failure = runtime.failures.last ?? {
    kind: "transient" as const,
    reason: "reset" as const,
    message: endedEarly,
    at
  }
  return toConnectFailure(failure, outage.failures, outage.nextProbeAt && outage.nextProbeAt - now)
}

/** Everyone who holds and waits; the one who is refused first, since he closes the cycle. */
const cycleOf = <A>({ leases }: Ledger<A>, waiter: Waiter<A> | undefined, now: number): ReadonlyArray<Holder> => {
  const own = new Set((waiter?.held ?? []).map(({ lease }) => lease))
  const cycle = Array.from(own, (lease) => holderOf(lease as Lease<unknown>, now))
  for (const lease of leases) {
    if (cycle.length >= holdersNamed) break
    if (!own.has(lease)) cycle.push(holderOf(lease as Lease<unknown>, now))
  }
  return cycle
}

/** The time to the next probe, rounded up: a caller who comes back then finds either a connection or a newer answer. */
const secondsToProbe = (failure: ConnectFailure | undefined): number =>
  Math.max(defaultRetryAfterSeconds, Math.ceil((failure?.retryInMillis ?? 0) / 1000))

/** The error of an acquire that was refused; `waiter` if it had waited. */
export const refusalError = <A>(
  runtime: PoolRuntime<A>,
  refusal: Refusal,
  waiter?: Waiter<Resource<A>>
): AcquireError => {
  const { config, engine, name } = runtime
  const { ledger } = engine
  const lastFailure = lastFailureOf(runtime)
  const cause = runtime.failures.last === undefined ? {} : { cause: runtime.failures.last.cause }
  const failure = lastFailure === undefined ? {} : { lastFailure, ...cause }
  switch (refusal) {
    case "timeout": {
      const { diagnosis, holders } = findingOf(runtime, waiter)
      return new AcquireTimeout({
        pool: name,
        timeoutMillis: ledger.options.acquireTimeout,
        waitedMillis: waiter === undefined ? 0 : Math.round(runtime.now() - waiter.enqueuedAt),
        waiter: holderName(waiter?.holder),
        position: waiter?.position ?? 1,
        diagnosis: diagnosis.kind,
        summary: diagnosis.summary,
        advice: diagnosis.advice,
        holders,
        // As long as the line was when it left: of all who ran out of time together, the first would else find it empty.
        snapshot: { ...snapshotOf(ledger), waiting: waiter?.waitingWithIt ?? ledger.waiting },
        retryAfterSeconds: secondsToProbe(lastFailure),
        ...failure
      })
    }
    case "unavailable":
      return new ServiceUnavailable({
        pool: name,
        reason: "cannotConnect",
        failingForMillis: ledger.outage === undefined ? 0 : Math.round(runtime.now() - ledger.outage.since),
        snapshot: snapshotOf(ledger),
        retryAfterSeconds: secondsToProbe(lastFailure),
        ...failure
      })
    case "paused":
      return new ServiceUnavailable({
        pool: name,
        reason: "paused",
        failingForMillis: 0,
        snapshot: snapshotOf(ledger),
        retryAfterSeconds: defaultRetryAfterSeconds
      })
    case "deadlock":
      return new PoolDeadlock({
        pool: name,
        waiter: holderName(waiter?.holder),
        isForbidden: config.nested === "error",
        cycle: cycleOf(ledger, waiter, runtime.now()),
        snapshot: snapshotOf(ledger)
      })
    case "overloaded":
    case "shed":
      return new PoolOverloaded({
        pool: name,
        reason: refusal === "shed" ? "shed" : "lineFull",
        waitedMillis: waiter === undefined ? 0 : Math.round(runtime.now() - waiter.enqueuedAt),
        emptyInMillis: Math.round(timeToEmpty(ledger)),
        ...(config.maxWaiting < Infinity && { maxWaiting: config.maxWaiting }),
        snapshot: snapshotOf(ledger),
        retryAfterSeconds: Math.max(defaultRetryAfterSeconds, Math.ceil(timeToEmpty(ledger) / 1000))
      })
    case "closed":
      return new PoolClosed({ pool: name })
  }
}
