/** What `docs/troubleshooting.md` says that readers get who install or import the wrong thing: each is brought about in a folder of its own. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { docPages, matches, root } from "../support/DocPages.ts"

const { blocks } = docPages.find(({ file }) => file === "docs/troubleshooting.md")!

/** The texts of the page that are compared here. */
const ids = [
  "wrong-name",
  "wrong-case",
  "wrong-case-types",
  "private",
  "missing-driver",
  "missing-driver-types",
  "old-effect-npm",
  "old-effect",
  "old-node-npm",
  "require",
  "node10"
] as const

const compare = (id: (typeof ids)[number], text: string): void => {
  const block = blocks.find(({ role }) => role === `run=${id}`)
  assert.isDefined(block, `no text run=${id}`)
  assert.isTrue(matches(text, block!.code), `the page says\n${block!.code}\nbut it is\n${text}`)
}

const installed = path.join(root, "node_modules")
const tsc = path.join(installed, "typescript", "bin", "tsc")

let folder = ""

const write = (file: string, text: string): string => {
  const place = path.join(folder, file)
  fs.mkdirSync(path.dirname(place), { recursive: true })
  fs.writeFileSync(place, text)
  return place
}

const run = (args: ReadonlyArray<string>): string => {
  const { stderr, stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" })
  return `${stdout}${stderr}`
}

interface Place {
  readonly app?: string
  readonly args?: ReadonlyArray<string>
  readonly file?: string
}

/** What Node says of a module: its error, without the place in Node and the stack. */
const node = (text: string, { app = "app", args = [], file = "main.mjs" }: Place = {}): string => {
  const said = run([...args, write(`${app}/${file}`, text)])
  return /^\w*Error\b[\s\S]*?(?=\n {4}at |\n\n|(?![\s\S]))/m.exec(said)?.[0] ?? said
}

/** What the compiler says of a module, without its place. */
const types = (text: string, options: Record<string, unknown> = {}): string => {
  write("app/main.ts", text)
  const compilerOptions = {
    target: "es2022",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    ...options
  }
  write("app/tsconfig.json", JSON.stringify({ compilerOptions, files: ["main.ts"] }))
  return run([tsc, "--pretty", "false", "-p", path.join(folder, "app")]).replaceAll(/^.*?\(\d+,\d+\): /gm, "")
}

const npm = spawnSync("npm", ["--version"], { encoding: "utf8" })
const npmVersion = npm.status === 0 ? npm.stdout.trim() : undefined

/** What npm says in a folder, without a registry. */
const inFolder = (place: string, args: ReadonlyArray<string>, nodeOptions = ""): string => {
  const { stderr, stdout } = spawnSync("npm", [...args, "--offline", "--no-audit", "--no-fund"], {
    cwd: path.join(folder, place),
    encoding: "utf8",
    env: { ...process.env, npm_config_cache: path.join(folder, "npm", "cache"), NODE_OPTIONS: nodeOptions }
  })
  return `${stderr}${stdout}`
}

/** Installs what the package says of itself, without its code, beside an Effect of this version. */
const install = (effect: string, nodeOptions?: string): string => {
  const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as { readonly version: string }
  write("npm/effect-pool/package.json", JSON.stringify({ ...manifest, scripts: {}, bin: {}, files: [] }))
  inFolder("npm", ["pack", "./effect-pool"])
  write("npm/effect/package.json", JSON.stringify({ name: "effect", version: effect }))
  const dependencies = { effect: "file:../effect" }
  write("npm/app/package.json", JSON.stringify({ name: "app", version: "1.0.0", private: true, dependencies }))
  return inFolder("npm/app", ["install", `../effect-pool-${manifest.version}.tgz`, "--dry-run"], nodeOptions)
}

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-mistakes-"))
  const modules = path.join(folder, "app", "node_modules")
  const own = path.join(modules, "effect-pool")
  fs.mkdirSync(own, { recursive: true })
  fs.copyFileSync(path.join(root, "package.json"), path.join(own, "package.json"))
  // Apart from the build of everybody else. It was checked there; here the console's own scripts are too far away to be found.
  const out = ["--outDir", path.join(own, "dist"), "--tsBuildInfoFile", path.join(folder, "tsbuildinfo"), "--noCheck"]
  const built = run([tsc, "-p", path.join(root, "src"), ...out])
  assert.isTrue(fs.existsSync(path.join(own, "dist", "index.d.ts")), built)
  fs.symlinkSync(path.join(installed, "effect"), path.join(modules, "effect"))
  // A program beside it has an Effect 3: of that only what it does not have matters.
  const old = path.join(folder, "old", "node_modules")
  fs.cpSync(own, path.join(old, "effect-pool"), { recursive: true })
  write("old/node_modules/effect/stub.js", "export {}\n")
  write(
    "old/node_modules/effect/package.json",
    JSON.stringify({
      name: "effect",
      version: "3.22.4",
      type: "module",
      exports: { ".": "./stub.js", "./*": "./stub.js", "./References": null }
    })
  )
}, 60_000)

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

describe("a reader who imports", () => {
  it("a name that is not there is told so by Node", () => {
    compare("wrong-name", node('import { Pool } from "effect-pool"'))
  })

  it("a subpath in lower case is told by Node and by the compiler that there is none", () => {
    compare("wrong-case", node('import "effect-pool/postgres"'))
    compare("wrong-case-types", types('import * as Postgres from "effect-pool/postgres"\nexport { Postgres }'))
  })

  it("what is private is told by Node that there is none", () => {
    compare("private", node('import "effect-pool/engine/Engine"'))
  })

  it("what is there gets it", () => {
    assert.strictEqual(
      node('import { ConnectionPool } from "effect-pool"\nconsole.log(typeof ConnectionPool.make)'),
      "function\n"
    )
  })

  it("a module without its driver is told which package is missing", () => {
    const module = 'import * as Postgres from "effect-pool/Postgres"\nexport { Postgres }'
    compare("missing-driver", node('import "effect-pool/Postgres"'))
    const [first = ""] = types(module, { skipLibCheck: false }).split("\n")
    compare("missing-driver-types", first)
    assert.strictEqual(types(module), "")
  })
})

describe("a reader who has", () => {
  it("an Effect 3 is told what it does not have", () => {
    compare("old-effect", node('import "effect-pool"', { app: "old" }))
  })

  it("CommonJS is told that this is none, where Node does not require ES modules", () => {
    const text = 'const { ConnectionPool } = require("effect-pool")\nconsole.log(typeof ConnectionPool.make)'
    compare("require", node(text, { file: "main.cjs", args: ["--no-experimental-require-module"] }))
    assert.match(node(text, { file: "main.cjs" }), /^function$/m)
  })

  it("the module resolution of old is told that it is gone", () => {
    compare("node10", types("export {}", { module: "esnext", moduleResolution: "node10" }))
  })

  const whenNpm = npmVersion === undefined ? it.skip : it
  const why = npmVersion === undefined ? " (not run: npm is not on the path)" : ""

  whenNpm(`an Effect 3 is told by npm that it does not go together${why}`, () => {
    compare("old-effect-npm", install("3.22.4"))
  })

  whenNpm(`a Node 18 is told by npm what is needed${why}`, () => {
    // npm asks the process, which says so.
    const old = write("npm/node18.cjs", 'Object.defineProperty(process, "version", { value: "v18.20.8" })')
    const said = install("4.1.0", `--require ${old}`)
    const lines = said.split("\n").filter((line) => line.startsWith("npm warn EBADENGINE"))
    compare("old-node-npm", lines.join("\n"))
  })
})

describe("the page of these mistakes", () => {
  it("has no text that is not compared", () => {
    const roles = blocks.flatMap(({ role }) => (role.startsWith("run=") ? [role.slice("run=".length)] : []))
    assert.sameMembers(roles, [...ids])
  })
})
