// What the compiler declares where no author has written a type down.
import ts from "typescript"

export const makeCompiled = ({ program }) => {
  const files = new Map()
  const declarationsOf = (source) => {
    if (!files.has(source)) {
      let text = ""
      const keep = (name, content) => {
        if (name.endsWith(".d.ts")) text = content
      }
      // The last argument has declarations written although the program itself writes nothing.
      program.emit(source, keep, undefined, true, undefined, true)
      files.set(source, ts.createSourceFile("declarations.d.ts", text, ts.ScriptTarget.Latest, true))
    }
    return files.get(source)
  }

  /** The type of a value, as a node of the compiler's declarations. */
  const typeNodeOf = (value) => {
    let found
    const visit = (node) => {
      if (ts.isVariableDeclaration(node) && node.name.text === value.name.text) found = node.type
      else ts.forEachChild(node, visit)
    }
    visit(declarationsOf(value.getSourceFile()))
    if (found === undefined) throw new Error(`The compiler declares no ${value.name.text}`)
    return found
  }

  return { typeNodeOf }
}
