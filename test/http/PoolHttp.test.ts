import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Metric, Redacted, Schema, Scope, Stream } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, type HttpClientResponse, HttpRouter } from "effect/http"
import { TestClock } from "effect/testing"
import { ConnectionPool, Connector, type PoolConfig, PoolRegistry, PoolReport } from "../../src/index.ts"
import { ConsoleFeed, PoolApi, PoolHttp } from "../../src/http/index.ts"
import { FakeServer, Refused, turns } from "../support/FakeServer.ts"

const token = Redacted.make("s3cret-token")

/** Runs a program beside the routes, with pools and metrics of its own. */
const withRoutes =
  (options: PoolHttp.Options = {}) =>
  <A, E, R>(program: Effect.Effect<A, E, R>) =>
    program.pipe(
      Effect.provide(
        HttpRouter.serve(PoolHttp.layer(options), { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layerTest)
        )
      ),
      Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )

const background = { startup: "background", drainTimeout: 0, minConnections: 1 } as const

const poolOf = (config: PoolConfig.Input = {}, server = new FakeServer()) =>
  ConnectionPool.make(server.complete, { ...background, name: "orders", ...config })

const bodyOf = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.map(response.json, (json) => json as Record<string, unknown>)

/** Its connection ends with the scope, whether or not anybody has read the body. */
const get = (path: string, headers: Record<string, string> = {}) =>
  Effect.flatMap(HttpClient.HttpClient, (client) => HttpClient.withScope(client).get(path, { headers }))

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  HttpClient.execute(
    HttpClientRequest.post(path).pipe(
      HttpClientRequest.bodyJsonUnsafe(body),
      HttpClientRequest.setHeaders({ authorization: `Bearer ${Redacted.value(token)}`, ...headers })
    )
  )

const problemOf = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse) {
  assert.strictEqual(response.headers["content-type"], "application/problem+json")
  const body = yield* bodyOf(response)
  assert.strictEqual(body["status"], response.status)
  return body
})

describe("GET /pools", () => {
  it.effect("lists the pools of the process with what dashboards ask for", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ minConnections: 1 })
      yield* turns()
      yield* ConnectionPool.use(pool, () => Effect.void)
      const body = yield* bodyOf(yield* get("/pools"))
      const { actions, pools } = yield* Schema.decodeUnknownEffect(PoolApi.PoolList)(body)
      assert.deepStrictEqual(
        pools.map(({ key, health, state }) => [key, health, state]),
        [["orders", "pass", "ready"]]
      )
      const { available_connections, connections_created_total, in_use_connections, total_connections } = pools[0]!
      assert.deepStrictEqual(
        [total_connections, available_connections, in_use_connections, connections_created_total],
        [1, 1, 0, 1]
      )
      assert.isFalse(actions.isEnabled)
      assert.match(actions.reason!, /no token/)
    }).pipe(withRoutes())
  )

  it.effect("tells two pools of one name apart", () =>
    Effect.gen(function* () {
      yield* poolOf()
      yield* poolOf()
      const body = yield* bodyOf(yield* get("/pools"))
      assert.deepStrictEqual(
        (body["pools"] as ReadonlyArray<{ key: string }>).map(({ key }) => key),
        ["orders", "orders~2"]
      )
      assert.strictEqual((yield* get("/pools/orders~2")).status, 200)
    }).pipe(withRoutes())
  )

  it.effect("forgets a pool that has ended", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.provide(poolOf(), scope)
      yield* Scope.close(scope, Exit.void)
      const body = yield* bodyOf(yield* get("/pools"))
      assert.deepStrictEqual(body["pools"], [])
    }).pipe(withRoutes())
  )
})

describe("GET /pools/:pool", () => {
  it.effect("answers while every connection is lent and somebody waits, and names both", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ maxConnections: 1 })
      const exportReport = Effect.fn("ReportService.export")(() => ConnectionPool.use(pool, () => Effect.never))
      const findOrder = Effect.fn("findOrder")(() => ConnectionPool.use(pool, () => Effect.void))
      const holder = yield* Effect.forkChild(exportReport())
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.exit(findOrder()))
      yield* turns()
      yield* TestClock.adjust("3 seconds")
      const response = yield* get("/pools/orders")
      const report = yield* Schema.decodeUnknownEffect(PoolReport.PoolReport)(yield* response.json)
      assert.deepStrictEqual([report.in_use_connections, report.wait_queue_length], [1, 1])
      assert.strictEqual(report.connections[0]?.holders[0]?.path, "ReportService.export")
      assert.match(report.connections[0]?.holders[0]?.place ?? "", /PoolHttp\.test\.ts:\d+:\d+$/)
      const [waiting] = report.waiters
      assert.deepStrictEqual(
        [waiting?.operation, waiting?.waitedMillis, waiting?.timeLeftMillis, waiting?.position],
        ["findOrder", 3000, 2000, 1]
      )
      assert.deepStrictEqual(
        report.operations.map(({ operation, leases, share }) => [operation, leases, share]),
        [["ReportService.export", 1, 1]]
      )
      assert.strictEqual(report.diagnosis.kind, "held-too-long")
      assert.include(report.diagnosis.summary, "ReportService.export holds 1 of 1")
      yield* Fiber.interrupt(waiter)
      yield* Fiber.interrupt(holder)
    }).pipe(withRoutes())
  )

  it.effect("says where each value of the configuration comes from", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ environment: "production", maxWaiting: 50 })
      yield* ConnectionPool.resize(pool, { maxConnections: 40 })
      const report = yield* Schema.decodeUnknownEffect(PoolReport.PoolReport)(yield* (yield* get("/pools/orders")).json)
      const entry = (name: string) => report.config.find(({ field }) => field === name)
      assert.deepStrictEqual(entry("maxWaiting"), { field: "maxWaiting", value: "50", origin: "program" })
      assert.deepStrictEqual(entry("idleTimeout"), { field: "idleTimeout", value: "1m", origin: "preset" })
      assert.deepStrictEqual(entry("maxConnections"), { field: "maxConnections", value: "40", origin: "resized" })
      assert.deepStrictEqual(entry("checkTimeout"), { field: "checkTimeout", value: "2s", origin: "default" })
    }).pipe(withRoutes())
  )

  it.effect("finds a pool whose name has slashes, quotes and newlines in it", () =>
    Effect.gen(function* () {
      const name = 'localhost:5432/<b>"x"\n'
      yield* poolOf({ name })
      const response = yield* get(`/pools/${encodeURIComponent(name)}`)
      assert.strictEqual((yield* bodyOf(response))["name"], name)
    }).pipe(withRoutes())
  )

  it.effect("answers 404 with the names there are for a pool that is not there", () =>
    Effect.gen(function* () {
      yield* poolOf()
      for (const path of ["/pools/order", "/pools/order/events", "/pools/order/watch", "/pools/order/events/stream"]) {
        const response = yield* get(path)
        assert.strictEqual(response.status, 404)
        const problem = yield* problemOf(response)
        assert.deepStrictEqual([problem["type"], problem["pools"]], ["urn:effect-pool:unknown-pool", ["orders"]])
      }
    }).pipe(withRoutes())
  )
})

describe("the API's description", () => {
  it.effect("is OpenAPI, with every path under its prefix", () =>
    Effect.gen(function* () {
      const body = yield* bodyOf(yield* get("/ops/openapi.json"))
      const paths = Object.keys(body["paths"] as object)
      assert.includeMembers(paths, ["/ops/pools", "/ops/pools/{pool}", "/ops/pools/{pool}/drain", "/ops/readyz"])
      assert.isTrue(paths.every((path) => path.startsWith("/ops/")))
      assert.strictEqual((yield* get("/ops/livez")).status, 200)
      assert.strictEqual((yield* get("/livez")).status, 404)
    }).pipe(withRoutes({ prefix: "/ops" }))
  )
})

describe("an operator action", () => {
  const paths = ["resize", "pause", "resume", "recycle", "evict", "check-idle", "drain", "capture-stacks"]
  const payloads: Readonly<Record<string, object>> = {
    evict: { connection: 1 },
    drain: { confirm: "orders" },
    "capture-stacks": { minutes: 1 }
  }

  for (const action of paths) {
    it.effect(`answers 403 while no token is configured: ${action}`, () =>
      Effect.gen(function* () {
        const pool = yield* poolOf()
        const response = yield* post(`/pools/orders/${action}`, payloads[action] ?? {})
        assert.strictEqual(response.status, 403)
        assert.include(String((yield* problemOf(response))["detail"]), "no token is configured")
        assert.strictEqual((yield* ConnectionPool.status(pool)).state, "ready")
      }).pipe(withRoutes(), Effect.provideService(PoolRegistry.PoolRegistry, PoolRegistry.make()))
    )

    it.effect(`answers 401 to a wrong token, a longer one, a shorter one and none: ${action}`, () =>
      Effect.gen(function* () {
        yield* poolOf({ minConnections: 0 })
        for (const authorization of ["Bearer wrong", "Bearer s3cret-token2", "Bearer s3cret-toke", "Basic abc", ""]) {
          const response = yield* post(`/pools/orders/${action}`, payloads[action] ?? {}, { authorization })
          assert.strictEqual(response.status, 401, authorization)
          yield* problemOf(response)
        }
      }).pipe(withRoutes({ token }))
    )

    it.effect(`answers 403 to a page of another site: ${action}`, () =>
      Effect.gen(function* () {
        yield* poolOf({ minConnections: 0 })
        for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "https://evil.example" }]) {
          const response = yield* post(`/pools/orders/${action}`, payloads[action] ?? {}, headers)
          assert.strictEqual(response.status, 403)
          assert.include(String((yield* problemOf(response))["detail"]), "another site")
        }
      }).pipe(withRoutes({ token }))
    )
  }

  it.effect("is done, and becomes an event with whoever asked", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ minConnections: 1 })
      yield* turns()
      const doneOf = Effect.fnUntraced(function* (action: string, body: object) {
        const response = yield* post(`/pools/orders/${action}`, body)
        assert.strictEqual(response.status, 200, action)
        return String((yield* bodyOf(response))["done"])
      })
      assert.match(yield* doneOf("resize", { maxConnections: 20 }), /maxConnections 20 \(was .* 10\)/)
      assert.strictEqual((yield* ConnectionPool.status(pool)).maxConnections, 20)
      yield* doneOf("pause", { acquires: "fail" })
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "paused")
      yield* doneOf("resume", {})
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "ready")
      assert.strictEqual(yield* doneOf("check-idle", {}), "0 checked, 0 of them failed, 1 skipped")
      yield* doneOf("evict", { connection: 1 })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* ConnectionPool.connections(pool)).map(({ id }) => id),
        [2]
      )
      yield* doneOf("recycle", {})
      yield* doneOf("capture-stacks", { minutes: 5 })
      yield* doneOf("drain", { confirm: "orders", deadlineMillis: 0 })
      const events = yield* ConnectionPool.recentEvents(pool)
      assert.deepStrictEqual(
        events.flatMap((event) =>
          event._tag === "OperatorAction" ? [[event.actor, event.action.split(/[ ,:]/)[0]]] : []
        ),
        ["resize", "pause", "resume", "check", "evict", "recycle", "capture", "drain"].map((action) => ["jo", action])
      )
    }).pipe(withRoutes({ token, authorize: () => Effect.succeed("jo") }))
  )

  it.effect("asks the hook, and does nothing that it does not allow", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf()
      assert.strictEqual((yield* post("/pools/orders/pause", {})).status, 200)
      const response = yield* post("/pools/orders/drain", { confirm: "orders" })
      assert.strictEqual(response.status, 403)
      assert.strictEqual((yield* problemOf(response))["detail"], "jo may not drain orders")
      assert.strictEqual((yield* ConnectionPool.status(pool)).state, "paused")
    }).pipe(
      withRoutes({
        token,
        authorize: ({ action, pool }) =>
          action === "drain"
            ? Effect.fail(new PoolApi.Forbidden({ detail: `jo may not drain ${pool}` }))
            : Effect.succeed("jo")
      })
    )
  )

  it.effect("that is not among those switched on answers 403", () =>
    Effect.gen(function* () {
      yield* poolOf()
      assert.strictEqual((yield* post("/pools/orders/pause", {})).status, 200)
      assert.strictEqual((yield* post("/pools/orders/recycle", {})).status, 403)
      const { actions } = (yield* bodyOf(yield* get("/pools"))) as { actions: unknown }
      assert.deepStrictEqual(actions, { isEnabled: true, names: ["pause", "resume"], reason: null })
    }).pipe(withRoutes({ token, actions: ["pause", "resume"] }))
  )

  it.effect("with a malformed body answers 400, names every wrong field, and changes nothing", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf()
      const response = yield* post("/pools/orders/resize", { maxConnections: "many", minConnections: -1, max: 3 })
      assert.strictEqual(response.status, 400)
      const problem = yield* problemOf(response)
      assert.sameMembers(
        (problem["errors"] as ReadonlyArray<{ path: ReadonlyArray<string> }>).map(({ path }) => path.at(-1)),
        ["max", "maxConnections", "minConnections"]
      )
      const notJson = yield* HttpClient.execute(
        HttpClientRequest.post("/pools/orders/resize").pipe(
          HttpClientRequest.bodyText("{", "application/json"),
          HttpClientRequest.bearerToken(token)
        )
      )
      assert.strictEqual(notJson.status, 400)
      yield* problemOf(notJson)
      const text = yield* HttpClient.execute(
        HttpClientRequest.post("/pools/orders/resize").pipe(
          HttpClientRequest.bodyText("maxConnections=3", "text/plain"),
          HttpClientRequest.bearerToken(token)
        )
      )
      assert.strictEqual(text.status, 415)
      yield* problemOf(text)
      const huge = yield* post("/pools/orders/drain", { confirm: "x".repeat(1_000_000) })
      assert.isAtLeast(huge.status, 400)
      assert.isBelow(huge.status, 500)
      yield* problemOf(huge)
      const { maxConnections, state } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([maxConnections, state], [10, "ready"])
    }).pipe(withRoutes({ token }))
  )

  it.effect("whose values cannot be answers 422 and says which", () =>
    Effect.gen(function* () {
      yield* poolOf()
      const problems = Effect.fnUntraced(function* (action: string, body: object) {
        const response = yield* post(`/pools/orders/${action}`, body)
        assert.strictEqual(response.status, 422)
        return (yield* problemOf(response))["problems"]
      })
      assert.deepStrictEqual(yield* problems("resize", { minConnections: 30 }), [
        "minConnections: got 30, expected at most maxConnections (10)"
      ])
      assert.deepStrictEqual(yield* problems("evict", { connection: 99 }), [
        "connection: 99 is not there, or is closing"
      ])
      assert.deepStrictEqual(yield* problems("drain", { confirm: "order" }), ["confirm: expected the name of the pool"])
    }).pipe(withRoutes({ token }))
  )

  it.effect("on a pool that is closing answers 409", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ drainTimeout: "1 minute" })
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      yield* Effect.forkChild(ConnectionPool.drain(pool))
      yield* turns()
      const response = yield* post("/pools/orders/resume", {})
      assert.strictEqual(response.status, 409)
      yield* problemOf(response)
      yield* Fiber.interrupt(holder)
    }).pipe(withRoutes({ token }))
  )
})

describe("reading", () => {
  it.effect("asks for a token where one is configured, except for probes and the page itself", () =>
    Effect.gen(function* () {
      yield* poolOf()
      for (const path of ["/pools", "/pools/orders", "/pools/orders/watch", "/pools/orders/diagnostics", "/metrics"]) {
        const response = yield* get(path)
        assert.strictEqual(response.status, 401, path)
        yield* problemOf(response)
        const allowed = yield* Effect.scoped(get(path, { authorization: "Bearer reader" }))
        assert.strictEqual(allowed.status, 200, path)
      }
      for (const path of ["/livez", "/readyz", "/startupz", "/console"]) {
        assert.strictEqual((yield* get(path)).status, 200, path)
      }
    }).pipe(withRoutes({ token, readToken: Redacted.make("reader") }))
  )
})

describe("the console's address", () => {
  it.effect("is the one beside the pools, also for whoever types a slash after it", () =>
    Effect.gen(function* () {
      const { headers, status } = yield* get("/console/?pool=a%20b")
      assert.deepStrictEqual([status, headers["location"]], [302, "../console?pool=a%20b"])
    }).pipe(Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }), withRoutes())
  )
})

describe("a watcher", () => {
  /** The events of a stream of server-sent events, as they come. */
  const eventsOf = (response: HttpClientResponse.HttpClientResponse) =>
    response.stream.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.filter((line) => line.startsWith("data: ")),
      Stream.map((line) => JSON.parse(line.slice(6)) as unknown)
    )

  it.effect("gets the history, and then a frame a second that its schema knows", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ minConnections: 1 })
      yield* turns()
      yield* TestClock.adjust("3 seconds")
      yield* ConnectionPool.use(pool, () => Effect.void)
      const response = yield* get("/pools/orders/watch")
      assert.strictEqual(response.headers["content-type"], "text/event-stream")
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(eventsOf(response), 2)))
      // The frame goes over a real socket: time is moved until it has come.
      while (seen.pollUnsafe() === undefined) {
        yield* TestClock.adjust("1 second")
        yield* TestClock.withLive(Effect.sleep("2 millis"))
      }
      const [first, second] = yield* Fiber.join(seen)
      const history = yield* Schema.decodeUnknownEffect(ConsoleFeed.History)(first)
      assert.isAtLeast(history.samples.length, 3)
      assert.deepStrictEqual(history.columns, [...ConsoleFeed.columns])
      const frame = yield* Schema.decodeUnknownEffect(ConsoleFeed.Frame)(second)
      assert.strictEqual(frame.report.key, "orders")
      // What is sent is what its schema would encode: nothing in it needs another form.
      assert.deepStrictEqual(JSON.parse(JSON.stringify(yield* Schema.encodeEffect(ConsoleFeed.Frame)(frame))), second)
    }).pipe(withRoutes())
  )

  it.effect("beyond the number that may is told to come back, and makes room when it leaves", () =>
    Effect.gen(function* () {
      yield* poolOf()
      const watch = Effect.scoped(
        Effect.gen(function* () {
          const response = yield* get("/pools/orders/watch")
          const fiber = yield* Effect.forkScoped(Stream.runDrain(response.stream))
          yield* TestClock.withLive(Effect.sleep("20 millis"))
          const refused = yield* get("/pools/orders/events/stream")
          assert.strictEqual(refused.status, 503)
          assert.strictEqual((yield* problemOf(refused))["type"], "urn:effect-pool:too-many-watchers")
          yield* Fiber.interrupt(fiber)
        })
      )
      yield* watch
      // The server sees that the reader is gone when it gets round to it.
      let status = 503
      for (let tries = 0; status !== 200 && tries < 200; tries++) {
        yield* TestClock.adjust("1 second")
        yield* TestClock.withLive(Effect.sleep("5 millis"))
        status = yield* Effect.scoped(Effect.map(get("/pools/orders/watch"), (response) => response.status))
      }
      assert.strictEqual(status, 200)
    }).pipe(withRoutes({ maxWatchers: 1 }))
  )

  it.effect("of events goes on from where it was cut off", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ minConnections: 0 })
      yield* ConnectionPool.use(pool, () => Effect.void)
      const { events } = yield* ConnectionPool.eventsSince(pool, 0)
      const at = events[3]!.sequence
      const response = yield* HttpClient.get("/pools/orders/events/stream", {
        headers: { "last-event-id": String(at) }
      })
      const fiber = yield* Effect.forkChild(Stream.runHead(eventsOf(response)))
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("100 millis")
        yield* TestClock.withLive(Effect.sleep("2 millis"))
      }
      const next = yield* Fiber.join(fiber)
      const wanted = events.find(({ sequence }) => sequence > at)!.event
      assert.deepStrictEqual(next._tag === "Some" && next.value, { ...wanted })
    }).pipe(withRoutes())
  )
})

describe("diagnostics", () => {
  it.effect("are one document with the report, the events and the last minutes", () =>
    Effect.gen(function* () {
      yield* poolOf()
      yield* TestClock.adjust("2 seconds")
      const response = yield* get("/pools/orders/diagnostics")
      const { events, history, report } = yield* Schema.decodeUnknownEffect(PoolApi.Diagnostics)(yield* response.json)
      assert.strictEqual(report.name, "orders")
      assert.strictEqual(events[0]?._tag, "PoolCreated")
      assert.isNotEmpty(history.samples)
    }).pipe(withRoutes())
  )
})

describe("health", () => {
  const statusesOf = Effect.forEach(["/livez", "/readyz", "/startupz", "/health"], (path) =>
    Effect.map(get(path), ({ status }) => status)
  )

  it.effect("is well of a pool that does its work", () =>
    Effect.gen(function* () {
      yield* poolOf()
      yield* turns()
      assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 200])
    }).pipe(withRoutes())
  )

  it.effect("of a pool that has never connected: alive, not started, not ready", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown()
      yield* poolOf({}, server)
      yield* turns()
      assert.deepStrictEqual(yield* statusesOf, [200, 503, 503, 503])
    }).pipe(withRoutes())
  )

  it.effect("warns of a pool that is full, and does not take the process out of the load balancer", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf({ maxConnections: 1 })
      const holder = yield* Effect.forkChild(ConnectionPool.use(pool, () => Effect.never))
      yield* turns()
      const waiter = yield* Effect.forkChild(Effect.exit(ConnectionPool.use(pool, () => Effect.void)))
      yield* turns()
      yield* TestClock.adjust("2 seconds")
      const response = yield* get("/health")
      assert.strictEqual(response.headers["content-type"], "application/health+json")
      const body = yield* bodyOf(response)
      assert.deepStrictEqual([response.status, body["status"]], [200, "warn"])
      const checks = body["checks"] as Record<string, ReadonlyArray<Record<string, unknown>>>
      assert.deepStrictEqual(checks["orders:connections"]![0]!["observedValue"], {
        active: 1,
        idle: 0,
        waiting: 1,
        max: 1
      })
      assert.strictEqual(checks["orders:utilization"]![0]!["status"], "warn")
      assert.deepStrictEqual(yield* bodyOf(yield* get("/readyz")), { status: "warn" })
      yield* Fiber.interrupt(waiter)
      yield* Fiber.interrupt(holder)
    }).pipe(withRoutes())
  )

  const outage = Effect.fnUntraced(function* () {
    const server = new FakeServer()
    const pool = yield* poolOf({}, server)
    yield* turns()
    yield* server.goDown()
    yield* ConnectionPool.recycle(pool, { interrupt: true })
    yield* TestClock.adjust("1 minute")
  })

  it.effect("of a pool whose server is down for long: ready by default, since all processes share it", () =>
    Effect.gen(function* () {
      yield* outage()
      assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 503])
    }).pipe(withRoutes())
  )

  it.effect("of a pool whose server is down for long: not ready, if that is asked for", () =>
    Effect.gen(function* () {
      yield* outage()
      assert.deepStrictEqual(yield* statusesOf, [200, 503, 200, 503])
    }).pipe(withRoutes({ failWhenDownFor: "20 seconds" }))
  )

  it.effect("of a pool that is not critical warns and never fails", () =>
    Effect.gen(function* () {
      yield* outage()
      assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 200])
    }).pipe(withRoutes({ failWhenDownFor: "20 seconds", isCritical: (name) => name !== "orders" }))
  )
})

describe("health of a process that is to have pools", () => {
  const statusesOf = Effect.forEach(["/livez", "/readyz", "/startupz", "/health"], (path) =>
    Effect.map(get(path), ({ status }) => status)
  )

  it.effect("is well while there is none, where none is expected", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 200])
    }).pipe(withRoutes())
  )

  it.effect(
    "fails until each has been made and has started, says which is missing, and is over when one has ended",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* statusesOf, [200, 503, 503, 503])
        const { output } = yield* bodyOf(yield* get("/health"))
        assert.strictEqual(output, "orders: has not been made yet; users: has not been made yet")
        const scope = yield* Scope.make()
        yield* Scope.provide(poolOf(), scope)
        yield* turns()
        assert.deepStrictEqual(yield* statusesOf, [200, 503, 503, 503])
        const server = new FakeServer()
        yield* server.goDown()
        yield* poolOf({ name: "users" }, server)
        yield* turns()
        assert.deepStrictEqual(yield* statusesOf, [200, 503, 503, 503])
        yield* server.comeBack
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 200])
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 200])
      }).pipe(withRoutes({ expects: ["orders", "users"] }))
  )

  it.effect("only warns while one is missing that is not critical", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* statusesOf, [200, 200, 200, 200])
      assert.deepStrictEqual(yield* bodyOf(yield* get("/startupz")), { status: "warn" })
    }).pipe(withRoutes({ expects: ["orders"], isCritical: () => false }))
  )
})

describe("GET /metrics", () => {
  it.effect("is Prometheus's text, and has the pool as long as it lives", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(poolOf(), scope)
      yield* ConnectionPool.use(pool, () => Effect.void)
      const text = yield* (yield* get("/metrics")).text
      assert.include(text, 'db_pool_acquires_total{pool="orders",path="waited"} 1')
      yield* Scope.close(scope, Exit.void)
      assert.notInclude(yield* (yield* get("/metrics")).text, "db_pool")
    }).pipe(withRoutes())
  )
})

describe("a secret in an error of the driver", () => {
  const secret = "hunter2-xyz"

  it.effect("is in nothing that anybody can read", () =>
    Effect.gen(function* () {
      const connector = Connector.make({
        name: "orders",
        connect: Effect.fail(
          new Refused({
            kind: "transient",
            message: `cannot reach postgres://app:${secret}@10.0.0.1:5432/orders?password=${secret}`
          })
        )
      })
      const pool = yield* ConnectionPool.make(connector, { ...background, unavailableAfter: "10 seconds" })
      const error = yield* Effect.forkChild(Effect.flip(ConnectionPool.use(pool, () => Effect.void)))
      yield* TestClock.adjust("30 seconds")
      const failure = yield* Fiber.join(error)
      const outputs = [
        failure.message,
        String(failure),
        JSON.stringify(failure),
        String((failure as { cause?: unknown }).cause)
      ]
      const paths = [
        "/pools",
        "/pools/orders",
        "/pools/orders/events",
        "/pools/orders/diagnostics",
        "/health",
        "/metrics"
      ]
      for (const path of [...paths, "/console", "/readyz"]) outputs.push(yield* (yield* get(path)).text)
      for (const output of outputs) assert.notInclude(output, secret)
      assert.include(outputs.join(), "cannot reach postgres://<redacted>@10.0.0.1")
    }).pipe(withRoutes())
  )
})
