// How a thing is declared: as its author wrote it where all of it is written, as the compiler declares it where it is not, and by its
// fields alone where it is a schema.
import * as path from "node:path"
import ts from "typescript"
import { makeCompiled } from "./Compiled.mjs"
import { docOf } from "./Docstrings.mjs"

export const makeDeclarations = (sources, { isOurs, symbolAt, unnamedType }, dataTypes) => {
  const { checker, modules } = sources
  const { field, inOrder, isSchema, schemaType, typeOfSchema } = dataTypes
  const { typeNodeOf } = makeCompiled(sources)

  /** What stands before the dot here, and what users write there: how a file calls a module is its own affair. */
  const qualifiersOf = (source) =>
    source.statements.flatMap((statement) => {
      const bindings = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : undefined
      if (bindings === undefined || !ts.isNamespaceImport(bindings)) return []
      const here = bindings.name.text
      const from = statement.moduleSpecifier.text
      const name = path.basename(from, ".ts")
      if (/^@?effect/.test(from)) return [[here, `${name}.`]]
      if (!from.startsWith(".")) return []
      const file = path.resolve(path.dirname(source.fileName), from)
      return [[here, modules.some((module) => path.resolve(module.file) === file) ? `${name}.` : ""]]
    })

  const tidy = (text, source) => {
    const module = (_, from) => (from.startsWith(".") || !from.includes("/") ? "" : `${path.posix.basename(from)}.`)
    let tidied = text.replaceAll(/import\("([^"]*)"\)\./g, module).replaceAll(/\/\/ @effect-diagnostics.*\n/g, "")
    for (const [here, there] of qualifiersOf(source)) {
      tidied = tidied.replaceAll(new RegExp(`\\b(?<!\\.)${here}\\.(?=[A-Z])`, "g"), there)
    }
    return tidied
  }

  const classText = (name, symbol, node) => {
    const base = node.heritageClauses?.[0]?.types[0]?.expression
    const baseText = base?.getText() ?? ""
    const kind = /^(Schema\.Class|Schema\.TaggedError|HttpApiError\.Problem)\b/.exec(baseText)?.[1]
    const type = checker.getDeclaredTypeOfSymbol(symbol)
    if (kind === undefined) {
      return tidy(`class ${name}${base === undefined ? "" : ` extends ${baseText}`} {}`, node.getSourceFile())
    }
    const fields = checker.getPropertiesOfType(type).filter((property) => {
      const declaration = property.declarations?.[0]
      if (declaration === undefined || /^(__@|~|toString$)/.test(property.name)) return false
      if (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) return false
      return isOurs(declaration) || ["_tag", "status", "type", "title"].includes(property.name)
    })
    const lines = inOrder(fields).map((property) => field(property, 1))
    return `class ${name} extends ${kind} {\n${lines.join("\n")}\n}`
  }

  /** What an interface has of its own, and what it has from those that nobody can import. */
  const interfaceText = (name, node) => {
    const bases = basesOf(node)
    const unnamed = bases.flatMap((base) => unnamedBase(base) ?? [])
    const named = bases.filter((base) => unnamedBase(base) === undefined).map((base) => base.getText())
    const members = [node, ...unnamed].flatMap((each) =>
      each.members
        .filter((member) => !isBrand(member))
        .map((member) => docOf(member) + tidy(member.getText(), each.getSourceFile()))
    )
    const head = `interface ${name}${typeParameters(node)}${named.length > 0 ? ` extends ${named.join(", ")}` : ""}`
    return `${tidy(head, node.getSourceFile())} {\n${members.join("\n")}\n}`
  }

  const unnamedBase = ({ expression }) => {
    const declaration = unnamedType(symbolAt(expression))
    return declaration !== undefined && ts.isInterfaceDeclaration(declaration) ? declaration : undefined
  }

  const aliasText = (name, symbol, node) => {
    // Only another name for what has no public one: that is shown, under the public name.
    const meant = ts.isTypeReferenceNode(node.type) ? unnamedType(symbolAt(node.type.typeName)) : undefined
    if (meant !== undefined) return typeText(name, meant)
    const type = typeOfValue(symbol, node.type) ?? tidy(node.type.getText(), node.getSourceFile())
    return `type ${name}${typeParameters(node)} = ${type}`
  }

  /** A type that is declared as that of a value: of a schema, or of the words in a list or a record. */
  const typeOfValue = (symbol, node) => {
    if (ts.isTypeQueryNode(node) && ts.isQualifiedName(node.exprName)) {
      const schema = checker.getTypeAtLocation(node.exprName.left)
      const made = symbol.declarations.find(ts.isVariableDeclaration)
      return isSchema(schema) ? schemaType(schema, checker.getDeclaredTypeOfSymbol(symbol), made) : undefined
    }
    if (ts.isTypeOperatorNode(node) && ts.isTypeQueryNode(node.type)) {
      const properties = checker.getPropertiesOfType(checker.getTypeAtLocation(node.type))
      return properties.map(({ name }) => JSON.stringify(name)).join(" | ")
    }
    if (!ts.isIndexedAccessTypeNode(node)) return undefined
    const list = checker.getTypeAtLocation(node.objectType)
    if (!checker.isTupleType(list)) return undefined
    return checker
      .getTypeArguments(list)
      .map((one) => checker.typeToString(one))
      .join(" | ")
  }

  /** A type that nobody can import, or one under another name than its own. */
  const typeText = (name, node) =>
    ts.isInterfaceDeclaration(node)
      ? interfaceText(name, node)
      : aliasText(name, checker.getSymbolAtLocation(node.name), node)

  const constText = (name, symbol, node, hasType) => {
    const type = checker.getTypeOfSymbol(symbol)
    if (isSchema(type) && node.type === undefined) {
      return `declare const ${name}: Schema.Schema<${hasType ? name : schemaType(type, typeOfSchema(type))}>`
    }
    const written = writtenType(node) ?? withoutNever(typeNodeOf(node).getText())
    return `declare const ${tidy(`${name}: ${written}`, node.getSourceFile())}`
  }

  /** The type of a value as its author wrote it, if everything but the result of a function is written. */
  const writtenType = (node) => {
    if (node.type !== undefined) return node.type.getText()
    const made = functionIn(node.initializer)
    if (made === undefined || made.parameters.some(({ type }) => type === undefined)) return undefined
    const result = resultOf(made) ?? typeNodeOf(node).type?.getText()
    if (result === undefined) return undefined
    return `${typeParameters(made)}(${made.parameters.map(parameter).join(", ")}) => ${withoutNever(result)}`
  }

  /** One for each overload; without overloads the function itself. */
  const functionText = (name, nodes) =>
    nodes
      .filter(({ body }) => body === undefined || nodes.length === 1)
      .map((node) => {
        const values = node.parameters.map((one) => one.getText()).join(", ")
        const head = `declare function ${name}${typeParameters(node)}(${values})`
        return tidy(`${head}: ${node.type.getText()}`, node.getSourceFile())
      })

  return { aliasText, classText, constText, functionText, interfaceText, typeText, unnamedBase }
}

const basesOf = ({ heritageClauses = [] }) => heritageClauses.flatMap(({ types }) => [...types])

/** What only lets the compiler tell types apart. */
const isBrand = ({ name }) => name !== undefined && (ts.isComputedPropertyName(name) || name.getText().startsWith('"~'))

const typeParameters = ({ typeParameters: parameters }) =>
  parameters === undefined ? "" : `<${parameters.map((one) => one.getText()).join(", ")}>`

/** The function that a value is made of: as it stands, or in `Effect.fn("name")(function* () {})`. */
export const functionIn = (expression) => {
  if (expression === undefined || ts.isFunctionLike(expression)) return expression
  if (!ts.isCallExpression(expression) || expression.expression.getText().startsWith("Schema.")) return undefined
  return functionIn(expression.arguments.find(ts.isFunctionLike))
}

const resultOf = ({ asteriskToken, type }) =>
  asteriskToken === undefined ? type?.getText() : type?.getText().replace(/^Effect\.fn\.Return\b/, "Effect.Effect")

/** `{ a, b }: Options = {}` is how a function reads its options; whoever calls it sees `options?: Options`. */
const parameter = ({ dotDotDotToken, initializer, name, questionToken, type }) => {
  const isOptional = initializer !== undefined || questionToken !== undefined
  const called = ts.isIdentifier(name) ? name.text : "options"
  return `${dotDotDotToken === undefined ? "" : "..."}${called}${isOptional ? "?" : ""}: ${type.getText()}`
}

/** What an effect neither needs nor fails with goes without saying. */
const withoutNever = (text) => text.replaceAll(/(, never)+>/g, ">")

/** What of a declaration its users see: neither the body of a function nor how a value is made. */
export const surfaceOf = (node, unnamedBase) => {
  if (ts.isFunctionLike(node)) {
    return [...(node.typeParameters ?? []), ...node.parameters.map(({ type }) => type), node.type].filter(Boolean)
  }
  if (ts.isInterfaceDeclaration(node)) {
    const bases = basesOf(node).flatMap((base) => {
      const unnamed = unnamedBase(base)
      return unnamed === undefined ? [base] : surfaceOf(unnamed, unnamedBase)
    })
    return [...(node.typeParameters ?? []), ...bases, ...node.members]
  }
  if (!ts.isVariableDeclaration(node)) return [node]
  if (node.type !== undefined) return [node.type]
  const made = functionIn(node.initializer)
  if (made !== undefined) return surfaceOf(made, unnamedBase)
  return node.initializer !== undefined && ts.isCallExpression(node.initializer) ? [node.initializer] : []
}
