/** What a scenario may be made of when it is written down, with the bounds and the default of each field. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const atLeast = (minimum: number) =>
  Schema.Finite.check(Schema.isGreaterThanOrEqualTo(minimum)).annotate({
    expected: `a number of at least ${minimum}`
  })

const positive = Schema.Finite.check(Schema.isGreaterThan(0)).annotate({ expected: "a number above 0" })

const count = (minimum: number, maximum: number) =>
  Schema.Int.check(Schema.isBetween({ minimum, maximum })).annotate({
    expected: `a whole number from ${minimum} to ${maximum}`
  })

const share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).annotate({
  expected: "a number from 0 to 1"
})
const connections = count(0, 1_000_000)
const time = atLeast(0)

const byDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)))

/** It is a name in tables, in pictures and of files, and stands in lists with commas. */
const Name = Schema.String.check(Schema.isPattern(/^(?! )[^\p{C},]{1,60}(?<! )$/u)).annotate({
  expected: "a name of 1 to 60 characters, without commas and line breaks, and without blanks around it"
})

const Server = Schema.Struct({
  perSecond: positive,
  contention: byDefault(share, 0),
  coherency: byDefault(atLeast(0), 0),
  connectMillis: byDefault(time, 100),
  maxConnections: Schema.optionalKey(connections),
  idleKillSeconds: Schema.optionalKey(positive)
}).annotate({ expected: "a server: { perSecond }, and more" })

const Phase = Schema.Struct({
  seconds: positive,
  perSecond: atLeast(0),
  toPerSecond: Schema.optionalKey(atLeast(0))
}).annotate({ expected: "a stretch of the load: { seconds, perSecond }" })

/** At least one phase. */
export const Load = Schema.Array(Phase)
  .check(Schema.isMinLength(1))
  .annotate({ expected: "a list of at least one { seconds, perSecond }" })

const event = <const What extends string, const Fields extends Schema.Struct.Fields>(what: What, fields: Fields) =>
  Schema.Struct({ at: time, what: Schema.Literal(what), ...fields }).annotate({ expected: "an event: { at, what }" })

/** By what they are. */
export const events = {
  spike: event("spike", { requests: count(1, 10_000_000) }),
  speed: event("speed", { factor: positive }),
  neighbours: event("neighbours", { sessions: connections }),
  down: event("down", { seconds: positive }),
  blackHole: event("blackHole", { seconds: positive }),
  connectMillis: event("connectMillis", { millis: time }),
  serverMaxConnections: event("serverMaxConnections", { connections }),
  rejectsLogin: event("rejectsLogin", { seconds: positive }),
  recycle: event("recycle", {}),
  leaks: event("leaks", { share }),
  cancels: event("cancels", { share, afterMillis: time })
}

const Event = Schema.Union(Object.values(events)).annotate({ expected: "an event: { at, what }" })

const Work = Schema.Struct({
  spread: byDefault(
    Schema.Literals(["fixed", "exponential"]).annotate({ expected: `"fixed" or "exponential"` }),
    "exponential"
  ),
  longShare: Schema.optionalKey(share),
  longFactor: Schema.optionalKey(positive),
  nestedShare: Schema.optionalKey(share),
  batchShare: Schema.optionalKey(share)
}).annotate({ expected: "what a request asks for: { spread }, and more" })

export const Scenario = Schema.Struct({
  name: Name,
  summary: byDefault(Schema.String.annotate({ expected: "a text" }), ""),
  server: Server,
  pool: byDefault(
    Schema.Record(Schema.String, Schema.Unknown).annotate({
      expected: "a pool's configuration: { maxConnections, ... }"
    }),
    {}
  ),
  work: byDefault(Work, {}),
  load: Load,
  events: byDefault(Schema.Array(Event).annotate({ expected: "a list of events" }), []),
  goodWithinMillis: byDefault(positive, 1000),
  measureFrom: byDefault(time, 0),
  pools: Schema.optionalKey(count(1, 1000))
}).annotate({ expected: "a scenario: { name, server, load }, and more" })
