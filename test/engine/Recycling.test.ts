/** Recycling replaces every connection that was there, a few at a time, and none that came after. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("a pool that is recycled", () => {
  it("replaces what rests, as many at a time as may connect at once", () => {
    const pool = EngineDriver.withIdle(4, { maxConnecting: 2 })
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled", "Close 2: recycled"])
  })

  it("replaces them in a second in which no more may be retired, too", () => {
    const pool = EngineDriver.withIdle(3, { idleTimeout: 1000 })
    pool.advance(1000)
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout", "Close 2: recycled", "Close 3: recycled"])
  })

  it("goes on with the next, a second later", () => {
    const pool = EngineDriver.withIdle(4, { maxConnecting: 2 })
    pool.recycle()
    pool.carryOut()
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 3: recycled", "Close 4: recycled"])
  })

  it("goes on with none while those before are still closing, or their replacements connecting", () => {
    const pool = EngineDriver.withIdle(3, { maxConnecting: 1, minConnections: 3, maxConnections: 4 })
    pool.pass(1000)
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled", "Open 4"])
    pool.closed(1)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
    pool.opened(4)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 2: recycled", "Open 5"])
  })

  it("ends with connections that are all new", () => {
    const pool = EngineDriver.withIdle(3, { maxConnecting: 1, minConnections: 3 })
    pool.recycle()
    for (let second = 0; second < 10; second++) {
      pool.carryOut()
      pool.advance(1000)
    }
    const ids = Array.from(pool.ledger.connections, ({ id, state }) => [id, state])
    assert.deepStrictEqual(ids, [
      [4, "idle"],
      [5, "idle"],
      [6, "idle"]
    ])
  })

  it("still lends what has not had its turn", () => {
    const pool = EngineDriver.withIdle(2, { maxConnecting: 1 })
    pool.recycle()
    assert.strictEqual(pool.borrow().connection.id, 2)
  })

  it("replaces what is in use when it comes back", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled"])
  })

  it("hands what comes back to the next in line, if it is not its turn yet", () => {
    const pool = EngineDriver.withIdle(2, { maxConnections: 2, maxConnecting: 1 })
    const loan = pool.borrow()
    pool.recycle()
    pool.wait("a")
    pool.decided()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("spares the reset of what it replaces", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.recycle()
    pool.release(loan, "dirty")
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled"])
  })

  it("replaces what was being opened, as soon as it has opened", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.recycle()
    pool.opened(1)
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: recycled", "Open 2", "Serve a"])
  })

  it("replaces what was being reset or checked, when that has ended", () => {
    const pool = EngineDriver.withIdle(1)
    pool.release(pool.borrow(), "suspect")
    pool.decided()
    pool.recycle()
    pool.resetDone(1, true)
    assert.deepStrictEqual(pool.decided(), ["Check 1"])
    pool.checked(1, true)
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled"])
  })

  it("replaces nothing that came after", () => {
    const pool = EngineDriver.withIdle(1)
    pool.recycle()
    pool.wait("a")
    pool.carryOut()
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("twice, replaces also what came between", () => {
    const pool = EngineDriver.withIdle(1)
    pool.recycle()
    pool.cancel(pool.wait("a"))
    pool.carryOut()
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), ["Close 2: recycled"])
  })

  it("twice at once, is as if it was once", () => {
    const pool = EngineDriver.withIdle(2)
    pool.recycle()
    pool.recycle()
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: recycled", "Close 2: recycled"])
  })

  it("does not count against the retirements of a second", () => {
    const pool = EngineDriver.withIdle(2, { idleTimeout: 1000, maxConnecting: 1 })
    pool.pass(1000)
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled", "Close 2: idleTimeout"])
  })

  it("replaces nothing once it is closing", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.decided()
    pool.recycle(true)
    assert.deepStrictEqual([pool.decided(), pool.ledger.generation], [[], 0])
  })
})

describe("a pool that is recycled during an outage", () => {
  it("keeps what it has: an old connection is better than none", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.recycle()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("replaces it when the outage is over", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.recycle()
    pool.backoffEnded()
    pool.decided()
    pool.opened(3)
    pool.takeLoan(waiter)
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Close 1: recycled"])
  })
})

describe("a paused pool that is recycled", () => {
  it("closes at once all that rests: nobody misses it", () => {
    const pool = EngineDriver.withIdle(3, { maxConnecting: 1 })
    pool.pause()
    pool.recycle()
    assert.deepStrictEqual(pool.carryOut(), [
      "Changed paused",
      "Close 1: recycled",
      "Close 2: recycled",
      "Close 3: recycled"
    ])
  })

  it("closes what is in use when it comes back, though many are closing", () => {
    const pool = EngineDriver.withIdle(3, { maxConnecting: 1 })
    const loan = pool.borrow()
    pool.pause()
    pool.recycle()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), [
      "Changed paused",
      "Close 1: recycled",
      "Close 2: recycled",
      "Close 3: recycled"
    ])
  })

  it("closes what is being opened, and opens another when it is resumed", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.pause()
    pool.decided()
    pool.recycle()
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled"])
    pool.closed(1)
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Open 2"])
  })

  it("opens its new connections when it is resumed", () => {
    const pool = EngineDriver.withIdle(2, { minConnections: 2 })
    pool.pass(1000)
    pool.pause()
    pool.recycle()
    assert.deepStrictEqual(pool.carryOut(), ["Changed paused", "Close 1: recycled", "Close 2: recycled"])
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Open 3", "Open 4"])
  })
})

describe("shared connections that are recycled", () => {
  it("get no further leases, as many at a time as may connect at once", () => {
    const pool = EngineDriver.withIdle(3, { concurrency: 2, maxConnections: 3, maxConnecting: 1 })
    const loans = [pool.borrow(), pool.borrow(), pool.borrow()]
    pool.recycle()
    assert.strictEqual(pool.ledger.doomed, 1)
    const ids = [pool.lease(), pool.lease(), pool.lease()].map((loan) => loan?.connection.id)
    assert.deepStrictEqual(ids, [loans[0]!.connection.id, loans[1]!.connection.id, undefined])
  })

  it("close with their last lease, though somebody waits for room", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.recycle()
    pool.wait("a")
    pool.release(loans[0]!)
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loans[1]!)
    assert.deepStrictEqual(pool.decided(), ["Close 1: recycled"])
  })

  it("are those that were there before, and no others", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    pool.recycle()
    pool.cancel(pool.wait("a"))
    pool.carryOut()
    pool.borrow()
    pool.advance(5000)
    assert.strictEqual(pool.ledger.doomed, 0)
  })
})

describe("a pool that is recycled under its borrowers", () => {
  it("closes everything at once, whatever it is doing", () => {
    const pool = EngineDriver.withIdle(4, { maxConnecting: 1 })
    const loans = [pool.borrow(), pool.borrow(), pool.borrow()]
    pool.release(loans[0]!, "dirty")
    pool.release(loans[1]!, "suspect")
    pool.decided()
    pool.resetDone(loans[1]!.connection.id, true)
    pool.decided()
    pool.recycle(true)
    assert.sameMembers(
      pool.decided(),
      [1, 2, 3, 4].map((id) => `Close ${id}: recycled`)
    )
  })

  it("has the leases released, once", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.recycle(true)
    const before = pool.snapshot()
    pool.release(loan, "broken")
    assert.deepStrictEqual([pool.snapshot(), pool.ledger.counters.released], [before, 1])
  })

  it("closes what is being opened, and opens another for those who wait", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.recycle(true)
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: recycled", "Open 2", "Serve a"])
  })

  it("lends the new ones as any other", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    pool.recycle(true)
    pool.wait("a")
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: recycled", "Open 2", "Serve a"])
  })

  it("may have another attempt at once, when it closed the one of a backoff step", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.backoffEnded()
    pool.decided()
    pool.recycle(true)
    assert.deepStrictEqual(pool.decided(), ["Close 2: recycled", "Open 3"])
  })

  it("ends the leases of a shared connection together, and closes it once", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    pool.borrow()
    pool.borrow()
    pool.recycle(true)
    assert.deepStrictEqual([pool.decided(), pool.ledger.counters.released], [["Close 1: recycled"], 2])
  })
})
