/** A line of a terminal: pieces of text, each in a tone, cut to the width before any colour is added. */
import type * as DateTime from "effect/DateTime"
import { cut, harmless, widthOf } from "./PlainText.ts"

/** What a piece means to whoever reads. A word or a sign beside it always says the same: not everybody sees colours. */
export type Tone = "good" | "warn" | "bad" | "dim" | "strong" | "reversed"

/** Text as it is, or in a tone. */
export type Piece = string | readonly [tone: Tone, text: string]

export type Line = ReadonlyArray<Piece>

/** How lines are drawn. Times of day are those of `zone`. */
export interface Style {
  readonly columns: number
  readonly hasColor: boolean
  readonly zone: DateTime.TimeZone
}

const codes: Readonly<Record<Tone, string>> = {
  good: "32",
  warn: "33",
  bad: "1;31",
  dim: "2",
  strong: "1",
  reversed: "7"
}

const textOf = (piece: Piece): string => (typeof piece === "string" ? piece : piece[1])

/** How many columns the line takes. */
export const lengthOf = (line: Line): number => line.reduce((sum, piece) => sum + widthOf(textOf(piece)), 0)

/** The line in at most that many columns: where it was longer, its last one is `…`. */
export const clip = (line: Line, columns: number): Line => {
  if (lengthOf(line) <= columns) return line
  const clipped: Array<Piece> = []
  let left = columns
  for (const piece of line) {
    const text = textOf(piece)
    const width = widthOf(text)
    // The piece that reaches the last column ends with the sign that something is missing.
    const shown = width >= left ? cut(`${text} `, left) : text
    clipped.push(typeof piece === "string" ? shown : [piece[0], shown])
    left -= width
    if (left <= 0) break
  }
  return clipped
}

/** The line in exactly that many columns. */
export const fill = (line: Line, columns: number): Line => {
  const clipped = clip(line, columns)
  return [...clipped, " ".repeat(Math.max(0, columns - lengthOf(clipped)))]
}

/** One line for a terminal. Whatever is in its pieces, it stays on its line, in its columns and without effect. */
export const draw = (line: Line, { columns, hasColor }: Pick<Style, "columns" | "hasColor">): string =>
  clip(line.map(tamed), columns)
    .map((piece) =>
      typeof piece === "string" || !hasColor || piece[1] === ""
        ? textOf(piece)
        : `\x1b[${codes[piece[0]]}m${piece[1]}\x1b[0m`
    )
    .join("")

const tamed = (piece: Piece): Piece => (typeof piece === "string" ? harmless(piece) : [piece[0], harmless(piece[1])])

/** Two lines side by side: the right one ends at the last column, where there is room for both. */
export const sides = (left: Line, right: Line, columns: number): Line => {
  const gap = columns - lengthOf(left) - lengthOf(right)
  return gap < 1 ? left : [...left, " ".repeat(gap), ...right]
}
