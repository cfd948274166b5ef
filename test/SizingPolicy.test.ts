import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, PoolConfig, SizingPolicy } from "../src/index.ts"
import { FakeServer, turns } from "./support/FakeServer.ts"

/** Ten connections, all of them in use, and nobody waits. */
const steady: SizingPolicy.SizingWindow = {
  now: 100_000,
  occasion: "period",
  minConnections: 2,
  limit: 100,
  target: 10,
  kept: 10,
  serving: 10,
  inUse: 10,
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
  shorteningRate: 0,
  capacity: [],
  isOverloaded: false,
  peaks: [],
  peakSeconds: 300,
  knee: undefined
}

const decideWith = (policy: SizingPolicy.SizingPolicy, window: Partial<SizingPolicy.SizingWindow>) =>
  policy.decide({ ...steady, ...window })

describe("threshold", () => {
  const threshold = SizingPolicy.threshold()
  const decide = (window: Partial<SizingPolicy.SizingWindow>) => decideWith(threshold, window)

  it("decides every five seconds, and not when somebody waits", () => {
    assert.deepStrictEqual([threshold.name, threshold.period, threshold.asksWhenWaiting], ["threshold", 5000, false])
  })

  it("grows by a fifth when the average wait is longer than 100 ms", () => {
    // 1.2 * 10
    const { connections, reason } = decide({ averageWait: 101 })
    assert.strictEqual(connections, 12)
    assert.strictEqual(reason, "acquires waited 101 ms on average, which is more than 100 ms")
  })

  it("rounds up when it grows", () => {
    // 1.2 * 11 = 13.2
    assert.strictEqual(decide({ averageWait: 101, kept: 11 }).connections, 14)
  })

  it("grows no further than the limit", () => {
    assert.strictEqual(decide({ averageWait: 101, limit: 11 }).connections, 11)
  })

  it("does not grow at 100 ms", () => {
    assert.strictEqual(decide({ averageWait: 100 }).connections, 10)
  })

  it("shrinks by a fifth when more than 80 % are idle", () => {
    // 0.8 * 10
    const { connections, reason } = decide({ idleRatio: 0.81 })
    assert.strictEqual(connections, 8)
    assert.strictEqual(reason, "81 % were idle")
  })

  it("rounds down when it shrinks", () => {
    // 0.8 * 11 = 8.8
    assert.strictEqual(decide({ idleRatio: 0.81, kept: 11 }).connections, 8)
  })

  it("does not shrink at 80 %", () => {
    assert.strictEqual(decide({ idleRatio: 0.8 }).connections, 10)
  })

  it("never shrinks below the minimum", () => {
    // 0.8 * 2 = 1.6
    assert.strictEqual(decide({ idleRatio: 1, kept: 2 }).connections, 2)
  })

  it("grows, where a long wait and idle connections come together", () => {
    assert.strictEqual(decide({ averageWait: 101, idleRatio: 0.9 }).connections, 12)
  })

  it("keeps what it has otherwise", () => {
    const { connections, reason } = decide({ averageWait: 50, idleRatio: 0.5 })
    assert.strictEqual(connections, 10)
    assert.strictEqual(reason, "acquires waited 50 ms on average, 50 % were idle")
  })

  it("goes back to the minimum where there are fewer", () => {
    assert.strictEqual(decide({ kept: 1 }).connections, 2)
  })

  describe("with other numbers", () => {
    const other = SizingPolicy.threshold({
      period: "2 seconds",
      waitAbove: "20 millis",
      growBy: 1.5,
      idleAbove: 0.5,
      shrinkBy: 0.5
    })

    it("has another period", () => {
      assert.strictEqual(other.period, 2000)
    })

    it("grows at another wait, by another factor", () => {
      assert.deepStrictEqual(
        [20, 21].map((averageWait) => decideWith(other, { averageWait }).connections),
        [10, 15]
      )
    })

    it("shrinks at another idle ratio, by another factor", () => {
      assert.deepStrictEqual(
        [0.5, 0.51].map((idleRatio) => decideWith(other, { idleRatio }).connections),
        [10, 5]
      )
    })
  })
})

describe("numbers that a computer cannot write down exactly", () => {
  it("do not make one more: 1.1 times 50 is 55", () => {
    const { connections } = decideWith(SizingPolicy.threshold({ growBy: 1.1 }), { kept: 50, averageWait: 101 })
    assert.strictEqual(connections, 55)
  })

  it("are rounded up for a fixed size", () => {
    assert.strictEqual(decideWith(SizingPolicy.fixed(2.5), {}).connections, 3)
  })
})

describe("fixed", () => {
  it("is always the same number", () => {
    const { connections, reason } = decideWith(SizingPolicy.fixed(20), { averageWait: 1000, waiting: 50 })
    assert.deepStrictEqual([connections, reason], [20, "the size is 20"])
  })

  it("is as many as the limit allows, where nothing is said", () => {
    assert.strictEqual(decideWith(SizingPolicy.fixed(), {}).connections, 100)
  })

  it("is no more than the limit allows", () => {
    assert.strictEqual(decideWith(SizingPolicy.fixed(20), { limit: 15 }).connections, 15)
  })

  it("is no less than the minimum", () => {
    assert.strictEqual(decideWith(SizingPolicy.fixed(1), {}).connections, 2)
  })
})

describe("predictive", () => {
  it("is asked every second, and when somebody waits", () => {
    const { asksWhenWaiting, name, period } = SizingPolicy.predictive()
    assert.deepStrictEqual([name, period, asksWhenWaiting], ["predictive", 1000, true])
  })

  it("has the knee for a ceiling only where it is told to", () => {
    const knee = { connections: 35, contention: 0.02, coherency: 0.0008, confidence: 1, isFrozen: false }
    // 4000 * 10 / 100 = 400 are needed, and 100 allowed.
    const rush = { occasion: "waiting", waiting: 4000, knee } as const
    assert.deepStrictEqual(
      [undefined, false, true].map(
        (kneeIsCeiling) => decideWith(SizingPolicy.predictive({ kneeIsCeiling }), rush).connections
      ),
      [100, 100, 35]
    )
  })
})

describe("a policy of one's own", () => {
  const decide = () => ({ connections: 3, reason: "three is enough" })

  it("is asked every second, and not when somebody waits, unless it says so", () => {
    const { asksWhenWaiting, name, period } = SizingPolicy.make({ name: "three", decide })
    assert.deepStrictEqual([name, period, asksWhenWaiting], ["three", 1000, false])
  })

  it("is asked as it says", () => {
    const policy = SizingPolicy.make({ name: "three", period: "5 seconds", asksWhenWaiting: true, decide })
    assert.deepStrictEqual([policy.period, policy.asksWhenWaiting], [5000, true])
  })

  it("decides by its function", () => {
    assert.deepStrictEqual(decideWith(SizingPolicy.make({ name: "three", decide }), {}), {
      connections: 3,
      reason: "three is enough"
    })
  })

  it.effect("is followed by a pool", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const sizing = SizingPolicy.make({ name: "three", decide })
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, sizing })
      yield* turns()
      assert.strictEqual((yield* ConnectionPool.status(pool)).total, 1)
      yield* TestClock.adjust("1 second")
      yield* turns()
      assert.strictEqual((yield* ConnectionPool.status(pool)).total, 3)
    })
  )
})

describe("isSizingPolicy", () => {
  it("knows a policy", () => {
    const policies = [SizingPolicy.predictive(), SizingPolicy.threshold(), SizingPolicy.fixed()]
    assert.deepStrictEqual(policies.map(SizingPolicy.isSizingPolicy), [true, true, true])
  })

  for (const [word, value] of [
    ["nothing", undefined],
    ["null", null],
    ["a name", "predictive"],
    ["a function", () => ({ connections: 1, reason: "" })]
  ] as ReadonlyArray<readonly [string, unknown]>) {
    it(`knows what is none: ${word}`, () => {
      assert.isFalse(SizingPolicy.isSizingPolicy(value))
    })
  }

  it("knows what is none: what was not made by this module", () => {
    const { asksWhenWaiting, decide, name, period } = SizingPolicy.fixed()
    assert.isFalse(SizingPolicy.isSizingPolicy({ asksWhenWaiting, decide, name, period }))
  })
})

describe("a configuration", () => {
  const problemsOf = (input: unknown) =>
    Effect.map(Effect.flip(PoolConfig.make(input as PoolConfig.Input)), ({ problems }) => problems)

  for (const name of SizingPolicy.names) {
    it.effect(`takes a policy by its name: ${name}`, () =>
      Effect.gen(function* () {
        const config = yield* PoolConfig.make({ sizing: name })
        assert.strictEqual(config.sizing, name)
        assert.strictEqual(SizingPolicy.policyOf(config).name, name)
      })
    )
  }

  it.effect("takes a policy", () =>
    Effect.gen(function* () {
      const sizing = SizingPolicy.fixed(7)
      const config = yield* PoolConfig.make({ sizing })
      assert.strictEqual(SizingPolicy.policyOf(config), sizing)
    })
  )

  it.effect("is predictive where nothing is said", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* PoolConfig.make()).sizing, "predictive")
    })
  )

  const others: ReadonlyArray<readonly [string, unknown]> = [
    ["an unknown name", "elastic"],
    ["a number", 5],
    ["null", null],
    ["a function", () => 5],
    ["what was not made by SizingPolicy", { name: "mine", period: 1000, asksWhenWaiting: true, decide: () => 5 }]
  ]
  for (const [word, sizing] of others) {
    it.effect(`refuses ${word}, with one error that names the field`, () =>
      Effect.gen(function* () {
        const problems = yield* problemsOf({ sizing })
        assert.deepStrictEqual(
          problems.map(({ expected, field }) => [field, expected]),
          [["sizing", `"predictive", "threshold", "fixed" or a SizingPolicy`]]
        )
      })
    )
  }

  it.effect("sheds above 100 ms for 500 ms, where nothing is said", () =>
    Effect.gen(function* () {
      const { enabled, interval, target } = (yield* PoolConfig.make()).shedding
      assert.deepStrictEqual([enabled, Duration.toMillis(target), Duration.toMillis(interval)], [true, 100, 500])
    })
  )

  it.effect("switches shedding off, and leaves the rest", () =>
    Effect.gen(function* () {
      const { enabled, interval, target } = (yield* PoolConfig.make({ shedding: { enabled: false } })).shedding
      assert.deepStrictEqual([enabled, Duration.toMillis(target), Duration.toMillis(interval)], [false, 100, 500])
    })
  )

  it.effect("sheds by other numbers", () =>
    Effect.gen(function* () {
      const shedding = { target: "20 millis", interval: 200 } as const
      const { enabled, interval, target } = (yield* PoolConfig.make({ shedding })).shedding
      assert.deepStrictEqual([enabled, Duration.toMillis(target), Duration.toMillis(interval)], [true, 20, 200])
    })
  )

  const wrong: ReadonlyArray<readonly [unknown, string, string]> = [
    [{ enabled: "yes" }, "shedding.enabled", "true or false"],
    [{ enabled: 1 }, "shedding.enabled", "true or false"],
    [{ target: 0 }, "shedding.target", "a duration from 1ms to 1d"],
    [{ target: -1 }, "shedding.target", "a duration from 1ms to 1d"],
    [{ interval: "a while" }, "shedding.interval", "a duration from 1ms to 1d"],
    [{ interval: Infinity }, "shedding.interval", "a duration from 1ms to 1d"],
    [{ on: true }, "shedding.on", "no such field"],
    [false, "shedding", "{ enabled, target, interval }"]
  ]
  for (const [shedding, field, expected] of wrong) {
    it.effect(`refuses shedding ${JSON.stringify(shedding)}, and names ${field}`, () =>
      Effect.gen(function* () {
        const problems = yield* problemsOf({ shedding })
        assert.deepStrictEqual(
          problems.map((problem) => [problem.field, problem.expected]),
          [[field, expected]]
        )
      })
    )
  }
})

describe("the environment", () => {
  const read = (variables: Record<string, string>) =>
    PoolConfig.config("DB").parse(ConfigProvider.fromEnv({ env: variables }))

  it.effect("names a policy", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({ DB_SIZING: "threshold" })).sizing, "threshold")
    })
  )

  it.effect("names no policy that there is not", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read({ DB_SIZING: "elastic" }))
      assert.include(error.message, `DB_SIZING: got "elastic"`)
    })
  )

  for (const [text, enabled] of [
    ["true", true],
    ["false", false]
  ] as const) {
    it.effect(`switches shedding: ${text}`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* read({ DB_SHEDDING_ENABLED: text })).shedding.enabled, enabled)
      })
    )
  }

  it.effect("sets when shedding begins", () =>
    Effect.gen(function* () {
      const { shedding } = yield* read({ DB_SHEDDING_TARGET: "50 millis", DB_SHEDDING_INTERVAL: "250" })
      assert.deepStrictEqual([shedding.target, shedding.interval].map(Duration.toMillis), [50, 250])
    })
  )

  it.effect("names the variable that is wrong", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read({ DB_SHEDDING_ENABLED: "perhaps" }))
      assert.include(error.message, `DB_SHEDDING_ENABLED: got "perhaps", expected true or false`)
    })
  )
})
