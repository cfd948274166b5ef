/**
 * How long an acquire waits for one of so many leases: the queue M/M/c, and what the variability of hold times does to it.
 *
 * The load is in Erlangs: acquires a second times the seconds each holds (Little's law, L = λW), which is the number of leases
 * that run at the same time on average.
 */

/** The probability that a served acquire waits no longer than what {@link waitOf} gives as its `p99`. */
const ninetyNine = 0.99

/** What acquires wait, in milliseconds. */
export interface Wait {
  /** The probability that an acquire waits at all. */
  readonly probability: number
  readonly mean: number
  /** 99 of 100 acquires wait no longer. */
  readonly p99: number
}

/** What decides the wait besides the number of leases. */
export interface Work {
  /** Erlangs. */
  readonly load: number
  readonly meanHoldMillis: number
  /** The squared coefficient of variation of hold times: 0 where all last equally long, 1 where they are exponential. */
  readonly variability: number
}

/** Erlang's B for one server more, from that for one less. It stays between 0 and 1, so no size overflows. */
const nextBlocking = (blocking: number, servers: number, load: number): number =>
  (load * blocking) / (servers + load * blocking)

/** Erlang's C from his B. */
const waitingOf = (blocking: number, servers: number, load: number): number =>
  load >= servers ? 1 : blocking / (1 - (load / servers) * (1 - blocking))

/**
 * The probability that an acquire has to wait, with Poisson arrivals: Erlang's C, by the recursion of his B,
 * B(0) = 1, B(c) = aB(c-1) / (c + aB(c-1)), and C = B / (1 - (a/c)(1 - B)). 1 where the load is not carried.
 *
 * Takes as many steps as there are servers, and no step can overflow.
 */
export const waitProbability = (servers: number, load: number): number => {
  let blocking = 1
  for (let c = 1; c <= servers && blocking > Number.MIN_VALUE; c++) blocking = nextBlocking(blocking, c, load)
  return waitingOf(blocking, servers, load)
}

/**
 * The wait from the probability of it. In M/M/c those who wait do so for an exponential time of mean H / (c - a). Hold times
 * that vary more or less than exponential ones stretch it by (1 + cv²) / 2 (Allen and Cunneen's approximation of M/G/c;
 * exact for one server, where it is Pollaczek and Khinchine's).
 */
const waitFrom = (probability: number, servers: number, { load, meanHoldMillis, variability }: Work): Wait => {
  const meanOfWaiters = ((meanHoldMillis / (servers - load)) * (1 + variability)) / 2
  const rare = 1 - ninetyNine
  return {
    probability,
    mean: probability * meanOfWaiters,
    p99: probability <= rare ? 0 : meanOfWaiters * Math.log(probability / rare)
  }
}

/** What acquires wait with so many leases. `undefined` where they cannot carry the load: the line grows without end. */
export const waitOf = (servers: number, work: Work): Wait | undefined =>
  work.load >= servers ? undefined : waitFrom(waitProbability(servers, work.load), servers, work)

/**
 * The fewest leases with which 99 of 100 acquires wait no longer than the target, in milliseconds. `undefined` where more than
 * `most` would be needed.
 */
export const fewestFor = (work: Work, targetMillis: number, most: number): number | undefined => {
  let blocking = 1
  for (let c = 1; c <= most; c++) {
    blocking = nextBlocking(blocking, c, work.load)
    if (work.load < c && waitFrom(waitingOf(blocking, c, work.load), c, work).p99 <= targetMillis) return c
  }
  return undefined
}
