/** What the page reads of the feed and of the API. */

/** What each second is described by; the names are those that the history gives its columns. */
export type Column =
  | "at"
  | "inUse"
  | "idle"
  | "connecting"
  | "preparing"
  | "closing"
  | "waiting"
  | "limit"
  | "maxConnections"
  | "minConnections"
  | "oldestWaitMillis"
  | "leaksNow"
  | "acquired"
  | "acquiredAtOnce"
  | "timedOut"
  | "refused"
  | "connectFailures"
  | "created"
  | "closed"
  | "waitP50"
  | "waitP95"
  | "waitP99"
  | "useP50"
  | "useP95"
  | "useP99"
  | "createP95"

/** One second as it is sent: its numbers in the order that the history tells, and how many acquires waited how long. */
export interface Row {
  readonly row: ReadonlyArray<number>
  readonly waits: ReadonlyArray<number>
}

/** The same with names. */
export type Sample = Readonly<Record<Column, number>> & Pick<Row, "waits">

/** A stretch of a connection's life. Without an `end` it goes on. */
export interface Bar {
  readonly kind: "lease" | "busy" | "connecting" | "checking" | "resetting" | "closing"
  readonly connection: number
  readonly start: number
  readonly end?: number
  readonly lease?: number
  readonly operation?: string
  readonly share?: number
  readonly isLeakSuspected?: boolean
}

/** Something that has happened; what else it tells depends on its `_tag`. */
export interface Fact {
  readonly _tag: string
  readonly at: number
  readonly connection?: number
  readonly reason?: string
  readonly actor?: string
  readonly isAlive?: boolean
  readonly isDone?: boolean
}

export interface Holder {
  readonly holder: string
  readonly lease: number
  readonly heldForMillis: number
  readonly operation?: string
  readonly path?: string
  readonly place?: string
  readonly fiber?: number
  readonly trace?: string
  readonly isLeakSuspected?: boolean
  readonly stack?: string
}

export interface Connection {
  readonly id: number
  readonly state: string
  readonly ageMillis: number
  readonly idleForMillis?: number
  readonly inUseForMillis?: number
  readonly uses: number
  readonly leases: number
  readonly holders: ReadonlyArray<Holder>
  readonly statistics?: Readonly<Record<string, number>>
}

export interface Waiter {
  readonly acquire: number
  readonly position: number
  readonly waiter: string
  readonly operation?: string
  readonly place?: string
  readonly waitedMillis: number
  readonly timeLeftMillis: number
  readonly isBatch: boolean
  readonly holds: number
}

export interface Operation {
  readonly operation: string
  readonly leases: number
  readonly oldestMillis: number
  readonly share: number
}

export interface Failure {
  readonly kind: string
  readonly reason: string
  readonly message: string
  readonly at: number
  readonly attempts: number
  readonly retryInMillis?: number
}

export interface Advice {
  readonly verdict: string
  readonly minConnections: number
  readonly maxConnections: number
  readonly bindingConstraint: string
  readonly because: string
  readonly expectedWaitMillis?: number
  readonly expectedWaitMillisP99?: number
  readonly utilization: number
  readonly busyConnections: number
  readonly notes: ReadonlyArray<string>
}

export interface Sizing {
  readonly policy: string
  readonly connections: number
  readonly ceiling?: number
  readonly changed?: { readonly at: number; readonly from: number; readonly to: number; readonly reason: string }
  readonly notGrown?: { readonly at: number; readonly reason: string }
  readonly ignored: number
  readonly fault?: string
}

export interface Times {
  readonly count: number
  readonly mean: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
}

type Counters = Readonly<Record<string, number>>

export interface Report {
  readonly key: string
  readonly name: string
  readonly state: string
  readonly at: number
  readonly since: number
  readonly health: { readonly status: "pass" | "warn" | "fail"; readonly reasons: ReadonlyArray<string> }
  readonly diagnosis: { readonly kind: string; readonly summary: string; readonly advice: ReadonlyArray<string> }
  readonly total: number
  readonly idle: number
  readonly inUse: number
  readonly connecting: number
  readonly waiting: number
  readonly limit: number
  readonly minConnections: number
  readonly maxConnections: number
  readonly leases: number
  readonly acquired: number
  readonly released: number
  readonly created: number
  readonly closed: number
  readonly timedOut: number
  readonly cancelled: number
  readonly shed: number
  readonly refused: number
  readonly deadlocked: number
  readonly connectFailures: number
  readonly retries: number
  readonly oldestWaitMillis: number
  readonly oldestLeaseMillis: number
  readonly acquireTimeoutMillis: number
  readonly leakThresholdMillis: number | null
  readonly leaks: number
  readonly leaksNow: number
  readonly acquireTimes: Times
  readonly useTimes: Times
  readonly createTimes: Times
  readonly closedFor: Counters
  readonly refusedFor: Counters
  readonly failedFor: Counters
  readonly retriedFor: Counters
  readonly connections: ReadonlyArray<Connection>
  readonly waiters: ReadonlyArray<Waiter>
  readonly operations: ReadonlyArray<Operation>
  readonly omitted: { readonly connections: number; readonly waiters: number; readonly operations: number }
  readonly failures: ReadonlyArray<Failure>
  readonly config: ReadonlyArray<{ readonly field: string; readonly value: string; readonly origin: string }>
  readonly sizing: Sizing
  readonly advice?: Advice
  readonly knee?: {
    readonly connections: number
    readonly confidence: number
    readonly isFrozen: boolean
    readonly advice: string
  }
  readonly capturesStacksUntil?: number
}

export interface History {
  readonly columns: ReadonlyArray<string>
  readonly waitBounds: ReadonlyArray<number>
  readonly samples: ReadonlyArray<Row>
  readonly bars: ReadonlyArray<Bar>
  readonly events: ReadonlyArray<Fact>
}

export interface Frame {
  readonly sample: Row
  readonly report: Report
  readonly bars: ReadonlyArray<Bar>
  readonly events: ReadonlyArray<Fact>
  readonly eventsOmitted: number
}

export interface PoolList {
  readonly pools: ReadonlyArray<{
    readonly key: string
    readonly name: string
    readonly state: string
    readonly health: "pass" | "warn" | "fail"
    readonly diagnosis: { readonly kind: string; readonly summary: string }
  }>
  readonly actions: {
    readonly isEnabled: boolean
    readonly names: ReadonlyArray<string>
    readonly reason: string | null
  }
}
