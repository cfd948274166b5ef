/** A scenario that a user has written is read as it is meant, or everything that is wrong with it is said. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LoadScenario } from "../../src/laboratory/LoadScenario.ts"
import { loadScenarios } from "../../src/laboratory/LoadScenarios.ts"
import { decodeScenarios, parseScenarios, type ScenarioError } from "../../src/laboratory/ScenarioFile.ts"

const shortest = { name: "mine", server: { perSecond: 100 }, load: [{ seconds: 10, perSecond: 50 }] }

const decoded = (value: unknown): Effect.Effect<LoadScenario, ScenarioError> =>
  Effect.map(decodeScenarios(value), ([scenario]) => scenario!)

const placesOf = (value: unknown) =>
  Effect.map(Effect.flip(decodeScenarios(value)), ({ problems }) => problems.map(({ field }) => field))

const onlyProblemOf = <A>(reading: Effect.Effect<A, ScenarioError>) =>
  Effect.map(Effect.flip(reading), ({ problems }) => {
    assert.strictEqual(problems.length, 1, JSON.stringify(problems))
    const { expected, field, value } = problems[0]!
    return `${field}: got ${value}, expected ${expected}`
  })

const asJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (inner === Infinity ? "Infinity" : inner))

describe("a short file", () => {
  it.effect("has a default for everything that is left out", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* decoded(shortest), {
        name: "mine",
        summary: "",
        server: { perSecond: 100, contention: 0, coherency: 0, connectMillis: 100 },
        pool: {},
        work: { spread: "exponential" },
        load: [{ seconds: 10, perSecond: 50 }],
        events: [],
        goodWithinMillis: 1000,
        measureFrom: 0
      })
    })
  )

  it.effect("may be a list of scenarios", () =>
    Effect.gen(function* () {
      const scenarios = yield* decodeScenarios([shortest, { ...shortest, name: "other" }])
      assert.deepStrictEqual(
        scenarios.map(({ name }) => name),
        ["mine", "other"]
      )
    })
  )
})

describe("the laboratory's own scenarios", () => {
  it.effect("can be written down and read again", () =>
    Effect.gen(function* () {
      const written = asJson(loadScenarios)
      const read = yield* parseScenarios(written)
      assert.deepStrictEqual(JSON.parse(asJson(read)), JSON.parse(written))
    })
  )
})

describe("mistakes", () => {
  it.effect("are all named at once, each with its place", () =>
    Effect.gen(function* () {
      const places = yield* placesOf({
        name: "",
        server: { perSecond: 0, coherency: -1 },
        load: [{ seconds: 10, perSecond: -5 }],
        events: [{ at: 1, what: "spikes" }],
        work: { spread: "even" },
        pool: { maxConnections: 0 }
      })
      assert.sameMembers(places, [
        "name",
        "server.perSecond",
        "server.coherency",
        "load[0].perSecond",
        "events[0].what",
        "work.spread",
        "pool.maxConnections"
      ])
    })
  )

  it.effect("are listed in the message", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(decoded({ ...shortest, name: 7, summary: 8 }))
      assert.strictEqual(
        message.replace(/expected a name.*/, "expected a name"),
        "2 mistakes in the scenario:\n  name: got 7, expected a name\n  summary: got 8, expected a text"
      )
    })
  )

  const oneOf = (name: string, value: unknown, problem: string): void => {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* onlyProblemOf(decoded(value)), problem)
      })
    )
  }

  oneOf(
    "of a number say what would be right",
    { ...shortest, load: [shortest.load[0], { seconds: 1, perSecond: -5 }] },
    "load[1].perSecond: got -5, expected a number of at least 0"
  )
  oneOf(
    "of what is missing say what should be there",
    { ...shortest, server: {} },
    "server.perSecond: got nothing, expected a number above 0"
  )
  oneOf(
    "in a field's name say which there are",
    { ...shortest, load: [{ seconds: 1, perSecond: 5, perMinute: 6 }] },
    "load[0].perMinute: got 6, expected no such field; there are seconds, perSecond, toPerSecond"
  )
  oneOf(
    "in a field that is null are not taken for its default",
    { ...shortest, goodWithinMillis: null },
    "goodWithinMillis: got null, expected a number above 0"
  )
  oneOf(
    "in the pool's configuration are found",
    { ...shortest, pool: { maxConnection: 10 } },
    "pool.maxConnection: got 10, expected no such field"
  )
  oneOf(
    "include a policy, which a run decides",
    { ...shortest, pool: { sizing: "threshold" } },
    `pool.sizing: got "threshold", expected to be left out: the policy is chosen for a run`
  )
  oneOf(
    "in an event that is known are those of its own fields",
    { ...shortest, events: [{ at: 1, what: "down" }] },
    "events[0].seconds: got nothing, expected a number above 0"
  )
  oneOf(
    "include an event after the end",
    { ...shortest, events: [{ at: 10, what: "recycle" }] },
    "events[0].at: got 10, expected a time before the end of the load, at 10 s"
  )
  oneOf(
    "include a measured time that never begins",
    { ...shortest, measureFrom: 10 },
    "measureFrom: got 10, expected a time before the end of the load, at 10 s"
  )
  oneOf(
    "include no load",
    { ...shortest, load: [] },
    "load: got [], expected a list of at least one { seconds, perSecond }"
  )
  oneOf(
    "include a load without requests",
    { ...shortest, load: [{ seconds: 1, perSecond: 0 }] },
    "load: got no request, expected 1 to 20000000 requests in all"
  )
  oneOf(
    "include more requests than can be run",
    { ...shortest, load: [{ seconds: 3600, perSecond: 10_000 }] },
    "load: got 36000000 requests, expected 1 to 20000000 requests in all"
  )
  oneOf(
    "include a share of long requests that are not longer",
    { ...shortest, work: { longShare: 0.1 } },
    "work.longFactor: got nothing, expected a value: without it, longShare means nothing"
  )
  oneOf(
    "include a value that is no scenario",
    7,
    "the scenario: got 7, expected a scenario: { name, server, load }, and more"
  )
  oneOf("include a list without scenarios", [], "the list: got [], expected at least one scenario")
  oneOf(
    "in a list say in which scenario",
    [shortest, { ...shortest, name: "other", measureFrom: 11 }],
    "[1].measureFrom: got 11, expected a time before the end of the load, at 10 s"
  )
  oneOf(
    "include a name that another scenario of the list has",
    [shortest, shortest],
    `[1].name: got "mine", expected another name than that of [0]`
  )

  it.effect("that no field can know alone are found beside others", () =>
    Effect.gen(function* () {
      assert.sameMembers(yield* placesOf({ ...shortest, name: 1, measureFrom: 10 }), ["name", "measureFrom"])
    })
  )
})

describe("a text that is no JSON", () => {
  const broken = (name: string, text: string, problem: string): void => {
    it.effect(name, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* onlyProblemOf(parseScenarios(text)), problem)
      })
    )
  }

  broken("is named by line and column", `{\n  "name": mine\n}`, "line 2, column 11: got mine, expected a value")
  broken("may end too early", `{ "name": "a"`, "line 1, column 14: got the end of the text, expected , or }")
  broken("may go on", `{} {}`, "line 1, column 4: got {}, expected the end of the text")
  broken("may have a comma too many", `[1,]`, "line 1, column 4: got ], expected a value")
  broken(
    "may have names without quotes",
    `{ name: 1 }`,
    "line 1, column 3: got name:, expected the name of a field, in double quotes"
  )
  broken(
    "may be nested beyond reason",
    "[".repeat(200),
    "line 1, column 102: got [[[[[[[[[[[[[[[[[[[[, expected at most 100 levels"
  )
  broken("may be empty", "", "line 1, column 1: got the end of the text, expected a value")

  it.effect("is not confused with one that has a field twice, of which both are named", () =>
    Effect.gen(function* () {
      const text = JSON.stringify(shortest).replace(`"name"`, `"name":"first","name"`)
      assert.strictEqual(
        yield* onlyProblemOf(parseScenarios(text)),
        "name: got another one, expected one field of this name"
      )
    })
  )
})

describe("a number without limit", () => {
  it.effect("is written as a text, since JSON has none", () =>
    Effect.gen(function* () {
      const scenario = yield* decoded({ ...shortest, pool: { maxUses: "Infinity" } })
      assert.deepStrictEqual(scenario.pool, { maxUses: Infinity })
    })
  )
})
