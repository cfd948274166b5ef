/**
 * Probes, and the detailed answer `application/health+json` (draft-inadarei-api-health-check-06). None of them goes to the server: a pool
 * that is full would fail its own probe, and a database that is down would take every process out of the load balancer.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { type Entry, PoolRegistry } from "../PoolRegistry.ts"
import * as PoolReport from "../PoolReport.ts"
import type { PoolApi } from "./PoolApi.ts"

/**
 * What the probes go by.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether the process is of no use without this pool, by its name. What is not critical warns and never fails. Default: all are. */
  readonly isCritical?: ((pool: string) => boolean) | undefined
  /**
   * `/readyz` fails when a critical pool has had no connection for so long and cannot open one. Default: never, since all processes
   * share the database and would all leave the load balancer at once.
   */
  readonly failWhenDownFor?: Duration.Input | undefined
  /**
   * The pools, by their names, that the process is going to have. While one of them has not been made yet, `/startupz`, `/readyz` and
   * `/health` fail as if it were starting; that it has ended later changes nothing. Default: none, since a process may have none, or make
   * them when somebody asks.
   */
  readonly expects?: ReadonlyArray<string> | undefined
}

type Status = "pass" | "warn" | "fail"

const order: ReadonlyArray<Status> = ["pass", "warn", "fail"]

const worst = (statuses: ReadonlyArray<Status>): Status =>
  order[Math.max(0, ...statuses.map((status) => order.indexOf(status)))]!

const answer = (status: Status, contentType = "application/json", body: object = { status }) =>
  HttpServerResponse.jsonUnsafe(body, {
    status: status === "fail" ? 503 : 200,
    contentType,
    headers: { "cache-control": "no-store" }
  })

const reportOf = ({ key, pool }: Entry) => PoolReport.of(pool, key)

/** The pools that are there, with what they have to say. */
const reports = Effect.flatMap(PoolRegistry, (registry) => Effect.forEach(registry.entries(), reportOf))

/** Which of these pools have not been made yet, from now on for as long as the scope. */
const awaited = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const registry = yield* PoolRegistry
  const missing = new Set(names)
  yield* Effect.acquireRelease(
    Effect.sync(() => registry.subscribe({ added: ({ pool }) => missing.delete(pool.name), removed: () => {} })),
    (end) => Effect.sync(end)
  )
  return missing as ReadonlySet<string>
})

/** The group `health` of an API that is `PoolApi`, under whatever prefix. */
export const layer = (api: typeof PoolApi, { expects = [], failWhenDownFor, isCritical = () => true }: Options) => {
  const downFor =
    failWhenDownFor === undefined ? Infinity : Duration.toMillis(Duration.fromInputUnsafe(failWhenDownFor))

  const weighed = (name: string, status: Status): Status => (status === "fail" && !isCritical(name) ? "warn" : status)

  const started = ({ name, state }: PoolReport.PoolReport): Status =>
    weighed(name, state === "starting" ? "fail" : "pass")

  const ready = (report: PoolReport.PoolReport): Status => {
    const { failingForMillis, failures, health, idle, inUse, name, state } = report
    if (state === "starting" || state === "draining" || state === "closed") return weighed(name, "fail")
    const isDown = idle + inUse === 0 && failures.length > 0 && failingForMillis >= downFor
    if (isDown) return weighed(name, "fail")
    return health.status === "pass" ? "pass" : "warn"
  }

  const statusesOf = (missing: ReadonlySet<string>) => Array.from(missing, (name) => weighed(name, "fail"))

  const probe = (missing: ReadonlySet<string>, statusOf: (report: PoolReport.PoolReport) => Status) =>
    Effect.map(reports, (all) => answer(worst([...all.map(statusOf), ...statusesOf(missing)])))

  const health = (missing: ReadonlySet<string>) =>
    Effect.map(reports, (all) => {
      const statuses = all.map(({ health, name }) => weighed(name, health.status))
      const status = worst([...statuses, ...statusesOf(missing)])
      const reasons = [
        ...Array.from(missing, (name) => `${name}: has not been made yet`),
        ...all.flatMap(({ health, name }) => health.reasons.map((reason) => `${name}: ${reason}`))
      ]
      return answer(status, "application/health+json", {
        status,
        description: `connection pools: ${all.map(({ name }) => name).join(", ")}`,
        ...(reasons.length > 0 && { notes: reasons, output: reasons.join("; ") }),
        checks: Object.assign({}, ...all.map((report, index) => checksOf(report, statuses[index]!)))
      })
    })

  return HttpApiBuilder.group(api, "health", (handlers) =>
    Effect.map(awaited(expects), (missing) =>
      handlers
        // Says nothing but that the process answers: restarting it would mend no database.
        .handleRaw("livez", () => Effect.succeed(answer("pass")))
        .handleRaw("readyz", () => probe(missing, ready))
        .handleRaw("startupz", () => probe(missing, started))
        .handleRaw("health", () => health(missing))
    )
  )
}

const checksOf = (report: PoolReport.PoolReport, status: Status) => {
  const { acquireTimes, at, health, idle, inUse, key, limit, maxConnections, name, waiting } = report
  const time = new Date(at).toISOString()
  const about = { componentId: key, componentType: "datastore", time }
  const output = health.reasons.length === 0 ? {} : { output: health.reasons.join("; ") }
  const isFull = inUse >= limit && waiting > 0
  return {
    [`${name}:connections`]: [
      {
        ...about,
        observedValue: { active: inUse, idle, waiting, max: maxConnections },
        observedUnit: "connection",
        status,
        ...output
      }
    ],
    [`${name}:utilization`]: [
      { ...about, observedValue: inUse / Math.max(1, limit), observedUnit: "1", status: isFull ? "warn" : "pass" }
    ],
    [`${name}:responseTime`]: [{ ...about, observedValue: acquireTimes.p95 / 1000, observedUnit: "s", status: "pass" }],
    [`${name}:uptime`]: [{ ...about, observedValue: (at - report.since) / 1000, observedUnit: "s", status: "pass" }]
  }
}
