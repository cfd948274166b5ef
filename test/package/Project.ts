/** Somebody's empty project: made, filled by a package manager, compiled, and run. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { type Ended, type Options, run } from "./Run.ts"
import type { Tool } from "./Tools.ts"

/** What stands in `test/package/consumer`. */
export type Program = "service" | "subpaths"

export interface Project {
  readonly folder: string
  readonly dependencies: Readonly<Record<string, string>>
}

/** An empty folder with a manifest, and the programs of somebody who uses the package. */
export const make = (
  folder: string,
  consumer: string,
  programs: ReadonlyArray<Program>,
  dependencies: Readonly<Record<string, string>>
): Project => {
  fs.mkdirSync(folder, { recursive: true })
  const manifest = { name: "consumer", version: "1.0.0", private: true, type: "module", dependencies }
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify(manifest, null, 2))
  for (const program of programs)
    fs.copyFileSync(path.join(consumer, `${program}.ts`), path.join(folder, `${program}.ts`))
  return { folder, dependencies }
}

export const call = (
  { command: [program, ...first] }: Tool,
  args: ReadonlyArray<string>,
  options: Options
): Effect.Effect<Ended> => run(program, [...first, ...args], options)

export interface Settings {
  readonly moduleResolution: "node16" | "nodenext" | "bundler"
  readonly skipLibCheck: boolean
  readonly exactOptionalPropertyTypes: boolean
}

export const settingsOf = (exact: ReadonlyArray<boolean>, skip: ReadonlyArray<boolean>): ReadonlyArray<Settings> =>
  (["node16", "nodenext", "bundler"] as const).flatMap((moduleResolution) =>
    skip.flatMap((skipLibCheck) =>
      exact.map((exactOptionalPropertyTypes) => ({ moduleResolution, skipLibCheck, exactOptionalPropertyTypes }))
    )
  )

/** Compiles programs of a project, into `out` where nothing is told otherwise. Answers what the compiler said. */
export const compile = Effect.fnUntraced(function* (
  { folder }: Project,
  compiler: Tool,
  programs: ReadonlyArray<string>,
  { exactOptionalPropertyTypes, moduleResolution, skipLibCheck }: Settings,
  emits = false
) {
  const name = `tsconfig.${moduleResolution}.${skipLibCheck}.${exactOptionalPropertyTypes}.json`
  const settings = {
    compilerOptions: {
      target: "es2022",
      // Effect's own types name what a browser has.
      lib: ["es2022", "dom", "dom.iterable"],
      module: moduleResolution === "bundler" ? "esnext" : moduleResolution,
      moduleResolution,
      strict: true,
      skipLibCheck,
      exactOptionalPropertyTypes,
      types: programs.includes("subpaths") ? ["node"] : [],
      noEmit: !emits,
      outDir: "out"
    },
    files: programs.map((program) => `${program}.ts`)
  }
  fs.writeFileSync(path.join(folder, name), JSON.stringify(settings, null, 2))
  const { output, status } = yield* call(compiler, ["-p", name], { cwd: folder })
  return status === 0 ? "" : output.trim()
})
