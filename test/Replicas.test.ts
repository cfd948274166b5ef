import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionPool, Connector, Replicas } from "../src/index.ts"
import { FakeServer, Refused } from "./support/FakeServer.ts"

/** Replicas a, b and c, with a connector over all of them. */
const three = (options: Replicas.Options = { retry: { jitter: 0 } }) => {
  const servers = [new FakeServer(), new FakeServer(), new FakeServer()] as const
  const [a, b, c] = servers
  const named = (name: string, server: FakeServer) => Connector.make({ ...server.complete, name })
  return { servers, connector: Replicas.connector([named("a", a), named("b", b), named("c", c)], options) }
}

const live = (servers: ReadonlyArray<FakeServer>): ReadonlyArray<number> => servers.map(({ live }) => live)
const attempts = (servers: ReadonlyArray<FakeServer>): ReadonlyArray<number> =>
  servers.map(({ attempts }) => attempts.length)

const refuse = (server: FakeServer) => {
  server.onConnect = Effect.fail(new Refused({ kind: "transient", message: "connection refused" }))
}

describe("a connector of replicas", () => {
  it.effect("opens each connection on the replica that has fewest", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      yield* Effect.replicateEffect(connector.connect, 6, { discard: true })
      assert.deepStrictEqual(live(servers), [2, 2, 2])
    })
  )

  it.effect("spreads connections that are opened at the same time", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      for (const server of servers) server.onConnect = Effect.sleep("1 second")
      const fiber = yield* Effect.forkChild(
        Effect.all([connector.connect, connector.connect, connector.connect], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(live(servers), [1, 1, 1])
    })
  )

  it.effect("counts a connection no more when it has closed", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      const scope = yield* Scope.make()
      yield* Scope.provide(connector.connect, scope)
      yield* Scope.close(scope, Exit.void)
      yield* connector.connect
      assert.deepStrictEqual(attempts(servers), [2, 0, 0])
    })
  )

  it.effect("tries the next one at once where one refuses, and gives back what the attempt took", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      refuse(servers[0])
      yield* connector.connect
      const statuses = yield* connector.replicas
      assert.deepStrictEqual(
        statuses.map(({ connections, failures }) => [connections, failures]),
        [
          [0, 1],
          [1, 0],
          [0, 0]
        ]
      )
    })
  )

  it.effect("leaves a dead one alone for a while, and for longer each time", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      refuse(servers[0])
      const connect = Effect.scoped(connector.connect)
      const seen: Array<number> = []
      for (let second = 0; second < 8; second++) {
        yield* connect
        seen.push(servers[0].attempts.length)
        yield* TestClock.adjust("1 second")
      }
      // After 0, 1, 3 and 7 seconds.
      assert.deepStrictEqual(seen, [1, 2, 2, 3, 3, 3, 3, 4])
    })
  )

  it.effect("takes one that has come back like the others", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      refuse(servers[0])
      yield* connector.connect
      yield* servers[0].comeBack
      yield* TestClock.adjust("1 second")
      yield* connector.connect
      assert.deepStrictEqual([live(servers), (yield* connector.replicas)[0]!.failures], [[1, 1, 0], 0])
    })
  )

  it.effect(
    "fails with the last one's error where all are dead, and goes on trying the one that was left alone longest",
    () =>
      Effect.gen(function* () {
        const { connector, servers } = three()
        for (const server of servers) refuse(server)
        const error = yield* Effect.flip(Effect.scoped(connector.connect))
        assert.strictEqual(error.message, "connection refused")
        yield* Effect.flip(Effect.scoped(connector.connect))
        assert.deepStrictEqual(attempts(servers), [2, 1, 1])
      })
  )

  it.effect("leaves one alone whose connect hung until it was interrupted", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      servers[0].onConnect = Effect.never
      const fiber = yield* Effect.forkChild(Effect.scoped(connector.connect))
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(fiber)
      yield* connector.connect
      assert.deepStrictEqual(
        [attempts(servers), live(servers)],
        [
          [1, 1, 0],
          [0, 1, 0]
        ]
      )
    })
  )

  it.effect("asks the replica of a connection about it", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      yield* connector.connect
      const second = yield* connector.connect
      servers[1].checkFails.add(second.id)
      const exits = yield* Effect.forEach([second], (connection) => Effect.exit(connector.check!(connection)))
      assert.deepStrictEqual([exits.map(Exit.isFailure), servers.map(({ checks }) => checks)], [[true], [0, 1, 0]])
    })
  )

  it("names what is wrong with each of them", () => {
    const { bare } = new FakeServer()
    const wrong = Connector.make({ ...bare, problems: [{ field: "port", value: "0", expected: "a port" }] })
    const { problems } = Replicas.connector([bare, wrong])
    assert.deepStrictEqual(
      problems?.map(({ field }) => field),
      ["replicas[1].port"]
    )
  })

  it.effect("keeps a pool going that loses one of its replicas", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      const pool = yield* ConnectionPool.make(connector, { minConnections: 3, maxConnections: 3 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(live(servers), [1, 1, 1])
      yield* servers[0].goDown()
      yield* TestClock.adjust("2 seconds")
      const used = yield* Effect.all(
        Array.from({ length: 20 }, () => ConnectionPool.use(pool, (connection) => Effect.succeed(connection)))
      )
      assert.isTrue(used.every((connection) => !servers[0].connections.includes(connection)))
      assert.deepStrictEqual([live(servers)[0], live(servers)[1]! + live(servers)[2]!], [0, 3])
    })
  )

  it.effect("is used up to the end by borrowers, and closes everywhere", () =>
    Effect.gen(function* () {
      const { connector, servers } = three()
      const done = yield* Deferred.make<void>()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* ConnectionPool.make(connector, { minConnections: 3 })
          yield* Deferred.succeed(done, undefined)
          yield* ConnectionPool.use(pool, () => Deferred.await(done))
        })
      )
      assert.deepStrictEqual(live(servers), [0, 0, 0])
    })
  )
})
