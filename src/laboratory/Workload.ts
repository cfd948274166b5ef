/**
 * The requests that come to one pool: when, and what each asks for. They follow from scenario and seed alone, whatever becomes of
 * them, so that policies are compared on the very same requests.
 */
import { Dice, hash } from "../testing/Dice.ts"
import type { LoadPhase, LoadScenario, LoadWork } from "./LoadScenario.ts"

/** How long the load lasts, in milliseconds. */
export const loadMillis = ({ load }: LoadScenario): number => load.reduce((sum, { seconds }) => sum + seconds * 1000, 0)

/** What one request asks for. */
export interface Asked {
  /** In units of what one connection, when it is the only one, gets done in `1 / perSecond` seconds. */
  readonly work: number
  readonly isNested: boolean
  readonly isBatch: boolean
  /** From 0 to 1: of those with less than its share, a leak takes the lease, and a wait is given up. */
  readonly leakChance: number
  readonly cancelChance: number
}

/** Walks through the arrivals: after each `next`, the fields say what came. */
export class Workload implements Asked {
  /** When, in milliseconds; `Infinity` when nobody comes any more. */
  at = 0
  work = 1
  isNested = false
  isBatch = false
  leakChance = 1
  cancelChance = 1
  private nextPoisson: number
  private spikesTaken = 0
  private readonly times: PoissonTimes
  private readonly spikes: ReadonlyArray<number>
  private readonly asks: LoadWork
  private readonly leaks: boolean
  private readonly cancels: boolean
  private readonly workDice: Dice

  constructor(scenario: LoadScenario, seed: number, pool = 0) {
    this.asks = scenario.work
    this.times = new PoissonTimes(scenario.load, new Dice(hash(seed, pool, 1)))
    this.workDice = new Dice(hash(seed, pool, 2))
    this.spikes = spikesOf(scenario)
    this.leaks = scenario.events.some(({ what }) => what === "leaks")
    this.cancels = scenario.events.some(({ what }) => what === "cancels")
    this.nextPoisson = this.times.next()
  }

  /** Goes to the next arrival, if there is one. */
  next(): boolean {
    const nextSpike = this.spikes[this.spikesTaken] ?? Infinity
    this.at = Math.min(nextSpike, this.nextPoisson)
    if (this.at === Infinity) return false
    if (this.at === nextSpike) this.spikesTaken++
    else this.nextPoisson = this.times.next()
    this.drawWork()
    return true
  }

  private drawWork(): void {
    const { asks, workDice } = this
    this.work = asks.spread === "fixed" ? 1 : exponential(workDice)
    if (isOneOf(asks.longShare, workDice)) this.work *= asks.longFactor ?? 1
    this.isNested = isOneOf(asks.nestedShare, workDice)
    this.isBatch = isOneOf(asks.batchShare, workDice)
    if (this.leaks) this.leakChance = workDice.next()
    if (this.cancels) this.cancelChance = workDice.next()
  }
}

/** Of mean 1. */
const exponential = (dice: Dice): number => -Math.log(1 - dice.next())

const isOneOf = (share: number | undefined, dice: Dice): boolean => share !== undefined && dice.chance(share)

/** One time for each request of a spike. */
const spikesOf = ({ events }: LoadScenario): ReadonlyArray<number> =>
  events
    .flatMap((event) => (event.what === "spike" ? Array.from({ length: event.requests }, () => event.at * 1000) : []))
    .sort((one, other) => one - other)

/**
 * The times of a Poisson process whose rate changes evenly within each phase: exponential steps of what was to be expected by then,
 * turned back into time. Each time costs one draw, however the rate changes.
 */
class PoissonTimes {
  private readonly load: ReadonlyArray<LoadPhase>
  private readonly dice: Dice
  private phase = 0
  /** Seconds from the beginning to that of the phase, and from there to the last arrival. */
  private begin = 0
  private into = 0

  constructor(load: ReadonlyArray<LoadPhase>, dice: Dice) {
    this.load = load
    this.dice = dice
  }

  /** In milliseconds; `Infinity` after the end. */
  next(): number {
    let expected = exponential(this.dice)
    for (;;) {
      const phase = this.load[this.phase]
      if (phase === undefined) return Infinity
      const left = expectedAfter(phase, this.into)
      if (expected < left) {
        this.into += timeToExpect(expected, phase, this.into)
        return (this.begin + this.into) * 1000
      }
      expected -= left
      this.begin += phase.seconds
      this.into = 0
      this.phase++
    }
  }
}

const slopeOf = ({ perSecond, seconds, toPerSecond = perSecond }: LoadPhase): number =>
  (toPerSecond - perSecond) / seconds

/** How many requests are to be expected from some time into a phase up to its end. */
const expectedAfter = (phase: LoadPhase, into: number): number => {
  const left = phase.seconds - into
  return left * (phase.perSecond + slopeOf(phase) * (into + left / 2))
}

/** How long it takes until so many are to be expected. */
const timeToExpect = (expected: number, phase: LoadPhase, into: number): number => {
  const slope = slopeOf(phase)
  const rate = phase.perSecond + slope * into
  const root = Math.sqrt(Math.max(0, rate * rate + 2 * slope * expected))
  return (2 * expected) / (rate + root)
}
