/** A look at all idle connections on request: it ends, it says what came of it, and callers do not notice. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("a look at all idle connections", () => {
  it("checks them from the cold end, two at a time, and says when it is over", () => {
    const pool = EngineDriver.withIdle(4)
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Check 1", "Check 2"])
    pool.checked(2, true)
    assert.deepStrictEqual(pool.decided(), ["Check 3"])
    pool.checked(1, true)
    pool.checked(3, true)
    assert.deepStrictEqual(pool.decided(), ["Check 4"])
    pool.checked(4, true)
    assert.deepStrictEqual(pool.decided(), ["Swept: 4 checked, 0 failed, 0 skipped"])
  })

  it("closes those that are dead, and counts them", () => {
    const pool = EngineDriver.withIdle(3)
    pool.sweep()
    pool.decided()
    pool.checked(1, false)
    pool.checked(2, true)
    assert.deepStrictEqual(pool.carryOut(), [
      "Close 1: checkFailed",
      "Check 3",
      "Swept: 3 checked, 1 failed, 0 skipped"
    ])
  })

  it("has those that live lent without a check, however long they rest", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500 })
    pool.pass(60_000)
    pool.sweep()
    pool.carryOut()
    assert.isTrue(Array.from(pool.ledger.connections).every(({ provenAt }) => provenAt === 60_000))
  })

  it("leaves one connection to callers", () => {
    const pool = EngineDriver.withIdle(1)
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Swept: 0 checked, 0 failed, 1 skipped"])
  })

  it("never has two away of two", () => {
    const pool = EngineDriver.withIdle(2)
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
    assert.strictEqual(pool.ledger.idle.length, 1)
    pool.checked(1, true)
    assert.deepStrictEqual(pool.carryOut(), ["Check 2", "Swept: 2 checked, 0 failed, 0 skipped"])
  })

  it("is over at once where there are none", () => {
    const pool = EngineDriver.withIdle(0)
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Swept: 0 checked, 0 failed, 0 skipped"])
  })

  it("does not concern those that are in use", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Swept: 0 checked, 0 failed, 0 skipped"])
  })

  it("skips all where the connector cannot check", () => {
    const pool = EngineDriver.withIdle(3, { canCheck: false })
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Swept: 0 checked, 0 failed, 3 skipped"])
  })

  it("skips those that are lent before their turn", () => {
    const pool = EngineDriver.withIdle(4)
    pool.sweep()
    pool.decided()
    assert.strictEqual(pool.borrow().connection.id, 4)
    pool.checked(1, true)
    pool.checked(2, true)
    assert.deepStrictEqual(pool.carryOut(), ["Check 3", "Swept: 3 checked, 0 failed, 1 skipped"])
  })

  it("skips those that were lent and are back: they are proven", () => {
    const pool = EngineDriver.withIdle(4)
    pool.sweep()
    pool.decided()
    pool.pass(1)
    pool.release(pool.borrow())
    pool.checked(1, true)
    pool.checked(2, true)
    assert.deepStrictEqual(pool.carryOut(), ["Check 3", "Swept: 3 checked, 0 failed, 1 skipped"])
  })

  it("skips those that are closed before their turn, or while they are being checked", () => {
    const pool = EngineDriver.withIdle(4)
    pool.sweep()
    pool.decided()
    pool.invalidate(3)
    pool.invalidate(1)
    assert.deepStrictEqual(pool.carryOut(), [
      "Close 3: invalidated",
      "Close 1: invalidated",
      "Check 4",
      "Swept: 2 checked, 0 failed, 2 skipped"
    ])
  })

  it("skips the rest when all others have been lent", () => {
    const pool = EngineDriver.withIdle(3)
    pool.sweep()
    pool.decided()
    pool.borrow()
    pool.checked(1, false)
    pool.checked(2, false)
    assert.include(pool.decided(), "Swept: 2 checked, 2 failed, 1 skipped")
  })

  it("goes on when those that are being checked are back, if only one rests", () => {
    const pool = EngineDriver.withIdle(3)
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Check 1", "Check 2"])
    assert.strictEqual(pool.ledger.idle.length, 1)
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Check 3"])
  })

  it("does not begin a rest anew", () => {
    const pool = EngineDriver.withIdle(2, { idleTimeout: 1000 })
    pool.pass(999)
    pool.sweep()
    pool.carryOut()
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Close 2: idleTimeout"])
  })

  it("serves those who come meanwhile with what it has proven", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    pool.sweep()
    pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Swept: 1 checked, 0 failed, 1 skipped"])
  })

  it("counts a check once, though the connection is checked again for somebody", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const sweep = pool.sweep()
    pool.decided()
    const loan = pool.borrow()
    pool.wait("a")
    pool.died(loan.connection.id)
    pool.checked(1, true)
    assert.deepStrictEqual(pool.carryOut(), ["Check 1", "Swept: 1 checked, 0 failed, 1 skipped", "Serve a"])
    assert.strictEqual(sweep.pending, 0)
  })
})

describe("two looks at once", () => {
  it("both end, the second without what the first is checking", () => {
    const pool = EngineDriver.withIdle(2)
    pool.sweep()
    pool.sweep()
    const words = pool.carryOut().filter((word) => word.startsWith("Swept"))
    assert.deepStrictEqual(words, ["Swept: 2 checked, 0 failed, 0 skipped", "Swept: 1 checked, 0 failed, 0 skipped"])
  })

  it("are one as far as the first proves what the second asks for", () => {
    const pool = EngineDriver.withIdle(3)
    pool.sweep()
    pool.decided()
    pool.sweep()
    pool.pass(1)
    pool.checked(1, true)
    pool.checked(2, true)
    assert.deepStrictEqual(pool.decided(), ["Check 3", "Swept: 0 checked, 0 failed, 1 skipped"])
    pool.checked(3, true)
    assert.deepStrictEqual(pool.decided(), ["Swept: 3 checked, 0 failed, 0 skipped"])
  })

  it("know each other apart", () => {
    const pool = EngineDriver.withIdle(1)
    assert.notStrictEqual(pool.sweep(), pool.sweep())
  })
})

describe("a look that the pool does not go on with", () => {
  it("is over when the pool is paused and what is under way has ended", () => {
    const pool = EngineDriver.withIdle(4)
    pool.sweep()
    pool.decided()
    pool.pause()
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Changed paused"])
    pool.checked(2, false)
    assert.deepStrictEqual(pool.decided(), ["Swept: 2 checked, 1 failed, 2 skipped", "Close 2: checkFailed"])
  })

  it("is over at once if the pool is paused already", () => {
    const pool = EngineDriver.withIdle(3)
    pool.pause()
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Swept: 0 checked, 0 failed, 3 skipped"])
  })

  it("is over when the pool drains", () => {
    const pool = EngineDriver.withIdle(3)
    pool.sweep()
    pool.decided()
    pool.drain()
    assert.include(pool.decided(), "Swept: 0 checked, 0 failed, 3 skipped")
  })

  it("is over at once in a pool that has drained", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.carryOut()
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Swept: 0 checked, 0 failed, 0 skipped"])
  })

  it("is over when everything is recycled under it", () => {
    const pool = EngineDriver.withIdle(3)
    pool.sweep()
    pool.decided()
    pool.recycle(true)
    assert.include(pool.decided(), "Swept: 0 checked, 0 failed, 3 skipped")
  })
})

describe("checks in the background, beside a look at all", () => {
  it("are not looked for while the look goes on", () => {
    const pool = EngineDriver.withIdle(5, { healthCheckInterval: 1000 })
    pool.pass(999)
    pool.sweep()
    assert.deepStrictEqual(pool.decided(), ["Check 1", "Check 2"])
    pool.advance(1)
    pool.carryOut()
    pool.advance(1000)
    assert.deepStrictEqual(pool.carryOut(), ["Check 5", "Check 4", "Check 3", "Check 2", "Check 1"])
  })

  it("are given up where callers could not do without what is due", () => {
    const pool = EngineDriver.withIdle(2, { healthCheckInterval: 1000 })
    pool.borrow()
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
    assert.isFalse(pool.ledger.backgroundChecks.isBusy)
  })
})
