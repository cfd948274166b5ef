/**
 * What no field of a scenario can know alone. Each contradiction is looked for where the fields that it is about are right by
 * themselves, whatever is wrong elsewhere.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ConfigProblem } from "../PoolError.ts"
import { events, Load } from "./ScenarioSchema.ts"

type Fields = Readonly<Record<string, unknown>>

/** A run keeps three numbers of each request. */
const mostRequests = 20_000_000

export const contradictionsIn = (scenario: Fields): ReadonlyArray<ConfigProblem> => [
  ...Option.match(readLoad(scenario["load"]), {
    onNone: () => [],
    onSome: (load) => [...timeProblems(scenario, secondsOf(load)), ...requestProblems(scenario, load)]
  }),
  ...workProblems(scenario["work"])
]

type Phases = typeof Load.Type

const readLoad = Schema.decodeUnknownOption(Load)
const readTime = Schema.decodeUnknownOption(Schema.Finite)
const readTimed = Schema.decodeUnknownOption(Schema.Struct({ at: Schema.Finite }))
const readSpike = Schema.decodeUnknownOption(events.spike)
const readCount = Schema.decodeUnknownOption(Schema.Int)
const readFields = Schema.decodeUnknownOption(Schema.Record(Schema.String, Schema.Unknown))

const secondsOf = (load: Phases): number => load.reduce((sum, { seconds }) => sum + seconds, 0)

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** What happens, and the time that is measured, lie within the load. */
const timeProblems = (scenario: Fields, seconds: number): ReadonlyArray<ConfigProblem> => {
  const times = [
    ...listOf(scenario["events"]).map((event, index) => ({
      field: `events[${index}].at`,
      time: Option.map(readTimed(event), ({ at }) => at)
    })),
    { field: "measureFrom", time: readTime(scenario["measureFrom"]) }
  ]
  return times.flatMap(({ field, time }) =>
    Option.isSome(time) && time.value >= seconds
      ? [{ field, value: String(time.value), expected: `a time before the end of the load, at ${seconds} s` }]
      : []
  )
}

/** There are some, and not more than can be counted. */
const requestProblems = (scenario: Fields, load: Phases): ReadonlyArray<ConfigProblem> => {
  const spikes = listOf(scenario["events"]).map((event) =>
    Option.match(readSpike(event), { onNone: () => 0, onSome: ({ requests }) => requests })
  )
  const inPhases = load.map(
    ({ perSecond, seconds, toPerSecond = perSecond }) => (seconds * (perSecond + toPerSecond)) / 2
  )
  const pools = Option.getOrElse(readCount(scenario["pools"]), () => 1)
  const requests = pools * [...spikes, ...inPhases].reduce((sum, count) => sum + count, 0)
  if (requests > 0 && requests <= mostRequests) return []
  const value = requests === 0 ? "no request" : `${Math.round(requests)} requests`
  return [{ field: "load", value, expected: `1 to ${mostRequests} requests in all` }]
}

/** What is long is so by a factor, and some of the requests. */
const workProblems = (work: unknown): ReadonlyArray<ConfigProblem> => {
  const { longFactor, longShare } = Option.getOrElse(readFields(work), (): Fields => ({}))
  if ((longFactor === undefined) === (longShare === undefined)) return []
  const [missing, given] = longFactor === undefined ? ["longFactor", "longShare"] : ["longShare", "longFactor"]
  return [{ field: `work.${missing}`, value: "nothing", expected: `a value: without it, ${given} means nothing` }]
}
