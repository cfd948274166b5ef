/**
 * The code blocks of the documentation: fenced `ts` blocks of Markdown files, and of the docstrings in the sources.
 *
 * A block that defines `program` is run; `// =>` on its last line that has one says what the program gives.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface DocExample {
  /** The file and the line where the block begins. */
  readonly place: string
  readonly code: string
  readonly definesProgram: boolean
  /** The text after the last `// =>`. */
  readonly expected: string | undefined
}

const filesBelow = (folder: string, ending: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => path.join(folder, name))

/** A docstring's lines without their ` * `. */
const uncommented = (text: string): string => text.replaceAll(/^ *\* ?/gm, "")

const blocksOf = (file: string): ReadonlyArray<DocExample> => {
  const text = fs.readFileSync(path.join(root, file), "utf8")
  return [...text.matchAll(/^( *\* )?```ts\n([\s\S]*?)^( *\* )?```$/gm)].map((match) => {
    const code = match[1] === undefined ? (match[2] ?? "") : uncommented(match[2] ?? "")
    return {
      place: `${file}:${text.slice(0, match.index).split("\n").length}`,
      code,
      definesProgram: /^const program\b/m.test(code),
      expected: [...code.matchAll(/\/\/ => (.*)$/gm)].at(-1)?.[1]
    }
  })
}

export const docExamples: ReadonlyArray<DocExample> = [
  "README.md",
  ...filesBelow("docs", ".md"),
  ...filesBelow("src", ".ts")
].flatMap(blocksOf)
