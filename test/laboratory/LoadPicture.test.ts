/** A picture is an SVG that can be read, whatever the names and the numbers in it. */
import { assert, describe, it } from "@effect/vitest"
import { pictureOf } from "../../src/laboratory/LoadPicture.ts"
import type { LoadResult } from "../../src/laboratory/LoadResult.ts"
import type { LoadScenario } from "../../src/laboratory/LoadScenario.ts"
import { result, sample, scenario } from "./Samples.ts"

const policies = (...names: ReadonlyArray<string>): ReadonlyArray<LoadResult> =>
  names.map((policy) => result({ policy }))

const picture = (results: ReadonlyArray<LoadResult>, changes: Partial<LoadScenario> = {}): string =>
  pictureOf({ ...scenario, ...changes }, results)

/** What is wrong with the nesting of the tags. */
const imbalance = (svg: string): string | undefined => {
  const open: Array<string> = []
  for (const [, close, name, isEmpty] of svg.matchAll(/<(\/?)([a-z]+)(?:\s+[\w:-]+="[^"<]*")*(\/?)>/g)) {
    if (isEmpty === "/") continue
    if (close === "") open.push(name!)
    else if (open.pop() !== name) return `</${name}>`
  }
  const rest = svg.replaceAll(/<\/?[a-z]+(?:\s+[\w:-]+="[^"<]*")*\/?>/g, "")
  return open.length > 0 ? open.join() : /[<]|&(?!(?:amp|lt|gt|quot);)/.exec(rest)?.[0]
}

const lineOf = (svg: string, kind: string): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from(svg.matchAll(new RegExp(`<polyline class="${kind}" points="([^"]*)"`, "g")), ([, points]) =>
    points!.split(" ")
  )

describe("a picture", () => {
  it("is well formed", () => {
    assert.strictEqual(imbalance(picture(policies("predictive", "threshold"))), undefined)
  })

  it("is well formed with names that mean something in XML", () => {
    const results = [result({ policy: `<&">`, scenario: `a<&"b` })]
    assert.strictEqual(imbalance(picture(results, { name: `a<&"b`, summary: `</svg>&` })), undefined)
  })

  it("shows such names as they are", () => {
    assert.include(picture([result({ policy: `<&"` })]), "&lt;&amp;&quot; (seed 1)")
  })

  it("has colours for light and dark", () => {
    assert.include(picture(policies("predictive")), "@media (prefers-color-scheme: dark)")
  })

  it("has a dash pattern of its own for each of four policies", () => {
    const dashes = Array.from(
      picture([]).matchAll(/\.line\.policy\d { stroke-dasharray: ([^}]*) }/g),
      ([, dash]) => dash
    )
    assert.strictEqual(new Set(dashes).size, 4)
  })

  it("names each policy beside its line", () => {
    const svg = picture(policies("predictive", "fixed:20"))
    assert.match(svg, /class="line policy1"[^>]*>\n<text class="label"[^>]*>fixed:20 \(seed 1\)</)
  })

  it("says which policies it has no room for", () => {
    assert.include(picture(policies("a", "b", "c", "d", "e", "f")), ">Not drawn: e, f<")
  })

  it("shows the middle seed", () => {
    const seeds = [9, 1, 5].map((seed) => result({ seed }))
    assert.include(picture(seeds), ">predictive (seed 5)<")
  })

  it("has a point for each sample in each line", () => {
    const lines = lineOf(picture(policies("predictive")), "line policy0")
    assert.deepStrictEqual(
      lines.map(({ length }) => length),
      [3, 3, 3]
    )
  })

  it("draws the requests once: they are the same for all policies", () => {
    assert.strictEqual(lineOf(picture(policies("a", "b")), "line rate").length, 1)
  })

  it("marks what is good at its place among the waits", () => {
    const svg = picture([result({ timeline: [sample(1, { longestWait: 1000 })] })])
    const [, y] = lineOf(svg, "line policy0")[0]![0]!.split(",")
    assert.match(svg, new RegExp(`<line class="mark" x1="56" y1="${y}" x2="680" y2="${y}"/>`))
  })

  it("has no place outside of itself, however large or small the numbers are", () => {
    const timeline = [
      sample(1, { longestWait: 0, open: 0, inUse: 0 }),
      sample(1e6, { longestWait: 1e7, open: 1e6, refused: 1e9 })
    ]
    const svg = picture([result({ timeline })])
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number)
    const isInside = ([x, y]: ReadonlyArray<number>) => x! >= 0 && x! <= width! && y! >= 0 && y! <= height!
    const points = Array.from(svg.matchAll(/points="([^"]*)"/g), ([, points]) => points!.split(" ")).flat()
    assert.deepStrictEqual(
      points.filter((point) => !isInside(point.split(",").map(Number))),
      []
    )
  })

  it("says nothing of where the measured time begins if that is all of it", () => {
    assert.notInclude(picture(policies("predictive"), { measureFrom: 0 }), "measured time")
  })

  it("can be made of runs without samples", () => {
    assert.notMatch(picture([result({ timeline: [] })]), /NaN|Infinity|undefined/)
  })

  it("leaves out runs of other scenarios", () => {
    assert.notInclude(picture([result({ scenario: "other", policy: "elsewhere" })]), "elsewhere")
  })
})
