/** Where connections are shared, borrowers are spread over them, and those who want one to themselves have their turn. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions, type Loan } from "../support/EngineDriver.ts"

/** A pool whose connections take two leases each. */
const shared = (count: number, options: Partial<EngineOptions> = {}): EngineDriver =>
  EngineDriver.withIdle(count, { concurrency: 2, maxConnections: count, ...options })

/** A pool of one connection, which has `leases` leases. */
const busy = (
  leases: number,
  options: Partial<EngineOptions> = {}
): { readonly loans: ReadonlyArray<Loan>; readonly pool: EngineDriver } => {
  const pool = shared(1, options)
  return { pool, loans: Array.from({ length: leases }, () => pool.borrow()) }
}

const exclusive = { isExclusive: true }

describe("a connection that is shared", () => {
  it("takes as many leases as it may, and no more", () => {
    const pool = shared(1, { concurrency: 3 })
    const lent = [pool.lease(), pool.lease(), pool.lease(), pool.lease()]
    assert.deepStrictEqual(
      lent.map((loan) => loan?.connection.id),
      [1, 1, 1, undefined]
    )
  })

  it("is lent again before it has come back, only where connections are shared", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    pool.borrow()
    assert.isUndefined(pool.lease())
  })

  it("gives each borrower a lease of his own", () => {
    const { loans } = busy(2)
    assert.notStrictEqual(loans[0]!.id, loans[1]!.id)
    assert.notStrictEqual(loans[0]!.lease, loans[1]!.lease)
  })

  it("is used once by each", () => {
    const { loans } = busy(2)
    assert.strictEqual(loans[0]!.connection.uses, 2)
  })

  it("stays in use until its last lease has ended", () => {
    const { loans, pool } = busy(2)
    const { connection } = loans[0]!
    pool.release(loans[0]!)
    assert.strictEqual(connection.state, "inUse")
    pool.release(loans[1]!)
    assert.strictEqual(connection.state, "idle")
  })

  it("has room again as soon as one of its leases has ended", () => {
    const { loans, pool } = busy(2)
    pool.release(loans[0]!)
    assert.strictEqual(pool.borrow().connection.id, 1)
  })

  it("takes no new record for a lease where an old one is spare", () => {
    const { loans, pool } = busy(2)
    pool.release(loans[1]!)
    pool.release(loans[0]!)
    const records = new Set([pool.borrow().lease, pool.borrow().lease])
    assert.deepStrictEqual(records, new Set(loans.map(({ lease }) => lease)))
  })

  it("comes after those that rest, so that borrowers are spread", () => {
    const pool = shared(2)
    const ids = [pool.borrow(), pool.borrow()].map(({ connection }) => connection.id)
    assert.sameMembers(ids, [1, 2])
  })

  it("gives its room when the others have had their turn", () => {
    const pool = shared(3, { concurrency: 3 })
    const ids = Array.from({ length: 9 }, () => pool.borrow().connection.id)
    assert.deepStrictEqual(ids, [3, 2, 1, 3, 2, 1, 3, 2, 1])
  })

  it("is the next to be lent when it has just got a lease back, whether or not it had room before", () => {
    const pool = shared(3, { concurrency: 3 })
    const loans = Array.from({ length: 7 }, () => pool.borrow())
    assert.deepStrictEqual(
      loans.map(({ connection }) => connection.id),
      [3, 2, 1, 3, 2, 1, 3]
    )
    pool.release(loans[2]!)
    assert.strictEqual(pool.borrow().connection.id, 1)
    pool.release(loans[0]!)
    assert.strictEqual(pool.borrow().connection.id, 3)
  })

  it("is the next once for each lease that it got back", () => {
    const pool = shared(3, { concurrency: 3 })
    const loans = Array.from({ length: 6 }, () => pool.borrow())
    pool.release(loans[2]!)
    assert.deepStrictEqual(
      [pool.borrow(), pool.borrow()].map(({ connection }) => connection.id),
      [1, 3]
    )
  })

  it("is no longer among those with room once it rests, and not twice among them when it is lent again", () => {
    const pool = shared(2)
    const loans = [pool.borrow(), pool.borrow()]
    for (const loan of loans) pool.release(loan)
    assert.strictEqual(pool.ledger.shareable.length, 0)
    pool.borrow()
    assert.strictEqual(pool.ledger.shareable.length, 1)
  })

  it("leaves the others their order when it leaves from between them", () => {
    const pool = shared(3, { concurrency: 2 })
    const [third, second, first] = [pool.borrow(), pool.borrow(), pool.borrow()]
    pool.release(second)
    pool.borrow()
    // That was the one that rested, and is the last now.
    assert.deepStrictEqual(
      [pool.borrow(), pool.borrow(), pool.borrow()].map(({ connection }) => connection.id),
      [third.connection.id, first.connection.id, second.connection.id]
    )
  })
})

describe("a waiter where connections are shared", () => {
  it("is served as soon as there is room", () => {
    const { loans, pool } = busy(2)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("is one of as many as a connection that has opened has room for", () => {
    const pool = EngineDriver.withIdle(0, { concurrency: 2, maxConnections: 1 })
    for (const name of ["a", "b", "c"]) pool.wait(name)
    pool.decided()
    pool.opened(1)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Serve b"])
  })

  it("is served from the room of a connection that another was checked for", () => {
    const pool = shared(1, { checkAfterIdle: 500 })
    pool.pass(500)
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.carryOut(), ["Check 1", "Serve a", "Serve b"])
  })

  it("is not overtaken by who comes later and finds room", () => {
    const { loans, pool } = busy(2)
    pool.wait("a")
    pool.release(loans[0]!)
    assert.isUndefined(pool.lease())
  })

  it("gives back its room when it leaves before it took it", () => {
    const { loans, pool } = busy(2)
    const waiter = pool.wait("a")
    pool.wait("b")
    pool.release(loans[0]!)
    pool.cancel(waiter)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Serve b"])
  })

  it("is refused at its deadline, though there is room for it, and the next one is served", () => {
    const { loans, pool } = busy(2, { acquireTimeout: 1000 })
    pool.wait("a")
    pool.pass(1)
    pool.wait("b")
    pool.pass(999)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout", "Serve b"])
  })
})

describe("room", () => {
  it("is taken back from one who has not been told yet, when another leaves the connection dirty", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    const loans = [pool.borrow(), pool.borrow()]
    const waiter = pool.wait("a")
    pool.release(loans[0]!)
    const served = waiter.state
    pool.release(loans[1]!, "dirty")
    assert.deepStrictEqual([served, waiter.state, pool.ledger.waiting], ["served", "waiting", 1])
  })

  it("is left to one who has been told", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    const loans = [pool.borrow(), pool.borrow()]
    const waiter = pool.wait("a")
    pool.release(loans[0]!)
    pool.wake(waiter)
    pool.release(loans[1]!, "dirty")
    assert.strictEqual(waiter.state, "served")
  })

  it("is not given on a connection that a lease may have left dirty, until its last lease has ended", () => {
    const { loans, pool } = busy(2)
    pool.release(loans[0]!, "dirty")
    assert.isUndefined(pool.lease())
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Reset 1"])
  })

  it("is not given on a connection that nobody knows anything about, until its last lease has ended", () => {
    const { loans, pool } = busy(2, { canReset: false })
    pool.release(loans[0]!, "suspect")
    assert.isUndefined(pool.lease())
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
  })

  it("is not given on a connection that is broken, which closes with its last lease", () => {
    const { loans, pool } = busy(2)
    pool.release(loans[0]!, "broken")
    assert.isUndefined(pool.lease())
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Close 1: broken"])
  })

  it("is not given on a connection that is doubted, until it has been checked", () => {
    const pool = shared(2)
    const [one, other] = [pool.borrow(), pool.borrow()]
    pool.died(one.connection.id)
    assert.isUndefined(pool.lease())
    pool.wait("a")
    pool.release(other)
    assert.deepStrictEqual(pool.carryOut(), [`Check ${other.connection.id}`, "Serve a"])
  })

  it("is not given on a connection at the end of its age, though nobody has looked since", () => {
    const { pool } = busy(1, { maxLifetime: 60_000 })
    pool.pass(60_000)
    assert.isUndefined(pool.lease())
    assert.strictEqual(pool.ledger.shareable.length, 0)
  })

  it("is not given beyond maxUses", () => {
    const { pool } = busy(2, { concurrency: 3, maxUses: 2 })
    assert.isUndefined(pool.lease())
  })

  it("is not given on a connection that its borrower discards", () => {
    const { loans, pool } = busy(1)
    pool.discard(loans[0]!)
    assert.isUndefined(pool.lease())
  })

  it("is given on old connections while connects fail: one that is old is better than none", () => {
    const pool = shared(1, { maxConnections: 2, maxLifetime: 60_000 })
    pool.borrow()
    pool.pass(60_000)
    const waiter = pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
    pool.openFailed(2)
    assert.include(pool.decided(), "Serve a")
    assert.strictEqual(pool.takeLoan(waiter).connection.id, 1)
  })
})

describe("a lease to oneself", () => {
  it("shares its connection with nobody", () => {
    const pool = shared(1)
    assert.isDefined(pool.lease(true))
    assert.isUndefined(pool.lease())
  })

  it("is not had on a connection that somebody uses, whatever room it has", () => {
    const { pool } = busy(1)
    assert.isUndefined(pool.lease(true))
  })

  it("ends with its connection shared as before", () => {
    const pool = shared(1)
    pool.release(pool.lease(true)!)
    pool.borrow()
    assert.isDefined(pool.lease())
  })

  it("is served to who waits for it, when the connection is free of others", () => {
    const { loans, pool } = busy(2)
    pool.wait("a", exclusive)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
    assert.isUndefined(pool.lease())
  })

  it("is no longer than its borrower has it: those who waited meanwhile are served together", () => {
    const pool = shared(1)
    const loan = pool.lease(true)!
    for (const name of ["a", "b", "c"]) pool.wait(name)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Serve b"])
  })

  it("is the only one where connections are not shared anyway", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    pool.wait("a", exclusive)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })
})

describe("a waiter that wants a connection to himself", () => {
  it("is not starved by those who go on sharing", () => {
    const { loans, pool } = busy(2)
    pool.wait("a", exclusive)
    pool.release(loans[0]!)
    assert.isUndefined(pool.lease(), "room on a connection that is being cleared")
    pool.wait("b")
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("has one connection cleared, and leaves the others to those who share", () => {
    const pool = shared(2)
    pool.borrow()
    pool.borrow()
    pool.wait("a", exclusive)
    const ids = [pool.lease(), pool.lease()].map((loan) => loan?.connection.id)
    assert.strictEqual(pool.ledger.clearing.size, 1)
    assert.deepStrictEqual(ids, [1, undefined])
  })

  it("does not keep those who share waiting behind him, where another connection has room", () => {
    const pool = shared(2)
    const loans = Array.from({ length: 4 }, () => pool.borrow())
    pool.wait("a", exclusive)
    pool.wait("b")
    pool.release(loans[0]!)
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Serve b"])
  })

  it("has as many cleared as there are like him, and no more than there are", () => {
    const pool = shared(2)
    const loans = [pool.borrow(), pool.borrow()]
    for (const name of ["a", "b", "c"]) pool.wait(name, exclusive)
    assert.strictEqual(pool.ledger.clearing.size, 2)
    for (const loan of loans) pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Serve b"])
  })

  it("waits for those who came before him, of either kind", () => {
    const { loans, pool } = busy(2)
    pool.wait("a")
    pool.wait("b", exclusive)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("is served before those who came after him, of either kind", () => {
    const pool = shared(1)
    const loan = pool.lease(true)!
    pool.wait("a", exclusive)
    pool.wait("b")
    pool.wait("c", exclusive)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("has a turn between those who share, in the order of their coming", () => {
    const pool = shared(1)
    let loans: Array<Loan> = [pool.lease(true)!]
    const waiters = ["a", "b", "c", "d", "e"].map((name) => pool.wait(name, name === "c" ? exclusive : {}))
    const turns: Array<ReadonlyArray<string>> = []
    while (loans.length > 0) {
      for (const loan of loans) pool.release(loan)
      turns.push(pool.decided())
      loans = waiters.flatMap((waiter) => pool.take(waiter) ?? [])
    }
    assert.deepStrictEqual(turns, [["Serve a", "Serve b"], ["Serve c"], ["Serve d", "Serve e"], []])
  })

  it("gives the room of the connection that was cleared for him back, when he leaves", () => {
    const { pool } = busy(1)
    const waiter = pool.wait("a", exclusive)
    assert.isUndefined(pool.lease())
    pool.cancel(waiter)
    assert.isDefined(pool.lease())
  })

  it("leaves that room to who waited behind him, when he leaves", () => {
    const { pool } = busy(1)
    const waiter = pool.wait("a", exclusive)
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), [])
    pool.cancel(waiter)
    assert.deepStrictEqual(pool.decided(), ["Serve b"])
  })

  it("leaves that room to who waited behind him, when his time is over", () => {
    const { pool } = busy(1, { acquireTimeout: 1000 })
    pool.wait("a", exclusive)
    pool.pass(1)
    pool.wait("b")
    pool.advance(999)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout", "Serve b"])
  })

  it("has nothing cleared for him any more, when one of several leaves", () => {
    const pool = shared(2)
    pool.borrow()
    pool.borrow()
    pool.cancel(pool.wait("a", exclusive))
    pool.wait("b", exclusive)
    const waiter = pool.wait("c", exclusive)
    assert.strictEqual(pool.ledger.clearing.size, 2)
    pool.cancel(waiter)
    assert.strictEqual(pool.ledger.clearing.size, 1)
  })

  it("is not served with a connection that closes instead of coming free", () => {
    const { loans, pool } = busy(1)
    pool.wait("a", exclusive)
    pool.discard(loans[0]!)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: discarded", "Open 2", "Serve a"])
    assert.strictEqual(pool.ledger.clearing.size, 0)
  })

  it("has the next connection with room cleared, when the one that was is given to somebody before him", () => {
    const pool = shared(2)
    const reserved = pool.lease(true)!
    const loan = pool.borrow()
    pool.borrow()
    pool.wait("a")
    pool.wait("b", exclusive)
    pool.release(reserved)
    // Room for one more beside a, but b was next, and one connection must become free.
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
    assert.strictEqual(pool.ledger.clearing.size, 1)
    assert.isUndefined(pool.lease())
    pool.release(loan)
  })
})

describe("the line, where some share and some do not", () => {
  it("has one length", () => {
    const { pool } = busy(2)
    pool.wait("a")
    pool.wait("b", exclusive)
    assert.strictEqual(pool.ledger.waiting, 2)
  })

  it("wakes the engine for the first deadline of either", () => {
    const { pool } = busy(2, { acquireTimeout: 500 })
    pool.wait("a", exclusive)
    pool.pass(100)
    pool.wait("b")
    assert.strictEqual(pool.engine.wakeAt(), 500)
    pool.advance(400)
    assert.deepStrictEqual([pool.decided(), pool.engine.wakeAt()], [["Refuse a: timeout"], 600])
  })
})

describe("those who share and have waited for long", () => {
  it("are served together, from the room of every connection", () => {
    const pool = shared(2)
    pool.borrow()
    pool.borrow()
    pool.pause()
    for (const name of ["a", "b", "c"]) pool.wait(name)
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Changed ready", "Serve a", "Serve b"])
  })
})

describe("a connection that was cleared for somebody whose time is over", () => {
  it("has room again as soon as a plain return finds that out", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2, concurrency: 2, acquireTimeout: 100 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.wait("a", { isExclusive: true })
    const [cleared] = pool.ledger.clearing
    pool.pass(200)
    pool.release(loans.find(({ connection }) => connection !== cleared)!)
    assert.strictEqual(pool.ledger.clearing.size, 0)
  })
})
