/** A lease goes to whoever came first, at once where a connection rests, and without a detour where one comes back. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("lending a connection that rests", () => {
  it("lends the most recently used one first", () => {
    const pool = EngineDriver.withIdle(3)
    const first = pool.borrow()
    const second = pool.borrow()
    pool.borrow()
    pool.release(first)
    pool.release(second)
    assert.strictEqual(pool.borrow().connection, second.connection)
  })

  it("lends the least recently used one last", () => {
    const pool = EngineDriver.withIdle(3)
    const order = [pool.borrow(), pool.borrow(), pool.borrow()].map(({ connection }) => connection.id)
    assert.deepStrictEqual(order, [3, 2, 1])
  })

  it("leaves no decision to carry out, neither when it is lent nor when it comes back clean", () => {
    const pool = EngineDriver.withIdle(1)
    pool.release(pool.borrow())
    assert.isFalse(pool.engine.hasDecisions)
  })

  it("is in use until it is released, and idle again in the same step", () => {
    const pool = EngineDriver.withIdle(1)
    const lease = pool.borrow()
    const { connection } = lease
    const whileLent = connection.state
    pool.release(lease)
    assert.deepStrictEqual([whileLent, connection.state], ["inUse", "idle"])
  })

  it("has nothing to lend when no connection is open", () => {
    const pool = EngineDriver.withIdle(0)
    assert.isUndefined(pool.lease())
  })

  it("lends one connection to one borrower", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    assert.isUndefined(pool.lease())
  })

  it("gives every loan a number of its own", () => {
    const pool = EngineDriver.withIdle(1)
    const first = pool.borrow()
    pool.release(first)
    assert.notStrictEqual(pool.borrow().id, first.id)
  })

  it("notes when the loan began", () => {
    const pool = EngineDriver.withIdle(1)
    pool.pass(70)
    assert.strictEqual(pool.borrow().since, 70)
  })

  it("counts loans and returns", () => {
    const pool = EngineDriver.withIdle(2)
    pool.borrow()
    pool.release(pool.borrow())
    const { acquired, released } = pool.ledger.counters
    assert.deepStrictEqual({ acquired, released }, { acquired: 2, released: 1 })
  })
})

describe("handing a connection over", () => {
  it("goes straight from the borrower to the first in line", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
    assert.strictEqual(pool.takeLoan(waiter).connection, loan.connection)
  })

  it("never rests in between, so that no newcomer can have it", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    pool.wait("a")
    pool.release(loan)
    assert.isUndefined(pool.lease())
  })

  it("is a new loan: the lease of the one before it is over", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    assert.notStrictEqual(pool.takeLoan(waiter).id, loan.id)
  })

  it("serves waiters in the order of their arrival", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    let loan = pool.borrow()
    const served: Array<string> = []
    for (const waiter of [pool.wait("a"), pool.wait("b"), pool.wait("c")]) {
      pool.release(loan)
      served.push(...pool.decided())
      loan = pool.takeLoan(waiter)
    }
    assert.deepStrictEqual(served, ["Serve a", "Serve b", "Serve c"])
  })

  it("puts a newcomer behind those who wait", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    pool.wait("a")
    const newcomer = pool.wait("newcomer")
    pool.release(loan)
    assert.strictEqual(newcomer.state, "waiting")
  })

  it("serves one waiter with one connection", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loans = [pool.borrow(), pool.borrow()] as const
    pool.wait("a")
    pool.wait("b")
    pool.release(loans[0])
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
    pool.release(loans[1])
    assert.deepStrictEqual(pool.decided(), ["Serve b"])
  })

  it("serves a waiter that comes while a connection rests", () => {
    const pool = EngineDriver.withIdle(1)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })
})
