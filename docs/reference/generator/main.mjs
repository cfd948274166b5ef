// Writes the pages of docs/reference from the docstrings in src, or, with `--check`, says which of them are not as src has it.
//
// TypeDoc reads the sources: modules, docstrings, categories, links, and what is missing. `Signatures.mjs` says how each thing is declared,
// `Pages.mjs` writes it down. The pages hold nothing that a change elsewhere would move: no lines, no dates, no addresses.
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { readSources } from "./Sources.mjs"
import { pagesOf } from "./Pages.mjs"

const folder = fileURLToPath(new URL("..", import.meta.url))
const root = path.join(folder, "..", "..")

const read = (file) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : undefined)

/** What was written before, by name. The generator and its packages are no pages. */
const pagesThere = () =>
  fs
    .readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll(path.sep, "/"))
    .filter((name) => name.endsWith(".md") && !name.startsWith("generator/"))

const sources = await readSources(root)
const pages = await pagesOf(sources)
for (const problem of sources.problems) console.error(`reference: ${problem}`)
const stale = [
  ...[...pages].filter(([name, text]) => read(path.join(folder, name)) !== text).map(([name]) => name),
  ...pagesThere().filter((name) => !pages.has(name))
].sort((one, other) => (one < other ? -1 : 1))

if (process.argv.includes("--check")) {
  for (const name of stale)
    console.error(`reference: docs/reference/${name} is not what src says. Run: npm run reference`)
} else {
  for (const name of stale) {
    const file = path.join(folder, name)
    const text = pages.get(name)
    if (text === undefined) fs.rmSync(file)
    else {
      fs.mkdirSync(path.dirname(file), { recursive: true })
      fs.writeFileSync(file, text)
    }
  }
}

const size = [...pages.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0)
console.log(`reference: ${pages.size} pages, ${Math.round(size / 1000)} kB, ${stale.length} of them stale`)
const isStale = process.argv.includes("--check") && stale.length > 0
process.exitCode = isStale || sources.problems.size > 0 ? 1 : 0
