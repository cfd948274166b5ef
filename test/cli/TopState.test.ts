import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { columns, type Frame } from "../../src/http/ConsoleFeed.ts"
import { after, keyed, type News, start, type TopState } from "../../src/cli/TopState.ts"
import { at, reportWith } from "./Reports.ts"

const pools = [
  { key: "orders", health: "pass" as const },
  { key: "audit", health: "pass" as const },
  { key: "reports", health: "pass" as const }
]

const begun = start("http://127.0.0.1:9464", pools, "orders", at)

const sample = (acquired: number) => ({
  row: columns.map((name) => (name === "acquired" ? acquired : 0)),
  waits: []
})

const frameOf = (acquired: number) =>
  Effect.map(reportWith({ acquired }), (report): Frame => ({
    sample: sample(acquired),
    report,
    bars: [],
    events: [],
    eventsOmitted: 0
  }))

const heard = (watched: Extract<News, { _tag: "Watched" }>["watched"], pool = "orders"): News => ({
  _tag: "Watched",
  pool,
  at: at + 1000,
  watched
})

const lost = (seconds: number, pool = "orders"): News => ({
  _tag: "Lost",
  pool,
  at: at + seconds * 1000,
  reason: "gone"
})

const acquiredOf = ({ seconds }: TopState) => seconds.map(({ acquired }) => acquired)

describe("what effect-pool top knows", () => {
  it.effect("is the last minute of the history, and each second after it", () =>
    Effect.gen(function* () {
      const history = {
        // A server that is older or newer may have its numbers in another order, and more of them.
        columns: ["novelty", ...columns, "constructor"],
        waitBounds: [],
        samples: Array.from({ length: 90 }, (_, place) => ({ row: [7, ...sample(place).row, 7], waits: [] })),
        bars: [],
        events: [{ _tag: "PoolReady" as const, at }]
      }
      const remembered = after(begun, heard({ _tag: "History", history }))
      assert.deepStrictEqual([acquiredOf(remembered).length, acquiredOf(remembered).at(-1)], [60, 89])
      const live = after(remembered, heard({ _tag: "Frame", frame: yield* frameOf(300) }))
      assert.deepStrictEqual([acquiredOf(live).length, acquiredOf(live).at(-1)], [60, 300])
      assert.strictEqual(live.link._tag, "Live")
      assert.strictEqual(Option.getOrThrow(live.report).acquired, 300)
      assert.strictEqual(live.events.length, 1)
    })
  )

  it("keeps the time at which the server was lost, until it is back", () => {
    const gone = [lost(1), lost(2), lost(5)].reduce(after, begun)
    assert.deepStrictEqual(gone.link, { _tag: "Lost", since: at + 1000, reason: "gone" })
    assert.strictEqual(gone.at, at + 5000)
    const history = { columns: [...columns], waitBounds: [], samples: [], bars: [], events: [] }
    assert.strictEqual(after(gone, heard({ _tag: "History", history })).link._tag, "Live")
  })

  it("says that a pool has ended, and not that it cannot be found afterwards", () => {
    const ended = [heard({ _tag: "Ended" }), lost(2), lost(3)].reduce(after, begun)
    assert.deepStrictEqual(ended.link, { _tag: "Ended", since: at + 1000 })
  })

  it("is nothing of the pool that was looked at before", () => {
    const switched = after(after(begun, lost(1)), { _tag: "Chosen", pool: "audit" })
    assert.deepStrictEqual([switched.pool, switched.link._tag], ["audit", "Connecting"])
    assert.strictEqual(after(switched, lost(2, "orders")), switched)
    assert.strictEqual(after(switched, heard({ _tag: "Ended" }, "orders")), switched)
  })
})

describe("keys", () => {
  const key = (name: string, shift = false) => ({ name, shift })

  it("tab is the next pool and shift-tab the one before, round and round", () => {
    assert.strictEqual(keyed(begun, key("tab")), "audit")
    assert.strictEqual(keyed(begun, key("tab", true)), "reports")
    assert.strictEqual(keyed({ ...begun, pool: "reports" }, key("tab")), "orders")
    assert.strictEqual(keyed({ ...begun, pool: "one that has ended" }, key("tab")), "orders")
    assert.strictEqual(keyed({ ...begun, pools: [] }, key("tab")), "orders")
  })

  it("a digit is the pool with that number; what is no pool's changes nothing", () => {
    assert.strictEqual(keyed(begun, key("3")), "reports")
    for (const name of ["4", "0", "x", "return", ""]) assert.strictEqual(keyed(begun, key(name)), "orders")
  })
})
