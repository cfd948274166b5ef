// Where everything stands: the pages, their sections, and the place of each entry.
import { capital, slugger } from "./Markdown.mjs"

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

const pageOf = ({ inner, name, parent }) => {
  if (parent !== undefined) return `${parent.name}/${name}.md`
  if (name === "") return "README.md"
  return inner.length > 0 ? `${name}/README.md` : `${name}.md`
}

const grouped = (entries, keyOf) => {
  const groups = new Map()
  for (const entry of entries) groups.set(keyOf(entry), [...(groups.get(keyOf(entry)) ?? []), entry])
  return [...groups]
}

export const makeLayout = ({ modules }, { categoryOf }, { signatureOf }) => {
  const places = new Map()
  const byName = new Map()

  const placed = (entry, page, module, slug) => {
    const { name, signature, symbol } = entry
    const place = { page, anchor: slug(name), name, module, code: signature.texts.join("\n") }
    if (!places.has(symbol)) places.set(symbol, place)
    for (const each of [name, `${module.name}.${name}`]) byName.set(each, [...(byName.get(each) ?? []), place])
    return Object.assign({}, entry, { place })
  }

  const layouts = modules.map((module) => {
    const page = pageOf(module)
    const title = module.parent === undefined ? module.name : `${module.parent.name}/${module.name}`
    const slug = slugger()
    slug(title)
    const sections = grouped(module.entries, (entry) => categoryOf(entry) ?? "others")
      .sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1))
      .map(([category, entries]) => {
        slug(capital(category))
        const all = entries.flatMap((entry) => {
          const signature = signatureOf(entry)
          return [...(signature.texts.length > 0 ? [{ ...entry, signature }] : []), ...signature.inner]
        })
        return { category, entries: all.map((entry) => placed(entry, page, module, slug)) }
      })
    return { module, page, title, sections }
  })

  return {
    layouts,
    placeOf: (symbol) => places.get(symbol),
    placesNamed: (name) => byName.get(name) ?? [],
    places: [...places.values()]
  }
}
