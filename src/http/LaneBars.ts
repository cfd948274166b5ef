/**
 * What connections did in each second, as bars for their lanes. Leases are drawn one by one while there are few enough for an eye to tell
 * them apart; where a second has hundreds, a bar says how much of it the connection was lent.
 */
import type { PoolEvent } from "../PoolEvent.ts"
import type { ConnectionStatus } from "../PoolStatus.ts"
import type { LaneBar } from "./ConsoleFeed.ts"

/** From so many facts about leases in a second on, they are not drawn one by one. */
const mostFacts = 300

/** Lanes that are kept, and for how long, in milliseconds. */
const mostLanes = 200
const kept = 60_000
const mostBars = 5000

/** What has happened since the last look. */
export interface Look {
  /** Wall time, in milliseconds: of the last look, and of this one. */
  readonly from: number
  readonly at: number
  readonly connections: ReadonlyArray<ConnectionStatus>
  readonly events: ReadonlyArray<PoolEvent>
  /** Some events are gone that nobody has read. */
  readonly hasMissed: boolean
  /** How long the leases lasted that ended meanwhile, on average, in milliseconds. */
  readonly meanHold: number
}

const keyOf = ({ connection, kind, lease, start }: LaneBar): string =>
  kind === "lease" ? `lease ${lease}` : `${kind} ${connection} ${start}`

type Work = "connecting" | "checking" | "resetting" | "closing"

export class LaneBars {
  private readonly bars = new Map<string, LaneBar>()
  private readonly uses = new Map<number, number>()
  /** When the work began that is running on a connection, as far as anybody has seen. */
  private readonly workSince = new Map<string, number>()
  private changed: Array<LaneBar> = []

  /** Those of the last minute. */
  get recent(): ReadonlyArray<LaneBar> {
    return Array.from(this.bars.values())
  }

  /** Takes a look, and gives the bars that are new or have changed. */
  look(look: Look): ReadonlyArray<LaneBar> {
    this.changed = []
    const connections = look.connections.slice(0, mostLanes)
    const facts = look.events.filter(isLeaseFact)
    if (look.hasMissed || facts.length > mostFacts) this.drawBusy(look, connections)
    else this.drawLeases(facts, look, connections)
    this.drawHolders(look, connections)
    this.drawWork(look, connections)
    this.endBars(look, connections)
    this.forget(look)
    return this.changed
  }

  private put(bar: LaneBar): void {
    this.bars.set(keyOf(bar), bar)
    this.changed.push(bar)
  }

  /** Every lease that ended, and when. */
  private drawLeases(
    facts: ReadonlyArray<PoolEvent>,
    { from }: Look,
    connections: ReadonlyArray<ConnectionStatus>
  ): void {
    const newest = new Map<number, LaneBar>()
    for (const event of facts) {
      if (event._tag !== "Released") continue
      const { at, connection, held, lease } = event
      const known = this.bars.get(`lease ${lease}`)
      const bar: LaneBar = { kind: "lease", connection, lease, start: at - held, ...known, end: at }
      if (known === undefined) newest.set(connection, bar)
      // A bar of no width is no bar.
      if (known !== undefined || held >= 1) this.put(bar)
    }
    // The operation of a lease that was over before anybody looked is known only of the newest.
    for (const { id, lastOperation, state } of connections) {
      const bar = newest.get(id)
      if (bar === undefined || state !== "idle" || lastOperation === undefined || bar.start < from - kept) continue
      if (this.bars.has(keyOf(bar))) this.put({ ...bar, operation: lastOperation })
    }
  }

  /** How much of the time each connection was lent: its share of all the uses, of the time that a use takes. */
  private drawBusy({ at, from, meanHold }: Look, connections: ReadonlyArray<ConnectionStatus>): void {
    for (const { id, inUseForMillis = 0, lastOperation, uses } of connections) {
      const before = this.uses.get(id) ?? uses
      const share = Math.min(1, ((uses - before) * meanHold) / Math.max(1, at - from))
      // Whoever has it all the time has a bar of his own.
      if (uses === before || inUseForMillis >= at - from) continue
      this.put({
        kind: "busy",
        connection: id,
        start: from,
        end: at,
        share: Math.max(0.02, share),
        ...(lastOperation !== undefined && { operation: lastOperation })
      })
    }
  }

  /** Leases that run, from their beginning. Those that have just begun may be gone before an eye has seen them. */
  private drawHolders({ at }: Look, connections: ReadonlyArray<ConnectionStatus>): void {
    for (const { holders, id, uses } of connections) {
      this.uses.set(id, uses)
      for (const { heldForMillis, isLeakSuspected, lease, operation } of holders) {
        const known = this.bars.get(`lease ${lease}`)
        const suspected = isLeakSuspected === true ? { isLeakSuspected } : {}
        if (known !== undefined && known.isLeakSuspected === isLeakSuspected) continue
        const start = known?.start ?? at - heldForMillis
        const named = operation === undefined ? {} : { operation }
        this.put({ kind: "lease", connection: id, lease, start, ...named, ...suspected })
      }
    }
  }

  /** Connects, checks, resets and closes: those that have ended by what was noted, those that run by what is seen. */
  private drawWork({ at, events }: Look, connections: ReadonlyArray<ConnectionStatus>): void {
    for (const event of events) {
      const work = workOf(event)
      if (work !== undefined) this.endWork(work.kind, work.connection, event.at, work.duration)
    }
    for (const { ageMillis, id, state } of connections) {
      if (state === "idle" || state === "inUse") continue
      const key = `${state} ${id}`
      if (this.workSince.has(key)) continue
      const start = state === "connecting" ? at - ageMillis : at
      this.workSince.set(key, start)
      this.put({ kind: state, connection: id, start })
    }
  }

  private endWork(kind: Work, connection: number, at: number, duration: number): void {
    const key = `${kind} ${connection}`
    const start = this.workSince.get(key)
    this.workSince.delete(key)
    if (start !== undefined || duration >= 1) {
      this.put({ kind, connection, start: start ?? at - duration, end: at })
    }
  }

  /** Whatever still runs in a bar, and no more on the connection, has ended some time since the last look. */
  private endBars({ at }: Look, connections: ReadonlyArray<ConnectionStatus>): void {
    const running = new Set<string>()
    for (const { holders, id, state } of connections) {
      running.add(`${state} ${id}`)
      for (const { lease } of holders) running.add(`lease ${lease}`)
    }
    for (const bar of this.bars.values()) {
      if (bar.end !== undefined) continue
      const key = bar.kind === "lease" ? `lease ${bar.lease}` : `${bar.kind} ${bar.connection}`
      if (running.has(key)) continue
      this.workSince.delete(key)
      this.put({ ...bar, end: at })
    }
  }

  private forget({ at, connections }: Look): void {
    for (const [key, { end }] of this.bars) if (end !== undefined && end < at - kept) this.bars.delete(key)
    for (const key of this.bars.keys()) {
      if (this.bars.size <= mostBars) break
      this.bars.delete(key)
    }
    if (this.uses.size <= 2 * mostLanes) return
    const there = new Set(connections.map(({ id }) => id))
    for (const id of this.uses.keys()) if (!there.has(id)) this.uses.delete(id)
  }
}

const isLeaseFact = ({ _tag }: PoolEvent): boolean =>
  _tag === "Acquired" || _tag === "Released" || _tag === "AcquireStarted"

const workOf = (
  event: PoolEvent
): { readonly kind: Work; readonly connection: number; readonly duration: number } | undefined => {
  switch (event._tag) {
    case "ConnectionReady":
    case "ConnectFailed":
      return { kind: "connecting", connection: event.connection, duration: event.duration }
    case "ConnectionChecked":
      return { kind: "checking", connection: event.connection, duration: event.duration }
    case "ConnectionReset":
      return { kind: "resetting", connection: event.connection, duration: event.duration }
    case "ConnectionClosed":
      return { kind: "closing", connection: event.connection, duration: event.duration }
    default:
      return undefined
  }
}
