/** The workflows cannot be run here: what can be known of them is that they are read, and that every command in them is there. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = path.join(root, ".github", "workflows")
const { engines, scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
  engines: { node: string }
  scripts: Readonly<Record<string, string>>
}

interface Job {
  readonly needs?: string
  readonly uses?: string
  readonly permissions?: Readonly<Record<string, string>>
  readonly strategy?: { readonly matrix: { readonly node: ReadonlyArray<string> } }
  readonly steps?: ReadonlyArray<{
    readonly run?: string
    readonly uses?: string
    readonly env?: Readonly<Record<string, string>>
  }>
}

interface Workflow {
  readonly name: string
  readonly permissions: Readonly<Record<string, string>>
  readonly jobs: Readonly<Record<string, Job>>
}

const read = (file: string): Workflow => parse(fs.readFileSync(path.join(folder, file), "utf8")) as Workflow
const files = fs.readdirSync(folder)

/** Whether a line of a step names what is there. */
const isKnown = (line: string): boolean => {
  const script = /^npm run ([\w:-]+)/.exec(line)?.[1]
  if (script !== undefined) return script in scripts
  if (line.startsWith(".ci/")) return fs.existsSync(path.join(root, line.split(" ")[0]!))
  return line === "npm ci" || line.startsWith("gh release create ")
}

describe("the workflows", () => {
  for (const file of files) {
    it(`${file} calls nothing that is not there`, () => {
      const { jobs } = read(file)
      assert.isNotEmpty(Object.keys(jobs))
      for (const [name, { needs, steps = [], uses }] of Object.entries(jobs)) {
        if (needs !== undefined) assert.property(jobs, needs)
        if (uses !== undefined) assert.isTrue(fs.existsSync(path.join(root, uses)), uses)
        else assert.isNotEmpty(steps, name)
        for (const step of steps) {
          if (step.run === undefined) assert.match(step.uses!, /^actions\/[\w-]+@v\d+$/)
          else for (const line of step.run.trim().split("\n")) assert.isTrue(isKnown(line), line)
        }
      }
    })

    it(`${file} may read only, but for the job that releases`, () => {
      const { jobs, permissions } = read(file)
      assert.deepStrictEqual(permissions, { contents: "read" })
      const more = Object.keys(jobs).filter((name) => jobs[name]!.permissions !== undefined)
      assert.deepStrictEqual(more, file === "release.yml" ? ["publish"] : [])
    })
  }

  it("run the gate on the oldest Node that is supported, and on those since", () => {
    const nodes = read("ci.yml").jobs["gate"]!.strategy!.matrix.node
    assert.strictEqual(engines.node, ">=20.19")
    assert.deepStrictEqual(nodes, ["20.19.0", "22", "24", "26"])
  })

  it("publish only what the gate has passed, with an identity to sign with", () => {
    const publish = read("release.yml").jobs["publish"]!
    assert.strictEqual(publish.needs, "ci")
    assert.strictEqual(publish.permissions?.["id-token"], "write")
    const step = publish.steps!.find((one) => one.run?.includes("--publish") === true)
    assert.strictEqual(step?.env?.["GATE_RESULT"], "${{ needs.ci.result }}")
  })

  it("the dependencies are kept by a file that is read", () => {
    const { updates } = parse(fs.readFileSync(path.join(root, ".github", "dependabot.yml"), "utf8")) as {
      updates: ReadonlyArray<{ "package-ecosystem": string }>
    }
    assert.deepStrictEqual(
      updates.map((update) => update["package-ecosystem"]),
      ["npm", "github-actions"]
    )
  })
})
