/** Whatever a page points to is there: files, headings, tests by their names. */
import { assert, describe, it } from "@effect/vitest"
import GithubSlugger from "github-slugger"
import * as fs from "node:fs"
import * as path from "node:path"
import { promises } from "../../src/testing/Promises.ts"
import { type DocPage, docPages, docstrings, root } from "../support/DocPages.ts"

const pageOf = new Map(docPages.map((page) => [page.file, page]))

const anchorsOf = ({ headings }: DocPage): ReadonlySet<string> => {
  const slugger = new GithubSlugger()
  return new Set(headings.map((heading) => slugger.slug(heading.replaceAll(/[`*]/g, ""))))
}

const isExternal = (href: string): boolean => /^[a-z]+:/.test(href)

/** What is wrong with a link, if anything. */
const problemOf = (page: DocPage, href: string): string | undefined => {
  if (isExternal(href)) {
    const { hostname, protocol } = new URL(href)
    return protocol === "https:" || hostname === "127.0.0.1" ? undefined : "not over https"
  }
  const [target = "", anchor] = href.split("#")
  const file =
    target === "" ? page.file : path.normalize(path.join(path.dirname(page.file), decodeURIComponent(target)))
  if (file.startsWith("..") || !fs.existsSync(path.join(root, file))) return `no file ${file}`
  if (anchor === undefined) return undefined
  const linked = pageOf.get(file)
  if (linked === undefined) return file.startsWith("docs/reference/") ? undefined : `${file} has no headings`
  return anchorsOf(linked).has(anchor) ? undefined : `${file} has no heading #${anchor}`
}

/** A name as it stands in a test's file: all of it, or what a template begins with. */
const isTestOf = (source: string, name: string): boolean => source.includes(`"${name}"`) || source.includes(`\`${name}`)

const citations = (text: string) => [...text.matchAll(/`(test\/[\w/.-]+\.ts)` › "(.+?)"/g)]

describe("the pages of the documentation", () => {
  it("link to what is there", () => {
    const problems = docPages.flatMap((page) =>
      page.links.flatMap(({ href }) => {
        const problem = problemOf(page, href)
        return problem === undefined ? [] : [`${page.file}: ${href}: ${problem}`]
      })
    )
    assert.deepStrictEqual(problems, [])
  })

  it("cite tests that are there, by file and name", () => {
    const problems = docPages.flatMap(({ file, text }) =>
      citations(text).flatMap(([citation, test, name]) => {
        const there = path.join(root, test!)
        return fs.existsSync(there) && isTestOf(fs.readFileSync(there, "utf8"), name!) ? [] : [`${file}: ${citation}`]
      })
    )
    assert.deepStrictEqual(problems, [])
  })

  it("cite promises of the simulation that there are", () => {
    for (const { file, text } of docPages) {
      for (const [, number] of text.matchAll(/`test\/simulation\/Simulation\.test\.ts`, promise (\d+)/g)) {
        assert.property(promises, number!, file)
      }
    }
  })

  it("name files of the repository that are there", () => {
    const isPath = /^(src|test|docs|\.ci|\.github)\/[\w/.-]+\.\w+$/
    const problems = docPages.flatMap(({ codeSpans, file }) =>
      codeSpans
        .filter((span) => isPath.test(span) && !fs.existsSync(path.join(root, span)))
        .map((span) => `${file}: ${span}`)
    )
    assert.deepStrictEqual(problems, [])
  })

  it("are all found from the index", () => {
    const index = pageOf.get("docs/README.md")
    assert.isDefined(index)
    const linked = new Set(index!.links.map(({ href }) => path.join("docs", href.split("#")[0]!)))
    // A page of an error is found from the page of all errors.
    const expected = docPages
      .map(({ file }) => file)
      .filter((file) => /^docs\/(?!errors\/)/.test(file) && file !== index!.file)
    assert.deepStrictEqual(
      expected.filter((file) => !linked.has(file)),
      []
    )
  })

  it("have a place in the contents of their page, where they are decisions", () => {
    const { headings, links } = pageOf.get("docs/decisions.md")!
    const listed = new Set(links.map(({ href }) => href))
    const slugger = new GithubSlugger()
    const decisions = headings.map((heading) => `#${slugger.slug(heading.replaceAll("`", ""))}`).slice(1)
    assert.deepStrictEqual(
      decisions.filter((anchor) => anchor !== "#next" && !listed.has(anchor)),
      []
    )
  })

  it("say nothing of the machine they were written on", () => {
    for (const { file, text } of [...docPages, ...docstrings]) assert.notMatch(text, /\/(work|root|tmp\/w)\//, file)
  })
})
