/**
 * The documentation as its checks see it: the Markdown pages and the docstrings of the sources, with their code blocks, headings and links.
 *
 * What the word after a block's language means stands in `docs/inside.md`; the checks are in `test/docs`.
 */
import { marked, type MarkedToken } from "marked"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface CodeBlock {
  /** The file and the line where the block begins. */
  readonly place: string
  readonly language: string
  /** What stands after the language: `wrong`, `output`, `error`, `run=<id>`, or nothing. */
  readonly role: string
  readonly code: string
}

export interface Link {
  readonly href: string
  readonly text: string
}

export interface DocPage {
  /** From the root of the repository. */
  readonly file: string
  readonly text: string
  readonly blocks: ReadonlyArray<CodeBlock>
  readonly headings: ReadonlyArray<string>
  readonly links: ReadonlyArray<Link>
  /** What stands in backquotes. */
  readonly codeSpans: ReadonlyArray<string>
}

const filesBelow = (folder: string, ending: string): ReadonlyArray<string> => {
  if (!fs.existsSync(path.join(root, folder))) return []
  return fs
    .readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
    .map((name) => path.join(folder, name))
    .sort()
}

const tokensOf = (text: string): ReadonlyArray<MarkedToken> => {
  const tokens: Array<MarkedToken> = []
  void marked.walkTokens(marked.lexer(text), (token) => void tokens.push(token as MarkedToken))
  return tokens
}

/** The lines on which a fenced block begins. */
const fences = (text: string): ReadonlyArray<number> => {
  const lines = text.split("\n").flatMap((line, index) => (/^\s*(```|~~~)/.test(line) ? [index] : []))
  return lines.filter((_, index) => index % 2 === 0)
}

const read = (file: string, text: string, firstLine = 1): DocPage => {
  const tokens = tokensOf(text)
  const blocks = tokens.filter((token) => token.type === "code" && token.codeBlockStyle === undefined)
  const lines = fences(text)
  return {
    file,
    text,
    blocks: blocks.map((token, index) => {
      const [language = "", ...role] = ("lang" in token ? (token.lang ?? "") : "").split(" ")
      return {
        place: `${file}:${(lines[index] ?? 0) + firstLine}`,
        language,
        role: role.join(" "),
        code: "text" in token ? `${token.text}\n` : ""
      }
    }),
    headings: tokens.flatMap((token) => (token.type === "heading" ? [token.text] : [])),
    links: tokens.flatMap((token) =>
      token.type === "link" || token.type === "image" ? [{ href: token.href, text: token.text }] : []
    ),
    codeSpans: tokens.flatMap((token) => (token.type === "codespan" ? [token.text] : []))
  }
}

const readFile = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

/** Pages written by hand. `docs/reference` is made from the docstrings, which stand below. */
export const docPages: ReadonlyArray<DocPage> = [
  "README.md",
  "CHANGELOG.md",
  ...filesBelow("docs", ".md").filter((file) => !file.startsWith("docs/reference/")),
  ...filesBelow(".github", ".md")
].map((file) => read(file, readFile(file)))

/** A docstring's lines without their ` * `. */
const uncommented = (text: string): string => text.replaceAll(/^ *\* ?/gm, "")

/** Docstrings that have a code block, each as a page of its own. */
export const docstrings: ReadonlyArray<DocPage> = filesBelow("src", ".ts").flatMap((file) => {
  const source = readFile(file)
  return [...source.matchAll(/^ *\/\*\*\n([\s\S]*?)^ *\*\/$/gm)]
    .filter(([, text]) => text!.includes("```"))
    .map((match) => read(file, uncommented(match[1]!), source.slice(0, match.index).split("\n").length + 1))
})

export interface DocExample {
  readonly place: string
  readonly code: string
  /** A block that defines `program` is run. */
  readonly definesProgram: boolean
  /** The text after the last `// =>`: what the program gives. */
  readonly expected: string | undefined
  /** The block of output below it. */
  readonly output: string | undefined
}

export interface WrongExample {
  readonly place: string
  readonly code: string
  /** What the compiler says. */
  readonly error: string | undefined
}

/** The block of this role that stands below a block, before the next one of its language. */
const followedBy = (blocks: ReadonlyArray<CodeBlock>, index: number, role: string): string | undefined => {
  const following = blocks[index + 1]
  return following?.language === "text" && following.role === role ? following.code : undefined
}

const everywhere = [...docPages, ...docstrings]

/** The files of the quick start import one another: `test/docs/QuickStart.test.ts` compiles them, `npm run first-hour` runs them. */
const isFileOfQuickStart = ({ code, place }: CodeBlock): boolean =>
  place.startsWith("docs/quick-start.md:") && /^\/\/ \S+\.ts\n/.test(code)

export const docExamples: ReadonlyArray<DocExample> = everywhere.flatMap(({ blocks }) =>
  blocks.flatMap((block, index) => {
    const { code, language, place, role } = block
    return language === "ts" && role === "" && !isFileOfQuickStart(block)
      ? [
          {
            place,
            code,
            definesProgram: /^const program\b/m.test(code),
            expected: [...code.matchAll(/\/\/ => (.*)$/gm)].at(-1)?.[1],
            output: followedBy(blocks, index, "output")
          }
        ]
      : []
  })
)

export const wrongExamples: ReadonlyArray<WrongExample> = everywhere.flatMap(({ blocks }) =>
  blocks.flatMap(({ code, language, place, role }, index) =>
    language === "ts" && role === "wrong" ? [{ place, code, error: followedBy(blocks, index, "error") }] : []
  )
)

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)

/** Whether a text is what a page says, line by line, where `…` on the page stands for anything. */
export const matches = (text: string, page: string): boolean => {
  const lines = page.trimEnd().split("\n")
  const pattern = lines.map((line) => line.trimEnd().split("…").map(escaped).join(".*")).join("\n")
  const said = text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
  // A line that is nothing but the sign stands for any number of lines.
  return new RegExp(`^${pattern.replaceAll(/^\.\*$/gm, String.raw`[\s\S]*?`)}$`).test(said)
}
