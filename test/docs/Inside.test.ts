/** `docs/inside.md` tells where what stands. It is held to the sources: the direction of imports, every file, every name. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { Laboratory } from "effect-pool/laboratory"
import { ConnectionPool, Connector, PoolConfig, PoolReport, SizingPolicy } from "../../src/index.ts"
import { runLoad } from "../../src/laboratory/LoadRun.ts"
import { docPages, root } from "../support/DocPages.ts"

const page = docPages.find(({ file }) => file === "docs/inside.md")!

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

/** The rows of the table below a heading, as cells. */
const rowsBelow = (heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const [, section = ""] = page.text.split(`\n## ${heading}\n`)
  return section
    .split("\n## ")[0]!
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
    )
}

/** What stands in backquotes. */
const quoted = (cell = ""): ReadonlyArray<string> => Array.from(cell.matchAll(/`([^`]+)`/g), ([, text]) => text!)

interface Import {
  readonly file: string
  readonly from: string
  readonly to: string
  /** Nothing is left of it when the program runs. */
  readonly isType: boolean
}

const sources = fs
  .readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => path.join("src", name))

/** Comments have imports in them, too: those of examples. */
const withoutComments = (text: string): string =>
  text.replaceAll(/^ *\/\*\*?[\s\S]*?\*\/$/gm, "").replaceAll(/^ *\/\/.*$/gm, "")

const statement = /^(?:import|export)\s+(type\s)?([^"';]*?)\s*(?:from\s+)?"(\.[^"]+)"/gm

const importsOf = (file: string): ReadonlyArray<Import> =>
  Array.from(withoutComments(read(file)).matchAll(statement), ([, type, names = "", target]) => {
    const named = /^\{([\s\S]*)\}$/.exec(names)?.[1]?.split(",") ?? []
    const isType = type !== undefined || (named.length > 0 && named.every((name) => /^\s*(type\s|$)/.test(name)))
    const to = path.join(path.dirname(file), target!)
    return { file, from: path.dirname(file), to, isType }
  })

const imports = sources.flatMap(importsOf)

describe("the direction of imports", () => {
  const rows = rowsBelow("Three layers")

  it("is told of every folder", () => {
    const folders = [...new Set(sources.map((file) => path.dirname(file)))].sort()
    assert.deepStrictEqual(rows.map(([folder]) => quoted(folder)[0]!).sort(), folders)
  })

  for (const [cell, , allowed] of rows) {
    const [folder = ""] = quoted(cell)
    it(`is what the page says: ${folder}`, () => {
      const found = imports.filter(({ from, to }) => from === folder && path.dirname(to) !== folder)
      assert.deepStrictEqual([...new Set(found.map(({ to }) => path.dirname(to)))].sort(), [...quoted(allowed)].sort())
    })
  }

  it("of the runtime upwards is to words and types, and to no operation", () => {
    const [, list = ""] = page.text.replaceAll("\n", " ").split("it takes values of ")
    const words = quoted(list.split("only types")[0])
    const values = imports.filter(
      ({ from, isType, to }) => from === "src/runtime" && path.dirname(to) === "src" && !isType
    )
    assert.deepStrictEqual([...new Set(values.map(({ to }) => path.basename(to, ".ts")))].sort(), [...words].sort())
    assert.notInclude(words, "ConnectionPool")
  })

  it("of the laboratory to the runtime and to the testing tools is what the page says", () => {
    const found = imports.filter(
      ({ from, isType, to }) => from === "src/laboratory" && !isType && /runtime|testing/.test(to)
    )
    assert.deepStrictEqual([...new Set(found.map(({ to }) => to))].sort(), [
      "src/runtime/EngineSettings.ts",
      "src/testing/Dice.ts"
    ])
  })
})

/** What is wrong with a row that names functions, files and tests. */
const problemsOf = (
  row: ReadonlyArray<string>,
  places: { readonly names: number; readonly files: number; readonly tests?: number }
) => {
  const files = quoted(row[places.files])
  const there = [...files, ...quoted(row[places.tests ?? -1])].filter((file) => !fs.existsSync(path.join(root, file)))
  const text = files.map((file) => (there.includes(file) ? "" : read(file))).join("\n")
  const missing = quoted(row[places.names]).filter((name) => !new RegExp(String.raw`\b${name}\b`).test(text))
  return [...there.map((file) => `no file ${file}`), ...missing.map((name) => `${files.join()}: no ${name}`)]
}

describe("the tables of the page", () => {
  it("lead the way of a request from function to function", () => {
    const rows = rowsBelow("The way of a request")
    assert.isAbove(rows.length, 10)
    assert.deepStrictEqual(
      rows.flatMap((row) => problemsOf(row, { names: 1, files: 2 })),
      []
    )
    for (const row of rows) assert.isNotEmpty(quoted(row[1]), row.join())
  })

  it("find each behaviour, with its tests", () => {
    const rows = rowsBelow("Where do I find")
    assert.isAbove(rows.length, 40)
    assert.deepStrictEqual(
      rows.flatMap((row) => problemsOf(row, { names: 1, files: 2, tests: 3 })),
      []
    )
    for (const row of rows) for (const cell of row) assert.isNotEmpty(cell, row.join())
  })

  it("name every module of the engine and of the runtime", () => {
    const named = new Set(page.codeSpans)
    const modules = sources.filter((file) => /^src\/(engine|runtime)$/.test(path.dirname(file)))
    assert.deepStrictEqual(
      modules.filter((file) => !named.has(file)),
      []
    )
  })

  it("describe the folders of the tests", () => {
    const told = new Set(rowsBelow("How the tests are laid out").flatMap(([cell]) => quoted(cell)))
    const folders = fs
      .readdirSync(path.join(root, "test"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `test/${name}`)
    assert.deepStrictEqual(
      folders.filter((folder) => !told.has(folder)),
      []
    )
  })
})

describe("the checklists of the page", () => {
  /** A name with the file it is said to stand in: `` `name` of `src/file.ts` ``. */
  const placed = /`(\w+)` (?:of|in) `((?:src|test)\/[\w/]+\.ts)`/g

  it("name what stands where they say", () => {
    const found = Array.from(page.text.replaceAll(/\n\s*/g, " ").matchAll(placed))
    assert.isAbove(found.length, 8)
    const wrong = found.filter(([, name, file]) => !new RegExp(String.raw`\b${name}\b`).test(read(file!)))
    assert.deepStrictEqual(
      wrong.map(([text]) => text),
      []
    )
  })

  it("tell the limits that the gate keeps", () => {
    const [, use, acquire] = /use: ([\d.]+), "scoped acquire": ([\d.]+)/.exec(read("test/bench/Guard.ts")) ?? []
    assert.include(
      page.text.replaceAll("\n", " "),
      `\`use\` must stay within ${use} times, and a scoped \`acquire\` within ${acquire} times`
    )
  })
})

describe("every field of the configuration", () => {
  const environmentOf = (field: string): string => `DB_${field.replaceAll(/[A-Z]/g, "_$&").toUpperCase()}`
  const nested: Readonly<Record<string, string>> = { warmup: "_DELAY", shedding: "_TARGET", retry: "_INITIAL" }
  const fields = Object.keys(PoolConfig.PoolConfig.fields).filter((field) => field !== "name")

  it.effect("is read from the environment, and named where it is wrong", () =>
    Effect.gen(function* () {
      assert.isAbove(fields.length, 20)
      const variables = fields.map((field) => `${environmentOf(field)}${nested[field] ?? ""}`)
      const env = Object.fromEntries(variables.map((variable) => [variable, "nonsense"]))
      const { message } = yield* Effect.flip(PoolConfig.config("DB").parse(ConfigProvider.fromEnv({ env })))
      for (const variable of variables) assert.include(message, `${variable}: got "nonsense"`)
    })
  )

  it.effect("is in the report of a pool, with where it comes from", () =>
    Effect.gen(function* () {
      const connector = Connector.make({ name: "orders", connect: Effect.succeed("connection") })
      const { config } = yield* PoolReport.of(yield* ConnectionPool.make(connector))
      assert.deepStrictEqual(config.map(({ field }) => field).sort(), [...fields].sort())
    }).pipe(Effect.scoped)
  )
})

describe("the race on the page", () => {
  it("is the test that it is said to be", () => {
    const [, name = ""] = /`test\/engine\/Waiting\.test\.ts` › "([^"]+)"/.exec(page.text) ?? []
    const test = read("test/engine/Waiting.test.ts").split(`it("${name}"`)[1]!
    const drawn = page.blocks.find(({ code }) => code.startsWith("const { loan, pool } = busy()"))!
    const calls = drawn.code
      .trim()
      .split("\n")
      .map((line) => line.split(/ {2,}/)[0]!)
    const places = calls.map((call) => test.indexOf(call))
    assert.notInclude(places, -1)
    assert.deepStrictEqual(
      places,
      places.toSorted((one, other) => one - other)
    )
  })
})

describe("the laboratory", () => {
  it.effect("a policy of one's own runs in the laboratory", () =>
    Effect.gen(function* () {
      const step = Laboratory.scenarios.find(({ name }) => name === "step")!
      const three = SizingPolicy.make({
        name: "three",
        asksWhenWaiting: true,
        decide: ({ limit }) => ({ connections: Math.min(limit, 3), reason: "three are enough" })
      })
      const config = yield* PoolConfig.make({ ...step.pool, minConnections: 1, sizing: three } as PoolConfig.Input)
      const { peakConnections, requests, violations } = runLoad(step, config, "three", 1)
      assert.deepStrictEqual([peakConnections, violations], [3, []])
      assert.isAbove(requests, 1000)
    })
  )
})
