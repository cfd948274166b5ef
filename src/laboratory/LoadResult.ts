/**
 * What came of one run in the load laboratory: one scenario, one policy, one seed.
 *
 * - `scenario`, `policy`, `seed`: which run it was.
 * - `requests`: those that came in the measured time. They were answered within `goodWithinMillis` (`good`) or later
 *   (`late`), refused early with `PoolOverloaded` (`shed`), ran out of time with `AcquireTimeout` (`timedOut`), or got no
 *   answer for another reason (`failed`): the five add up.
 * - `meanConnections`, `peakConnections`: open or connecting, the mean over the measured time and the most. `opened`,
 *   `closed`, `attempts`: connections that opened, that were closed, and attempts to connect, in the measured time.
 * - `attemptsWhileDown`, `downMillis`: attempts that were begun while the server was down or refused all, and for how long
 *   it did, in milliseconds.
 * - `firstAnswerMillis`, `recoveredMillis`: from the end of the last outage to the first answer, and until nobody waited any
 *   more, in milliseconds; absent without an outage, and where that did not come.
 * - `timeline`: one sample per `sampleMillis`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadResult {
  readonly scenario: string
  readonly policy: string
  readonly seed: number
  /** Requests that came in the measured time, and what became of them: the five add up to `requests`. */
  readonly requests: number
  /** Answered within `goodWithinMillis`, and later than that. */
  readonly good: number
  readonly late: number
  /** Refused early (`PoolOverloaded`), out of time (`AcquireTimeout`), and everything else that is no answer. */
  readonly shed: number
  readonly timedOut: number
  readonly failed: number
  /** From the request to its answer, over those that were answered. */
  readonly answerMillis: { readonly p50: number; readonly p99: number; readonly p999: number; readonly max: number }
  /** From the request to its lease, over those that got one. */
  readonly waitMillis: { readonly p50: number; readonly p99: number }
  /** Open or connecting: the mean over the measured time, and the most. */
  readonly meanConnections: number
  readonly peakConnections: number
  /** Connections that opened, that were closed, and attempts, in the measured time. */
  readonly opened: number
  readonly closed: number
  readonly attempts: number
  /** Attempts that were begun while the server was down or refused all, and for how long it did. */
  readonly attemptsWhileDown: number
  readonly downMillis: number
  /** From the end of the last outage to the first answer, and until nobody waited any more; absent without an outage. */
  readonly firstAnswerMillis?: number | undefined
  readonly recoveredMillis?: number | undefined
  /** How many connections there were above `maxConnections` at the worst moment: 0, or the pool broke its promise. */
  readonly overshoot: number
  /** Of requests that came at about the same time, the largest difference between two waits. */
  readonly unfairnessMillis: number
  /** What the engine's own audit found, asked every simulated second: none, or the pool broke a promise. */
  readonly violations: ReadonlyArray<string>
  /** One sample per `sampleMillis`. */
  readonly sampleMillis: number
  readonly timeline: ReadonlyArray<LoadSample>
}

/**
 * What things were like during one sample. Counts of connections and waiters are of its end.
 *
 * - `seconds`: its end, from the beginning of the run. `requests`: those that came in it. `good`, `refused`: those that were
 *   answered in time, and those that were refused, in it.
 * - `waiting`, `open`, `inUse`, `connecting`, `limit`: waiters, and connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadSample {
  readonly seconds: number
  readonly requests: number
  readonly good: number
  readonly refused: number
  readonly waiting: number
  readonly open: number
  readonly inUse: number
  readonly connecting: number
  readonly limit: number
  /** The longest wait that ended in it; and how long the first in line has waited at its end. */
  readonly longestWait: number
}
