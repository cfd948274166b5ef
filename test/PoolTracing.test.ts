import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, PoolTracing } from "../src/index.ts"
import { FakeServer, turns } from "./support/FakeServer.ts"

interface Seen {
  readonly name: string
  readonly events: ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>]>
  readonly attributes: Readonly<Record<string, unknown>>
}

/** A tracer that keeps the spans it is asked for. */
const recording = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const seen = (): ReadonlyArray<Seen> =>
    spans.map(({ attributes, events, name }) => ({
      name,
      attributes: Object.fromEntries(attributes),
      events: events.map(([event, , told]) => [event, told ?? {}] as const)
    }))
  return { seen, tracer }
}

const config = { name: "orders", minConnections: 1, maxConnections: 1, drainTimeout: 0 } as const

/** Somebody holds the only connection for so long, and `findOrder` waits for it. */
const waitFor = Effect.fnUntraced(function* (held: "50 millis" | "2 seconds") {
  const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
  const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep(held)))
  yield* turns()
  const findOrder = ConnectionPool.use(pool, () => Effect.void).pipe(Effect.withSpan("findOrder"))
  const waiter = yield* Effect.forkChild(findOrder)
  yield* TestClock.adjust("3 seconds")
  yield* Fiber.join(waiter)
  yield* Fiber.join(holder)
})

const named = (spans: ReadonlyArray<Seen>, name: string) => spans.find((span) => span.name === name)

describe("a trace", () => {
  it.effect("says on the borrower's span that it waited for long, how long, and for which pool", () => {
    const { seen, tracer } = recording()
    return Effect.gen(function* () {
      yield* waitFor("2 seconds")
      assert.deepStrictEqual(named(seen(), "findOrder")?.events, [
        [
          "pool.waited",
          { "db.client.connection.pool.name": "orders", "effect_pool.wait_ms": 2000, "effect_pool.position": 1 }
        ]
      ])
      assert.isUndefined(named(seen(), "pool.acquire"))
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("says nothing of a wait that was short", () => {
    const { seen, tracer } = recording()
    return Effect.gen(function* () {
      yield* waitFor("50 millis")
      assert.deepStrictEqual(named(seen(), "findOrder")?.events, [])
    }).pipe(Effect.withTracer(tracer))
  })

  it.effect("says nothing of any wait where that is switched off", () => {
    const { seen, tracer } = recording()
    return Effect.gen(function* () {
      yield* waitFor("2 seconds")
      assert.deepStrictEqual(named(seen(), "findOrder")?.events, [])
    }).pipe(Effect.provide(PoolTracing.layer({ slowWait: "Infinity" })), Effect.withTracer(tracer))
  })

  it.effect("has a span for each acquire where that is asked for, and it ends where the work begins", () => {
    const { seen, tracer } = recording()
    return Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      const query = Effect.void.pipe(Effect.withSpan("query"))
      yield* ConnectionPool.use(pool, () => query).pipe(Effect.withSpan("findOrder"))
      yield* Effect.scoped(Effect.andThen(ConnectionPool.acquire(pool), query)).pipe(Effect.withSpan("findAll"))
      const names = seen().map(({ name }) => name)
      assert.deepStrictEqual(
        names.filter((name) => !name.startsWith("ConnectionPool")),
        ["findOrder", "pool.acquire", "query", "findAll", "pool.acquire", "query"]
      )
      const attributes = named(seen(), "pool.acquire")?.attributes ?? {}
      assert.strictEqual(attributes["db.client.connection.pool.name"], "orders")
    }).pipe(Effect.provide(PoolTracing.layer({ spans: true })), Effect.withTracer(tracer))
  })

  it.effect("names the borrower's operation, and not the acquire's own span", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      const operation = yield* ConnectionPool.use(pool, () =>
        Effect.map(ConnectionPool.connections(pool), ([connection]) => connection?.holders[0]?.operation)
      ).pipe(Effect.withSpan("findOrder"))
      assert.strictEqual(operation, "findOrder")
    }).pipe(Effect.provide(PoolTracing.layer({ spans: true })))
  )

  it.effect("gives the connection back whatever becomes of the work, with spans as without", () =>
    Effect.gen(function* () {
      const pool = yield* ConnectionPool.make(new FakeServer().complete, config)
      const failed = yield* Effect.flip(ConnectionPool.use(pool, () => Effect.fail("no")))
      assert.strictEqual(failed, "no")
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* Fiber.interrupt(fiber)
      const { acquired, inUse, released } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([acquired, released, inUse], [2, 2, 0])
    }).pipe(Effect.provide(PoolTracing.layer({ spans: true })))
  )
})
