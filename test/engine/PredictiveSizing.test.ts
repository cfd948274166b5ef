/** The policy of the house is a function of what was measured: each example is worked out by hand. */
import { assert, describe, it } from "@effect/vitest"
import { neededByPeaks, predictiveSizing } from "../../src/engine/PredictiveSizing.ts"
import type { CapacitySample, Knee, SizingDecision, SizingWindow } from "../../src/engine/SizingPolicy.ts"

/** Five connections, all in use, each lease lasts 10 ms and a connect takes 100 ms. */
const busy: SizingWindow = {
  now: 100_000,
  occasion: "waiting",
  minConnections: 0,
  limit: 100,
  target: 0,
  kept: 5,
  serving: 5,
  inUse: 5,
  connecting: 0,
  maxConnecting: 5,
  waiting: 0,
  acquireTimeout: 5000,
  concurrency: 1,
  holdTime: 10,
  runningTime: 5,
  connectTime: 100,
  lineAge: 0,
  averageWait: 0,
  idleRatio: 0,
  arrivalRate: 0,
  throughput: 0,
  rushRate: Infinity,
  shorteningRate: -1,
  capacity: [],
  isOverloaded: false,
  peaks: [],
  peakSeconds: 300,
  knee: undefined
}

const policy = predictiveSizing({ kneeIsCeiling: false })

const whenWaiting = (window: Partial<SizingWindow>): SizingDecision => policy.decide({ ...busy, ...window })

const whenPeriodEnds = (window: Partial<SizingWindow>): SizingDecision =>
  policy.decide({ ...busy, occasion: "period", ...window })

/** So many connections, all of them in use. */
const open = (connections: number) => ({ kept: connections, serving: connections, inUse: connections })

describe("growth", () => {
  it("comes when the queue takes longer to empty than a connect", () => {
    // 51 * 10 / 5 = 102 > 100
    const { connections, reason } = whenWaiting({ waiting: 51 })
    assert.strictEqual(connections, 6)
    assert.strictEqual(reason, "the queue would be empty in 102 ms, and a new connection takes 100 ms")
  })

  it("does not come when the queue is empty at the very time", () => {
    // 50 * 10 / 5 = 100
    const { connections, reason } = whenWaiting({ waiting: 50 })
    assert.strictEqual(connections, 5)
    assert.strictEqual(reason, "a new connection would arrive 0.0 ms after the queue is empty")
  })

  it("does not come when the queue is empty before", () => {
    // 49 * 10 / 5 = 98 < 100
    const { connections, reason } = whenWaiting({ waiting: 49 })
    assert.strictEqual(connections, 5)
    assert.strictEqual(reason, "a new connection would arrive 2.0 ms after the queue is empty")
  })

  it("is as large as empties the queue before one more would be there", () => {
    // 100 * 10 / 100 = 10 connections empty it within 100 ms
    assert.strictEqual(whenWaiting({ waiting: 100 }).connections, 10)
  })

  it("rounds up what is needed", () => {
    // 101 * 10 / 100 = 10.1
    assert.strictEqual(whenWaiting({ waiting: 101 }).connections, 11)
  })

  it("counts on those that are connecting", () => {
    // 99 * 10 / (5 + 5) = 99 < 100
    assert.strictEqual(whenWaiting({ waiting: 99, kept: 10, connecting: 5 }).connections, 10)
  })

  it("is no larger than there are waiters to whom no connection is on its way", () => {
    // 3 * 1000 / (1 + 2) = 1000 >= 100, and 3 * 1000 / 100 = 30 would be needed; 3 - 2 = 1 is without a connection
    const window = { waiting: 3, holdTime: 1000, kept: 3, serving: 1, connecting: 2 }
    assert.strictEqual(whenWaiting(window).connections, 4)
  })

  it("is no larger than there is room below the limit", () => {
    // 10 are needed, and there is room for 7 - 5 = 2
    assert.strictEqual(whenWaiting({ waiting: 100, limit: 7 }).connections, 7)
  })

  it("is none where there is no room", () => {
    assert.strictEqual(whenWaiting({ waiting: 100, limit: 5 }).connections, 5)
  })

  it("is none in Hikari's spike: 50 requests, 5 connections, a connect takes 150 ms, a lease 2 ms", () => {
    // 5 are served at once: 45 * 2 / 5 = 18 < 150
    const { connections, reason } = whenWaiting({ waiting: 45, holdTime: 2, runningTime: 1, connectTime: 150 })
    assert.strictEqual(connections, 5)
    assert.strictEqual(reason, "a new connection would arrive 132 ms after the queue is empty")
  })

  it("is one for each waiter where a connect takes no time", () => {
    assert.strictEqual(whenWaiting({ waiting: 3, connectTime: 0 }).connections, 5 + 3)
  })
})

describe("where nothing serves", () => {
  it("growth is one for each waiter", () => {
    const { connections, reason } = whenWaiting({ ...open(0), waiting: 7 })
    assert.strictEqual(connections, 7)
    assert.strictEqual(reason, "somebody waits, and no connection is open that could serve him")
  })

  it("it is less by those that are on their way", () => {
    // 3 are connecting, 7 - 3 = 4 more
    assert.strictEqual(whenWaiting({ ...open(0), waiting: 7, kept: 3, connecting: 3 }).connections, 7)
  })

  it("it ends at the limit", () => {
    assert.strictEqual(whenWaiting({ ...open(0), waiting: 7, limit: 4 }).connections, 4)
  })

  it("it does not matter how many are held by those who wait", () => {
    assert.strictEqual(whenWaiting({ ...open(5), serving: 0, waiting: 3 }).connections, 5 + 3)
  })
})

describe("leases that have been running for far longer than the last ones lasted", () => {
  it("are taken for what a lease lasts now", () => {
    // 31 > 3 * 10, so 20 * 31 / 5 = 124 >= 100, and ceil(20 * 31 / 100) = 7 are needed
    const { connections, reason } = whenWaiting({ waiting: 20, runningTime: 31 })
    assert.strictEqual(connections, 7)
    assert.strictEqual(reason, "the queue would be empty in 124 ms, and a new connection takes 100 ms")
  })

  it("are no surprise at three times as long", () => {
    // 20 * 10 / 5 = 40 < 100
    assert.strictEqual(whenWaiting({ waiting: 20, runningTime: 30 }).connections, 5)
  })

  it("are not part of what comes and goes: growth does not end at what that keeps busy", () => {
    // 50 * 1000 / 12 = 4167 > 100, and 500 are needed; at 1 request a second one connection would be enough
    const window = { ...open(12), waiting: 50, runningTime: 1000, rushRate: 1 }
    assert.strictEqual(whenWaiting(window).connections, 12 + 50)
  })
})

describe("beyond five connections", () => {
  const rush = { ...open(10), waiting: 100, connectTime: 20 }

  it("growth ends at what the arrivals keep busy", () => {
    // 1230 + 100 / 5 s = 1250 a second keep 1250 * 10 / 1000 = 12.5 busy: 13.
    // The wait alone would ask for 100 * 10 / 20 = 50.
    assert.strictEqual(whenWaiting({ ...rush, rushRate: 1230 }).connections, 13)
  })

  it("growth goes by the wait alone while the arrivals are not known", () => {
    // 100 * 10 / 20 = 50
    assert.strictEqual(whenWaiting({ ...rush, rushRate: Infinity }).connections, 50)
  })

  it("there is none once those carry what comes", () => {
    // 100 * 10 / 13 = 76.9 >= 20
    const { connections, reason } = whenWaiting({ ...rush, ...open(13), rushRate: 1230 })
    assert.strictEqual(connections, 13)
    assert.strictEqual(reason, "13 connections carry what comes, and those who wait will be served in 77 ms")
  })

  it("up to five are opened by the wait alone", () => {
    // 100 * 10 / 20 = 50 by the wait; one request a second and 100 / 5 s keep 0.21 busy
    assert.strictEqual(whenWaiting({ ...rush, ...open(2), rushRate: 1 }).connections, 5)
  })
})

describe("a line that has been standing for half a second", () => {
  // 60 * 10 / 12 = 50 < 100: by the wait, nothing is opened.
  const standing = { ...open(12), waiting: 60, lineAge: 500 }

  it("opens what the arrivals keep busy", () => {
    // 1500 + 60 / 5 s = 1512 a second keep 15.12 busy: 16
    const { connections, reason } = whenWaiting({ ...standing, rushRate: 1500 })
    assert.strictEqual(connections, 16)
    assert.strictEqual(
      reason,
      "somebody has been waiting for 500 ms without a break, and a new connection takes 100 ms"
    )
  })

  it("opens nothing one millisecond before", () => {
    assert.strictEqual(whenWaiting({ ...standing, lineAge: 499, rushRate: 1500 }).connections, 12)
  })

  it("opens nothing while it should be getting shorter", () => {
    // 12 * 1000 / 10 = 1200 a second get done, which is more than 1000; 10.12, which is 11, carry that
    assert.strictEqual(whenWaiting({ ...standing, lineAge: 1999, rushRate: 1000 }).connections, 12)
  })

  it("opens one when it should have been getting shorter for four times as long", () => {
    // 4 * max(100, 500) = 2000
    assert.strictEqual(whenWaiting({ ...standing, lineAge: 2000, rushRate: 1000 }).connections, 13)
  })

  it("is given four times as long as a connect takes, where that is longer", () => {
    // 4 * max(800, 500) = 3200
    const slow = { ...standing, connectTime: 800, rushRate: 1000 }
    const sizes = [3199, 3200].map((lineAge) => whenWaiting({ ...slow, lineAge }).connections)
    assert.deepStrictEqual(sizes, [12, 13])
  })

  it("opens nothing while it gets shorter at a rate at which it is empty before those in it give up", () => {
    // 60 / 13 a second = 4.6 s < 5 s
    const shorter = { ...standing, rushRate: 1500, shorteningRate: 13 }
    assert.strictEqual(whenWaiting(shorter).connections, 12)
  })

  it("opens what the arrivals keep busy while it gets shorter too slowly", () => {
    // 60 / 12 a second = 5 s, and that is how long they are ready to wait
    const shorter = { ...standing, rushRate: 1500, shorteningRate: 12 }
    assert.strictEqual(whenWaiting(shorter).connections, 16)
  })

  it("opens nothing for a short line, where a connect takes far longer and what comes is carried", () => {
    // 10 * 100 / 5 = 200 < 2000; 40 + 10 / 5 s = 42 a second keep 4.2 busy: 5
    const window = { waiting: 10, holdTime: 100, connectTime: 2000, lineAge: 600, rushRate: 40 }
    assert.strictEqual(whenWaiting(window).connections, 5)
  })

  it("opens nothing for fewer than five connections either, where those carry what comes", () => {
    // 3 * 100 / 2 = 150 < 2000; 1 + 3 / 5 s = 1.6 a second keep 0.16 busy: 1. That it is wrong shows after 4 * 2000.
    const window = { ...open(2), waiting: 3, holdTime: 100, connectTime: 2000, lineAge: 600, rushRate: 1 }
    assert.strictEqual(whenWaiting(window).connections, 2)
  })

  it("opens nothing while one is on its way", () => {
    const window = { ...standing, kept: 13, connecting: 1, lineAge: 2000, rushRate: 1000 }
    assert.strictEqual(whenWaiting(window).connections, 13)
  })
})

describe("connections that are shared", () => {
  it("serve as many at once as may share one", () => {
    // 10 * 10 / (2 * 10) = 5
    const window = { ...open(2), concurrency: 10, waiting: 10 }
    const sizes = [4.9, 5].map((connectTime) => whenWaiting({ ...window, connectTime }).connections)
    assert.deepStrictEqual(sizes, [3, 2])
  })

  it("are needed in smaller number", () => {
    // 100 * 10 / (5 * 10) = 20
    assert.strictEqual(whenWaiting({ ...open(2), concurrency: 10, waiting: 100, connectTime: 5 }).connections, 20)
  })

  it("are kept in smaller number", () => {
    // ceil(1.2 * 50) + 1 = 61 leases on 61 / 10 = 6.1 connections
    const window = { ...open(7), concurrency: 10, peaks: Array.from({ length: 300 }, () => 50) }
    assert.strictEqual(whenPeriodEnds(window).connections, 7)
  })
})

describe("what the peaks need", () => {
  it("is a fifth more than the highest of 95 % of them, and one", () => {
    // Of 1..20 the 95th percentile is 19: ceil(22.8) + 1
    assert.strictEqual(neededByPeaks(Array.from({ length: 20 }, (_, index) => index + 1)), 24)
  })

  it("does not depend on their order", () => {
    // 10: ceil(12) + 1
    assert.strictEqual(neededByPeaks([10, 9, 1]), 13)
  })

  it("is not changed by one second of twenty", () => {
    assert.strictEqual(neededByPeaks([1000, ...Array.from({ length: 19 }, () => 10)]), 13)
  })

  it("is nothing where nothing was used", () => {
    assert.strictEqual(neededByPeaks([0, 0, 0]), 0)
  })

  it("is nothing where nothing was seen", () => {
    assert.strictEqual(neededByPeaks([]), 0)
  })
})

describe("at the end of a period", () => {
  /** Five minutes in which ten were in use: ceil(1.2 * 10) + 1 = 13. */
  const peaks = Array.from({ length: 300 }, () => 10)

  it("at most a tenth is closed", () => {
    // 40 - 40 / 10
    const { connections, reason } = whenPeriodEnds({ ...open(40), peaks })
    assert.strictEqual(connections, 36)
    assert.strictEqual(reason, "the peaks of the last 300 s need 13")
  })

  it("one is closed where a tenth is less than one", () => {
    // One in use: ceil(1.2) + 1 = 3
    assert.strictEqual(whenPeriodEnds({ ...open(5), peaks: peaks.map(() => 1) }).connections, 4)
  })

  it("no more are closed than are too many", () => {
    // A tenth of 30 is 3, and 30 - 29 = 1 is too many: ceil(1.2 * 23) + 1 = 29
    assert.strictEqual(whenPeriodEnds({ ...open(30), peaks: peaks.map(() => 23) }).connections, 29)
  })

  it("none is closed until all the seconds have been watched", () => {
    const { connections, reason } = whenPeriodEnds({ ...open(40), peaks: peaks.slice(1) })
    assert.strictEqual(connections, 40)
    assert.strictEqual(reason, "the peaks of 299 s need 13; nothing is closed before 300 s have been watched")
  })

  it("the minimum is kept, whatever the peaks need", () => {
    assert.strictEqual(whenPeriodEnds({ ...open(20), minConnections: 20, peaks }).connections, 20)
  })

  it("none is opened for what the peaks need beyond what there is", () => {
    assert.strictEqual(whenPeriodEnds({ ...open(8), peaks }).connections, 8)
  })

  it("what was to be kept is still to be kept, as far as the peaks need it", () => {
    const { connections, reason } = whenPeriodEnds({ ...open(8), target: 20, peaks })
    assert.strictEqual(connections, 13)
    assert.strictEqual(reason, "the peaks of the last 300 s need 13")
  })

  it("there is no ceiling", () => {
    assert.isFalse(whenPeriodEnds({ ...open(40), peaks }).isCeiling)
  })
})

describe("the search for the size that gets the most done", () => {
  /** So long before now, so many connections got so much a second done. */
  const sample = (ago: number, connections: number, perSecond: number, leases = 2500): CapacitySample => ({
    at: busy.now - ago,
    connections,
    perSecond,
    leases
  })

  /** Somebody has been waiting for a second. Of 2,500 leases each, a difference above 2 * sqrt(2 / 2500) = 5.7 % is no chance. */
  const search = (capacity: ReadonlyArray<CapacitySample>, window: Partial<SizingWindow> = {}): SizingDecision =>
    whenPeriodEnds({ lineAge: 1000, capacity, ...window })

  it("goes to the best of sizes that are close together", () => {
    const tried = [sample(3000, 10, 1000), sample(2000, 15, 1500), sample(1000, 20, 900)]
    const { connections, isCeiling, reason } = search(tried, open(20))
    assert.deepStrictEqual([connections, isCeiling], [15, true])
    assert.strictEqual(reason, "15 got 1500 a second done, and more did not")
  })

  it("stays where it is, if the best is better by chance only", () => {
    // 1500 < 1480 * 1.057
    const tried = [sample(3000, 20, 900), sample(2000, 15, 1500), sample(1000, 13, 1480)]
    assert.strictEqual(search(tried, open(13)).connections, 13)
  })

  it("tries larger sizes while larger ones get more done", () => {
    // 1.5 * 30
    const { connections, reason } = search([sample(2000, 20, 1000), sample(1000, 30, 1400)])
    assert.strictEqual(connections, 45)
    assert.strictEqual(reason, "30 got 1400 a second done; whether 45 do more is tried")
  })

  it("stops where half more connections get hardly more done", () => {
    // 2 % more, which is less than a quarter of 50 %
    const { connections, reason } = search([sample(2000, 20, 1000), sample(1000, 30, 1020)])
    assert.strictEqual(connections, 30)
    assert.strictEqual(reason, "30 got 1020 a second done, and more did not")
  })

  it("goes on where that may be chance", () => {
    // sqrt(2 / 100) = 14 % is more than 10 %
    assert.strictEqual(search([sample(2000, 20, 1000, 100), sample(1000, 30, 1020, 100)]).connections, 45)
  })

  it("tries the middle between the best and a larger one that is far from it", () => {
    // 40 > 1.6 * 10: sqrt(10 * 40)
    const { connections, reason } = search([sample(2000, 40, 500), sample(1000, 10, 1000)])
    assert.strictEqual(connections, 20)
    assert.strictEqual(reason, "10 got 1000 a second done; whether 20 do more is tried")
  })

  it("tries the middle between the best and a smaller one that is far from it", () => {
    // 40 > 1.6 * 10, and 50 < 1.6 * 40: sqrt(10 * 40)
    const tried = [sample(3000, 10, 500), sample(2000, 40, 1000), sample(1000, 50, 800)]
    assert.strictEqual(search(tried).connections, 20)
  })

  it("takes sizes within 15 % of each other for one, and what they got done together", () => {
    // Of 1000 leases each, at 900 and at 1100 a second: 2000 in 1000 / 900 + 1000 / 1100 s are 990 a second
    const { reason } = search([sample(2000, 20, 900, 1000), sample(1000, 22, 1100, 1000)])
    assert.strictEqual(reason, "21 got 990 a second done; whether 32 do more is tried")
  })

  it("goes by the last 2500 leases of a size", () => {
    const tried = [sample(2000, 20, 700), sample(1000, 20, 1000, 2500)]
    assert.strictEqual(search(tried).reason, "20 got 1000 a second done; whether 30 do more is tried")
  })

  it("ignores what was seen before the same size got far more or less done", () => {
    // 20 got 1000, and now 500 (1000 > 1.7 * 500): that 10 once got 900 says nothing any more
    const tried = [sample(9000, 10, 900), sample(6000, 20, 1000), sample(1000, 20, 500)]
    assert.strictEqual(search(tried).reason, "20 got 500 a second done; whether 30 do more is tried")
  })

  it("ignores what was seen more than a minute ago", () => {
    const tried = [sample(60_001, 40, 500), sample(1000, 10, 1000)]
    assert.strictEqual(search(tried).reason, "10 got 1000 a second done; whether 15 do more is tried")
  })

  it("is not made where nothing was seen in the last two seconds", () => {
    assert.deepStrictEqual(
      [2000, 2001].map((ago) => search([sample(ago, 10, 1000)]).isCeiling),
      [true, false]
    )
  })

  it("is not made before the line has been standing for half a second", () => {
    assert.deepStrictEqual(
      [499, 500].map((lineAge) => search([sample(1000, 10, 1000)], { lineAge }).isCeiling),
      [false, true]
    )
  })

  it("does not go beyond the limit", () => {
    // 1.5 * 10
    assert.strictEqual(search([sample(1000, 10, 1000)], { limit: 12 }).connections, 12)
  })

  it("does not go below the minimum", () => {
    assert.strictEqual(search([sample(1000, 10, 1000)], { minConnections: 20 }).connections, 20)
  })
})

describe("the knee", () => {
  const knee = (confidence: number): Knee => ({
    connections: 35,
    contention: 0.02,
    coherency: 0.0008,
    confidence,
    isFrozen: false
  })

  const atKnee = predictiveSizing({ kneeIsCeiling: true })

  // 4000 waiters: 4000 * 10 / 100 = 400, 100 of which fit below the limit
  const rush = { ...busy, waiting: 4000 }

  it("is a ceiling where that was asked for, and it is certain enough", () => {
    const { connections, isCeiling, reason } = atKnee.decide({ ...rush, knee: knee(0.5) })
    assert.deepStrictEqual([connections, isCeiling], [35, true])
    assert.strictEqual(reason, "35 instead of 100: with more at work, the server gets less done")
  })

  it("is none where that was not asked for", () => {
    assert.strictEqual(policy.decide({ ...rush, knee: knee(1) }).connections, 100)
  })

  it("is none where it is not certain enough", () => {
    assert.strictEqual(atKnee.decide({ ...rush, knee: knee(0.49) }).connections, 100)
  })

  it("is none where it is not known", () => {
    assert.strictEqual(atKnee.decide(rush).connections, 100)
  })

  it("leaves the minimum alone", () => {
    assert.strictEqual(atKnee.decide({ ...rush, minConnections: 40, knee: knee(1) }).connections, 40)
  })

  it("leaves alone what does not reach it", () => {
    // 51 * 10 / 5 = 102: one more
    assert.strictEqual(atKnee.decide({ ...busy, waiting: 51, knee: knee(1) }).connections, 6)
  })
})
