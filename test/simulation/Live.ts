/**
 * A pool on the real clock under everything that its borrowers and operators may do, for as long as somebody has time: what
 * it keeps in memory must not grow, and when it is closed nothing of it must be left.
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { ConnectionPool, Connector } from "effect-pool"

const borrowers = 100

/** A connection of some size, so that one that is kept shows. */
interface Session {
  readonly payload: Array<number>
}

const sessions = Connector.make({
  name: "live",
  connect: Effect.gen(function* () {
    yield* Effect.sleep("2 millis")
    if ((yield* Random.next) < 0.02) return yield* Effect.fail("refused")
    return yield* Effect.acquireRelease(
      Effect.sync((): Session => ({ payload: Array.from({ length: 2000 }, (_, index) => index) })),
      () => Effect.sleep("1 millis")
    )
  }),
  check: () => Effect.flatMap(Random.next, (chance) => (chance < 0.02 ? Effect.fail("no answer") : Effect.void)),
  reset: () => Effect.yieldNow,
  closed: () => Effect.delay(Effect.void, "3 seconds")
})

type Pool = ConnectionPool.ConnectionPool<Session>

const borrow = Effect.fnUntraced(function* (pool: Pool) {
  const chance = yield* Random.next
  const work = Effect.sleep(chance * 5)
  const borrowed =
    chance < 0.5
      ? ConnectionPool.use(pool, () => work)
      : chance < 0.8
        ? Effect.scoped(Effect.andThen(ConnectionPool.acquire(pool), work))
        : Effect.scoped(Effect.andThen(ConnectionPool.reserve(pool), work))
  yield* Effect.exit(chance < 0.7 ? borrowed : Effect.timeout(borrowed, chance * 10))
})

const operate = Effect.fnUntraced(function* (pool: Pool) {
  const chance = yield* Random.next
  if (chance < 0.2) yield* ConnectionPool.resize(pool, { maxConnections: 5 + Math.floor(chance * 50) })
  else if (chance < 0.4) yield* ConnectionPool.recycle(pool, { interrupt: chance < 0.25 })
  else if (chance < 0.6) yield* ConnectionPool.checkIdle(pool)
  else if (chance < 0.7) {
    yield* ConnectionPool.pause(pool)
    yield* Effect.sleep("20 millis")
    yield* ConnectionPool.resume(pool)
  }
})

const megabytes = Effect.sync(() => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1_000_000
})

const body = Effect.fnUntraced(function* (minutes: number) {
  const pool = yield* ConnectionPool.make(sessions, {
    minConnections: 2,
    maxConnections: 20,
    concurrency: 2,
    acquireTimeout: "200 millis",
    idleTimeout: "500 millis",
    maxLifetime: "2 seconds",
    maxUses: 200,
    healthCheckInterval: "100 millis",
    checkAfterIdle: "20 millis",
    retry: { initial: "5 millis", max: "20 millis" }
  })
  const events = yield* Effect.forkChild(Stream.runDrain(ConnectionPool.events(pool)))
  const load = yield* Effect.forkChild(
    Effect.all(
      [
        ...Array.from({ length: borrowers }, () => Effect.forever(borrow(pool))),
        Effect.repeat(operate(pool), Schedule.spaced("50 millis"))
      ],
      { concurrency: "unbounded", discard: true }
    )
  )
  const end = (yield* Clock.currentTimeMillis) + minutes * 60_000
  const heap: Array<number> = []
  while ((yield* Clock.currentTimeMillis) < end) {
    yield* Effect.sleep(Math.min(15_000, (minutes * 60_000) / 8))
    heap.push(yield* megabytes)
    const { acquired, cancelled, created, timedOut } = yield* ConnectionPool.status(pool)
    yield* Console.log(
      `heap ${heap.at(-1)!.toFixed(1)} MB; ${acquired} leases, ${created} connections, ${timedOut} timed out, ` +
        `${cancelled} cancelled`
    )
    const contradictions = yield* ConnectionPool.audit(pool)
    if (contradictions.length > 0) return yield* Effect.fail(contradictions.join("; "))
  }
  yield* Fiber.interrupt(load)
  yield* Fiber.interrupt(events)
  const { acquired, inUse, released, waiting } = yield* ConnectionPool.status(pool)
  yield* Console.log(`${acquired} leases given, ${released} returned, ${inUse} in use, ${waiting} waiting`)
  return heap
})

/** Fails if the heap of the last quarter is a fifth above that of the second, or if anything is left after the pool's end. */
export const live = Effect.fnUntraced(function* (minutes: number) {
  let fibers = 0
  const count: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      fibers++
    },
    recordFiberEnd: () => {
      fibers--
    }
  }
  const heap = yield* Effect.scoped(body(minutes)).pipe(
    Effect.provideService(Metric.FiberRuntimeMetrics, count),
    Effect.provide(Logger.layer([]))
  )
  // Our own timer is over only when its turn is.
  yield* Effect.andThen(Effect.sleep("100 millis"), Effect.yieldNow)
  const timers = process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length
  const quarter = Math.floor(heap.length / 4)
  const mean = (values: ReadonlyArray<number>) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [early, late] = [mean(heap.slice(quarter, 2 * quarter)), mean(heap.slice(-quarter))]
  yield* Console.log(
    `heap ${early.toFixed(1)} MB in the second quarter, ${late.toFixed(1)} MB in the last; after the pool's end ` +
      `${fibers} fibers and ${timers} timers are left`
  )
  if (late > early * 1.2) return yield* Effect.fail("the heap has grown")
  if (fibers > 0 || timers > 0) return yield* Effect.fail("something is left of the pool")
})
