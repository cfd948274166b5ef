import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, Connector } from "../../src/index.ts"
import { ConnectionStatus } from "../../src/PoolStatus.ts"
import { FakeServer, turns } from "../support/FakeServer.ts"

describe("the list of connections", () => {
  it.effect("says what each does, for how long, and who has it", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 2, maxConnections: 2 })
      yield* turns()
      yield* TestClock.adjust("3 seconds")
      const findOrder = Effect.fn("findOrder")(function* () {
        yield* ConnectionPool.acquire(pool)
        return yield* Effect.never
      }, Effect.scoped)
      const fiber = yield* Effect.forkChild(findOrder())
      yield* turns()
      yield* TestClock.adjust("4 seconds")
      const list = yield* ConnectionPool.connections(pool)
      const lent = list.find(({ state }) => state === "inUse")
      const rests = list.find(({ state }) => state === "idle")
      const { place = "", trace = "", ...holder } = lent!.holders[0]!
      assert.match(place, /^test\/runtime\/ConnectionList\.test\.ts:\d+:\d+$/)
      assert.match(trace, /^[\da-f]{32}$/)
      assert.deepStrictEqual(holder, {
        holder: `fiber #${fiber.id} (findOrder)`,
        connection: lent!.id,
        lease: 1,
        heldForMillis: 4000,
        operation: "findOrder",
        path: "findOrder",
        fiber: fiber.id
      })
      const times = { ageMillis: 7000, inUseForMillis: 4000 }
      assert.deepStrictEqual(
        lent,
        new ConnectionStatus({
          id: lent!.id,
          state: "inUse",
          ...times,
          uses: 1,
          leases: 1,
          holders: lent!.holders,
          lastOperation: "findOrder"
        })
      )
      assert.deepStrictEqual(
        rests,
        new ConnectionStatus({
          id: rests!.id,
          state: "idle",
          ageMillis: 7000,
          idleForMillis: 7000,
          uses: 0,
          leases: 0,
          holders: []
        })
      )
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("shows a connection that is still being opened", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      server.onConnect = Effect.never
      const config = { minConnections: 1, startup: "background" } as const
      const pool = yield* ConnectionPool.make(server.bare, config)
      yield* TestClock.adjust("2 seconds")
      const [connection] = yield* ConnectionPool.connections(pool)
      assert.deepStrictEqual([connection?.state, connection?.ageMillis], ["connecting", 2000])
    })
  )

  it.effect("names every borrower of a shared connection", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 1, maxConnections: 1, concurrency: 3 })
      yield* ConnectionPool.acquire(pool)
      yield* ConnectionPool.acquire(pool)
      const [connection] = yield* ConnectionPool.connections(pool)
      assert.deepStrictEqual(
        connection?.holders.map(({ lease }) => lease),
        [1, 2]
      )
    })
  )

  const strange: ReadonlyArray<readonly [string, () => unknown, unknown]> = [
    ["throws", () => (undefined as unknown as { readonly count: number }).count, undefined],
    ["gives no record", () => "many", undefined],
    ["counts what is no number", () => ({ rows: 7, name: "a", share: Number.NaN }), { rows: 7 }]
  ]
  for (const [what, statistics, expected] of strange) {
    it.effect(`survives a connector that ${what}`, () =>
      Effect.gen(function* () {
        const connector = Connector.make({
          name: "strange",
          connect: Effect.succeed({}),
          statistics: statistics as () => Record<string, number>
        })
        const pool = yield* ConnectionPool.make(connector, { minConnections: 1 })
        const [connection] = yield* ConnectionPool.connections(pool)
        assert.instanceOf(connection, ConnectionStatus)
        assert.deepStrictEqual(connection.statistics, expected as never)
      })
    )
  }
})
