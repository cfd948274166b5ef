/** The engine reads no clock. It says when it wants to be told the time, and that is when something is due. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver } from "../support/EngineDriver.ts"

describe("the time at which the engine wants to be woken", () => {
  it("is never, when there is nothing to look after", () => {
    assert.strictEqual(EngineDriver.withIdle(0).engine.wakeAt(), Infinity)
  })

  it("is the deadline of the first in line", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: 500 })
    pool.wait("a")
    pool.pass(100)
    pool.wait("b")
    assert.strictEqual(pool.engine.wakeAt(), 500)
  })

  it("is the next look at the old end, while there are connections", () => {
    assert.strictEqual(EngineDriver.withIdle(1).engine.wakeAt(), 1000)
  })

  it("is a second later after each look", () => {
    const pool = EngineDriver.withIdle(1)
    pool.advance(1300)
    assert.strictEqual(pool.engine.wakeAt(), 2300)
  })

  it("is the next warmup batch, while one is missing", () => {
    const pool = new EngineDriver({ minConnections: 2, warmupBatchSize: 1, warmupDelay: 100 })
    pool.start()
    pool.pass(50)
    pool.carryOut()
    assert.strictEqual(pool.engine.wakeAt(), 150)
  })

  it("is not the next warmup batch while the last is under way", () => {
    const pool = new EngineDriver({ minConnections: 2, warmupBatchSize: 1, warmupDelay: 100 })
    pool.start()
    assert.strictEqual(pool.engine.wakeAt(), 1000)
  })

  it("is not the next warmup batch while there is no room for it: time alone makes none", () => {
    const pool = EngineDriver.withIdle(1, { minConnections: 1, maxConnections: 1 })
    pool.advance(200)
    pool.invalidate(1)
    assert.strictEqual(pool.engine.wakeAt(), 1000)
  })

  it("is not the next warmup batch during an outage: that has its own steps", () => {
    const pool = new EngineDriver({ minConnections: 2, warmupDelay: 100 })
    pool.start()
    pool.decided()
    pool.openFailed(1)
    pool.openFailed(2)
    pool.carryOut()
    assert.strictEqual(pool.engine.wakeAt(), Infinity)
  })

  it("is the end of unavailableAfter, when nothing is usable", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity, unavailableAfter: 30_000 })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    assert.strictEqual(pool.engine.wakeAt(), 30_000)
  })

  it("is never, once the pool drains", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    pool.drain()
    assert.strictEqual(pool.engine.wakeAt(), Infinity)
  })
})
