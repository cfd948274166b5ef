/** The audit finds every contradiction, and names it; where all is well, it has nothing to say. */
import { assert, describe, it } from "@effect/vitest"
import { audit } from "../../src/engine/Audit.js"
import type { Ledger } from "../../src/engine/Ledger.js"
import { EngineDriver, type EngineOptions, NamedWaiter } from "../support/EngineDriver.ts"

const named = (pool: EngineDriver): ReadonlyArray<string> => audit(pool.engine, pool.now)

/** Changes what only transitions may change, and says what the audit makes of it. */
const planted = (pool: EngineDriver, plant: (ledger: Ledger<string>) => void): ReadonlyArray<string> => {
  assert.deepStrictEqual(named(pool), [])
  plant(pool.ledger)
  return named(pool)
}

/** One connection rests, one is in use. */
const mixed = (options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = EngineDriver.withIdle(2, options)
  pool.borrow()
  return pool
}

/** One connection, which is in use; somebody waits. */
const waitedFor = (...names: ReadonlyArray<string>): EngineDriver => {
  const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
  pool.borrow()
  for (const name of names) {
    pool.wait(name)
    pool.pass(1)
  }
  return pool
}

describe("a count that is wrong", () => {
  it("is named, of each state", () => {
    for (const state of ["inUse", "connecting", "checking", "resetting", "closing"] as const) {
      const pool = EngineDriver.withIdle(1)
      const names = planted(pool, (ledger) => ledger[state]++)
      assert.include(names, `${state} counts 1, but 0 are ${state}`)
      assert.include(names, "the states add up to 2, and the total is 1")
    }
  })

  it("is named, of those that rest", () => {
    const names = planted(EngineDriver.withIdle(1), ({ idle }) => idle.length++)
    assert.include(names, "idle counts 2, but 1 are idle")
    assert.include(names, "1 connections rest, but 2 are counted")
  })

  it("is named, of those that are to be closed on return", () => {
    const names = planted(mixed(), (ledger) => ledger.doomed++)
    assert.deepStrictEqual(names, ["0 are to be closed on return, 1 are counted"])
  })

  it("is named, of those that are near their end", () => {
    const names = planted(mixed(), (ledger) => ledger.leaving++)
    assert.deepStrictEqual(names, ["0 are near their end, 1 are counted"])
  })

  it("is named, of the checks that are waited for", () => {
    const names = planted(mixed(), (ledger) => ledger.promptChecks++)
    assert.deepStrictEqual(names, ["0 checks are waited for, 1 are counted"])
  })

  it("is named, of what was created and closed", () => {
    const names = planted(mixed(), ({ counters }) => counters.created++)
    assert.deepStrictEqual(names, ["what was created and not closed is not what is open"])
  })

  it("is named, of what was acquired and released", () => {
    const names = planted(mixed(), ({ counters }) => counters.acquired++)
    assert.include(names, "what was acquired and not released is not what is lent")
  })

  it("is named, where it is below nothing", () => {
    const names = planted(mixed(), ({ counters }) => (counters.shed = -1))
    assert.deepStrictEqual(names, ["shed is negative"])
  })

  it("is not: what closes, or is not in use, is neither near its end nor to be closed on return", () => {
    const pool = EngineDriver.withIdle(2, { maxLifetime: 60_000, minConnections: 1 })
    pool.pass(100)
    pool.advance(58_000)
    pool.invalidate(1)
    assert.isTrue(pool.connection(1).isLeaving)
    assert.deepStrictEqual(named(pool), [])
  })
})

describe("a connection", () => {
  it("that is closed is not counted", () => {
    const pool = EngineDriver.withIdle(1)
    pool.invalidate(1)
    pool.decided()
    const connection = pool.connection(1)
    pool.closed(1)
    assert.include(
      planted(pool, ({ connections }) => connections.add(connection)),
      "a closed connection is still counted"
    )
  })

  it("that is too many does not rest", () => {
    const names = planted(mixed(), (ledger) => (ledger.maxConnections = 1))
    assert.deepStrictEqual(names, ["2 connections are more than the limit of 1, and some have nothing to do"])
  })

  it("that is too many is not being opened", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    pool.wait("a")
    const names = planted(pool, (ledger) => (ledger.maxConnections = 1))
    assert.deepStrictEqual(names, ["2 connections are more than the limit of 1, and some have nothing to do"])
  })

  it("that is too many may be lent", () => {
    const pool = EngineDriver.withIdle(2)
    pool.borrow()
    pool.borrow()
    assert.deepStrictEqual(
      planted(pool, (ledger) => (ledger.maxConnections = 1)),
      []
    )
  })

  it("rests as what it is", () => {
    const pool = EngineDriver.withIdle(1)
    const names = planted(pool, (ledger) => {
      pool.connection(1).state = "resetting"
      ledger.resetting++
    })
    assert.include(names, "connection 1 rests, but is resetting")
  })

  it("is in use exactly while it has leases", () => {
    const pool = EngineDriver.withIdle(1)
    const names = planted(pool, () => (pool.connection(1).leases = 1))
    assert.deepStrictEqual(names, ["connection 1 counts 1 leases and has 0", "connection 1 has 1 leases and is idle"])
  })

  it("has no more leases than it has room for", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    pool.borrow()
    const names = planted(pool, () => (pool.connection(1).leases = 3))
    assert.include(names, "connection 1 has 3 leases, and room for fewer")
  })

  it("that somebody has to himself has no others", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2 })
    pool.borrow()
    pool.borrow()
    const names = planted(pool, () => (pool.connection(1).isReserved = true))
    assert.deepStrictEqual(names, ["connection 1 has 2 leases, and room for fewer"])
  })
})

describe("a lease", () => {
  it("that is over is spare", () => {
    const names = planted(mixed(), ({ leases }) => (leases.oldestFirst()[0]!.id = 0))
    assert.include(names, "connection 2 has 1 records, 0 of them in use and 0 spare")
  })

  it("that is spare is over", () => {
    const names = planted(mixed(), ({ leases }) => {
      const [lease] = leases.oldestFirst()
      lease!.connection.spareLease = lease!.spare = lease
    })
    assert.include(names, "connection 2 has 1 records, 1 of them in use and 2 spare")
  })

  it("is of a connection in use", () => {
    const pool = mixed()
    const names = planted(pool, ({ leases }) => (leases.oldestFirst()[0]!.connection.state = "closing"))
    const { id } = pool.ledger.leases.oldestFirst()[0]!
    assert.include(names, `lease ${id} is of a connection that is closing`)
  })

  it("is counted", () => {
    const names = planted(mixed(), ({ leases }) => leases.length++)
    assert.deepStrictEqual(names, ["1 leases run, 2 are counted"])
  })

  it("is held by waiters as far as is counted", () => {
    const names = planted(mixed(), ({ leases }) => leases.stuck++)
    assert.deepStrictEqual(names, ["0 leases are held by waiters, 1 are counted"])
  })

  it("is held by waiters for sure as far as is counted", () => {
    const names = planted(mixed(), ({ leases }) => leases.surelyStuck++)
    assert.deepStrictEqual(names, ["0 leases are held by waiters for sure"])
  })

  it("counts its holders who wait", () => {
    const names = planted(mixed(), ({ leases }) => {
      leases.oldestFirst()[0]!.waitingHolders = 1
      leases.oldestFirst()[0]!.waitingOwners = 1
    })
    assert.deepStrictEqual(names, [
      "1 leases are held by waiters for sure",
      "1 leases are held by waiters, 0 are counted"
    ])
  })

  it("that nobody knows of yet is counted by its connection", () => {
    const names = planted(mixed(), ({ leases }) => leases.oldestFirst()[0]!.connection.untold++)
    assert.deepStrictEqual(names, ["0 leases are known to nobody yet, 1 are counted"])
  })

  it("that nobody has taken yet is not acquired", () => {
    const names = planted(mixed(), ({ leases }) => (leases.oldestFirst()[0]!.servedTo = new NamedWaiter("a")))
    assert.include(names, "what was acquired and not released is not what is lent")
  })
})

describe("the list of those that rest", () => {
  it("is linked both ways", () => {
    const pool = EngineDriver.withIdle(2)
    const names = planted(pool, ({ idle }) => (idle.coldest!.warmer = undefined))
    assert.deepStrictEqual(names, ["connection 1 is linked to one side only"])
  })

  it("ends with the coldest", () => {
    const names = planted(EngineDriver.withIdle(2), ({ idle }) => (idle.coldest = idle.warmest))
    assert.deepStrictEqual(names, ["the coldest is not the end of the idle list"])
  })
})

describe("the list of those with room", () => {
  const shared = (): EngineDriver => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    pool.borrow()
    return pool
  }

  it("has none that does not know that it is in it", () => {
    const pool = shared()
    const names = planted(pool, () => (pool.connection(1).isShareable = false))
    assert.deepStrictEqual(names, ["connection 1 gives room, but is inUse"])
  })

  it("has none that is not in use", () => {
    const pool = shared()
    const names = planted(pool, () => (pool.connection(1).state = "checking"))
    assert.include(names, "connection 1 gives room, but is checking")
  })

  it("has none that has no room", () => {
    for (const plant of [
      (pool: EngineDriver) => (pool.connection(1).leases = 2),
      (pool: EngineDriver) => (pool.connection(1).isReserved = true),
      (pool: EngineDriver) => (pool.connection(1).isClearing = true)
    ]) {
      const pool = shared()
      assert.include(
        planted(pool, () => plant(pool)),
        "connection 1 gives room it does not have"
      )
    }
  })

  it("is counted", () => {
    const names = planted(shared(), ({ shareable }) => shareable.length++)
    assert.deepStrictEqual(names, ["1 connections have room, but 2 are counted"])
  })

  it("has none beside somebody who waits for room", () => {
    const pool = shared()
    pool.borrow()
    pool.wait("a")
    const names = planted(pool, ({ options, shareable }) => {
      ;(options as { concurrency: number }).concurrency = 3
      shareable.addLast(pool.connection(1))
    })
    assert.deepStrictEqual(names, ["connection 1 has room beside a waiter"])
  })

  it("may have some beside somebody who wants none", () => {
    const pool = EngineDriver.withIdle(2, { concurrency: 2, maxConnections: 2 })
    pool.borrow()
    pool.borrow()
    pool.wait("a", { isExclusive: true })
    assert.deepStrictEqual([named(pool), pool.ledger.shareable.length], [[], 1])
  })
})

describe("a connection that is being cleared", () => {
  it("knows that it is", () => {
    const pool = mixed({ concurrency: 2 })
    const names = planted(pool, ({ clearing, leases }) => clearing.add(leases.oldestFirst()[0]!.connection))
    assert.deepStrictEqual(names, ["connection 2 is being cleared, but not in use"])
  })

  it("is in use", () => {
    const pool = mixed({ concurrency: 2 })
    const names = planted(pool, ({ clearing }) => {
      pool.connection(1).isClearing = true
      clearing.add(pool.connection(1))
    })
    assert.deepStrictEqual(names, ["connection 1 is being cleared, but not in use"])
  })
})

describe("the line", () => {
  it("has those who wait, and no others", () => {
    const pool = waitedFor("a")
    const { acquire } = pool.ledger.waiters.first!
    const names = planted(pool, ({ waiters }) => (waiters.first!.state = "cancelled"))
    assert.deepStrictEqual(names, [`acquire ${acquire} is in line, but cancelled`])
  })

  it("is linked both ways", () => {
    const pool = waitedFor("a", "b")
    const { acquire } = pool.ledger.waiters.sharing.interactive.last!
    const names = planted(pool, ({ waiters }) => (waiters.sharing.interactive.last!.ahead = undefined))
    assert.deepStrictEqual(names, [`acquire ${acquire} is linked to one side only`])
  })

  it("has nobody ahead of one who came before", () => {
    const pool = waitedFor("a", "b")
    const names = planted(pool, ({ waiters }) => (waiters.sharing.interactive.last!.acquire = 0))
    assert.deepStrictEqual(names, ["acquire 0 stands behind one that came later"])
  })

  it("has nobody ahead of one whose deadline is before", () => {
    const pool = waitedFor("a", "b")
    const { acquire } = pool.ledger.waiters.sharing.interactive.last!
    const names = planted(pool, ({ waiters }) => (waiters.sharing.interactive.last!.deadline = 1))
    assert.deepStrictEqual(names, [`acquire ${acquire} stands behind one that came later`])
  })

  it("may have several of one deadline", () => {
    const pool = EngineDriver.withIdle(0, { maxConnections: 1 })
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(named(pool), [])
  })

  it("ends with the last", () => {
    const names = planted(
      waitedFor("a", "b"),
      ({ waiters }) => (waiters.sharing.interactive.last = waiters.sharing.interactive.first)
    )
    assert.deepStrictEqual(names, ["the last waiter is not the end of the line"])
  })

  it("is counted", () => {
    const names = planted(waitedFor("a"), ({ waiters }) => waiters.sharing.interactive.length++)
    assert.deepStrictEqual(names, ["1 wait, but 2 are counted", "the lines add up to those who wait"])
  })

  it("is looked at in both its halves", () => {
    const pool = EngineDriver.withIdle(1, { concurrency: 2, maxConnections: 1 })
    pool.borrow()
    pool.wait("a", { isExclusive: true })
    const names = planted(pool, ({ waiters }) => (waiters.exclusive.interactive.last = undefined))
    assert.deepStrictEqual(names, ["the last waiter is not the end of the line"])
  })

  it("adds up", () => {
    const names = planted(waitedFor("a"), ({ waiters }) => (waiters.length = 7))
    assert.deepStrictEqual(names, ["the lines add up to those who wait"])
  })
})

describe("somebody who waits", () => {
  const queued = (pool: EngineDriver): void => {
    const waiter = new NamedWaiter("a")
    waiter.acquire = ++pool.ledger.acquires
    pool.ledger.waiters.push(waiter)
  }

  it("waits beside no connection that could be lent", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const names = planted(pool, () => queued(pool))
    assert.deepStrictEqual(names, ["connection 1 rests beside a waiter"])
  })

  it("may wait beside one that must be checked first", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1, checkAfterIdle: 500 })
    pool.pass(500)
    assert.deepStrictEqual(
      planted(pool, () => queued(pool)),
      []
    )
  })

  it("may wait beside anything while the pool is paused", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    pool.pause()
    assert.deepStrictEqual(
      planted(pool, () => queued(pool)),
      []
    )
  })

  it("has a connection opened, where one may be", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 2 })
    pool.borrow()
    const names = planted(pool, () => queued(pool))
    assert.deepStrictEqual(names, ["a waiter waits for a connection that nobody opens"])
  })

  it("has none opened at the limit, during an outage, or while as many connect as may", () => {
    const atLimit = EngineDriver.withIdle(1, { maxConnections: 1 })
    atLimit.borrow()
    const inOutage = EngineDriver.withIdle(0)
    inOutage.wait("b")
    inOutage.decided()
    inOutage.openFailed(1)
    const connecting = EngineDriver.withIdle(0, { maxConnecting: 1 })
    connecting.wait("b")
    for (const pool of [atLimit, inOutage, connecting]) {
      assert.deepStrictEqual(
        planted(pool, () => queued(pool)),
        []
      )
    }
  })

  it("does not wait for a pool that is closing, unless it is about to be told", () => {
    const pool = EngineDriver.withIdle(1)
    pool.borrow()
    pool.drain()
    assert.notInclude(
      planted(pool, () => queued(pool)),
      "somebody waits for a pool that is closing"
    )
    pool.decided()
    assert.include(named(pool), "somebody waits for a pool that is closing")
  })
})

describe("a closed pool", () => {
  it("has no connection", () => {
    const names = planted(EngineDriver.withIdle(1), (ledger) => (ledger.state = "closed"))
    assert.deepStrictEqual(names, ["a closed pool has connections"])
  })

  it("is well without one", () => {
    const pool = EngineDriver.withIdle(0)
    pool.drain()
    assert.deepStrictEqual(named(pool), [])
  })
})
