/**
 * The reference that `npm run reference` makes of the docstrings. That it says what they say, `npm run reference -- --check` tells; here
 * stands that it is whole: every module and every name that can be imported, and no link into nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import GithubSlugger from "github-slugger"
import { marked, type MarkedToken } from "marked"
import * as fs from "node:fs"
import * as path from "node:path"
import { docPages, root } from "../support/DocPages.ts"

const folder = path.join("docs", "reference")

interface Page {
  readonly file: string
  readonly text: string
  readonly anchors: ReadonlySet<string>
  readonly headings: ReadonlyArray<string>
  readonly links: ReadonlyArray<string>
}

const read = (file: string): Page => {
  const text = fs.readFileSync(path.join(root, file), "utf8")
  const headings: Array<string> = []
  const links: Array<string> = []
  void marked.walkTokens(marked.lexer(text), (token) => {
    const { type, ...rest } = token as MarkedToken
    if (type === "heading" && "text" in rest) headings.push(rest.text)
    if (type === "link" && "href" in rest) links.push(rest.href)
  })
  const slugger = new GithubSlugger()
  return { file, text, headings, anchors: new Set(headings.map((heading) => slugger.slug(heading))), links }
}

const pages = new Map(
  fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md") && !name.startsWith("generator"))
    .map((name) => path.join(folder, name))
    .map((file) => [file, read(file)] as const)
)

const { exports } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly exports: Readonly<Record<string, string | null>>
}

/** The modules that can be imported: the path that users write, and the file. */
const modules = Object.entries(exports).flatMap(([subpath, target]) =>
  subpath !== "." && target?.endsWith(".js") === true
    ? [{ name: subpath.slice(2), source: target.replace("./dist/", "../../src/").replace(/js$/, "ts") }]
    : []
)

const isNamespace = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.prototype.toString.call(value) === "[object Module]"

const pageOf = (name: string): Page | undefined =>
  pages.get(path.join(folder, `${name}.md`)) ?? pages.get(path.join(folder, name, "README.md"))

/** The names without an entry of their own on the module's page. */
const missingIn = (module: object, name: string): ReadonlyArray<string> => {
  const page = pageOf(name)
  if (page === undefined) return [name]
  return Object.entries(module).flatMap(([exported, value]) => {
    if (isNamespace(value)) return missingIn(value, `${name}/${exported}`)
    return page.headings.includes(exported) ? [] : [`${name}.${exported}`]
  })
}

/** Exported for the package's own modules, and marked `@internal`. */
const internal = new Set(["SizingPolicy.policyOf", "PoolConfig.variableOf", "PoolConfig.configErrorOf"])

const problemOf = (file: string, href: string): string | undefined => {
  const [target = "", anchor] = href.split("#")
  const there = target === "" ? file : path.normalize(path.join(path.dirname(file), target))
  const page = pages.get(there)
  if (page === undefined) return fs.existsSync(path.join(root, there)) ? undefined : `no file ${there}`
  return anchor === undefined || page.anchors.has(anchor) ? undefined : `${there} has no heading #${anchor}`
}

const problemsOf = (linking: Iterable<readonly [file: string, links: ReadonlyArray<string>]>): ReadonlyArray<string> =>
  [...linking].flatMap(([file, links]) =>
    links.flatMap((href) => {
      const problem = /^[a-z]+:/.test(href) ? undefined : problemOf(file, href)
      return problem === undefined ? [] : [`${file}: ${href}: ${problem}`]
    })
  )

describe("the reference", () => {
  it("has a page for every module that can be imported, and its index leads to each page", () => {
    assert.isAtLeast(modules.length, 20)
    assert.deepStrictEqual(
      modules.filter(({ name }) => pageOf(name) === undefined),
      []
    )
    const index = new Set(pages.get(path.join(folder, "README.md"))!.links.map((href) => path.join(folder, href)))
    const isIndexed = (file: string) => index.has(file) || file === path.join(folder, "README.md")
    assert.deepStrictEqual(
      [...pages.keys()].filter((file) => !isIndexed(file)),
      []
    )
  })

  it.effect("has an entry for every value that a module exports", () =>
    Effect.gen(function* () {
      for (const { name, source } of modules) {
        const module = yield* Effect.promise(() => import(source) as Promise<object>)
        assert.deepStrictEqual(
          missingIn(module, name).filter((missing) => !internal.has(missing)),
          []
        )
      }
    })
  )

  it("says first in every entry how the thing is declared", () => {
    for (const { file, text } of pages.values()) {
      for (const entry of text.split(/^### /m).slice(1)) {
        const [heading, , fence] = entry.split("\n")
        assert.strictEqual(fence, "```ts", `${file}: ${heading}`)
      }
    }
  })

  it("links to what is there, and so does whoever links to it", () => {
    const own = [...pages.values()].map(({ file, links }) => [file, links] as const)
    const others = docPages.map(
      ({ file, links }) => [file, links.map(({ href }) => href).filter((href) => href.includes("reference/"))] as const
    )
    assert.isAbove(own.flatMap(([, links]) => links).length, 500)
    assert.deepStrictEqual(problemsOf([...own, ...others]), [])
  })

  it("changes with what it describes only: no dates, no lines of sources, nothing of the machine", () => {
    for (const { file, text } of pages.values()) {
      assert.notMatch(text, /\/(work|root|home|tmp\/w|node_modules)\/|\bimport\("|#L\d+|\b20\d\d-\d\d-\d\d\b/, file)
    }
  })
})
