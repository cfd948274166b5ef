/** A connection is proven before it is lent when it has rested for long, or when something has killed another. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("a connection that has rested", () => {
  it("is lent without a check before checkAfterIdle has passed", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(499)
    assert.isDefined(pool.lease())
  })

  it("is not lent without a check from then on", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    assert.isUndefined(pool.lease())
  })

  it("rests from its last return, not from its opening", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    const loan = pool.borrow()
    pool.pass(10_000)
    pool.release(loan)
    pool.pass(499)
    assert.isDefined(pool.lease())
  })

  it("is checked for the one who waits for it", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
  })

  it("is lent when it has passed its check", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("is checked with every loan when checkAfterIdle is 0", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 0 })
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
  })

  it("goes to nobody else while it is being checked", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500, maxConnections: 1 })
    pool.pass(500)
    pool.cancel(pool.wait("a"))
    assert.isUndefined(pool.lease())
  })

  it("rests, proven, when the one who waited for its check has left", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.checked(1, true)
    pool.pass(499)
    assert.isDefined(pool.lease())
  })
})

describe("those who wait for a check", () => {
  it("start one each, with the warmest first", () => {
    const pool = EngineDriver.withIdle(3, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Check 3", "Check 2"])
  })

  it("are served in the order of their arrival, whichever connection is proven first", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.wait("b")
    pool.decided()
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("are served by a connection that comes back before the check ends", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500, maxConnections: 2 })
    const loan = pool.borrow()
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("leave the check to the next in line when they are served otherwise", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500, maxConnections: 2 })
    const loan = pool.borrow()
    pool.pass(500)
    pool.wait("a")
    pool.release(loan)
    pool.wait("b")
    pool.decided()
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Serve b"])
  })

  it("are served by a fresh connection before a stale one that came back later", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500 })
    const [warm, cold] = [pool.borrow(), pool.borrow()]
    pool.release(warm, "dirty")
    pool.pass(400)
    pool.release(cold)
    pool.decided()
    pool.pass(200)
    pool.resetDone(2, true)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("are served by a fresh connection however many stale ones came back later", () => {
    const pool = EngineDriver.withIdle(3, { checkAfterIdle: 500, maxConnections: 3 })
    const [first, second, third] = [pool.borrow(), pool.borrow(), pool.borrow()]
    pool.release(first, "dirty")
    pool.release(second, "dirty")
    pool.decided()
    pool.pass(400)
    pool.release(third)
    pool.pass(200)
    pool.resetDone(first.connection.id, true)
    pool.resetDone(second.connection.id, true)
    assert.strictEqual(pool.wait("a").state, "served")
  })
})

describe("a connection that is free when doubt has risen since it was proven", () => {
  it("is checked before the next in line gets it", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const [first, second] = [pool.borrow(), pool.borrow()]
    pool.wait("a")
    pool.wait("b")
    pool.release(first, "broken")
    pool.decided()
    pool.release(second)
    assert.deepStrictEqual(pool.decided(), [`Check ${second.connection.id}`])
  })

  it("is checked again when doubt rose during its check", () => {
    const pool = EngineDriver.withIdle(3)
    pool.died(1)
    pool.wait("a")
    pool.decided()
    pool.died(2)
    pool.decided()
    pool.checked(3, true)
    assert.deepStrictEqual(pool.decided(), ["Check 3"])
  })

  it("raises no doubt a second time for one death", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const [first, second] = [pool.borrow(), pool.borrow()]
    pool.died(first.connection.id)
    const { doubt } = pool.ledger
    pool.release(first, "broken")
    pool.release(second)
    assert.strictEqual(pool.ledger.doubt, doubt)
  })
})

describe("a check that fails", () => {
  it("closes the connection, and opens another for the one who waits", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.checked(1, false)
    assert.deepStrictEqual(pool.decided(), ["Close 1: checkFailed", "Open 2"])
  })

  it("goes on to the next that rests, before it opens another", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.checked(2, false)
    assert.deepStrictEqual(pool.decided(), ["Close 2: checkFailed", "Check 1"])
  })

  it("has twice as many checked after it, so that the wait is not one failure for each", () => {
    const pool = EngineDriver.withIdle(7, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.checked(7, false)
    assert.deepStrictEqual(pool.decided(), ["Close 7: checkFailed", "Check 6", "Check 5"])
    pool.checked(6, false)
    pool.checked(5, false)
    const checks = pool.decided().filter((decision) => decision.startsWith("Check"))
    assert.deepStrictEqual(checks, ["Check 4", "Check 3", "Check 2", "Check 1"])
  })

  it("makes every connection suspect that was proven before", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500 })
    pool.pass(400)
    pool.release(pool.borrow())
    const loan = pool.borrow()
    pool.pass(100)
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.decided()
    pool.release(pool.takeLoan(waiter))
    pool.checked(1, false)
    assert.isUndefined(pool.lease())
  })
})

describe("a connection that is suspect", () => {
  it("is checked before its next lease, however short its rest", () => {
    const pool = EngineDriver.withIdle(2)
    pool.died(1)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Close 1: died", "Check 2"])
  })

  it("is trusted again once it has passed", () => {
    const pool = EngineDriver.withIdle(2)
    pool.died(1)
    const waiter = pool.wait("a")
    pool.decided()
    pool.checked(2, true)
    pool.release(pool.takeLoan(waiter))
    assert.isDefined(pool.lease())
  })

  it("is checked again if doubt rose while it was being checked", () => {
    const pool = EngineDriver.withIdle(3)
    pool.died(1)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.died(2)
    pool.checked(3, true)
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Close 2: died", "Check 3"])
  })

  it("does not rest before one that is trusted, which the next borrower can have at once", () => {
    const pool = EngineDriver.withIdle(3)
    const loan = pool.borrow()
    pool.died(1)
    const waiter = pool.wait("a")
    pool.carryOut()
    pool.release(pool.takeLoan(waiter))
    pool.release(loan)
    assert.strictEqual(pool.lease()?.connection.id, 2)
  })

  it("is not one that opened after the doubt rose", () => {
    const pool = EngineDriver.withIdle(1)
    pool.died(1)
    pool.cancel(pool.wait("a"))
    pool.carryOut()
    assert.isDefined(pool.lease())
  })

  it("is suspect after its lease, too, when doubt rose during it", () => {
    const pool = EngineDriver.withIdle(2)
    const loan = pool.borrow()
    pool.died(1)
    pool.release(loan)
    assert.isUndefined(pool.lease())
  })
})

describe("what comes too late for a check", () => {
  it("closes the connection that died meanwhile, whatever the check says", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.died(1)
    pool.decided()
    const before = pool.snapshot()
    pool.checked(1, true)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("closes the connection whose lifetime ended meanwhile", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500, maxLifetime: 1000 })
    pool.pass(999)
    pool.wait("a")
    pool.decided()
    pool.pass(1)
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime", "Open 2"])
  })
})

describe("a connector that cannot check", () => {
  it("has its connections lent after any rest", () => {
    const pool = EngineDriver.withIdle(1, { canCheck: false, checkAfterIdle: 500 })
    pool.pass(3_600_000)
    assert.isDefined(pool.lease())
  })

  it("has them lent after the death of another", () => {
    const pool = EngineDriver.withIdle(2, { canCheck: false })
    pool.died(1)
    assert.isDefined(pool.lease())
  })
})

describe("a check that hangs", () => {
  /** Nine that rest, and one that was last asked took longer to answer than anybody counted on it. */
  const slow = (): EngineDriver => {
    const pool = EngineDriver.withIdle(9, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.pass(150)
    pool.checked(9, true)
    pool.pass(500)
    return pool
  }

  it("is counted on by its waiter for a tenth of a second, and not longer", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    assert.strictEqual(pool.engine.wakeAt(), pool.now + 100)
    pool.advance(99)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("has the next that rests checked in its place, before another is opened", () => {
    const pool = EngineDriver.withIdle(2, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
  })

  it("has twice as many checked with each step, and another opened when none is left", () => {
    const pool = EngineDriver.withIdle(10, { checkAfterIdle: 500, maxConnections: 11 })
    pool.pass(500)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Check 10"])
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Check 9", "Check 8"])
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Check 7", "Check 6", "Check 5", "Check 4"])
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Check 3", "Check 2", "Check 1"])
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Open 11"])
  })

  for (const [idle, opensAfter] of [
    [5, 300],
    [10, 400],
    [30, 500],
    [50, 600]
  ] as const) {
    it(`is not waited for once for each connection: another is opened after ${opensAfter} ms, where ${idle} are dead`, () => {
      const pool = EngineDriver.withIdle(idle, { checkAfterIdle: 500, maxConnections: 100 })
      pool.pass(500)
      const since = pool.now
      pool.wait("a")
      while (pool.ledger.connecting === 0 && pool.ledger.waiting > 0) pool.advance(pool.engine.wakeAt() - pool.now)
      assert.strictEqual(pool.now - since, opensAfter)
    })
  }

  it("has one more checked for all who wait, and not for each of them", () => {
    const pool = EngineDriver.withIdle(9, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.pass(50)
    pool.wait("b")
    pool.wait("c")
    pool.decided()
    pool.advance(50)
    assert.deepStrictEqual(pool.decided(), ["Check 6", "Check 5"])
  })

  it("has others checked one by one again after one that was answered", () => {
    const pool = EngineDriver.withIdle(9, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Check 9", "Check 8", "Check 7"])
    pool.checked(8, true)
    pool.wait("b")
    pool.wait("c")
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Check 6"])
  })

  it("has others checked one by one again after a connection has opened", () => {
    const pool = EngineDriver.withIdle(3, { checkAfterIdle: 500 })
    const [first, second] = [pool.borrow(), pool.borrow()]
    pool.pass(500)
    pool.wait("a")
    pool.decided()
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Open 4"])
    pool.release(first)
    pool.release(second)
    pool.opened(4)
    pool.pass(500)
    pool.decided()
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Check 4"])
  })

  it("has others checked one by one where the last answer came late: that server is slow, and not gone", () => {
    const pool = slow()
    pool.wait("b")
    assert.lengthOf(pool.decided(), 1)
    pool.advance(100)
    assert.lengthOf(pool.decided(), 1)
    pool.advance(100)
    assert.lengthOf(pool.decided(), 1)
  })

  it("has twice as many checked again once an answer has come in time", () => {
    const pool = slow()
    pool.cancel(pool.wait("b"))
    pool.carryOut()
    pool.pass(500)
    pool.wait("c")
    assert.lengthOf(pool.decided(), 1)
    pool.advance(100)
    assert.lengthOf(pool.decided(), 2)
  })

  it("has as many at work as may be, and no more, where there is no room for another", () => {
    const pool = EngineDriver.withIdle(4, { checkAfterIdle: 500, maxConnections: 4 })
    pool.pass(500)
    pool.wait("a")
    pool.advance(100)
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Check 4", "Check 3", "Check 2", "Check 1"])
    pool.advance(1800)
    assert.deepStrictEqual(pool.decided(), [])
    pool.checked(4, false)
    pool.closed(4)
    assert.deepStrictEqual(pool.decided(), ["Close 4: checkFailed", "Open 5"])
  })

  it("asks for no timer where nobody waits", () => {
    const pool = EngineDriver.withIdle(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.cancel(pool.wait("a"))
    pool.advance(100)
    assert.isAbove(pool.engine.wakeAt(), pool.now + 100)
  })
})
