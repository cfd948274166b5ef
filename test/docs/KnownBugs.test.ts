/** `docs/known-bugs.md` is a list of claims, each with the test that shows it. That the tests are there, `Links.test.ts` sees to. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../support/DocPages.ts"

interface Row {
  readonly place: string
  readonly number: number
  readonly where: string
  readonly what: string
  readonly verdict: string
  readonly citations: ReadonlyArray<string>
}

const text = fs.readFileSync(path.join(root, "docs", "known-bugs.md"), "utf8")

/** The tables of the page, by the headings above them. */
const sections: ReadonlyArray<ReadonlyArray<Row>> = text
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const heading = section.slice(0, section.indexOf("\n"))
    return section
      .split("\n")
      .filter((line) => /^\| \d/.test(line))
      .map((line) => {
        const [, number, where, what, verdict, shownBy, ...rest] = line.split("|").map((cell) => cell.trim())
        assert.deepStrictEqual(rest, [""], line)
        const citations = shownBy!.split("<br>").filter((citation) => citation !== "")
        return {
          place: `${heading}, ${number}`,
          number: Number(number),
          where: where!,
          what: what!,
          verdict: verdict!,
          citations
        }
      })
  })

const rows = sections.flat()

describe("the list of known bugs", () => {
  it("has the bugs of both worlds, each by its number", () => {
    assert.deepStrictEqual(
      sections.map((section) => section.map(({ number }) => number)),
      [51, 54].map((length) => Array.from({ length }, (_, index) => index + 1))
    )
  })

  it("says of each bug where it was and what happened", () => {
    for (const { place, what, where } of rows) {
      assert.isNotEmpty(where, place)
      assert.isNotEmpty(what, place)
    }
  })

  it("has a verdict on each, with a test where it says that it shows something, and without one where it does not", () => {
    for (const { citations, place, verdict } of rows) {
      assert.match(verdict, /^(shown|does not apply|not yet): \S/, place)
      assert.strictEqual(citations.length > 0, verdict.startsWith("shown"), place)
    }
  })

  it("cites each test by file and name, or by the number of a promise", () => {
    const isCitation = /^`test\/simulation\/Simulation\.test\.ts`, promise \d+$|^`test\/[\w/]+(\.test)?\.ts` › ".+"$/
    for (const { citations, place } of rows) for (const citation of citations) assert.match(citation, isCitation, place)
  })

  it("names every test that was written for it", () => {
    const source = fs.readFileSync(path.join(root, "test", "runtime", "KnownBugs.test.ts"), "utf8")
    const cited = new Set(rows.flatMap(({ citations }) => citations))
    for (const [, name] of source.matchAll(/\bit\.\w+\("(.+?)",/g)) {
      assert.isTrue(cited.has(`\`test/runtime/KnownBugs.test.ts\` › "${name}"`), name)
    }
  })
})
