import { NodeHttpClient } from "@effect/platform-node"
import { Clock, Effect } from "effect"
import { HttpClient, HttpServer } from "effect/http"
import { orders } from "./Database.ts"
import { Traffic } from "./Traffic.ts"

const clients = 100

/** A client that is refused comes back a little later. */
const pauseAfterRefusal = "250 millis"

/** A hundred clients, each asking for one order after the other, for ever. */
export const run = Effect.gen(function* () {
  const server = yield* HttpServer.HttpServer
  const client = yield* HttpClient.HttpClient
  const traffic = yield* Traffic
  const base = HttpServer.formatAddress(server.address)
  const request = Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const { status } = yield* client.get(`${base}/orders/${1 + (traffic.requests++ % orders)}`)
    const ended = yield* Clock.currentTimeMillis
    traffic.slowestMillis = Math.max(traffic.slowestMillis, ended - started)
    if (status !== 200) return yield* Effect.sleep(pauseAfterRefusal)
    traffic.succeeded++
    traffic.lastSuccessAt = ended
  })
  yield* Effect.replicateEffect(Effect.forever(request), clients, { concurrency: clients, discard: true })
}).pipe(Effect.provide(NodeHttpClient.layerNodeHttp))
