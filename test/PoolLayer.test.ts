import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Config,
  ConfigProvider,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  LayerRef,
  ManagedRuntime,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
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

  it.effect("reads both from the environment with one prefix", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const connector = (prefix: string) =>
        Config.map(Config.String(`${prefix}_HOST`), (host) => Connector.make({ ...server.bare, name: host }))
      const environment = ConfigProvider.fromEnv({ env: { APP_DB_HOST: "db", APP_DB_MAX_CONNECTIONS: "3" } })
      const live = Layer.provide(Db.layerConfig(connector, "APP_DB"), ConfigProvider.layer(environment))
      const status = yield* Effect.provide(Db.status, live)
      assert.deepStrictEqual([status.name, status.maxConnections], ["db", 3])
    })
  )

  it.effect("names every variable that is missing or wrong, of the connector and of the pool, in one error", () =>
    Effect.gen(function* () {
      const environment = ConfigProvider.fromEnv({ env: { DB_MAX_CONNECTIONS: "many", DB_IDLE_TIMEOUT: "-1" } })
      const connector = (prefix: string) =>
        Config.map(Config.String(`${prefix}_HOST`), (host) => Connector.make({ ...new FakeServer().bare, name: host }))
      const live = Layer.provide(Db.layerConfig(connector, "DB"), ConfigProvider.layer(environment))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(live)))
      for (const variable of ["DB_HOST", "DB_MAX_CONNECTIONS", "DB_IDLE_TIMEOUT"])
        assert.include(error.message, variable)
    })
  )

  it.effect("names what only the connector finds wrong by its variable, and the pool's wrong ones with it", () =>
    Effect.gen(function* () {
      const environment = ConfigProvider.fromEnv({ env: { DB_URL: "nowhere", DB_MAX_CONNECTIONS: "0" } })
      const connector = (prefix: string) =>
        Config.map(Config.String(`${prefix}_URL`), (url) =>
          Connector.make({
            ...new FakeServer().bare,
            problems: [{ field: "url", value: JSON.stringify(url), expected: "a URL" }]
          })
        )
      const live = Layer.provide(Db.layerConfig(connector, "DB"), ConfigProvider.layer(environment))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(live)))
      assert.include(error.message, 'DB_URL: got "nowhere", expected a URL')
      assert.include(error.message, "DB_MAX_CONNECTIONS: got 0")
    })
  )

  it.effect("is rebuilt by a LayerRef, and no caller fails meanwhile", () =>
    Effect.gen(function* () {
      const [old, next] = [new FakeServer(), new FakeServer()]
      const credentials = [old.bare, next.bare]
      // `fresh`: a layer that somebody still uses would be given to the next one, too.
      const ref = yield* LayerRef.make(Layer.fresh(Layer.unwrap(Effect.sync(() => Db.layer(credentials.shift()!)))))
      const withPool = <X, E>(program: Effect.Effect<X, E, Db>) =>
        Effect.scoped(Effect.flatMap(ref.contextEffect, (context) => Effect.provideContext(program, context)))
      const released = yield* Deferred.make<void>()
      const holding = yield* Effect.forkChild(withPool(Db.use(({ id }) => Effect.as(Deferred.await(released), id))))
      yield* TestClock.adjust(1)
      yield* ref.invalidate
      const used = yield* withPool(Db.use((connection) => Effect.succeed(connection)))
      yield* Deferred.succeed(released, undefined)
      assert.strictEqual(yield* Fiber.join(holding), 1)
      assert.include(next.connections, used)
      assert.strictEqual(old.live, 0)
    })
  )

  it.effect("tells whether it does its work", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const healths = Effect.gen(function* () {
        const before = yield* Db.health
        const during = yield* Db.use(() =>
          Effect.gen(function* () {
            const waiting = yield* Effect.forkChild(Db.use(() => Effect.void))
            yield* Effect.yieldNow
            yield* Effect.addFinalizer(() => Fiber.interrupt(waiting))
            return yield* Db.health
          }).pipe(Effect.scoped)
        )
        yield* server.goDown()
        yield* Effect.exit(Db.use(() => Effect.void))
        yield* TestClock.adjust("40 seconds")
        return [before, during, yield* Db.health]
      })
      const live = Db.layer(server.complete, { minConnections: 1, maxConnections: 1 })
      const fiber = yield* Effect.forkChild(Effect.provide(healths, live))
      yield* TestClock.adjust("1 minute")
      const seen = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        seen.map(({ status }) => status),
        ["pass", "warn", "fail"]
      )
      assert.match(seen[1]!.reasons[0]!, /^burst: .*1 of 1 connections in use.*1 waiting/)
      assert.match(seen[2]!.reasons[0]!, /no usable connection: \d+ attempts to connect failed/)
    })
  )

  describe("layerTest", () => {
    const fake: FakeConnection = { id: 7, dead: Deferred.makeUnsafe<void>(), isDirty: false }
    const idOfUsed = Db.use(({ id }) => Effect.succeed(id))

    it.effect("lends a fake to everyone", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* Effect.provide(idOfUsed, Db.layerTest(fake)), 7)
      })
    )

    it.effect("opens fakes with an effect, and closes them", () =>
      Effect.gen(function* () {
        const server = new FakeServer()
        assert.strictEqual(yield* Effect.provide(idOfUsed, Db.layerTest(server.connect)), 1)
        assert.strictEqual(server.live, 0)
      })
    )

    it.effect("takes a connector", () =>
      Effect.gen(function* () {
        const server = new FakeServer()
        yield* Effect.provide(idOfUsed, Db.layerTest(server.bare, { maxConnections: 2 }))
        assert.strictEqual(server.connections.length, 1)
      })
    )

    it.effect("fails the spec that leaks a lease, and says whose it is", () =>
      Effect.gen(function* () {
        const leak = Effect.fn("chargeCustomer")(function* () {
          yield* Effect.provideService(Db.acquire, Scope.Scope, Scope.makeUnsafe())
          return yield* Effect.never
        })
        const spec = Effect.andThen(Effect.forkDetach(leak()), TestClock.adjust(1))
        const exit = yield* Effect.exit(Effect.provide(spec, Db.layerTest(fake, { maxConnections: 2 })))
        assert.include(
          Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "",
          "1 lease not returned at the end of the spec"
        )
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "chargeCustomer")
      })
    )

    it.effect("lets a spec pass whose leases have all ended", () =>
      Effect.gen(function* () {
        const spec = Effect.scoped(Effect.andThen(Db.acquire, Effect.fail("expected")))
        const exit = yield* Effect.exit(Effect.provide(spec, Db.layerTest(fake)))
        assert.deepStrictEqual(exit, Exit.fail("expected"))
      })
    )
  })

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
