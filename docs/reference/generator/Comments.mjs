// What the docstrings say of a symbol, as TypeDoc has read them.
import { ReflectionKind } from "typedoc"
import ts from "typescript"

export const makeComments = ({ project, reflectionsOf }) => {
  /** A type and its value share a name, and each may have something to say; of a schema and its type, the schema has all there is. */
  const commentsOf = (symbol) => {
    const all = reflectionsOf.get(symbol) ?? []
    const isOfSchema = all.length > 1 && symbol.declarations.some(isTypeOfSchema)
    const reflections = isOfSchema ? all.filter((one) => !one.kindOf(ReflectionKind.TypeAlias)) : all
    const comments = reflections
      .flatMap((one) => [one, one.signatures ?? [], one.type?.declaration?.signatures ?? []].flat())
      .flatMap(({ comment }) => comment ?? [])
    const said = comments.map(({ summary }) => summary.map(({ text }) => text).join(""))
    return comments.filter((_, index) => said.indexOf(said[index]) === index)
  }

  // TypeDoc takes the tags away when it has sorted by them.
  const categories = new Map()
  for (const reflection of Object.values(project.reflections)) {
    const sorted = [reflection, ...(reflection.groups ?? [])].flatMap((one) => one.categories ?? [])
    for (const { children, title } of sorted) for (const child of children) categories.set(child, title)
  }

  const categoryOf = (entry) => {
    const found = (reflectionsOf.get(entry.symbol) ?? []).flatMap((one) => categories.get(one) ?? [])
    return found.find((one) => one !== "Other") ?? exportTag(entry, "category")
  }

  const sinceOf = (entry) => commentsOf(entry.symbol).flatMap(sinceIn)[0] ?? exportTag(entry, "since")

  return { categoryOf, commentsOf, sinceOf }
}

const isTypeOfSchema = (node) => ts.isTypeAliasDeclaration(node) && /^typeof \w+\.Type$/.test(node.type.getText())

/** What is said where something is exported, of what is declared in a file that is not public. */
const exportTag = ({ exported }, name) =>
  (exported?.declarations ?? [])
    .flatMap((node) => ts.getJSDocTags(node))
    .find(({ tagName }) => tagName.text === name)
    ?.comment?.trim()

const sinceIn = (comment) => {
  const tag = comment.getTag("@since")
  return tag === undefined
    ? []
    : [
        tag.content
          .map(({ text }) => text)
          .join("")
          .trim()
      ]
}
