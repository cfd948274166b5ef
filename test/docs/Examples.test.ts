/** Every example of README, docs and docstrings is compiled with the strict settings, and run. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { type DocExample, docExamples, root } from "../support/DocExamples.ts"
import { ExampleServers, folder, missingFor } from "./ExampleServers.ts"

const fileOf = ({ place }: Pick<DocExample, "place">): string =>
  path.join(folder, `${place.replaceAll(/\W+/g, "-")}.ts`)

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
        for (const file of fs.readdirSync(folder)) if (/\.(ts|json)$/.test(file)) fs.rmSync(path.join(folder, file))
        fs.mkdirSync(folder, { recursive: true })
        for (const example of docExamples) write(example, servers)
        const settings = {
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
            }
          },
          include: ["*.ts"],
          references: []
        }
        fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(settings))
        const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc")
        const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" })
        assert.strictEqual(stdout, "")
      })
    )

    for (const example of docExamples) {
      const gives = example.expected === undefined ? "" : ` and gives ${example.expected}`
      const missing = missingFor(example.code)
      const test = missing === undefined ? it.effect : it.effect.skip
      test(`${example.place} runs${gives}${missing === undefined ? "" : ` (not run: ${missing})`}`, () =>
        Effect.gen(function* () {
          const servers = yield* ExampleServers
          write(example, servers)
          const { expected, program } = yield* Effect.promise(() => load(example))
          const result = program === undefined ? undefined : yield* Effect.scoped(program)
          if (example.expected !== undefined) assert.deepStrictEqual(JSON.parse(JSON.stringify(result)), expected)
        }))
    }
  })
})
