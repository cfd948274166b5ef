/** A paused pool lends, opens, checks and retires nothing; borrowers finish, and afterwards it goes on where it was. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions } from "../support/EngineDriver.ts"

const paused = (count: number, options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = EngineDriver.withIdle(count, options)
  pool.pause()
  pool.decided()
  return pool
}

/** A pool that has been without a connection for longer than it bears. */
const unavailable = (): EngineDriver => {
  const pool = EngineDriver.withIdle(0, { acquireTimeout: 60_000, unavailableAfter: 1000 })
  pool.wait("first")
  pool.decided()
  pool.openFailed(1)
  pool.carryOut()
  pool.advance(1000)
  assert.deepStrictEqual(pool.decided(), ["Changed unavailable", "Refuse first: unavailable"])
  return pool
}

describe("a paused pool", () => {
  it("says that it is", () => {
    const pool = EngineDriver.withIdle(1)
    pool.pause()
    assert.deepStrictEqual(pool.decided(), ["Changed paused"])
  })

  it("lends nothing that rests", () => {
    assert.isUndefined(paused(1).lease())
  })

  it("lends no room on a connection that is shared", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    pool.borrow()
    pool.pause()
    assert.isUndefined(pool.lease())
  })

  it("opens nothing for those who wait", () => {
    const pool = paused(0)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("opens nothing for the minimum", () => {
    const pool = paused(1, { minConnections: 1 })
    pool.invalidate(1)
    pool.advance(60_000)
    assert.deepStrictEqual(pool.carryOut(), ["Close 1: invalidated"])
  })

  it("checks nothing, neither for those who wait nor in the background", () => {
    const pool = paused(3, { checkAfterIdle: 500, healthCheckInterval: 1000 })
    pool.wait("a")
    pool.advance(2000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("retires nothing", () => {
    const pool = paused(2, { idleTimeout: 1000, maxLifetime: 2000 })
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("lets borrowers finish, and has their connections rest", () => {
    const pool = EngineDriver.withIdle(1)
    const loan = pool.borrow()
    pool.pause()
    pool.wait("a")
    pool.release(loan)
    assert.deepStrictEqual([pool.decided(), loan.connection.state], [["Changed paused"], "idle"])
  })

  it("keeps the room that a borrower leaves for afterwards", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    const loan = pool.borrow()
    pool.borrow()
    pool.pause()
    pool.wait("a")
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Changed paused"])
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Serve a"])
  })

  it("lets those take what they were served before", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.release(loan)
    pool.pause()
    assert.strictEqual(pool.takeLoan(waiter).connection, loan.connection)
  })

  it("keeps a connection that was being opened", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.pause()
    pool.opened(1)
    assert.deepStrictEqual([pool.decided(), pool.connection(1).state], [["Changed paused"], "idle"])
  })

  it("is woken for the deadlines of those who wait, and for nothing else", () => {
    const pool = paused(1, { acquireTimeout: 5000, idleTimeout: 1000 })
    assert.strictEqual(pool.engine.wakeAt(), Infinity)
    pool.wait("a")
    assert.strictEqual(pool.engine.wakeAt(), 5000)
  })

  it("closes like any other", () => {
    const pool = paused(1)
    pool.wait("a")
    pool.drain()
    assert.deepStrictEqual(pool.carryOut(), [
      "Changed draining",
      "Refuse a: closed",
      "Close 1: poolClosed",
      "Changed closed"
    ])
  })

  it("is paused once, however often it is asked", () => {
    const pool = paused(1)
    pool.pause()
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("cannot be one that is closing", () => {
    const pool = EngineDriver.withIdle(1)
    pool.drain()
    pool.pause()
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed draining", "Close 1: poolClosed"])
  })
})

describe("an acquire while the pool is paused", () => {
  it("waits, inside its deadline", () => {
    const pool = paused(1, { acquireTimeout: 5000 })
    pool.wait("a")
    pool.advance(4999)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: timeout"])
  })

  it("fails, if acquires are to fail", () => {
    const pool = EngineDriver.withIdle(1)
    pool.pause(true)
    assert.strictEqual(pool.wait("a").refusal, "paused")
  })

  it("fails, if it waits already when acquires are to fail", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    pool.borrow()
    pool.wait("a")
    pool.pause(true)
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Refuse a: paused"])
  })

  it("fails from when a second request says so", () => {
    const pool = paused(1)
    pool.wait("a")
    pool.pause(true)
    assert.deepStrictEqual(pool.decided(), ["Refuse a: paused"])
  })

  it("waits from when a second request says so", () => {
    const pool = EngineDriver.withIdle(1)
    pool.pause(true)
    pool.pause(false)
    assert.isUndefined(pool.wait("a").refusal)
  })

  it("counts as refused", () => {
    const pool = EngineDriver.withIdle(1)
    pool.pause(true)
    pool.wait("a")
    const { refused, shed, timedOut } = pool.ledger.counters
    assert.deepStrictEqual({ refused, shed, timedOut }, { refused: 1, shed: 0, timedOut: 0 })
  })

  it("still finds the line full", () => {
    const pool = paused(1, { maxConnections: 1, maxWaiting: 0 })
    pool.wait("a")
    assert.strictEqual(pool.wait("b").refusal, "overloaded")
  })
})

describe("a pool that is resumed", () => {
  it("says so", () => {
    const pool = paused(1)
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("serves those who waited, in order", () => {
    const pool = paused(1, { maxConnections: 1 })
    pool.wait("a")
    pool.wait("b")
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Serve a"])
  })

  it("opens what is missing", () => {
    const pool = paused(1, { minConnections: 1 })
    pool.invalidate(1)
    pool.carryOut()
    pool.pass(1000)
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Open 2"])
  })

  it("lends as if acquires had never failed", () => {
    const pool = EngineDriver.withIdle(0)
    pool.pause(true)
    pool.resume()
    assert.isUndefined(pool.wait("a").refusal)
  })

  it("is one that was paused: any other takes no notice", () => {
    const pool = EngineDriver.withIdle(1)
    const before = pool.snapshot()
    pool.resume()
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("retires at its next look what grew old meanwhile", () => {
    const pool = paused(1, { idleTimeout: 1000 })
    pool.advance(60_000)
    pool.resume()
    pool.decided()
    pool.tick()
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
  })
})

describe("a pool that is paused while it starts", () => {
  it("is starting again afterwards, if nothing has opened", () => {
    const pool = new EngineDriver({ minConnections: 1 })
    pool.start()
    pool.decided()
    pool.pause()
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Changed starting"])
    pool.opened(1)
    assert.include(pool.decided(), "Changed ready")
  })

  it("is ready afterwards, if a connection opened meanwhile", () => {
    const pool = new EngineDriver({ minConnections: 1 })
    pool.start()
    pool.decided()
    pool.pause()
    pool.opened(1)
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Warming 1 of 1", "Changed ready"])
  })
})

describe("a pool that is paused during an outage", () => {
  it("makes its attempt when it is resumed, if the backoff step has ended meanwhile", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.pause()
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Changed paused"])
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Open 2"])
  })

  it("does not call itself unavailable, as long as nobody may look", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity, unavailableAfter: 1000 })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.pause()
    pool.decided()
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("has the failure of an attempt that was under way asked about as always", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.pause()
    pool.openFailed(1, "permanent")
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Backoff permanent", "Close 1: connectFailed"])
  })

  it("opens nothing until it is resumed, though the outage ends", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.backoffEnded()
    pool.decided()
    pool.pause()
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Changed paused"])
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed ready", "Serve a"])
  })
})

describe("a pool that is paused while it is unavailable", () => {
  it("has acquires wait again", () => {
    const pool = unavailable()
    pool.pause()
    assert.isUndefined(pool.wait("a").refusal)
  })

  it("is unavailable again when it is resumed before anything has changed", () => {
    const pool = unavailable()
    pool.pause()
    pool.wait("a")
    pool.resume()
    assert.deepStrictEqual(pool.decided(), [
      "Changed paused",
      "Changed ready",
      "Changed unavailable",
      "Refuse a: unavailable"
    ])
  })

  it("is ready when it is resumed after a connection has opened", () => {
    const pool = unavailable()
    pool.backoffEnded()
    pool.decided()
    pool.pause()
    pool.wait("a")
    pool.opened(2)
    pool.resume()
    assert.deepStrictEqual(pool.decided(), ["Changed paused", "Changed ready", "Serve a"])
  })
})

describe("what looks like a deadlock", () => {
  it("has its time anew after a pause: nobody could let go and be seen meanwhile", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    loan.lease.holder = "parent"
    const first = pool.wait("a", { held: [loan], holder: "child" })
    pool.decided()
    pool.pause()
    pool.cancel(first)
    pool.pass(1000)
    pool.wait("b", { held: [loan], holder: "child" })
    pool.resume()
    pool.advance(249)
    assert.notInclude(pool.decided(), "Refuse b: deadlock")
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Refuse b: deadlock"])
  })
})
