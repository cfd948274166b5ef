/** A sizing policy says how many connections there are to be; the engine follows it, unless it talks nonsense. */
import { assert, describe, it } from "@effect/vitest"
import { HouseDecision } from "../../src/engine/HouseDecision.ts"
import type { SizingDecision, SizingPolicy, SizingWindow } from "../../src/engine/SizingPolicy.ts"
import { EngineDriver, type EngineOptions } from "../support/EngineDriver.ts"

/** What a policy of a test answers: only how many, or all of it. */
type Answer = (window: SizingWindow) => number | SizingDecision

const policy = (answer: Answer, options: Partial<SizingPolicy> = {}): SizingPolicy => ({
  name: "mine",
  period: 1000,
  asksWhenWaiting: true,
  decide: (window) => {
    const said = answer(window)
    return typeof said === "number" ? { connections: said, reason: `${said} it is` } : said
  },
  ...options
})

/** One for whoever waits; at the end of a period, what `period` says. */
const keeping = (period: Answer, options: Partial<SizingPolicy> = {}): SizingPolicy =>
  policy((window) => (window.occasion === "waiting" ? window.kept + 1 : period(window)), options)

const started = (sizing: SizingPolicy, options: Partial<EngineOptions> = {}): EngineDriver => {
  const pool = new EngineDriver({ sizing, ...options })
  pool.start()
  pool.carryOut()
  return pool
}

/** Seconds pass, and everything succeeds. */
const seconds = (pool: EngineDriver, count: number): void => {
  for (let second = 0; second < count; second++) {
    pool.advance(1000)
    pool.carryOut()
  }
}

describe("a policy that is asked when somebody waits", () => {
  it("says how many are opened", () => {
    // Two wait: the second finds one on its way to the first.
    const pool = started(policy(({ kept }) => kept + 1))
    pool.wait("a")
    pool.wait("b")
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2"])
  })

  it("opens no more than there are waiters to whom none is on its way", () => {
    const pool = started(policy(({ kept }) => kept + 5))
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 1"])
  })

  it("may say that nothing is opened while something serves", () => {
    const pool = EngineDriver.withIdle(1, { sizing: policy(() => 1) })
    pool.borrow()
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("is heard with its reason, whatever it says", () => {
    const pool = EngineDriver.withIdle(1, { sizing: policy(() => 1) })
    pool.borrow()
    pool.pass(70)
    pool.wait("a")
    const { changed, notGrown } = pool.ledger.sizing
    assert.deepStrictEqual(changed, { at: 0, from: 0, to: 1, reason: "1 it is" })
    assert.deepStrictEqual(notGrown, { at: 70, from: 1, to: 1, reason: "1 it is" })
  })

  it("is asked again after a while", () => {
    let size = 1
    const pool = EngineDriver.withIdle(1, { sizing: policy(() => size) })
    pool.borrow()
    pool.wait("a")
    size = 2
    // As long as a connect takes, but at least 10 ms.
    assert.strictEqual(pool.engine.wakeAt(), 10)
    pool.advance(10)
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("is asked again after as long as a connect takes", () => {
    const pool = started(policy(() => 1))
    pool.wait("a")
    pool.decided()
    pool.pass(80)
    pool.opened(1)
    pool.wait("b")
    assert.strictEqual(pool.engine.wakeAt(), 80 + 80)
  })

  it("is asked again after a quarter of a second at most", () => {
    const pool = started(policy(() => 1))
    pool.wait("a")
    pool.decided()
    pool.pass(400)
    pool.opened(1)
    pool.wait("b")
    assert.strictEqual(pool.engine.wakeAt(), 400 + 250)
  })

  it("is not asked about somebody to whom a connection is on its way", () => {
    const asked: Array<string> = []
    const pool = started(policy(({ kept, occasion }) => (asked.push(occasion), kept + 1)))
    pool.wait("a")
    pool.tick()
    assert.deepStrictEqual(asked, ["waiting"])
  })
})

describe("somebody to whom nothing could ever come", () => {
  it("gets a connection, though the policy says no", () => {
    const pool = started(policy(() => 0))
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 1"])
  })

  it("gets one, though the policy is not asked when somebody waits", () => {
    const pool = started(policy(() => 0, { asksWhenWaiting: false }))
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 1"])
  })

  it("gets one where all that are open are held by somebody who waits", () => {
    const pool = EngineDriver.withIdle(1, { sizing: policy(() => 1) })
    pool.wait("a", { held: [pool.borrow()] })
    assert.deepStrictEqual(pool.decided(), ["Nested a", "Open 2"])
  })

  it("gets one where all that are open are to be closed", () => {
    const pool = EngineDriver.withIdle(1, { sizing: policy(() => 1, { asksWhenWaiting: false }) })
    pool.invalidate(pool.borrow().connection.id)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 2"])
  })

  it("does not get one where something serves, and the policy is not asked when somebody waits", () => {
    const pool = EngineDriver.withIdle(1, { sizing: policy(() => 1, { asksWhenWaiting: false }) })
    pool.borrow()
    pool.wait("a")
    pool.advance(500)
    assert.deepStrictEqual(pool.decided(), [])
  })
})

describe("at the end of its period a policy", () => {
  it("says how many there are to be, and they are opened", () => {
    const pool = started(keeping(() => 3))
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2", "Open 3"])
  })

  it("is not asked before", () => {
    const pool = started(keeping(() => 3))
    pool.advance(999)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("says how many are kept: one that dies is replaced", () => {
    const pool = started(keeping(() => 3))
    seconds(pool, 2)
    pool.died(2)
    assert.deepStrictEqual(pool.carryOut(), ["Close 2: died", "Open 4"])
  })

  it("says how many are closed, those first that have rested longest", () => {
    let size = 3
    const pool = started(keeping(() => size))
    seconds(pool, 2)
    size = 1
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Close 1: unneeded", "Close 2: unneeded"])
  })

  it("closes nothing that is in use", () => {
    let size = 2
    const pool = started(keeping(() => size))
    seconds(pool, 2)
    const loans = [pool.borrow(), pool.borrow()]
    size = 0
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), [])
    assert.deepStrictEqual(
      loans.map(({ connection }) => connection.state),
      ["inUse", "inUse"]
    )
  })

  it("is heard with its reason", () => {
    const pool = started(keeping(() => 3))
    pool.advance(1000)
    assert.deepStrictEqual(pool.ledger.sizing.changed, { at: 1000, from: 0, to: 3, reason: "3 it is" })
  })

  it("may have a period of more than a second", () => {
    const askedAt: Array<number> = []
    const pool = started(keeping(({ now }) => (askedAt.push(now), 1), { period: 5000 }))
    // Time passes for the pool only while it has connections, or somebody waits.
    seconds(pool, 15)
    assert.deepStrictEqual(askedAt, [5000, 10_000, 15_000])
  })

  it("is told what came, what got done and how long it waited in that period", () => {
    const told: Array<ReadonlyArray<number>> = []
    const watching = keeping(({ arrivalRate, averageWait, idleRatio, throughput }) => {
      told.push([arrivalRate, throughput, averageWait, idleRatio])
      return 1
    })
    const pool = EngineDriver.withIdle(1, { sizing: { ...watching, period: 2000 }, maxConnections: 1 })
    pool.advance(1000)
    // Idle at the first look, in use at the second: idle by half.
    const loan = pool.borrow()
    const waiter = pool.wait("a")
    pool.pass(600)
    pool.release(loan)
    pool.decided()
    pool.take(waiter)
    pool.advance(400)
    // "nobody", who opened the connection, came as well: 3 in 2 seconds; 1 ended. Two were served: one after 600 ms.
    assert.deepStrictEqual(told, [[1.5, 0.5, 300, 0.5]])
  })
})

describe("a wait that was for nothing", () => {
  it("counts once, when it is over: served, put back and served again", () => {
    const pool = EngineDriver.withIdle(1, { maxConnections: 1 })
    const loan = pool.borrow()
    pool.wait("a")
    pool.pass(100)
    pool.release(loan)
    // It dies before "a" is told: he waits on, for another, and is served after 150 ms in all.
    pool.died(1)
    pool.pass(50)
    pool.carryOut()
    assert.strictEqual(pool.ledger.demand.waited, 150)
  })
})

describe("a ceiling", () => {
  /** Four connections in use, and from the next second on the policy says that more than two would do harm. */
  const harmful = (options: Partial<EngineOptions> = {}) => {
    const says: { answer: Answer } = { answer: ({ kept }) => kept }
    const pool = EngineDriver.withIdle(4, { sizing: keeping((window) => says.answer(window)), ...options })
    const loans = Array.from({ length: 4 }, () => pool.borrow())
    says.answer = () => ({ connections: 2, reason: "harm", isCeiling: true })
    return { loans, pool, says }
  }

  it("closes what is too many as it comes back, and keeps the rest", () => {
    const { loans, pool } = harmful()
    pool.advance(1000)
    for (const loan of loans) pool.release(loan)
    const [first, second] = loans.map(({ connection }) => connection.id)
    assert.deepStrictEqual(pool.decided(), [`Close ${first}: unneeded`, `Close ${second}: unneeded`])
    assert.strictEqual(pool.ledger.idle.length, 2)
  })

  it("closes what is too many and rests at once", () => {
    const { loans, pool } = harmful()
    for (const loan of loans) pool.release(loan)
    pool.advance(1000)
    const [first, second] = loans.map(({ connection }) => connection.id)
    assert.deepStrictEqual(pool.decided(), [`Close ${first}: unneeded`, `Close ${second}: unneeded`])
  })

  it("lets nothing be opened, whoever waits", () => {
    const { pool } = harmful()
    pool.advance(1000)
    pool.wait("a")
    pool.advance(500)
    assert.deepStrictEqual(pool.decided(), [])
  })

  it("ends when a period ends with another answer", () => {
    const { pool, says } = harmful()
    pool.advance(1000)
    says.answer = () => 4
    pool.advance(1000)
    pool.wait("a")
    assert.deepStrictEqual(pool.decided(), ["Open 5"])
  })

  it("is not below the minimum", () => {
    const { pool, says } = harmful({ minConnections: 3 })
    says.answer = () => ({ connections: 3, reason: "harm", isCeiling: true })
    pool.advance(1000)
    assert.strictEqual(pool.ledger.limit, 3)
  })

  it("opens nothing by itself", () => {
    const pool = started(keeping(() => ({ connections: 5, reason: "no more than that", isCeiling: true })))
    seconds(pool, 2)
    assert.strictEqual(pool.ledger.total, 0)
  })

  it("does not keep a shared connection from being closed, which may never come back by itself", () => {
    const { pool } = harmful({ concurrency: 2, maxConnections: 4 })
    pool.advance(1000)
    assert.strictEqual(pool.ledger.doomed, 2)
  })
})

describe("a policy that talks nonsense", () => {
  const nonsense: ReadonlyArray<readonly [string, () => unknown, string]> = [
    ["NaN", () => ({ connections: Number.NaN }), "it answered NaN, which is no number of connections"],
    ["2.5", () => ({ connections: 2.5 }), "it answered 2.5, which is no number of connections"],
    ["Infinity", () => ({ connections: Infinity }), "it answered Infinity, which is no number of connections"],
    ["a word", () => ({ connections: "three" }), "it answered three, which is no number of connections"],
    ["nothing", () => undefined, "it answered undefined, which is no number of connections"],
    ["null", () => null, "it answered undefined, which is no number of connections"],
    ["less than none", () => ({ connections: -1 }), "it answered -1, which is not from 0 to 10"],
    ["more than the maximum", () => ({ connections: 11 }), "it answered 11, which is not from 0 to 10"],
    [
      "an exception",
      () => {
        throw new Error("no idea")
      },
      "it threw Error: no idea"
    ],
    [
      "an exception that cannot be shown",
      () => {
        throw Object.create(null)
      },
      "it threw object"
    ],
    [
      "what cannot be shown",
      () => ({ connections: Object.create(null) }),
      "it answered object, which is no number of connections"
    ],
    [
      "a number that throws",
      () => ({
        get connections() {
          throw new Error("no number")
        }
      }),
      "it threw Error: no number"
    ],
    [
      "a reason that throws",
      () => ({
        connections: 3,
        get reason() {
          throw new Error("no reason")
        }
      }),
      "it threw Error: no reason"
    ]
  ]
  for (const [word, answer, fault] of nonsense) {
    const mad = policy(answer as Answer)

    it(`is named, and not followed: ${word}`, () => {
      const pool = started(mad)
      pool.wait("a")
      // Nothing serves: the policy of the house opens one.
      assert.deepStrictEqual(pool.decided(), [`PolicyFault mine: ${fault}`, "Open 1"])
    })

    it(`is named once and counted each time: ${word}`, () => {
      const pool = started(mad)
      pool.wait("a")
      pool.wait("b")
      pool.wait("c")
      const faults = pool.decided().filter((decision) => decision.startsWith("PolicyFault"))
      assert.deepStrictEqual([faults.length, pool.ledger.sizing.ignored], [1, 3])
    })
  }

  it("is not followed at the end of a period: less than the minimum", () => {
    const pool = started(
      keeping(() => 1),
      { minConnections: 2 }
    )
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["PolicyFault mine: it answered 1, which is not from 2 to 10"])
    assert.strictEqual(pool.ledger.sizing.target, 2)
  })

  it("is not followed at the end of a period: more than the maximum", () => {
    const pool = started(keeping(() => 11))
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["PolicyFault mine: it answered 11, which is not from 0 to 10"])
    assert.strictEqual(pool.ledger.sizing.target, 0)
  })

  it("is followed again when it has come to its senses", () => {
    let size = Number.NaN
    const pool = started(keeping(() => size))
    pool.advance(1000)
    pool.decided()
    size = 2
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Open 1", "Open 2"])
  })

  it("may give no reason", () => {
    const pool = started(policy(() => ({ connections: 3 }) as SizingDecision))
    pool.advance(1000)
    assert.deepStrictEqual([pool.ledger.sizing.ignored, pool.ledger.sizing.changed?.reason], [0, "no reason given"])
  })

  it("keeps what was wrong last", () => {
    const pool = started(keeping(({ now }) => 10 + now / 1000))
    seconds(pool, 2)
    assert.strictEqual(pool.ledger.sizing.fault, "it answered 12, which is not from 0 to 10")
  })

  it("may say less than the minimum of those who wait, while that is still being opened", () => {
    const pool = new EngineDriver({ sizing: policy(() => 0), minConnections: 4, warmupBatchSize: 1 })
    pool.start()
    pool.wait("a")
    pool.wait("b")
    pool.decided()
    assert.strictEqual(pool.ledger.sizing.ignored, 0)
  })

  it("may keep what there is beyond a maximum that was lowered", () => {
    const pool = EngineDriver.withIdle(4, { sizing: keeping(({ kept }) => kept) })
    for (let loan = 0; loan < 4; loan++) pool.borrow()
    pool.resize(0, 2)
    pool.advance(1000)
    assert.strictEqual(pool.ledger.sizing.ignored, 0)
  })
})

describe("a policy that goes up and down again and again", () => {
  /** Five, three, five, three, ... : each but the first is a turn. */
  const flapping = () => started(keeping(({ now }) => ((now / 1000) % 2 === 1 ? 5 : 3)))

  it("is followed for six turns in a minute", () => {
    const pool = flapping()
    const targets = Array.from({ length: 7 }, () => (seconds(pool, 1), pool.ledger.sizing.target))
    assert.deepStrictEqual(targets, [5, 3, 5, 3, 5, 3, 5])
    assert.strictEqual(pool.ledger.sizing.ignored, 0)
  })

  it("is named at the seventh", () => {
    const pool = flapping()
    seconds(pool, 7)
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["PolicyFault mine: it turned round more than 6 times in a minute"])
    assert.strictEqual(pool.ledger.sizing.ignored, 1)
  })

  it("may only go up for a minute from then on", () => {
    const pool = flapping()
    seconds(pool, 8)
    const targets = new Set(Array.from({ length: 59 }, () => (seconds(pool, 1), pool.ledger.sizing.target)))
    assert.deepStrictEqual([...targets], [5])
  })

  it("may go up meanwhile", () => {
    const pool = started(keeping(({ now }) => (now > 8000 ? 7 : (now / 1000) % 2 === 1 ? 5 : 3)))
    seconds(pool, 9)
    assert.strictEqual(pool.ledger.sizing.target, 7)
  })

  it("is followed again after a minute", () => {
    const pool = flapping()
    seconds(pool, 68)
    assert.strictEqual(pool.ledger.sizing.target, 3)
  })

  it("is caught as well if it goes down by a ceiling", () => {
    const up = { connections: 5, reason: "up" }
    const down = { connections: 2, reason: "down", isCeiling: true }
    const pool = started(keeping(({ now }) => ((now / 1000) % 2 === 1 ? up : down)))
    seconds(pool, 8)
    assert.strictEqual(pool.ledger.sizing.fault, "it turned round more than 6 times in a minute")
  })

  it("is not the policy of the house, which may turn round as often as it likes", () => {
    const house = (connections: number) =>
      new (class extends HouseDecision {
        readonly reason = "of the house"
      })(connections)
    const pool = started(keeping(({ now }) => house((now / 1000) % 2 === 1 ? 5 : 3)))
    seconds(pool, 8)
    assert.deepStrictEqual([pool.ledger.sizing.ignored, pool.ledger.sizing.target], [0, 3])
  })

  it("does not flap if its turns are spread over more than a minute", () => {
    // A turn each 10 seconds: six in any minute.
    const pool = started(keeping(({ now }) => ((now / 10_000) % 2 === 1 ? 5 : 3), { period: 10_000 }))
    seconds(pool, 200)
    assert.strictEqual(pool.ledger.sizing.ignored, 0)
  })
})
