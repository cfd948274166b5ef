/** Servers with pools, on ports of their own. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Redacted, References } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Connector from "../../src/Connector.ts"
import { PoolHttp } from "../../src/http/index.ts"
import * as PoolRegistry from "../../src/PoolRegistry.ts"

export const token = "a token"

/** A pool of the surrounding registry that is ready. */
export const pool = Effect.fnUntraced(function* (name: string, connect: Effect.Effect<string> = Effect.succeed("it")) {
  const made = yield* ConnectionPool.make(Connector.make({ name, connect, check: () => Effect.void }), {
    minConnections: 1,
    maxConnections: 10
  })
  yield* ConnectionPool.awaitReady(made)
  return made
})

const listening = (port: number) =>
  NodeHttpServer.layer(() => createServer(), { port, host: "127.0.0.1", gracefulShutdownTimeout: 0 })

/** Listens with these routes; the answer is where. */
export const listen = Effect.fnUntraced(function* <E>(
  routes: Layer.Layer<never, E, Layer.Success<ReturnType<typeof listening>> | HttpRouter.HttpRouter>,
  port: number = 0
) {
  const served = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true })
  const context = yield* Layer.build(Layer.provideMerge(served, listening(port)))
  const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
  const place = address._tag === "UnixPathAddress" ? 0 : address.port
  return { url: `http://127.0.0.1:${place}`, port: place }
})

/** The real routes over the pools of the surrounding registry. */
export const serve = (options: PoolHttp.Options = {}, port: number = 0) =>
  listen(PoolHttp.layer({ token: Redacted.make(token), metrics: false, ...options }), port)

/** An address at which nobody listens any more. */
export const deserted = Effect.scoped(Effect.map(serve(), ({ url }) => url))

/** A pool whose server does not answer: nobody gets a connection. */
export const brokenPool = (name: string) =>
  ConnectionPool.make(Connector.make({ name, connect: Effect.never }), { startup: "background" })

/** For a test on the real clock, with pools that nobody else sees. */
export const withPools = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.suspend(() =>
    test.pipe(
      Effect.scoped,
      Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  )
