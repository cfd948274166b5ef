// The pages: one for each module, with its parts by category, and an index.
import { format } from "oxfmt"
import { ReflectionKind } from "typedoc"
import ts from "typescript"
import { makeSignatures } from "./Signatures.mjs"

/** What a reader comes for stands first; categories that are not here follow by name. */
const order = [
  "constructors",
  "classes",
  "services",
  "layers",
  "presets",
  "borrowing",
  "running",
  "asserting",
  "observing",
  "reporting",
  "controlling",
  "operating",
  "policies",
  "scenarios",
  "distributions",
  "drivers",
  "dialects",
  "models",
  "errors",
  "schemas",
  "apis",
  "middleware",
  "guards",
  "references",
  "accessors",
  "names",
  "constants"
]
const rank = (category) => (order.includes(category) ? order.indexOf(category) : order.length)

const style = { printWidth: 100, semi: false, trailingComma: "none" }

const formatted = async (code) => {
  const { code: text, errors } = await format("signature.ts", code, style)
  if (errors.length > 0) throw new Error(`${errors[0].message}:\n${code}`)
  return text.trim().replaceAll(/^declare /gm, "")
}

/** As GitHub makes them, of the headings of one page. */
const slugger = () => {
  const seen = new Map()
  return (heading) => {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-")
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  }
}

const isTypeOfSchema = (node) => ts.isTypeAliasDeclaration(node) && /^typeof \w+\.Type$/.test(node.type.getText())

const capital = (word) => word[0].toUpperCase() + word.slice(1)

/** Where a page lies, from the folder of another. */
const relative = (from, to) => {
  const up = "../".repeat(from.split("/").length - 1)
  return up === ""
    ? to
    : from.split("/")[0] === to.split("/")[0] && to.includes("/")
      ? to.split("/").slice(1).join("/")
      : up + to
}

const firstSentence = (markdown) => {
  const paragraph = markdown.split(/\n\n|\n- /)[0].replaceAll("\n", " ")
  const sentence = /^.*?[^.\s]{2}\.(?= |$)/.exec(paragraph)?.[0] ?? paragraph
  const start = /^([^:(]|\([^)]*\))*:(?= |$)/.exec(sentence)?.[0]
  // Links are shorter to read than to write.
  const length = sentence.replaceAll(/\]\([^)]*\)/g, "]").length
  return (length > 110 && start !== undefined ? start : sentence).replace(/:$/, ".")
}

const cell = (text) => text.replaceAll("|", "\\|")

export const pagesOf = async (sources) => {
  const { modules, project, reflectionsOf, symbols } = sources
  const { signatureOf } = makeSignatures(sources)

  const pageOf = ({ inner, name, parent }) =>
    parent !== undefined
      ? `${parent.name}/${name}.md`
      : name === ""
        ? "README.md"
        : inner.length > 0
          ? `${name}/README.md`
          : `${name}.md`

  /** The docstrings of a symbol: a type and its schema share a name, and each may have something to say. */
  const commentsOf = (symbol) => {
    const all = reflectionsOf.get(symbol) ?? []
    // Of a schema and its type, the schema's has all there is to say.
    const isOfSchema = all.length > 1 && symbol.declarations.some(isTypeOfSchema)
    const reflections = isOfSchema ? all.filter((one) => !one.kindOf(ReflectionKind.TypeAlias)) : all
    const comments = reflections
      .flatMap((one) => [one, one.signatures ?? [], one.type?.declaration?.signatures ?? []].flat())
      .flatMap(({ comment }) => comment ?? [])
    const said = comments.map(({ summary }) => summary.map(({ text }) => text).join(""))
    return comments.filter((_, index) => said.indexOf(said[index]) === index)
  }
  // TypeDoc takes the categories away once it has sorted by them.
  const categories = new Map()
  for (const reflection of Object.values(project.reflections)) {
    for (const { children, title } of reflection.categories ?? [])
      for (const child of children) categories.set(child, title)
    for (const group of reflection.groups ?? []) {
      for (const { children, title } of group.categories ?? [])
        for (const child of children) categories.set(child, title)
    }
  }
  /** What is said where something is exported under a name, of what is declared in a file that is not public. */
  const tagOf = ({ exported }, name) =>
    (exported?.declarations ?? [])
      .flatMap((node) => ts.getJSDocTags(node))
      .find(({ tagName }) => tagName.text === name)
      ?.comment?.trim()
  const categoryOf = (entry) => {
    const found = (reflectionsOf.get(entry.symbol) ?? []).flatMap((one) => categories.get(one) ?? [])
    return found.find((one) => one !== "Other") ?? tagOf(entry, "category") ?? "others"
  }

  // First where everything stands, then what is said of it.
  const places = new Map()
  const byName = new Map()
  const layouts = modules.map((module) => {
    const page = pageOf(module)
    const slug = slugger()
    const title =
      module.name === ""
        ? "Reference"
        : module.specifier === `effect-pool/${module.name}`
          ? module.name
          : `${module.parent.name}/${module.name}`
    slug(title)
    const groups = new Map()
    for (const entry of module.entries) {
      const category = categoryOf(entry)
      groups.set(category, [...(groups.get(category) ?? []), entry])
    }
    const sorted = [...groups].sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1))
    const parts = sorted.map(([category, entries]) => {
      slug(capital(category))
      return {
        category,
        entries: entries.flatMap((entry) => {
          const signature = signatureOf(entry)
          const all = [...(signature.texts.length > 0 ? [{ ...entry, signature }] : []), ...signature.inner]
          return all.map((one) => {
            const place = { page, anchor: slug(one.name), name: one.name, module, code: one.signature.texts.join("\n") }
            if (!places.has(one.symbol)) places.set(one.symbol, place)
            for (const name of [one.name, `${module.name}.${one.name}`])
              byName.set(name, [...(byName.get(name) ?? []), place])
            return Object.assign({}, one, { place })
          })
        })
      }
    })
    return { module, page, title, parts }
  })

  const problems = []

  const linkTo = (place, page, text) =>
    `[${text}](${place.page === page ? "" : relative(page, place.page)}#${place.anchor})`

  /** Where a link leads. TypeDoc looks a name up where it stands, and finds a parameter of that name before a function. */
  const placeOfLink = ({ target, text }, page) => {
    const named = byName.get(text.trim())?.filter((one) => one.page === page) ?? []
    if (named.length === 1) return named[0]
    for (let one = typeof target === "string" ? undefined : target; one !== undefined; one = one.parent) {
      const place = places.get(symbols.get(one))
      if (place !== undefined) return place
    }
    return undefined
  }

  /**
   * `` `PoolClosed` `` and `` `ConnectionPool.use` `` lead to what they name: what is on the same page, an error of the pool, a
   * module's own type, or what is called by its module.
   */
  const linkedCode = (text, page, self) => {
    const name = /^`([A-Z]\w*(?:\.\w+)?)`$/.exec(text)?.[1]
    // A word that the thing itself uses, such as the tag of an event, means that.
    if (name === undefined || self?.code.includes(`"${name}"`)) return text
    const found = byName.get(name) ?? []
    const place =
      found.find((one) => one.page === page) ??
      (found.length === 1 ? found[0] : found.find(({ module }) => module.name === "PoolError" || module.name === name))
    const isMeant =
      place?.page === page || name.includes(".") || place?.module.name === "PoolError" || place?.module.name === name
    return place === undefined || place === self || !isMeant ? text : linkTo(place, page, text)
  }

  const markdownOf = (parts, page, self) =>
    (parts ?? [])
      .map((part) => {
        if (part.kind === "code") return linkedCode(part.text, page, self)
        if (part.kind !== "inline-tag") return part.text
        const place = placeOfLink(part, page)
        const text = `\`${part.text.trim()}\``
        if (place === undefined) problems.push(`${page}: {@link ${part.text}} leads nowhere`)
        return place === undefined ? text : linkTo(place, page, text)
      })
      .join("")
      .trim()

  const linksTo = (list, page) =>
    list
      .map((place) => {
        const isClear = place.page === page || byName.get(place.name).length === 1 || place.name === place.module.name
        return linkTo(place, page, `\`${isClear ? "" : `${place.module.name}.`}${place.name}\``)
      })
      .join(", ")

  const failuresOf = ({ failures }, page) => {
    const named = failures.filter(({ isParameter }) => !isParameter)
    if (named.length === 0) return []
    const position = (symbol) => [...places.keys()].indexOf(symbol)
    const texts = named
      .sort((one, other) => position(one.symbol) - position(other.symbol) || (one.name < other.name ? -1 : 1))
      .map(({ name, symbol }) => (places.has(symbol) ? linkTo(places.get(symbol), page, `\`${name}\``) : `\`${name}\``))
    const others = failures.some(({ isParameter }) => isParameter) ? ", and what is passed in fails with its own" : ""
    return [`**Fails with** ${texts.join(", ")}${others}.`]
  }

  const sinceOf = (comment) =>
    comment
      ?.getTag("@since")
      ?.content.map(({ text }) => text)
      .join("")
      .trim()

  const entryText = async (entry, page, since, shownBefore) => {
    const { name, place, signature, symbol } = entry
    const comments = commentsOf(symbol)
    const text = summaryOf(symbol, page)
    if (text === "") problems.push(`${page}: ${name} has no docstring`)
    if (!name.includes(".") && categoryOf(entry) === "others") problems.push(`${page}: ${name} has no @category`)
    const see = comments
      .flatMap((one) => one.getTags("@see"))
      .map(({ content }) => `**See** ${markdownOf(content, page, place)}`)
    const own = comments.map(sinceOf).find((one) => one !== undefined) ?? tagOf(entry, "since")
    if (own === undefined) problems.push(`${page}: ${name} has no @since`)
    const failures = new Set(signature.failures.map((one) => one.symbol))
    const mentioned = signature.mentioned.flatMap((one) =>
      places.has(one) && !failures.has(one) ? [places.get(one)] : []
    )
    const unnamed = signature.unnamed.filter((one) => !shownBefore.has(one.name))
    const before = signature.unnamed
      .filter((one) => shownBefore.has(one.name))
      .map((one) => linkTo(shownBefore.get(one.name), page, `\`${one.name}\``))
    for (const one of unnamed) shownBefore.set(one.name, place)
    return [
      `### ${name}`,
      `\`\`\`ts\n${await formatted(signature.texts.join("\n"))}\n\`\`\``,
      ...(unnamed.length > 0
        ? [`where\n\n\`\`\`ts\n${await formatted(unnamed.map((one) => one.text).join("\n"))}\n\`\`\``]
        : []),
      ...(before.length > 0 ? [`where ${before.join(", ")} as above`] : []),
      text,
      ...failuresOf(signature, page),
      ...see,
      ...(mentioned.length > 0 ? [`**In the signature** ${linksTo(mentioned, page)}`] : []),
      ...(own !== undefined && own !== since ? [`Since ${own}.`] : [])
    ]
      .filter((one) => one !== "")
      .join("\n\n")
  }

  const summaryOf = (symbol, page) =>
    commentsOf(symbol)
      .map(({ summary }) => markdownOf(summary, page, places.get(symbol)))
      .filter((text) => text !== "")
      .join("\n\n")

  const importOf = ({ name, parent, specifier }) => {
    if (specifier === "effect-pool") return undefined
    const isInCore = modules[0].symbol.exports.has(name)
    if (parent !== undefined) return `import { ${name} } from "${specifier}"`
    return isInCore ? `import { ${name} } from "effect-pool"` : `import * as ${name} from "${specifier}"`
  }

  const pages = new Map()
  for (const { module, page, parts, title } of layouts) {
    if (page === "README.md") continue
    const since = commentsOf(module.symbol).map(sinceOf)[0]
    const rows = parts.flatMap(({ category, entries }) => [
      `| **${capital(category)}** | |`,
      ...entries.map(
        ({ name, place, symbol }) =>
          `| ${linkTo(place, page, `\`${name}\``)} | ${cell(firstSentence(summaryOf(symbol, page)))} |`
      )
    ])
    const innerRows = module.inner.map(
      (one) => `| [\`${one.name}\`](${one.name}.md) | ${cell(firstSentence(summaryOf(one.symbol, page)))} |`
    )
    const importing =
      module.inner.length > 0
        ? `import { ${[...module.inner.map(({ name }) => name), ...module.entries.filter(({ symbol }) => symbol.flags & ts.SymbolFlags.Value).map(({ name }) => name)].join(", ")} } from "${module.specifier}"`
        : importOf(module)
    const sections = []
    const shownBefore = new Map()
    for (const { category, entries } of parts) {
      sections.push(`## ${capital(category)}`)
      for (const entry of entries) sections.push(await entryText(entry, page, since, shownBefore))
    }
    pages.set(
      page,
      `${[
        `# ${title}`,
        summaryOf(module.symbol, page),
        `\`\`\`ts\n${importing}\n\`\`\``,
        ...(innerRows.length > 0 ? [`| module | what it holds |\n|---|---|\n${innerRows.join("\n")}`] : []),
        ...(rows.length > 0 ? [`| name | what it is |\n|---|---|\n${rows.join("\n")}`] : []),
        ...sections,
        `[All modules](${relative(page, "README.md")}). Written from the docstrings in src by \`npm run reference\`${since === undefined ? "" : `; everything here has been there since ${since}, unless it says otherwise`}.`
      ].join("\n\n")}\n`
    )
  }
  pages.set("README.md", indexPage(layouts, summaryOf))
  sources.problems.push(...problems)
  return pages
}

const modulesTable = (layouts, summaryOf) => {
  const row = ({ module, page, title }) =>
    `| [\`${title}\`](${page}) | ${cell(firstSentence(summaryOf(module.symbol, "README.md")))} |`
  return `| module | what it holds |\n|---|---|\n${layouts.map(row).join("\n")}`
}

const indexPage = ([index, ...others], summaryOf) => {
  const isInCore = ({ module }) => module.parent === undefined && index.module.symbol.exports.has(module.name)
  return `# Reference

Every public name of \`effect-pool\`: how it is declared, what it does, what it fails with. One page for each module.

Modules of \`effect-pool\` itself, as in \`import { ConnectionPool } from "effect-pool"\`; each has a path of its own as well, such as
\`effect-pool/ConnectionPool\`:

${modulesTable(others.filter(isInCore), summaryOf)}

Modules with an import path of their own, as in \`import * as Postgres from "effect-pool/Postgres"\`; some need a package more, and say which:

${modulesTable(
  others.filter((one) => !isInCore(one)),
  summaryOf
)}

Below a signature, **Fails with** names the errors of the effect, read from its type, and **In the signature** leads to the types that it uses.
Types that cannot be imported stand beside what uses them, after *where*. A schema is shown with its type.

Durations are Effect's: where a signature says \`Duration.Input\`, \`"5 seconds"\`, \`Duration.seconds(5)\` and \`5000\` (milliseconds) are the same.
A number whose name ends in \`Millis\` is in milliseconds.

These pages are written from the docstrings in src by \`npm run reference\`: change them there. How the parts work together say the
[guides](../README.md).
`
}
