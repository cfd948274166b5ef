// The pages: one for each module, with its parts by category, and an index.
import ts from "typescript"
import { makeComments } from "./Comments.mjs"
import { makeLayout } from "./Layout.mjs"
import { makeLinks } from "./Links.mjs"
import { capital, codeBlock, firstSentence, relative, table } from "./Markdown.mjs"
import { makeSignatures } from "./Signatures.mjs"

export const pagesOf = async (sources) => {
  const { problems } = sources
  const comments = makeComments(sources)
  const { categoryOf, commentsOf, sinceOf } = comments
  const layout = makeLayout(sources, comments, makeSignatures(sources))
  const { layouts, placeOf, places } = layout
  const { linkByName, linkTo, markdownOf } = makeLinks(sources, layout)
  const isInCore = ({ name, parent }) => parent === undefined && sources.modules[0].symbol.exports.has(name)

  const textOf = (symbol, page) =>
    commentsOf(symbol)
      .map(({ summary }) => markdownOf(summary, page, placeOf(symbol)))
      .filter((text) => text !== "")
      .join("\n\n")

  const summaryOf = (symbol, page) => firstSentence(textOf(symbol, page))

  /** The errors in a signature, in the order in which the pages have them. */
  const failuresText = (failures, page) => {
    const known = failures.filter(({ isParameter }) => !isParameter)
    if (known.length === 0) return []
    const position = ({ symbol }) => places.indexOf(placeOf(symbol))
    const links = known
      .sort((one, other) => position(one) - position(other) || (one.name < other.name ? -1 : 1))
      .map(({ name, symbol }) =>
        placeOf(symbol) === undefined ? `\`${name}\`` : linkTo(placeOf(symbol), page, `\`${name}\``)
      )
    const others = known.length < failures.length ? ", and what is passed in fails with its own" : ""
    return [`**Fails with** ${links.join(", ")}${others}.`]
  }

  /** Types that cannot be imported stand beside what uses them first; `shown` says where that was. */
  const besidesText = async (unnamed, place, page, shown) => {
    const here = unnamed.filter(({ name }) => !shown.has(name))
    const before = unnamed
      .filter(({ name }) => shown.has(name))
      .map(({ name }) => linkTo(shown.get(name), page, `\`${name}\``))
    for (const { name } of here) shown.set(name, place)
    return [
      ...(here.length > 0 ? ["where", await codeBlock(here.map(({ text }) => text))] : []),
      ...(before.length > 0 ? [`where ${before.join(", ")} as above`] : [])
    ]
  }

  const entryText = async (entry, page, sinceOfModule, shown) => {
    const { name, place, signature, symbol } = entry
    const text = textOf(symbol, page)
    const since = sinceOf(entry)
    if (text === "") problems.add(`${page}: ${name} has no docstring`)
    if (since === undefined) problems.add(`${page}: ${name} has no @since`)
    if (!name.includes(".") && categoryOf(entry) === undefined) problems.add(`${page}: ${name} has no @category`)
    const failures = new Set(signature.failures.map((one) => one.symbol))
    const mentioned = signature.mentioned.filter((one) => !failures.has(one)).flatMap((one) => placeOf(one) ?? [])
    const see = commentsOf(symbol).flatMap((one) => one.getTags("@see"))
    return [
      `### ${name}`,
      await codeBlock(signature.texts),
      ...(await besidesText(signature.unnamed, place, page, shown)),
      ...(text === "" ? [] : [text]),
      ...failuresText(signature.failures, page),
      ...see.map(({ content }) => `**See** ${markdownOf(content, page, place)}`),
      ...(mentioned.length > 0
        ? [`**In the signature** ${mentioned.map((one) => linkByName(one, page)).join(", ")}`]
        : []),
      ...(since !== undefined && since !== sinceOfModule ? [`Since ${since}.`] : [])
    ]
  }

  const importText = (module) => {
    const { entries, inner, name, parent, specifier } = module
    const values = entries.filter(({ symbol }) => symbol.flags & ts.SymbolFlags.Value)
    if (inner.length > 0)
      return `import { ${[...inner, ...values].map((one) => one.name).join(", ")} } from "${specifier}"`
    if (parent !== undefined) return `import { ${name} } from "${specifier}"`
    return isInCore(module) ? `import { ${name} } from "effect-pool"` : `import * as ${name} from "${specifier}"`
  }

  const pageText = async ({ module, page, sections, title }) => {
    const since = sinceOf(module)
    const inner = module.inner.map((one) => [`[\`${one.name}\`](${one.name}.md)`, summaryOf(one.symbol, page)])
    const names = sections.flatMap(({ category, entries }) => [
      [`**${capital(category)}**`, ""],
      ...entries.map(({ place, symbol }) => [linkByName(place, page), summaryOf(symbol, page)])
    ])
    const shown = new Map()
    const parts = []
    for (const { category, entries } of sections) {
      parts.push(`## ${capital(category)}`)
      for (const entry of entries) parts.push(...(await entryText(entry, page, since, shown)))
    }
    return [
      `# ${title}`,
      textOf(module.symbol, page),
      `\`\`\`ts\n${importText(module)}\n\`\`\``,
      ...(inner.length > 0 ? [table(["module", "what it holds"], inner)] : []),
      ...(names.length > 0 ? [table(["name", "what it is"], names)] : []),
      ...parts,
      `[All modules](${relative(page, "README.md")}). Written from the docstrings in src by \`npm run reference\`; everything here has been ` +
        `there since ${since}, unless it says otherwise.`
    ].join("\n\n")
  }

  const modulesTable = (some) =>
    table(
      ["module", "what it holds"],
      some.map(({ module, page, title }) => [`[\`${title}\`](${page})`, summaryOf(module.symbol, "README.md")])
    )

  const [index, ...others] = layouts
  const pages = new Map()
  for (const each of others) pages.set(each.page, `${await pageText(each)}\n`)
  pages.set(
    index.page,
    indexText(
      modulesTable(others.filter(({ module }) => isInCore(module))),
      modulesTable(others.filter(({ module }) => !isInCore(module)))
    )
  )
  return pages
}

const indexText = (core, others) => `# Reference

Every public name of \`effect-pool\`: how it is declared, what it does, what it fails with. One page for each module.

Modules of \`effect-pool\` itself, as in \`import { ConnectionPool } from "effect-pool"\`; each has a path of its own as well, such as
\`effect-pool/ConnectionPool\`:

${core}

Modules with an import path of their own, as in \`import * as Postgres from "effect-pool/Postgres"\`; some need a package more, and say which:

${others}

Below a signature, **Fails with** names the errors of the effect, read from its type, and **In the signature** leads to the types that it uses.
Types that cannot be imported stand beside what uses them, after *where*. A schema is shown with its type.

Durations are Effect's: where a signature says \`Duration.Input\`, \`"5 seconds"\`, \`Duration.seconds(5)\` and \`5000\` (milliseconds) are the same.
A number whose name ends in \`Millis\` is in milliseconds.

These pages are written from the docstrings in src by \`npm run reference\`: change them there. How the parts work together say the
[guides](../README.md).
`
