/** `docs/errors.md` and `docs/errors/*.md` say of each error what its code is, which fields it has, and what a diagnosis means. */
import { assert, describe, it } from "@effect/vitest"
import GithubSlugger from "github-slugger"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Postgres from "../../src/connectors/Postgres.ts"
import { KeyedPool, PoolError } from "../../src/index.ts"
import { type DocPage, docPages, root } from "../support/DocPages.ts"

interface ErrorClass {
  readonly name: string
  readonly code: string
}

const sources = fs
  .readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => fs.readFileSync(path.join(root, "src", name), "utf8"))

/** The errors with a code: the name of the class, and the code that stands in it. */
const errors: ReadonlyArray<ErrorClass> = sources.flatMap((source) =>
  source.split(/^(?=export class )/m).flatMap((part) => {
    const [, name] = /^export class (\w+)/.exec(part) ?? []
    const [, code] = /^ {2}readonly code = "(\w+)"$/m.exec(part) ?? []
    return name === undefined || code === undefined ? [] : [{ name, code }]
  })
)

const exported: Readonly<Record<string, unknown>> = { ...PoolError, ...KeyedPool, ...Postgres }

const fieldsOf = (schema: unknown): ReadonlyArray<string> =>
  Object.keys((schema as { readonly fields: object }).fields).filter((field) => field !== "_tag")

const nameOf = (code: string): string => code.toLowerCase().replaceAll("_", "-")

const page = (file: string): DocPage => {
  const found = docPages.find((one) => one.file === file)
  assert.isDefined(found, `there is no ${file}`)
  return found!
}

const pageOf = ({ code }: ErrorClass): DocPage => page(`docs/errors/${nameOf(code)}.md`)

/** The text below a heading, up to the next one that is not below it. */
const section = ({ file, text }: DocPage, heading: string): string => {
  const level = heading.split(" ")[0]!
  const [, below] = text.split(`\n${heading}\n`)
  assert.isDefined(below, `${file} has no "${heading}"`)
  return below!.split(new RegExp(`^#{1,${level.length}} `, "m"))[0]!
}

/** What stands first in each line of the table there. */
const fieldsIn = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/^\| `(\w+)` \|/gm), ([, field]) => field!)

const index = page("docs/errors.md")

describe("the pages of errors", () => {
  it("are of errors that a program can import", () => {
    assert.isAtLeast(errors.length, 13)
    for (const { name } of errors) assert.property(exported, name)
  })

  it("are one for each code, and there is no other", () => {
    assert.deepStrictEqual(
      fs.readdirSync(path.join(root, "docs", "errors")).sort(),
      errors.map(({ code }) => `${nameOf(code)}.md`).sort()
    )
  })

  it("begin with the name of the error, and say its code and, of those that HTTP answers with, its problem type", () => {
    for (const error of errors) {
      const { file, text } = pageOf(error)
      assert.match(text, new RegExp(`^# ${error.name}: `), file)
      assert.include(text, `\`${error.code}\``, file)
      const answers = new Set<unknown>(PoolError.AcquireError.members)
      const isAnswer = answers.has(exported[error.name])
      assert.strictEqual(text.includes(`\`urn:effect-pool:${nameOf(error.code)}\``), isAnswer, file)
    }
  })

  it("name the fields of the error, all of them and no other", () => {
    for (const error of errors) {
      const described = fieldsIn(section(pageOf(error), "## Fields"))
      assert.sameMembers([...described], [...fieldsOf(exported[error.name])], pageOf(error).file)
    }
  })

  it("say how it reads, from a run, how to see it, what to do, and whether to try again", () => {
    for (const error of errors) {
      const { blocks, file, headings } = pageOf(error)
      const expected = ["How it reads", "Fields", "How to see it", "What to do", "Whether to try again"]
      assert.deepStrictEqual(headings.slice(1), expected, file)
      assert.isTrue(
        blocks.some(({ role }) => role === "output"),
        file
      )
    }
  })
})

describe("the index of errors", () => {
  it("has a line for each error, with its code and a link to its page", () => {
    const lines = Array.from(
      index.text.matchAll(/^\| `(\w+)` \| \[`(\w+)`\]\((\S+)\) \| \S/gm),
      ([, ...cells]) => cells
    )
    assert.sameDeepMembers(
      lines,
      errors.map(({ code, name }) => [name, code, `errors/${nameOf(code)}.md`])
    )
  })

  it("has a heading for each diagnosis, which is where the report of a timeout points to", () => {
    const slugger = new GithubSlugger()
    const anchors = new Set(index.headings.map((heading) => slugger.slug(heading)))
    for (const kind of PoolError.DiagnosisKind.literals) assert.isTrue(anchors.has(kind), kind)
  })

  const shared = {
    snapshot: PoolError.Snapshot,
    "a holder": PoolError.Holder,
    "a failed connect": PoolError.ConnectFailure
  }

  for (const [heading, schema] of Object.entries(shared)) {
    it(`names the fields that several errors have, all of them and no other: ${heading}`, () => {
      assert.sameMembers([...fieldsIn(section(index, `### ${heading}`))], [...fieldsOf(schema)])
    })
  }
})
