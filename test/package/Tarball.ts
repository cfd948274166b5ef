/** What `npm pack` makes: what is in it, and what npm, publint and attw say of it. */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { isDeepStrictEqual } from "node:util"
import * as Effect from "effect/Effect"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import * as Contents from "./Contents.ts"
import { run } from "./Run.ts"

/** This file is compiled into `.build/test/package`. */
export const root = fileURLToPath(new URL("../../..", import.meta.url))

export const filesBelow = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll("\\", "/"))

export interface Tarball {
  readonly file: string
  readonly files: ReadonlyArray<string>
  readonly packedSize: number
  readonly unpackedSize: number
}

export const pack = Effect.fnUntraced(function* (folder: string) {
  const { output, status, stdout } = yield* run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root })
  if (status !== 0) return yield* Effect.die(new Error(`npm pack failed\n${output}`))
  // An older npm prints what `prepack` says before its own answer.
  const [packed] = JSON.parse(stdout.slice(stdout.search(/^\[/m))) as [
    { filename: string; files: ReadonlyArray<{ path: string }>; size: number; unpackedSize: number }
  ]
  const tarball: Tarball = {
    file: path.join(folder, packed.filename),
    files: packed.files.map((file) => file.path),
    packedSize: packed.size,
    unpackedSize: packed.unpackedSize
  }
  return tarball
})

interface Manifest extends Contents.Manifest {
  readonly sideEffects: ReadonlyArray<string>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

export const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as Manifest

export const versionOf = (name: string): string =>
  (JSON.parse(fs.readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8")) as { version: string })
    .version

export const contents = ({ files }: Tarball) =>
  Effect.sync(() =>
    Contents.problemsOf({
      files,
      manifest,
      sources: filesBelow(path.join(root, "src"))
        .filter((file) => file.endsWith(".ts"))
        .map((file) => `src/${file}`)
    })
  )

export const publintSays = ({ file }: Tarball) =>
  Effect.promise(async () => {
    const bytes = fs.readFileSync(file)
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
    const { messages, pkg } = await publint({ pack: { tarball }, level: "suggestion" })
    return messages.map((message) => formatMessage(message, pkg, { color: false }) ?? message.code)
  })

/** npm corrects what it does not like when it publishes; then what is published is not what was tried. */
export const npmCorrects = Effect.fnUntraced(function* (work: string) {
  const folder = path.join(work, "manifest")
  fs.mkdirSync(folder)
  fs.copyFileSync(path.join(root, "package.json"), path.join(folder, "package.json"))
  const { output, status } = yield* run("npm", ["pkg", "fix"], { cwd: folder })
  if (status !== 0) return output.trim().split("\n")
  const corrected = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8")) as Readonly<
    Record<string, unknown>
  >
  const names = new Set([...Object.keys(manifest), ...Object.keys(corrected)])
  return [...names]
    .filter((name) => !isDeepStrictEqual(corrected[name], (manifest as object as Record<string, unknown>)[name]))
    .map((name) => `npm would correct "${name}": ${JSON.stringify(corrected[name])}`)
})

export const attwSays = Effect.fnUntraced(function* ({ file }: Tarball) {
  const program = path.join(root, "node_modules", "@arethetypeswrong", "cli", "dist", "index.js")
  const { output, status } = yield* run(
    process.execPath,
    [program, file, "--profile", "esm-only", "--format", "table-flipped", "--no-color"],
    { cwd: root }
  )
  return status === 0 ? [] : output.trim().split("\n")
})
