import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, PoolReport } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"
import { capture } from "../support/Logged.ts"

const config = { minConnections: 1, maxConnections: 2, drainTimeout: 0, leakThreshold: "10 seconds" } as const

const poolOf = (overrides: object = {}) =>
  ConnectionPool.make(new FakeServer().complete, { ...config, name: "orders", ...overrides })

describe("a lease past leakThreshold", () => {
  it.effect("is logged once with its borrower, an event with who has it, and again when it comes back", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* poolOf()
      const nightly = Effect.fn("Jobs.nightly")((work: Effect.Effect<void>) => ConnectionPool.use(pool, () => work))
      const fiber = yield* Effect.forkChild(nightly(Effect.sleep("45 seconds")))
      yield* TestClock.adjust("40 seconds")
      const [suspected, ...more] = lines.filter(({ text }) => text.includes("leak suspected"))
      assert.deepStrictEqual(more, [])
      assert.strictEqual(suspected?.level, "Warn")
      assert.match(
        suspected?.text ?? "",
        /^leak suspected: Jobs\.nightly \(test\/runtime\/Leaks\.test\.ts:\d+:\d+\) has held connection 1 for 10000 ms$/
      )
      assert.strictEqual((yield* ConnectionPool.status(pool)).leaksNow, 1)
      assert.strictEqual((yield* ConnectionPool.health(pool)).status, "warn")
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      const returned = lines.find(({ text }) => text.startsWith("no leak"))
      assert.deepStrictEqual([returned?.level, returned?.text.includes("after 45000 ms")], ["Info", true])
      const { leaks, leaksNow } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([leaks, leaksNow], [1, 0])
      const events = yield* ConnectionPool.recentEvents(pool)
      const found = events.filter(({ _tag }) => _tag === "LeakSuspected" || _tag === "LeakReturned")
      assert.deepStrictEqual(
        found.map((event) => [event._tag, "held" in event && event.held]),
        [
          ["LeakSuspected", 10_000],
          ["LeakReturned", 45_000]
        ]
      )
      assert.match(found[0]?._tag === "LeakSuspected" ? found[0].holder : "", /^Jobs\.nightly \(/)
    }).pipe(Effect.provide(layer))
  })

  it.effect("of a fiber that has ended is told to be left behind in a scope", () => {
    const { layer, lines } = capture()
    return Effect.gen(function* () {
      const pool = yield* poolOf()
      const scope = yield* Scope.make()
      const open = Effect.fn("openSession")(() => Scope.provide(ConnectionPool.acquire(pool), scope))
      yield* Fiber.join(yield* Effect.forkChild(open()))
      yield* TestClock.adjust("11 seconds")
      const line = lines.find(({ text }) => text.includes("leak suspected"))
      assert.include(line?.text, "its fiber has ended, and the scope it borrowed in is still open")
      const { connections, diagnosis } = yield* PoolReport.of(pool)
      assert.strictEqual(diagnosis.kind, "leak-suspected")
      assert.include(diagnosis.summary, "openSession")
      assert.include(diagnosis.advice[0], "the scope it borrowed in is still open")
      const [holder] = connections.flatMap(({ holders }) => holders)
      assert.deepStrictEqual([holder?.operation, holder?.isLeakSuspected], ["openSession", true])
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(layer))
  })

  it.effect("names the operation that borrowed, whatever its fiber does by now", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf()
      const send = Effect.fn("sendMail")(() => Effect.never)
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            yield* ConnectionPool.acquire(pool).pipe(Effect.withSpan("findOrder"))
            return yield* send()
          })
        )
      )
      yield* turns()
      const [holder] = (yield* ConnectionPool.connections(pool)).flatMap(({ holders }) => holders)
      assert.strictEqual(holder?.operation, "findOrder")
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("stacks of borrowers", () => {
  it.effect("are there while somebody has asked for them, and not before or after", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf()
      const stackNow = Effect.scoped(
        Effect.gen(function* () {
          yield* ConnectionPool.acquire(pool)
          const [holder] = (yield* ConnectionPool.connections(pool)).flatMap(({ holders }) => holders)
          return holder?.stack
        })
      )
      assert.isUndefined(yield* stackNow)
      yield* ConnectionPool.captureStacks(pool, "5 minutes")
      assert.isString(yield* stackNow)
      assert.isNumber((yield* PoolReport.of(pool)).capturesStacksUntil)
      yield* TestClock.adjust("6 minutes")
      assert.isUndefined(yield* stackNow)
      assert.isUndefined((yield* PoolReport.of(pool)).capturesStacksUntil)
    })
  )

  it.effect("last as long as was asked for last", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf()
      yield* ConnectionPool.captureStacks(pool, "1 minute")
      yield* TestClock.adjust("30 seconds")
      yield* ConnectionPool.captureStacks(pool, "10 minutes")
      yield* TestClock.adjust("5 minutes")
      assert.isNumber((yield* PoolReport.of(pool)).capturesStacksUntil)
      yield* ConnectionPool.captureStacks(pool, 0)
      assert.isUndefined((yield* PoolReport.of(pool)).capturesStacksUntil)
    })
  )
})
