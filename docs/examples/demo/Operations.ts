import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { PoolHttp } from "effect-pool/http"
import { createServer } from "node:http"
import * as Display from "./Display.ts"

/** Whoever runs the demo may do everything to it. In a service, this comes from the configuration. */
const token = Redacted.make("demo")

const announced = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* HttpServer.HttpServer
    const base = HttpServer.formatAddress(address)
    yield* Display.line(
      `watch it: ${base}/console (token for actions: ${Redacted.value(token)}), ${base}/pools/orders, ${base}/metrics,\n` +
        `or in a second terminal: npx effect-pool top ${base}`
    )
  })
)

/** The console, the status and the metrics of the pool, on a port of their own. */
export const layer = (port: number) =>
  HttpRouter.serve(PoolHttp.layer({ token }), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.merge(announced),
    Layer.provide(NodeHttpServer.layer(createServer, { port, host: "127.0.0.1", gracefulShutdownTimeout: "2 seconds" }))
  )
