/**
 * Drives the engine by hand, so that a test reads as a sequence of events: what happened, and what the engine decided.
 * The clock moves only when a test moves it, and every step is followed by a look at the invariants.
 */
import { assert } from "@effect/vitest"
import type { Connection, ConnectionState } from "../../src/engine/Connection.js"
import type { Decision } from "../../src/engine/Decision.js"
import { Engine, type EngineOptions, type LeaseOutcome } from "../../src/engine/Engine.js"
import { audit } from "../../src/engine/Audit.js"
import type { Sweep } from "../../src/engine/BackgroundChecks.js"
import type { Lease } from "../../src/engine/Lease.js"
import type { Ledger } from "../../src/engine/Ledger.js"
import type { Outage } from "../../src/engine/Outage.js"
import type { FailureKind, Refusal } from "../../src/engine/PoolState.js"
import type { SizingPolicy } from "../../src/engine/SizingPolicy.js"
import { Waiter } from "../../src/engine/Waiters.js"

export type { EngineOptions, FailureKind, LeaseOutcome }

/** What a borrower holds: the lease, with the number it had when it was his. */
export interface Loan {
  readonly lease: Lease<string>
  readonly id: number
  readonly connection: Connection<string>
  readonly since: number
}

const loanOf = (lease: Lease<string> | undefined): Loan | undefined =>
  lease && { lease, id: lease.id, connection: lease.connection, since: lease.since }

export class NamedWaiter extends Waiter<string> {
  readonly name: string
  /** Why it was refused, once it knows. */
  refusal: Refusal | undefined = undefined

  constructor(name: string) {
    super()
    this.name = name
  }
}

/** A connection for everyone who waits: what a test needs that is not about sizing. */
export const onDemand: SizingPolicy = {
  name: "on demand",
  period: Infinity,
  asksWhenWaiting: true,
  decide: ({ connecting, kept, limit, waiting }) => ({
    connections: Math.max(kept, Math.min(limit, kept + waiting - connecting)),
    reason: "somebody waits"
  })
}

/** Every limit that a test is not about is off. */
const unlimited: EngineOptions = {
  minConnections: 0,
  maxConnections: 10,
  maxConnecting: 5,
  maxWaiting: Infinity,
  acquireTimeout: 5000,
  connectTimeout: 5000,
  leakThreshold: Infinity,
  checkAfterIdle: Infinity,
  healthCheckInterval: Infinity,
  idleTimeout: Infinity,
  maxLifetime: Infinity,
  maxUses: Infinity,
  unavailableAfter: 30_000,
  warmupBatchSize: 5,
  warmupDelay: 100,
  concurrency: 1,
  nested: "warn",
  sizing: onDemand,
  shedding: { isOn: false, target: 100, interval: 500 },
  canCheck: true,
  canReset: true,
  random: () => 0
}

/** The work that a connection in one of these states is waiting for. */
const workOf: Partial<Record<ConnectionState, Decision<string>["_tag"]>> = {
  connecting: "Open",
  checking: "Check",
  resetting: "Reset",
  closing: "Close"
}

export class EngineDriver {
  readonly engine: Engine<string>
  now = 0
  /** The decisions about connections that were taken and are not answered yet, by the connection's id. */
  readonly unanswered = new Map<number, "Open" | "Check" | "Reset" | "Close">()
  /** Backoff steps that were asked for and have not ended. */
  backoffs = 0
  /** Whether the last wait was the first step of the schedule. */
  startedOver = false
  private backoffOf: Outage | undefined = undefined
  private readonly known = new Map<number, Connection<string>>()
  private readonly finalized = new Set<number>()

  constructor(options: Partial<EngineOptions> = {}) {
    this.engine = new Engine<string>({ ...unlimited, ...options }, 0)
  }

  /** A started pool with `count` idle connections, of which number `count` is the warmest. */
  static withIdle(count: number, options: Partial<EngineOptions> = {}): EngineDriver {
    const driver = new EngineDriver(options)
    driver.start()
    driver.carryOut()
    while (driver.ledger.total < count) {
      const before = driver.ledger.total
      const isExclusive = driver.ledger.options.concurrency > 1
      const waiters = Array.from({ length: count }, () => driver.wait("nobody", { isExclusive }))
      // The last one first, or the first would pass on what it was served.
      for (const waiter of waiters.reverse()) driver.cancel(waiter)
      driver.carryOut()
      assert.isAbove(driver.ledger.total, before, "no connection opens for those who wait")
    }
    return driver
  }

  get ledger(): Ledger<string> {
    return this.engine.ledger
  }

  connection(id: number): Connection<string> {
    const connection = this.known.get(id)
    assert.isDefined(connection, `connection ${id} was never there`)
    return connection
  }

  // Time.

  /** Time passes, and nobody looks. */
  pass(milliseconds: number): void {
    this.now += milliseconds
  }

  /** Time passes, and the engine is told. */
  advance(milliseconds: number): void {
    this.pass(milliseconds)
    this.tick()
  }

  tick(): void {
    this.step(() => this.engine.tick(this.now))
    assert.isAbove(this.engine.wakeAt(), this.now, "the engine asks to be woken for something it has just looked at")
  }

  // Borrowing.

  start(): void {
    this.step(() => this.engine.start(this.now))
  }

  lease(isExclusive = false): Loan | undefined {
    return loanOf(this.step(() => this.engine.lease(this.now, isExclusive)))
  }

  /** A lease that the test takes for granted. */
  borrow(): Loan {
    const loan = this.lease()
    assert.isDefined(loan, "nothing to lend")
    return loan
  }

  /** Somebody waits; `options.held` are leases that he, or the one who started him, has already. */
  wait(
    name: string,
    options: {
      readonly isExclusive?: boolean
      readonly isBatch?: boolean
      readonly held?: ReadonlyArray<Loan>
      readonly holder?: unknown
    } = {}
  ): NamedWaiter {
    const waiter = new NamedWaiter(name)
    waiter.isExclusive = options.isExclusive ?? false
    waiter.isBatch = options.isBatch ?? false
    waiter.held = options.held ?? []
    waiter.holder = options.holder
    waiter.refusal = this.step(() => this.engine.enqueue(waiter, this.now))
    return waiter
  }

  wake(waiter: NamedWaiter): boolean {
    return this.step(() => this.engine.wake(waiter))
  }

  take(waiter: NamedWaiter): Loan | undefined {
    return loanOf(this.step(() => this.engine.take(waiter)))
  }

  /** A loan that the test takes for granted. */
  takeLoan(waiter: NamedWaiter): Loan {
    const loan = this.take(waiter)
    assert.isDefined(loan, `${waiter.name} was not served`)
    return loan
  }

  cancel(waiter: NamedWaiter): void {
    this.step(() => this.engine.cancel(waiter, this.now))
  }

  release(loan: Loan, outcome: LeaseOutcome = "clean"): void {
    this.step(() => this.engine.release(loan.lease, loan.id, outcome, this.now))
  }

  discard(loan: Loan): void {
    this.step(() => this.engine.discard(loan.lease, loan.id, this.now))
  }

  // What happens to connections.

  opened(id: number): void {
    this.answer(id, "Open", (connection) => this.engine.opened(connection, this.now))
  }

  openFailed(id: number, kind: FailureKind = "transient"): void {
    this.answer(id, "Open", (connection) => this.engine.openFailed(connection, kind, this.now))
  }

  checked(id: number, isAlive: boolean): void {
    this.answer(id, "Check", (connection) => this.engine.checked(connection, isAlive, this.now))
  }

  resetDone(id: number, isDone: boolean): void {
    this.answer(id, "Reset", (connection) => this.engine.resetDone(connection, isDone, this.now))
  }

  closed(id: number, isAbandoned = false): void {
    this.answer(id, "Close", (connection) => this.engine.closed(connection, this.now, isAbandoned))
  }

  died(id: number): void {
    this.step(() => this.engine.died(this.connection(id), this.now))
  }

  invalidate(id: number): void {
    this.step(() => this.engine.invalidate(this.connection(id), this.now))
  }

  // What happens to the pool.

  backoffStarted(nextProbeAt: number): void {
    this.step(() => this.engine.backoffStarted(nextProbeAt, this.now))
  }

  backoffEnded(): void {
    this.backoffs = Math.max(0, this.backoffs - 1)
    this.step(() => this.engine.backoffEnded(this.now))
  }

  drain(): void {
    this.step(() => this.engine.drain(this.now))
  }

  pause(failsAcquires = false): void {
    this.step(() => this.engine.pause(failsAcquires, this.now))
  }

  resume(): void {
    this.step(() => this.engine.resume(this.now))
  }

  resize(minConnections: number, maxConnections: number): void {
    this.step(() => this.engine.resize(minConnections, maxConnections, this.now))
  }

  allot(allotted: number, isCoveted = false): void {
    this.step(() => this.engine.allot(allotted, isCoveted, this.now))
  }

  recycle(interruptsBorrowers = false): void {
    this.step(() => this.engine.recycle(interruptsBorrowers, this.now))
  }

  sweep(): Sweep {
    return this.step(() => this.engine.sweep(this.now))
  }

  revokeLeases(): void {
    this.step(() => this.engine.revokeLeases(this.now))
  }

  // What the engine decided.

  /** Takes the decisions since the last look, in words, and leaves the answers to the test. */
  decided(): Array<string> {
    const words: Array<string> = []
    for (let decision = this.engine.nextDecision(); decision !== undefined; decision = this.engine.nextDecision()) {
      words.push(this.note(decision))
    }
    for (const { id, state } of this.ledger.connections) {
      assert.strictEqual(this.unanswered.get(id), workOf[state], `the work that connection ${id}, ${state}, waits for`)
    }
    return words
  }

  /** Takes the decisions and lets everything succeed, until nothing is left to do. */
  carryOut(): Array<string> {
    const words = this.decided()
    while (this.unanswered.size > 0) {
      for (const [id, work] of this.unanswered) this.succeed(id, work)
      words.push(...this.decided())
    }
    return words
  }

  /** Answers a decision with what was hoped for. */
  succeed(id: number, work: "Open" | "Check" | "Reset" | "Close"): void {
    if (work === "Open") this.opened(id)
    else if (work === "Check") this.checked(id, true)
    else if (work === "Reset") this.resetDone(id, true)
    else this.closed(id)
  }

  /** Everything an event could have changed, to show that one changed nothing. */
  snapshot(): unknown {
    const { connections, counters, doubt, idle, state, waiters } = this.ledger
    return {
      state,
      doubt,
      hasDecisions: this.engine.hasDecisions,
      counters: { ...counters },
      idle: idle.length,
      waiting: waiters.length,
      connections: Array.from(connections, ({ condemned, id, leases, state, uses }) => ({
        condemned,
        id,
        leases,
        state,
        uses
      }))
    }
  }

  private answer(id: number, work: Decision<string>["_tag"], event: (connection: Connection<string>) => void): void {
    const connection = this.connection(id)
    if (this.unanswered.get(id) === work) this.unanswered.delete(id)
    this.step(() => event(connection))
  }

  private step<X>(event: () => X): X {
    const result = event()
    for (const connection of this.ledger.connections) this.known.set(connection.id, connection)
    assertInvariants(this.engine, this.now)
    return result
  }

  private note(decision: Decision<string>): string {
    switch (decision._tag) {
      case "Serve":
        return `Serve ${nameOf(decision.waiter)}`
      case "Refuse":
        ;(decision.waiter as NamedWaiter).refusal = decision.refusal
        return `Refuse ${nameOf(decision.waiter)}: ${decision.refusal}`
      case "Open":
      case "Check":
      case "Reset":
        this.unanswered.set(decision.connection.id, decision._tag)
        return `${decision._tag} ${decision.connection.id}`
      case "Close": {
        const { id } = decision.connection
        assert.isFalse(this.finalized.has(id), `connection ${id} is closed a second time`)
        this.finalized.add(id)
        this.unanswered.set(id, "Close")
        return `Close ${id}: ${decision.reason}`
      }
      case "Backoff":
        // A wait for an earlier outage ends with the one for this.
        this.backoffs = this.backoffOf === this.ledger.outage ? this.backoffs + 1 : 1
        this.backoffOf = this.ledger.outage
        this.startedOver = decision.startsOver
        return `Backoff ${decision.kind}`
      case "Changed":
        return `Changed ${decision.state}`
      case "Nested":
        return `Nested ${nameOf(decision.waiter)}`
      case "Warming":
        return `Warming ${decision.open} of ${decision.minimum}`
      case "Swept": {
        const { checked, failed, skipped } = decision.sweep
        return `Swept: ${checked} checked, ${failed} failed, ${skipped} skipped`
      }
      case "PolicyFault":
        return `PolicyFault ${decision.policy}: ${decision.fault}`
      case "LimitLowered":
        return `LimitLowered ${decision.limit}`
      case "LeakSuspected":
        return `LeakSuspected ${decision.id}`
      case "LeakReturned":
        return `LeakReturned ${decision.lease}`
      case "Spare":
        return "Spare"
    }
  }
}

const nameOf = (waiter: Waiter<string>): string => (waiter as NamedWaiter).name

/** What holds between any two events, whatever they are. */
export const assertInvariants = (engine: Engine<string>, now: number): void => {
  const contradictions = audit(engine, now)
  if (contradictions.length > 0) assert.fail(contradictions.join("; "))
}
