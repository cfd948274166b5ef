/** A page as its reader takes it: what is to be written down, typed and done, and what is to be seen, in order. */

export interface Step {
  /** The line of the page. */
  readonly line: number
  readonly what:
    | { readonly _tag: "File"; readonly name: string; readonly text: string }
    /** The output is that of the last command; the page may not show it. */
    | { readonly _tag: "Commands"; readonly commands: ReadonlyArray<string>; readonly output: Shown | undefined }
    /** What the running program has said. */
    | { readonly _tag: "Log"; readonly shown: Shown }
    /** A page to be opened in a browser. */
    | { readonly _tag: "Open"; readonly url: string }
    /** A sentence in bold at the beginning of a paragraph. */
    | { readonly _tag: "Action"; readonly sentence: string }
}

/** An output as the page shows it. */
export interface Shown {
  readonly id: string
  readonly line: number
  readonly text: string
}

interface Block {
  readonly line: number
  readonly kind: string
  readonly text: string
}

/** Code blocks, and the paragraphs between them. */
const blocksOf = (page: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  let kind: string | undefined = undefined
  let lines: Array<string> = []
  let first = 1
  const end = (next: number): void => {
    if (kind !== undefined || lines.length > 0) {
      blocks.push({ line: first, kind: kind ?? "prose", text: lines.join("\n") })
    }
    kind = undefined
    lines = []
    first = next
  }
  for (const [index, line] of page.split("\n").entries()) {
    const number = index + 1
    if (kind === undefined && line.startsWith("```")) {
      end(number)
      kind = line.slice(3)
    } else if (kind !== undefined && line === "```") end(number + 1)
    else if (kind === undefined && line.trim() === "") end(number + 1)
    else lines.push(line)
  }
  end(0)
  return blocks
}

/** A paragraph that is nothing but a file's name announces the block below it. */
const announcedBy = (block: Block | undefined): string | undefined =>
  block?.kind === "prose" ? /^`([\w./-]+)`:$/.exec(block.text)?.[1] : undefined

const fileName = (block: Block, above: Block | undefined): string | undefined =>
  block.kind === "ts" ? /^\/\/ (\S+\.ts)\n/.exec(block.text)?.[1] : announcedBy(above)

const shownBy = (block: Block): Shown | undefined => {
  const id = /^text run=([\w-]+)$/.exec(block.kind)?.[1]
  return id === undefined ? undefined : { id, line: block.line, text: block.text }
}

const isLog = (shown: Shown): boolean => shown.id.endsWith("-log")

export const read = (page: string): ReadonlyArray<Step> => {
  const blocks = blocksOf(page)
  return blocks.flatMap((block, index): ReadonlyArray<Step> => {
    const { kind, line, text } = block
    const name = fileName(block, blocks[index - 1])
    if (name !== undefined) return [{ line, what: { _tag: "File", name, text } }]
    if (kind === "sh") {
      const next = blocks.slice(index + 1).find((below) => below.kind !== "prose")
      const output = next && shownBy(next)
      const commands = text.split("\n")
      return [{ line, what: { _tag: "Commands", commands, output: output && isLog(output) ? undefined : output } }]
    }
    if (kind === "prose") {
      const sentence = /^\*\*([^*]+\.)\*\*/.exec(text)?.[1]
      const action: ReadonlyArray<Step> = sentence === undefined ? [] : [{ line, what: { _tag: "Action", sentence } }]
      const links = Array.from(text.matchAll(/<(https?:[^>]+)>/g), ([, url]) => url!)
      return action.concat(links.map((url): Step => ({ line, what: { _tag: "Open", url } })))
    }
    const shown = shownBy(block)
    return shown !== undefined && isLog(shown) ? [{ line, what: { _tag: "Log", shown } }] : []
  })
}

/** The outputs that no step compares: each must stand below a command, or be of the running program. */
export const orphans = (page: string, steps: ReadonlyArray<Step>): ReadonlyArray<Shown> => {
  const compared = new Set(
    steps.flatMap(({ what }) => {
      if (what._tag === "Log") return [what.shown.id]
      return what._tag === "Commands" && what.output !== undefined ? [what.output.id] : []
    })
  )
  return blocksOf(page).flatMap((block) => {
    const shown = shownBy(block)
    return shown === undefined || compared.has(shown.id) ? [] : [shown]
  })
}
