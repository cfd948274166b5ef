// Docstrings of the parts of a thing, which stand inside its code.

/** The docstring before a node, as a comment in code; empty if there is none. */
export const docOf = (node) => {
  const docs = node?.jsDoc ?? []
  const doc = docs.length === 0 ? "" : asComment(textOf(docs.at(-1).getText()))
  return doc === "" ? "" : `${doc}\n`
}

/** Without its stars and its tags, and with its links as plain names. */
const textOf = (doc) =>
  doc
    .replaceAll(/^\/\*\*|\*\/$/g, "")
    .replaceAll(/^\s*\* ?/gm, "")
    .split(/^\s*@(?:since|category|see)\b/m)[0]
    .replaceAll(/\{@link (\w[\w.]*)[^}]*\}/g, "`$1`")
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .trim()

const asComment = (text) => {
  if (!text.includes("\n")) return text === "" ? "" : `/** ${text} */`
  const lines = text.split("\n").map((line) => ` * ${line}`.trimEnd())
  return `/**\n${lines.join("\n")}\n */`
}
