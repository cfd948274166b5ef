/** What is to happen in a run of the load laboratory: a server, a pool, a load, and what goes wrong. */

/**
 * A server: how fast it is, and how much slower it gets with what runs on it at the same time.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerTraits {
  /** What one connection gets done in a second when it is the only one. */
  readonly perSecond: number
  /** Universal Scalability Law: what of the work cannot be done side by side, from 0 to 1. */
  readonly contention: number
  /** Universal Scalability Law: what each pair at work costs the others, from 0 to 1. */
  readonly coherency: number
  /** How long a connect takes. */
  readonly connectMillis: number
  /** It refuses a connection beyond so many: "too many connections". Absent: it has room for all. */
  readonly maxConnections?: number | undefined
  /** It ends a connection that has rested for so long. Absent: never. */
  readonly idleKillSeconds?: number | undefined
}

/**
 * A stretch of time with the requests that come in it. They come at random (Poisson), so many a second on average.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadPhase {
  /** How long it takes. */
  readonly seconds: number
  /** How many requests come in a second, at its beginning. */
  readonly perSecond: number
  /** The rate changes evenly up to this one. Absent: it stays. */
  readonly toPerSecond?: number | undefined
}

/**
 * What happens: at the time `at`, in seconds from the beginning, and `what`. `requests`, `sessions`, `connections`: how many; `seconds`,
 * `millis`: how long; `factor`: 1 is the server's own speed; `share`: a part, from 0 to 1.
 *
 * - `spike`: so many requests at once. `speed`: the server works at this part of its speed. `neighbours`: so many sessions of
 * others are at work on it. `down`: every connection ends and connects are refused, for so long. `blackHole`: nothing is
 * answered for so long, and nobody is told. `connectMillis`: connects take this long from now on. `serverMaxConnections`: its
 * limit from now on. `rejectsLogin`: connects fail for good (wrong password), for so long. `recycle`: the operator replaces all
 * connections. `leaks`: from now on, this part of all leases is never returned. `cancels`: from now on, this part of those
 * who wait give up after `afterMillis`.
 *
 * @category models
 * @since 0.1.0
 */
export type LoadEvent =
  | { readonly at: number; readonly what: "spike"; readonly requests: number }
  | { readonly at: number; readonly what: "speed"; readonly factor: number }
  | { readonly at: number; readonly what: "neighbours"; readonly sessions: number }
  | { readonly at: number; readonly what: "down"; readonly seconds: number }
  | { readonly at: number; readonly what: "blackHole"; readonly seconds: number }
  | { readonly at: number; readonly what: "connectMillis"; readonly millis: number }
  | { readonly at: number; readonly what: "serverMaxConnections"; readonly connections: number }
  | { readonly at: number; readonly what: "rejectsLogin"; readonly seconds: number }
  | { readonly at: number; readonly what: "recycle" }
  | { readonly at: number; readonly what: "leaks"; readonly share: number }
  | { readonly at: number; readonly what: "cancels"; readonly share: number; readonly afterMillis: number }

/**
 * What each request asks of the server, relative to 1: the same, or spread exponentially; and how often it is long.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadWork {
  /** The same for each, or exponentially spread with a mean of 1. */
  readonly spread: "fixed" | "exponential"
  /** This part of all requests asks `longFactor` times as much. Absent: none. */
  readonly longShare?: number | undefined
  /** How much more a long request asks. Absent: 1. */
  readonly longFactor?: number | undefined
  /** This part of all requests borrows a second connection while it holds the first. Absent: none. */
  readonly nestedShare?: number | undefined
  /** This part of all requests is of the class "batch". Absent: none. */
  readonly batchShare?: number | undefined
}

/**
 * What is to happen in a run of the load laboratory.
 *
 * - `name`, `summary`: what it is called, and what it is about, in a sentence.
 * - `server`: how fast it is, and how much slower it gets with what runs on it at the same time.
 * - `work`: what each request asks of the server. `load`: the requests that come, stretch by stretch. `events`: what goes
 *   wrong, and when.
 *
 * @category models
 * @since 0.1.0
 */
export interface LoadScenario {
  readonly name: string
  readonly summary: string
  readonly server: ServerTraits
  /** The pool's configuration, as its users write it; what is absent has its default. */
  readonly pool: Readonly<Record<string, unknown>>
  readonly work: LoadWork
  readonly load: ReadonlyArray<LoadPhase>
  readonly events: ReadonlyArray<LoadEvent>
  /** An answer counts as good when it comes within so long of the request. */
  readonly goodWithinMillis: number
  /** What is measured from this second on; before it, things warm up. */
  readonly measureFrom: number
  /** So many pools, each with the load and configuration above, share the server. Default: 1. */
  readonly pools?: number | undefined
}
