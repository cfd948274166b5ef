import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Deferred, Effect, Layer, ManagedRuntime } from "effect"
import { Connector, PoolConfig, PoolLayer } from "../src/index.ts"
import { type FakeConnection, FakeServer } from "./support/FakeServer.ts"

class Db extends PoolLayer.Service<Db, FakeConnection>()("test/Db") {}
class Other extends PoolLayer.Service<Other, FakeConnection>()("test/Other") {}

class Secret extends Context.Service<Secret, number>()("test/Secret") {}

describe("PoolLayer.Service", () => {
  it.effect("provides one pool to everyone under the layer, and closes it with the layer's scope", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const live = Db.layer(server.bare, { minConnections: 1 })
      const first = Layer.effectDiscard(Effect.scoped(Db.acquire)).pipe(Layer.provide(live))
      const second = Layer.effectDiscard(Db.use(() => Effect.void)).pipe(Layer.provide(live))
      yield* Effect.scoped(Layer.build(Layer.mergeAll(first, second)))
      assert.deepStrictEqual([server.connections.length, server.live], [1, 0])
    })
  )

  it.effect("keeps two pools of one type apart", () =>
    Effect.gen(function* () {
      const [one, two] = [new FakeServer(), new FakeServer()]
      const ids = yield* Effect.all([Db.use(Effect.succeed), Other.use(Effect.succeed)]).pipe(
        Effect.provide([Db.layer(one.bare), Other.layer(two.bare)])
      )
      assert.include(one.connections, ids[0])
      assert.include(two.connections, ids[1])
    })
  )

  it.effect("has the operations of the pool", () =>
    Effect.gen(function* () {
      yield* Db.awaitReady
      const { connection, id } = yield* Db.lease
      yield* Db.invalidate(connection)
      const { inUse, name } = yield* Db.status
      const pool = yield* Db
      assert.deepStrictEqual([id, inUse, name, pool.name], [1, 1, "named", "named"])
    }).pipe(Effect.scoped, Effect.provide(Db.layer(new FakeServer().bare, { name: "named" })))
  )

  it.effect("fails to build with every wrong field of the configuration", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const live = Db.layer(server.bare, { minConnections: -1, maxConnections: 0 })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(live)))
      assert.strictEqual(error._tag, "PoolConfigError")
      assert.lengthOf(error._tag === "PoolConfigError" ? error.problems : [], 2)
    })
  )

  it.effect("reads connector and configuration from the environment", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const connector = Config.map(Config.String("DB_HOST"), (host) => Connector.make({ ...server.bare, name: host }))
      const environment = ConfigProvider.fromEnv({ env: { DB_HOST: "db.internal", DB_MAX_CONNECTIONS: "3" } })
      const live = Layer.provide(Db.layerConfig(connector, PoolConfig.config("DB")), ConfigProvider.layer(environment))
      const status = yield* Effect.provide(Db.status, live)
      assert.deepStrictEqual([status.name, status.maxConnections], ["db.internal", 3])
    })
  )

  it("serves people who call from promises", async () => {
    const server = new FakeServer()
    const runtime = ManagedRuntime.make(Db.layer(server.bare))
    assert.strictEqual(await runtime.runPromise(Db.use(({ id }) => Effect.succeed(id))), 1)
    await runtime.dispose()
    assert.strictEqual(server.live, 0)
  })

  it.effect("gives connectors the services of the layer", () =>
    Effect.gen(function* () {
      const connect = Effect.map(Secret, (secret) => ({
        id: secret,
        dead: Deferred.makeUnsafe<void>(),
        isDirty: false
      }))
      const live = Db.layer(Connector.make({ name: "needy", connect })).pipe(Layer.provide(Layer.succeed(Secret, 42)))
      assert.strictEqual(
        yield* Effect.provide(
          Db.use(({ id }) => Effect.succeed(id)),
          live
        ),
        42
      )
    })
  )
})
