/**
 * The results as a picture: a bar for each contender, as long as ours is better.
 */
import type { ReportedSection } from "./Report.ts"

const width = 820
const nameWidth = 330
const barHeight = 16
const gap = 4
/** A bar of this length stands for this many times as good; what is longer is cut off, and says so. */
const longest = 6

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** An SVG with light and dark colours, as its reader has them. */
export const pictureOf = (sections: ReadonlyArray<ReportedSection>): string => {
  const parts: Array<string> = []
  let y = 24
  for (const { results, title } of sections) {
    parts.push(text(0, y, title, "title"))
    y += 26
    for (const { contest, entries } of results) {
      parts.push(text(0, y, contest, "contest"))
      y += 8
      for (const { contender, ratio } of entries.slice(1)) {
        parts.push(bar(y, contender, ratio))
        y += barHeight + gap
      }
      y += 22
    }
    y += 10
  }
  const unit = (width - nameWidth - 70) / longest
  parts.unshift(
    `<line class="one" x1="${nameWidth + unit}" y1="30" x2="${nameWidth + unit}" y2="${y}"/>`,
    text(nameWidth + unit + 4, 24, "as good as effect-pool", "note")
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" font-family="system-ui, sans-serif" role="img">`,
    "<title>How many times as good effect-pool is as the others</title>",
    "<style>",
    "text { fill: #1f2328; font-size: 12px } .title { font-size: 16px; font-weight: 600 } .contest { font-weight: 600 }",
    ".note { fill: #59636e; font-size: 11px } .ahead { fill: #1a7f37 } .behind { fill: #bc4c00 } .one { stroke: #59636e; stroke-dasharray: 3 3 }",
    "@media (prefers-color-scheme: dark) { text { fill: #f0f6fc } .note { fill: #9198a1 } }",
    "</style>",
    ...parts,
    "</svg>",
    ""
  ].join("\n")
}

const text = (x: number, y: number, words: string, kind: string): string =>
  `<text class="${kind}" x="${x}" y="${y}">${escaped(words)}</text>`

const bar = (y: number, contender: string, ratio: number): string => {
  const unit = (width - nameWidth - 70) / longest
  const length = Math.max(1, Math.min(ratio, longest) * unit)
  const label = `${ratio.toFixed(ratio < 10 ? 2 : 0)}x${ratio > longest ? " →" : ""}`
  return [
    text(12, y + 13, contender, "contender"),
    `<rect class="${ratio >= 1 ? "ahead" : "behind"}" x="${nameWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
    text(nameWidth + length + 6, y + 13, label, "figure")
  ].join("")
}
