/**
 * How many connections a pool should have: what a policy is told, and what it answers. A policy is a pure function of what was
 * measured, so that the same one runs in the pool and in the load laboratory, and its worked examples are its tests.
 */

/**
 * What the pool has measured. Times are milliseconds. Counts are of now, unless said otherwise.
 *
 * It is a view, good for one question: a policy that keeps it sees it change.
 */
export interface SizingWindow {
  /** The pool's monotonic clock, in milliseconds: good for differences, and nothing else. */
  readonly now: number
  /**
   * What is asked. `"waiting"`: somebody waits, no connection is on its way to him, and there is room below the limit: may
   * more be opened? `"period"`: the policy's period is over: how many connections are to be kept from now on?
   */
  readonly occasion: "waiting" | "period"
  /** As configured, or as of the last resize. */
  readonly minConnections: number
  /** How many there may be now: `maxConnections`, less what a shared budget or the server's own limit takes away. */
  readonly limit: number
  /** How many were to be kept, as it was last decided. */
  readonly target: number
  /** Connections that are kept: open or connecting, and not on their way out. */
  readonly kept: number
  /** Connections that serve those who wait: in use by somebody who does not wait himself, or being checked for a waiter. */
  readonly serving: number
  /** Connections that are lent. */
  readonly inUse: number
  /** Connections that are being opened. */
  readonly connecting: number
  /** How many may connect at the same time. */
  readonly maxConnecting: number
  /** Callers who wait for a connection. */
  readonly waiting: number
  /** How long somebody waits before he gives up. */
  readonly acquireTimeout: number
  /** How many leases may share one connection. */
  readonly concurrency: number
  /** How long a lease lasts: of those that ended, the recent ones weigh most; 0 before the first has ended. */
  readonly holdTime: number
  /** The mean age of the leases that run. */
  readonly runningTime: number
  /** How long a connect takes: the recent ones weigh most; 0 before the first has opened. */
  readonly connectTime: number
  /** How long somebody has been waiting, whoever it was, without a break. */
  readonly lineAge: number
  /** How long those waited who were served during the last period, on average, those who were served at once among them. */
  readonly averageWait: number
  /** Of the connections kept, the part that was idle, on average over the last period. */
  readonly idleRatio: number
  /** Acquires, and leases that ended, per second over the last period. */
  readonly arrivalRate: number
  readonly throughput: number
  /** Acquires per second since somebody has been waiting without a break, at most half a second back; `Infinity` at first. */
  readonly rushRate: number
  /** By how many per second the line has got shorter in the same time; less than 0 if it has got longer. */
  readonly shorteningRate: number
  /** What got done with how many connections while somebody waited all the time, the newest last. */
  readonly capacity: ReadonlyArray<CapacitySample>
  /** More has been asked of the pool than it got done, for longer than a burst: it sheds load. */
  readonly isOverloaded: boolean
  /** The most leases that ran at once in each of the last seconds, the newest last. */
  readonly peaks: ReadonlyArray<number>
  /** How many seconds of peaks there must be before a connection is closed for want of use. */
  readonly peakSeconds: number
  /** Where more connections stop helping, as far as that can be seen. */
  readonly knee: Knee | undefined
}

/** Up to that time, so many connections in use ended so many leases, and so many a second, while somebody waited all the time. */
export interface CapacitySample {
  readonly at: number
  readonly connections: number
  readonly leases: number
  readonly perSecond: number
}

/** Where more connections stop helping: hold time against concurrency, by the Universal Scalability Law. */
export interface Knee {
  /** With so many in use the server gets the most done. */
  readonly connections: number
  /** What of the work cannot be done side by side, and what each pair in use costs the others. */
  readonly contention: number
  readonly coherency: number
  /** From 0 (a guess) to 1 (measured on both sides of it, again and again). */
  readonly confidence: number
  /** The server's speed has changed, and what was seen before is kept until there is enough to see it anew. */
  readonly isFrozen: boolean
}

/** What a policy decides: how many connections the pool should have, and why, in words. */
export interface SizingDecision {
  readonly connections: number
  /**
   * At the end of a period: more than that would do harm. None is opened beyond, whoever waits, and those that are too many are
   * closed when they come back, until a period ends otherwise.
   */
  readonly isCeiling?: boolean | undefined
  /** Read only when somebody looks: it may be a getter. */
  readonly reason: string
}

export interface SizingPolicy {
  readonly name: string
  /** How often it is asked what to keep, in milliseconds. */
  readonly period: number
  /** It is asked as well whenever somebody waits to whom no connection is on its way. */
  readonly asksWhenWaiting: boolean
  readonly decide: (window: SizingWindow) => SizingDecision
}
