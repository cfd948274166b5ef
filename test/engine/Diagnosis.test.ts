import { assert, describe, it } from "@effect/vitest"
import { type Circumstances, diagnose } from "../../src/engine/Diagnosis.js"
import { EngineDriver, type Loan } from "../support/EngineDriver.ts"

const kindOf = (driver: EngineDriver, circumstances: Partial<Circumstances<string>> = {}) =>
  diagnose(driver.ledger, { lateBy: 0, isRefused: false, ...circumstances }, driver.now).kind

/** A pool of so many connections, all lent. */
const full = (count: number, options: Parameters<typeof EngineDriver.withIdle>[1] = {}) => {
  const driver = EngineDriver.withIdle(count, { maxConnections: count, ...options })
  const loans = Array.from({ length: count }, () => driver.borrow())
  return { driver, loans }
}

/** So many leases of so long each, one after the other. */
const work = (driver: EngineDriver, leases: number, millis: number): void => {
  for (let n = 0; n < leases; n++) {
    const loan = driver.borrow()
    driver.advance(millis)
    driver.release(loan)
    driver.carryOut()
  }
}

const returnAll = (driver: EngineDriver, loans: ReadonlyArray<Loan>): void => {
  for (const loan of loans) driver.release(loan)
  driver.carryOut()
}

describe("the diagnosis of a pool", () => {
  it("that lends, and lets nobody wait, is healthy, however many are lent", () => {
    const { driver } = full(3)
    assert.strictEqual(kindOf(driver), "healthy")
  })

  it("that has not opened anything yet is starting, until an attempt has failed", () => {
    const driver = new EngineDriver({ minConnections: 1 })
    driver.start()
    driver.decided()
    assert.strictEqual(kindOf(driver), "starting")
    driver.openFailed(1)
    assert.strictEqual(kindOf(driver), "cannot-connect")
  })

  it("whose connects fail says so, whoever waits and whatever is lent", () => {
    const { driver } = full(1, { maxConnections: 2 })
    driver.wait("a")
    driver.decided()
    driver.openFailed(2)
    assert.strictEqual(kindOf(driver), "cannot-connect")
    assert.strictEqual(kindOf(driver, { isRefused: true }), "server-refuses")
  })

  it("that the server gives fewer connections than it may have is refused, after the outage too", () => {
    const { driver, loans } = full(4, { maxConnections: 8, acquireTimeout: 100_000 })
    driver.wait("a")
    driver.decided()
    driver.openFailed(5, "overloaded")
    driver.decided()
    driver.closed(5)
    driver.backoffEnded()
    driver.decided()
    assert.strictEqual(kindOf(driver, { isRefused: true }), "server-refuses")
    // One more is tried after a while, and this time there is room for it.
    driver.release(loans[0]!)
    driver.carryOut()
    for (let second = 0; second < 11; second++) driver.advance(1000)
    for (let n = 0; n < 5; n++) driver.wait("b")
    driver.carryOut()
    assert.isUndefined(driver.ledger.outage)
    assert.strictEqual(kindOf(driver), "server-refuses")
  })

  it("whose holders all wait for another connection is in a deadlock of its own", () => {
    const holder = {}
    const { driver, loans } = full(1, { nested: "allow" })
    loans[0]!.lease.holder = holder
    driver.wait("the same", { held: loans, holder })
    assert.strictEqual(kindOf(driver), "self-deadlock")
  })

  it("goes on saying that a deadlock was broken for a minute", () => {
    const holder = {}
    const { driver, loans } = full(1)
    loans[0]!.lease.holder = holder
    const waiter = driver.wait("the same", { held: loans, holder })
    driver.decided()
    assert.strictEqual(waiter.refusal, "deadlock")
    returnAll(driver, loans)
    assert.strictEqual(kindOf(driver), "self-deadlock")
    driver.advance(60_000)
    assert.strictEqual(kindOf(driver), "healthy")
  })

  it("of whose leases one has run past the threshold suspects a leak, whether or not anybody waits", () => {
    const { driver } = full(1, { leakThreshold: 10_000 })
    driver.advance(10_000)
    assert.strictEqual(kindOf(driver), "leak-suspected")
  })

  it("in a process that was too busy for its timers says so", () => {
    const { driver } = full(1)
    driver.wait("a")
    assert.strictEqual(kindOf(driver, { lateBy: 250 }), "event-loop-blocked")
    assert.notStrictEqual(kindOf(driver, { lateBy: 150 }), "event-loop-blocked")
  })

  it("whose leases run for far longer than is usual says that they are held too long", () => {
    const driver = EngineDriver.withIdle(1, { maxConnections: 1 })
    work(driver, 100, 20)
    driver.borrow()
    driver.wait("a")
    driver.advance(90)
    assert.notStrictEqual(kindOf(driver), "held-too-long")
    driver.advance(20)
    assert.strictEqual(kindOf(driver), "held-too-long")
  })

  it("of which nothing is usual yet says so, too, of leases that run for longer than anybody may wait", () => {
    const { driver } = full(1, { acquireTimeout: 200 })
    driver.wait("a")
    driver.advance(190)
    assert.strictEqual(kindOf(driver), "burst")
    driver.advance(20)
    driver.wait("b")
    assert.strictEqual(kindOf(driver), "held-too-long")
  })

  it("of which nothing is usual yet says so of leases that run for more than a second", () => {
    const { driver } = full(1)
    driver.wait("a")
    driver.advance(900)
    assert.strictEqual(kindOf(driver), "burst")
    driver.advance(200)
    assert.strictEqual(kindOf(driver), "held-too-long")
  })

  it("that is kept busy by what usually comes needs more connections", () => {
    const driver = EngineDriver.withIdle(1, { maxConnections: 1 })
    work(driver, 1300, 10)
    driver.borrow()
    driver.wait("a")
    driver.advance(5)
    assert.strictEqual(kindOf(driver), "under-provisioned")
  })

  it("to which more came at once than usually does has a burst", () => {
    const driver = EngineDriver.withIdle(1, { maxConnections: 1 })
    for (let second = 0; second < 15; second++) {
      work(driver, 3, 10)
      driver.advance(970)
    }
    driver.borrow()
    for (let n = 0; n < 10; n++) driver.wait("a")
    driver.advance(5)
    assert.strictEqual(kindOf(driver), "burst")
  })

  it("whose connects take half of what an acquire may take connects slowly", () => {
    const driver = new EngineDriver({ maxConnections: 5 })
    driver.start()
    driver.decided()
    driver.wait("a")
    driver.decided()
    driver.advance(2000)
    assert.strictEqual(kindOf(driver), "burst")
    driver.advance(600)
    assert.strictEqual(kindOf(driver), "connecting-slowly")
  })

  it("is its state where somebody has asked for that", () => {
    const { driver, loans } = full(1)
    driver.pause()
    assert.strictEqual(kindOf(driver), "paused")
    driver.resume()
    driver.drain()
    assert.strictEqual(kindOf(driver), "draining")
    returnAll(driver, loans)
    assert.strictEqual(kindOf(driver), "closed")
  })
})
