/** What the package holds, and what it must not: the rule that the list of `npm pack` is held against. */

export interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly main: string
  readonly types: string
  readonly exports: Readonly<Record<string, string | null>>
}

export interface Packed {
  /** As `npm pack` lists them: with forward slashes, without a leading dot. */
  readonly files: ReadonlyArray<string>
  readonly manifest: Manifest
  /** The sources as they are in the repository now, from its top. */
  readonly sources: ReadonlyArray<string>
}

/** What always belongs. */
export const always = ["package.json", "README.md", "LICENSE", "CHANGELOG.md"]

/** What readers are sent to by the texts of errors and docstrings. */
const isPage = (file: string): boolean => /^docs\/(?!reference\/)[\w./-]+\.md$/.test(file)

const outputs = [".js", ".js.map", ".d.ts", ".d.ts.map"]

/** The source that a file of `dist` was compiled from. */
const sourceOf = (file: string): string | undefined => {
  const output = [...outputs].reverse().find((ending) => file.endsWith(ending))
  return output === undefined ? undefined : `src/${file.slice("dist/".length, -output.length)}.ts`
}

/** What is wrong with the list, a line each; nothing when it is right. */
export const problemsOf = ({ files, manifest, sources }: Packed): ReadonlyArray<string> => {
  const packed = new Set(files)
  const known = new Set(sources)
  const problems: Array<string> = []
  for (const file of always) if (!packed.has(file)) problems.push(`${file} is missing`)
  if (!packed.has("docs/errors.md")) problems.push("docs/errors.md, which errors point to, is missing")
  for (const file of files) {
    if (file.startsWith("dist/")) {
      const source = sourceOf(file)
      if (source === undefined) problems.push(`${file} is nothing that the compiler writes`)
      else if (!known.has(source)) problems.push(`${file} has no source: ${source} is not there (any more)`)
    } else if (file.startsWith("src/")) {
      if (!known.has(file)) problems.push(`${file} is not a source`)
    } else if (!always.includes(file) && !isPage(file)) problems.push(`${file} does not belong in the package`)
  }
  for (const source of sources) {
    const base = `dist/${source.slice("src/".length, -".ts".length)}`
    for (const file of [source, ...outputs.map((ending) => base + ending)]) {
      if (!packed.has(file)) problems.push(`${file} is missing`)
    }
  }
  const targets = [
    ...Object.entries(manifest.exports).map(([entry, target]) => [`exports["${entry}"]`, target] as const),
    ...Object.entries(manifest.bin).map(([name, target]) => [`bin.${name}`, target] as const),
    ["main", manifest.main] as const,
    ["types", manifest.types] as const
  ]
  for (const [place, target] of targets) {
    if (target !== null && !packed.has(target.replace(/^\.\//, ""))) {
      problems.push(`${place} is ${target}, which is missing`)
    }
  }
  return problems
}
