/**
 * When everyone who holds a connection waits for another, the one who came last is told, and lets go. Nobody is told so who
 * could still be served.
 */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions, type Loan } from "../support/EngineDriver.ts"

/** A pool all of whose connections are lent: to "1", "2" and so on. */
const lent = (
  count: number,
  options: Partial<EngineOptions> = {}
): { readonly loans: ReadonlyArray<Loan>; readonly pool: EngineDriver } => {
  const pool = EngineDriver.withIdle(count, { maxConnections: count, ...options })
  const loans = Array.from({ length: count }, (_, index) => {
    const loan = pool.borrow()
    loan.lease.holder = `${index + 1}`
    return loan
  })
  return { pool, loans }
}

/** Without the warnings that a holder waits. */
const refused = (pool: EngineDriver): ReadonlyArray<string> =>
  pool.decided().filter((word) => word.startsWith("Refuse"))

describe("a holder that waits for the only connection", () => {
  it("is told at once, when it is the very fiber that has it", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "1" })
    assert.deepStrictEqual(refused(pool), ["Refuse a: deadlock"])
  })

  it("is told though another lease it had has ended meanwhile", () => {
    const { loans, pool } = lent(2)
    pool.release(loans[0]!)
    const other = pool.borrow()
    other.lease.holder = "1"
    pool.wait("a", { held: [other], holder: "1" })
    pool.wait("b", { held: [loans[0]!, loans[1]!], holder: "2" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
  })

  it("is not told while the connection is another's", () => {
    const { pool } = lent(1)
    pool.wait("a", { holder: "2" })
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
  })

  it("is counted as deadlocked, and as nothing else", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "1" })
    const { cancelled, deadlocked, refused, shed, timedOut } = pool.ledger.counters
    assert.deepStrictEqual({ deadlocked, refused, shed, timedOut }, { deadlocked: 1, refused: 0, shed: 0, timedOut: 0 })
    assert.strictEqual(cancelled, 1, "whoever had the connection opened")
  })

  it("leaves the pool as it was", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "1" })
    pool.decided()
    pool.release(loans[0]!)
    assert.isDefined(pool.lease())
    assert.deepStrictEqual([pool.ledger.leases.stuck, pool.ledger.leases.surelyStuck], [0, 0])
  })

  it("has another opened, where there is room for one", () => {
    const { loans, pool } = lent(1, { maxConnections: 2 })
    pool.wait("a", { held: loans, holder: "1" })
    assert.deepStrictEqual(pool.carryOut(), ["Nested a", "Open 2", "Serve a"])
  })

  it("waits for another that is closing: there will be room", () => {
    const { loans, pool } = lent(2)
    pool.release(loans[0]!, "broken")
    pool.wait("a", { held: [loans[1]!], holder: "2" })
    pool.advance(1000)
    assert.notInclude(pool.carryOut(), "Refuse a: deadlock")
  })

  it("waits for another that is being reset or checked", () => {
    const { loans, pool } = lent(2)
    pool.release(loans[0]!, "suspect")
    pool.wait("a", { held: [loans[1]!], holder: "2" })
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
  })

  it("leaves the line to others who wait, who are served when it lets go", () => {
    const { loans, pool } = lent(1)
    pool.wait("a")
    pool.wait("b", { held: loans, holder: "1" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })
})

describe("a fiber that waits while the one that started it holds the only connection", () => {
  it("is told after a while: mostly its parent waits for it", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "child" })
    pool.advance(249)
    assert.deepStrictEqual(refused(pool), [])
    pool.advance(1)
    assert.deepStrictEqual(refused(pool), ["Refuse a: deadlock"])
  })

  it("is served, if its parent lets go in time", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "child" })
    pool.advance(249)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Nested a", "Serve a"])
  })

  it("has the engine woken at that time", () => {
    const { loans, pool } = lent(1)
    pool.pass(10)
    pool.wait("a", { held: loans, holder: "child" })
    assert.strictEqual(pool.engine.wakeAt(), 260)
  })

  it("has it woken for nothing once the matter is settled", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "child" })
    pool.release(loans[0]!)
    pool.wait("b")
    assert.strictEqual(pool.engine.wakeAt(), 1000)
  })

  it("has its time from when it began to look like a deadlock, not from the last time before", () => {
    const { loans, pool } = lent(1)
    const first = pool.wait("a", { held: loans, holder: "child" })
    pool.pass(200)
    pool.cancel(first)
    pool.pass(100)
    pool.wait("b", { held: loans, holder: "child" })
    pool.advance(249)
    assert.deepStrictEqual(refused(pool), [])
  })

  it("has its time anew when a lease that was simply returned went to another who waits in turn", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "child" })
    const next = pool.wait("b", { held: loans, holder: "child" })
    pool.pass(200)
    pool.release(loans[0]!)
    pool.cancel(next)
    pool.pass(100)
    pool.tick()
    assert.deepStrictEqual(refused(pool), [])
  })

  it("goes on waiting when another child has been told, if that was enough", () => {
    const { loans, pool } = lent(2)
    pool.wait("a", { held: [loans[0]!], holder: "child" })
    pool.wait("b", { held: [loans[1]!], holder: "child" })
    pool.advance(250)
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
  })

  it("is told at once, when its parent waits as well", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "child" })
    pool.wait("b", { held: loans, holder: "1" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
  })
})

describe("holders that wait for one another", () => {
  it("are told, the last of them alone, when the last has come to wait", () => {
    const { loans, pool } = lent(2)
    pool.wait("a", { held: [loans[0]!], holder: "1" })
    assert.deepStrictEqual(refused(pool), [])
    pool.wait("b", { held: [loans[1]!], holder: "2" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
  })

  it("are served one by one once the last has let go", () => {
    const { loans, pool } = lent(2)
    pool.wait("a", { held: [loans[0]!], holder: "1" })
    pool.wait("b", { held: [loans[1]!], holder: "2" })
    pool.decided()
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("are told, as many as it takes, when they all hold the same", () => {
    const { loans, pool } = lent(1)
    pool.wait("a", { held: loans, holder: "child" })
    pool.wait("b", { held: loans, holder: "child" })
    pool.advance(250)
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock", "Refuse a: deadlock"])
  })

  it("are not told while one of them has not come to wait", () => {
    const { loans, pool } = lent(3)
    pool.wait("a", { held: [loans[0]!], holder: "1" })
    pool.wait("b", { held: [loans[1]!], holder: "2" })
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
  })

  it("are told when the one who had not lets go, and another takes his place and waits", () => {
    const { loans, pool } = lent(2)
    const outsider = pool.wait("a")
    pool.wait("b", { held: [loans[0]!], holder: "1" })
    pool.release(loans[1]!)
    const loan = pool.takeLoan(outsider)
    loan.lease.holder = "3"
    pool.wait("c", { held: [loan], holder: "3" })
    assert.deepStrictEqual(refused(pool), ["Refuse c: deadlock"])
  })

  it("are not told while one of them has been served and has not run", () => {
    const { loans, pool } = lent(2)
    const outsider = pool.wait("a")
    pool.wait("b", { held: [loans[0]!], holder: "1" })
    pool.release(loans[1]!)
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
    assert.isDefined(pool.take(outsider))
  })

  it("are told by the pool's limit as it is now", () => {
    const { loans, pool } = lent(2, { maxConnections: 3 })
    pool.resize(0, 2)
    pool.wait("a", { held: [loans[0]!], holder: "1" })
    pool.wait("b", { held: [loans[1]!], holder: "2" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
  })

  it("are told while more is lent than the limit of now", () => {
    const { loans, pool } = lent(2)
    pool.resize(0, 1)
    pool.wait("a", { held: [loans[0]!], holder: "1" })
    pool.wait("b", { held: [loans[1]!], holder: "2" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
  })

  it("are left in line as far as they hold nothing any more", () => {
    const { loans, pool } = lent(2)
    pool.wait("a", { held: [loans[0]!], holder: "1" })
    pool.wait("b", { held: [loans[1]!], holder: "child" })
    pool.resize(0, 1)
    pool.release(loans[1]!)
    assert.deepStrictEqual(refused(pool), [])
    pool.closed(loans[1]!.connection.id)
    assert.deepStrictEqual(refused(pool), ["Refuse a: deadlock"])
  })

  it("are found though one of them waits for several", () => {
    const { loans, pool } = lent(2)
    pool.wait("a", { held: loans, holder: "1" })
    pool.advance(250)
    assert.deepStrictEqual(refused(pool), ["Refuse a: deadlock"])
  })
})

describe("a lease that ends while its holder waits", () => {
  it("is of no more interest: the next one on the same record is another's", () => {
    const { loans, pool } = lent(1)
    const outsider = pool.wait("a")
    pool.wait("b", { held: loans, holder: "child" })
    pool.release(loans[0]!)
    pool.takeLoan(outsider)
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
    assert.deepStrictEqual([pool.ledger.leases.stuck, pool.ledger.leases.surelyStuck], [0, 0])
  })

  it("leaves nothing behind when its holder leaves later", () => {
    const { loans, pool } = lent(1)
    const outsider = pool.wait("a")
    const waiter = pool.wait("b", { held: loans, holder: "child" })
    pool.release(loans[0]!)
    pool.takeLoan(outsider)
    pool.cancel(waiter)
    assert.deepStrictEqual([pool.ledger.leases.stuck, pool.ledger.leases.surelyStuck], [0, 0])
  })

  it("was over before he came: he holds nothing", () => {
    const { loans, pool } = lent(1)
    pool.release(loans[0]!)
    pool.borrow()
    pool.wait("a", { held: loans, holder: "1" })
    pool.advance(1000)
    assert.deepStrictEqual(refused(pool), [])
  })
})

describe("holders of as many connections as the server has room for", () => {
  it("are told at once: its limit rises too slowly to help them", () => {
    // Four of twenty are open when the server has no room for a fifth: three quarters of four are three.
    const { loans, pool } = lent(4, { maxConnections: 20 })
    pool.wait("more")
    pool.openFailed(5, "overloaded")
    pool.carryOut()
    for (const [index, loan] of loans.entries()) pool.wait(`w${index}`, { held: [loan], holder: `${index + 1}` })
    assert.deepStrictEqual(refused(pool), ["Refuse w3: deadlock"])
  })
})

describe("holders that share a connection", () => {
  it("are told when all of them wait for it", () => {
    const { loans, pool } = lent(1, { concurrency: 2 })
    const second = pool.borrow()
    second.lease.holder = "2"
    pool.wait("a", { held: loans, holder: "1" })
    assert.deepStrictEqual(refused(pool), [])
    pool.wait("b", { held: [second], holder: "2" })
    assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
  })

  it("are told when they want it to themselves", () => {
    const { loans, pool } = lent(1, { concurrency: 2 })
    pool.wait("a", { held: loans, holder: "1", isExclusive: true })
    assert.deepStrictEqual(refused(pool), ["Refuse a: deadlock"])
  })

  it("are served while there is room", () => {
    const { loans, pool } = lent(1, { concurrency: 2 })
    pool.pause()
    pool.wait("a", { held: loans, holder: "1" })
    pool.resume()
    assert.include(pool.decided(), "Serve a")
  })

  it("are told, the last of them, whatever they want of it", () => {
    for (const isExclusive of [true, false]) {
      const { loans, pool } = lent(1, { concurrency: 2 })
      const second = pool.borrow()
      second.lease.holder = "2"
      pool.wait("a", { held: loans, holder: "1", isExclusive })
      pool.wait("b", { held: [second], holder: "2", isExclusive: !isExclusive })
      assert.deepStrictEqual(refused(pool), ["Refuse b: deadlock"])
    }
  })

  it("have the room that was kept for the one who is told", () => {
    const { loans, pool } = lent(1, { concurrency: 2 })
    pool.wait("a", { held: loans, holder: "1", isExclusive: true })
    assert.isDefined(pool.lease())
  })
})

describe("nested acquires", () => {
  it("are worth a warning when they have to wait", () => {
    const { loans, pool } = lent(1, { maxConnections: 2 })
    pool.wait("a", { held: loans, holder: "1" })
    assert.include(pool.decided(), "Nested a")
  })

  it("are worth none when nothing is held", () => {
    const { pool } = lent(1, { maxConnections: 2 })
    pool.wait("a", { holder: "1" })
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("are refused, every one, where they are an error", () => {
    const { loans, pool } = lent(1, { maxConnections: 2, nested: "error" })
    assert.strictEqual(pool.wait("a", { held: loans, holder: "1" }).refusal, "deadlock")
    assert.isUndefined(pool.wait("b", { holder: "1" }).refusal)
  })

  it("are refused as what they are first: a closing pool is a closing pool", () => {
    const { loans, pool } = lent(1, { nested: "error" })
    pool.drain()
    assert.strictEqual(pool.wait("a", { held: loans, holder: "1" }).refusal, "closed")
  })

  it("are nobody's business where they are allowed: a deadlock ends at the deadline", () => {
    const { loans, pool } = lent(1, { nested: "allow", acquireTimeout: 5000 })
    pool.wait("a", { held: loans, holder: "1" })
    pool.advance(4999)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout"])
  })
})
