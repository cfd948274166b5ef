// The signature of an entry: its code, the types that it leads to, and what it fails with.
import ts from "typescript"
import { makeDataTypes } from "./DataTypes.mjs"
import { makeDeclarations, surfaceOf } from "./Declarations.mjs"
import { docOf } from "./Docstrings.mjs"
import { isType, makePublicNames } from "./PublicNames.mjs"

export const makeSignatures = (sources) => {
  const { checker } = sources
  const names = makePublicNames(sources)
  const { publicSymbol, symbolAt, unnamedType } = names
  const dataTypes = makeDataTypes(sources, names)
  const { shown } = dataTypes
  const { aliasText, classText, constText, functionText, interfaceText, typeText, unnamedBase } = makeDeclarations(
    sources,
    names,
    dataTypes
  )

  /** Visits what users see of declarations. */
  const eachIn = (nodes, visit) => {
    const walk = (node) => {
      if (ts.isBlock(node)) return
      visit(node)
      ts.forEachChild(node, walk)
    }
    for (const node of nodes.flatMap((one) => surfaceOf(one, unnamedBase))) walk(node)
  }

  /** Types that stand in declarations and cannot be imported: shown beside them, for nobody could look them up. */
  const unnamedIn = (nodes, found = new Set()) => {
    eachIn(nodes, (node) => {
      const target = ts.isTypeReferenceNode(node) ? symbolAt(node.typeName) : undefined
      const declaration = publicSymbol(target) === undefined ? unnamedType(target) : undefined
      if (declaration === undefined || found.has(declaration)) return
      found.add(declaration)
      unnamedIn([declaration], found)
    })
    return [...found]
  }

  /** The public names in declarations. */
  const mentionedIn = (nodes) => {
    const found = new Set()
    eachIn(nodes, (node) => {
      const target = ts.isIdentifier(node) ? publicSymbol(symbolAt(node)) : undefined
      if (target !== undefined) found.add(target)
    })
    return [...found]
  }

  /** What stands under a name: for an alias that is only another name, what it names. */
  const shownFor = (node) => {
    const isAlias = ts.isTypeAliasDeclaration(node) && ts.isTypeReferenceNode(node.type)
    return (isAlias ? unnamedType(symbolAt(node.type.typeName)) : undefined) ?? node
  }

  const besides = (declarations, symbol) => {
    const nodes = declarations.map(shownFor)
    const unnamed = unnamedIn(nodes)
    return {
      unnamed: unnamed.map((node) => ({ name: node.name.text, text: docOf(node) + typeText(node.name.text, node) })),
      mentioned: mentionedIn([...nodes, ...unnamed]).filter((one) => one !== symbol)
    }
  }

  /** The errors of an effect, a layer or a stream, or of the function that gives one. */
  const failuresOf = (symbol, node) => {
    const channel = (type, depth = 0) => {
      const name = type.symbol?.name
      const args = type.aliasTypeArguments ?? (type.flags & ts.TypeFlags.Object ? checker.getTypeArguments(type) : [])
      if (["Effect", "Layer", "Stream"].includes(name) && args.length === 3) return args[1]
      const signature = type.getCallSignatures().at(-1)
      return signature === undefined || depth > 2 ? undefined : channel(signature.getReturnType(), depth + 1)
    }
    const errors = channel(checker.getTypeOfSymbolAtLocation(symbol, node))
    if (errors === undefined || errors.flags & ts.TypeFlags.Never) return []
    const members = errors.isUnion() ? errors.types : [errors]
    return members.map((one) => ({
      name: one.symbol?.name ?? shown(one),
      symbol: one.symbol,
      isParameter: Boolean(one.flags & ts.TypeFlags.TypeParameter)
    }))
  }

  /** What a namespace holds: types, each an entry of its own. */
  const entriesIn = (name, node) =>
    node.body.statements.map((statement) => {
      const inner = statement.name.text
      const symbol = checker.getSymbolAtLocation(statement.name)
      const texts = [typeText(inner, statement)]
      return { name: `${name}.${inner}`, symbol, signature: { texts, ...besides([statement], symbol), failures: [] } }
    })

  const textOf = (name, symbol, node) => {
    if (ts.isClassDeclaration(node)) return classText(name, symbol, node)
    if (ts.isVariableDeclaration(node)) return constText(name, symbol, node, symbol.declarations.some(isType))
    if (ts.isInterfaceDeclaration(node)) return interfaceText(name, node)
    return aliasText(name, symbol, node)
  }

  const signatureOf = ({ name, symbol }) => {
    const { declarations = [] } = symbol
    const functions = declarations.filter(ts.isFunctionDeclaration)
    const namespaces = declarations.filter(ts.isModuleDeclaration)
    const others = declarations.filter((one) => !functions.includes(one) && !namespaces.includes(one))
    const value = declarations.find((one) => ts.isVariableDeclaration(one) || ts.isFunctionDeclaration(one))
    return {
      texts: [...others.map((node) => textOf(name, symbol, node)), ...functionText(name, functions)],
      inner: namespaces.flatMap((node) => entriesIn(name, node)),
      ...besides([...others, ...functions], symbol),
      failures: value === undefined ? [] : failuresOf(symbol, value)
    }
  }

  return { signatureOf }
}
