/** What comes of a run adds up, happens again, and is what queueing theory says where that has an answer. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LoadResult } from "../../src/laboratory/LoadResult.ts"
import { runLoad } from "../../src/laboratory/LoadRun.ts"
import type { LoadScenario } from "../../src/laboratory/LoadScenario.ts"
import { loadScenarios } from "../../src/laboratory/LoadScenarios.ts"
import * as PoolConfig from "../../src/PoolConfig.ts"

const run = (scenario: LoadScenario, seed = 1): LoadResult =>
  runLoad(scenario, Effect.runSync(PoolConfig.make(scenario.pool)), "test", seed)

const named = (name: string): LoadScenario => loadScenarios.find((scenario) => scenario.name === name)!

/** A pool of so many connections, each of which gets 100 requests a second done, whatever the others do. */
const fixedPool = (connections: number, perSecond: number, options: Partial<LoadScenario> = {}): LoadScenario => ({
  name: "fixed",
  summary: "",
  server: { perSecond: 100, contention: 0, coherency: 0, connectMillis: 10 },
  pool: {
    minConnections: connections,
    maxConnections: connections,
    acquireTimeout: "60 seconds",
    maxUses: Infinity,
    // What waits is to be served at once, as in the theory.
    checkAfterIdle: "1 hour"
  },
  work: { spread: "exponential" },
  load: [{ seconds: 600, perSecond }],
  events: [],
  goodWithinMillis: 1000,
  measureFrom: 10,
  ...options
})

/** The probability of having to wait for one of so many servers that are offered this load (Erlang, 1917). */
const erlangC = (servers: number, offered: number): number => {
  let blocked = 1
  for (let count = 1; count <= servers; count++) blocked = (offered * blocked) / (count + offered * blocked)
  return blocked / (1 - (offered / servers) * (1 - blocked))
}

const meanOf = (numbers: ReadonlyArray<number>): number =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length

describe("a run", () => {
  it("gives the same result with the same seed, to the byte", () => {
    const scenario = named("restart")
    assert.strictEqual(JSON.stringify(run(scenario)), JSON.stringify(run(scenario)))
  })

  it("gives another result with another seed", () => {
    const scenario = named("spike")
    assert.notStrictEqual(JSON.stringify(run(scenario, 1)), JSON.stringify(run(scenario, 2)))
  })

  it("has the same requests whatever the pool", () => {
    const small = { ...named("overload"), pool: { ...named("overload").pool, maxConnections: 10 } }
    assert.strictEqual(run(small).requests, run(named("overload")).requests)
  })

  it("measures nothing that came before it was to", () => {
    const scenario = fixedPool(5, 100, { load: [{ seconds: 20, perSecond: 100 }], measureFrom: 20 })
    assert.strictEqual(run(scenario).requests, 0)
  })

  it("takes samples up to the end of the load", () => {
    const { sampleMillis, timeline } = run(named("step"))
    assert.isAtLeast(timeline.length * sampleMillis, 60_000)
  })
})

describe("a pool of fixed size", () => {
  it("has as many in use as Little's law says", () => {
    const { timeline } = run(fixedPool(10, 500))
    const inUse = meanOf(timeline.slice(10).map((sample) => sample.inUse))
    assert.closeTo(inUse, 5, 0.3)
  })

  it("makes half of its borrowers wait no longer than Erlang's formula says", () => {
    // Whoever waits at all waits 1 / (1000 - 850) s on average, and exponentially: so the quantiles follow from the formula.
    const expected = Math.log(erlangC(10, 8.5) / 0.5) / 0.15
    assert.closeTo(run(fixedPool(10, 850)).waitMillis.p50, expected, 0.5)
  })

  it("makes one in a hundred wait as long as it says", () => {
    const { waitMillis } = run(fixedPool(10, 850))
    const expected = Math.log(erlangC(10, 8.5) / 0.01) / 0.15
    assert.closeTo(waitMillis.p99 / expected, 1, 0.15)
  })

  it("answers a request with nobody beside it in the time its work takes", () => {
    const scenario = fixedPool(1, 1, { work: { spread: "fixed" } })
    assert.closeTo(run(scenario).answerMillis.p50, 10, 1e-6)
  })

  it("has the connections it is asked for", () => {
    assert.closeTo(run(fixedPool(10, 500)).meanConnections, 10, 1e-6)
  })
})

describe("a server that is down", () => {
  it("is down for as long as the scenario says", () => {
    assert.strictEqual(run(named("restart")).downMillis, 10_000)
  })

  it("is seen to answer again", () => {
    assert.isAbove(run(named("restart")).firstAnswerMillis ?? 0, 0)
  })

  it("is no matter where there is none", () => {
    assert.isUndefined(run(named("spike")).firstAnswerMillis)
  })
})

describe.each(loadScenarios.map((scenario) => [scenario.name, scenario] as const))("the scenario %s", (_, scenario) => {
  const result = run(scenario)

  it("ends with something for each request", () => {
    const { failed, good, late, requests, shed, timedOut } = result
    assert.strictEqual(good + late + shed + timedOut + failed, requests)
  })

  it("has requests", () => {
    assert.isAbove(result.requests, 0)
  })

  it("breaks no promise", () => {
    assert.deepStrictEqual(result.violations, [])
  })

  it("never has more connections than it may", () => {
    assert.strictEqual(result.overshoot, 0)
  })
})

describe("the scenarios", () => {
  it("have names of their own", () => {
    assert.strictEqual(new Set(loadScenarios.map(({ name }) => name)).size, loadScenarios.length)
  })
})
