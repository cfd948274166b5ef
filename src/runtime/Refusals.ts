import type { Engine } from "../engine/Engine.ts"
import type { Refusal } from "../engine/PoolState.ts"
import type { Waiter } from "../engine/Waiters.ts"
import {
  type AcquireError,
  AcquireTimeout,
  type ConnectFailure,
  PoolClosed,
  PoolOverloaded,
  ServiceUnavailable,
  type Snapshot,
  type TimeoutDiagnosis
} from "../PoolError.ts"
import { endedEarly, toConnectFailure } from "./Failures.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

/** What a caller who is refused for lack of room is told to wait, when nothing better is known. */
const defaultRetryAfterSeconds = 1

export const snapshotOf = <A>(engine: Engine<A>): Snapshot => ({
  total: engine.total,
  idle: engine.idle.length,
  inUse: engine.inUse,
  connecting: engine.connecting,
  checking: engine.checking,
  resetting: engine.resetting,
  closing: engine.closing,
  waiting: engine.waiting,
  limit: engine.limit
})

/** The failure that keeps the pool from connecting; nothing while it can. */
export const lastFailureOf = <A>(runtime: PoolRuntime<A>): ConnectFailure | undefined => {
  const { outage } = runtime.engine
  if (outage === undefined) return undefined
  const now = runtime.now()
  const at = runtime.clock.currentTimeMillisUnsafe() - (now - outage.since)
  const failure = runtime.lastFailure ?? { kind: "transient" as const, message: endedEarly, at }
  return toConnectFailure(failure, outage.failures, outage.nextProbeAt && outage.nextProbeAt - now)
}

const diagnose = <A>(engine: Engine<A>): TimeoutDiagnosis => {
  if (engine.outage !== undefined) return "cannotConnect"
  return engine.inUse + engine.resetting >= engine.limit ? "allInUse" : "connectingSlowly"
}

/** The time to the next probe, rounded up: a caller who comes back then finds either a connection or a newer answer. */
const secondsToProbe = (failure: ConnectFailure | undefined): number =>
  Math.max(defaultRetryAfterSeconds, Math.ceil((failure?.retryInMillis ?? 0) / 1000))

/** The error of an acquire that was refused; `waiter` if it had waited. */
export const refusalError = <A>(runtime: PoolRuntime<A>, refusal: Refusal, waiter?: Waiter<unknown>): AcquireError => {
  const { config, engine, name } = runtime
  const lastFailure = lastFailureOf(runtime)
  const cause = runtime.lastFailure === undefined ? {} : { cause: runtime.lastFailure.cause }
  const failure = lastFailure === undefined ? {} : { lastFailure, ...cause }
  switch (refusal) {
    case "timeout":
      return new AcquireTimeout({
        pool: name,
        timeoutMillis: engine.options.acquireTimeout,
        waitedMillis: waiter === undefined ? 0 : Math.round(runtime.now() - waiter.enqueuedAt),
        diagnosis: diagnose(engine),
        snapshot: snapshotOf(engine),
        retryAfterSeconds: secondsToProbe(lastFailure),
        ...failure
      })
    case "unavailable":
      return new ServiceUnavailable({
        pool: name,
        failingForMillis: engine.outage === undefined ? 0 : Math.round(runtime.now() - engine.outage.since),
        snapshot: snapshotOf(engine),
        retryAfterSeconds: secondsToProbe(lastFailure),
        ...failure
      })
    case "overloaded":
      return new PoolOverloaded({
        pool: name,
        maxWaiting: config.maxWaiting,
        snapshot: snapshotOf(engine),
        retryAfterSeconds: defaultRetryAfterSeconds
      })
    case "closed":
      return new PoolClosed({ pool: name })
  }
}
