import { Clock, type Duration, Effect } from "effect"
import { applicationName, Db, direct, orders, selectOrder } from "./Database.ts"

/** The same number of callers either way, so that the difference is the pool. */
const callers = 10

/** Runs one piece of work over and over on a number of fibers; gives the rate per second. */
const rate = <E, R>(work: (n: number) => Effect.Effect<unknown, E, R>, duration: Duration.Input) =>
  Effect.gen(function* () {
    let done = 0
    const started = yield* Clock.currentTimeMillis
    const loop = Effect.forever(Effect.suspend(() => Effect.tap(work(done), () => Effect.sync(() => done++))))
    yield* Effect.timeoutOption(
      Effect.replicateEffect(loop, callers, { concurrency: callers, discard: true }),
      duration
    )
    const elapsed = (yield* Clock.currentTimeMillis) - started
    return Math.round((done * 1000) / elapsed)
  })

/** The same query with a connection of its own each time, and with a pooled one. */
export const compare = Effect.fn("compare")(function* (url: string, duration: Duration.Input) {
  const id = (n: number) => 1 + (n % orders)
  const unpooledPerSecond = yield* rate(
    (n) => Effect.scoped(Effect.flatMap(direct(url, `${applicationName} (unpooled)`), (c) => selectOrder(c, id(n)))),
    duration
  )
  const pooledPerSecond = yield* rate((n) => Db.use((connection) => selectOrder(connection, id(n))), duration)
  return { unpooledPerSecond, pooledPerSecond, ratio: Math.round((pooledPerSecond / unpooledPerSecond) * 10) / 10 }
})
