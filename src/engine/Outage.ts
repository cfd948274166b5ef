/**
 * The time from the first failed connect to the next successful one. While it lasts there is one prober: the planner
 * opens nothing but one connection per backoff step, whoever waits.
 */
export class Outage {
  /** When the first connect failed. */
  readonly since: number
  failures = 0
  /** The backoff step has ended and its one attempt may be made. */
  probeDue = false
  /** When the next attempt is due, as far as the retry schedule has said. */
  nextProbeAt: number | undefined = undefined

  constructor(since: number) {
    this.since = since
  }
}
