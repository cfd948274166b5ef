/**
 * One budget of connections for several pools: looks at what they need whenever that changes, and sets their limits. What is
 * fair is said in the engine (`Allotment`).
 */
import * as Context from "effect/Context"
import { fairShares, limitsFor, type Share } from "../engine/Allotment.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

type AnyRuntime = PoolRuntime<never>

interface Joined {
  readonly runtime: AnyRuntime
  readonly floor: number
}

/** What a pool is promised of which budget. */
export interface Member {
  readonly budget: SharedBudget
  readonly floor: number
}

export class SharedBudget {
  readonly total: number
  private readonly members = new Set<Joined>()
  private isScheduled = false
  /** Somebody needs more than it has got, so that whatever becomes free matters. */
  private isShort = false

  constructor(total: number) {
    this.total = total
  }

  /** What nobody has or may have. */
  private get free(): number {
    let free = this.total
    for (const { runtime } of this.members)
      free -= Math.max(runtime.engine.ledger.total, runtime.engine.ledger.allowance)
    return free
  }

  /** How many connections the members have together. */
  get held(): number {
    let held = 0
    for (const { runtime } of this.members) held += runtime.engine.ledger.total
    return held
  }

  /** Takes a pool in, before it opens anything; the answer takes it out again, when it has closed. */
  join(runtime: AnyRuntime, floor: number): () => void {
    const member: Joined = { runtime, floor }
    // Its floor may have been lent to others meanwhile.
    runtime.engine.allot(Math.min(floor, Math.max(0, this.free)), this.isShort, runtime.now())
    this.members.add(member)
    runtime.onChange = () => this.changed(member)
    this.lookLater(runtime)
    return () => {
      runtime.onChange = undefined
      this.members.delete(member)
      const [next] = this.members
      if (next !== undefined) this.lookLater(next.runtime)
    }
  }

  private changed({ runtime }: Joined): void {
    const { allowance, maxConnections, total, waiting } = runtime.engine.ledger
    const isShort = waiting > 0 && total >= allowance && allowance < maxConnections
    if (isShort || this.isShort) this.lookLater(runtime)
  }

  /** Once for all that happens in a turn: a burst of waiters needs one look. */
  private lookLater(runtime: AnyRuntime): void {
    if (this.isScheduled) return
    this.isScheduled = true
    runtime.later(() => {
      this.isScheduled = false
      this.look()
    })
  }

  private look(): void {
    const members = Array.from(this.members)
    const shares = members.map(shareOf)
    const fair = fairShares(this.total, shares)
    const limits = limitsFor(this.total, shares, fair)
    this.isShort = shares.some(({ demand, max }, index) => limits[index]! < Math.min(demand, max))
    members.forEach(({ runtime }, index) => {
      const { ledger } = runtime.engine
      if (ledger.allowance === limits[index] && ledger.isCoveted === this.isShort) return
      runtime.transition(() => runtime.engine.allot(limits[index]!, this.isShort, runtime.now()))
    })
  }
}

const shareOf = ({ floor, runtime }: Joined): Share => {
  const { allowance, checking, inUse, maxConnections, options, resetting, total, waiters } = runtime.engine.ledger
  return {
    floor,
    max: maxConnections,
    demand: inUse + checking + resetting + Math.ceil(waiters.length / options.concurrency),
    held: total,
    limit: allowance,
    waitingSince: waiters.first?.enqueuedAt ?? Infinity
  }
}

/** The budget that the pool which is being made is to live on. Not seen by what its connector does. */
export const Membership = Context.Reference<Member | undefined>("effect-pool/Membership", {
  defaultValue: () => undefined
})
