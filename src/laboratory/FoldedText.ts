/** A text in lines of so many characters, cut between words. */
export const foldedText = (words: string, length: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of words.split(/\s+/).filter((word) => word !== "")) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= length) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
