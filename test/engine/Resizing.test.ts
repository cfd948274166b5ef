/** New limits hold from the moment they are set: what is missing opens, and what is too many closes as it lets go. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("a pool that is made larger", () => {
  it("opens more for those who wait", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    pool.borrow()
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), [])
    pool.resize(0, 2)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("opens its new minimum, in batches", () => {
    const pool = EngineDriver.withIdle(1, { warmupBatchSize: 2, warmupDelay: 100 })
    pool.pass(100)
    pool.resize(4, 10)
    assert.deepStrictEqual(pool.carryOut(), ["Open 2", "Open 3", "Warming 3 of 4"])
    pool.advance(100)
    assert.deepStrictEqual(pool.carryOut(), ["Open 4", "Warming 4 of 4"])
  })

  it("says how far it is with its new minimum, though the old one was open", () => {
    const pool = new EngineDriver({ minConnections: 1 })
    pool.start()
    pool.carryOut()
    pool.pass(100)
    pool.resize(2, 10)
    assert.deepStrictEqual(pool.carryOut(), ["Open 2", "Warming 2 of 2"])
  })

  it("says so once", () => {
    const pool = new EngineDriver({ minConnections: 1 })
    pool.start()
    pool.carryOut()
    pool.borrow()
    pool.wait("a")
    assert.deepStrictEqual(pool.carryOut(), ["Open 2", "Serve a"])
  })

  it("lets more wait, by as many as there is place for", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1, maxWaiting: 0 })
    pool.borrow()
    assert.strictEqual(pool.wait("a").refusal, "overloaded")
    pool.resize(0, 2)
    assert.isUndefined(pool.wait("b").refusal)
  })
})

describe("a pool that is made smaller", () => {
  it("closes what rests, from the cold end, and no more than it must", () => {
    const pool = EngineDriver.withIdle(4)
    pool.resize(0, 2)
    assert.deepStrictEqual(pool.decided(), ["Close 1: resized", "Close 2: resized"])
  })

  it("closes what is being opened first, the youngest first", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    for (const name of ["a", "b", "c"]) pool.wait(name)
    assert.deepStrictEqual(pool.decided(), ["Open 2", "Open 3", "Open 4"])
    pool.resize(0, 2)
    assert.deepStrictEqual(pool.decided(), ["Close 4: resized", "Close 3: resized"])
  })

  it("closes what is being opened before what rests", () => {
    const pool = EngineDriver.withIdle(1)
    pool.pass(100)
    pool.resize(2, 2)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
    pool.resize(1, 1)
    assert.deepStrictEqual(pool.decided(), ["Close 2: resized"])
    assert.strictEqual(pool.connection(1).state, "idle")
  })

  it("lets borrowers finish, and closes their connections as they come back, whichever is first", () => {
    const pool = EngineDriver.withIdle(3)
    const loans = [pool.borrow(), pool.borrow(), pool.borrow()]
    pool.resize(0, 1)
    assert.deepStrictEqual(pool.decided(), [])
    for (const loan of loans) pool.release(loan)
    const ids = loans.map(({ connection }) => connection.id)
    assert.deepStrictEqual(pool.decided(), [`Close ${ids[0]}: resized`, `Close ${ids[1]}: resized`])
    assert.strictEqual(loans[2]!.connection.state, "idle")
  })

  it("does not hand what is too many to those who wait", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loan = pool.borrow()
    pool.borrow()
    pool.wait("a")
    pool.resize(0, 1)
    pool.release(loan)
    assert.deepStrictEqual(pool.carryOut(), [`Close ${loan.connection.id}: resized`])
  })

  it("spares the reset of what is too many", () => {
    const pool = EngineDriver.withIdle(2)
    const loan = pool.borrow()
    pool.borrow()
    pool.resize(0, 1)
    pool.release(loan, "dirty")
    assert.deepStrictEqual(pool.decided(), [`Close ${loan.connection.id}: resized`])
  })

  it("closes what was being checked or reset when that has ended, if it is still too many", () => {
    const pool = EngineDriver.withIdle(3, { canReset: true })
    const loans = [pool.borrow(), pool.borrow(), pool.borrow()]
    for (const loan of loans) pool.release(loan, "dirty")
    pool.decided()
    pool.resize(0, 2)
    assert.deepStrictEqual(pool.decided(), [])
    for (const { connection } of loans) pool.resetDone(connection.id, true)
    assert.deepStrictEqual(pool.decided(), [`Close ${loans[0]!.connection.id}: resized`])
  })

  it("counts what is closing, or will be anyway, as gone", () => {
    const pool = EngineDriver.withIdle(3)
    const loan = pool.borrow()
    pool.discard(loan)
    pool.invalidate(1)
    pool.decided()
    pool.resize(0, 1)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("opens nothing for those who wait until there is room", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.wait("a")
    pool.resize(0, 1)
    for (const loan of loans) pool.release(loan, "broken")
    pool.decided()
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), [])
    pool.closed(2)
    assert.deepStrictEqual(pool.decided(), ["Open 3"])
  })

  it("closes nothing that is not too many", () => {
    const pool = EngineDriver.withIdle(2)
    pool.resize(0, 2)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("closes it in an outage as well: more than the limit is not allowed for being better than none", () => {
    const pool = EngineDriver.withIdle(2, { acquireTimeout: Infinity })
    const loans = [pool.borrow(), pool.borrow()]
    pool.wait("a")
    pool.decided()
    pool.openFailed(3)
    pool.carryOut()
    pool.resize(0, 1)
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), [`Close ${loans[0]!.connection.id}: resized`])
  })
})

describe("a pool that is made larger again before it has become smaller", () => {
  it("keeps what would have been too many", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.resize(0, 1)
    pool.resize(0, 2)
    for (const loan of loans) pool.release(loan)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("opens no more than its limit, while others are closing", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2 })
    pool.resize(0, 1)
    pool.resize(0, 2)
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Close 1: resized", "Serve a"])
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Open 3"])
  })
})

describe("the minimum", () => {
  it("is kept from being idle too long, as it is now", () => {
    const pool = EngineDriver.withIdle(3, { idleTimeout: 1000 })
    pool.resize(3, 10)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
    pool.resize(1, 10)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
  })

  it("opens during an outage one probe at a time", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.resize(5, 10)
    assert.deepStrictEqual(pool.decided(), [])
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("is none: a pool that still starts is ready", () => {
    const pool = new EngineDriver({ minConnections: 1 })
    pool.start()
    pool.decided()
    pool.resize(0, 10)
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("is none: a pool that was paused while it started is ready when it is resumed", () => {
    const pool = new EngineDriver({ minConnections: 1 })
    pool.start()
    pool.pause()
    pool.decided()
    pool.resize(0, 10)
    assert.deepStrictEqual(pool.decided(), [])
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("is none: a pool that is ready has nothing to say to it", () => {
    const pool = EngineDriver.withIdle(1)
    pool.resize(0, 10)
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("the one attempt of an outage", () => {
  it("may be made again, when it was one too many", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 2, acquireTimeout: Infinity })
    pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Open 3"])
    pool.resize(0, 1)
    assert.deepStrictEqual(pool.carryOut(), ["Close 3: resized"])
    pool.resize(0, 2)
    assert.deepStrictEqual(pool.decided(), ["Open 4"])
  })
})

describe("a paused pool that is resized", () => {
  it("closes what is too many, and opens what is missing when it is resumed", () => {
    const pool = EngineDriver.withIdle(3)
    pool.pause()
    pool.pass(100)
    pool.resize(0, 1)
    assert.deepStrictEqual(pool.carryOut(), ["Changed paused", "Close 1: resized", "Close 2: resized"])
    pool.resize(2, 2)
    assert.deepStrictEqual(pool.carryOut(), [])
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Open 4"])
  })
})

describe("a pool that is closing", () => {
  it("takes no new limits", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.resize(5, 20)
    assert.strictEqual(pool.ledger.limit, 10)
  })
})

describe("shared connections that are too many", () => {
  it("get no further leases, and close with their last", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2, concurrency: 2 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.resize(0, 1)
    const waiter = pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
    assert.strictEqual(pool.takeLoan(waiter).connection, loans[1]!.connection)
    assert.isUndefined(pool.lease())
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), [`Close ${loans[0]!.connection.id}: resized`])
  })

  it("are as many as it takes", () => {
    const pool = EngineDriver.withIdle(4, { concurrency: 2 })
    for (let count = 0; count < 4; count++) pool.borrow()
    pool.resize(0, 2)
    assert.strictEqual(pool.ledger.doomed, 2)
  })

  it("are those that rest, before those that are in use", () => {
    const pool = EngineDriver.withIdle(2, { concurrency: 2 })
    pool.borrow()
    pool.resize(0, 1)
    assert.deepStrictEqual([pool.decided(), pool.ledger.doomed], [["Close 1: resized"], 0])
  })
})
