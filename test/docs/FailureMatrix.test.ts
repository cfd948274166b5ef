/** `docs/failure-matrix.md` says what happens when: every row has a test, and every server that it names has one of its own. */
import { assert, describe, it } from "@effect/vitest"
import { docPages } from "../support/DocPages.ts"

const { text } = docPages.find(({ file }) => file === "docs/failure-matrix.md")!

const cellsOf = (line: string): ReadonlyArray<string> =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim())

interface Row {
  readonly number: string
  readonly cells: ReadonlyArray<string>
  readonly servers: ReadonlyArray<string>
  readonly citations: ReadonlyArray<string>
}

/** The tables of what goes wrong, by the letters of their sections. */
const sections: ReadonlyMap<string, ReadonlyArray<Row>> = new Map(
  Array.from(text.matchAll(/^## ([A-Z])\. .+\n([\s\S]*?)(?=^## )/gm), ([, letter, section]) => [
    letter!,
    section!
      .split("\n")
      .filter((line) => /^\| [A-Z]\d/.test(line))
      .map((line) => {
        const [number = "", ...cells] = cellsOf(line)
        const [servers = "", tests = ""] = cells.slice(-2)
        return {
          number,
          cells: cells.slice(0, -2),
          servers: servers.split(" ").filter((server) => server !== ""),
          citations: tests.split("<br>").filter((citation) => citation !== "")
        }
      })
  ])
)

const rows = [...sections.values()].flat()

/** What the letters stand for, in the sentence that explains them. */
const servers = new Map(Array.from(text.matchAll(/\*\*([A-Z])\*\*\s+(\w+)/g), ([, letter, name]) => [letter!, name!]))

const onServers = text
  .slice(text.indexOf("## On real servers"))
  .split("\n")
  .filter((line) => /^\| [A-Z]\d/.test(line))
  .map(cellsOf)

const isCitation = (cell: string): boolean => /^`test\/[\w/.-]+\.test\.ts` › "[^"]+"$/.test(cell)

describe("the failure matrix", () => {
  it("has its sections, each with rows that are numbered", () => {
    assert.deepStrictEqual([...sections.keys()].join(""), "ABCDEFGHI")
    for (const [letter, inSection] of sections) {
      assert.isAbove(inSection.length, 4, letter)
      assert.deepStrictEqual(
        inSection.map(({ number }) => number),
        inSection.map((_, index) => `${letter}${index + 1}`)
      )
    }
  })

  it("says in every row what is seen, what is done and how it shows", () => {
    for (const { cells, number } of rows) {
      assert.lengthOf(cells, number.startsWith("A") ? 4 : 5, number)
      for (const cell of cells) assert.isNotEmpty(cell, number)
    }
  })

  it("has a test in every row", () => {
    for (const { citations, number } of rows) {
      assert.isNotEmpty(citations, number)
      for (const citation of citations) assert.isTrue(isCitation(citation), `${number}: ${citation}`)
    }
  })

  it("has a test for every server that a row names, and none for another", () => {
    assert.isAbove(servers.size, 4)
    assert.deepStrictEqual(
      onServers.map(([number, server]) => `${number} ${server}`),
      rows.flatMap(({ number, servers: letters }) => letters.map((letter) => `${number} ${servers.get(letter)}`))
    )
    for (const [number, server, citation = ""] of onServers) {
      assert.isTrue(isCitation(citation), `${number}: ${citation}`)
      assert.match(citation, /^`test\/integration\//, `${number} ${server}`)
    }
  })
})
