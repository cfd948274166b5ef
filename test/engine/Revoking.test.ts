/** A lease that the pool takes back: whoever has it finds it gone, and whoever was only about to have it gets another. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type NamedWaiter } from "../support/EngineDriver.ts"

/** A pool of one connection, which somebody was served and has not taken. */
const served = (isWoken = false): { readonly pool: EngineDriver; readonly waiter: NamedWaiter } => {
  const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
  const loan = pool.borrow()
  const waiter = pool.wait("a")
  pool.release(loan)
  pool.decided()
  waiter.isWoken = isWoken
  return { pool, waiter }
}

describe("a lease that is revoked", () => {
  it("is over: its connection is closing", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.recycle(true)
    assert.deepStrictEqual([loan.connection.state, loan.connection.leases, loan.lease.id], ["closing", 0, 0])
  })

  it("can neither be released nor discarded", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.recycle(true)
    const before = pool.snapshot()
    pool.discard(loan)
    pool.release(loan, "broken")
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("has its connection closed for the reason of the revocation, whatever was to become of it", () => {
    const pool = EngineDriver.withIdle(1)
    pool.discard(pool.borrow())
    pool.recycle(true)
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled"])
    assert.strictEqual(pool.ledger.doomed, 0)
  })

  it("is no longer held by one who waits", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    loan.lease.holder = "parent"
    pool.wait("a", { held: [loan], holder: "child" })
    pool.recycle(true)
    assert.deepStrictEqual(pool.carryOut(), ["Nested a", "Close 1: recycled", "Open 2", "Serve a"])
  })
})

describe("a waiter that was served and has not been woken", () => {
  it("goes back to the head of the line, and is served anew", () => {
    const { pool, waiter } = served()
    pool.wait("b")
    pool.recycle(true)
    assert.strictEqual(waiter.state, "waiting")
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: recycled", "Open 2", "Serve a"])
    assert.strictEqual(pool.takeLoan(waiter).connection.id, 2)
  })

  it("goes back in its order, of several", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    for (const name of ["a", "b", "c"]) pool.wait(name)
    for (const loan of loans) pool.release(loan)
    pool.decided()
    pool.recycle(true)
    assert.deepStrictEqual(pool.carryOut(), [
      "Close 2: recycled",
      "Close 1: recycled",
      "Open 3",
      "Open 4",
      "Serve a",
      "Serve b"
    ])
  })

  it("goes back to its own line, where connections are shared", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1, concurrency: 2 })
    const loan = pool.lease(true)!
    pool.wait("a", { isExclusive: true })
    pool.wait("b")
    pool.release(loan)
    pool.decided()
    pool.recycle(true)
    assert.deepStrictEqual([pool.ledger.waiters.exclusive.length, pool.ledger.waiters.sharing.length], [1, 1])
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: recycled", "Open 2", "Serve a"])
  })

  it("keeps its deadline", () => {
    const { pool, waiter } = served()
    const { deadline } = waiter
    pool.pass(1000)
    pool.recycle(true)
    assert.strictEqual(waiter.deadline, deadline)
    pool.advance(4000)
    assert.include(pool.decided(), "Refuse a: timeout")
  })

  it("is refused at once, when its deadline has passed meanwhile", () => {
    const { pool } = served()
    pool.pass(5000)
    pool.recycle(true)
    assert.include(pool.decided(), "Refuse a: timeout")
  })

  it("is refused, if the pool is closing", () => {
    const { pool, waiter } = served()
    pool.drain()
    pool.decided()
    pool.revokeLeases()
    assert.deepStrictEqual([pool.decided(), waiter.state], [["Close 1: drained", "Refuse a: closed"], "refused"])
  })

  it("is refused, if a paused pool refuses acquires", () => {
    const { pool } = served()
    pool.pause(true)
    pool.decided()
    pool.recycle(true)
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled", "Refuse a: paused"])
  })

  it("waits, if a paused pool has acquires wait", () => {
    const { pool, waiter } = served()
    pool.pause()
    pool.recycle(true)
    assert.strictEqual(waiter.state, "waiting")
    pool.carryOut()
    pool.resume()
    assert.deepStrictEqual(pool.carryOut(), ["Changed ready", "Open 2", "Serve a"])
  })

  it("may leave the line as if nothing had happened", () => {
    const { pool, waiter } = served()
    pool.recycle(true)
    pool.cancel(waiter)
    assert.deepStrictEqual([waiter.state, pool.ledger.waiting], ["cancelled", 0])
  })

  it("has neither acquired nor released anything", () => {
    const { pool } = served()
    const { acquired, released } = pool.ledger.counters
    pool.recycle(true)
    assert.deepStrictEqual([pool.ledger.counters.acquired, pool.ledger.counters.released], [acquired, released])
  })

  it("holds what it held before, and can be in a deadlock again", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const [held, other] = [pool.borrow(), pool.borrow()]
    held.lease.holder = "1"
    const waiter = pool.wait("a", { held: [held], holder: "1" })
    pool.release(other)
    pool.recycle(true)
    assert.strictEqual(waiter.state, "waiting")
    assert.deepStrictEqual([pool.ledger.leases.stuck, pool.ledger.leases.surelyStuck], [0, 0])
    pool.carryOut()
    assert.strictEqual(waiter.state, "served")
  })
})

describe("a waiter that was woken and has not run", () => {
  it("takes a lease that is over, and counts as having had it", () => {
    const { pool, waiter } = served(true)
    const { acquired, released } = pool.ledger.counters
    pool.recycle(true)
    assert.isDefined(pool.take(waiter))
    const { counters } = pool.ledger
    assert.deepStrictEqual([counters.acquired - acquired, counters.released - released], [1, 1])
  })

  it("has nothing to give back", () => {
    const { pool, waiter } = served(true)
    const { leaseId } = waiter
    pool.recycle(true)
    const loan = pool.takeLoan(waiter)
    const before = pool.snapshot()
    pool.release({ ...loan, id: leaseId })
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("is not put back in line", () => {
    const { pool, waiter } = served(true)
    pool.recycle(true)
    assert.deepStrictEqual([waiter.state, pool.ledger.waiting], ["served", 0])
  })

  it("may leave instead, and has acquired nothing", () => {
    const { pool, waiter } = served(true)
    const { acquired, released } = pool.ledger.counters
    pool.recycle(true)
    pool.cancel(waiter)
    const { counters } = pool.ledger
    assert.deepStrictEqual([waiter.state, counters.acquired, counters.released], ["cancelled", acquired, released])
    assert.strictEqual(pool.connection(1).state, "closing")
  })

  it("is not refused when the pool closes: it will find its connection closing", () => {
    const { pool } = served(true)
    pool.drain()
    pool.decided()
    pool.revokeLeases()
    assert.deepStrictEqual(pool.decided(), ["Close 1: drained"])
  })
})
