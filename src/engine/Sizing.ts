/**
 * Asks the sizing policy, and keeps what it said and why. A policy is somebody else's code: one that throws, answers
 * nonsense or flaps is not followed, and the policy of the house decides instead.
 */
import type { Ledger } from "./Ledger.ts"
import { HouseDecision } from "./HouseDecision.ts"
import { predictiveSizing } from "./PredictiveSizing.ts"
import { closeSurplus } from "./Retirement.ts"
import type { CapacitySample, Knee, SizingDecision, SizingPolicy, SizingWindow } from "./SizingPolicy.ts"

const ofTheHouse = predictiveSizing({ kneeIsCeiling: false })

/** So many times in a minute may a policy turn round, from more to fewer or back: beyond that it flaps. */
const turnsAllowed = 6
const minute = 60_000

/** A policy that has answered no is asked again after the time that a connect takes, within these bounds, in milliseconds. */
const soonest = 10
const latest = 250

/** What the policy was asked, and what came of it. */
export interface Sized {
  readonly at: number
  readonly from: number
  readonly to: number
  readonly reason: string
}

export class Sizing<A> {
  readonly policy: SizingPolicy
  /** How many connections are to be kept, as the policy last said. */
  target: number
  /** More than this would do harm, as the policy last said. */
  ceiling = Infinity
  /** The last answer that changed something; and the last one that changed nothing although somebody waited. */
  changed: Sized | undefined = undefined
  /** Answers that were not followed, and what was wrong with the last of them. */
  ignored = 0
  fault: string | undefined = undefined
  /** When the policy's period is over. */
  periodEndsAt: number
  private refused: SizingDecision | undefined = undefined
  private refusedAt = 0
  /** When the policy was last asked about somebody who waits. */
  askedAt = -Infinity
  /** When somebody who waits, and for whom nothing was opened, is worth another question. */
  askAgainAt = Infinity
  private readonly window: Window<A>
  private readonly ledger: Ledger<A>
  private rising = true
  private readonly turns: Array<number> = []
  private flapsUntil = -Infinity

  constructor(ledger: Ledger<A>, policy: SizingPolicy, now: number) {
    this.ledger = ledger
    this.policy = policy
    this.target = ledger.minConnections
    this.window = new Window(ledger, now)
    this.periodEndsAt = now + policy.period
  }

  /** Why nothing was opened when somebody last waited and something could have been. */
  get notGrown(): Sized | undefined {
    const { refused } = this
    if (refused === undefined) return undefined
    return { at: this.refusedAt, from: refused.connections, to: refused.connections, reason: refused.reason }
  }

  /** How many more are to be opened for those who wait. */
  growth(now: number): number {
    const { ledger, policy, window } = this
    this.askedAt = now
    this.askAgainAt = now + Math.max(soonest, Math.min(latest, ledger.demand.connectTime))
    if (!policy.asksWhenWaiting) return window.serving + window.connecting === 0 ? 1 : 0
    ledger.demand.markLine(now, ledger.acquires, ledger.waiting)
    window.look("waiting", now)
    const { kept } = window
    const decision = this.ask(now)
    const more = decision.connections - kept
    if (more > 0) {
      this.note(kept, decision, now)
      return more
    }
    this.refused = decision
    this.refusedAt = now
    return window.serving + window.connecting === 0 ? 1 : 0
  }

  /** The period is over: what is to be kept from now on. */
  endPeriod(now: number): void {
    const { policy, window } = this
    this.periodEndsAt = now + policy.period
    window.look("period", now)
    const { kept } = window
    const before = this.target
    const decision = this.steady(kept, this.ask(now), now)
    window.startPeriod(now)
    const isCeiling = decision.isCeiling === true
    this.target = isCeiling ? Math.min(kept, decision.connections) : decision.connections
    this.setCeiling(isCeiling ? decision.connections : Infinity, now)
    if (decision.connections !== kept && decision.connections !== before) this.note(kept, decision, now)
  }

  private setCeiling(ceiling: number, now: number): void {
    const isLower = ceiling < this.ceiling
    this.ceiling = ceiling
    if (isLower) closeSurplus(this.ledger, now, "unneeded")
  }

  /** A second has passed. */
  endSecond(): void {
    this.window.noteIdle()
  }

  private note(from: number, { connections, reason }: SizingDecision, now: number): void {
    this.changed = { at: now, from, to: connections, reason }
    this.ledger.recorder.noteLife("SizingDecision", now, { acquire: from, lease: connections }, reason)
  }

  private ask(now: number): SizingDecision {
    const { policy, window } = this
    const decision = answerOf(policy, window)
    if (decision instanceof HouseDecision) return decision
    const wrong = typeof decision === "string" ? decision : this.wrongWith(decision)
    if (wrong === undefined) return decision as SizingDecision
    this.ignore(wrong, now)
    return ofTheHouse.decide(window)
  }

  private wrongWith({ connections }: SizingDecision): string | undefined {
    // Somebody who waits may come while the minimum is still being opened.
    const minConnections = this.window.occasion === "period" ? this.window.minConnections : 0
    // There may still be more than the maximum, after that was lowered.
    const most = Math.max(this.ledger.maxConnections, this.window.kept)
    if (!Number.isInteger(connections)) return `it answered ${shown(connections)}, which is no number of connections`
    if (connections >= minConnections && connections <= most) return undefined
    return `it answered ${connections}, which is not from ${minConnections} to ${most}`
  }

  private ignore(fault: string, now: number): void {
    this.ignored++
    const isNew = this.fault === undefined
    this.fault = fault
    if (isNew) this.ledger.decide({ _tag: "PolicyFault", policy: this.policy.name, fault })
    this.ledger.recorder.noteLife("SizingIgnored", now, {}, fault)
  }

  /** A policy that goes up and down again and again opens and closes for nothing: for a minute it may only go up. */
  private steady(kept: number, decision: SizingDecision, now: number): SizingDecision {
    if (decision instanceof HouseDecision) return decision
    const change = decision.connections - this.target
    if (change === 0) return decision
    const isRising = change > 0
    if (isRising !== this.rising) {
      this.rising = isRising
      this.turns.push(now)
      while (this.turns[0]! <= now - minute) this.turns.shift()
      if (this.turns.length > turnsAllowed) {
        this.turns.length = 0
        this.flapsUntil = now + minute
        this.ignore(`it turned round more than ${turnsAllowed} times in a minute`, now)
      }
    }
    return isRising || now >= this.flapsUntil ? decision : { connections: kept, reason: "the policy flaps" }
  }
}

/**
 * What the policy answers; a sentence, if it throws. What it answers is somebody else's, too, and is looked at once, here: what is
 * kept of it are a number and a text.
 */
const answerOf = (policy: SizingPolicy, window: SizingWindow): SizingDecision | string => {
  try {
    const decision = policy.decide(window)
    if (decision instanceof HouseDecision) return decision
    const { connections, isCeiling, reason } = (decision as SizingDecision | null | undefined) ?? nothing
    return {
      connections: connections as number,
      isCeiling: isCeiling === true,
      reason: typeof reason === "string" ? reason : "no reason given"
    }
  } catch (error) {
    return `it threw ${shown(error)}`
  }
}

const nothing: Partial<SizingDecision> = {}

/** Anything as a text, also what cannot be one. */
const shown = (value: unknown): string => {
  try {
    return String(value).slice(0, 200)
  } catch {
    return typeof value
  }
}

/** What a policy sees: the ledger, through the words of the field. */
class Window<A> implements SizingWindow {
  occasion: "waiting" | "period" = "period"
  private readonly ledger: Ledger<A>
  now = 0
  private periodSince: number
  private came = 0
  private served = 0
  private ended = 0
  private waited = 0
  /** Sums over the looks of the period, one each second. */
  private idle = 0
  private looks = 0

  constructor(ledger: Ledger<A>, now: number) {
    this.ledger = ledger
    this.periodSince = now
  }

  look(occasion: "waiting" | "period", now: number): void {
    this.occasion = occasion
    this.now = now
  }

  startPeriod(now: number): void {
    const { acquires, counters, demand } = this.ledger
    this.periodSince = now
    this.came = acquires
    this.served = counters.acquired
    this.ended = counters.released
    this.waited = demand.waited
    this.idle = 0
    this.looks = 0
  }

  /** A second has passed. */
  noteIdle(): void {
    const { idle } = this.ledger
    this.idle += this.kept === 0 ? 0 : idle.length / this.kept
    this.looks++
  }

  get minConnections(): number {
    return Math.min(this.ledger.minConnections, this.ledger.limit)
  }
  /** At the end of a period the policy's own ceiling is what it is asked about. */
  get limit(): number {
    const { limit, serverLimit } = this.ledger
    return this.occasion === "waiting" ? limit : Math.min(this.ledger.allowance, serverLimit.connections)
  }
  get target(): number {
    return this.ledger.sizing.target
  }
  get kept(): number {
    return this.ledger.kept
  }
  get serving(): number {
    const { doomed, inUse, leases, options, promptChecks } = this.ledger
    const stuck = options.concurrency === 1 ? leases.stuck : 0
    return Math.max(0, inUse - doomed - stuck) + promptChecks
  }
  get inUse(): number {
    return this.ledger.inUse
  }
  get connecting(): number {
    return this.ledger.connecting
  }
  get maxConnecting(): number {
    return this.ledger.maxConnecting
  }
  get waiting(): number {
    return this.ledger.waiting
  }
  get concurrency(): number {
    return this.ledger.options.concurrency
  }
  get acquireTimeout(): number {
    return this.ledger.options.acquireTimeout
  }
  get holdTime(): number {
    return this.ledger.demand.holdTime
  }
  get runningTime(): number {
    return this.ledger.demand.runningTime(this.ledger.leases.length, this.now)
  }
  get connectTime(): number {
    return this.ledger.demand.connectTime
  }
  get lineAge(): number {
    return Math.max(0, this.now - this.ledger.demand.lineSince)
  }
  get averageWait(): number {
    const served = this.ledger.counters.acquired - this.served
    return served === 0 ? 0 : (this.ledger.demand.waited - this.waited) / served
  }
  get idleRatio(): number {
    if (this.looks > 0) return this.idle / this.looks
    return this.kept === 0 ? 0 : this.ledger.idle.length / this.kept
  }
  get arrivalRate(): number {
    return this.perSecond(this.ledger.acquires - this.came)
  }
  get throughput(): number {
    return this.perSecond(this.ledger.counters.released - this.ended)
  }
  get rushRate(): number {
    return this.ledger.demand.arrivalRate(this.now, this.ledger.acquires)
  }
  get shorteningRate(): number {
    return this.ledger.demand.shorteningRate(this.now, this.ledger.waiting)
  }
  get capacity(): ReadonlyArray<CapacitySample> {
    return this.ledger.demand.capacity.samples
  }
  get isOverloaded(): boolean {
    return this.ledger.shedding.isOverloaded
  }
  get peaks(): ReadonlyArray<number> {
    return this.ledger.demand.peaks
  }
  get peakSeconds(): number {
    return this.ledger.peakSeconds
  }
  get knee(): Knee | undefined {
    return this.ledger.demand.knee.estimate
  }

  private perSecond(count: number): number {
    const seconds = (this.now - this.periodSince) / 1000
    return seconds > 0 ? count / seconds : 0
  }
}
