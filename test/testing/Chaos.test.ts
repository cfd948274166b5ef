import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, PoolLayer } from "../../src/index.ts"
import { Chaos, LeaseHistory, TestConnector } from "../../src/testing/index.ts"

/** What a pool goes through on such a day: its events, and how many of its uses were served. */
const day = (seed: number) =>
  Effect.gen(function* () {
    const fakes = TestConnector.make((n) => ({ n }))
    const chaos = Chaos.connector(fakes.connector, {
      seed,
      kill: 0.2,
      refuse: 0.3,
      latency: { chance: 0.5, upTo: "50 millis" }
    })
    // Connections that end soon after they open are an outage to the pool, and this day has many of them.
    const patience = { acquireTimeout: "3 hours", unavailableAfter: "3 hours" } as const
    const pool = yield* ConnectionPool.make(chaos, { startup: "background", ...patience })
    yield* LeaseHistory.record(pool)
    const use = ConnectionPool.use(pool, ({ n }) => Effect.as(Effect.sleep("10 millis"), n))
    const fiber = yield* Effect.forkChild(Effect.replicateEffect(use, 50))
    yield* TestClock.adjust("2 hours")
    const served = yield* Fiber.join(fiber)
    return { served, events: yield* LeaseHistory.eventSequence(pool) }
  }).pipe(Effect.scoped)

const slow: Chaos.Latency = { chance: 0.8, upTo: "4 seconds" }

/** How old connections were, in milliseconds, that ended by themselves in five minutes in which nobody borrowed. */
const deaths = (seed: number) =>
  Effect.gen(function* () {
    const fakes = TestConnector.make((n) => ({ n }))
    const chaos = Chaos.connector(fakes.connector, { seed, diesWithin: "20 seconds" })
    const pool = yield* ConnectionPool.make(chaos, { startup: "background" })
    yield* TestClock.adjust("5 minutes")
    const events = yield* ConnectionPool.recentEvents(pool)
    const opened = new Map<number, number>()
    const ages: Array<number> = []
    for (const event of events) {
      if (event._tag === "ConnectionReady") opened.set(event.connection, event.at)
      if (event._tag === "ConnectionClosed" && event.reason === "died") {
        ages.push(event.at - opened.get(event.connection)!)
      }
    }
    return ages
  }).pipe(Effect.scoped)

/** What happens while someone borrows now and then. */
const work = (options: Omit<Chaos.Options, "seed">) =>
  Effect.gen(function* () {
    const fakes = TestConnector.make((n) => ({ n }), { resetTakes: 0 })
    const pool = yield* ConnectionPool.make(Chaos.connector(fakes.connector, { seed: 7, ...options }), {
      startup: "background",
      resetTimeout: "2 seconds"
    })
    const use = Effect.andThen(Effect.exit(ConnectionPool.use(pool, () => Effect.sleep(10))), Effect.sleep("5 seconds"))
    const fiber = yield* Effect.forkChild(Effect.replicateEffect(use, 30))
    yield* TestClock.adjust("30 minutes")
    yield* Fiber.join(fiber)
    return yield* ConnectionPool.recentEvents(pool)
  }).pipe(Effect.scoped)

interface Session {
  readonly ask: (question: string) => Effect.Effect<string, "died">
}

class Sessions extends PoolLayer.Service<Sessions, Session>()("test/Sessions") {}

/** Sessions on a day of the kind that production has, on which one query in twenty dies as well. */
const bad = (seed: number) => {
  let queries = 0
  const ask: Session["ask"] = () =>
    Effect.delay(
      Effect.suspend(() => (++queries % 20 === 0 ? Effect.fail("died" as const) : Effect.succeed("well"))),
      "10 millis"
    )
  return Chaos.layer(Sessions, TestConnector.make(() => ({ ask })).connector, {
    seed,
    kill: 0.05,
    refuse: 0.1,
    diesWithin: "1 minute",
    latency: { chance: 0.3, upTo: "200 millis" },
    checkLatency: { chance: 0.1, upTo: "100 millis" }
  })
}

const ask = Sessions.use((session) => session.ask("how are you?"))

/** A query that died under its user can be asked again. */
const untilAnswered = Effect.retry(ask, { while: (error) => error === "died", times: 10 })

/** Ten fibers, each of which does this twenty times; how many were answered within the hour. */
const answersOf = Effect.fnUntraced(function* <E, R>(use: Effect.Effect<string, E, R>) {
  const each = Effect.replicateEffect(use, 20)
  const fiber = yield* Effect.forkChild(Effect.replicateEffect(each, 10, { concurrency: "unbounded" }))
  yield* TestClock.adjust("1 hour")
  return (yield* Fiber.join(fiber)).flat().length
})

const fakes = TestConnector.make(() => ({ ask: Effect.succeed }))

describe("chaos", () => {
  it.effect("ends connections, and everyone is served", () =>
    Effect.gen(function* () {
      const { events, served } = yield* day(7)
      assert.deepStrictEqual(
        [served.length, events.includes("ConnectFailed"), new Set(served).size > 1],
        [50, true, true]
      )
    })
  )

  it.effect("does the same with the same seed, and another thing with another", () =>
    Effect.gen(function* () {
      const [one, same, other] = [yield* day(7), yield* day(7), yield* day(8)]
      assert.deepStrictEqual(one.served, same.served)
      assert.notDeepEqual(one.served, other.served)
    })
  )

  it.effect("ends connections at random times, most of which are idle", () =>
    Effect.gen(function* () {
      const times = yield* deaths(7)
      assert.deepStrictEqual(
        [times.length >= 10, times.every((age) => age <= 20_000), new Set(times).size > 5],
        [true, true, true]
      )
    })
  )

  it.effect("ends them at the same times with the same seed, and at others with another", () =>
    Effect.gen(function* () {
      const [one, same, other] = [yield* deaths(7), yield* deaths(7), yield* deaths(8)]
      assert.deepStrictEqual(one, same)
      assert.notDeepEqual(one, other)
    })
  )

  it.effect("delays checks, which fail past their timeout", () =>
    Effect.gen(function* () {
      const checks = yield* Effect.map(work({ checkLatency: slow }), (events) =>
        events.flatMap((event) => (event._tag === "ConnectionChecked" ? [event] : []))
      )
      assert.isTrue(checks.some(({ duration, isAlive }) => isAlive && duration > 0))
      assert.isTrue(checks.some(({ isAlive }) => !isAlive))
    })
  )

  it.effect("delays resets, after which the connection is lost past their timeout", () =>
    Effect.gen(function* () {
      const resets = yield* Effect.map(work({ resetLatency: slow }), (events) =>
        events.flatMap((event) => (event._tag === "ConnectionReset" ? [event] : []))
      )
      assert.isTrue(resets.some(({ duration, isDone }) => isDone && duration > 0))
      assert.isTrue(resets.some(({ isDone }) => !isDone))
    })
  )
})

describe("Chaos.layer", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it.effect(`lets a program through that borrows now and then, on default settings (seed ${seed})`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* answersOf(Effect.delay(untilAnswered, "500 millis")), 200)
      }).pipe(Effect.provide(bad(seed)))
    )

    // Where every connection is always lent, those that die are so many that the pool may take it for an outage.
    it.effect(
      `lets a program through that borrows without a pause and comes back when it is refused (seed ${seed})`,
      () =>
        Effect.gen(function* () {
          assert.strictEqual(
            yield* answersOf(Effect.retry(ask, { schedule: Schedule.spaced("1 second"), times: 60 })),
            200
          )
        }).pipe(Effect.provide(bad(seed)))
    )
  }

  it.effect("is ready at once, also where no connect succeeds", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Sessions.status).created, 0)
    }).pipe(Effect.provide(Chaos.layer(Sessions, fakes.connector, { seed: 7, refuse: 1 })))
  )

  it.effect("has the default settings of any pool", () =>
    Effect.gen(function* () {
      const { config } = yield* Sessions
      assert.deepStrictEqual([config.minConnections, config.maxConnections], [2, 10])
    }).pipe(Effect.provide(Chaos.layer(Sessions, fakes.connector, { seed: 7 })))
  )

  it.effect("has the settings of an environment that is named", () =>
    Effect.gen(function* () {
      const { config } = yield* Sessions
      assert.deepStrictEqual([config.minConnections, config.maxConnections], [10, 50])
    }).pipe(
      Effect.provide(
        Chaos.layer(Sessions, fakes.connector, { seed: 7 }, { environment: "production", maxConnections: 50 })
      )
    )
  )

  it.effect("has the same day for every building with the same seed, and another with another", () =>
    Effect.gen(function* () {
      const day = (seed: number) => {
        const misfortune = { seed, kill: 0.05, refuse: 0.3, diesWithin: "1 minute" } as const
        const happened = Effect.flatMap(Sessions, LeaseHistory.eventSequence)
        return Effect.andThen(TestClock.adjust("10 minutes"), happened).pipe(
          Effect.provide(Chaos.layer(Sessions, fakes.connector, misfortune))
        )
      }
      const [one, same, other] = [yield* day(7), yield* day(7), yield* day(8)]
      assert.deepStrictEqual(one, same)
      assert.notDeepEqual(one, other)
    })
  )

  it.effect("keeps a complete record", () =>
    Effect.gen(function* () {
      yield* Effect.replicateEffect(
        Sessions.use(() => Effect.yieldNow),
        1000,
        { discard: true }
      )
      const { leases, missed } = yield* LeaseHistory.history(yield* Sessions)
      assert.deepStrictEqual([leases.length, missed], [1000, 0])
    }).pipe(Effect.provide(Chaos.layer(Sessions, fakes.connector, { seed: 7 })))
  )
})
