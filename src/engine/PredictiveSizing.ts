/**
 * Grows when a new connection would arrive before the line is empty, and keeps what the peaks of the last minutes needed.
 */
import { mostDone } from "./BestSize.ts"
import { HouseDecision } from "./HouseDecision.ts"
import type { SizingDecision, SizingPolicy, SizingWindow } from "./SizingPolicy.ts"

/** Above the peak, so much more is kept: one part for what is likely, one for chance. */
const headroom = 1.2
const oneMore = 1

/** Of the peaks of all seconds, those above this share are forgotten: a peak in one second of twenty is not worth a place. */
const peakShare = 0.95

/** So few connections are opened by the wait alone: one too many is no harm there, and counting arrivals says little. */
const few = 5

/** Leases that have run for so many times longer than the last ones lasted are of another kind. */
const surprising = 3

/** Of the connections kept, the part that may be closed at a time. */
const closedAtATime = 0.1

/** A line that has been there for so long was not going to be empty soon, whatever was predicted, in milliseconds. */
const standing = 500

export interface PredictiveOptions {
  /** Never more than where the server gets the most done, once that is known well enough. */
  readonly kneeIsCeiling: boolean
}

/** A knee that is less certain than this is no ceiling. */
const certainEnough = 0.5

export const predictiveSizing = ({ kneeIsCeiling }: PredictiveOptions): SizingPolicy => ({
  name: "predictive",
  period: 1000,
  asksWhenWaiting: true,
  decide: (window) => {
    const decision = window.occasion === "waiting" ? whenWaiting(window) : whenPeriodEnds(window)
    return kneeIsCeiling ? belowKnee(window, decision) : decision
  }
})

const belowKnee = (window: SizingWindow, decision: SizingDecision): SizingDecision => {
  const { knee, minConnections } = window
  if (knee === undefined || knee.confidence < certainEnough) return decision
  const ceiling = Math.max(minConnections, 1, knee.connections)
  return decision.connections <= ceiling ? decision : new AtKnee(ceiling, decision.connections)
}

class AtKnee extends HouseDecision {
  private readonly wanted: number

  constructor(connections: number, wanted: number) {
    super(connections, true)
    this.wanted = wanted
  }

  get reason(): string {
    return `${this.connections} instead of ${this.wanted}: with more at work, the server gets less done`
  }
}

// Growth.

const whenWaiting = (window: SizingWindow): SizingDecision => {
  const { concurrency, connecting, connectTime, holdTime, kept, lineAge, runningTime, rushRate, serving, waiting } =
    window
  const capacity = serving + connecting
  const uncovered = Math.max(0, Math.min(window.limit - kept, waiting - connecting))
  if (serving === 0) return new Growth("nothing", kept + uncovered, 0, 0)
  // What runs now may last far longer than what has ended: a lease is at least as long as it has been.
  const isSurprise = runningTime > surprising * holdTime
  const hold = isSurprise ? runningTime : holdTime
  const wait = (waiting * hold) / (capacity * concurrency)
  // Those who come from now on, and those who wait, before they give up.
  const rate = rushRate + (1000 * waiting) / window.acquireTimeout
  // Leases that may never end are not part of what comes and goes.
  const staffed = isSurprise || rate === Infinity ? Infinity : Math.ceil((rate * hold) / 1000 / concurrency)
  const isLarge = capacity >= few && !isSurprise
  if (isLarge && lineAge >= standing && isEmptyInTime(window)) return new NoGrowth(kept, wait, connectTime)
  if (wait > connectTime || connectTime === 0) {
    // As many as get the line empty before one more would be there, and no more than will have something to do after that.
    const needed = connectTime === 0 ? Infinity : Math.ceil((waiting * hold) / (connectTime * concurrency))
    const useful = Math.max(few, staffed) - capacity
    const more = Math.min(uncovered, Math.max(1, needed - capacity), useful)
    if (more > 0) return new Growth("wait", kept + more, wait, connectTime)
  }
  if (lineAge < standing) return new NoGrowth(kept, wait, connectTime)
  const isFalsified = connecting === 0 && lineAge >= patience(window, hold)
  const more = Math.max(staffed - capacity, isFalsified ? 1 : 0)
  return more > 0
    ? new Growth("standing", kept + Math.min(uncovered, more), lineAge, connectTime)
    : new NoGrowth(kept, wait, connectTime)
}

/** The line has been getting shorter at a rate at which it is empty before those in it give up: what is there is enough. */
const isEmptyInTime = ({ acquireTimeout, shorteningRate, waiting }: SizingWindow): boolean =>
  shorteningRate > 0 && (1000 * waiting) / shorteningRate < acquireTimeout

/**
 * How long a line may be there before what is known is taken to be wrong: longer where, as far as is known, more gets done than
 * comes.
 */
const patience = ({ concurrency, connectTime, rushRate, serving }: SizingWindow, hold: number): number => {
  const shouldGetShorter = (serving * concurrency * 1000) / hold > rushRate
  return Math.max(connectTime, standing) * (shouldGetShorter ? 4 : 1)
}

class Growth extends HouseDecision {
  private readonly because: "nothing" | "wait" | "standing"
  private readonly wait: number
  private readonly connectTime: number

  constructor(because: "nothing" | "wait" | "standing", connections: number, wait: number, connectTime: number) {
    super(connections)
    this.because = because
    this.wait = wait
    this.connectTime = connectTime
  }

  get reason(): string {
    if (this.because === "nothing") return "somebody waits, and no connection is open that could serve him"
    const wait = millis(this.wait)
    const takes = `a new connection takes ${millis(this.connectTime)}`
    return this.because === "wait"
      ? `the queue would be empty in ${wait}, and ${takes}`
      : `somebody has been waiting for ${wait} without a break, and ${takes}`
  }
}

class NoGrowth extends HouseDecision {
  private readonly wait: number
  private readonly connectTime: number

  constructor(connections: number, wait: number, connectTime: number) {
    super(connections)
    this.wait = wait
    this.connectTime = connectTime
  }

  get reason(): string {
    const { connections, connectTime, wait } = this
    return wait <= connectTime
      ? `a new connection would arrive ${millis(connectTime - wait)} after the queue is empty`
      : `${connections} connections carry what comes, and those who wait will be served in ${millis(wait)}`
  }
}

// Shrinking.

/** What the peaks need, by the nearest rank: the highest of all but one in twenty, and some more. */
export const neededByPeaks = (peaks: ReadonlyArray<number>): number => {
  if (peaks.length === 0) return 0
  const sorted = Float64Array.from(peaks).sort()
  const peak = sorted[Math.ceil(peakShare * sorted.length) - 1]!
  return peak === 0 ? 0 : Math.ceil(headroom * peak) + oneMore
}

const whenPeriodEnds = (window: SizingWindow): SizingDecision => {
  if (window.lineAge >= standing) {
    const best = mostDone(window)
    if (best !== undefined) return best
  }
  const { concurrency, kept, limit, minConnections, peaks, peakSeconds, target } = window
  const need = Math.ceil(Math.min(limit, Math.max(minConnections, neededByPeaks(peaks) / concurrency)))
  // What was lost since is opened again, as far as it is needed.
  if (kept <= need) return new Kept(Math.min(need, Math.max(kept, target)), need, peaks.length, peakSeconds)
  const closed = Math.min(kept - need, Math.max(1, Math.floor(kept * closedAtATime)))
  return new Kept(peaks.length < peakSeconds ? kept : kept - closed, need, peaks.length, peakSeconds)
}

class Kept extends HouseDecision {
  private readonly need: number
  private readonly watched: number
  private readonly wanted: number

  constructor(connections: number, need: number, watched: number, wanted: number) {
    super(connections)
    this.need = need
    this.watched = watched
    this.wanted = wanted
  }

  get reason(): string {
    const { connections, need, wanted, watched } = this
    return connections > need && watched < wanted
      ? `the peaks of ${watched} s need ${need}; nothing is closed before ${wanted} s have been watched`
      : `the peaks of the last ${watched} s need ${need}`
  }
}

const millis = (time: number): string => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`
