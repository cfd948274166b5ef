import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { waitProbability } from "../src/advisor/ErlangC.ts"
import * as PoolAdvisor from "../src/PoolAdvisor.ts"

type Given = ConstructorParameters<typeof PoolAdvisor.Facts>[0]

/** 200 acquires a second that hold for 25 ms: 5 connections busy. */
const advise = (given: Partial<Given> = {}): PoolAdvisor.Advice =>
  PoolAdvisor.advise(new PoolAdvisor.Facts({ arrivalRate: 200, holdMillisP50: 25, ...given }))

const problemsOf = (input: unknown) =>
  Effect.map(Effect.flip(PoolAdvisor.factsFrom(input as PoolAdvisor.Input)), ({ problems }) => problems)

const assertNote = ({ notes }: PoolAdvisor.Advice, part: string): void =>
  assert.isTrue(
    notes.some((note) => note.includes(part)),
    `no note has "${part}":\n${notes.join("\n")}`
  )

const assertNoNote = ({ notes }: PoolAdvisor.Advice, part: string): void =>
  assert.deepStrictEqual(
    notes.filter((note) => note.includes(part)),
    []
  )

describe("the hold time", () => {
  it("is taken as exponential without a p95, and the advice says so", () => assertNote(advise(), "without a p95"))

  it("is called a guess where its tail is very long", () => {
    assertNote(advise({ holdMillisP50: 1, holdMillisP95: 30 }), "a guess: measure it")
    assertNoNote(advise({ holdMillisP50: 20, holdMillisP95: 80 }), "a guess")
  })
})

describe("the load", () => {
  it("keeps arrivals times hold busy (Little), and gets room for chance", () => {
    const advice = advise()
    assert.strictEqual(advice.busyConnections, 5)
    assert.deepStrictEqual([advice.minConnections, advice.maxConnections], [5, 9])
    assert.deepStrictEqual([advice.verdict, advice.bindingConstraint], ["fits", "load"])
    assert.strictEqual(
      advice.because,
      "200 acquires a second, each holding a connection for 25 ms, keep 5 connections busy; with room for chance that makes 9"
    )
    assert.closeTo(advice.utilization, 5 / 9, 1e-12)
  })

  it("that is large is kept at the target utilization", () => {
    const advice = advise({ arrivalRate: 4000 })
    assert.strictEqual(advice.maxConnections, 134)
    assert.include(advice.because, "at most 75 % busy, that makes 134")
    assert.strictEqual(advise({ arrivalRate: 4000, targetUtilization: 0.5 }).maxConnections, 200)
  })

  it("brings the wait that Erlang's C foretells", () => {
    const { expectedWaitMillis, expectedWaitMillisP99 } = advise()
    const probability = waitProbability(9, 5)
    assert.closeTo(expectedWaitMillis ?? NaN, (probability * 25) / 4, 1e-9)
    assert.closeTo(expectedWaitMillisP99 ?? NaN, (25 / 4) * Math.log(probability * 100), 1e-9)
  })

  it("of slow leases needs more than room for chance to keep the target of the wait", () => {
    const advice = advise({ arrivalRate: 1, holdMillisP50: 400, holdMillisP95: 800 })
    assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [3, "waitTarget"])
    assert.isAtMost(advice.expectedWaitMillisP99 ?? NaN, 100)
    assert.include(advice.because, "to wait no longer than 100 ms it takes 3")
  })

  it("that one connection carries gets a second", () => {
    const advice = advise({ arrivalRate: 1 })
    assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [2, "spare"])
  })

  it("may be none", () => {
    const advice = advise({ arrivalRate: 0 })
    assert.deepStrictEqual([advice.maxConnections, advice.expectedWaitMillis, advice.utilization], [2, 0, 0])
  })

  it("is shared by the leases of one connection", () => {
    const advice = advise({ arrivalRate: 700, holdMillisP50: 30, concurrency: 8 })
    assert.deepStrictEqual([advice.busyConnections, advice.maxConnections], [2.625, 4])
    assert.include(advice.because, "21 leases at a time, which at 8 to a connection")
  })

  it("takes no whole connection for floating-point dust", () =>
    assert.strictEqual(advise({ arrivalRate: 2400, holdMillisP50: 25, targetUtilization: 0.6 }).maxConnections, 100))
})

describe("the server's connections", () => {
  it("are shared by the replicas", () => {
    const advice = advise({ arrivalRate: 600, replicas: 5, serverMaxConnections: 100 })
    assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [19, "serverConnections"])
    assert.include(advice.because, "21 would be wanted, and the server has 19 for each of 5 replicas")
    assertNote(advice, "to have the room that is missing")
  })

  it("are counted without those that are reserved", () =>
    assert.strictEqual(
      advise({ arrivalRate: 600, replicas: 5, serverMaxConnections: 100, serverReserved: 25 }).bindingConstraint,
      "holdTime"
    ))

  it("are more than the present maximum of all replicas may ask for", () => {
    const advice = advise({ arrivalRate: 50, replicas: 20, serverMaxConnections: 100, maxConnections: 100 })
    assert.strictEqual(advice.verdict, "change")
    assertNote(advice, "20 replicas with 100 each may ask for 2,000 connections, the server has 97 to give")
  })

  it("are asked for twice behind a deploy", () => {
    assertNote(
      advise({ replicas: 8, serverMaxConnections: 100 }),
      "twice as many replicas run for a moment: 16 replicas with 9 each may ask for 144 connections, the server has 97 to give; 6 each"
    )
    assertNoNote(advise({ replicas: 4, serverMaxConnections: 100 }), "deploy")
  })

  it("may be fewer than replicas, and then no maximum helps", () => {
    const advice = advise({ arrivalRate: 5, replicas: 200, serverMaxConnections: 100 })
    assert.deepStrictEqual([advice.verdict, advice.bindingConstraint], ["noMaximumHelps", "serverConnections"])
    assert.include(
      advice.because,
      "the server is the problem: it has 97 connections to give, and 200 replicas need one"
    )
    assert.strictEqual(advice.maxConnections, 1)
  })

  it("are many for its cores", () => {
    const given = { arrivalRate: 1600, replicas: 2, serverCores: 8 }
    assertNote(advise(given), "2 x cores + 1 = 17")
    assertNoNote(advise({ ...given, serverCores: 64 }), "cores")
    assertNoNote(advise({ ...given, knee: { connections: 60, confidence: 0.9 } }), "cores")
  })
})

describe("the knee", () => {
  it("bounds what the load wants", () => {
    const advice = advise({ arrivalRate: 1200, knee: { connections: 34.8, confidence: 0.8 } })
    assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [34, "knee"])
    assert.include(advice.because, "40 would be wanted, and beyond 34 connections the server gets less done")
  })

  it("says how much too big the present maximum is", () => {
    const advice = advise({ maxConnections: 100, knee: { connections: 34, confidence: 0.8 } })
    assert.strictEqual(advice.verdict, "change")
    assertNote(advice, "the present maximum of 100 is 2.9 times too big: the knee is near 34")
  })

  it("that is a guess limits nothing", () => {
    const advice = advise({ arrivalRate: 1200, knee: { connections: 34, confidence: 0.3 } })
    assert.strictEqual(advice.maxConnections, 40)
    assertNote(advice, "the knee near 34 is a guess yet (confidence 0.3)")
  })
})

describe("nested acquires", () => {
  it("need borrowers x (depth - 1) + 1 (HikariCP: 3 x (4 - 1) + 1 = 10)", () => {
    const advice = advise({ nestingDepth: 4, concurrentBorrowers: 3 })
    assert.deepStrictEqual(
      [advice.maxConnections, advice.deadlockFreeMinimum, advice.bindingConstraint],
      [10, 10, "nesting"]
    )
    assert.include(advice.because, "fewer than 3 x (4 - 1) + 1 leases: that takes 10 connections")
  })

  it("need nothing where no fiber holds two", () =>
    assert.isUndefined(advise({ nestingDepth: 1, concurrentBorrowers: 50 }).deadlockFreeMinimum))

  it("go past the knee, since a deadlock is worse", () => {
    const advice = advise({ nestingDepth: 3, concurrentBorrowers: 20, knee: { connections: 12, confidence: 1 } })
    assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [41, "nesting"])
    assertNote(advice, "41 is past the knee near 12")
  })

  it("may need more than the server gives: no maximum helps", () => {
    const advice = advise({ nestingDepth: 3, concurrentBorrowers: 20, serverMaxConnections: 30 })
    assert.deepStrictEqual([advice.verdict, advice.bindingConstraint], ["noMaximumHelps", "nesting"])
    assert.include(advice.because, "the nesting is the problem")
    assert.include(advice.because, "the server has 27 to give")
    assert.include(advice.because, "let at most 13 fibers borrow at the same time")
    assert.strictEqual(advice.maxConnections, 27)
  })

  it("need what one fiber holds, even where the number of borrowers is not known", () => {
    const advice = advise({ arrivalRate: 1, nestingDepth: 4 })
    assert.deepStrictEqual([advice.maxConnections, advice.bindingConstraint], [4, "nesting"])
    assert.isUndefined(advice.deadlockFreeMinimum)
    assert.include(advice.because, "a fiber that holds 4 at the same time waits for itself with fewer than 4 leases")
  })

  it("say how many fibers are safe where their number is not known", () =>
    assertNote(advise({ nestingDepth: 3 }), "more than 4 such fibers at once can all wait for each other"))
})

describe("no maximum fixes this", () => {
  it("where the load needs more than the server gives, and says what would", () => {
    const advice = advise({ holdMillisP50: 500, replicas: 4, serverMaxConnections: 100 })
    assert.deepStrictEqual([advice.verdict, advice.bindingConstraint], ["noMaximumHelps", "holdTime"])
    assert.match(advice.because, /^no maximum fixes this: the hold time is the problem: 200 acquires a second/)
    // 24 connections, 75 % busy, are 18 leases at a time: 18 / 200 = 90 ms. 18 / 0.5 = 36 a second would wait for more than
    // 100 ms. 134 x 4 + 3 = 539.
    assert.include(advice.because, "hold a connection for at most 90 ms on average, or")
    assert.include(advice.because, "take at most 32.3 acquires a second for each replica")
    assert.include(advice.because, "max_connections of 539 (134 for each replica)")
    assert.isUndefined(advice.expectedWaitMillis)
    assert.closeTo(advice.utilization, 100 / 24, 1e-12)
  })

  it("where the load needs more than the knee", () => {
    const advice = advise({ holdMillisP50: 500, knee: { connections: 34, confidence: 0.9 } })
    assert.strictEqual(advice.verdict, "noMaximumHelps")
    assert.include(advice.because, "a knee at 134 connections or more")
    assert.strictEqual(advice.maxConnections, 34)
  })

  it("where the load is carried, but acquires give up first", () => {
    const given = { arrivalRate: 9.9, holdMillisP50: 1000, serverMaxConnections: 13 }
    const advice = advise(given)
    assert.deepStrictEqual([advice.verdict, advice.bindingConstraint], ["noMaximumHelps", "holdTime"])
    assert.isAbove(advice.expectedWaitMillisP99 ?? NaN, 5000)
    assertNote(advice, "more than 1 of 100 acquires runs into the acquire timeout of 5 s")
    assert.strictEqual(advise({ ...given, acquireTimeoutMillis: 3_600_000 }).verdict, "fits")
  })

  it("and its remedies do fix it", () => {
    const given = { replicas: 4, serverMaxConnections: 100 }
    assert.strictEqual(advise({ ...given, holdMillisP50: 90 }).verdict, "fits")
    const less = advise({ ...given, holdMillisP50: 500, arrivalRate: 32.3 })
    assert.strictEqual(less.verdict, "fits")
    assert.isAtMost(less.expectedWaitMillisP99 ?? NaN, 100)
    assert.isAbove(advise({ ...given, holdMillisP50: 500, arrivalRate: 32.4 }).expectedWaitMillisP99 ?? NaN, 100)
    const bigger = advise({ ...given, holdMillisP50: 500, serverMaxConnections: 539 })
    assert.deepStrictEqual([bigger.verdict, bigger.maxConnections, bigger.bindingConstraint], ["fits", 134, "load"])
  })

  it("where few leases are very long: the remedies ask for less than there is", () => {
    const given = { arrivalRate: 1, holdMillisP50: 200, holdMillisP95: 3000, serverMaxConnections: 5 }
    const { because, holdMillisMean, verdict } = advise(given)
    assert.strictEqual(verdict, "noMaximumHelps")
    const [, hold = "", rate = ""] =
      /at most (\d+) ms on average, or take at most ([\d.]+) acquires/.exec(because) ?? []
    assert.isBelow(Number(hold), holdMillisMean)
    assert.isBelow(Number(rate), 1)
    const factor = Number(hold) / holdMillisMean
    const shorter = advise({ ...given, holdMillisP50: 200 * factor, holdMillisP95: 3000 * factor })
    for (const advice of [shorter, advise({ ...given, arrivalRate: Number(rate) })]) {
      assert.strictEqual(advice.verdict, "fits")
      assert.isAtMost(advice.expectedWaitMillisP99 ?? NaN, 100)
    }
  })

  it("answers at once for absurd loads", () => {
    const advice = advise({ arrivalRate: 1_000_000, holdMillisP50: 3_600_000, concurrency: 10_000 })
    assert.strictEqual(advice.verdict, "noMaximumHelps")
  })
})

describe("the present configuration", () => {
  it("fits where it carries the load and nothing forbids it", () => {
    const advice = advise({ maxConnections: 12, serverMaxConnections: 100 })
    assert.strictEqual(advice.verdict, "fits")
    assertNote(advice, "the present maximum of 12 does as well")
  })

  it("is to change where it is too small", () => {
    const advice = advise({ maxConnections: 6 })
    assert.strictEqual(advice.verdict, "change")
    assertNote(advice, "the present maximum of 6 is too small by 3")
  })

  it("may be many times too big without known harm", () => {
    const advice = advise({ maxConnections: 100 })
    assert.strictEqual(advice.verdict, "fits")
    assertNote(advice, "11 times what the load needs")
  })

  it("may have a minimum that is too small or too big", () => {
    assertNote(advise({ minConnections: 0 }), "the present minimum of 0 leaves 5 connections")
    assertNote(advise({ minConnections: 50 }), "the present minimum of 50 is more than the maximum")
    assertNoNote(advise({ minConnections: 5 }), "minimum")
  })

  it("may give up before slow leases end", () =>
    assertNote(advise({ holdMillisP50: 20, holdMillisP95: 6000 }), "1 of 20 leases lasts longer than 6 s"))
})

describe("the facts", () => {
  it.effect("are checked together: one error names every wrong field", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        holdMillisP50: "fast",
        replicas: 1.5,
        knee: { connections: 0 },
        concurrency: Infinity,
        servers: 2
      })
      assert.deepStrictEqual(problems, [
        { field: "arrivalRate", value: "nothing", expected: "acquires a second from 0 to 1000000" },
        { field: "holdMillisP50", value: '"fast"', expected: "milliseconds from 0.001 to 86400000" },
        { field: "replicas", value: "1.5", expected: "a whole number from 1 to 1000000" },
        { field: "knee.connections", value: "0", expected: "connections from 1 to 1000000" },
        { field: "knee.confidence", value: "nothing", expected: "a number from 0 to 1" },
        { field: "concurrency", value: "Infinity", expected: "a whole number from 1 to 10000" },
        { field: "servers", value: "2", expected: "no such field" }
      ])
    })
  )

  it.effect("are checked against each other", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        arrivalRate: 1,
        holdMillisP50: 80,
        holdMillisP95: 20,
        minConnections: 5,
        maxConnections: 2,
        waitTargetMillis: 6000,
        serverMaxConnections: 3
      })
      assert.deepStrictEqual(
        problems.map(({ expected, field }) => `${field}: ${expected}`),
        [
          "holdMillisP50: at most holdMillisP95 (20)",
          "minConnections: at most maxConnections (2)",
          "waitTargetMillis: at most acquireTimeoutMillis (5000)",
          "serverReserved: less than serverMaxConnections (3)"
        ]
      )
    })
  )

  it.effect("may leave out what is not known", () =>
    Effect.gen(function* () {
      const facts = yield* PoolAdvisor.factsFrom({ arrivalRate: 200, holdMillisP50: 25, knee: undefined })
      assert.deepStrictEqual(Object.entries(facts), [
        ["arrivalRate", 200],
        ["holdMillisP50", 25]
      ])
      assert.instanceOf(facts, PoolAdvisor.Facts)
    })
  )

  it.effect("and the advice go through JSON and back", () =>
    Effect.gen(function* () {
      const facts = new PoolAdvisor.Facts({
        arrivalRate: 200,
        holdMillisP50: 500,
        knee: { connections: 34, confidence: 0.9 }
      })
      for (const advice of [advise(), PoolAdvisor.advise(facts)]) {
        const Json = Schema.fromJsonString(PoolAdvisor.Advice)
        const back = yield* Schema.decodeEffect(Json)(yield* Schema.encodeEffect(Json)(advice))
        assert.deepStrictEqual(back, advice)
      }
      const Json = Schema.fromJsonString(PoolAdvisor.Facts)
      assert.deepStrictEqual(yield* Schema.decodeEffect(Json)(yield* Schema.encodeEffect(Json)(facts)), facts)
    })
  )
})

describe("show", () => {
  it("has the recommendation first, then why, then what to expect, then the notes", () =>
    assert.deepStrictEqual(PoolAdvisor.show(advise({ maxConnections: 6 })).split("\n"), [
      "maxConnections 9, minConnections 5 (change it to this)",
      "why: 200 acquires a second, each holding a connection for 25 ms, keep 5 connections busy; with room for chance that makes 9",
      "wait: 0.503 ms on average, at most 13 ms for 99 of 100; 56 % of the connections busy",
      "- the present maximum of 6 is too small by 3",
      "- without a p95 of the hold time, 25 ms is taken as its mean, and the times as exponential"
    ]))

  it("says that a line grows without end", () => {
    const lines = PoolAdvisor.show(advise({ holdMillisP50: 500, serverMaxConnections: 37 })).split("\n")
    assert.include(lines[0], "no maximum helps")
    assert.include(lines[2], "the line only grows; 294 % of the connections busy")
  })
})
