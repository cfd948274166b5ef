/** Compares an output with what the page shows of it. `…` stands for anything on its line; alone on a line, for any lines. */

const escape = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)

const patternOf = (line: string): RegExp => new RegExp(`^${line.split("…").map(escape).join(".*")}$`)

const linesOf = (text: string): ReadonlyArray<string> => {
  const lines = text.split("\n").map((line) => line.trimEnd())
  while (lines[0] === "") lines.shift()
  while (lines.at(-1) === "") lines.pop()
  return lines
}

/** What differs, in words; nothing, if nothing does. A part of an output may have anything before and behind it. */
export const difference = (shown: string, output: string, is: "whole" | "part"): string | undefined => {
  const expected = linesOf(shown)
  const pattern = (is === "whole" ? expected : ["…", ...expected, "…"]).map((line) =>
    line === "…" ? undefined : patternOf(line)
  )
  const actual = linesOf(output)
  // For each line of the pattern, where what comes before it may have ended.
  let ends = new Set([0])
  for (const [index, line] of pattern.entries()) {
    const next = new Set<number>()
    for (const end of ends) {
      if (line === undefined) for (let at = end; at <= actual.length; at++) next.add(at)
      else if (end < actual.length && line.test(actual[end]!)) next.add(end + 1)
    }
    if (next.size === 0) return told(expected[is === "whole" ? index : index - 1] ?? "", actual, Math.min(...ends))
    ends = next
  }
  return ends.has(actual.length) ? undefined : told("(nothing more)", actual, Math.min(...ends))
}

/** With what stood where the line was looked for; of a long output, its end too. */
const told = (line: string, actual: ReadonlyArray<string>, at: number): string => {
  const from = Math.max(0, at - 2)
  const around = actual
    .flatMap((text, index) => ((index >= from && index < from + 12) || index >= actual.length - 12 ? [text] : []))
    .map((text) => `    | ${text}`)
  return [`the page says  ${line}`, "  what was seen:", ...(around.length === 0 ? ["    (nothing)"] : around)].join(
    "\n"
  )
}
