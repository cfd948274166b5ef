// Links from page to page: those that docstrings make, and those that code in backquotes deserves.
import { relative } from "./Markdown.mjs"

export const makeLinks = ({ problems, symbols }, { placeOf, placesNamed }) => {
  const linkTo = ({ anchor, page }, from, text) => `[${text}](${page === from ? "" : relative(from, page)}#${anchor})`

  /** By its name, and its module where that is needed. */
  const linkByName = (place, from) => {
    const { module, name, page } = place
    const isClear = page === from || placesNamed(name).length === 1 || name === module.name
    return linkTo(place, from, `\`${isClear ? name : `${module.name}.${name}`}\``)
  }

  /** Where a link leads. TypeDoc looks a name up where it stands, and finds a parameter of that name before a function. */
  const placeOfLink = ({ target, text }, from) => {
    const here = placesNamed(text.trim()).filter(({ page }) => page === from)
    if (here.length === 1) return here[0]
    for (let one = typeof target === "string" ? undefined : target; one !== undefined; one = one.parent) {
      const place = placeOf(symbols.get(one))
      if (place !== undefined) return place
    }
    return undefined
  }

  /**
   * `` `PoolClosed` `` and `` `ConnectionPool.use` `` lead to what they name, if that is on the same page, an error of the pool, what its
   * module is called after, or called by its module.
   */
  const linkedCode = (text, from, self) => {
    const name = /^`([A-Z]\w*(?:\.\w+)?)`$/.exec(text)?.[1]
    // A word that the thing itself uses, such as the tag of an event, means that.
    if (name === undefined || self?.code.includes(`"${name}"`)) return text
    const isKnownAnywhere = ({ module }) => module.name === "PoolError" || module.name === name
    const found = placesNamed(name)
    const place =
      found.find(({ page }) => page === from) ??
      (name.includes(".") && found.length === 1 ? found[0] : found.find(isKnownAnywhere))
    return place === undefined || place === self ? text : linkTo(place, from, text)
  }

  /** The text of a docstring, on the page it stands on; `self` is what it is about. */
  const markdownOf = (parts, from, self) =>
    parts
      .map((part) => {
        if (part.kind === "code") return linkedCode(part.text, from, self)
        if (part.kind !== "inline-tag") return part.text
        const place = placeOfLink(part, from)
        const text = `\`${part.text.trim()}\``
        if (place !== undefined) return linkTo(place, from, text)
        problems.add(`${from}: {@link ${part.text}} leads nowhere`)
        return text
      })
      .join("")
      .trim()

  return { linkByName, linkTo, markdownOf }
}
