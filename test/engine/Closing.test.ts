/** Closing a pool ends: nobody goes on waiting, borrowers finish in their time, and every connection is closed once. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("a pool that drains", () => {
  it("refuses all who wait", () => {
    const pool = EngineDriver.withIdle(0, { maxConnecting: 1 })
    pool.wait("a")
    pool.wait("b")
    pool.decided()
    pool.drain()
    assert.deepStrictEqual(pool.decided(), [
      "Changed draining",
      "Refuse a: closed",
      "Refuse b: closed",
      "Close 1: poolClosed"
    ])
  })

  it("refuses who comes", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    assert.strictEqual(pool.wait("a").refusal, "closed")
  })

  it("lends nothing", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    assert.isUndefined(pool.lease())
  })

  it("closes all that rest, together", () => {
    const pool = EngineDriver.withIdle(3)
    pool.drain()
    assert.deepStrictEqual(pool.decided(), [
      "Changed draining",
      "Close 1: poolClosed",
      "Close 2: poolClosed",
      "Close 3: poolClosed"
    ])
  })

  it("closes what is being opened, and its opening changes nothing", () => {
    const pool = EngineDriver.withIdle(0)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.drain()
    assert.include(pool.decided(), "Close 1: poolClosed")
    const before = pool.snapshot()
    pool.opened(1)
    pool.openFailed(1)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("closes what is being checked, and the end of the check changes nothing", () => {
    const pool = EngineDriver.withIdle(1, { canReset: false })
    pool.release(pool.borrow(), "suspect")
    pool.decided()
    pool.drain()
    assert.include(pool.decided(), "Close 1: poolClosed")
    const before = pool.snapshot()
    pool.checked(1, true)
    pool.checked(1, false)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("closes what is being reset, and the end of the reset changes nothing", () => {
    const pool = EngineDriver.withIdle(1)
    pool.release(pool.borrow(), "dirty")
    pool.decided()
    pool.drain()
    assert.include(pool.decided(), "Close 1: poolClosed")
    const before = pool.snapshot()
    pool.resetDone(1, true)
    pool.resetDone(1, false)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("closes nothing a second time that is closing already", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    pool.decided()
    pool.drain()
    assert.deepStrictEqual(pool.decided(), ["Changed draining"])
  })

  it("opens nothing more, neither for the minimum nor after an outage", () => {
    const pool = EngineDriver.withIdle(1, { minConnections: 1 })
    pool.invalidate(1)
    pool.pass(100)
    pool.tick()
    pool.decided()
    pool.openFailed(2)
    pool.drain()
    pool.carryOut()
    pool.backoffEnded()
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("starts to drain once", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.decided()
    pool.drain()
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("a borrower when the pool drains", () => {
  it("keeps its lease", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.drain()
    assert.deepStrictEqual([pool.decided(), loan.connection.state], [["Changed draining"], "inUse"])
  })

  it("has its connection closed when it has finished, without a reset", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.drain()
    pool.decided()
    pool.release(loan, "dirty")
    assert.deepStrictEqual(pool.decided(), ["Close 1: poolClosed"])
  })

  it("takes what it was served before", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.drain()
    assert.strictEqual(pool.take(waiter)?.connection, loan.connection)
  })

  it("has what it was served and does not want closed", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.drain()
    pool.decided()
    pool.cancel(waiter)
    assert.deepStrictEqual(pool.decided(), ["Close 1: poolClosed"])
  })
})

describe("borrowers that do not finish in time", () => {
  it("have their connections closed under them", () => {
    const pool = EngineDriver.withIdle(2)
    pool.borrow()
    pool.borrow()
    pool.drain()
    pool.decided()
    pool.revokeLeases()
    assert.deepStrictEqual(pool.decided(), ["Close 2: drained", "Close 1: drained"])
  })

  it("count as released, once", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.drain()
    pool.revokeLeases()
    const before = pool.snapshot()
    pool.release(loan, "broken")
    assert.deepStrictEqual([pool.snapshot(), pool.ledger.counters.released], [before, 1])
  })

  it("are the only ones concerned: a connection that is closing goes on closing", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.decided()
    pool.revokeLeases()
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("a pool that has drained", () => {
  it("is closed when the last finalizer has ended, not before", () => {
    const pool = EngineDriver.withIdle(2)
    pool.drain()
    pool.decided()
    pool.closed(2)
    assert.deepStrictEqual(pool.decided(), [])
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Changed closed"])
  })

  it("is not closed while a lease is out", () => {
    const pool = EngineDriver.withIdle(2)
    pool.borrow()
    pool.drain()
    pool.carryOut()
    assert.strictEqual(pool.ledger.state, "draining")
  })

  it("is closed at once if it has no connection", () => {
    const pool = EngineDriver.withIdle(0)
    pool.drain()
    assert.deepStrictEqual(pool.decided(), ["Changed draining", "Changed closed"])
  })

  it("refuses who comes", () => {
    const pool = EngineDriver.withIdle(0)
    pool.drain()
    assert.strictEqual(pool.wait("a").refusal, "closed")
  })

  it("does not shed whom it refuses: closing is no overload", () => {
    const pool = EngineDriver.withIdle(0)
    pool.drain()
    pool.wait("a")
    assert.strictEqual(pool.ledger.counters.shed, 0)
  })

  it("stays closed", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.carryOut()
    const before = pool.snapshot()
    pool.drain()
    pool.revokeLeases()
    pool.advance(60_000)
    pool.backoffEnded()
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("closes as well from an outage", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.drain()
    pool.carryOut()
    assert.deepStrictEqual([pool.ledger.state, pool.ledger.outage], ["closed", undefined])
  })
})

describe("a connection that was to be closed anyway", () => {
  it("is closed for the reason it had", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.discard(loan)
    pool.drain()
    pool.decided()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: discarded"])
  })
})

describe("a pool that is closed before it starts", () => {
  it("stays closed", () => {
    const pool = new EngineDriver({})
    pool.drain()
    pool.start()
    assert.strictEqual(pool.ledger.state, "closed")
  })
})

describe("a connection that dies while the pool drains", () => {
  it("asks for no other attempt", () => {
    const pool = EngineDriver.withIdle(3)
    const loans = [pool.borrow(), pool.borrow(), pool.borrow()]
    pool.drain()
    pool.decided()
    for (const { connection } of loans) pool.died(connection.id)
    for (const loan of loans) pool.release(loan, "broken")
    assert.isFalse(pool.decided().some((decision) => decision.startsWith("Backoff")))
    assert.isUndefined(pool.ledger.outage)
  })
})

describe("what is on its way in a pool that begins to drain", () => {
  it("is over for shared connections when their last lease has ended", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.drain()
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Changed draining"])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Close 1: poolClosed"])
  })

  it("is over for those who wait for a connection to themselves, too", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    pool.borrow()
    pool.wait("a", { isExclusive: true })
    pool.wait("b")
    pool.drain()
    assert.deepStrictEqual(pool.decided(), ["Changed draining", "Refuse a: closed", "Refuse b: closed"])
  })

  it("is over for connections that were to be closed for being too many, for the reason they had", () => {
    const pool = EngineDriver.withIdle(2, { concurrency: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.resize(0, 1)
    pool.drain()
    for (const loan of loans) pool.release(loan)
    assert.deepStrictEqual(pool.decided(), [
      "Changed draining",
      `Close ${loans[0]!.connection.id}: resized`,
      `Close ${loans[1]!.connection.id}: poolClosed`
    ])
  })

  it("is over for a pool that is unavailable", () => {
    const pool = EngineDriver.withIdle(0, { unavailableAfter: 1000 })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.advance(1000)
    pool.decided()
    pool.drain()
    assert.deepStrictEqual(pool.decided(), ["Changed draining", "Changed closed"])
  })
})
