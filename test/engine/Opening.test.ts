/** The planner opens what is missing and no more: for those who wait, then for the minimum, inside the limits. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("connections for those who wait", () => {
  it("opens one for each", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2"])
  })

  it("lends the one that opens to the first in line, whoever it was opened for", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.wait("b")
    pool.decided()
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("opens nothing for a waiter that a connection under way will serve", () => {
    const pool = new EngineDriver({ minConnections: 2 })
    pool.start()
    pool.decided()
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("opens no more than maxConnecting at once", () => {
    const pool = EngineDriver.withIdle(0, { maxConnecting: 2 })
    for (const name of ["a", "b", "c", "d"]) pool.wait(name)
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2"])
  })

  it("opens the next when one of maxConnecting has opened", () => {
    const pool = EngineDriver.withIdle(0, { maxConnecting: 2 })
    for (const name of ["a", "b", "c", "d"]) pool.wait(name)
    pool.decided()
    pool.opened(1)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Open 3"])
  })

  it("opens no more than maxConnections, whoever waits", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 2 })
    pool.borrow()
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("keeps a connection whose waiter has left", () => {
    const pool = EngineDriver.withIdle(0)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.opened(1)
    assert.deepStrictEqual([pool.decided(), pool.lease()?.connection.id], [[], 1])
  })

  it("opens no other for the next waiter while the one of a waiter that left is under way", () => {
    const pool = EngineDriver.withIdle(0)
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("counts a connection as created when it has opened", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.wait("b")
    pool.decided()
    pool.opened(1)
    assert.strictEqual(pool.ledger.counters.created, 1)
  })
})

describe("a connection that is closing", () => {
  it("keeps its place until its finalizer has ended", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    pool.invalidate(1)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
  })

  it("gives its place to those who wait as soon as its finalizer has ended", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    pool.invalidate(1)
    pool.wait("a")
    pool.decided()
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("counts as closed when its finalizer has ended", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    pool.decided()
    const before = pool.ledger.counters.closed
    pool.closed(1)
    assert.deepStrictEqual([before, pool.ledger.counters.closed], [0, 1])
  })

  it("ends once", () => {
    const pool = EngineDriver.withIdle(2)
    pool.invalidate(1)
    pool.decided()
    pool.closed(1)
    const before = pool.snapshot()
    pool.closed(1)
    assert.deepStrictEqual(pool.snapshot(), before)
  })
})

describe("the minimum", () => {
  it("opens when the pool starts", () => {
    const pool = new EngineDriver({ minConnections: 3 })
    pool.start()
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2", "Open 3"])
  })

  it("makes the pool ready with its first connection, not before", () => {
    const pool = new EngineDriver({ minConnections: 2 })
    pool.start()
    pool.decided()
    assert.strictEqual(pool.ledger.state, "starting")
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("makes the pool ready once, not with every connection", () => {
    const pool = new EngineDriver({ minConnections: 2 })
    pool.start()
    pool.decided()
    pool.opened(2)
    pool.opened(1)
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Warming 2 of 2"])
  })

  it("says how far it is, even if no connection of a batch has opened", () => {
    const pool = new EngineDriver({ minConnections: 2 })
    pool.start()
    pool.decided()
    pool.openFailed(1)
    pool.openFailed(2)
    assert.include(pool.decided(), "Warming 0 of 2")
  })

  it("leaves a pool that has none ready at once, with nothing open", () => {
    const pool = new EngineDriver({ minConnections: 0 })
    pool.start()
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("opens in batches", () => {
    const pool = new EngineDriver({ minConnections: 5, warmupBatchSize: 2 })
    pool.start()
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2"])
  })

  it("opens the next batch when warmupDelay has passed since the last settled", () => {
    const pool = new EngineDriver({ minConnections: 5, warmupBatchSize: 2, warmupDelay: 100 })
    pool.start()
    pool.pass(30)
    pool.carryOut()
    pool.advance(99)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Open 3", "Open 4"])
  })

  it("opens no batch while a connection of the last one is under way", () => {
    const pool = new EngineDriver({ minConnections: 5, warmupBatchSize: 2, warmupDelay: 100 })
    pool.start()
    pool.decided()
    pool.opened(1)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("opens no more than is missing with the last batch", () => {
    const pool = new EngineDriver({ minConnections: 3, warmupBatchSize: 2, warmupDelay: 100 })
    pool.start()
    pool.carryOut()
    pool.advance(100)
    assert.deepStrictEqual(pool.decided(), ["Open 3"])
  })

  it("does not keep those who wait until the next batch", () => {
    const pool = new EngineDriver({ minConnections: 5, warmupBatchSize: 1, warmupDelay: 100 })
    pool.start()
    pool.carryOut()
    pool.borrow()
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("is restored when a connection is closed", () => {
    const pool = EngineDriver.withIdle(2, { minConnections: 2 })
    pool.advance(100)
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated", "Open 3"])
  })

  it("is not restored past maxConnections while the one before is still closing", () => {
    const pool = EngineDriver.withIdle(1, { minConnections: 1, maxConnections: 1 })
    pool.advance(100)
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("is not opened beyond by connections that close above it", () => {
    const pool = EngineDriver.withIdle(3, { minConnections: 2 })
    pool.advance(100)
    pool.invalidate(1)
    assert.deepStrictEqual(pool.decided(), ["Close 1: invalidated"])
  })
})
