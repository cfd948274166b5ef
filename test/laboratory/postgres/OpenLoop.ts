/** Requests that come when they come, whether or not those before them have been answered. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { ConnectionPool, type PoolConfig } from "effect-pool"
import * as Postgres from "effect-pool/Postgres"

/** Keeps a processor busy for some milliseconds. */
const query = "select count(*)::int4 as n from generate_series(1, 20000)"

const goodWithin = 1000

export type Load = ReadonlyArray<{ readonly seconds: number; readonly part: number; readonly isMeasured: boolean }>

export interface Outcome {
  readonly requests: number
  readonly good: number
  readonly late: number
  readonly shed: number
  readonly timedOut: number
  readonly failed: number
  readonly p99: number
  readonly meanConnections: number
  readonly peakConnections: number
}

export interface Measured extends Outcome {
  readonly scenario: string
  readonly policy: string
  readonly seed: number
}

/** A small seeded generator (mulberry32), so that every policy meets the same arrivals. */
const diceOf = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const connector = (url: string) => Postgres.connector({ url: Redacted.make(url) })

/** How many queries a second it does with so many connections, each of them busy all the time. */
export const capacityOf = (url: string, connections: number): Effect.Effect<number, unknown> =>
  Effect.gen(function* () {
    const pool = yield* ConnectionPool.make(connector(url), {
      minConnections: connections,
      maxConnections: connections
    })
    const once = ConnectionPool.use(pool, (connection) => connection.query(query))
    const times = (count: number) =>
      Effect.forEach(Array.from({ length: connections }), () => Effect.replicateEffect(once, count), {
        concurrency: "unbounded"
      })
    yield* times(Math.ceil(400 / connections))
    const start = performance.now()
    yield* times(Math.ceil(3000 / connections))
    return (connections * Math.ceil(3000 / connections) * 1000) / (performance.now() - start)
  }).pipe(Effect.scoped)

interface Answer {
  readonly millis: number
  readonly exit: Exit.Exit<unknown, unknown>
}

/** The times at which requests come, in milliseconds: at random (Poisson), and the same for the same seed. */
const arrivalsOf = (load: Load, capacity: number, seed: number) => {
  const next = diceOf(seed)
  const arrivals: Array<{ readonly at: number; readonly isMeasured: boolean }> = []
  let begins = 0
  for (const { isMeasured, part, seconds } of load) {
    const ends = begins + seconds * 1000
    const gap = 1000 / (part * capacity)
    for (let at = begins - gap * Math.log(1 - next()); at < ends; at -= gap * Math.log(1 - next())) {
      arrivals.push({ at, isMeasured })
    }
    begins = ends
  }
  return arrivals
}

export const measure = (
  url: string,
  config: PoolConfig.Input,
  load: Load,
  capacity: number,
  seed: number
): Effect.Effect<Outcome, unknown> =>
  Effect.gen(function* () {
    const pool = yield* ConnectionPool.make(connector(url), {
      acquireTimeout: "2 seconds",
      maxUses: Infinity,
      ...config
    })
    const answers: Array<Answer> = []
    const connections: Array<number> = []
    const request = (isMeasured: boolean) =>
      Effect.suspend(() => {
        const since = performance.now()
        return Effect.map(
          Effect.exit(ConnectionPool.use(pool, (connection) => connection.query(query))),
          (exit) => void (isMeasured && answers.push({ millis: performance.now() - since, exit }))
        )
      })
    const sampler = yield* Effect.forkChild(
      Effect.repeat(
        Effect.andThen(
          Effect.sleep(50),
          Effect.map(ConnectionPool.status(pool), ({ closing, total }) => connections.push(total - closing))
        ),
        { until: () => false }
      )
    )
    const fibers = yield* sendAll(arrivalsOf(load, capacity, seed), request)
    yield* Fiber.interrupt(sampler)
    yield* Fiber.awaitAll(fibers)
    return outcomeOf(answers, connections.slice((load[0]!.seconds * 1000) / 50))
  }).pipe(Effect.scoped)

/** Sends each request at its time. Those whose time passed while nobody could run are sent at once. */
const sendAll = Effect.fnUntraced(function* (
  arrivals: ReadonlyArray<{ readonly at: number; readonly isMeasured: boolean }>,
  request: (isMeasured: boolean) => Effect.Effect<void>
) {
  const fibers: Array<Fiber.Fiber<void>> = []
  const start = performance.now()
  for (const { at, isMeasured } of arrivals) {
    const early = start + at - performance.now()
    if (early >= 1) yield* Effect.sleep(early)
    fibers.push(yield* Effect.forkChild(request(isMeasured)))
  }
  return fibers
})

const tagOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return "answered"
  const reason = exit.cause.reasons.find((one) => one._tag === "Fail")
  return (reason?.error as { readonly _tag?: string } | undefined)?._tag ?? "unknown"
}

const outcomeOf = (answers: ReadonlyArray<Answer>, connections: ReadonlyArray<number>): Outcome => {
  const answered = answers.filter(({ exit }) => exit._tag === "Success").map(({ millis }) => millis)
  const sorted = answered.sort((one, other) => one - other)
  const count = (tag: string): number => answers.filter(({ exit }) => tagOf(exit) === tag).length
  const good = sorted.filter((millis) => millis <= goodWithin).length
  const shed = count("PoolOverloaded")
  const timedOut = count("AcquireTimeout")
  return {
    requests: answers.length,
    good,
    late: sorted.length - good,
    shed,
    timedOut,
    failed: answers.length - sorted.length - shed - timedOut,
    p99: sorted[Math.ceil(0.99 * sorted.length) - 1] ?? 0,
    meanConnections: connections.reduce((sum, one) => sum + one, 0) / Math.max(1, connections.length),
    peakConnections: Math.max(0, ...connections)
  }
}
