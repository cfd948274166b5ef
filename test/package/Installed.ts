/** The package where it is installed: what its programs print, what may be imported and what may not, and what that leaves behind. */
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as Effect from "effect/Effect"
import * as Project from "./Project.ts"
import * as Sizes from "./Sizes.ts"
import { filesBelow, manifest } from "./Tarball.ts"
import * as Tools from "./Tools.ts"

/** The lines of `service.ts`; what differs from run to run is left open. */
const serviceLines = [
  /^session 1 greets Ada$/,
  /^session 1 greets Grace$/,
  /^AcquireTimeout POOL_ACQUIRE_TIMEOUT: \[pool sessions\] no connection within 50 ms \(waited \d+ ms, came as number 1 in line; 1 of 1 in use, .*held-too-long: /,
  /^true$/,
  /^acquired 3, timed out 1, of 1$/,
  /^PoolConfigError$/,
  /^10 to 100$/
]

const problemsOfService = (output: string, status: number | undefined): ReadonlyArray<string> => {
  const lines = output
    .split("\n")
    .filter((line) => line.startsWith("> "))
    .map((line) => line.slice(2).trim())
  const isRight =
    status === 0 &&
    lines.length === serviceLines.length &&
    serviceLines.every((expected, at) => expected.test(lines[at]!))
  return isRight ? [] : [`ended with ${status}:`, ...output.split("\n").slice(0, 20)]
}

export const service = Effect.fnUntraced(function* (
  project: Project.Project,
  tool: Tools.Tool,
  file = "out/service.js",
  env = {}
) {
  const { output, status } = yield* Project.call(tool, [file], { cwd: project.folder, env, timeout: 60_000 })
  return problemsOfService(output, status)
})

export const subpaths = Effect.fnUntraced(function* (project: Project.Project, tool: Tools.Tool) {
  const { output, status, stdout } = yield* Project.call(tool, ["out/subpaths.js"], {
    cwd: project.folder,
    timeout: 60_000
  })
  const expected = "the same true, all true, connectors true, defined true"
  return status === 0 && stdout.trim() === expected
    ? []
    : [`ended with ${status}, expected "${expected}":`, ...output.split("\n").slice(0, 20)]
})

/** A text that must be in what a program says, and how it must end. */
export const expecting = (
  said: string,
  isGood: boolean,
  { output, status }: { readonly output: string; readonly status: number | undefined }
): ReadonlyArray<string> =>
  output.includes(said) && (status === 0) === isGood
    ? []
    : [
        `expected ${isGood ? "success" : "a refusal"} with "${said}", got ${status}:`,
        ...output.split("\n").slice(0, 20)
      ]

export const evaluate = (project: Project.Project, code: string, tool = Tools.thisNode) =>
  Project.call(tool, ["--input-type=module", "--eval", code], { cwd: project.folder, timeout: 60_000 })

/** From CommonJS as well: since 20.19 Node's `require` takes modules. */
export const isRequired = Effect.fnUntraced(function* (project: Project.Project, tool: Tools.Tool) {
  const code = `const { ConnectionPool } = require("effect-pool"); console.log("required", typeof ConnectionPool.make)`
  const args = ["--input-type=commonjs", "--eval", code]
  return expecting("required function", true, yield* Project.call(tool, args, { cwd: project.folder, timeout: 60_000 }))
})

/** Modules that nobody may import: each entry that is mapped to null, with one file of it. */
const privateModules = [
  "advisor/Sizes",
  "cli/EffectPool",
  "connectors/Postgres",
  "engine/Engine",
  "runtime/PoolRuntime"
]

export const isPrivate = Effect.fnUntraced(function* (project: Project.Project, compiler: Tools.Tool) {
  const entries = privateModules.map((name) => `effect-pool/${name}`)
  const script = `
    for (const name of ${JSON.stringify(entries)}) {
      const code = await import(name).then(() => "imported", (error) => error.code)
      if (code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw new Error(name + ": " + code)
    }
    console.log("closed")
  `
  const problems = [...expecting("closed", true, yield* evaluate(project, script))]
  const imports = entries.map((name, at) => `import * as module${at} from "${name}"\nexport { module${at} }\n`)
  fs.writeFileSync(path.join(project.folder, "wrong.ts"), imports.join(""))
  for (const settings of Project.settingsOf([true], [true])) {
    const said = yield* Project.compile(project, compiler, ["wrong"], settings)
    for (const name of entries) {
      if (!said.includes(`error TS2307: Cannot find module '${name}'`)) {
        problems.push(`${name} compiles with ${settings.moduleResolution}: ${said}`)
      }
    }
  }
  fs.rmSync(path.join(project.folder, "wrong.ts"))
  return problems
})

/** Every module that package.json calls free of side effects is imported, and leaves the process as it was. */
export const isQuiet = Effect.fnUntraced(function* (project: Project.Project) {
  const folder = path.join(project.folder, "node_modules", "effect-pool", "dist")
  const loud = new Set(manifest.sideEffects.map((file) => file.replace("./dist/", "")))
  const ours = filesBelow(folder).filter((file) => file.endsWith(".js") && !loud.has(file))
  const external = new Set<string>()
  for (const file of ours) {
    const code = fs.readFileSync(path.join(folder, file), "utf8").replaceAll(/\/\*[^]*?\*\//g, "")
    for (const [, name] of code.matchAll(/^(?:import|export) .*from "([^."][^"]*)"/gm)) external.add(name!)
  }
  const script = `
    const state = () => JSON.stringify({
      globals: Reflect.ownKeys(globalThis).map(String).sort(),
      listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]),
      resources: process.getActiveResourcesInfo(),
      environment: process.env,
      exitCode: process.exitCode
    })
    for (const name of ${JSON.stringify([...external])}) await import(name).catch(() => {})
    const before = state()
    for (const file of ${JSON.stringify(ours.map((file) => pathToFileURL(path.join(folder, file)).href))}) {
      await import(file)
      if (state() !== before) throw new Error("importing " + file + " changed the process: " + before + " " + state())
    }
    console.log("quiet: ${ours.length}")
  `
  return expecting(`quiet: ${ours.length}`, true, yield* evaluate(project, script))
})

/** The page's script is the text of functions, which a bundler has changed: it must still be a program. */
export const bundleWorks = Effect.fnUntraced(function* (core: Project.Project, all: Project.Project) {
  const bundled = yield* Sizes.bundle(
    core.folder,
    fs.readFileSync(path.join(core.folder, "out", "service.js"), "utf8"),
    true
  )
  fs.writeFileSync(path.join(core.folder, "bundled.mjs"), bundled.code)
  const problems = yield* service(core, Tools.thisNode, "bundled.mjs")
  const http = yield* Sizes.bundle(
    all.folder,
    `export * from "../node_modules/effect-pool/dist/http/console/Script.js"`,
    false
  )
  fs.writeFileSync(path.join(all.folder, "script.mjs"), http.code)
  const code = `import { script } from "./script.mjs"; new Function(script); console.log("a script of " + (script.length > 10000))`
  return [...problems, ...expecting("a script of true", true, yield* evaluate(all, code))]
})
