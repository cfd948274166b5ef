/** Who is refused when more is asked of a pool than it can do, and who never is. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions, type Loan, NamedWaiter } from "../support/EngineDriver.ts"

/** How long a lease lasts, and how many connections there are: together they serve one request a millisecond. */
const hold = 10
const connections = 10

/** Somebody who waited and was refused. */
interface Refused {
  readonly refusal: string | undefined
  readonly waited: number
  readonly at: number
  /** He held a connection already. */
  readonly isHolder: boolean
}

/** A pool of ten connections whose leases last 10 ms each, millisecond by millisecond. */
class Service {
  readonly pool: EngineDriver
  readonly refused: Array<Refused> = []
  /** How long each waited who was served. */
  readonly waits: Array<number> = []
  /** From now on whoever comes holds a connection already. */
  onlyHoldersCome = false
  /** Whoever is served comes back when his lease is over. */
  private readonly comesBack: boolean
  private waiting: Array<NamedWaiter> = []
  private running: Array<{ readonly loan: Loan; readonly until: number }> = []
  private due = 0

  constructor(options: Partial<EngineOptions> = {}, comesBack = false) {
    this.comesBack = comesBack
    this.pool = EngineDriver.withIdle(connections, {
      maxConnections: connections,
      shedding: { isOn: true, target: 100, interval: 500 },
      ...options
    })
  }

  get shed(): ReadonlyArray<Refused> {
    return this.refused.filter(({ refusal, waited }) => refusal === "shed" && waited > 0)
  }

  get turnedAway(): ReadonlyArray<Refused> {
    return this.refused.filter(({ refusal, waited }) => refusal === "shed" && waited === 0)
  }

  arrive(): void {
    const loan = this.pool.lease()
    if (loan === undefined) this.waiting.push(this.pool.wait("request", this.onlyHoldersCome ? this.holding : {}))
    else this.hold(loan, 0)
  }

  /** Of one who holds a connection already. */
  get holding() {
    return { held: [this.running[0]!.loan] }
  }

  /** For so long, so many come for each that can be served. */
  run(milliseconds: number, load: number): this {
    for (let ms = 0; ms < milliseconds; ms++) {
      this.pool.advance(1)
      this.endLeases()
      // In arithmetic without rounding: a tenth of a request is the smallest.
      this.due += Math.round(load * 10)
      for (; this.due >= 10; this.due -= 10) this.arrive()
      this.settle()
    }
    return this
  }

  private hold(loan: Loan, waited: number): void {
    this.waits.push(waited)
    this.running.push({ loan, until: this.pool.now + hold })
  }

  private endLeases(): void {
    const { now } = this.pool
    const ended = this.running.filter(({ until }) => until <= now)
    this.running = this.running.filter(({ until }) => until > now)
    for (const { loan } of ended) this.pool.release(loan)
    this.settle()
    if (this.comesBack) for (let again = 0; again < ended.length; again++) this.arrive()
  }

  /** Looks after those who wait no longer. */
  private settle(): void {
    this.pool.decided()
    const { now } = this.pool
    this.waiting = this.waiting.filter((waiter) => {
      const waited = now - waiter.enqueuedAt
      if (waiter.state === "waiting") return true
      if (waiter.state === "served") this.hold(this.pool.takeLoan(waiter), waited)
      else this.refused.push({ refusal: waiter.refusal, waited, at: now, isHolder: waiter.held.length > 0 })
      return false
    })
  }
}

/** What several tests look at is run once. */
const once = <X>(run: () => X): (() => X) => {
  let result: X | undefined
  return () => (result ??= run())
}

describe("nobody is refused", () => {
  it("of three thousand who come at once, since none comes after them", () => {
    const service = new Service()
    for (let request = 0; request < 3000; request++) service.arrive()
    service.run(3100, 0)
    // The last is served after (3000 - 10) / 10 * 10 = 2990 ms.
    assert.deepStrictEqual([service.refused.length, service.waits.length, Math.max(...service.waits)], [0, 3000, 2990])
  })

  it("of those who come back as soon as they were served, however long they wait", () => {
    const service = new Service({}, true)
    for (let request = 0; request < 300; request++) service.arrive()
    service.run(3000, 0)
    // Each waits for the 290 others that do not run: 290 / 10 * 10 = 290 ms, which is more than twice the target.
    assert.deepStrictEqual([service.refused.length, Math.max(...service.waits)], [0, 290])
  })

  it("while no more come than can be served", () => {
    const service = new Service().run(3000, 1)
    assert.strictEqual(service.refused.length, 0)
  })
})

describe("of 1.2 times what can be served", () => {
  // The line grows by 0.2 a millisecond, and with it the wait: 100 ms after 500 ms, 200 ms after a second.
  const overrun = once(() => new Service().run(4000, 1.2))

  it("none is refused before the line has been standing for an interval", () => {
    assert.isAtLeast(Math.min(...overrun().refused.map(({ at }) => at)), 1000)
  })

  it("those are refused who have waited for more than twice the target", () => {
    const waits = overrun().refused.map(({ waited }) => waited)
    assert.isAbove(waits.length, 0)
    assert.isAbove(Math.min(...waits), 200)
  })

  it("as many are refused as are too many", () => {
    // Of 4000 * 1.2 = 4800 about 4000 can be served, and 200 or so still wait at the end.
    const service = overrun()
    assert.approximately(service.refused.length, 600, 60)
    assert.approximately(service.waits.length, 4000, 10)
  })

  it("the others are served within little more than that", () => {
    // Until the line stands, and more has come than chance has it, it grows on: by 0.2 a millisecond.
    assert.isBelow(Math.max(...overrun().waits), 300)
  })

  it("all are counted", () => {
    const service = overrun()
    assert.strictEqual(service.pool.ledger.counters.shed, service.refused.length)
  })
})

describe("overload", () => {
  it("ends when the line ends", () => {
    const service = new Service().run(2000, 1.2)
    assert.isTrue(service.pool.ledger.shedding.isOverloaded)
    service.run(500, 0)
    assert.deepStrictEqual([service.pool.ledger.waiting, service.pool.ledger.shedding.isOverloaded], [0, false])
  })

  it("of the past is nothing to those who come at once after it", () => {
    const service = new Service().run(2000, 1.2).run(500, 0)
    const before = service.refused.length
    for (let request = 0; request < 1000; request++) service.arrive()
    service.run(1100, 0)
    assert.strictEqual(service.refused.length, before)
  })

  it("does not concern who holds a connection already", () => {
    const service = new Service({ nested: "allow" }).run(2000, 1.2)
    service.onlyHoldersCome = true
    service.run(1000, 1.2)
    assert.isTrue(service.pool.ledger.shedding.isOverloaded)
    assert.notInclude(
      service.refused.map(({ isHolder }) => isHolder),
      true
    )
  })

  it("is not known of where shedding is off: whoever waits is served, or his time is over", () => {
    const shedding = { isOn: false, target: 100, interval: 500 }
    const service = new Service({ shedding, acquireTimeout: 400 }).run(4000, 1.2)
    assert.deepStrictEqual([...new Set(service.refused.map(({ refusal }) => refusal))], ["timeout"])
  })
})

describe("where a deadline is nearer than the wait that is shed", () => {
  // 150 ms are less than twice the target.
  const impatient = once(() => new Service({ acquireTimeout: 150 }).run(4000, 1.2))

  it("those are skipped whose time will be over before a lease is", () => {
    // A lease lasts 10 ms: whoever has waited for more than 140 ms is skipped.
    const waits = impatient().shed.map(({ waited }) => waited)
    assert.isAbove(waits.length, 0)
    assert.isAbove(Math.min(...waits), 140)
  })

  it("a newcomer is refused at once who would not be served in time", () => {
    // (waiting + 1) * 10 / 10 > 150
    const service = impatient()
    assert.isAbove(service.turnedAway.length, 0)
  })

  it("nobody is skipped or refused at once where shedding is off", () => {
    const shedding = { isOn: false, target: 100, interval: 500 }
    const service = new Service({ shedding, acquireTimeout: 150 }).run(4000, 1.2)
    assert.deepStrictEqual([service.shed.length, service.turnedAway.length], [0, 0])
  })
})

describe("a newcomer without a chance", () => {
  /** The pool is overloaded, and 400 ms are the time that anyone has. */
  const overloaded = () => {
    const service = new Service({ acquireTimeout: 400 }).run(2000, 1.2)
    assert.isTrue(service.pool.ledger.shedding.isOverloaded)
    return service
  }

  it("is refused at once", () => {
    const { pool } = overloaded()
    // Until (waiting + 1) * 10 / 10 = 400.
    while (pool.ledger.waiting < 400) assert.isUndefined(pool.wait("request").refusal)
    assert.strictEqual(pool.wait("hopeless").refusal, "shed")
  })

  it("waits all the same, if he holds a connection", () => {
    const { holding, pool } = overloaded()
    while (pool.ledger.waiting < 400) pool.wait("request")
    const holder = pool.wait("holder", holding)
    assert.isUndefined(holder.refusal)
  })

  it("is not one who would go before all the others", () => {
    const { pool } = overloaded()
    while (pool.ledger.waiting < 400) pool.wait("batch", { isBatch: true })
    const refusals = [pool.wait("one more", { isBatch: true }).refusal, pool.wait("interactive").refusal]
    assert.deepStrictEqual(refusals, ["shed", undefined])
  })

  it("waits where the pool is not overloaded", () => {
    const pool = EngineDriver.withIdle(1, {
      maxConnections: 1,
      acquireTimeout: 100,
      shedding: { isOn: true, target: 100, interval: 500 }
    })
    pool.borrow()
    for (let waiter = 0; waiter < 100; waiter++) pool.wait("request")
    assert.isUndefined(pool.wait("newcomer").refusal)
  })
})
