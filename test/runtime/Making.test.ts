import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, type PoolConfig } from "../../src/index.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

const startups = ["await", "background", "failFast"] as const
const budgets = Array.from({ length: 62 }, (_, index) => index + 3)
const moments = [0, 1, 2, 3, 4, 6, 8, 11, 15]

describe("make, when its scope closes meanwhile", () => {
  it.effect("gives a closed pool in a scope that has closed already", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      const pool = yield* Scope.provide(ConnectionPool.make(server.bare, { minConnections: 0 }), scope)
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "closed")
      assert.strictEqual((yield* Effect.flip(ConnectionPool.use(pool, () => Effect.void)))._tag, "PoolClosed")
    })
  )

  it.effect("does not wait for ever for a first connect that was given up", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const scope = yield* Scope.make()
      const making = yield* Effect.forkChild(
        Scope.provide(ConnectionPool.make(server.bare, { startup: "failFast" }), scope)
      )
      yield* turns()
      yield* Scope.close(scope, Exit.void)
      yield* turns()
      assert.isDefined(making.pollUnsafe())
    })
  )

  const closeDuring = Effect.fnUntraced(function* (config: PoolConfig.Input, budget: number, moment: number) {
    const server = new FakeServer()
    server.onConnect = turns(3)
    const scope = yield* Scope.make()
    const making = yield* Effect.forkChild(
      Scope.provide(ConnectionPool.make(server.complete, config), scope).pipe(
        Effect.provideService(Scheduler.MaxOpsBeforeYield, budget)
      )
    )
    yield* turns(moment)
    yield* Scope.close(scope, Exit.void)
    const exit = yield* Fiber.await(making)
    const states = Exit.isSuccess(exit) ? [(yield* ConnectionPool.status(exit.value)).state] : []
    return { live: server.live, states }
  })

  for (const startup of startups) {
    for (const minConnections of [0, 2]) {
      it.effect(
        `leaves no connection and no pool that works, at any point: ${startup}, minimum ${minConnections}`,
        () =>
          Effect.gen(function* () {
            for (const budget of budgets) {
              for (const moment of moments) {
                const { live, states } = yield* closeDuring({ startup, minConnections }, budget, moment)
                assert.strictEqual(live, 0, `budget ${budget}, moment ${moment}`)
                for (const state of states) assert.strictEqual(state, "closed", `budget ${budget}, moment ${moment}`)
              }
            }
          })
      )
    }
  }
})

describe("a make that does not succeed", () => {
  it.effect("leaves nothing behind in the scope it was called in: failFast, retried", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      const make = ConnectionPool.make(server.bare, { startup: "failFast", minConnections: 1, retry: { jitter: 0 } })
      yield* Effect.exit(Effect.retry(make, { times: 4 }))
      yield* server.comeBack
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([server.attempts.length, server.live], [5, 0])
    })
  )

  it.effect("leaves nothing behind in the scope it was called in: timed out", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      const making = yield* Effect.forkChild(
        Effect.timeoutOption(ConnectionPool.make(server.bare, { minConnections: 1 }), "5 seconds")
      )
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(making)
      const { length } = server.attempts
      yield* server.comeBack
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([server.attempts.length, server.live], [length, 0])
    })
  )
})
