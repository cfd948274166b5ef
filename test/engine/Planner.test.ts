/** The planner is a function of what it sees: how many connections to open now. */
import { assert, describe, it } from "@effect/vitest"
import { Outage } from "../../src/engine/Outage.js"
import { connectionsWanted, missingFromMinimum, type PlannerView, uncoveredWaiters } from "../../src/engine/Planner.js"

const nothing: PlannerView = {
  state: "ready",
  outage: undefined,
  total: 0,
  connecting: 0,
  promptChecks: 0,
  kept: 0,
  waiting: 0,
  limit: 100,
  minConnections: 0,
  maxConnecting: 50,
  warmupBatchSize: 50,
  nextBatchAt: 0,
  sizing: { target: 0, growth: () => Infinity }
}

/** Unless a test says otherwise, all that are there are kept. */
const wanted = (view: Partial<PlannerView>, now = 0): number =>
  connectionsWanted({ ...nothing, kept: view.total ?? 0, ...view }, now)

const outage = (probeDue: boolean): Outage => Object.assign(new Outage(0), { probeDueAt: probeDue ? 0 : undefined })

describe("connections wanted", () => {
  it("are none where nobody waits and nothing is missing", () => {
    assert.strictEqual(wanted({}), 0)
  })

  it("are as many as wait", () => {
    assert.strictEqual(wanted({ waiting: 7 }), 7)
  })

  it("are fewer by those that are on their way: connecting or being checked", () => {
    assert.strictEqual(wanted({ waiting: 7, total: 5, connecting: 3, promptChecks: 2 }), 2)
  })

  it("are none where more are on their way than wait", () => {
    assert.strictEqual(wanted({ waiting: 2, total: 5, connecting: 5 }), 0)
  })

  it("are no more than there is room for", () => {
    assert.strictEqual(wanted({ waiting: 7, total: 98, limit: 100 }), 2)
  })

  it("are none beyond a limit that was lowered", () => {
    assert.strictEqual(wanted({ waiting: 7, total: 98, limit: 90 }), 0)
  })

  it("are no more than may connect at once", () => {
    assert.strictEqual(wanted({ waiting: 7, total: 1, connecting: 1, maxConnecting: 4 }), 3)
  })

  it("are what is missing from the minimum", () => {
    assert.strictEqual(wanted({ minConnections: 10, total: 4 }), 6)
  })

  it("are no more than a batch for the minimum", () => {
    assert.strictEqual(wanted({ minConnections: 10, warmupBatchSize: 4 }), 4)
  })

  it("are none for the minimum before the next batch is due", () => {
    assert.strictEqual(wanted({ minConnections: 10, nextBatchAt: 100 }, 99), 0)
  })

  it("are a batch as soon as it is due", () => {
    assert.strictEqual(wanted({ minConnections: 10, nextBatchAt: 100 }, 100), 10)
  })

  it("are none for the minimum while a batch is under way", () => {
    assert.strictEqual(wanted({ minConnections: 10, total: 1, connecting: 1 }), 0)
  })

  it("serve waiters and the minimum with the same connections", () => {
    assert.strictEqual(wanted({ minConnections: 5, waiting: 3 }), 5)
  })

  it("are none once the pool drains", () => {
    assert.strictEqual(wanted({ state: "draining", waiting: 3, minConnections: 3 }), 0)
  })

  it("are none once the pool is closed", () => {
    assert.strictEqual(wanted({ state: "closed", waiting: 3, minConnections: 3 }), 0)
  })
})

describe("connections wanted during an outage", () => {
  it("are none before the backoff step has ended", () => {
    assert.strictEqual(wanted({ outage: outage(false), waiting: 7, minConnections: 7 }), 0)
  })

  it("are one when it has, whoever waits", () => {
    assert.strictEqual(wanted({ outage: outage(true), waiting: 7 }), 1)
  })

  it("are one for the minimum, before the next batch is due", () => {
    assert.strictEqual(wanted({ outage: outage(true), minConnections: 7, nextBatchAt: 100 }), 1)
  })

  it("are none where no connection is needed", () => {
    assert.strictEqual(wanted({ outage: outage(true), total: 2, minConnections: 2 }), 0)
  })

  it("are one to find out of being unavailable, though nobody may wait", () => {
    assert.strictEqual(wanted({ outage: outage(true), state: "unavailable" }), 1)
  })

  it("are none where there is no room", () => {
    assert.strictEqual(wanted({ outage: outage(true), waiting: 7, total: 3, limit: 3 }), 0)
  })
})

describe("what the planner starts from", () => {
  it("counts what is closing as missing from the minimum", () => {
    assert.strictEqual(missingFromMinimum({ ...nothing, minConnections: 3, total: 3, kept: 1 }), 2)
  })

  it("misses nothing above the minimum", () => {
    assert.strictEqual(missingFromMinimum({ ...nothing, minConnections: 3, total: 5, kept: 5 }), 0)
  })

  it("leaves no waiter uncovered that a connection on its way will serve", () => {
    assert.strictEqual(uncoveredWaiters({ ...nothing, waiting: 2, connecting: 1, promptChecks: 1 }), 0)
  })

  it("is never short of less than nobody", () => {
    assert.strictEqual(uncoveredWaiters({ ...nothing, waiting: 0, connecting: 4 }), 0)
  })
})
