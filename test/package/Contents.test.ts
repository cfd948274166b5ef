/** What may be in the package: the rule, on lists that are right and on lists that are not. `npm run package:check` holds the real one to it. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { type Manifest, problemsOf } from "./Contents.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

const manifest: Manifest = {
  bin: { "effect-pool": "./dist/cli/main.js" },
  main: "./dist/index.js",
  types: "./dist/index.d.ts",
  exports: { ".": "./dist/index.js", "./package.json": "./package.json", "./engine/*": null }
}

const sources = ["src/index.ts", "src/cli/main.ts"]

const compiled = (name: string) => [".js", ".js.map", ".d.ts", ".d.ts.map"].map((ending) => `dist/${name}${ending}`)

const right = [
  "package.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "docs/errors.md",
  "docs/errors/pool-closed.md",
  ...sources,
  ...compiled("index"),
  ...compiled("cli/main")
]

const problemsWith = (...more: ReadonlyArray<string>) => problemsOf({ files: [...right, ...more], manifest, sources })
const problemsWithout = (file: string) => problemsOf({ files: right.filter((one) => one !== file), manifest, sources })

describe("the contents of the package", () => {
  it("are right when all is there and nothing else", () => {
    assert.deepStrictEqual(problemsWith(), [])
  })

  it("have no file that was compiled from a source of yesterday", () => {
    assert.deepStrictEqual(problemsWith("dist/engine/Gone.d.ts"), [
      "dist/engine/Gone.d.ts has no source: src/engine/Gone.ts is not there (any more)"
    ])
  })

  it("have nothing in dist that the compiler does not write", () => {
    assert.deepStrictEqual(problemsWith("dist/.tsbuildinfo"), ["dist/.tsbuildinfo is nothing that the compiler writes"])
  })

  for (const file of [
    "test/PoolConfig.test.ts",
    ".build/test/bench/main.js",
    ".ci/run",
    ".github/workflows/ci.yml",
    "docs/reference/index.md",
    "docs/examples/demo/main.ts",
    "docs/pictures/console-leak-dark.png",
    "tsconfig.json",
    ".npmrc"
  ]) {
    it(`do not have ${file}`, () => {
      assert.deepStrictEqual(problemsWith(file), [`${file} does not belong in the package`])
    })
  }

  it("have every source, and all that it is compiled to", () => {
    assert.deepStrictEqual(problemsWithout("src/index.ts"), ["src/index.ts is missing"])
    assert.deepStrictEqual(problemsWithout("dist/cli/main.d.ts.map"), ["dist/cli/main.d.ts.map is missing"])
  })

  it("have what package.json points to", () => {
    assert.deepStrictEqual(problemsWithout("dist/index.js"), [
      "dist/index.js is missing",
      `exports["."] is ./dist/index.js, which is missing`,
      "main is ./dist/index.js, which is missing"
    ])
    assert.deepStrictEqual(problemsWithout("dist/cli/main.js"), [
      "dist/cli/main.js is missing",
      "bin.effect-pool is ./dist/cli/main.js, which is missing"
    ])
  })

  it("have the licence, what has changed, and the page that errors point to", () => {
    for (const file of ["LICENSE", "CHANGELOG.md", "README.md"]) {
      assert.deepStrictEqual(problemsWithout(file), [`${file} is missing`])
    }
    assert.deepStrictEqual(problemsWithout("docs/errors.md"), ["docs/errors.md, which errors point to, is missing"])
  })

  it("are reached by an entry for every public module, and by none for what is private", () => {
    const { exports } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as Manifest
    const folders = fs
      .readdirSync(path.join(root, "src"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
    const modules = fs
      .readdirSync(path.join(root, "src"))
      .filter((file) => file.endsWith(".ts") && file !== "index.ts")
      .map((file) => file.slice(0, -".ts".length))
    for (const module of modules) assert.strictEqual(exports[`./${module}`], `./dist/${module}.js`)
    for (const folder of folders) {
      const own = exports[`./${folder}`]
      if (own === undefined) assert.isNull(exports[`./${folder}/*`], `./${folder}/* is neither public nor private`)
      else assert.strictEqual(own, `./dist/${folder}/index.js`)
    }
  })
})
