/** How connections come to be: the start, warmup, and what follows from a connect that fails. */
import type { Connection } from "./Connection.ts"
import type { Ledger } from "./Ledger.ts"
import { settle } from "./Lending.ts"
import type { FailureKind } from "./PoolState.ts"
import { closeSurplus } from "./Retirement.ts"

/** Opens the minimum. Until the first connection is open the pool is `starting`, unless none is asked for. */
export const start = <A>(ledger: Ledger<A>, now: number): void => {
  // The scope may have closed before its pool began.
  if (ledger.state !== "starting") return
  const { maxConnections, minConnections, recorder } = ledger
  recorder.noteLife("PoolCreated", now, { acquire: minConnections, lease: maxConnections })
  if (minConnections === 0) becomeReady(ledger, now)
}

export const opened = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  ledger.noteOpened(connection, now)
  ledger.outages.end(now)
  ledger.hasBeenReady = true
  if (ledger.state === "starting" || ledger.state === "unavailable") becomeReady(ledger, now)
  settle(ledger, connection, now)
  endBatch(ledger, now)
}

/** A connect failed or timed out. The next step is the retry schedule's, once for all who wait. */
export const openFailed = <A>(
  ledger: Ledger<A>,
  connection: Connection<A>,
  kind: FailureKind,
  text: string | undefined,
  now: number
): void => {
  ledger.noteOpenFailed(connection, kind, text, now)
  failed(ledger, connection, kind, now)
  ledger.close(connection, "connectFailed", now)
  if (kind === "overloaded") makeDoWithFewer(ledger, connection, now)
  endBatch(ledger, now)
}

/** The server has no room for more: what is too many goes, so that others who share it come to their part. */
const makeDoWithFewer = <A>(ledger: Ledger<A>, { createdAt }: Connection<A>, now: number): void => {
  const { minConnections, serverLimit, usable } = ledger
  if (!serverLimit.lower(usable, minConnections, createdAt, now)) return
  ledger.recorder.noteLife("LimitChanged", now, { lease: ledger.limit }, "too many connections")
  ledger.decide({ _tag: "LimitLowered", limit: ledger.limit })
  closeSurplus(ledger, now)
}

/** An attempt to have a connection failed. The next one is the retry schedule's to allow. */
export const failed = <A>(ledger: Ledger<A>, { probeOf }: Connection<A>, kind: FailureKind, now: number): void => {
  const { outages } = ledger
  const startsOver = outages.current === undefined && outages.isSteady(now)
  if (outages.fail(probeOf, now)) ledger.decide({ _tag: "Backoff", kind, startsOver })
}

export const becomeReady = <A>(ledger: Ledger<A>, now: number): void => {
  ledger.enter("ready")
  ledger.recorder.noteLife("PoolReady", now)
}

/** A warmup batch has settled: the next one waits a little. */
const endBatch = <A>(ledger: Ledger<A>, now: number): void => {
  if (ledger.connecting > 0) return
  ledger.nextBatchAt = now + ledger.options.warmupDelay
  if (ledger.isWarm || ledger.minConnections === 0) return
  const { minConnections, usable } = ledger
  ledger.isWarm = usable >= minConnections
  ledger.recorder.noteLife("PoolWarming", now, { acquire: usable, lease: minConnections })
  ledger.decide({ _tag: "Warming", open: usable, minimum: minConnections })
}
