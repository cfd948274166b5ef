import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { ConnectionPool, PoolError } from "../src/index.ts"
import { FakeServer } from "./support/FakeServer.ts"

const snapshot: PoolError.Snapshot = {
  total: 10,
  idle: 0,
  inUse: 10,
  connecting: 0,
  checking: 0,
  resetting: 0,
  closing: 0,
  waiting: 7,
  limit: 10
}

const lastFailure: PoolError.ConnectFailure = {
  kind: "transient",
  reason: "refused",
  message: "connect ECONNREFUSED 10.1.2.3:5432",
  at: 0,
  attempts: 4,
  retryInMillis: 7400
}

const unavailable = new PoolError.ServiceUnavailable({
  reason: "cannotConnect",
  pool: "orders",
  failingForMillis: 31_000,
  snapshot,
  lastFailure,
  retryAfterSeconds: 8,
  cause: new Error("connect ECONNREFUSED 10.1.2.3:5432")
})

const errors: ReadonlyArray<PoolError.AcquireError> = [
  unavailable,
  new PoolError.AcquireTimeout({
    pool: "orders",
    timeoutMillis: 5000,
    waitedMillis: 5003,
    waiter: "fiber #12 (findOrder)",
    position: 3,
    diagnosis: "cannot-connect",
    summary: "no usable connection: 4 attempts to connect failed, the last with: connect ECONNREFUSED 10.1.2.3:5432",
    advice: ["Check that the server is up and reachable from here: host, port, network."],
    holders: [],
    snapshot,
    lastFailure,
    retryAfterSeconds: 8
  }),
  new PoolError.PoolOverloaded({
    pool: "orders",
    reason: "lineFull",
    waitedMillis: 0,
    emptyInMillis: 700,
    maxWaiting: 7,
    snapshot,
    retryAfterSeconds: 1
  }),
  new PoolError.PoolClosed({ pool: "orders" })
]

describe("an acquire error", () => {
  for (const error of errors) {
    it.effect(`that escapes an HTTP handler answers 503 with Retry-After, and tells no host: ${error._tag}`, () =>
      Effect.gen(function* () {
        const response = yield* HttpClient.get("/orders/7")
        const body = yield* response.text
        const wanted = error._tag === "PoolClosed" || error._tag === "PoolDeadlock" ? 1 : error.retryAfterSeconds
        assert.strictEqual(response.status, 503)
        assert.strictEqual(response.headers["retry-after"], String(wanted))
        assert.strictEqual(response.headers["content-type"], "application/problem+json")
        const { code, retryAfter, status } = JSON.parse(body) as Record<string, unknown>
        assert.deepStrictEqual([code, retryAfter, status], [error.code, wanted, 503])
        assert.notMatch(body, /10\.1\.2\.3|orders/)
      }).pipe(
        Effect.provide(
          HttpRouter.serve(
            HttpRouter.add(
              "GET",
              "/orders/:id",
              Effect.suspend((): Effect.Effect<HttpServerResponse.HttpServerResponse, PoolError.AcquireError> =>
                Effect.fail(error)
              )
            ),
            { disableLogger: true, disableListenLog: true }
          ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
        )
      )
    )

    it.effect(`survives its schema: ${error._tag}`, () =>
      Effect.gen(function* () {
        const json = Schema.toCodecJson(PoolError.AcquireError)
        const text = JSON.stringify(yield* Schema.encodeEffect(json)(error))
        const decoded = yield* Schema.decodeUnknownEffect(json)(JSON.parse(text))
        assert.deepStrictEqual([decoded._tag, decoded.message], [error._tag, error.message])
      })
    )
  }

  it("says what happened, then why, then what to do", () => {
    assert.strictEqual(
      unavailable.message,
      "[pool orders] unavailable for 31.0 s (10 of 10 in use, 0 idle, 0 connecting, 7 waiting): no connection could be " +
        "opened; the last of 4 attempts failed with: connect ECONNREFUSED 10.1.2.3:5432. The pool goes on trying by " +
        "itself; try again in 8 s."
    )
  })
})

describe("the connector's own error", () => {
  it.effect("is kept as the cause", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      yield* server.goDown("refused by the fake")
      const error = yield* Effect.flip(Effect.scoped(ConnectionPool.make(server.bare, { startup: "failFast" })))
      assert.isTrue(error._tag === "ConnectError" && (error.cause as { _tag?: string })._tag === "Refused")
    })
  )
})

describe("a timeout", () => {
  const timeout = new PoolError.AcquireTimeout({
    pool: "orders-db",
    timeoutMillis: 5000,
    waitedMillis: 5003,
    waiter: "fiber #301 (findOrder)",
    position: 3,
    diagnosis: "held-too-long",
    summary: "ReportService.export holds 8 of 10 leases for up to 41.2 s where 41 ms is usual, 7 waiting",
    advice: ["Look at ReportService.export (src/report.ts:88:21).", "Give it a pool of its own."],
    holders: [
      {
        holder: "fiber #218 (ReportService.export)",
        connection: 14,
        lease: 70,
        heldForMillis: 41_200,
        operation: "ReportService.export",
        path: "ReportService.export < Jobs.nightly",
        place: "src/report.ts:88:21",
        fiber: 218,
        trace: "4bf92f3577b34da6a3ce929d0e0e4736",
        isLeakSuspected: true
      },
      { holder: "fiber #220", connection: 3, lease: 71, heldForMillis: 900 }
    ],
    snapshot,
    retryAfterSeconds: 1
  })

  it("is one line with the numbers first, then what is the matter, then the first thing to do", () => {
    assert.strictEqual(
      timeout.message,
      "[pool orders-db] no connection within 5.0 s (waited 5.0 s, came as number 3 in line; 10 of 10 in use, 0 idle, " +
        "0 connecting, 7 waiting): held-too-long: ReportService.export holds 8 of 10 leases for up to 41.2 s where " +
        "41 ms is usual, 7 waiting. Look at ReportService.export (src/report.ts:88:21)."
    )
  })

  it("reports on lines of their own who holds what, and everything that may help", () => {
    assert.strictEqual(
      String(timeout),
      [
        "AcquireTimeout: [pool orders-db] no connection within 5.0 s (waited 5.0 s, came as number 3 in line; " +
          "10 of 10 in use, 0 idle, 0 connecting, 7 waiting): held-too-long:",
        "  ReportService.export holds 8 of 10 leases for up to 41.2 s where 41 ms is usual, 7 waiting",
        "  asked by: fiber #301 (findOrder)",
        "  connection 14 held 41.2 s  ReportService.export < Jobs.nightly  fiber #218  src/report.ts:88:21  " +
          "trace 4bf92f3577b34da6a3ce929d0e0e4736  (a leak?)",
        "  connection 3 held 900 ms  fiber #220",
        "  try: Look at ReportService.export (src/report.ts:88:21).",
        "  try: Give it a pool of its own.",
        "  more: docs/errors.md#held-too-long"
      ].join("\n")
    )
  })
})
