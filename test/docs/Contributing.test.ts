/** What contributors are told: the commands exist, the gate is what the page says, the forms are forms, the links lead somewhere. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { parse } from "yaml"
import { docPages, root } from "../support/DocPages.ts"

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const { engines, scripts } = JSON.parse(read("package.json")) as {
  readonly engines: { readonly node: string }
  readonly scripts: Readonly<Record<string, string>>
}

const pages = docPages.filter(({ file }) => file.startsWith(".github/"))

const contributing = pages.find(({ file }) => file.endsWith("CONTRIBUTING.md"))!

const forms = fs.readdirSync(path.join(root, ".github", "ISSUE_TEMPLATE")).filter((name) => name !== "config.yml")

interface Field {
  readonly type: string
  readonly id?: string
  readonly attributes: { readonly label?: string; readonly value?: string; readonly options?: ReadonlyArray<string> }
  readonly validations?: { readonly required?: boolean }
}

interface Form {
  readonly name: string
  readonly description: string
  readonly labels: ReadonlyArray<string>
  readonly body: ReadonlyArray<Field>
}

const formOf = (name: string): Form => parse(read(`.github/ISSUE_TEMPLATE/${name}`)) as Form

describe("the pages for contributors", () => {
  it("are found", () => {
    assert.deepStrictEqual(pages.map(({ file }) => path.basename(file)).sort(), [
      "CONTRIBUTING.md",
      "PULL_REQUEST_TEMPLATE.md",
      "SECURITY.md"
    ])
  })

  it("name commands that there are, wherever they stand", () => {
    const named = pages.flatMap(({ file, text }) =>
      Array.from(text.matchAll(/\bnpm run ([\w:-]+)/g), ([, script]) => `${file}: ${script}`)
    )
    assert.isAbove(named.length, 10)
    assert.deepStrictEqual(
      named.filter((one) => !Object.hasOwn(scripts, one.split(": ")[1]!)),
      []
    )
  })

  it("ask for the Node that the package asks for", () => {
    assert.include(contributing.text, `Node ${engines.node.replace(">=", "")} or newer`)
  })

  it("name tests that can be run by a folder or a name", () => {
    const asked = Array.from(contributing.text.matchAll(/npm test -- (test\/\w+)/g), ([, folder]) => folder!)
    assert.isNotEmpty(asked)
    for (const folder of asked) assert.isTrue(fs.existsSync(path.join(root, folder)), folder)
  })

  it("have no address that nobody reads", () => {
    for (const { file, text } of pages) assert.notMatch(text, /[\w.]+@[\w-]+\.[a-z]{2,}\b|https?:\/\//, file)
  })
})

describe("the gate", () => {
  const gate = read(".ci/run")

  it("asks what the page says, and in this order", () => {
    const [, section = ""] = contributing.text.split("\n## The gate\n")
    const told = Array.from(section.split("\n## ")[0]!.matchAll(/`(npm [^`]+)`/g), ([, command]) => command!)
    // What the tests are started with besides is a matter of counting them.
    const asked = Array.from(gate.matchAll(/^step [\w-]+ (npm .+)$|^tests$/gm), ([line, command]) =>
      line === "tests" ? "npm test" : command!
    )
    assert.deepStrictEqual(told, asked)
  })

  it("installs what the page says that tests need", () => {
    const packages = Array.from(gate.matchAll(/--no-install-recommends \\\n\s+([\w -]+?) >/g), ([, names]) =>
      names!.split(" ")
    ).flat()
    assert.isAbove(packages.length, 3)
    for (const name of packages) assert.include(contributing.codeSpans, name)
  })
})

describe("the forms for issues", () => {
  it("are those for faults, wishes and questions", () => {
    assert.deepStrictEqual([...forms].sort(), ["bug.yml", "feature.yml", "question.yml"])
    assert.deepStrictEqual(parse(read(".github/ISSUE_TEMPLATE/config.yml")), { blank_issues_enabled: false })
  })

  for (const name of forms) {
    it(`are what a form has to be: ${name}`, () => {
      const { body, description, labels, name: title } = formOf(name)
      for (const text of [title, description, ...labels]) assert.isNotEmpty(text)
      const ids = body.flatMap(({ id }) => (id === undefined ? [] : [id]))
      assert.strictEqual(new Set(ids).size, ids.length)
      for (const { attributes, id, type } of body) {
        assert.include(["markdown", "textarea", "input", "dropdown", "checkboxes"], type)
        if (type === "markdown") assert.isNotEmpty(attributes.value)
        else {
          assert.match(id ?? "", /^[\w-]+$/)
          assert.isNotEmpty(attributes.label)
        }
        if (type === "dropdown") assert.isAbove(attributes.options!.length, 1)
      }
      assert.isTrue(body.some(({ validations }) => validations?.required === true))
    })
  }

  it("ask for a fault's error, diagnostics, configuration, connector and versions", () => {
    const ids = formOf("bug.yml").body.map(({ id }) => id)
    for (const id of ["error", "diagnostics", "config", "connector", "versions"]) assert.include(ids, id)
  })

  it("know every connector of the package", () => {
    const { options } = formOf("bug.yml").body.find(({ id }) => id === "connector")!.attributes
    const { exports } = JSON.parse(read("package.json")) as {
      readonly exports: Readonly<Record<string, string | null>>
    }
    const connectors = Object.entries(exports).flatMap(
      ([, target]) => /\/connectors\/(\w+)\.js$/.exec(target ?? "")?.[1] ?? []
    )
    assert.isAbove(connectors.length, 4)
    // Over any of them.
    for (const name of connectors.filter((one) => one !== "Sql")) {
      assert.isTrue(
        options!.some((option) => option.startsWith(name)),
        name
      )
    }
  })

  it("ask for nothing that cannot be had: what they name is exported or served", () => {
    const bug = read(".github/ISSUE_TEMPLATE/bug.yml")
    assert.include(bug, "/pools/<name>/diagnostics")
    assert.include(read("src/http/PoolApi.ts"), '"/pools/:pool/diagnostics"')
    assert.include(bug, "`error.report`")
    assert.match(read("src/PoolError.ts"), /^ {2}get report\(\): string/m)
    assert.include(bug, "`PoolReport.of(pool)`")
    assert.include(bug, "`ConnectionPool.recentEvents(pool)`")
  })
})
