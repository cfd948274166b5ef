/** Connections end of age, of use and of idleness: a few at a time, from the cold end, and never while they are lent. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions } from "../support/EngineDriver.ts"

describe("maxUses", () => {
  it("retires a connection with the end of its last lease", () => {
    const pool = EngineDriver.withIdle(1, { maxUses: 2 })
    pool.release(pool.borrow())
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(pool.borrow())
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxUses"])
  })

  it("spares the reset of a connection that it retires", () => {
    const pool = EngineDriver.withIdle(1, { maxUses: 1 })
    pool.release(pool.borrow(), "dirty")
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxUses"])
  })

  it("opens another for the one who would have been next", () => {
    const pool = EngineDriver.withIdle(1, { maxUses: 1 })
    const loan = pool.borrow()
    pool.cancel(pool.wait("a"))
    pool.wait("b")
    pool.decided()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxUses"])
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Serve b"])
  })
})

describe("maxLifetime", () => {
  it("ends a lease-free connection's life at its time, not before", () => {
    const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000 })
    pool.advance(59_999)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime"])
  })

  it("keeps a connection from being lent from then on, though nobody has looked since", () => {
    const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000 })
    pool.pass(60_000)
    assert.isUndefined(pool.lease())
  })

  it("closes it for the one who waits, and opens another", () => {
    const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000 })
    pool.pass(60_000)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime", "Open 2"])
  })

  it("waits for the end of a lease", () => {
    const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000 })
    const loan = pool.borrow()
    pool.advance(120_000)
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime"])
  })

  it("closes after its reset a connection that grew too old meanwhile", () => {
    const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000 })
    pool.release(pool.borrow(), "dirty")
    pool.decided()
    pool.pass(60_000)
    pool.resetDone(1, true)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime"])
  })

  it("is shortened by up to a quarter, and never lengthened", () => {
    const expiries = [0, 0.5, 1].map((random) => {
      const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000, random: () => random })
      return pool.connection(1).retireAt
    })
    assert.deepStrictEqual(expiries, [60_000, 52_500, 45_000])
  })

  it("is drawn for each connection", () => {
    const draws = [0, 1]
    const pool = EngineDriver.withIdle(2, { maxLifetime: 60_000, random: () => draws.shift() ?? 0 })
    assert.notStrictEqual(pool.connection(1).retireAt, pool.connection(2).retireAt)
  })

  it("begins when the connection has opened", () => {
    const pool = EngineDriver.withIdle(0, { maxLifetime: 60_000 })
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.pass(3000)
    pool.opened(1)
    assert.strictEqual(pool.connection(1).expiresAt, 63_000)
  })

  it("replaces what it takes from the minimum", () => {
    const pool = EngineDriver.withIdle(1, { maxLifetime: 60_000, minConnections: 1 })
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime", "Open 2"])
  })
})

describe("idleTimeout", () => {
  it("retires a connection that nobody has needed for so long, not before", () => {
    const pool = EngineDriver.withIdle(1, { idleTimeout: 60_000 })
    pool.advance(59_999)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
  })

  it("begins anew with every return", () => {
    const pool = EngineDriver.withIdle(1, { idleTimeout: 60_000 })
    const loan = pool.borrow()
    pool.pass(30_000)
    pool.release(loan)
    pool.advance(59_999)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("takes from the cold end", () => {
    const pool = EngineDriver.withIdle(3, { idleTimeout: 60_000 })
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
  })

  it("leaves the minimum", () => {
    const pool = EngineDriver.withIdle(2, { idleTimeout: 60_000, minConnections: 2 })
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("leaves the minimum when it may retire several at once", () => {
    const options = { idleTimeout: 60_000, minConnections: 29, maxConnections: 30, maxConnecting: 30 }
    const pool = EngineDriver.withIdle(30, { ...options, warmupBatchSize: 30 })
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
  })

  it("counts connections that are lent towards the minimum, and those that are closing not", () => {
    const pool = EngineDriver.withIdle(3, { idleTimeout: 60_000, minConnections: 2 })
    pool.borrow()
    const closed: Array<string> = []
    for (let look = 0; look < 5; look++) {
      pool.advance(60_000)
      closed.push(...pool.decided())
    }
    assert.deepStrictEqual(closed, ["Close 1: idleTimeout"])
  })
})

describe("looking after the old end", () => {
  it("happens once a second, however often the clock is looked at", () => {
    const pool = EngineDriver.withIdle(5, { idleTimeout: 1000 })
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
    pool.advance(999)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Close 2: idleTimeout"])
  })

  it("retires no more than a tenth of the pool at once", () => {
    const pool = EngineDriver.withIdle(30, { idleTimeout: 60_000, maxConnections: 30, maxConnecting: 30 })
    pool.advance(60_000)
    assert.deepStrictEqual(
      pool.decided(),
      [1, 2, 3].map((id) => `Close ${id}: idleTimeout`)
    )
  })

  it("retires one at least, however small the pool", () => {
    const pool = EngineDriver.withIdle(2, { maxLifetime: 60_000 })
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime"])
  })

  it("passes by what is not due, to what is", () => {
    const draws = [0, 1]
    const pool = EngineDriver.withIdle(2, { maxLifetime: 60_000, random: () => draws.shift() ?? 0 })
    pool.advance(50_000)
    assert.deepStrictEqual(pool.decided(), ["Close 2: maxLifetime"])
  })
})

describe("the check in the background", () => {
  /** Idle connections that have rested for exactly one interval. */
  const rested = (count: number, options: Partial<EngineOptions> = {}): EngineDriver => {
    const pool = EngineDriver.withIdle(count, { healthCheckInterval: 30_000, checkAfterIdle: 500, ...options })
    pool.advance(30_000)
    return pool
  }

  it("begins with the coldest, two at a time", () => {
    assert.deepStrictEqual(rested(4).decided(), ["Check 1", "Check 2"])
  })

  it("leaves one for callers", () => {
    assert.deepStrictEqual(rested(2).decided(), ["Check 1"])
  })

  it("takes none from a pool that has one", () => {
    assert.deepStrictEqual(rested(1).decided(), [])
  })

  it("goes on with the next when the first are done", () => {
    const pool = rested(4)
    pool.decided()
    pool.checked(1, true)
    pool.checked(2, true)
    assert.deepStrictEqual(pool.decided(), ["Check 3", "Check 4"])
  })

  it("begins no more while two are under way", () => {
    const pool = rested(4)
    pool.decided()
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("spares those that were used or proven within the interval", () => {
    const pool = EngineDriver.withIdle(3, { healthCheckInterval: 30_000, checkAfterIdle: 500 })
    pool.advance(30_000)
    pool.carryOut()
    pool.advance(1000)
    pool.carryOut()
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("puts a connection back at the cold end: that it lives does not mean that it is needed", () => {
    const pool = EngineDriver.withIdle(3, { healthCheckInterval: 30_000, checkAfterIdle: 500 })
    pool.pass(10)
    pool.release(pool.borrow())
    pool.advance(29_990)
    assert.deepStrictEqual(pool.carryOut(), ["Check 1", "Check 2"])
    assert.strictEqual(pool.ledger.idle.warmest?.id, 3)
  })

  it("does not begin the idle time anew", () => {
    const pool = rested(2, { idleTimeout: 31_000 })
    pool.decided()
    pool.checked(1, true)
    pool.pass(1000)
    pool.checked(2, true)
    pool.tick()
    assert.include(pool.decided(), "Close 2: idleTimeout")
  })

  it("does not end a rest: the check before the next lease is due as before", () => {
    const pool = rested(2, { maxConnections: 2 })
    pool.carryOut()
    pool.wait("a")
    pool.wait("b")
    assert.sameMembers(pool.decided(), ["Check 2", "Check 1"])
  })

  it("closes what has died, and makes the others suspect", () => {
    const pool = rested(2, { checkAfterIdle: Infinity })
    pool.decided()
    pool.checked(1, false)
    assert.deepStrictEqual([pool.decided(), pool.lease()], [["Close 1: checkFailed"], undefined])
  })

  it("serves the one who waits with what it has proven", () => {
    const pool = rested(2, { maxConnections: 2 })
    pool.decided()
    pool.wait("a")
    pool.checked(1, true)
    assert.include(pool.decided(), "Serve a")
  })

  it("keeps nobody waiting who can have the one that still rests", () => {
    const pool = rested(3, { maxConnections: 3 })
    assert.deepStrictEqual(pool.decided(), ["Check 1", "Check 2"])
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Check 3"])
  })

  it("has a connection that went from it to a borrower return to the warm end", () => {
    const pool = rested(2, { maxConnections: 2, checkAfterIdle: Infinity })
    const other = pool.borrow()
    const waiter = pool.wait("a")
    pool.carryOut()
    pool.release(other)
    pool.release(pool.takeLoan(waiter))
    assert.strictEqual(pool.ledger.idle.warmest?.id, 1)
  })

  it("does not happen where the connector cannot check", () => {
    assert.deepStrictEqual(rested(4, { canCheck: false }).decided(), [])
  })
})

describe("many connections whose end has come at once", () => {
  /** Ten connections that are all past the jittered end of their lives, and not past the whole of it. */
  const tenOld = (options: Partial<EngineOptions> = {}): EngineDriver => {
    const pool = EngineDriver.withIdle(10, { maxLifetime: 60_000, maxConnecting: 10, random: () => 1, ...options })
    pool.pass(50_000)
    return pool
  }

  it("go a few a second", () => {
    const pool = tenOld()
    pool.tick()
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime"])
    pool.advance(999)
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), ["Close 2: maxLifetime"])
  })

  it("are lent meanwhile, and go on being lent when this second's have gone", () => {
    const pool = tenOld()
    pool.tick()
    pool.decided()
    const loan = pool.borrow()
    pool.release(loan)
    assert.deepStrictEqual([pool.decided(), loan.connection.state], [[], "idle"])
  })

  it("go when they come back, if this second's have not gone yet", () => {
    const pool = tenOld()
    pool.release(pool.borrow())
    pool.release(pool.borrow())
    assert.deepStrictEqual(pool.decided(), ["Close 10: maxLifetime"])
  })

  it("are not lent once the whole of their lifetime has passed, however many have gone", () => {
    const pool = tenOld()
    pool.pass(10_000)
    pool.wait("a")
    assert.strictEqual(pool.decided().filter((word) => word.endsWith("maxLifetime")).length, 10)
  })

  it("count for their turn with those that nobody needs", () => {
    const pool = tenOld({ idleTimeout: 50_000, maxLifetime: Infinity })
    pool.tick()
    pool.release(pool.borrow())
    assert.deepStrictEqual(pool.decided(), ["Close 1: idleTimeout"])
  })

  it("stay while connects fail", () => {
    const pool = tenOld({ maxConnections: 11 })
    const loans = Array.from({ length: 10 }, () => pool.borrow())
    pool.wait("a")
    pool.decided()
    pool.openFailed(11)
    pool.carryOut()
    pool.advance(30_000)
    for (const loan of loans) pool.release(loan)
    assert.isFalse(pool.decided().some((word) => word.startsWith("Close")))
  })
})

describe("maxUses during an outage", () => {
  it("waits: an old connection is better than none", () => {
    const pool = EngineDriver.withIdle(1, { maxUses: 1, maxConnections: 2 })
    const loan = pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })
})

describe("the replacement of a connection whose end is near", () => {
  /** A minimum of two, of which the first ends at a minute, and the second long after. */
  const nearEnd = (options: Partial<EngineOptions> = {}): EngineDriver => {
    const draws = [1, 0]
    const pool = EngineDriver.withIdle(2, {
      maxLifetime: 80_000,
      minConnections: 2,
      random: () => draws.shift() ?? 0,
      ...options
    })
    pool.pass(200)
    return pool
  }

  it("is opened ahead of it", () => {
    const pool = nearEnd()
    pool.pass(56_799)
    pool.tick()
    assert.deepStrictEqual(pool.decided(), [])
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Open 3"])
  })

  it("is opened once", () => {
    const pool = nearEnd()
    pool.pass(57_000)
    pool.tick()
    pool.carryOut()
    pool.advance(1000)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("leaves the connection to be lent until its end, which then needs no other", () => {
    const pool = nearEnd()
    pool.pass(57_000)
    pool.tick()
    pool.carryOut()
    assert.strictEqual(pool.ledger.idle.length, 3)
    pool.advance(3000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: maxLifetime"])
    assert.deepStrictEqual([pool.ledger.kept, pool.ledger.leaving], [2, 0])
  })

  it("is opened ahead of the end of its uses", () => {
    const pool = EngineDriver.withIdle(1, { maxUses: 20, minConnections: 1 })
    pool.pass(200)
    for (let use = 0; use < 18; use++) pool.release(pool.borrow())
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
    pool.release(pool.borrow())
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("is not opened where no minimum is to be kept up", () => {
    const pool = nearEnd({ minConnections: 0 })
    pool.pass(57_000)
    pool.tick()
    assert.deepStrictEqual([pool.decided(), pool.ledger.leaving], [[], 0])
  })

  it("is not opened beyond the limit", () => {
    const pool = nearEnd({ maxConnections: 2 })
    pool.pass(57_000)
    pool.tick()
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("is not opened for what closes already", () => {
    const pool = nearEnd({ minConnections: 1 })
    pool.invalidate(1)
    pool.decided()
    pool.pass(57_000)
    pool.tick()
    assert.deepStrictEqual([pool.decided(), pool.ledger.leaving], [[], 0])
  })

  it("is not opened for what has not opened yet", () => {
    const pool = nearEnd({ maxUses: 0.5, maxLifetime: Infinity, minConnections: 1 })
    pool.borrow()
    pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.advance(60_000)
    assert.isFalse(pool.connection(3).isLeaving)
  })

  it("is not opened for a pool without an end to any life", () => {
    const pool = nearEnd({ maxLifetime: Infinity })
    pool.advance(600_000)
    assert.strictEqual(pool.ledger.leaving, 0)
  })
})
