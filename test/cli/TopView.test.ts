import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { widthOf } from "../../src/cli/PlainText.ts"
import { screenLines, secondLine, snapshotLines } from "../../src/cli/TopView.ts"
import { draw } from "../../src/cli/Line.ts"
import { at, held, holder, reportWith, second, style, watching } from "./Reports.ts"

const screen = { ...style, rows: 24 }

const saturated = reportWith(
  {
    idle: 0,
    inUse: 10,
    total: 10,
    waiting: 4,
    limit: 10,
    oldestWaitMillis: 3200,
    diagnosis: {
      kind: "held-too-long",
      summary: "10 of 10 connections are in use, and ReportService.export holds 1 of them for 41.2 s",
      advice: ["Look at ReportService.export: give the connection back before the upload.", "Raise maxConnections."]
    },
    operations: [
      { operation: "findOrder", leases: 9, oldestMillis: 30, share: 0.2 },
      { operation: "ReportService.export", leases: 1, oldestMillis: 41_200, share: 0.8 }
    ],
    connections: held(
      holder({ holder: "findOrder", operation: "findOrder", connection: 4, heldForMillis: 12 }),
      holder()
    ),
    waiters: [
      {
        acquire: 9,
        position: 1,
        waiter: "fiber #9",
        operation: "Checkout.pay",
        waitedMillis: 3200,
        timeLeftMillis: 1800,
        isBatch: false,
        holds: 1
      }
    ]
  },
  "warn"
)

describe("the screen of effect-pool top", () => {
  it.effect("says of a healthy pool that it is, and how much is in use", () =>
    Effect.gen(function* () {
      const lines = screenLines(watching(yield* reportWith()), screen)
      assert.strictEqual(lines.length, 24)
      assert.match(lines[0]!, /^ 1 orders {3}.*http:\/\/127\.0\.0\.1:9464 {2}14:03:07$/)
      assert.strictEqual(lines[1], "✓ pass  ready  healthy")
      const text = lines.join("\n")
      assert.match(text, /connections ▒+·+ 1 of 10\n/)
      assert.include(text, "█ 0 in use  ▒ 1 idle  min 1")
      assert.include(text, "waiting     0\n")
      assert.include(text, "q quit")
      assert.notInclude(text, "!")
    })
  )

  it.effect("shows who holds what a saturated pool is waiting for: share, lease, place, and the line", () =>
    Effect.gen(function* () {
      const text = screenLines(watching(yield* saturated), screen).join("\n")
      assert.include(text, "▲ warn  ready  held too long")
      assert.include(text, "try: Look at ReportService.export: give the connection back before the upload.")
      assert.notInclude(text, "Raise maxConnections")
      assert.match(text, /connections █+ 10 of 10\n/)
      assert.include(text, "waiting     4, the oldest for 3.2 s of 5 s")
      assert.include(text, "per second  300 acquired, 12 at once")
      assert.include(text, "wait        p50 800 ms  p95 2.4 s  p99 3.1 s")
      assert.match(text, /ReportService\.export +██████ +80 % +1 now, the oldest 41\.2 s/)
      assert.match(text, /#3 +41\.2 s +ReportService\.export {2}src\/report\.ts:88:21/)
      assert.match(text, /1\. +3\.2 s +Checkout\.pay {2}holds 1 already/)
      const [first, other] = [text.indexOf("ReportService.export  "), text.indexOf("findOrder  ")]
      assert.isBelow(first, other, "the largest share first")
    })
  )

  it.effect("says of an outage why connects fail, and what fails by it", () =>
    Effect.gen(function* () {
      const report = yield* reportWith(
        {
          state: "unavailable",
          idle: 0,
          total: 0,
          diagnosis: { kind: "cannot-connect", summary: "12 attempts to connect failed", advice: ["Is it up?"] },
          failures: [
            { kind: "transient", reason: "refused", message: "ECONNREFUSED", at, attempts: 12, retryInMillis: 4000 }
          ]
        },
        "fail"
      )
      const seconds = [{ ...second, acquired: 0, waitP99: 0, timedOut: 3, refused: 41, connectFailures: 2 }]
      const text = screenLines(watching(report, { seconds }), screen).join("\n")
      assert.include(text, "✕ fail  unavailable  cannot connect")
      assert.include(text, "! timed out 3  ! refused 41  ! connect failures 2")
      assert.match(text, /wait +none in this second/)
    })
  )

  it.effect("marks a leak in words, not by colour alone", () =>
    Effect.gen(function* () {
      const report = yield* reportWith(
        { leaksNow: 1, connections: held(holder({ isLeakSuspected: true, heldForMillis: 301_000 })) },
        "warn"
      )
      const text = screenLines(watching(report), screen).join("\n")
      assert.include(text, "! 1 leak suspected")
      assert.match(text, /#3 +5 min 1 s leak\? ReportService\.export/)
    })
  )

  it.effect("says that the server is gone, since when and why, above what was last seen", () =>
    Effect.gen(function* () {
      const link = { _tag: "Lost", since: at - 12_000, reason: "cannot reach http://127.0.0.1:9464: refused" } as const
      const lines = screenLines(watching(yield* reportWith(), { link }), screen)
      assert.include(lines[1], "no connection since 14:02:55 (12 s)")
      assert.include(lines[2], "cannot reach http://127.0.0.1:9464: refused")
      assert.strictEqual(lines[3], "✓ pass  ready  healthy")
    })
  )

  it.effect("fits every size there is, whatever the pools, operations and errors are called", () =>
    Effect.gen(function* () {
      const hostile = `\x1b[2J\x1b[H${"注文".repeat(40)}\r\n\x9b31m\u202e${"x".repeat(10_000)}`
      const report = yield* reportWith(
        {
          key: hostile,
          name: hostile,
          diagnosis: { kind: "cannot-connect", summary: hostile, advice: [hostile] },
          operations: [{ operation: hostile, leases: 1, oldestMillis: 1, share: 1 }],
          connections: held(holder({ holder: hostile, operation: hostile, place: hostile, path: hostile })),
          waiters: [
            {
              acquire: 1,
              position: 1,
              waiter: hostile,
              place: hostile,
              waitedMillis: 1,
              timeLeftMillis: 1,
              isBatch: true,
              holds: 1
            }
          ],
          failures: [{ kind: "transient", reason: "other", message: hostile, at, attempts: 1 }]
        },
        "fail"
      )
      const state = watching(report, {
        place: hostile,
        pools: Array.from({ length: 12 }, () => ({ key: hostile, health: "fail" as const })),
        link: { _tag: "Lost", since: at, reason: hostile },
        events: [{ _tag: "OperatorAction", at, actor: hostile, action: hostile }]
      })
      for (const columns of [1, 20, 80, 139, 140, 300]) {
        for (const rows of [1, 2, 10, 24, 80]) {
          const lines = screenLines(state, { ...screen, columns, rows })
          assert.strictEqual(lines.length, rows)
          for (const line of lines) {
            assert.isAtMost(widthOf(line), columns)
            assert.notMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
          }
        }
      }
    })
  )

  it.effect("puts lists side by side where the terminal is wide", () =>
    Effect.gen(function* () {
      const wide = screenLines(watching(yield* saturated), { ...screen, columns: 150 })
      assert.isTrue(wide.some((line) => /held by operation.* {3}oldest leases/.test(line)))
    })
  )

  it.effect("has colours only where they are wanted, and says the same without them", () =>
    Effect.gen(function* () {
      const state = watching(yield* saturated)
      const colored = screenLines(state, { ...screen, hasColor: true }).join("\n")
      assert.include(colored, "\x1b[33m▲ warn\x1b[0m")
      // oxlint-disable-next-line no-control-regex -- the colours are what is taken out
      const bare = colored.replaceAll(/\x1b\[[\d;]*m/g, "")
      assert.strictEqual(bare, screenLines(state, screen).join("\n"))
    })
  )
})

describe("effect-pool top without a screen", () => {
  it.effect("prints a second as one line", () =>
    Effect.gen(function* () {
      const line = draw(secondLine(yield* saturated, second, style), { columns: 300, hasColor: false })
      assert.strictEqual(
        line,
        "14:03:07 orders  ▲ warn  ready held-too-long  10/10 in use, 0 idle, 4 waiting, the oldest 3.2 s" +
          "  300/s  wait p95 2.4 s  hold p95 90 ms"
      )
    })
  )

  it.effect("prints as many lines as there is to say, before the first second too", () =>
    Effect.gen(function* () {
      const report = yield* reportWith()
      assert.isAtMost(snapshotLines(watching(report), style).length, 10)
      const early = watching(report, { report: Option.none(), seconds: [], link: { _tag: "Connecting" } })
      assert.strictEqual(snapshotLines(early, style)[1], "waiting for the first second ...")
    })
  )
})
