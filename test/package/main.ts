/**
 * `npm run package:check`: packs the package once, and tries it as its users will: what is in it, how its types are found, how large it is in
 * a bundle, and in empty projects of every package manager, compiler and runtime that can be had. `-- --quick` is the part that the gate
 * runs: npm, this Node, this TypeScript. `-- --write-sizes` writes the measured sizes into docs/package.md instead of holding them against it.
 * Everything is fetched through npm, into a temporary folder. Ends with exit code 1 if something is wrong.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Book } from "./Book.ts"
import { bundleWorks, evaluate, expecting, isPrivate, isQuiet, isRequired, service, subpaths } from "./Installed.ts"
import * as Project from "./Project.ts"
import { run } from "./Run.ts"
import * as Sizes from "./Sizes.ts"
import {
  attwSays,
  contents,
  manifest,
  npmCorrects,
  pack,
  publintSays,
  root,
  type Tarball,
  versionOf
} from "./Tarball.ts"
import * as Tools from "./Tools.ts"

const { values: options } = parseArgs({
  options: { quick: { type: "boolean", default: false }, "write-sizes": { type: "boolean", default: false } }
})

const consumer = path.join(root, "test", "package", "consumer")
const page = path.join(root, "docs", "package.md")

const complaint = (output: string): ReadonlyArray<string> => (output === "" ? [] : output.split("\n").slice(0, 12))

const sizes = Effect.fnUntraced(function* (project: Project.Project, { packedSize, unpackedSize }: Tarball) {
  const measured = yield* Sizes.measure(project.folder, packedSize, unpackedSize)
  const text = fs.readFileSync(page, "utf8")
  if (options["write-sizes"]) fs.writeFileSync(page, Sizes.withTable(text, Sizes.tableOf(measured)))
  const written = fs.readFileSync(page, "utf8")
  return [...Sizes.problemsOf(measured.sizes, Sizes.statedOn(written)), ...Sizes.problemsOfPackage(measured, written)]
})

/** A project that another package manager fills; its programs were compiled elsewhere. */
const managed = Effect.fnUntraced(function* (
  folder: string,
  core: Project.Project,
  tool: Tools.Tool,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  runs: (project: Project.Project) => Effect.Effect<ReadonlyArray<string>, Tools.NotHad>
) {
  const project = Project.make(folder, consumer, ["service"], core.dependencies)
  fs.cpSync(path.join(core.folder, "out"), path.join(folder, "out"), { recursive: true })
  const { output, status } = yield* Project.call(tool, args, { cwd: folder, env })
  if (status !== 0) return [`ended with ${status}:`, ...output.split("\n").slice(-20)]
  return yield* runs(project)
})

const program = Effect.gen(function* () {
  const book = new Book()
  const work = yield* Effect.acquireRelease(
    Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-package-")))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
  )
  const tools = path.join(work, "tools")
  const npm = (yield* run("npm", ["--version"], { cwd: work })).stdout.trim()
  const npmName = `npm ${npm}, Node ${process.versions.node}`

  const tarball = yield* pack(work)
  yield* Console.log(
    `${path.basename(tarball.file)}: ${tarball.files.length} files, ${(tarball.packedSize / 1e6).toFixed(2)} MB packed, ${(tarball.unpackedSize / 1e6).toFixed(2)} MB unpacked`
  )
  yield* book.check("holds what it should and no more", npmName, contents(tarball))
  yield* book.check("npm has nothing to correct", npmName, npmCorrects(work))
  yield* book.check("manifest", `publint ${versionOf("publint")}`, publintSays(tarball))

  const effect = manifest.devDependencies["effect"]!
  const core = Project.make(path.join(work, "core"), consumer, ["service"], {
    effect,
    "effect-pool": pathToFileURL(tarball.file).href
  })
  const peers = Object.keys(manifest.peerDependencies).filter((name) => name !== "@surrealdb/node")
  const all = Project.make(path.join(work, "all"), consumer, ["service", "subpaths"], {
    ...core.dependencies,
    ...Object.fromEntries(peers.map((name) => [name, manifest.devDependencies[name]!])),
    "@types/node": manifest.devDependencies["@types/node"]!
  })
  const install = ({ folder }: Project.Project, args: ReadonlyArray<string>) =>
    Effect.map(run("npm", ["install", ...args], { cwd: folder }), ({ output, status }) =>
      status === 0 ? [] : output.trim().split("\n")
    )
  // The whole of it starts with nothing, as a newcomer's machine does.
  const cache = options.quick ? ["--prefer-offline"] : ["--cache", path.join(work, "npm-cache")]
  yield* Effect.all(
    [
      book.check("types are found", `attw ${versionOf("@arethetypeswrong/cli")}, esm-only`, attwSays(tarball)),
      book.check("installs in an empty project", npmName, install(core, cache)),
      book.check("installs with all optional peers but @surrealdb/node", npmName, install(all, ["--prefer-offline"]))
    ],
    { concurrency: 2 }
  )

  const own: Tools.Tool = {
    name: `TypeScript ${versionOf("typescript")}`,
    command: [process.execPath, path.join(root, "node_modules", "typescript", "bin", "tsc")]
  }
  const nodenext: Project.Settings = {
    moduleResolution: "nodenext",
    skipLibCheck: true,
    exactOptionalPropertyTypes: true
  }
  const emit = Effect.fnUntraced(function* () {
    return [
      ...complaint(yield* Project.compile(core, own, ["service"], nodenext, true)),
      ...complaint(yield* Project.compile(all, own, ["service", "subpaths"], nodenext, true))
    ]
  })
  const types = Effect.fnUntraced(function* (compiler: Tools.Tool, settings: ReadonlyArray<Project.Settings>) {
    const problems: Array<string> = []
    for (const one of settings) {
      for (const [project, programs] of [
        [core, ["service"]],
        [all, ["service", "subpaths"]]
      ] as const) {
        const said = complaint(yield* Project.compile(project, compiler, programs, one))
        if (said.length > 0) problems.push(`${JSON.stringify(one)}, ${path.basename(project.folder)}:`, ...said)
      }
    }
    return problems
  })

  yield* book.check("a program of its user compiles to JavaScript", own.name, emit())
  const ownSettings = Project.settingsOf([true, false], [true, false])
  const few = ownSettings.filter(
    ({ exactOptionalPropertyTypes: isExact, moduleResolution, skipLibCheck }) =>
      isExact && moduleResolution === (skipLibCheck ? "bundler" : "node16")
  )
  yield* book.check(
    options.quick
      ? "types: node16 with the libraries checked, bundler without"
      : "types: node16, nodenext, bundler; libraries checked or not; exact or not",
    own.name,
    types(own, options.quick ? few : ownSettings)
  )
  yield* book.check(
    "private modules cannot be imported",
    `${own.name}, Node ${process.versions.node}`,
    isPrivate(core, own)
  )
  yield* book.check(
    "a module without its driver says which",
    Tools.thisNode.name,
    Effect.map(evaluate(core, `await import("effect-pool/Postgres")`), (ended) =>
      expecting("Cannot find package '@effect/sql-pg'", false, ended)
    )
  )
  yield* book.check("sideEffects is true", Tools.thisNode.name, isQuiet(all))
  yield* book.check("works bundled and minified", `rolldown ${versionOf("rolldown")}`, bundleWorks(core, all))
  yield* book.check(
    options["write-sizes"] ? "sizes, written to docs/package.md" : "sizes are those of docs/package.md",
    `rolldown ${versionOf("rolldown")}`,
    sizes(all, tarball)
  )

  const command = path.join("node_modules", "effect-pool", "dist", "cli", "main.js")
  const question = ["advise", "--arrival-rate", "200", "--hold-p50", "5ms"]
  const runs = Effect.fnUntraced(function* (tool: Tools.Tool) {
    return [
      ...(yield* service(core, tool)),
      ...(yield* subpaths(all, tool)),
      ...(tool.name.startsWith("Node") ? yield* isRequired(all, tool) : []),
      ...expecting("maxConnections 3", true, yield* Project.call(tool, [command, ...question], { cwd: all.folder })),
      ...expecting(
        "needs @effect/platform-node, which is not installed here",
        false,
        yield* Project.call(tool, [command, ...question], { cwd: core.folder })
      )
    ]
  })
  const running = "runs: pool, every entry, command, command without its peer"
  yield* book.check(running, Tools.thisNode.name, runs(Tools.thisNode))
  yield* book.check(
    "npx effect-pool advise",
    npmName,
    Effect.map(run("npx", ["effect-pool", ...question], { cwd: all.folder }), (ended) =>
      expecting("maxConnections 3", true, ended)
    )
  )

  if (options.quick) return book

  for (const version of Tools.nodes) {
    yield* book.check(running, `Node ${version}`, Effect.flatMap(Tools.node(tools, version), runs))
  }
  yield* book.check(running, `Bun ${Tools.runtimes.bun}`, Effect.flatMap(Tools.bun(tools), runs))
  yield* book.check(running, `Deno ${Tools.runtimes.deno}`, Effect.flatMap(Tools.deno(tools), runs))
  yield* book.check(
    "an old Node is told so by the command",
    "Node 18.20.8",
    Effect.flatMap(Tools.node(tools, "18.20.8"), (tool) =>
      Effect.map(Project.call(tool, [command, "advise"], { cwd: all.folder }), (ended) =>
        expecting("needs Node 20.19 or newer, and this is Node 18.20.8.", false, ended)
      )
    )
  )

  for (const version of Tools.compilers) {
    const reads = version >= Tools.oldestThatReadsEffect
    yield* book.check(
      reads ? "types: node16, bundler; libraries checked or not" : "types: node16, bundler; libraries not checked",
      `TypeScript ${version}`,
      Effect.flatMap(Tools.compiler(tools, version), (compiler) =>
        types(compiler, Project.settingsOf([true], reads ? [true, false] : [true]))
      )
    )
  }

  const asUsual = (project: Project.Project) =>
    Effect.gen(function* () {
      const said = complaint(
        yield* Project.compile(project, own, ["service"], {
          ...nodenext,
          moduleResolution: "node16",
          skipLibCheck: false
        })
      )
      return [...said, ...(yield* service(project, Tools.thisNode))]
    })
  const folder = (name: string) => path.join(work, `by-${name}`)
  yield* book.check(
    "installs, compiles, runs in an empty project",
    `pnpm ${Tools.managers.pnpm}`,
    Effect.gen(function* () {
      const tool = yield* Tools.manager(tools, "pnpm")
      const own = { XDG_CACHE_HOME: path.join(work, "pnpm-cache"), XDG_STATE_HOME: path.join(work, "pnpm-state") }
      return yield* managed(
        folder("pnpm"),
        core,
        tool,
        ["install", "--store-dir", path.join(work, "pnpm-store")],
        own,
        asUsual
      )
    })
  )
  yield* book.check(
    "installs, compiles, runs in an empty project",
    `yarn ${Tools.managers.yarn}`,
    Effect.gen(function* () {
      const tool = yield* Tools.manager(tools, "yarn")
      return yield* managed(
        folder("yarn"),
        core,
        tool,
        ["install", "--cache-folder", path.join(work, "yarn-cache")],
        {},
        asUsual
      )
    })
  )
  const registry = (yield* run("npm", ["config", "get", "registry"], { cwd: work })).stdout.trim()
  const berry = {
    YARN_ENABLE_TELEMETRY: "0",
    YARN_GLOBAL_FOLDER: path.join(work, "berry"),
    YARN_NPM_REGISTRY_SERVER: registry.replace(/\/$/, ""),
    // A fresh project has no lock file to be held to, on a build server as well.
    YARN_ENABLE_IMMUTABLE_INSTALLS: "false"
  }
  const yarn = Tools.managers["@yarnpkg/cli-dist"]
  yield* book.check(
    "installs, compiles, runs in an empty project",
    `yarn ${yarn}, node-modules`,
    Effect.gen(function* () {
      const tool = yield* Tools.manager(tools, "@yarnpkg/cli-dist")
      return yield* managed(
        folder("berry"),
        core,
        tool,
        ["install"],
        { ...berry, YARN_NODE_LINKER: "node-modules" },
        asUsual
      )
    })
  )
  yield* book.check(
    "installs, runs in an empty project",
    `yarn ${yarn}, Plug'n'Play`,
    Effect.gen(function* () {
      const tool = yield* Tools.manager(tools, "@yarnpkg/cli-dist")
      const inside: Tools.Tool = { name: tool.name, command: [...tool.command, "node"] }
      return yield* managed(folder("pnp"), core, tool, ["install"], berry, (project) =>
        service(project, inside, "out/service.js", berry)
      )
    })
  )
  book.notRun(
    "compiles in an empty project",
    `yarn ${yarn}, Plug'n'Play`,
    "TypeScript does not read its map of packages without a patch"
  )
  return book
})

const tried = Effect.gen(function* () {
  const book = yield* program
  yield* Console.log(`\n${book.table}\n`)
  yield* Console.log(`${book.count("good")} good, ${book.count("FAILED")} failed, ${book.count("not run")} not run`)
  if (book.count("FAILED") > 0) process.exitCode = 1
})

NodeRuntime.runMain(Effect.scoped(tried))
