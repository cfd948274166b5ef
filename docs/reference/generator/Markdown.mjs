// Pieces of Markdown.
import { format } from "oxfmt"

const style = { printWidth: 100, semi: false, trailingComma: "none" }

/** A block of code, formatted as the sources are. */
export const codeBlock = async (declarations) => {
  const { code, errors } = await format("signature.ts", declarations.join("\n"), style)
  if (errors.length > 0) throw new Error(`${errors[0].message}:\n${declarations.join("\n")}`)
  return `\`\`\`ts\n${code.trim().replaceAll(/^declare /gm, "")}\n\`\`\``
}

export const table = (head, rows) =>
  `| ${head.join(" | ")} |\n|${"---|".repeat(head.length)}\n${rows.map(row).join("\n")}`

const row = (cells) => `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`

/** Anchors as GitHub makes them, of the headings of one page. */
export const slugger = () => {
  const seen = new Map()
  return (heading) => {
    const words = heading.toLowerCase().replaceAll(/[^\w\- ]/g, "")
    const slug = words.replaceAll(" ", "-")
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  }
}

export const capital = (word) => word[0].toUpperCase() + word.slice(1)

/** From one page to another; folders are one deep. */
export const relative = (from, to) => {
  const [folder, page] = to.split("/")
  if (!from.includes("/")) return to
  return from.split("/")[0] === folder && page !== undefined ? page : `../${to}`
}

/** What stands in a table for a docstring. */
export const firstSentence = (markdown) => {
  const paragraph = markdown.split(/\n\n|\n- /)[0].replaceAll("\n", " ")
  const sentence = /^.*?[^.\s]{2}\.(?= |$)/.exec(paragraph)?.[0] ?? paragraph
  const start = /^([^:(]|\([^)]*\))*:(?= |$)/.exec(sentence)?.[0]
  // Links are shorter to read than to write.
  const length = sentence.replaceAll(/\]\([^)]*\)/g, "]").length
  return (length > 110 && start !== undefined ? start : sentence).replace(/:$/, ".")
}
