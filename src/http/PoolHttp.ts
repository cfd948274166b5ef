/**
 * Everything about the pools of a process over HTTP: status, events, health, metrics, the console, and what an operator may ask.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type { PoolConfigError } from "../PoolError.ts"
import * as PoolMetrics from "../PoolMetrics.ts"
import * as Accesses from "./Access.ts"
import * as ActionRoutes from "./ActionRoutes.ts"
import { contentSecurityPolicy, page } from "./console/Page.ts"
import * as HealthRoutes from "./HealthRoutes.ts"
import { PoolApi } from "./PoolApi.ts"
import * as PoolRoutes from "./PoolRoutes.ts"

export type { Asked } from "./Access.ts"

/**
 * What is served, and to whom.
 *
 * - `prefix`: before every path, as in `/ops`. Default: none.
 * - `metrics`: what `/metrics` has of the pools, or `false` if they are exported elsewhere. It gives all of the program's metrics.
 * - `maxWatchers`: how many pages and readers of events may be connected at a time. Default: 100.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Accesses.Options, HealthRoutes.Options {
  readonly prefix?: `/${string}` | undefined
  readonly metrics?: PoolMetrics.Options | false | undefined
  readonly maxWatchers?: number | undefined
}

/** Where the API is mounted. */
const mounted = (prefix: string): typeof PoolApi =>
  (prefix === "" ? PoolApi : PoolApi.prefix(prefix as `/${string}`)) as typeof PoolApi

const noStore = { "cache-control": "no-store" }

const consoleRoute = (prefix: string) =>
  HttpRouter.add(
    "GET",
    `${prefix}/console` as `/${string}`,
    Effect.map(HttpServerRequest.HttpServerRequest, ({ url }) => {
      const [path = "", search = ""] = url.split("?")
      // The page asks for what lies beside it, and from here it would look one step too deep.
      if (path.endsWith("/")) return HttpServerResponse.redirect(`../console${search && `?${search}`}`)
      const nonce = crypto.randomUUID()
      return HttpServerResponse.text(page({ nonce }), {
        contentType: "text/html; charset=utf-8",
        headers: {
          ...noStore,
          "content-security-policy": contentSecurityPolicy(nonce),
          "referrer-policy": "no-referrer",
          "x-content-type-options": "nosniff",
          "x-frame-options": "DENY"
        }
      })
    })
  )

const metricsRoute = (prefix: string) =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const { mayRead } = yield* Accesses.Access
      const answer = Effect.gen(function* () {
        yield* mayRead
        const text = yield* PrometheusMetrics.format({ metricNameMapper: PoolMetrics.prometheusName })
        return HttpServerResponse.text(text, {
          contentType: "text/plain; version=0.0.4; charset=utf-8",
          headers: noStore
        })
      })
      yield* router.add(
        "GET",
        `${prefix}/metrics` as `/${string}`,
        Effect.catchTag(answer, "Unauthorized", HttpServerRespondable.toResponse)
      )
    })
  )

/**
 * Adds the routes to the surrounding `HttpRouter`:
 *
 * - `GET /pools`, `/pools/:pool`, `/pools/:pool/events` (and `/stream`), `/pools/:pool/diagnostics`, `/openapi.json`
 * - `GET /livez`, `/readyz`, `/startupz`, `/health`
 * - `GET /metrics`, in Prometheus's text format
 * - `GET /console`, a page
 * - `POST /pools/:pool/resize`, `pause`, `resume`, `recycle`, `evict`, `check-idle`, `drain`, `capture-stacks`: with a `token` only
 *
 * Nothing of it acquires a connection, so all of it answers when the pools are stuck. It shows the pools of the surrounding
 * `PoolRegistry`: without anybody's doing, those of the process. Serve it where only operators get: what operations are called, and
 * where servers are, is nothing for everyone.
 *
 * Fails with `PoolConfigError` if an option of the metrics is wrong.
 *
 * **Example** (On a port of its own)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { PoolHttp } from "effect-pool/http"
 * import { createServer } from "node:http"
 *
 * const OperationsLive = HttpRouter.serve(PoolHttp.layer()).pipe(
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 9464, host: "127.0.0.1" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}) => {
  const { maxWatchers = 100, metrics = {}, prefix = "" } = options
  const api = mounted(prefix.replace(/\/+$/, ""))
  const path = prefix.replace(/\/+$/, "")
  const handlers = Layer.mergeAll(
    PoolRoutes.layer(api, maxWatchers),
    ActionRoutes.layer(api),
    HealthRoutes.layer(api, options)
  )
  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(api, { openapiPath: `${path}/openapi.json` as `/${string}` }).pipe(Layer.provide(handlers)),
    consoleRoute(path),
    metricsRoute(path),
    metrics === false ? noMetrics : PoolMetrics.layer(metrics)
  )
  return routes.pipe(
    Layer.provide(HttpApiMiddleware.layerProblemDetails({ includeDetails: true })),
    Layer.provide(Accesses.layer(options))
  )
}

const noMetrics: Layer.Layer<never, PoolConfigError> = Layer.empty
