/** What came of many runs is added up right, and shown so that nothing that matters can be overlooked. */
import { assert, describe, it } from "@effect/vitest"
import type { LoadResult } from "../../src/laboratory/LoadResult.ts"
import { renderJson, renderMarkdown, renderText } from "../../src/laboratory/LoadReport.ts"
import { type PolicySummary, summarize } from "../../src/laboratory/LoadSummary.ts"
import { result, scenario } from "./Samples.ts"

const summaryOf = (...results: ReadonlyArray<LoadResult>): PolicySummary =>
  summarize(results, [scenario])[0]!.policies[0]!

const textOf = (...results: ReadonlyArray<LoadResult>): string => renderText(summarize(results, [scenario]))

const markdownOf = (...results: ReadonlyArray<LoadResult>): string => renderMarkdown(summarize(results, [scenario]))

/** What stands in a column of the table. */
const cellOf = (markdown: string, head: string, row = 0): string => {
  const lines = markdown.split("\n").filter((line) => line.startsWith("|"))
  const cells = lines.map((line) => line.split("|").map((cell) => cell.trim()))
  return cells[row + 2]![cells[0]!.indexOf(head)]!
}

const withGood = (seed: number, good: number): LoadResult => result({ seed, good, late: 100 - good })

describe("a summary", () => {
  it("has the mean of the good shares, and how far it can be believed", () => {
    // 0.7, 0.8 and 0.9: the standard deviation is 0.1, and 4.3027 is Student's quantile with two degrees of freedom.
    const { halfWidth, mean } = summaryOf(withGood(1, 70), withGood(2, 80), withGood(3, 90)).goodShare!
    assert.closeTo(mean, 0.8, 1e-12)
    assert.closeTo(halfWidth!, (4.3027 * 0.1) / Math.sqrt(3), 1e-12)
  })

  it("believes many runs as Student's distribution says beyond its table", () => {
    // 20 runs, half of them 0.7 and half 0.9: t is 2.0930 with 19 degrees of freedom.
    const runs = Array.from({ length: 20 }, (_, index) => withGood(index, index % 2 === 0 ? 70 : 90))
    const deviation = Math.sqrt((20 * 0.1 ** 2) / 19)
    assert.closeTo(summaryOf(...runs).goodShare!.halfWidth!, (2.093 * deviation) / Math.sqrt(20), 1e-5)
  })

  it("does not say how far one run can be believed", () => {
    assert.strictEqual(summaryOf(result()).goodShare!.halfWidth, undefined)
  })

  it("has shares that add up to all", () => {
    const { failedShare, goodShare, lateShare, shedShare, timedOutShare } = summaryOf(result())
    assert.deepStrictEqual(
      [goodShare!.mean, lateShare, shedShare, timedOutShare, failedShare],
      [0.8, 0.08, 0.06, 0.04, 0.02]
    )
  })

  it("counts what is opened by the minute that is measured", () => {
    assert.strictEqual(summaryOf(result({ opened: 15 }), result({ seed: 2, opened: 25 })).opensPerMinute, 40)
  })

  it("has the mean of the connections, and of their peaks", () => {
    const other = result({ seed: 2, meanConnections: 13.5, peakConnections: 30 })
    const { meanConnections, peakConnections } = summaryOf(result(), other)
    assert.deepStrictEqual([meanConnections, peakConnections], [13, 25])
  })

  it("leaves runs without an answer out of the time that answers take", () => {
    const silent = result({ seed: 2, good: 0, late: 0, answerMillis: { p50: 0, p99: 0, p999: 0, max: 0 } })
    assert.strictEqual(summaryOf(result(), silent).p99AnswerMillis, 200)
  })

  it("counts attempts by the second that the server was down", () => {
    assert.strictEqual(summaryOf(result({ attemptsWhileDown: 5, downMillis: 10_000 })).attemptsWhileDownPerSecond, 0.5)
  })

  it("tells a run that never recovered from one without an outage", () => {
    const { recoveredMillis, unrecovered } = summaryOf(
      result(),
      result({ seed: 2, downMillis: 1000, recoveredMillis: 500 }),
      result({ seed: 3, downMillis: 1000 })
    )
    assert.deepStrictEqual([recoveredMillis, unrecovered], [500, 1])
  })

  it("has the worst overshoot", () => {
    assert.strictEqual(summaryOf(result({ overshoot: 3 }), result({ seed: 2, overshoot: 1 })).overshoot, 3)
  })

  it("has no shares of no requests", () => {
    const { goodShare } = summaryOf(result({ requests: 0, good: 0, late: 0, shed: 0, timedOut: 0, failed: 0 }))
    assert.strictEqual(goodShare, undefined)
  })

  it("keeps scenarios and policies apart, in the order in which they came", () => {
    const results = [
      result({ policy: "b" }),
      result({ policy: "a" }),
      result({ scenario: "other", policy: "b" }),
      result({ policy: "b", seed: 2 })
    ]
    assert.deepStrictEqual(
      summarize(results, [scenario]).flatMap(({ policies, scenario }) =>
        policies.map(({ policy, seeds }) => `${scenario}: ${policy} ${seeds.join("+")}`)
      ),
      ["minute: b 1+2", "minute: a 1", "other: b 1"]
    )
  })
})

describe("the text for a terminal", () => {
  it("is aligned", () => {
    const lines = textOf(result(), result({ policy: "fixed:20", meanConnections: 100 }))
      .split("\n")
      .slice(1)
    assert.deepStrictEqual(new Set(lines.map(({ length }) => length)).size, 1)
  })

  it("fits 120 columns, with everything that there can be to say", () => {
    const worst = [1, 2].map((seed) =>
      result({
        policy: "predictive/knee/unshed",
        seed,
        good: seed,
        attemptsWhileDown: 999_999,
        downMillis: 10_000,
        ...(seed === 1 ? { recoveredMillis: 100_000 } : {}),
        opened: 99_999,
        meanConnections: 10_000,
        peakConnections: 20_000,
        answerMillis: { p50: 0, p99: 100_000, p999: 0, max: 0 }
      })
    )
    const longest = Math.max(
      ...textOf(...worst)
        .split("\n")
        .map(({ length }) => length)
    )
    assert.isAtMost(longest, 120)
  })

  it("has broken promises at its end, with the seed that shows them", () => {
    const text = textOf(result({ seed: 7, violations: ["two have the same connection"] }))
    assert.match(text, /!!! 1 BROKEN PROMISE !!!\n\n- minute, predictive, seed 7: two have the same connection$/)
  })

  it("has too many connections among the broken promises", () => {
    assert.match(textOf(result({ overshoot: 2 })), /- minute, predictive: 2 more connections than maxConnections$/)
  })

  it("has no word of broken promises where there are none", () => {
    assert.notMatch(textOf(result()), /PROMISE/)
  })
})

describe("the Markdown", () => {
  it("has the good share with its confidence", () => {
    assert.strictEqual(cellOf(markdownOf(withGood(1, 70), withGood(2, 80), withGood(3, 90)), "good %"), "80.0 ±24.8")
  })

  it("says nothing of outages where there was none", () => {
    assert.notMatch(markdownOf(result()), /recovered/)
  })

  it("says in how many runs there was no recovery", () => {
    const markdown = markdownOf(
      result({ downMillis: 1000, recoveredMillis: 1500 }),
      result({ seed: 2, downMillis: 1000 })
    )
    assert.strictEqual(cellOf(markdown, "recovered"), "1.5 s, 1 never")
  })

  it("has no time for answers where there were none", () => {
    assert.strictEqual(cellOf(markdownOf(result({ good: 0, late: 0 })), "p99 ms"), "-")
  })

  it("escapes names", () => {
    const markdown = renderMarkdown(
      summarize([result({ scenario: "a|b<c" })], [{ ...scenario, name: "a|b<c", summary: "*x*" }])
    )
    assert.match(markdown, /^### a\\\|b\\<c\n\n\\\*x\\\*\n/)
  })
})

describe("the JSON", () => {
  const read = (withTimelines?: boolean) => JSON.parse(renderJson([result()], [scenario], withTimelines)).scenarios[0]

  it("has each run without its timeline", () => {
    const { timeline: _, ...run } = result()
    assert.deepStrictEqual(read().runs, [run])
  })

  it("has the timelines for whoever asks", () => {
    assert.deepStrictEqual(read(true).runs, [result()])
  })

  it("has what the scenario was, and what has no limit as a text", () => {
    assert.deepStrictEqual(read().definition, { ...scenario, pool: { maxUses: "Infinity" } })
  })
})
