/** The parts of a picture, as SVG. */

/** From a value to its place, and the values that are written beside the axis. */
export interface Scale {
  readonly at: (value: number) => number
  readonly ticks: ReadonlyArray<{ readonly value: number; readonly label: string }>
}

const colours = {
  light: ["#0969da", "#bc4c00", "#8250df", "#1a7f37"],
  dark: ["#58a6ff", "#f0883e", "#bc8cff", "#3fb950"]
}

/** A line can be told from the others without its colour. */
const dashes = ["none", "7 3", "2 3", "10 3 2 3"]

const policyStyles = (of: ReadonlyArray<string>): string =>
  of
    .map((colour, index) => `.line.policy${index} { stroke: ${colour} } .area.policy${index} { fill: ${colour} }`)
    .join(" ")

const style = [
  "text { fill: #1f2328; font-size: 12px } .title { font-size: 17px; font-weight: 600 } .heading { font-weight: 600 }",
  ".note, .tick { fill: #59636e; font-size: 11px } .end { text-anchor: end } .middle { text-anchor: middle }",
  ".paper { fill: #ffffff } .grid { stroke: #d1d9e0 } .axis { stroke: #59636e }",
  ".mark { stroke: #59636e; stroke-dasharray: 3 3 } .area { fill-opacity: 0.12; stroke: none }",
  ".line { fill: none; stroke-width: 1.8; stroke-linejoin: round } .line.rate { stroke: #818b98; stroke-width: 1 }",
  dashes.map((dash, index) => `.line.policy${index} { stroke-dasharray: ${dash} }`).join(" "),
  policyStyles(colours.light),
  "@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .note, .tick { fill: #9198a1 } .paper { fill: #0d1117 }",
  ".grid { stroke: #30363d } .axis, .mark { stroke: #9198a1 } .line.rate { stroke: #9198a1 }",
  `${policyStyles(colours.dark)} }`
].join("\n")

export const svg = (width: number, height: number, title: string, parts: ReadonlyArray<string>): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>\n${style}\n</style>`,
    `<rect class="paper" width="${width}" height="${height}"/>`,
    ...parts,
    "</svg>",
    ""
  ].join("\n")

export const text = (x: number, y: number, words: string, kind: string): string =>
  `<text class="${kind}" x="${short(x)}" y="${short(y)}">${escaped(words)}</text>`

export const line = (x1: number, y1: number, x2: number, y2: number, kind: string): string =>
  `<line class="${kind}" x1="${short(x1)}" y1="${short(y1)}" x2="${short(x2)}" y2="${short(y2)}"/>`

/** A line through some points; filled down to `floor`, if there is one. */
export const track = (
  points: ReadonlyArray<readonly [number, number]>,
  kind: string,
  floor: number | undefined
): string => {
  const all =
    floor === undefined || points.length === 0
      ? points
      : [[points[0]![0], floor], ...points, [points.at(-1)![0], floor]]
  const tag = floor === undefined ? "polyline" : "polygon"
  return `<${tag} class="${kind}" points="${all.map(([x, y]) => `${short(x!)},${short(y!)}`).join(" ")}"/>`
}

const short = (value: number): string => String(Math.round(value * 10) / 10)

/** What means something in XML; characters that must not be in it at all are shown as unknown. */
const escaped = (words: string): string =>
  words
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    // oxlint-disable-next-line no-control-regex -- exactly those are meant
    .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]|\p{Cs}/gu, "\uFFFD")
