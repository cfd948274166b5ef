/** What the page reads of the feed and of the API, and what its parts share. */

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

/** How it stands with the stream: `denied` until there is a token, `ended` when the pool is gone. */
export type Link = "connecting" | "live" | "lost" | "denied" | "ended"

/** What the server said to a request: `words` is the answer for people, also of a problem. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly words: string
}

/** A drawing surface of the size it has on the page. */
export interface Surface {
  readonly pen: CanvasRenderingContext2D
  readonly width: number
  readonly height: number
}

export interface Bin {
  readonly at: number
  readonly samples: ReadonlyArray<Sample>
}

/** A chart with time to the right, from `from` to `to`, within these edges of its surface. */
export interface Plot extends Surface {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
  readonly from: number
  readonly to: number
  readonly x: (at: number) => number
  /** The samples in it, put together so that each has some room; the last of each is its time. */
  readonly bins: ReadonlyArray<Bin>
}

/**
 * What a chart shows of each second, drawn so that it can be told from the others without its colour: an area, filled or hatched,
 * a line, or a cross.
 */
export type Series = readonly [
  name: string,
  column: Column,
  color: string,
  look: "area" | "hatch" | "solid" | "dashed" | "dotted" | "cross"
]

/**
 * A column of a table: its heading, what it is sorted by, and how that is written, which stands to the right as numbers do. What
 * is more than a text, `cell` writes.
 */
export type TableColumn<A> = readonly [
  name: string,
  of?: ((item: A) => number | string | undefined) | undefined,
  as?: ((value: number) => string) | undefined,
  cell?: (item: A, cell: HTMLElement) => void
]

/** An event of the page, with what is asked of it. */
export interface PageEvent extends Event {
  readonly target: HTMLElement
  readonly key: string
  readonly clientX: number
}

/** Something to say of something, or nothing. */
export type Pair = readonly [term: string, text: string | false | undefined]

/** One pool as it was last heard of. `history` replaces all of it, each `frame` adds to it. */
export interface View {
  columns: ReadonlyArray<string>
  waitBounds: ReadonlyArray<number>
  samples: Array<Sample>
  bars: Map<string, Bar>
  facts: Array<Fact>
  /** When each connection was closed, and why. */
  closed: Map<number, Fact>
  omitted: number
  report: Report | undefined
}

/** Each `install` function of this folder adds its part; the ones before it are there already. */
export interface App {
  // Elements.ts
  find: (id: string) => HTMLElement
  el: <K extends keyof HTMLElementTagNameMap>(
    tag: K,
    attributes?: Readonly<Record<string, string>>,
    ...children: ReadonlyArray<Node | string>
  ) => HTMLElementTagNameMap[K]
  on: (target: EventTarget, types: string, listener: (event: PageEvent) => void) => void
  /** Changes the text only if it is another one: what is selected stays so. */
  write: (node: Element, text: string) => void
  /** The same, for what may be too long to be seen as a whole. */
  tip: (node: Element, text: string) => void
  set: (id: string, text: string | false | 0 | undefined) => void
  mark: (node: Element, name: string, value: string | false | undefined) => void
  /** As many children as items, each of this shape: its tag, and those of its parts. */
  list: <A>(
    id: string,
    shape: string,
    items: ReadonlyArray<A>,
    update: (item: A, node: HTMLElement, ...parts: ReadonlyArray<HTMLElement>) => void
  ) => void
  lines: (id: string, texts: ReadonlyArray<string>) => void
  /** Terms and what there is to say of each; those of which there is nothing are left out. */
  pairs: (id: string, pairs: ReadonlyArray<Pair>) => void
  /** It is sorted by the column `first` to begin with, the largest first. */
  table: <A>(
    id: string,
    first: number,
    empty: string,
    keyOf: (item: A) => number | string,
    ...columns: ReadonlyArray<TableColumn<A>>
  ) => (items: ReadonlyArray<A>) => void
  /** Makes a bar of an element. */
  fill: (bar: HTMLElement, share: number, color: string) => void
  color: (name: string) => string
  surface: (canvas: HTMLCanvasElement) => Surface
  // Words.ts
  millis: (millis: number) => string
  number: (value: number) => string
  percent: (share: number) => string
  time: (at: number) => string
  /** `3 leases`, `1 lease`. */
  many: (count: number, what: string) => string
  /** `held-too-long` and `maxLifetime` as people write them. */
  phrase: (name: string) => string
  factWords: (fact: Fact) => string
  isTrouble: (fact: Fact) => boolean
  isSizing: (fact: Fact) => boolean
  symbols: Readonly<Record<"pass" | "warn" | "fail", string>>
  // Feed.ts
  view: View
  key: string | undefined
  /** Kept here and nowhere else. */
  token: string
  link: Link
  /** Says on the page how it stands with the stream. */
  tell: (link: Link, words: string) => void
  /** Asks the API for something under `./pools`. */
  call: (path: string, body?: unknown) => Promise<Answer>
  watch: (key: string) => void
  retry: () => void
  /** The last so many seconds. */
  recent: (seconds: number) => ReadonlyArray<Sample>
  now: () => number
  // Pools.ts
  actions: PoolList["actions"]
  start: () => void
  // Plots.ts
  plot: (id: string, series: ReadonlyArray<Series>, paint: (plot: Plot) => void) => void
  hatch: (pen: CanvasRenderingContext2D, color: string) => CanvasPattern
  // Lanes.ts
  operationName: (operation: string | undefined) => string
  operationColor: (operation: string | undefined) => string
  // Actions.ts
  evict: (connection: Connection) => void
  needToken: (isReading: boolean) => void
  // Main.ts
  readonly onRender: Array<(report: Report) => void>
  render: () => void
}
