/** What `docs/shutdown.md` says of the end and the beginning of a process, where it is more than the pool's own affair. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Runtime } from "effect"
import { HttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { PoolHttp } from "../../src/http/index.ts"
import { ConnectionPool, PoolLayer, PoolRegistry } from "../../src/index.ts"
import { eventually } from "../support/Eventually.ts"
import { type FakeConnection, FakeServer, turns } from "../support/FakeServer.ts"

class Db extends PoolLayer.Service<Db, FakeConnection>()("test/Db") {}

/** What `run` has added to those who listen for the signal is called: a real signal would reach the test's runner as well. */
const signalledBy = (run: () => void): (() => void) => {
  const before = new Set(process.listeners("SIGTERM"))
  run()
  const added = process.listeners("SIGTERM").filter((listener) => !before.has(listener))
  return () => added.forEach((listener) => listener("SIGTERM"))
}

const statusOf = (url: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const response = await fetch(url)
    await response.text()
    return response.status
  }).pipe(Effect.catchDefect(() => Effect.succeed(0)))

interface Service {
  readonly url: string
  readonly told: Array<string>
  readonly terminate: () => void
  readonly ended: Effect.Effect<number>
}

/** A service as the page has it: readiness, then requests, then the pool. A request takes 300 ms. */
const started = (options: { readonly goodbye?: number; readonly graceful?: number; readonly request?: number }) =>
  Effect.callback<Service>((resume) => {
    const { goodbye = 0, graceful = 1000, request = 300 } = options
    const told: Array<string> = []
    const ended = Deferred.makeUnsafe<number>()
    let isReady = true
    const tell = (line: string) => Effect.sync(() => void told.push(line))
    const routes = Layer.mergeAll(
      HttpRouter.add(
        "GET",
        "/orders",
        Db.use(() =>
          Effect.as(Effect.andThen(tell("asked"), Effect.sleep(request)), HttpServerResponse.text("orders"))
        ).pipe(Effect.onExit((exit) => tell(Exit.isSuccess(exit) ? "answered" : "interrupted")))
      ),
      HttpRouter.add(
        "GET",
        "/readyz",
        Effect.sync(() => HttpServerResponse.empty({ status: isReady ? 200 : 503 }))
      )
    )
    const DbLive = Db.layer(new FakeServer().bare, { minConnections: 1, maxConnections: 2 }).pipe(
      Layer.tap((context) => Effect.addFinalizer(() => tell("the pool closes")).pipe(Effect.provideContext(context)))
    )
    const ServerLive = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(
        NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: graceful })
      )
    )
    const Goodbye = Layer.effectDiscard(
      Effect.gen(function* () {
        const { address } = yield* HttpServer.HttpServer
        const url = `http://127.0.0.1:${"port" in address ? address.port : 0}`
        yield* Effect.addFinalizer(() =>
          Effect.andThen(
            Effect.sync(() => void (isReady = false)),
            Effect.sleep(goodbye)
          )
        )
        resume(Effect.succeed({ url, told, terminate: () => terminate(), ended: Deferred.await(ended) }))
      })
    )
    const main = Goodbye.pipe(Layer.provide(ServerLive), Layer.provide(DbLive), Layer.launch)
    const terminate = signalledBy(() =>
      NodeRuntime.runMain(main, {
        disableErrorReporting: true,
        teardown: (exit) => Runtime.defaultTeardown(exit, (code) => Deferred.doneUnsafe(ended, Effect.succeed(code)))
      })
    )
  })

describe("a process that is told to end", () => {
  it.live("answers the requests that it has, and closes its pool after them", () =>
    Effect.gen(function* () {
      const { ended, terminate, told, url } = yield* started({})
      const request = yield* Effect.forkChild(statusOf(`${url}/orders`))
      yield* eventually(
        Effect.sync(() => told.length),
        (length) => length > 0
      )
      terminate()
      assert.strictEqual(yield* Fiber.join(request), 200)
      assert.strictEqual(yield* ended, 130)
      assert.deepStrictEqual(told, ["asked", "answered", "the pool closes"])
    })
  )

  it.live("interrupts what it cannot wait for, whose connection comes back before the pool closes", () =>
    Effect.gen(function* () {
      const { ended, terminate, told, url } = yield* started({ graceful: 100, request: 60_000 })
      const request = yield* Effect.forkChild(statusOf(`${url}/orders`))
      yield* eventually(
        Effect.sync(() => told.length),
        (length) => length > 0
      )
      terminate()
      yield* ended
      yield* Fiber.interrupt(request)
      assert.deepStrictEqual(told, ["asked", "interrupted", "the pool closes"])
    })
  )

  it.live("says first that it is not ready, and serves until it has said so for long enough", () =>
    Effect.gen(function* () {
      const { ended, terminate, told, url } = yield* started({ goodbye: 400 })
      const before = yield* statusOf(`${url}/readyz`)
      terminate()
      const meanwhile = yield* eventually(statusOf(`${url}/readyz`), (status) => status !== 200)
      const served = yield* statusOf(`${url}/orders`)
      yield* ended
      assert.deepStrictEqual([before, meanwhile, served], [200, 503, 200])
      assert.deepStrictEqual(told, ["asked", "answered", "the pool closes"])
    })
  )
})

describe("a pool that starts with `await`", () => {
  it.effect("is there for whoever watches pools, though nobody has it yet", () => {
    const registry = PoolRegistry.make()
    return Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      const making = yield* Effect.forkChild(Effect.scoped(ConnectionPool.make(server.bare)))
      yield* turns()
      assert.deepStrictEqual(
        yield* Effect.forEach(registry.entries(), ({ pool }) =>
          Effect.map(ConnectionPool.status(pool), ({ state }) => state)
        ),
        ["starting"]
      )
      yield* Fiber.interrupt(making)
    }).pipe(Effect.provideService(PoolRegistry.PoolRegistry, registry))
  })
})

describe("/startupz", () => {
  it.effect("is well where there is no pool yet", () =>
    Effect.gen(function* () {
      const { status } = yield* HttpClient.withScope(yield* HttpClient.HttpClient).get("/startupz")
      assert.strictEqual(status, 200)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(PoolHttp.layer(), { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layerTest)
        )
      ),
      Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make())
    )
  )
})

describe("a maintenance: pause, recycle, resume", () => {
  it.effect("fails nobody who waits no longer than acquireTimeout, and leaves no connection from before it", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const pool = yield* ConnectionPool.make(server.bare, { minConnections: 2, maxConnections: 2 })
      yield* TestClock.adjust("1 second")
      const borrower = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.sleep("2 seconds")))
      yield* turns()
      yield* ConnectionPool.pause(pool)
      yield* ConnectionPool.recycle(pool)
      const waiter = yield* Effect.forkChild(ConnectionPool.use(pool, ({ id }) => Effect.succeed(id)))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(borrower)
      assert.deepStrictEqual([server.live, waiter.pollUnsafe()], [0, undefined])
      yield* ConnectionPool.resume(pool)
      yield* turns()
      assert.isAbove(yield* Fiber.join(waiter), 2)
    })
  )
})
