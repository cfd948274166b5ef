/** Every code block that is no TypeScript is something that a test can hold to account: a command that exists, data that parse, an output. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parse } from "yaml"
import { run } from "../cli/CommandLine.ts"
import { type CodeBlock, docPages, docstrings, matches, root } from "../support/DocPages.ts"

const everyPage = [...docPages, ...docstrings]
const everyBlock = everyPage.flatMap(({ blocks }) => blocks)

const blocksIn = (language: string): ReadonlyArray<CodeBlock> =>
  everyBlock.filter((block) => block.language === language)

/** Pages whose commands are followed word by word by somebody else, and who that is. */
const followed: Readonly<Record<string, string>> = { "docs/quick-start.md": "test/first-hour/main.ts" }

const packageJson = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly name: string
  readonly scripts: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly peerDependencies: Record<string, string>
}

const installable = new Set([
  packageJson.name,
  ...Object.keys(packageJson.devDependencies),
  ...Object.keys(packageJson.peerDependencies)
])

interface Command {
  readonly block: CodeBlock
  readonly words: ReadonlyArray<string>
  readonly line: string
}

const commandsOf = (block: CodeBlock): ReadonlyArray<Command> =>
  block.code
    .replaceAll("\\\n", " ")
    .split("\n")
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "")
    .flatMap((line) => line.split(" && "))
    .map((line) => ({ block, line, words: line.split(/\s+/) }))

const commands = blocksIn("sh")
  .filter(({ place }) => !Object.hasOwn(followed, place.split(":")[0]!))
  .flatMap(commandsOf)

const isOurProgram = ({ words }: Command): boolean => words[0] === "npx" && words[1] === "effect-pool"

const hasServer = ({ line }: Command): boolean => /https?:\/\//.test(line)

const isRunHere = (command: Command): boolean => isOurProgram(command) && !hasServer(command)

/** Why a command is nothing that a reader of this project can type, if so. */
const problemOf = (command: Command): string | undefined => {
  const [program, verb, ...rest] = command.words
  if (isOurProgram(command)) return undefined
  if (program !== "npm") return "a command that nobody checks"
  if (verb === "ci" || verb === "test") return undefined
  if (verb === "run") return Object.hasOwn(packageJson.scripts, rest[0] ?? "") ? undefined : `no script ${rest[0]}`
  if (verb === "install") {
    const unknown = rest.filter(
      (name) => !name.startsWith("-") && !installable.has(name.replace(/(?<=.)@[\d.^]+$/, ""))
    )
    return unknown.length === 0 ? undefined : `nothing here needs ${unknown.join(", ")}`
  }
  return "a command that nobody checks"
}

/** The block that stands below another one. */
const below = (block: CodeBlock): CodeBlock | undefined => {
  const blocks = everyPage.find((page) => page.blocks.includes(block))!.blocks
  return blocks[blocks.indexOf(block) + 1]
}

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-docs-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

/** The command's words, with files in this folder. A file that it reads is the block of data on the same page. */
const inFolder = ({ block, words }: Command, folder: string): ReadonlyArray<string> =>
  words.slice(2).map((word, index, all) => {
    const flag = all[index - 1]
    if (flag !== "--file" && flag !== "--svg") return word
    const file = path.join(folder, word)
    const data = everyPage
      .find(({ blocks }) => blocks.includes(block))!
      .blocks.find(({ language }) => language === "json")
    if (flag === "--file") fs.writeFileSync(file, data!.code)
    return file
  })

describe("the code blocks of the documentation", () => {
  it("are in languages that are checked, and say what they are", () => {
    const roles: Readonly<Record<string, RegExp>> = {
      ts: /^(wrong)?$/,
      text: /^(output|error|run=[\w-]+)?$/,
      sh: /^$/,
      json: /^$/,
      yaml: /^$/,
      mermaid: /^$/
    }
    for (const { language, place, role } of everyBlock) {
      assert.property(roles, language, place)
      assert.match(role, roles[language]!, place)
    }
  })

  it("of JSON and YAML parse", () => {
    for (const { code, place } of blocksIn("json")) assert.doesNotThrow(() => JSON.parse(code), undefined, place)
    for (const { code, place } of blocksIn("yaml")) assert.doesNotThrow(() => parse(code), undefined, place)
  })

  it("of diagrams say what they draw", () => {
    for (const { code, place } of blocksIn("mermaid")) {
      assert.match(code, /^(stateDiagram-v2|sequenceDiagram|flowchart (LR|TD))\n/, place)
    }
  })

  it("of text that is an output or an error stand below what gives it", () => {
    for (const { blocks } of everyPage) {
      blocks.forEach(({ place, role }, index) => {
        const above = blocks[index - 1]
        if (role === "output") assert.include(["ts ", "sh "], `${above?.language} ${above?.role}`, place)
        // Nobody would compare another one.
        if (role === "output" && above?.language === "sh")
          assert.lengthOf(commandsOf(above).filter(isRunHere), 1, place)
        if (role === "error") assert.strictEqual(`${above?.language} ${above?.role}`, "ts wrong", place)
      })
    }
  })

  it("that are outputs of a run of their own are compared by a test", () => {
    const tests = fs
      .readdirSync(path.join(root, "test"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => fs.readFileSync(path.join(root, "test", name), "utf8"))
    for (const { place, role } of everyBlock) {
      if (!role.startsWith("run=")) continue
      const id = role.slice("run=".length)
      assert.isTrue(
        tests.some((source) => source.includes(`"${id}"`)),
        `${place}: no test names "${id}"`
      )
    }
  })
})

describe("the commands of the documentation", () => {
  it("are there", () => {
    const problems = commands.flatMap((command) => {
      const problem = problemOf(command)
      return problem === undefined ? [] : [`${command.block.place}: ${command.line}: ${problem}`]
    })
    assert.deepStrictEqual(problems, [])
  })

  it("that somebody else follows, are followed", () => {
    for (const [page, by] of Object.entries(followed)) {
      assert.isTrue(
        docPages.some(({ file }) => file === page),
        page
      )
      assert.isTrue(fs.existsSync(path.join(root, by)), by)
    }
  })

  const ours = commands.filter(isOurProgram)

  for (const command of ours.filter(isRunHere)) {
    it.effect(`run: ${command.line} (${command.block.place})`, () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const output = below(command.block)
        const { error, exitCode, out } = yield* run(inFolder(command, folder))
        assert.strictEqual(exitCode, 0, error)
        if (output?.role === "output") {
          assert.isTrue(matches(out, output.code), `the page says\n${output.code}\nbut it prints\n${out}`)
        }
      })
    )
  }

  it.effect("that ask a server are known to the program, flag by flag", () =>
    Effect.gen(function* () {
      for (const { block, words } of ours.filter(hasServer)) {
        const [verb = "", ...rest] = words.slice(2)
        const { exitCode, out } = yield* run([verb, "--help"])
        assert.strictEqual(exitCode, 0, block.place)
        for (const flag of rest.filter((word) => word.startsWith("--"))) {
          assert.include(out, flag.split("=")[0]!, block.place)
        }
      }
    })
  )
})
