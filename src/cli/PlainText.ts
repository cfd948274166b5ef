/** Text of others, made harmless and fitted to a terminal's columns. */

/** More of one name, span or error than this is nothing that anybody reads. */
const longest = 2000

/** What moves the cursor, colours, rings, reorders the line or cannot be seen. Private use is drawn as fonts please: harmless. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Many marks upon one letter run into the lines above and below. */
const heapedMarks = /(\p{M}{2})\p{M}+/gu

/** A picture in place of a control character (`␛` for escape): shown, as it tells that there was one, and without effect. */
const pictureOf = (character: string): string => {
  const code = character.codePointAt(0)!
  if (code < 0x20) return String.fromCodePoint(0x2400 + code)
  return code === 0x7f ? "\u2421" : "\ufffd"
}

/** The text without anything that a terminal would obey. */
export const harmless = (text: string): string => text.replaceAll(unseen, pictureOf).replaceAll(heapedMarks, "$1")

/** The same on one line, with single blanks, and no longer than anybody reads. */
export const plain = (text: string): string => {
  const head = text.length > longest ? `${text.slice(0, longest)}…` : text
  return harmless(head.replaceAll(/\s+/g, " ")).trim()
}

/** JSON that says the same, without the characters that JSON may have as they are and a terminal would obey. */
export const plainJson = (json: string): string =>
  json.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, place) => `\\u${character.charCodeAt(place).toString(16).padStart(4, "0")}`
    ).join("")
  )

/** East Asian wide and fullwidth letters, and pictures: two columns each. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u

const mark = /\p{Mn}|\p{Me}/u

/** A selector after a character asks for its picture, which some terminals draw in two columns. */
const columnsOf = (character: string): number => {
  if (character < "\u0300") return 1
  if (mark.test(character)) return 0
  return wide.test(character) ? 2 : 1
}

/** How many columns of a terminal the text takes. */
export const widthOf = (text: string): number => {
  let width = 0
  for (const character of text) width += columnsOf(character)
  return width
}

/** The text in at most that many columns: where it was longer, its last one is `…`. */
export const cut = (text: string, columns: number): string => {
  if (columns <= 0) return ""
  let width = 0
  let kept = ""
  let fitting = ""
  for (const character of text) {
    width += columnsOf(character)
    if (width > columns) return `${fitting.trimEnd()}…`
    kept += character
    if (width <= columns - 1) fitting = kept
  }
  return kept
}

/** Exactly that many columns: cut, or filled up with blanks. */
export const fit = (text: string, columns: number): string => {
  const shown = cut(text, columns)
  return shown + " ".repeat(Math.max(0, columns - widthOf(shown)))
}

/** Exactly that many columns, the text at their end. */
export const fitRight = (text: string, columns: number): string => {
  const shown = cut(text, columns)
  return " ".repeat(Math.max(0, columns - widthOf(shown))) + shown
}

/** Lines of at most that many columns, broken between words where there are any. */
export const wrap = (text: string, columns: number): ReadonlyArray<string> => {
  const most = Math.max(10, columns)
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ").flatMap((word) => pieces(word, most))) {
    if (line !== "" && widthOf(line) + 1 + widthOf(word) > most) {
      lines.push(line)
      line = word
    } else {
      line = line === "" ? word : `${line} ${word}`
    }
  }
  return line === "" ? lines : [...lines, line]
}

const pieces = (word: string, columns: number): ReadonlyArray<string> => {
  if (widthOf(word) <= columns) return [word]
  const parts: Array<string> = []
  let part = ""
  for (const character of word) {
    if (widthOf(part) + columnsOf(character) > columns) {
      parts.push(part)
      part = ""
    }
    part += character
  }
  return [...parts, part]
}
