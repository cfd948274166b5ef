/**
 * Any sequence of events, in any order, at any time: the engine keeps its promises after each of them, and comes to an
 * end from wherever it is. A failure names its seed; `walk(seed)` repeats it.
 */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type FailureKind, type LeaseOutcome, type Loan, NamedWaiter } from "../support/EngineDriver.ts"

const seeds = 400
const steps = 300

describe("any sequence of events", () => {
  it("keeps the invariants, and ends closed with nobody waiting", () => {
    forEachSeed((seed) => {
      const walk = new Walk(seed)
      walk.go()
      walk.closeDown()
    })
  })

  it("serves or fails every waiter in bounded time, once faults are over", () => {
    forEachSeed((seed) => {
      const walk = new Walk(seed + seeds)
      walk.go()
      walk.recover()
    })
  })
})

const forEachSeed = (body: (seed: number) => void): void => {
  for (let seed = 1; seed <= seeds; seed++) {
    try {
      body(seed)
    } catch (cause) {
      throw new Error(`seed ${seed}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    }
  }
}

/** A small seeded generator (mulberry32): every walk can be walked again. */
class Dice {
  private state: number

  constructor(seed: number) {
    this.state = seed
  }

  /** From 0 up to, and without, 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<X>(choices: readonly [X, ...ReadonlyArray<X>]): X {
    return choices[this.below(choices.length)]!
  }

  any<X>(choices: ReadonlyArray<X>): X | undefined {
    return choices[this.below(choices.length)]
  }
}

const outcomes: readonly [LeaseOutcome, ...Array<LeaseOutcome>] = [
  "clean",
  "clean",
  "clean",
  "dirty",
  "suspect",
  "broken"
]
const failures: readonly [FailureKind, ...Array<FailureKind>] = ["transient", "permanent", "overloaded"]

class Walk {
  private readonly dice: Dice
  private readonly driver: EngineDriver
  private readonly waiters: Array<NamedWaiter> = []
  private loans: Array<Loan> = []
  private readonly pastLoans: Array<Loan> = []
  /** The last one served of each class. */
  private readonly lastServed = new Map<boolean, number>()
  private readonly servedAgain = new Set<number>()

  constructor(seed: number) {
    const dice = new Dice(seed)
    const maxConnections = 1 + dice.below(6)
    this.dice = dice
    this.driver = new EngineDriver({
      maxConnections,
      minConnections: dice.below(maxConnections + 1),
      maxConnecting: 1 + dice.below(3),
      maxWaiting: dice.pick([3, Infinity]),
      acquireTimeout: dice.pick([300, 2000]),
      checkAfterIdle: dice.pick([0, 50, 500, Infinity]),
      healthCheckInterval: dice.pick([1000, 5000]),
      idleTimeout: dice.pick([1500, Infinity]),
      maxLifetime: dice.pick([3000, Infinity]),
      maxUses: dice.pick([3, Infinity]),
      concurrency: dice.pick([1, 1, 2, 4]),
      nested: dice.pick(["allow", "warn", "error"]),
      unavailableAfter: dice.pick([500, 3000]),
      warmupBatchSize: 1 + dice.below(3),
      warmupDelay: dice.pick([0, 100]),
      canCheck: dice.chance(0.7),
      canReset: dice.chance(0.7),
      random: () => dice.next()
    })
    this.driver.start()
    this.look()
  }

  go(): void {
    for (let step = 0; step < steps; step++) {
      if (this.dice.chance(0.4)) this.driver.pass(this.dice.pick([1, 10, 60, 300]))
      this.happen()
      this.look()
    }
  }

  /** Closes the pool, and expects everyone and everything to be done with it. */
  closeDown(): void {
    const { dice, driver, waiters } = this
    driver.drain()
    this.look()
    while (this.loans.length > 0 && dice.chance(0.7)) this.giveBack()
    driver.revokeLeases()
    while (driver.unanswered.size > 0 || driver.engine.hasDecisions) {
      this.look()
      this.answer()
    }
    for (const loan of this.loans) driver.release(loan, dice.pick(outcomes))
    for (const waiter of waiters) driver.take(waiter)
    driver.carryOut()
    assert.strictEqual(driver.ledger.state, "closed")
    assert.strictEqual(driver.ledger.total, 0)
    for (const { name, state } of waiters) assert.include(["taken", "refused", "cancelled"], state, `waiter ${name}`)
    const { acquired, closed, created, released } = driver.ledger.counters
    assert.strictEqual(released, acquired)
    assert.strictEqual(closed, created)
  }

  /** Lets everything succeed from now on, and expects a pool with its minimum and nobody waiting before long. */
  recover(): void {
    const { driver, waiters } = this
    const { engine } = driver
    driver.resume()
    const latest = driver.now + engine.ledger.options.acquireTimeout + 1000
    do {
      driver.carryOut()
      if (driver.backoffs > 0) driver.backoffEnded()
      driver.carryOut()
      this.borrowersFinish()
      driver.carryOut()
      if (this.isWell) break
      driver.advance(10)
    } while (driver.now < latest)
    assert.isTrue(
      this.isWell,
      `${engine.ledger.state} with ${engine.ledger.total} connections and ${engine.ledger.waiting} waiting`
    )
    for (const { name, state } of waiters) assert.include(["taken", "refused", "cancelled"], state, `waiter ${name}`)
  }

  private get isWell(): boolean {
    const { inUse, minConnections, state, total, waiting } = this.driver.ledger
    return state === "ready" && waiting === 0 && inUse === 0 && total >= minConnections
  }

  private borrowersFinish(): void {
    const { driver, waiters } = this
    for (const waiter of waiters) this.keep(driver.take(waiter))
    for (const loan of this.loans) driver.release(loan)
    this.loans = []
  }

  private happen(): void {
    const { dice, driver } = this
    const event = dice.below(100)
    if (event < 15) this.keep(driver.lease(dice.chance(0.2)))
    else if (event < 32) this.waitForOne()
    else if (event < 42) this.takeSome()
    else if (event < 46) this.cancelSome()
    else if (event < 60) this.giveBack()
    else if (event < 82) this.answer()
    else if (event < 84) this.strike()
    else if (event < 86) this.repeatThePast()
    else if (event < 90) this.endBackoff()
    else if (event < 93) this.control()
    else driver.tick()
  }

  /** Somebody comes; now and then one who has a lease already, or one who was started by him. */
  private waitForOne(): void {
    const { dice, driver, waiters } = this
    const held = dice.chance(0.2) ? this.loans.filter(() => dice.chance(0.5)) : []
    const isExclusive = driver.ledger.options.concurrency > 1 && dice.chance(0.3)
    const holder = dice.chance(0.5) ? held[0]?.lease.holder : {}
    waiters.push(driver.wait(String(waiters.length), { held, holder, isExclusive }))
  }

  private control(): void {
    const { dice, driver } = this
    const request = dice.below(5)
    if (request === 0) driver.pause(dice.chance(0.5))
    else if (request === 1) driver.resume()
    else if (request === 2) driver.recycle(dice.chance(0.3))
    else if (request === 3) driver.sweep()
    else {
      const most = 1 + dice.below(7)
      driver.resize(dice.below(most + 1), most)
    }
  }

  private takeSome(): void {
    const waiter = this.dice.any(this.waiters)
    const served = this.waiters.find(({ state }) => state === "served") ?? waiter
    if (served === undefined) return
    if (this.dice.chance(0.8)) this.driver.wake(served)
    this.keep(this.driver.take(served))
  }

  private cancelSome(): void {
    const waiter = this.dice.chance(0.5) ? this.dice.any(this.waiters) : this.waiters.find(isUndecided)
    if (waiter !== undefined) this.driver.cancel(waiter)
  }

  private giveBack(): void {
    const loan = this.loans.splice(this.dice.below(this.loans.length), 1)[0]
    if (loan === undefined) return
    if (this.dice.chance(0.1)) this.driver.discard(loan)
    this.driver.release(loan, this.dice.pick(outcomes))
    this.pastLoans.push(loan)
  }

  private answer(): void {
    const { dice, driver } = this
    const unanswered = dice.any(Array.from(driver.unanswered))
    if (unanswered === undefined) return
    const [id, work] = unanswered
    if (dice.chance(0.7) || work === "Close") driver.succeed(id, work)
    else if (work === "Open") driver.openFailed(id, dice.pick(failures))
    else if (work === "Check") driver.checked(id, false)
    else driver.resetDone(id, false)
  }

  private strike(): void {
    const { dice, driver } = this
    const open = Array.from(driver.ledger.connections).filter(({ openedAt }) => openedAt !== undefined)
    const connection = dice.any(open)
    if (connection === undefined) return
    if (dice.chance(0.5)) driver.died(connection.id)
    else driver.invalidate(connection.id)
  }

  /** What has happened happens again, late: it must change nothing. */
  private repeatThePast(): void {
    const { dice, driver } = this
    const before = JSON.stringify(driver.snapshot())
    const loan = dice.any(this.pastLoans)
    if (loan !== undefined) {
      driver.release(loan, dice.pick(outcomes))
      driver.discard(loan)
    }
    for (const { id, state } of driver.ledger.connections) {
      if (state !== "connecting") {
        driver.opened(id)
        driver.openFailed(id)
      }
      if (state !== "checking") driver.checked(id, dice.chance(0.5))
      if (state !== "resetting") driver.resetDone(id, dice.chance(0.5))
      if (state !== "closing") driver.closed(id)
    }
    assert.strictEqual(JSON.stringify(driver.snapshot()), before, "an event that came late changed something")
  }

  private endBackoff(): void {
    if (this.driver.backoffs > 0) this.driver.backoffEnded()
  }

  private keep(loan: Loan | undefined): void {
    if (loan === undefined) return
    loan.lease.holder = loan
    this.loans.push(loan)
  }

  /** Takes the decisions, and compares what they promise to one who looks from outside. */
  private look(): void {
    const { driver } = this
    for (const decision of driver.decided()) {
      if (!decision.startsWith("Serve ")) continue
      const index = Number(decision.slice("Serve ".length))
      const { deadline, isExclusive } = this.waiters[index]!
      assert.isBelow(driver.now, deadline, "a waiter was served after its deadline")
      const last = this.lastServed.get(isExclusive) ?? -1
      const before = this.waiters[last]
      // One that had its connection taken back before it ran waits ahead of all others, and is served again.
      const isOutOfTurn = index < last && before?.state !== "waiting" && !this.servedAgain.has(index)
      assert.isFalse(isOutOfTurn, "a waiter was served before one that came earlier")
      this.servedAgain.add(index)
      this.lastServed.set(isExclusive, Math.max(index, last))
    }
    this.assertProbing()
  }

  private assertProbing(): void {
    const { driver } = this
    const { connections, outage } = driver.ledger
    if (outage === undefined) return
    const isProbing = Array.from(connections).some(({ probeOf, state }) => probeOf === outage && state === "connecting")
    assert.isTrue(isProbing || outage.probeDue || driver.backoffs > 0, "an outage that nobody probes")
    assert.isAtMost(driver.backoffs, 1, "two walks along the retry schedule")
  }
}

const isUndecided = ({ state }: NamedWaiter): boolean => state === "waiting" || state === "served"
