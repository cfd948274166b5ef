// Which types and values have a name that users can import, and which of the others are only shown.
import * as path from "node:path"
import ts from "typescript"

export const isType = (node) => ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)

export const makePublicNames = ({ checker, modules, root }) => {
  const folder = path.join(root, "src") + path.sep
  const isOurs = (node) => path.resolve(node.getSourceFile().fileName).startsWith(folder)

  /** What a name stands for, through all imports. */
  const symbolAt = (node) => {
    const symbol = checker.getSymbolAtLocation(node)
    return symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  }

  const names = new Map()
  for (const { entries } of modules) {
    for (const { name, symbol } of entries) if (!names.has(symbol)) names.set(symbol, name)
  }

  /** What a namespace holds is public with it. */
  const isPublic = (symbol) =>
    names.has(symbol) || (names.has(symbol.parent) && (symbol.parent.flags & ts.SymbolFlags.Namespace) !== 0)

  /** A public name may be only another one for what has none: whoever mentions the one means the other. */
  const aliases = new Map()
  for (const symbol of names.keys()) {
    const node = symbol.declarations?.find(ts.isTypeAliasDeclaration)
    if (node === undefined || !ts.isTypeReferenceNode(node.type) || node.type.typeArguments !== undefined) continue
    const target = symbolAt(node.type.typeName)
    if (target.declarations?.every(isOurs) && !names.has(target)) aliases.set(target, symbol)
  }

  /** The public symbol that is meant, if one is. */
  const publicSymbol = (symbol) => {
    const meant = aliases.get(symbol) ?? symbol
    return names.has(meant) ? meant : undefined
  }

  /** The declaration of a type of ours that nobody can import, if it is one. */
  const unnamedType = (symbol) => {
    if (symbol === undefined || isPublic(symbol)) return undefined
    const declaration = symbol.declarations?.find(isType)
    return declaration !== undefined && isOurs(declaration) ? declaration : undefined
  }

  const namedTypes = new Map()
  for (const [symbol, name] of names) {
    if (!(symbol.flags & ts.SymbolFlags.TypeAlias) || symbol.declarations.some(isGeneric)) continue
    const type = checker.getDeclaredTypeOfSymbol(symbol)
    if (!namedTypes.has(type) && type.flags & (ts.TypeFlags.Union | ts.TypeFlags.Object)) namedTypes.set(type, name)
  }

  return { isOurs, symbolAt, publicSymbol, unnamedType, nameOfType: (type) => namedTypes.get(type) }
}

const isGeneric = ({ typeParameters }) => typeParameters?.length > 0
