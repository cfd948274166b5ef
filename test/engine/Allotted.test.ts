/** A pool that lives on a budget with others has what it was allotted, and says when it needs less. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("a pool that is allotted less than its maximum", () => {
  it("opens no more than that, however many wait", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 5 })
    pool.allot(2)
    for (const name of ["a", "b", "c"]) pool.wait(name)
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2"])
  })

  it("says so in its limit, and goes by its maximum where that is less", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 5 })
    pool.allot(2)
    assert.strictEqual(pool.ledger.limit, 2)
    pool.allot(9)
    assert.strictEqual(pool.ledger.limit, 5)
  })

  it("opens for those who wait when it is allotted more", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 5 })
    pool.allot(0)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), [])
    pool.allot(1)
    assert.deepStrictEqual(pool.decided(), ["Open 1"])
  })

  it("closes what rests, the coldest first, and leaves leases to their end", () => {
    const pool = EngineDriver.withIdle(3, { maxConnections: 3 })
    const loan = pool.borrow()
    pool.allot(0)
    assert.deepStrictEqual(pool.decided(), ["Close 1: resized", "Close 2: resized"])
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 3: resized"])
  })

  it("closes what comes back while it has too many, and serves those who wait with what it may keep", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.wait("a")
    pool.allot(1)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Close 2: resized"])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("takes a nested acquire for no deadlock: it may be allotted more", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 2, nested: "warn" })
    pool.allot(1)
    const loan = pool.borrow()
    loan.lease.holder = "one"
    const waiter = pool.wait("one", { held: [loan], holder: "one" })
    assert.strictEqual(waiter.state, "waiting")
    pool.allot(2)
    assert.include(pool.carryOut(), "Serve one")
  })

  it("lets as many wait as there is place for with its maximum", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 2, maxWaiting: 0 })
    pool.allot(0)
    assert.isUndefined(pool.wait("a").refusal)
    assert.isUndefined(pool.wait("b").refusal)
    assert.strictEqual(pool.wait("c").refusal, "overloaded")
  })

  it("does not open the minimum that it has no room for", () => {
    const pool = new EngineDriver({ minConnections: 3, warmupBatchSize: 3 })
    pool.allot(1)
    pool.start()
    assert.deepStrictEqual(pool.decided(), ["Open 1"])
  })
})

describe("a pool whose connections others wait for", () => {
  it("tells of each that comes to rest", () => {
    const pool = EngineDriver.withIdle(1)
    pool.allot(10, true)
    const loan = pool.borrow()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Spare"])
  })

  it("tells of none once nobody waits for it", () => {
    const pool = EngineDriver.withIdle(1)
    pool.allot(10, true)
    pool.allot(10, false)
    const loan = pool.borrow()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), [])
  })
})
