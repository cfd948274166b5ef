/** A waiter has one deadline, one place in line and one end. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions, type Loan } from "../support/EngineDriver.ts"

/** A pool of one connection, which is lent. */
const busy = (options: Partial<EngineOptions> = {}): { readonly loan: Loan; readonly pool: EngineDriver } => {
  const pool = EngineDriver.withIdle(1, { maxConnections: 1, ...options })
  return { pool, loan: pool.borrow() }
}

describe("the deadline of a waiter", () => {
  it("is acquireTimeout after its arrival", () => {
    const { pool } = busy({ acquireTimeout: 5000 })
    pool.pass(100)
    assert.strictEqual(pool.wait("a").deadline, 5100)
  })

  it("has not passed one millisecond before", () => {
    const { pool } = busy({ acquireTimeout: 5000 })
    pool.wait("a")
    pool.advance(4999)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("refuses the waiter when it comes", () => {
    const { pool } = busy({ acquireTimeout: 5000 })
    pool.wait("a")
    pool.advance(5000)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout"])
  })

  it("is one for queueing, connecting and checking together", () => {
    const pool = EngineDriver.withIdle(1, { acquireTimeout: 5000, checkAfterIdle: 500 })
    pool.pass(1000)
    const waiter = pool.wait("a")
    pool.decided()
    pool.pass(2000)
    pool.checked(1, false)
    pool.decided()
    pool.pass(2000)
    pool.openFailed(2)
    pool.decided()
    pool.advance(1000)
    assert.deepStrictEqual([pool.now, waiter.state], [6000, "refused"])
  })

  it("counts as timed out, once", () => {
    const { pool } = busy()
    pool.wait("a")
    pool.advance(5000)
    pool.advance(5000)
    assert.strictEqual(pool.ledger.counters.timedOut, 1)
  })

  it("keeps a connection from going to a waiter after it, even if nobody has looked at the clock since", () => {
    const { loan, pool } = busy()
    pool.wait("a")
    pool.pass(5000)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout"])
    assert.strictEqual(loan.connection.state, "idle")
  })

  it("passes the connection on to the next in line that is in time", () => {
    const { loan, pool } = busy()
    pool.wait("a")
    pool.pass(1)
    pool.wait("b")
    pool.pass(4999)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout", "Serve b"])
  })

  it("keeps a connection that opens from going to a waiter after it", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.pass(5000)
    pool.opened(1)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout"])
  })

  it("does not concern a waiter that was served in time", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.decided()
    pool.advance(5000)
    assert.strictEqual(waiter.state, "served")
  })
})

describe("maxWaiting", () => {
  it("refuses who would be one too many", () => {
    const { pool } = busy({ maxWaiting: 1 })
    pool.wait("a")
    assert.strictEqual(pool.wait("b").refusal, "overloaded")
  })

  it("leaves the line as it was", () => {
    const { pool } = busy({ maxWaiting: 1 })
    pool.wait("a")
    pool.wait("b")
    assert.strictEqual(pool.ledger.waiting, 1)
  })

  it("makes the refused waiter's state final", () => {
    const { pool } = busy({ maxWaiting: 1 })
    pool.wait("a")
    assert.strictEqual(pool.wait("b").state, "refused")
  })

  it("counts whom it sheds, and nobody else", () => {
    const { pool } = busy({ maxWaiting: 1 })
    pool.wait("a")
    pool.wait("b")
    pool.wait("c")
    assert.strictEqual(pool.ledger.counters.shed, 2)
  })

  it("lets the next one in when somebody leaves", () => {
    const { pool } = busy({ maxWaiting: 1 })
    pool.cancel(pool.wait("a"))
    assert.isUndefined(pool.wait("b").refusal)
  })

  it("does not keep anyone from a connection that rests", () => {
    const pool = EngineDriver.withIdle(1, { maxWaiting: 0, minConnections: 1 })
    assert.isDefined(pool.lease())
  })
})

describe("a waiter that leaves", () => {
  it("is not served", () => {
    const { loan, pool } = busy()
    pool.cancel(pool.wait("a"))
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("leaves the others in their order, from wherever it stood", () => {
    for (const leaving of [0, 1, 2]) {
      const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
      const loans = [pool.borrow(), pool.borrow()]
      const waiters = [pool.wait("a"), pool.wait("b"), pool.wait("c")]
      pool.cancel(waiters[leaving]!)
      for (const loan of loans) pool.release(loan)
      const staying = ["a", "b", "c"].filter((_, index) => index !== leaving)
      assert.deepStrictEqual(
        pool.decided(),
        staying.map((name) => `Serve ${name}`)
      )
    }
  })

  it("counts as cancelled, once", () => {
    const { pool } = busy()
    const before = pool.ledger.counters.cancelled
    const waiter = pool.wait("a")
    pool.cancel(waiter)
    pool.cancel(waiter)
    assert.strictEqual(pool.ledger.counters.cancelled - before, 1)
  })

  it("passes on what it was served and did not take", () => {
    const { loan, pool } = busy()
    const first = pool.wait("a")
    const second = pool.wait("b")
    pool.release(loan)
    pool.cancel(first)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Serve b"])
    assert.strictEqual(pool.takeLoan(second).connection, loan.connection)
  })

  it("lets what it was served rest, if nobody else waits", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.cancel(waiter)
    assert.strictEqual(loan.connection.state, "idle")
  })

  it("lets it rest from then on", () => {
    const { loan, pool } = busy({ checkAfterIdle: 500 })
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.pass(400)
    pool.cancel(waiter)
    pool.pass(400)
    assert.isDefined(pool.lease())
  })

  it("has not used what it did not take", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.cancel(waiter)
    assert.strictEqual(loan.connection.uses, 1)
  })

  it("passes nothing on that must not be lent again", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.wait("b")
    pool.release(loan)
    pool.decided()
    pool.invalidate(1)
    pool.cancel(waiter)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
  })

  it("takes nothing afterwards", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.cancel(waiter)
    assert.isUndefined(pool.take(waiter))
  })

  it("changes nothing once it has taken its connection", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.decided()
    pool.takeLoan(waiter)
    const before = pool.snapshot()
    pool.cancel(waiter)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("changes nothing once it was refused", () => {
    const { pool } = busy()
    const waiter = pool.wait("a")
    pool.advance(5000)
    pool.decided()
    const before = pool.snapshot()
    pool.cancel(waiter)
    assert.deepStrictEqual([pool.snapshot(), waiter.state], [before, "refused"])
  })

  it("changes no lease but its own: one that was revoked is over", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.drain()
    pool.revokeLeases()
    pool.decided()
    pool.cancel(waiter)
    assert.strictEqual(loan.connection.state, "closing")
  })
})

describe("a waiter that takes what it was served", () => {
  it("holds the lease that it was served", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.release(pool.takeLoan(waiter))
    assert.strictEqual(loan.connection.state, "idle")
  })

  it("gets nothing before it is served, and keeps its place", () => {
    const { pool } = busy()
    const waiter = pool.wait("a")
    assert.deepStrictEqual([pool.take(waiter), waiter.state], [undefined, "waiting"])
  })

  it("gets it once", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.takeLoan(waiter)
    assert.isUndefined(pool.take(waiter))
  })

  it("gets nothing when the lease was revoked before it could", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.drain()
    pool.revokeLeases()
    assert.isUndefined(pool.take(waiter))
  })
})

describe("a line that may not grow", () => {
  it("still takes those for whom a connection only has to be checked", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1, maxWaiting: 0, checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
  })

  it("still takes those for whom a connection can be opened", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 1, maxWaiting: 0 })
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 1"])
    assert.strictEqual(pool.wait("b").refusal, "overloaded")
  })

  it("is not held full by those whose time is over", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1, maxWaiting: 1, acquireTimeout: 1000 })
    pool.borrow()
    pool.wait("a")
    pool.pass(1000)
    assert.strictEqual(pool.wait("b").state, "waiting")
  })
})

describe("a pool that refuses", () => {
  it("counts whom it refuses for being closed, paused or unavailable alike", () => {
    const pool = EngineDriver.withIdle(0, { unavailableAfter: 1000 })
    pool.pause(true)
    pool.wait("a")
    pool.resume()
    pool.wait("b")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.advance(1000)
    pool.wait("c")
    pool.drain()
    pool.wait("d")
    assert.strictEqual(pool.ledger.counters.refused, 4)
  })

  it("numbers them like all others", () => {
    const { pool } = busy({ maxWaiting: 0 })
    const [first, second] = [pool.wait("a"), pool.wait("b")]
    assert.strictEqual(second.acquire - first.acquire, 1)
  })
})

describe("a waiter that was served", () => {
  it("is to be woken once", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    assert.deepStrictEqual([pool.wake(waiter), pool.wake(waiter)], [true, false])
  })

  it("is not to be woken if it has left", () => {
    const { loan, pool } = busy()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.cancel(waiter)
    assert.isFalse(pool.wake(waiter))
  })
})

describe("something to spare", () => {
  it("is an idle connection", () => {
    const pool = EngineDriver.withIdle(1)
    const before = pool.engine.hasSpare
    pool.borrow()
    assert.deepStrictEqual([before, pool.engine.hasSpare], [true, false])
  })

  it("is room on a connection that is shared", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    pool.borrow()
    const before = pool.engine.hasSpare
    pool.borrow()
    assert.deepStrictEqual([before, pool.engine.hasSpare], [true, false])
  })
})
