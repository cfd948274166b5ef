/**
 * The HTTP API of the pools of a process: what they look like, whether they work, and what an operator may ask of them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import { PoolEvent } from "../PoolEvent.ts"
import { PoolReport } from "../PoolReport.ts"
import { History } from "./ConsoleFeed.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * No pool of this process has that name. `pools` are those that there are.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownPool extends HttpApiError.Problem<UnknownPool>()(
  "UnknownPool",
  { type: "urn:effect-pool:unknown-pool", status: 404, title: "No such pool" },
  { pools: Schema.Array(Schema.String) }
) {}

/**
 * There is no token in the request, or a wrong one.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: "urn:effect-pool:unauthorized",
  status: 401,
  title: "A valid bearer token is needed"
}) {}

/**
 * The action is switched off, comes from another site's page, or is not allowed to whoever asks.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: "urn:effect-pool:forbidden",
  status: 403,
  title: "Not allowed"
}) {}

/**
 * The values are of the right form, but cannot be: a minimum above the maximum, a connection that is not there. `problems` names
 * each.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends HttpApiError.Problem<Refused>()(
  "Refused",
  { type: "urn:effect-pool:refused", status: 422, title: "The pool cannot do that" },
  { problems: Schema.Array(Schema.String) }
) {}

/**
 * The pool is closing or closed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Closed extends HttpApiError.Problem<Closed>()("Closed", {
  type: "urn:effect-pool:closed",
  status: 409,
  title: "The pool is closed"
}) {}

/**
 * As many pages are watching as may.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyWatchers extends HttpApiError.Problem<TooManyWatchers>()("TooManyWatchers", {
  type: "urn:effect-pool:too-many-watchers",
  status: 503,
  title: "Too many are watching"
}) {}

/**
 * What an operator may ask.
 *
 * @category models
 * @since 0.1.0
 */
export const actionNames = [
  "resize",
  "pause",
  "resume",
  "recycle",
  "evict",
  "check-idle",
  "drain",
  "capture-stacks"
] as const

/**
 * The name of something that an operator may ask.
 *
 * @category models
 * @since 0.1.0
 */
export type ActionName = (typeof actionNames)[number]

/**
 * A pool in a line: its report without what is long.
 *
 * - `key`, `name`, `state`, `diagnosis`: as in `PoolReport`. `health`: whether it does its work.
 * - `limit`, `minConnections`, `maxConnections`: as in `PoolStatus`.
 * - `total_connections`, `available_connections`, `in_use_connections`, `wait_queue_length`, `avg_wait_time_ms`
 *   (milliseconds), `connections_created_total`, `connections_closed_total`: what dashboards ask every pool for.
 *
 * @category models
 * @since 0.1.0
 */
export const PoolSummary = Schema.Struct({
  key: PoolReport.fields.key,
  name: PoolReport.fields.name,
  state: PoolReport.fields.state,
  health: Schema.Literals(["pass", "warn", "fail"]),
  diagnosis: PoolReport.fields.diagnosis,
  limit: Count,
  minConnections: Count,
  maxConnections: Count,
  total_connections: Count,
  available_connections: Count,
  in_use_connections: Count,
  wait_queue_length: Count,
  avg_wait_time_ms: Schema.Finite,
  connections_created_total: Count,
  connections_closed_total: Count
})

/**
 * A pool in a line.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolSummary = typeof PoolSummary.Type

/**
 * The pools of the process (`pools`), and what may be asked of them here (`actions`): with `isEnabled` false, nothing, and
 * `reason` says why.
 *
 * @category models
 * @since 0.1.0
 */
export const PoolList = Schema.Struct({
  pools: Schema.Array(PoolSummary),
  actions: Schema.Struct({
    isEnabled: Schema.Boolean,
    names: Schema.Array(Schema.Literals(actionNames)),
    reason: Schema.NullOr(Schema.String)
  })
})

/**
 * The pools of the process, and what may be asked of them.
 *
 * @category models
 * @since 0.1.0
 */
export type PoolList = typeof PoolList.Type

/**
 * What one wants to see who looks into an incident later: the report (`report`), the last events (`events`) and the last 15
 * minutes (`history`).
 *
 * @category models
 * @since 0.1.0
 */
export const Diagnostics = Schema.Struct({
  report: PoolReport,
  events: Schema.Array(PoolEvent),
  history: History
})

/**
 * What one wants to see who looks into an incident later.
 *
 * @category models
 * @since 0.1.0
 */
export type Diagnostics = typeof Diagnostics.Type

/**
 * Whether everything a probe asks for is there: `status` is `"pass"`, `"warn"` or `"fail"`.
 *
 * @category models
 * @since 0.1.0
 */
export const ProbeAnswer = Schema.Struct({ status: Schema.Literals(["pass", "warn", "fail"]) })

/**
 * What was done, in words (`done`).
 *
 * @category models
 * @since 0.1.0
 */
export const Done = Schema.Struct({ done: Schema.String })

/**
 * Reads may ask for a token, too.
 *
 * @category middleware
 * @since 0.1.0
 */
export class Reading extends HttpApiMiddleware.Service<Reading>()("effect-pool/http/Reading", {
  error: Unauthorized
}) {}

/**
 * Actions ask for a bearer token, and for a page of the same site or no page at all.
 *
 * @category middleware
 * @since 0.1.0
 */
export class Operating extends HttpApiMiddleware.Service<Operating>()("effect-pool/http/Operating", {
  security: { bearer: HttpApiSecurity.bearer },
  error: [Unauthorized, Forbidden]
}) {}

const pool = { params: { pool: Schema.String } }

const text = (contentType: string) => Schema.String.pipe(HttpApiSchema.asText({ contentType }))

/**
 * What is read.
 *
 * @category apis
 * @since 0.1.0
 */
export class PoolsGroup extends HttpApiGroup.make("pools")
  .add(
    HttpApiEndpoint.get("list", "/pools", { success: PoolList }),
    HttpApiEndpoint.get("report", "/pools/:pool", { ...pool, success: PoolReport, error: UnknownPool }),
    HttpApiEndpoint.get("events", "/pools/:pool/events", {
      ...pool,
      success: Schema.Array(PoolEvent),
      error: UnknownPool
    }),
    HttpApiEndpoint.get("diagnostics", "/pools/:pool/diagnostics", {
      ...pool,
      success: Diagnostics,
      error: UnknownPool
    }),
    HttpApiEndpoint.get("follow", "/pools/:pool/events/stream", {
      ...pool,
      success: text("text/event-stream").annotate({
        description:
          "Server-sent events: each `data` is an event as JSON, its `id` the place to go on from (Last-Event-ID)"
      }),
      error: [UnknownPool, TooManyWatchers]
    }),
    HttpApiEndpoint.get("watch", "/pools/:pool/watch", {
      ...pool,
      success: text("text/event-stream").annotate({
        description: "Server-sent events: `history` once, then `frame` each second, as JSON (see ConsoleFeed)"
      }),
      error: [UnknownPool, TooManyWatchers]
    })
  )
  .middleware(Reading)
  .annotateMerge(OpenApi.annotations({ description: "What the pools look like. Never acquires." })) {}

const errors = [UnknownPool, Refused, Closed, Forbidden]

const connectionId = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))
const limit = (minimum: number) =>
  Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum, maximum: 1_000_000 })))

/**
 * What an operator may ask. Every one becomes an `OperatorAction` event with whoever asked.
 *
 * @category apis
 * @since 0.1.0
 */
export class ActionsGroup extends HttpApiGroup.make("actions")
  .add(
    HttpApiEndpoint.post("resize", "/pools/:pool/resize", {
      ...pool,
      payload: Schema.Struct({ minConnections: limit(0), maxConnections: limit(1) }),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("pause", "/pools/:pool/pause", {
      ...pool,
      payload: Schema.Struct({ acquires: Schema.optionalKey(Schema.Literals(["wait", "fail"])) }),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("resume", "/pools/:pool/resume", {
      ...pool,
      payload: Schema.Struct({}),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("recycle", "/pools/:pool/recycle", {
      ...pool,
      payload: Schema.Struct({ interrupt: Schema.optionalKey(Schema.Boolean) }),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("evict", "/pools/:pool/evict", {
      ...pool,
      payload: Schema.Struct({ connection: connectionId, interrupt: Schema.optionalKey(Schema.Boolean) }),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("check-idle", "/pools/:pool/check-idle", {
      ...pool,
      payload: Schema.Struct({}),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("drain", "/pools/:pool/drain", {
      ...pool,
      // A drain is for good: whoever asks has to name the pool a second time.
      payload: Schema.Struct({
        confirm: Schema.String,
        deadlineMillis: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 86_400_000 })))
      }),
      success: Done,
      error: errors
    }),
    HttpApiEndpoint.post("capture-stacks", "/pools/:pool/capture-stacks", {
      ...pool,
      payload: Schema.Struct({ minutes: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 60 })) }),
      success: Done,
      error: errors
    })
  )
  .middleware(Operating)
  .annotateMerge(OpenApi.annotations({ description: "What an operator may ask, where a token is configured." })) {}

/**
 * Whether the process and its pools do their work.
 *
 * @category apis
 * @since 0.1.0
 */
export class HealthGroup extends HttpApiGroup.make("health").add(
  HttpApiEndpoint.get("livez", "/livez", { success: ProbeAnswer }),
  HttpApiEndpoint.get("readyz", "/readyz", {
    success: [ProbeAnswer, ProbeAnswer.pipe(HttpApiSchema.status(503))]
  }),
  HttpApiEndpoint.get("startupz", "/startupz", {
    success: [ProbeAnswer, ProbeAnswer.pipe(HttpApiSchema.status(503))]
  }),
  HttpApiEndpoint.get("health", "/health", {
    success: [text("application/health+json"), text("application/health+json").pipe(HttpApiSchema.status(503))]
  })
) {}

/**
 * All of it.
 *
 * @category apis
 * @since 0.1.0
 */
export class PoolApi extends HttpApi.make("effect-pool")
  .add(PoolsGroup)
  .add(ActionsGroup)
  .add(HealthGroup)
  .middleware(HttpApiMiddleware.ProblemDetails)
  // A field with a slip in its name is a mistake, and a mistake is told with all the others.
  .annotate(HttpApi.PayloadParseOptions, { errors: "all", onExcessProperty: "error" })
  .annotateMerge(
    OpenApi.annotations({
      title: "effect-pool",
      description:
        "The connection pools of a process: what they look like, whether they work, and what may be asked of them."
    })
  ) {}
