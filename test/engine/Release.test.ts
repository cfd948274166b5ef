/** However a lease ends, its borrower is done at once, and nothing that may be wrong is handed on. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions, type LeaseOutcome } from "../support/EngineDriver.ts"

/** One connection, lent and released with this outcome. */
const released = (outcome: LeaseOutcome, options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = EngineDriver.withIdle(1, options)
  pool.release(pool.borrow(), outcome)
  return pool
}

describe("a lease that ends clean", () => {
  it("leaves its connection idle, with nothing to do", () => {
    const pool = released("clean")
    assert.deepStrictEqual([pool.decided(), pool.connection(1).state], [[], "idle"])
  })
})

describe("a lease that ends dirty", () => {
  it("has its connection reset", () => {
    assert.deepStrictEqual(released("dirty").decided(), ["Reset 1"])
  })

  it("is over for its borrower at once", () => {
    const { inUse, resetting } = released("dirty").ledger
    assert.deepStrictEqual({ inUse, resetting }, { inUse: 0, resetting: 1 })
  })

  it("has its connection lent to nobody until it is reset", () => {
    assert.isUndefined(released("dirty").lease())
  })

  it("has its connection lent without a check once it is reset", () => {
    const pool = released("dirty")
    pool.decided()
    pool.resetDone(1, true)
    assert.deepStrictEqual([pool.decided(), pool.lease()?.connection.id], [[], 1])
  })

  it("has its connection go from the reset to the first in line", () => {
    const pool = released("dirty", { maxConnections: 1 })
    pool.wait("a")
    pool.decided()
    pool.resetDone(1, true)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("keeps nobody waiting for its reset, which may hang, where another can be opened", () => {
    const pool = released("dirty")
    pool.decided()
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("leaves its connection idle where the connector cannot reset", () => {
    const pool = released("dirty", { canReset: false })
    assert.deepStrictEqual([pool.decided(), pool.lease()?.connection.id], [[], 1])
  })
})

describe("a lease that was interrupted or died", () => {
  it("has its connection reset, and then checked", () => {
    const pool = released("suspect")
    assert.deepStrictEqual(pool.carryOut(), ["Reset 1", "Check 1"])
  })

  it("has its connection lent once it has passed", () => {
    const pool = released("suspect")
    pool.carryOut()
    assert.strictEqual(pool.lease()?.connection.id, 1)
  })

  it("has its connection lent to nobody between reset and check", () => {
    const pool = released("suspect")
    pool.decided()
    pool.resetDone(1, true)
    pool.decided()
    assert.isUndefined(pool.lease())
  })

  it("has its connection checked where the connector cannot reset", () => {
    assert.deepStrictEqual(released("suspect", { canReset: false }).decided(), ["Check 1"])
  })

  it("has its connection reset where the connector cannot check", () => {
    assert.deepStrictEqual(released("suspect", { canCheck: false }).carryOut(), ["Reset 1"])
  })

  it("has its connection closed where the connector can do neither", () => {
    const pool = released("suspect", { canCheck: false, canReset: false })
    assert.deepStrictEqual(pool.decided(), ["Close 1: suspect"])
  })

  it("does not have the next reset of its connection followed by a check", () => {
    const pool = released("suspect")
    pool.carryOut()
    pool.release(pool.borrow(), "dirty")
    assert.deepStrictEqual(pool.carryOut(), ["Reset 1"])
  })
})

describe("a lease that ends broken", () => {
  it("has its connection closed", () => {
    assert.deepStrictEqual(released("broken").decided(), ["Close 1: broken"])
  })

  it("has another opened for those who wait, once its own is closed", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    pool.wait("a")
    pool.release(loan, "broken")
    assert.deepStrictEqual(pool.decided(), ["Close 1: broken"])
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("makes the others suspect", () => {
    const pool = EngineDriver.withIdle(2)
    pool.release(pool.borrow(), "broken")
    assert.isUndefined(pool.lease())
  })
})

describe("a reset that fails", () => {
  it("closes the connection", () => {
    const pool = released("dirty")
    pool.decided()
    pool.resetDone(1, false)
    assert.deepStrictEqual(pool.decided(), ["Close 1: resetFailed"])
  })

  it("makes room for another, for those who wait", () => {
    const pool = released("dirty", { maxConnections: 1 })
    pool.wait("a")
    pool.decided()
    pool.resetDone(1, false)
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: resetFailed", "Open 2"])
  })

  it("has the minimum restored at once, where there is room", () => {
    const pool = released("dirty", { maxConnections: 2, minConnections: 1, warmupDelay: 0 })
    pool.decided()
    pool.resetDone(1, false)
    assert.deepStrictEqual(pool.decided(), ["Close 1: resetFailed", "Open 2"])
  })
})

describe("a connection that its borrower discards", () => {
  it("stays the borrower's until the lease ends", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.discard(loan)
    assert.deepStrictEqual([pool.decided(), loan.connection.state], [[], "inUse"])
  })

  it("is closed when the lease ends, however well", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.discard(loan)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: discarded"])
  })

  it("is not closed because of a lease that is over", () => {
    const pool = EngineDriver.withIdle(1)
    const past = pool.borrow()
    pool.release(past)
    const present = pool.borrow()
    pool.discard(past)
    pool.release(present)
    assert.strictEqual(present.connection.state, "idle")
  })

  it("is closed for the first reason of several", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.discard(loan)
    pool.invalidate(1)
    pool.release(loan, "broken")
    assert.deepStrictEqual(pool.decided(), ["Close 1: discarded"])
  })
})

describe("a connection that somebody invalidates", () => {
  it("is closed at once while it rests", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    assert.deepStrictEqual([pool.decided(), pool.lease()], [["Close 1: invalidated"], undefined])
  })

  it("is closed when its lease ends, while it is lent", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
  })

  it("is closed as soon as it opens", () => {
    const pool = EngineDriver.withIdle(0)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), [])
    pool.opened(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
  })

  it("is closed at once while it is being reset, and the end of the reset changes nothing", () => {
    const pool = released("dirty")
    pool.decided()
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
    const before = pool.snapshot()
    pool.resetDone(1, true)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("is closed at once while it is being checked, and the end of the check changes nothing", () => {
    const pool = released("suspect", { canReset: false })
    pool.decided()
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
    const before = pool.snapshot()
    pool.checked(1, false)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("is closed once, whoever else says so", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    const before = pool.snapshot()
    pool.invalidate(1)
    pool.died(1)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("changes nothing once it is gone", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    pool.carryOut()
    const before = pool.snapshot()
    pool.invalidate(1)
    pool.died(1)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("makes no other suspect", () => {
    const pool = EngineDriver.withIdle(2)
    pool.invalidate(1)
    assert.isDefined(pool.lease())
  })
})

describe("a connection that dies", () => {
  it("is closed at once while it rests, and makes the others suspect", () => {
    const pool = EngineDriver.withIdle(2)
    pool.died(1)
    assert.deepStrictEqual([pool.decided(), pool.lease()], [["Close 1: died"], undefined])
  })

  it("is closed at once while it is being reset", () => {
    const pool = released("dirty")
    pool.decided()
    pool.died(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: died"])
  })

  it("is closed at once while it is being checked, and those who wait have not counted on it", () => {
    const pool = released("suspect", { canReset: false })
    pool.wait("a")
    assert.include(pool.decided(), "Open 2")
    pool.died(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: died"])
  })

  it("is closed when its lease ends, while it is lent", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.died(1)
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: died"])
  })

  it("makes the others suspect at once, while it is lent", () => {
    const pool = EngineDriver.withIdle(2)
    const loan = pool.borrow()
    pool.died(loan.connection.id)
    assert.isUndefined(pool.lease())
  })

  it("makes nobody suspect when its end was expected", () => {
    const pool = EngineDriver.withIdle(2)
    const loan = pool.borrow()
    pool.discard(loan)
    pool.died(loan.connection.id)
    assert.isDefined(pool.lease())
  })
})

describe("a lease that is over", () => {
  it("is released once: a second release changes nothing", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.release(loan)
    const before = pool.snapshot()
    pool.release(loan, "broken")
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("does not end the lease of the next borrower", () => {
    const pool = EngineDriver.withIdle(1)
    const past = pool.borrow()
    pool.release(past)
    pool.borrow()
    const before = pool.snapshot()
    pool.release(past, "broken")
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("does not end the lease of the one that it was handed to", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const past = pool.borrow()
    pool.wait("a")
    pool.release(past)
    const before = pool.snapshot()
    pool.release(past)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("ends nothing while its connection is being reset", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.release(loan, "dirty")
    const before = pool.snapshot()
    pool.release(loan)
    assert.deepStrictEqual(pool.snapshot(), before)
  })
})
