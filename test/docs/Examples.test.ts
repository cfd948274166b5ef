/** Every example of README, docs and docstrings is compiled with the strict settings, and run. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { type DocExample, docExamples, matches, root, wrongExamples } from "../support/DocPages.ts"
import { ExampleServers, folder, missingFor } from "./ExampleServers.ts"

const fileOf = ({ place }: Pick<DocExample, "place">): string =>
  path.join(folder, `${place.replaceAll(/\W+/g, "-")}.ts`)

/** Examples of what does not compile stand apart, for the others to compile without a word. */
const wrongFolder = path.join(path.dirname(folder), "wrong-examples")

/** The block as a module. What stands after its arrow is an expression of the same language. */
const write = ({ code, definesProgram, expected, place }: DocExample, servers: ReadonlyMap<string, string>): void =>
  fs.writeFileSync(
    fileOf({ place }),
    [
      [...servers].reduce((text, [name, there]) => text.replaceAll(name, there), code),
      definesProgram ? "export { program }" : "export {}",
      expected === undefined ? "" : `export const expected: unknown = ${expected}`
    ].join("\n")
  )

interface ExampleModule {
  readonly program?: Effect.Effect<unknown, unknown>
  readonly expected?: unknown
}

/** The strict settings, with the package's name for its sources. */
const settings = (options: Record<string, unknown> = {}) => ({
  extends: "../../tsconfig.json",
  compilerOptions: {
    composite: false,
    noEmit: true,
    noUnusedLocals: false,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: false,
    types: ["node"],
    paths: {
      "effect-pool": ["../../src/index.ts"],
      ...Object.fromEntries(
        ["Postgres", "Sql", "MySql", "Redis", "Sqlite", "SurrealDb"].map((name) => [
          `effect-pool/${name}`,
          [`../../src/connectors/${name}.ts`]
        ])
      ),
      "effect-pool/http": ["../../src/http/index.ts"],
      "effect-pool/laboratory": ["../../src/laboratory/index.ts"],
      "effect-pool/testing": ["../../src/testing/index.ts"],
      "effect-pool/*": ["../../src/*.ts"]
    },
    ...options
  },
  include: ["*.ts"],
  references: []
})

/** What the compiler says of the modules of a folder. */
const compile = (where: string, modules: () => void, options?: Record<string, unknown>): string => {
  fs.mkdirSync(where, { recursive: true })
  for (const file of fs.readdirSync(where)) if (/\.(ts|json)$/.test(file)) fs.rmSync(path.join(where, file))
  modules()
  fs.writeFileSync(path.join(where, "tsconfig.json"), JSON.stringify(settings(options)))
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc")
  return spawnSync(process.execPath, [tsc, "-p", where, "--pretty", "false"], { encoding: "utf8" }).stdout
}

const load = (example: DocExample): Promise<ExampleModule> =>
  import(/* @vite-ignore */ pathToFileURL(fileOf(example)).href) as Promise<ExampleModule>

describe("the examples of the documentation", () => {
  it("are found", () => {
    assert.isAtLeast(docExamples.length, 8)
    assert.isTrue(docExamples.some(({ place }) => place.startsWith("README.md")))
  })

  layer(ExampleServers.layer, { timeout: "60 seconds", excludeTestServices: true })("on a real server", (it) => {
    it.effect("compile with the strict settings", () =>
      Effect.gen(function* () {
        const servers = yield* ExampleServers
        const said = compile(folder, () => {
          for (const example of docExamples) write(example, servers)
        })
        assert.strictEqual(said, "")
      })
    )

    for (const example of docExamples) {
      const result = example.output === undefined ? example.expected : "what stands below it"
      const gives = result === undefined ? "" : ` and gives ${result}`
      const missing = missingFor(example.code)
      const test = missing === undefined ? it.effect : it.effect.skip
      test(`${example.place} runs${gives}${missing === undefined ? "" : ` (not run: ${missing})`}`, () =>
        Effect.gen(function* () {
          const servers = yield* ExampleServers
          write(example, servers)
          const { expected, program } = yield* Effect.promise(() => load(example))
          const result = program === undefined ? undefined : yield* Effect.scoped(program)
          if (example.expected !== undefined) assert.deepStrictEqual(JSON.parse(JSON.stringify(result)), expected)
          if (example.output !== undefined) {
            const text = Array.isArray(result) ? result.join("\n") : String(result)
            assert.isTrue(matches(text, example.output), `the page says\n${example.output}\nbut it gives\n${text}`)
          }
        }))
    }
  })

  it("that are wrong do not compile, and the compiler says what the page says", () => {
    const nameOf = (place: string): string => `${place.replaceAll(/\W+/g, "-")}.ts`
    const said = compile(
      wrongFolder,
      () => {
        for (const { code, place } of wrongExamples)
          fs.writeFileSync(path.join(wrongFolder, nameOf(place)), `${code}export {}\n`)
      },
      // As the reader's compiler, which shortens.
      { noErrorTruncation: false }
    )
    // Each error with the lines that belong to it, without its place.
    const errors = said.split(/^(?=\S+\.ts\(\d+,\d+\): )/m)
    for (const { error, place } of wrongExamples) {
      const of = errors
        .filter((text) => text.split("(")[0]!.endsWith(nameOf(place)))
        .map((text) => text.replace(/^.*?\): /, ""))
        .join("")
      assert.isDefined(error, `${place}: what does the compiler say?`)
      assert.isTrue(matches(of, error!), `${place}: the page says\n${error}\nbut the compiler says\n${of}`)
    }
  })
})
