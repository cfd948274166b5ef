/**
 * One run of the load laboratory: a scenario, a configuration and a seed, and what came of it. Nothing waits and nothing is left
 * to chance, so that a minute of load takes a fraction of a second, and the same run gives the same result.
 */
import * as Duration from "effect/Duration"
import { audit } from "../engine/Audit.ts"
import type { PoolConfig } from "../PoolConfig.ts"
import { hash } from "../testing/Dice.ts"
import { EventQueue, TimedEvent } from "./EventQueue.ts"
import type { LoadResult } from "./LoadResult.ts"
import type { LoadEvent, LoadScenario } from "./LoadScenario.ts"
import { merged, percentile } from "./RequestLog.ts"
import { ServerModel } from "./ServerModel.ts"
import { SimulatedPool } from "./SimulatedPool.ts"
import { Tally } from "./Tally.ts"
import { loadMillis, Workload } from "./Workload.ts"

/** How long after the load, and the time for an acquire, requests may take to end, in milliseconds. */
const patience = 60_000

/** So many samples, or fewer, are taken of the load. */
const samplesWanted = 300

export const runLoad = (scenario: LoadScenario, config: PoolConfig, policyName: string, seed: number): LoadResult =>
  new LoadRun(scenario, config, seed).run(policyName)

class LoadRun {
  readonly queue = new EventQueue<TimedEvent>()
  readonly server: ServerModel
  readonly pools: ReadonlyArray<SimulatedPool>
  readonly tally: Tally
  private readonly loadEnd: number
  private readonly sampleMillis: number
  private readonly scenario: LoadScenario
  private readonly config: PoolConfig
  private readonly seed: number

  constructor(scenario: LoadScenario, config: PoolConfig, seed: number) {
    this.scenario = scenario
    this.config = config
    this.seed = seed
    const { goodWithinMillis, measureFrom, server } = scenario
    const { queue } = this
    this.loadEnd = loadMillis(scenario)
    this.sampleMillis = Math.max(1, Math.ceil(this.loadEnd / samplesWanted / 100)) * 100
    this.tally = new Tally(measureFrom * 1000, this.loadEnd)
    this.server = new ServerModel(server, queue)
    const shared = { config, queue, server: this.server, tally: this.tally, goodWithin: goodWithinMillis }
    this.pools = Array.from(
      { length: scenario.pools ?? 1 },
      (_, index) => new SimulatedPool({ ...shared, seed: hash(seed, index, 3) })
    )
  }

  run(policy: string): LoadResult {
    this.prepare()
    const { loadEnd, queue, tally } = this
    const latest = loadEnd + Duration.toMillis(this.config.acquireTimeout) + patience
    let now = 0
    for (let event = queue.take(); event !== undefined && event.at <= latest; event = queue.take()) {
      now = event.at
      event.happen(now)
      if (tally.awaitsRecovery && this.waiting === 0) tally.nobodyWaits(now)
      if (now >= loadEnd && this.pending === 0) break
    }
    tally.connectionsChanged(0, now)
    return this.result(policy)
  }

  // What happens, and when.

  private prepare(): void {
    const { queue, scenario } = this
    // First, so that what happens at the very beginning happens to whoever starts then.
    for (const event of scenario.events) {
      if (event.what !== "spike") queue.add(new Incident(this, event), event.at * 1000)
    }
    queue.add(new Start(this), 0)
    for (const [index, pool] of this.pools.entries()) {
      const workload = new Workload(scenario, this.seed, index)
      if (workload.next()) queue.add(new Arrival(queue, workload, pool), workload.at)
    }
    queue.add(new Sampling(this), this.sampleMillis)
    queue.add(new Auditing(this), 1000)
  }

  start(now: number): void {
    for (const pool of this.pools) pool.start(now)
  }

  happens(event: LoadEvent, now: number): void {
    const { pools, server } = this
    switch (event.what) {
      case "speed":
        return server.setSpeed(event.factor, now)
      case "neighbours":
        return server.setNeighbours(event.sessions, now)
      case "down":
        this.tally.outageBegan(now + event.seconds * 1000)
        return server.fallFor(event.seconds * 1000, now)
      case "blackHole":
        this.tally.outageBegan(now + event.seconds * 1000)
        return server.fallSilentFor(event.seconds * 1000, now)
      case "rejectsLogin":
        this.tally.outageBegan(now + event.seconds * 1000)
        return server.rejectLoginsFor(event.seconds * 1000, now)
      case "connectMillis":
        server.connectMillis = event.millis
        return
      case "serverMaxConnections":
        return server.setMaxConnections(event.connections)
      case "recycle":
        for (const pool of pools) pool.recycle(now)
        return
      case "leaks":
        for (const pool of pools) pool.leakShare = event.share
        return
      case "cancels":
        for (const pool of pools) {
          pool.cancelShare = event.share
          pool.cancelAfter = event.afterMillis
        }
    }
  }

  // What is looked at.

  /** Takes a sample, and says when the next one is due. */
  sample(now: number): number {
    const state = { seconds: now / 1000, waiting: this.waiting, open: 0, inUse: 0, connecting: 0, limit: 0 }
    let firstWaits = 0
    for (const { engine } of this.pools) {
      const { closing, connecting, inUse, limit, total, waiters } = engine.ledger
      state.open += total - closing - connecting
      state.inUse += inUse
      state.connecting += connecting
      state.limit += limit
      firstWaits = Math.max(firstWaits, now - (waiters.first?.enqueuedAt ?? now))
    }
    this.tally.sampleEnded(state, firstWaits)
    return now + this.sampleMillis
  }

  audit(now: number): void {
    for (const { engine } of this.pools) {
      for (const sentence of audit(engine, now)) this.tally.contradicted(sentence)
    }
  }

  private get waiting(): number {
    let waiting = 0
    for (const { engine } of this.pools) waiting += engine.ledger.waiting
    return waiting
  }

  /** Measured requests that have not ended. */
  private get pending(): number {
    let pending = 0
    for (const { log } of this.pools) pending += log.pending
    return pending
  }

  private result(policy: string): LoadResult {
    const { pools, scenario, seed, server, tally } = this
    const logs = pools.map(({ log }) => log)
    const sum = (of: (log: SimulatedPool["log"]) => number): number => logs.reduce((total, log) => total + of(log), 0)
    const answers = merged(logs.map((log) => log.answers))
    const waits = merged(logs.map((log) => log.waits))
    const outageEnd = server.reachableAt
    return {
      scenario: scenario.name,
      policy,
      seed,
      requests: sum(({ length }) => length),
      good: sum(({ good }) => good),
      late: sum(({ late }) => late),
      shed: sum(({ shed }) => shed),
      timedOut: sum(({ timedOut }) => timedOut),
      // Whoever has heard nothing by now will hear nothing.
      failed: sum(({ failed, pending }) => failed + pending),
      answerMillis: {
        p50: percentile(answers, 0.5),
        p99: percentile(answers, 0.99),
        p999: percentile(answers, 0.999),
        max: percentile(answers, 1)
      },
      waitMillis: { p50: percentile(waits, 0.5), p99: percentile(waits, 0.99) },
      meanConnections: tally.meanConnections,
      peakConnections: tally.peakConnections,
      opened: tally.opened,
      closed: tally.closed,
      attempts: tally.attempts,
      attemptsWhileDown: tally.attemptsWhileDown,
      downMillis: server.downMillis,
      firstAnswerMillis: tally.firstAnswerAt === undefined ? undefined : tally.firstAnswerAt - outageEnd,
      recoveredMillis: tally.recoveredAt === undefined ? undefined : tally.recoveredAt - outageEnd,
      overshoot: tally.overshoot,
      unfairnessMillis: Math.max(...logs.map(({ unfairness }) => unfairness)),
      violations: Array.from(tally.violations),
      sampleMillis: this.sampleMillis,
      timeline: tally.timeline
    }
  }
}

class Start extends TimedEvent {
  private readonly load: LoadRun

  constructor(load: LoadRun) {
    super()
    this.load = load
  }

  happen(now: number): void {
    this.load.start(now)
  }
}

/** The next request to one pool. */
class Arrival extends TimedEvent {
  private readonly queue: EventQueue<TimedEvent>
  private readonly workload: Workload
  private readonly pool: SimulatedPool

  constructor(queue: EventQueue<TimedEvent>, workload: Workload, pool: SimulatedPool) {
    super()
    this.queue = queue
    this.workload = workload
    this.pool = pool
  }

  happen(now: number): void {
    this.pool.arrive(this.workload, now)
    if (this.workload.next()) this.queue.add(this, this.workload.at)
  }
}

/** Something that the scenario has happen. */
class Incident extends TimedEvent {
  private readonly load: LoadRun
  private readonly event: LoadEvent

  constructor(load: LoadRun, event: LoadEvent) {
    super()
    this.load = load
    this.event = event
  }

  happen(now: number): void {
    this.load.happens(this.event, now)
  }
}

class Sampling extends TimedEvent {
  private readonly load: LoadRun

  constructor(load: LoadRun) {
    super()
    this.load = load
  }

  happen(now: number): void {
    this.load.queue.add(this, this.load.sample(now))
  }
}

class Auditing extends TimedEvent {
  private readonly load: LoadRun

  constructor(load: LoadRun) {
    super()
    this.load = load
  }

  happen(now: number): void {
    this.load.audit(now)
    this.load.queue.add(this, now + 1000)
  }
}
