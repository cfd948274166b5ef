/** Requests come at the rates that a scenario asks for, and the same ones every time. */
import { assert, describe, it } from "@effect/vitest"
import type { LoadScenario } from "../../src/laboratory/LoadScenario.ts"
import { Workload } from "../../src/laboratory/Workload.ts"

const scenarioOf = (options: Partial<LoadScenario>): LoadScenario => ({
  name: "test",
  summary: "",
  server: { perSecond: 200, contention: 0, coherency: 0, connectMillis: 100 },
  pool: {},
  work: { spread: "exponential" },
  load: [],
  events: [],
  goodWithinMillis: 1000,
  measureFrom: 0,
  ...options
})

interface Came {
  readonly at: number
  readonly work: number
  readonly isNested: boolean
}

const arrivals = (options: Partial<LoadScenario>, seed = 1, pool = 0): ReadonlyArray<Came> => {
  const workload = new Workload(scenarioOf(options), seed, pool)
  const came: Array<Came> = []
  while (workload.next()) came.push({ at: workload.at, work: workload.work, isNested: workload.isNested })
  return came
}

const within = (came: ReadonlyArray<Came>, from: number, to: number): number =>
  came.filter(({ at }) => at >= from * 1000 && at < to * 1000).length

const mean = (numbers: ReadonlyArray<number>): number =>
  numbers.reduce((sum, number) => sum + number, 0) / numbers.length

describe("requests", () => {
  it("come at the rate of their phase", () => {
    const came = arrivals({
      load: [
        { seconds: 100, perSecond: 100 },
        { seconds: 100, perSecond: 400 }
      ]
    })
    assert.closeTo(within(came, 0, 100) / 10_000, 1, 0.04)
    assert.closeTo(within(came, 100, 200) / 40_000, 1, 0.02)
  })

  it("come at a rate that rises evenly", () => {
    const came = arrivals({ load: [{ seconds: 100, perSecond: 0, toPerSecond: 1000 }] })
    assert.closeTo(within(came, 0, 50) / 12_500, 1, 0.04)
    assert.closeTo(within(came, 50, 100) / 37_500, 1, 0.02)
  })

  it("come at a rate that falls to nothing", () => {
    const came = arrivals({ load: [{ seconds: 100, perSecond: 1000, toPerSecond: 0 }] })
    assert.closeTo(within(came, 90, 100) / 500, 1, 0.15)
  })

  it("come at random: the gaps vary as much as they are long", () => {
    const came = arrivals({ load: [{ seconds: 1000, perSecond: 50 }] })
    const gaps = came.slice(1).map(({ at }, index) => at - came[index]!.at)
    const average = mean(gaps)
    const deviation = Math.sqrt(mean(gaps.map((gap) => (gap - average) ** 2)))
    assert.closeTo(deviation / average, 1, 0.03)
  })

  it("do not come where none are asked for", () => {
    const load = [
      { seconds: 10, perSecond: 0 },
      { seconds: 10, perSecond: 100 }
    ]
    assert.strictEqual(within(arrivals({ load }), 0, 10), 0)
  })

  it("come all at once in a spike", () => {
    const came = arrivals({ load: [{ seconds: 10, perSecond: 1 }], events: [{ at: 5, what: "spike", requests: 50 }] })
    assert.strictEqual(came.filter(({ at }) => at === 5000).length, 50)
  })

  it("come in the order of time", () => {
    const times = arrivals({
      load: [{ seconds: 10, perSecond: 100 }],
      events: [
        { at: 7, what: "spike", requests: 5 },
        { at: 3, what: "spike", requests: 5 }
      ]
    }).map(({ at }) => at)
    assert.deepStrictEqual(
      times,
      times.toSorted((one, other) => one - other)
    )
  })

  it("are the same with the same seed", () => {
    const load = [{ seconds: 10, perSecond: 100 }]
    assert.deepStrictEqual(arrivals({ load }, 7), arrivals({ load }, 7))
  })

  it("are others with another seed", () => {
    const load = [{ seconds: 10, perSecond: 100 }]
    assert.notDeepEqual(arrivals({ load }, 7), arrivals({ load }, 8))
  })

  it("are others for another pool", () => {
    const load = [{ seconds: 10, perSecond: 100 }]
    assert.notDeepEqual(arrivals({ load }, 7, 0), arrivals({ load }, 7, 1))
  })

  it("come at the same times whatever they ask for", () => {
    const load = [{ seconds: 10, perSecond: 100 }]
    const times = (came: ReadonlyArray<Came>): ReadonlyArray<number> => came.map(({ at }) => at)
    assert.deepStrictEqual(
      times(arrivals({ load, work: { spread: "fixed" } })),
      times(arrivals({ load, work: { spread: "exponential", nestedShare: 0.5 } }))
    )
  })
})

describe("the work of a request", () => {
  const load = [{ seconds: 100, perSecond: 500 }]

  it("is 1 on average", () => {
    assert.closeTo(mean(arrivals({ load }).map(({ work }) => work)), 1, 0.02)
  })

  it("is always 1 where it is fixed", () => {
    assert.isTrue(arrivals({ load, work: { spread: "fixed" } }).every(({ work }) => work === 1))
  })

  it("is long as often as it should be", () => {
    const came = arrivals({ load, work: { spread: "fixed", longShare: 0.1, longFactor: 50 } })
    assert.closeTo(came.filter(({ work }) => work === 50).length / came.length, 0.1, 0.01)
  })

  it("takes a second connection as often as it should", () => {
    const came = arrivals({ load, work: { spread: "fixed", nestedShare: 0.3 } })
    assert.closeTo(came.filter(({ isNested }) => isNested).length / came.length, 0.3, 0.01)
  })
})
