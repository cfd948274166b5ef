import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { eventLine, eventWords } from "../../src/cli/EventText.ts"
import { draw, type Line } from "../../src/cli/Line.ts"
import { widthOf } from "../../src/cli/PlainText.ts"
import { statusLines, tableLines } from "../../src/cli/StatusText.ts"
import type { PoolSummary } from "../../src/http/PoolApi.ts"
import type { PoolEvent } from "../../src/PoolEvent.ts"
import { HealthStatus } from "../../src/PoolStatus.ts"
import { at, held, holder, reportWith, style } from "./Reports.ts"

const textOf = (lines: ReadonlyArray<Line>): string => lines.map((line) => draw(line, style)).join("\n")

const hostile = `\x1b[2J${"注文".repeat(40)}\r\n\x9b31m\u202e${"x".repeat(10_000)}`

describe("the report of a pool as text", () => {
  it.effect("says first whether all is well, then numbers", () =>
    Effect.gen(function* () {
      const text = textOf(statusLines(yield* reportWith(), style))
      const [head, verdict] = text.split("\n")
      assert.strictEqual(head, "orders  2026-03-01 14:03:07.250, made 2026-03-01 13:03:07.250")
      assert.strictEqual(verdict, "✓ pass  ready  healthy")
      assert.include(text, "wait        none yet")
      assert.include(text, "opened      1, 0 of them closed")
      assert.notInclude(text, "oldest leases")
    })
  )

  it.effect("gives all the advice, and what health adds to the diagnosis", () =>
    Effect.gen(function* () {
      const health = new HealthStatus({
        pool: "orders",
        status: "fail",
        state: "unavailable",
        reasons: ["cannot-connect: 3 attempts failed", "no connection for 12 s"]
      })
      const report = yield* reportWith({
        state: "unavailable",
        health,
        diagnosis: { kind: "cannot-connect", summary: "3 attempts failed", advice: ["Is it up?", "Is it reachable?"] },
        connectFailures: 3,
        failedFor: { ...(yield* reportWith()).failedFor, refused: 3 },
        failures: [
          { kind: "transient", reason: "refused", message: "ECONNREFUSED", at, attempts: 3, retryInMillis: 1500 }
        ]
      })
      const text = textOf(statusLines(report, style))
      assert.include(text, "try: Is it up?\n  try: Is it reachable?\n  no connection for 12 s\n")
      assert.include(text, "! connects fail (refused, 3 attempts): ECONNREFUSED; the next in 1.5 s")
      assert.include(text, "3 failed attempts: 3 refused")
      assert.strictEqual(text.split("3 attempts failed").length, 2, "said once")
    })
  )

  it.effect("says once what health and the diagnosis say in the same words", () =>
    Effect.gen(function* () {
      const summary = "no usable connection: 3 attempts to connect failed"
      const report = yield* reportWith({
        health: new HealthStatus({ pool: "orders", status: "fail", state: "unavailable", reasons: [summary] }),
        diagnosis: { kind: "cannot-connect", summary, advice: [] }
      })
      assert.strictEqual(textOf(statusLines(report, style)).split("no usable connection").length, 2)
    })
  )

  it.effect("names the first leases of many, and how many there are besides", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 14 }, (_, place) =>
        holder({ connection: place + 1, heldForMillis: 1000 * (place + 1) })
      )
      const report = yield* reportWith({ connections: held(...many), leaks: 2, leaksNow: 1 })
      const text = textOf(statusLines(report, style))
      assert.match(text, /oldest leases\n {2}#14 +14 s /)
      assert.include(text, "  and 4 more")
      assert.include(text, "leaks       2 suspected so far, 1 of them still out")
    })
  )

  it.effect("stays in its columns and is without effect, whatever is in it", () =>
    Effect.gen(function* () {
      const report = yield* reportWith({
        key: hostile,
        diagnosis: { kind: "burst", summary: hostile, advice: [hostile] },
        connections: held(holder({ operation: hostile, path: hostile, place: hostile }))
      })
      for (const line of textOf(statusLines(report, style)).split("\n")) {
        assert.isAtMost(widthOf(line), style.columns)
        assert.notMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      }
    })
  )
})

describe("the table of all pools", () => {
  const summary = (fields: Partial<PoolSummary>): PoolSummary => ({
    key: "orders",
    name: "orders",
    state: "ready",
    health: "pass",
    diagnosis: { kind: "healthy", summary: "", advice: [] },
    limit: 10,
    minConnections: 1,
    maxConnections: 10,
    total_connections: 4,
    available_connections: 3,
    in_use_connections: 1,
    wait_queue_length: 0,
    avg_wait_time_ms: 0.4,
    connections_created_total: 4,
    connections_closed_total: 0,
    ...fields
  })
  const actions = { isEnabled: false, names: [], reason: null }

  it("has a line for each, aligned, and the names last", () => {
    const failing = { kind: "cannot-connect", summary: "", advice: [] } as const
    const text = textOf(
      tableLines({
        pools: [summary({}), summary({ key: hostile, health: "fail", state: "unavailable", diagnosis: failing })],
        actions
      })
    )
    const [head, first, second, ...rest] = text.split("\n")
    assert.strictEqual(head, "health  state        diagnosis        in use  idle  waiting  avg wait  pool")
    assert.strictEqual(first, "✓ pass  ready        healthy         1 of 10     3        0    0.4 ms  orders")
    assert.isTrue(second?.startsWith("✕ fail  unavailable  cannot connect  1 of 10     3        0    0.4 ms  ␛[2"))
    assert.deepStrictEqual(rest, [])
  })

  it("says so when there are none", () => {
    assert.strictEqual(textOf(tableLines({ pools: [], actions })), "no pools")
  })
})

describe("events in words", () => {
  const events: ReadonlyArray<readonly [PoolEvent, string]> = [
    [{ _tag: "PoolResized", at, minConnections: 5, maxConnections: 50 }, "pool resized: 5 to 50 connections"],
    [{ _tag: "ConnectionReady", at, connection: 3, duration: 12.4 }, "connection 3 ready after 12 ms"],
    [
      { _tag: "ConnectFailed", at, connection: 4, kind: "transient", duration: 1000, message: "ECONNREFUSED" },
      "connection 4 failed to connect after 1 s (transient): ECONNREFUSED"
    ],
    [
      {
        _tag: "ConnectionClosed",
        at,
        connection: 3,
        reason: "maxLifetime",
        duration: 2,
        uses: 1,
        isAbandoned: false
      },
      "connection 3 closed after 1 use: max lifetime"
    ],
    [
      { _tag: "LeakSuspected", at, lease: 41, connection: 3, held: 41_200, holder: "ReportService.export" },
      "a leak? connection 3 held for 41.2 s by ReportService.export (lease 41)"
    ],
    [{ _tag: "OperatorAction", at, actor: "ada", action: "pause: acquires wait" }, "ada: pause: acquires wait"],
    [{ _tag: "EventsMissed", at, count: 1 }, "1 earlier event is gone"]
  ]

  it("say what has happened to what, and how long it took", () => {
    for (const [event, words] of events) assert.strictEqual(eventWords(event), words)
  })

  it("come one to a line with their time, and are marked if somebody should look", () => {
    const lines = events.slice(0, 3).map(([event]) => draw(eventLine(event, style), style))
    assert.deepStrictEqual(lines, [
      "2026-03-01 14:03:07.250   pool resized: 5 to 50 connections",
      "2026-03-01 14:03:07.250   connection 3 ready after 12 ms",
      "2026-03-01 14:03:07.250 ! connection 4 failed to connect after 1 s (transient):…"
    ])
  })

  it("are harmless", () => {
    const words = eventWords({ _tag: "OperatorAction", at, actor: hostile, action: hostile })
    assert.notMatch(words, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    assert.isAtMost(words.length, 2001)
  })

  it("do not fail on a time that is none", () => {
    assert.include(draw(eventLine({ _tag: "PoolReady", at: 1e300 }, style), style), "pool ready")
  })
})
