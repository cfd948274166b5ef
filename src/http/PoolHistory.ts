/**
 * The last quarter of an hour of a pool, a sample a second, so that whoever opens the console in an incident sees how it came about. What
 * nobody reads is kept in numbers; reports and frames are made for those who watch.
 */
import * as Effect from "effect/Effect"
import * as ConnectionPool from "../ConnectionPool.ts"
import type { PoolEvent } from "../PoolEvent.ts"
import * as PoolReport from "../PoolReport.ts"
import type { PoolStatus } from "../PoolStatus.ts"
import { type Column, columns, type Frame, type History, type Sample } from "./ConsoleFeed.ts"
import { LaneBars } from "./LaneBars.ts"

/** How many seconds are kept, and how many facts. */
const secondsKept = 900
const eventsKept = 200

/** Facts that one frame brings. */
const eventsTold = 100

/** Upper bounds of the heatmap's rows, in milliseconds. */
const waitBounds = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000]

type Times = Effect.Success<ReturnType<typeof PoolReport.distributions>>

/** What the sums of a second are taken from. */
interface Before {
  readonly status: PoolStatus
  readonly times: Times
  readonly at: number
}

export class PoolHistory {
  private readonly pool: ConnectionPool.ConnectionPool<unknown>
  private readonly key: string
  private readonly lanes = new LaneBars()
  private readonly samples: Array<Sample> = []
  private readonly events: Array<PoolEvent> = []
  private sequence: number | undefined = undefined
  private before: Before | undefined = undefined

  constructor(key: string, pool: ConnectionPool.ConnectionPool<unknown>) {
    this.key = key
    this.pool = pool
  }

  get history(): History {
    return { columns, waitBounds, samples: this.samples, bars: this.lanes.recent, events: this.events }
  }

  /** Takes the sample of the second that has passed. Gives a frame if somebody watches. */
  readonly look = Effect.fnUntraced(function* (this: PoolHistory, at: number, isWatched: boolean) {
    const { pool } = this
    const { events, missed } = yield* this.newEvents
    const status = yield* ConnectionPool.status(pool)
    const connections = yield* ConnectionPool.connections(pool)
    const times = yield* PoolReport.distributions(pool)
    const before = this.before ?? { status, times, at: at - 1000 }
    this.before = { status, times, at }
    const use = PoolReport.since(times.use, before.times.use)
    const uses = PoolReport.countOf(use)
    const meanHold = uses === 0 ? status.holdMillis : use.sum / uses
    const hasMissed = missed > 0
    const bars = this.lanes.look({ from: before.at, at, connections, events, hasMissed, meanHold })
    const told = events.filter(isTold)
    for (const event of told) this.events.push(event)
    this.events.splice(0, Math.max(0, this.events.length - eventsKept))
    const sample = sampleOf({ status, times, at }, before)
    this.samples.push(sample)
    if (this.samples.length > secondsKept) this.samples.shift()
    if (!isWatched) return undefined
    const frame: Frame = {
      sample,
      report: yield* PoolReport.of(pool, this.key),
      bars,
      events: told.slice(-eventsTold),
      eventsOmitted: Math.max(0, told.length - eventsTold)
    }
    return frame
  })

  private readonly newEvents = Effect.suspend(() => {
    const first = this.sequence === undefined
    return Effect.map(ConnectionPool.eventsSince(this.pool, this.sequence ?? 0), ({ events, last, missed }) => {
      this.sequence = last
      return { events: events.map(({ event }) => event), missed: first ? 0 : missed }
    })
  })
}

/** Leases that come and go are in the numbers and the lanes; what went wrong with an acquire is worth a line. */
const isTold = ({ _tag }: PoolEvent): boolean => _tag !== "AcquireStarted" && _tag !== "Acquired" && _tag !== "Released"

const sampleOf = (now: Before, before: Before): Sample => {
  const { status } = now
  const was = before.status
  const wait = PoolReport.since(now.times.acquire, before.times.acquire)
  const use = PoolReport.since(now.times.use, before.times.use)
  const create = PoolReport.since(now.times.create, before.times.create)
  const values: Readonly<Record<Column, number>> = {
    at: now.at,
    inUse: status.inUse,
    idle: status.idle,
    connecting: status.connecting,
    preparing: status.checking + status.resetting,
    closing: status.closing,
    waiting: status.waiting,
    limit: status.limit,
    maxConnections: status.maxConnections,
    minConnections: status.minConnections,
    oldestWaitMillis: status.oldestWaitMillis,
    leaksNow: status.leaksNow,
    acquired: status.acquired - was.acquired,
    acquiredAtOnce: status.acquiredAtOnce - was.acquiredAtOnce,
    timedOut: status.timedOut - was.timedOut,
    refused: status.shed + status.refused + status.deadlocked - was.shed - was.refused - was.deadlocked,
    connectFailures: status.connectFailures - was.connectFailures,
    created: status.created - was.created,
    closed: status.closed - was.closed,
    waitP50: PoolReport.percentile(wait, 0.5),
    waitP95: PoolReport.percentile(wait, 0.95),
    waitP99: PoolReport.percentile(wait, 0.99),
    useP50: PoolReport.percentile(use, 0.5),
    useP95: PoolReport.percentile(use, 0.95),
    useP99: PoolReport.percentile(use, 0.99),
    createP95: PoolReport.percentile(create, 0.95)
  }
  return { row: columns.map((column) => values[column]), waits: bucketsOf(wait) }
}

/** The fine buckets of the pool in the rows of the heatmap. */
const bucketsOf = ({ bounds, counts }: PoolReport.Distribution): ReadonlyArray<number> => {
  const buckets = [...waitBounds.map(() => 0), 0]
  counts.forEach((count, place) => {
    const upper = bounds[place] ?? Infinity
    const row = waitBounds.findIndex((bound) => upper <= bound)
    buckets[row < 0 ? waitBounds.length : row]! += count
  })
  return buckets
}
