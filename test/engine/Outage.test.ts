/** While the server is down there is one prober, whoever waits, and nobody waits for longer than it makes sense. */
import { assert, describe, it } from "@effect/vitest"
import { EngineDriver, type EngineOptions } from "../support/EngineDriver.ts"

/** A pool with one waiter, whose connect has failed: number 1, closed again. */
const inOutage = (options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity, ...options })
  pool.wait("a")
  pool.decided()
  pool.openFailed(1)
  pool.decided()
  pool.closed(1)
  return pool
}

/** A pool that has been ready and has lost its only connection: number 2 was to replace it and failed, at time 0. */
const withoutConnection = (options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = EngineDriver.withIdle(1, { acquireTimeout: Infinity, warmupDelay: 0, minConnections: 1, ...options })
  pool.invalidate(1)
  pool.decided()
  pool.openFailed(2)
  pool.carryOut()
  return pool
}

/** The same, 30 seconds later. */
const unavailable = (options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = withoutConnection({ unavailableAfter: 30_000, ...options })
  pool.advance(30_000)
  pool.decided()
  return pool
}

describe("a connect that fails", () => {
  it("asks the retry schedule, with the kind of its failure, and closes what it left", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.decided()
    pool.openFailed(1, "permanent")
    assert.deepStrictEqual(pool.decided(), ["Backoff permanent", "Close 1: connectFailed"])
  })

  it("counts as failed, and not as created", () => {
    const { connectFailures, created } = inOutage().ledger.counters
    assert.deepStrictEqual({ connectFailures, created }, { connectFailures: 1, created: 0 })
  })

  it("is not counted among the closed: it was never open", () => {
    assert.strictEqual(inOutage().ledger.counters.closed, 0)
  })

  it("asks the retry schedule once, however many fail together", () => {
    const pool = EngineDriver.withIdle(0)
    for (const name of ["a", "b", "c"]) pool.wait(name)
    pool.decided()
    const decided: Array<string> = []
    for (const id of [1, 2, 3]) {
      pool.openFailed(id)
      decided.push(...pool.decided())
    }
    assert.deepStrictEqual(
      decided.filter((decision) => decision.startsWith("Backoff")),
      ["Backoff transient"]
    )
  })

  it("keeps its waiter waiting", () => {
    assert.strictEqual(inOutage().ledger.waiting, 1)
  })
})

describe("probing", () => {
  it("opens nothing during a backoff step, whoever comes", () => {
    const pool = inOutage()
    for (const name of ["b", "c", "d"]) pool.wait(name)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("opens one connection at the end of the step, whoever waits", () => {
    const pool = inOutage()
    for (const name of ["b", "c", "d"]) pool.wait(name)
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("opens no other while that one is under way", () => {
    const pool = inOutage()
    pool.backoffEnded()
    pool.decided()
    for (const name of ["b", "c", "d"]) pool.wait(name)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("takes the next step when the probe has failed", () => {
    const pool = inOutage()
    pool.backoffEnded()
    pool.decided()
    pool.openFailed(2, "overloaded")
    assert.deepStrictEqual(pool.decided(), ["Backoff overloaded", "Close 2: connectFailed"])
  })

  it("sends one probe for each step of a long outage, and counts them", () => {
    const pool = inOutage()
    const probes: Array<string> = []
    for (let step = 0; step < 20; step++) {
      pool.wait(`w${step}`)
      pool.backoffEnded()
      const decided = pool.decided()
      probes.push(...decided)
      pool.openFailed(step + 2)
      pool.carryOut()
    }
    assert.deepStrictEqual(
      [probes, pool.ledger.counters.retries],
      [Array.from({ length: 20 }, (_, step) => `Open ${step + 2}`), 20]
    )
  })

  it("sends none when nobody needs a connection", () => {
    const pool = EngineDriver.withIdle(0)
    const waiter = pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.cancel(waiter)
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("sends it when somebody comes after the step has ended", () => {
    const pool = EngineDriver.withIdle(0)
    const waiter = pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.cancel(waiter)
    pool.backoffEnded()
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("sends it for the minimum, if nobody waits", () => {
    const pool = withoutConnection()
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Open 3"])
  })

  it("sends none in the place of a connection that is still closing", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 1 })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.decided()
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), [])
    pool.closed(1)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("knows when the next probe is due, from the schedule's answer to the end of the step", () => {
    const pool = inOutage()
    pool.backoffStarted(1500)
    const during = pool.ledger.outage?.nextProbeAt
    pool.backoffEnded()
    assert.deepStrictEqual([during, pool.ledger.outage?.nextProbeAt], [1500, undefined])
  })
})

describe("recovery", () => {
  it("comes with the probe that succeeds, which serves the first in line", () => {
    const pool = inOutage()
    pool.backoffEnded()
    pool.decided()
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("opens at once for all who still wait", () => {
    const pool = inOutage()
    for (const name of ["b", "c"]) pool.wait(name)
    pool.backoffEnded()
    pool.decided()
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Open 3", "Open 4"])
  })

  it("comes with a connect that began before the outage and succeeds", () => {
    const pool = EngineDriver.withIdle(0)
    pool.wait("a")
    pool.wait("b")
    pool.decided()
    pool.openFailed(1)
    pool.decided()
    pool.opened(2)
    assert.deepStrictEqual(pool.decided(), ["Serve a", "Open 3"])
  })

  it("leaves nothing to a backoff step that ends after it", () => {
    const pool = inOutage()
    pool.backoffEnded()
    pool.carryOut()
    const before = pool.snapshot()
    pool.backoffEnded()
    pool.backoffStarted(1000)
    assert.deepStrictEqual(pool.snapshot(), before)
  })

  it("lets the next outage begin with a step of its own", () => {
    const pool = inOutage()
    pool.wait("b")
    pool.backoffEnded()
    pool.decided()
    pool.opened(2)
    pool.decided()
    pool.openFailed(3)
    assert.deepStrictEqual(pool.decided(), ["Backoff transient", "Close 3: connectFailed"])
  })
})

describe("a probe that outlives its outage", () => {
  it("takes no step of the next one's schedule", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity })
    for (const name of ["a", "b", "c"]) pool.wait(name)
    pool.decided()
    pool.openFailed(1)
    pool.decided()
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Open 4"])
    pool.opened(2)
    pool.openFailed(3)
    assert.include(pool.decided(), "Backoff transient")
    pool.openFailed(4)
    assert.deepStrictEqual(pool.decided(), ["Close 4: connectFailed"])
  })
})

describe("a pool that is starting", () => {
  it("never becomes unavailable, however long the server is down", () => {
    const pool = new EngineDriver({ minConnections: 1, unavailableAfter: 30_000 })
    pool.start()
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.advance(3_600_000)
    assert.strictEqual(pool.ledger.state, "starting")
  })

  it("keeps those who wait until their own deadline", () => {
    const pool = new EngineDriver({ minConnections: 1, unavailableAfter: 30_000, acquireTimeout: 60_000 })
    pool.start()
    const waiter = pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.advance(59_999)
    assert.strictEqual(waiter.state, "waiting")
  })
})

describe("a pool that has no usable connection while every connect fails", () => {
  it("is ready until unavailableAfter has passed", () => {
    const pool = withoutConnection({ unavailableAfter: 30_000 })
    pool.advance(29_999)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("is unavailable from then on", () => {
    const pool = withoutConnection({ unavailableAfter: 30_000 })
    pool.advance(30_000)
    assert.deepStrictEqual(pool.decided(), ["Changed unavailable"])
  })

  it("refuses those who wait", () => {
    const pool = withoutConnection({ unavailableAfter: 30_000 })
    pool.wait("a")
    pool.wait("b")
    pool.advance(30_000)
    assert.deepStrictEqual(pool.decided(), ["Changed unavailable", "Refuse a: unavailable", "Refuse b: unavailable"])
  })

  it("refuses who comes", () => {
    assert.strictEqual(unavailable().wait("a").refusal, "unavailable")
  })

  it("counts from the first failure, not from the last", () => {
    const pool = withoutConnection({ unavailableAfter: 30_000 })
    pool.pass(20_000)
    pool.backoffEnded()
    pool.decided()
    pool.openFailed(3)
    pool.carryOut()
    pool.advance(10_000)
    assert.strictEqual(pool.ledger.state, "unavailable")
  })

  it("counts from the failure, however long there was no connection because nobody needed one", () => {
    const pool = EngineDriver.withIdle(0, { unavailableAfter: 30_000, acquireTimeout: Infinity })
    pool.pass(3_600_000)
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.advance(29_999)
    assert.strictEqual(pool.ledger.state, "ready")
  })

  it("counts from the loss of the last usable connection, if that came later", () => {
    const pool = EngineDriver.withIdle(1, { unavailableAfter: 30_000, acquireTimeout: Infinity })
    const loan = pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.pass(20_000)
    pool.release(loan, "broken")
    pool.carryOut()
    pool.advance(29_999)
    assert.strictEqual(pool.ledger.state, "ready")
    pool.advance(1)
    assert.strictEqual(pool.ledger.state, "unavailable")
  })

  it("is not unavailable while a lease is out", () => {
    const pool = EngineDriver.withIdle(1, { unavailableAfter: 30_000 })
    pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.advance(60_000)
    assert.strictEqual(pool.ledger.state, "ready")
  })

  it("is not unavailable while no connect has failed", () => {
    const pool = EngineDriver.withIdle(0, { unavailableAfter: 30_000 })
    pool.wait("a")
    pool.decided()
    pool.advance(60_000)
    assert.strictEqual(pool.ledger.state, "ready")
  })

  it("is unavailable no sooner because of an outage that is over", () => {
    const pool = withoutConnection({ unavailableAfter: 30_000 })
    pool.pass(20_000)
    pool.backoffEnded()
    pool.carryOut()
    pool.invalidate(3)
    pool.decided()
    pool.openFailed(4)
    pool.carryOut()
    pool.advance(20_000)
    assert.strictEqual(pool.ledger.state, "ready")
  })
})

describe("a pool that is unavailable", () => {
  it("goes on probing, though nobody may wait", () => {
    const pool = inOutage({ unavailableAfter: 30_000, minConnections: 0 })
    pool.advance(30_000)
    pool.decided()
    pool.backoffEnded()
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("is ready again with the first connection that opens", () => {
    const pool = unavailable()
    pool.backoffEnded()
    pool.decided()
    pool.opened(3)
    assert.deepStrictEqual(pool.decided(), ["Changed ready"])
  })

  it("lends again as soon as it is ready", () => {
    const pool = unavailable()
    pool.backoffEnded()
    pool.carryOut()
    assert.strictEqual(pool.lease()?.connection.id, 3)
  })

  it("says so once", () => {
    const pool = unavailable()
    pool.advance(30_000)
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("connections that are open during an outage", () => {
  it("are lent as before", () => {
    const pool = EngineDriver.withIdle(2)
    const loan = pool.borrow()
    pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(3)
    pool.decided()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })

  it("are not retired while they rest: an old one is better than none", () => {
    const pool = EngineDriver.withIdle(2, { idleTimeout: 5000, minConnections: 1 })
    const loans = [pool.borrow(), pool.borrow()]
    pool.cancel(pool.wait("a"))
    pool.decided()
    pool.openFailed(3)
    pool.carryOut()
    for (const loan of loans) pool.release(loan)
    pool.advance(60_000)
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("an outage that nobody needs to end", () => {
  it("keeps no connection from retiring", () => {
    const pool = EngineDriver.withIdle(2, { idleTimeout: 60_000, minConnections: 1 })
    const loans = [pool.borrow(), pool.borrow()]
    const waiter = pool.wait("a")
    pool.decided()
    pool.openFailed(3)
    pool.carryOut()
    pool.cancel(waiter)
    for (const loan of loans) pool.release(loan)
    pool.backoffEnded()
    pool.decided()
    pool.advance(3_600_000)
    assert.deepStrictEqual(pool.decided(), ["Close 2: idleTimeout"])
  })

  it("goes on when its probe is given up before it is open", () => {
    const pool = EngineDriver.withIdle(0, { acquireTimeout: Infinity })
    pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.carryOut()
    pool.backoffEnded()
    pool.decided()
    pool.invalidate(2)
    pool.openFailed(2)
    assert.include(pool.decided(), "Backoff transient")
  })
})

describe("while connects fail and more are needed", () => {
  it("an old connection is better than none", () => {
    const pool = EngineDriver.withIdle(1, { maxUses: 1, maxConnections: 2 })
    const loan = pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.carryOut()
    pool.decided()
    pool.release(loan)
    assert.deepStrictEqual(pool.decided(), ["Serve a"])
  })
})

describe("a server that takes connections and drops them", () => {
  /** Opens what is asked for, has it die at once, and gives what the pool makes of it. */
  const dropped = (pool: EngineDriver, id: number): ReadonlyArray<string> => {
    pool.opened(id)
    pool.died(id)
    pool.closed(id)
    return pool.decided().filter((decision) => !/^(Close|Changed)/.test(decision))
  }

  it("is given up after three, and asked again by the schedule", () => {
    const pool = new EngineDriver({ minConnections: 1, warmupDelay: 0 })
    pool.start()
    pool.decided()
    assert.deepStrictEqual(dropped(pool, 1), ["Warming 1 of 1", "Open 2"])
    assert.deepStrictEqual(dropped(pool, 2), ["Open 3"])
    assert.deepStrictEqual(dropped(pool, 3), ["Backoff transient"])
    pool.backoffEnded()
    pool.decided()
    assert.deepStrictEqual(dropped(pool, 4), ["Backoff transient"])
  })

  it("starts the schedule afresh when the outage before was over for a second", () => {
    for (const [after, isAfresh] of [
      [999, false],
      [1000, true]
    ] as const) {
      const pool = inOutage({ maxConnecting: 1 })
      pool.wait("b")
      pool.backoffEnded()
      pool.decided()
      pool.opened(2)
      pool.decided()
      pool.pass(after)
      pool.openFailed(3)
      assert.include(pool.decided(), "Backoff transient")
      assert.strictEqual(pool.startedOver, isAfresh)
    }
  })
})

describe("connections that die one after the other", () => {
  it("are no failed attempts if they have lived", () => {
    const pool = EngineDriver.withIdle(4)
    pool.pass(1000)
    for (const id of [1, 2, 3, 4]) pool.died(id)
    assert.isUndefined(pool.ledger.outage)
  })
})

describe("a backoff step of an outage that has ended", () => {
  it("asks for nothing when it ends", () => {
    const pool = EngineDriver.withIdle(1)
    const before = pool.snapshot()
    pool.backoffEnded()
    assert.deepStrictEqual([pool.snapshot(), pool.decided()], [before, []])
  })
})

describe("the second failure of an outage", () => {
  it("goes on with the schedule, though things have never been better", () => {
    const pool = inOutage()
    pool.backoffEnded()
    pool.decided()
    pool.openFailed(2)
    assert.include(pool.decided(), "Backoff transient")
    assert.isFalse(pool.startedOver)
  })
})

describe("an outage in which a probe has become due that nobody needs", () => {
  it("makes no pool unavailable: nobody has looked", () => {
    const pool = EngineDriver.withIdle(0, { unavailableAfter: 1000 })
    const waiter = pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.cancel(waiter)
    pool.carryOut()
    pool.backoffEnded()
    pool.advance(5000)
    assert.strictEqual(pool.ledger.state, "ready")
  })
})

describe("a connection that died in use", () => {
  it("is no reason to call the pool available", () => {
    const pool = EngineDriver.withIdle(1, { unavailableAfter: 1000, acquireTimeout: Infinity })
    pool.borrow()
    pool.died(1)
    pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.decided()
    pool.advance(1000)
    assert.include(pool.decided(), "Changed unavailable")
  })
})

describe("a probe that is made long after it was due", () => {
  it("has its chance before the pool is called unavailable", () => {
    const pool = EngineDriver.withIdle(0)
    const first = pool.wait("a")
    pool.decided()
    pool.openFailed(1)
    pool.closed(1)
    pool.cancel(first)
    pool.advance(1000)
    pool.backoffEnded()
    pool.advance(3_600_000)
    pool.decided()
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
    assert.isAbove(pool.engine.wakeAt(), pool.now)
    pool.advance(1)
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("connections that died young long ago", () => {
  it("do not make a recovery slow", () => {
    const pool = EngineDriver.withIdle(3, { maxConnections: 10, canCheck: false })
    for (const id of [1, 2]) pool.died(id)
    pool.carryOut()
    pool.advance(3_600_000)
    const loan = pool.borrow()
    for (const name of ["a", "b", "c", "d", "e", "f"]) pool.wait(name)
    pool.decided()
    for (const id of [4, 5, 6, 7, 8]) pool.openFailed(id)
    pool.carryOut()
    pool.backoffEnded()
    pool.decided()
    pool.opened(9)
    assert.deepStrictEqual(
      pool.decided().filter((decision) => decision.startsWith("Open")),
      ["Open 10", "Open 11", "Open 12", "Open 13", "Open 14"]
    )
    pool.release(loan)
  })
})

describe("an outage that nobody needed to end while something could be lent", () => {
  it("makes the pool unavailable as soon after the last connection is lost as any other", () => {
    const pool = EngineDriver.withIdle(1, { unavailableAfter: 30_000, acquireTimeout: Infinity })
    const loan = pool.borrow()
    const first = pool.wait("a")
    pool.decided()
    pool.openFailed(2)
    pool.closed(2)
    pool.cancel(first)
    pool.backoffEnded()
    pool.advance(3_600_000)
    pool.died(loan.connection.id)
    pool.wait("b")
    pool.decided()
    pool.openFailed(3)
    pool.decided()
    pool.advance(29_999)
    assert.strictEqual(pool.ledger.state, "ready")
    pool.advance(1)
    assert.strictEqual(pool.ledger.state, "unavailable")
  })
})
