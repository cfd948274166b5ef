/** The numbers of the README, and of the table of knobs, are those of the code and of the benchmarks. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Option, Schema } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as PoolConfig from "../../src/PoolConfig.ts"
import { docPages, root } from "../support/DocPages.ts"

const readme = docPages.find(({ file }) => file === "README.md")!.text

/** The cells of the rows of every table in a text. */
const rowsOf = (text: string): ReadonlyArray<ReadonlyArray<string>> =>
  [...text.matchAll(/^ ?\*? ?\| (.+) \|$/gm)].map(([, row]) => row!.split(" | ").map((cell) => cell.trim()))

const units: Readonly<Record<string, string>> = { ms: "millis", s: "seconds", min: "minutes" }

/** `5 s`, `1,000` or `"warn"` as the value that it stands for. */
const valueOf = (text: string): unknown => {
  const [, number, unit] = /^([\d,]+) ?(ms|s|min)?\b/.exec(text) ?? []
  if (number === undefined) return /^`"(\w+)"`/.exec(text)?.[1]
  const value = Number(number.replaceAll(",", ""))
  if (unit === undefined) return value
  return Option.getOrThrow(Duration.fromInput(`${value} ${units[unit]}` as Duration.Input))
}

const knobs = (text: string) =>
  rowsOf(text).flatMap(([name = "", value = "", ...rest]) => {
    const field = /^`(\w+)`$/.exec(name)?.[1]
    return field !== undefined && field in PoolConfig.defaults && rest.length > 0 ? [{ field, value }] : []
  })

const hasDefaults = (text: string): void => {
  for (const { field, value } of knobs(text)) {
    const expected: unknown = PoolConfig.defaults[field as keyof PoolConfig.PoolConfig]
    // Records, and what has no number, stand in words.
    if (value.startsWith("`{") || value === "unbounded") continue
    assert.deepStrictEqual(valueOf(value), expected, field)
  }
}

interface Benchmarks {
  readonly sections: ReadonlyArray<{
    readonly results: ReadonlyArray<{
      readonly contest: string
      readonly entries: ReadonlyArray<{ readonly contender: string; readonly figures: { readonly median: number } }>
    }>
  }>
}

const benchmarks = JSON.parse(fs.readFileSync(path.join(root, "docs", "benchmarks.json"), "utf8")) as Benchmarks

const figureOf = (contest: string, contender: string): string => {
  const result = benchmarks.sections.flatMap(({ results }) => results).find((each) => each.contest.startsWith(contest))
  const entry = result?.entries.find((each) => each.contender === contender)
  return entry === undefined ? "-" : Math.round(entry.figures.median).toLocaleString("en-US")
}

describe("the README", () => {
  it("has the defaults of the knobs that matter", () => {
    assert.isAtLeast(knobs(readme).length, 7)
    hasDefaults(readme)
  })

  it("has the presets' limits", () => {
    const { maxConnections, minConnections } = PoolConfig.production
    assert.include(readme, `10 (\`PoolConfig.production\`: ${maxConnections})`)
    assert.include(readme, `2 (production: ${minConnections})`)
  })

  it("has the figures of docs/benchmarks.json", () => {
    const contenders = ["effect-pool", "Effect's Pool", "generic-pool", "tarn"]
    const contests: Readonly<Record<string, string>> = {
      "`use`": "use",
      "scoped acquire": "scoped acquire",
      "100 borrowers on 10 connections": "100 borrowers on 10 connections",
      "1,000 borrowers on 1 connection": "1,000 borrowers on 1 connection",
      "attempts to connect in 10 s without a server, 500 borrowers": "connects in 10 s"
    }
    for (const [name, contest] of Object.entries(contests)) {
      const expected = contenders.map((contender) => figureOf(contest, contender))
      const row = rowsOf(readme).find(([first, ...rest]) => first === name && rest.length === contenders.length)
      assert.deepStrictEqual(row?.slice(1), expected, name)
    }
    for (const contender of [
      "effect-pool, as it comes",
      "effect-pool, maxUses: Infinity",
      "@effect/sql-pg",
      "pg-pool"
    ]) {
      assert.include(readme, figureOf("statements, throughput", contender), contender)
    }
  })
})

describe("the table of knobs", () => {
  const source = fs.readFileSync(path.join(root, "src", "PoolConfig.ts"), "utf8")

  it("has what each knob may be, where that is one number or duration", () => {
    for (const [name = "", , may = ""] of rowsOf(source)) {
      const schema = PoolConfig.PoolConfig.fields[/^`(\w+)`$/.exec(name)?.[1] as keyof PoolConfig.PoolConfig]
      const expected = schema === undefined ? undefined : Schema.resolveAnnotations(schema)?.["expected"]
      const [, from, to] = /^a (?:duration|whole number) from (\w+) to (\w+)$/.exec(String(expected)) ?? []
      if (from === undefined) continue
      const stated = may
        .replaceAll(",", "")
        .replaceAll(/(\d) (?:(ms)|(d)ay)/g, "$1$2$3")
        .split(" at most")[0]
      assert.strictEqual(stated, to === "Infinity" ? `${from} or more` : `${from} to ${to}`, name)
    }
  })

  it("has every knob, with its default", () => {
    const fields = Object.keys(PoolConfig.PoolConfig.fields)
    assert.sameMembers(
      rowsOf(source).flatMap(([name = ""]) => /^`(\w+)`$/.exec(name)?.[1] ?? []),
      fields
    )
    hasDefaults(source)
  })
})
