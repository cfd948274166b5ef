// Types of data as their readers see them: the fields of a schema, and not the schema.
import ts from "typescript"
import { docOf } from "./Docstrings.mjs"

export const makeDataTypes = ({ checker }, { isOurs, nameOfType }) => {
  /** A type as a record of data is read: its fields, and the public names of what is in them. */
  const dataType = (type, depth = 0, own) => {
    const name = type === own ? undefined : nameOfType(type)
    if (name !== undefined) return name
    if (type.flags & ts.TypeFlags.Boolean) return "boolean"
    if (type.isUnion()) {
      const members = type.types.filter((one) => !(one.flags & ts.TypeFlags.BooleanLiteral))
      const texts = members.map((one) => dataType(one, depth))
      if (members.length < type.types.length) {
        const literals = type.types.filter((one) => one.flags & ts.TypeFlags.BooleanLiteral)
        texts.push(literals.length === 2 ? "boolean" : checker.typeToString(literals[0]))
      }
      return [...new Set(texts)].sort(undefinedLast).join(" | ")
    }
    if (checker.isArrayType(type)) return `ReadonlyArray<${dataType(checker.getTypeArguments(type)[0], depth)}>`
    const isPlain =
      type.flags & ts.TypeFlags.Object &&
      type.getCallSignatures().length === 0 &&
      type.getConstructSignatures().length === 0
    const symbol = type.symbol
    const isNamed = symbol !== undefined && symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)
    if (!isPlain || isNamed || checker.isTupleType(type) || depth > 3) return shown(type)
    const indexes = checker.getIndexInfosOfType(type)
    const properties = inOrder(checker.getPropertiesOfType(type))
    if (indexes.length > 0 && properties.length === 0) {
      return `{ readonly [key: ${shown(indexes[0].keyType)}]: ${dataType(indexes[0].type, depth + 1)} }`
    }
    return `{\n${properties.map((property) => field(property, depth + 1)).join("\n")}\n}`
  }

  /** As they are written, file by file, and what every schema of its kind has first; by name where nobody wrote them one by one. */
  const inOrder = (properties) => {
    const files = []
    const position = ({ declarations, name }) => {
      const declaration = declarations?.[0]
      if (name === "_tag") return [-2, 0]
      if (
        declaration === undefined ||
        !isOurs(declaration) ||
        (!ts.isObjectLiteralElement(declaration) && !ts.isTypeElement(declaration) && !ts.isClassElement(declaration))
      )
        return [-1, 0]
      const source = declaration.getSourceFile()
      if (!files.includes(source)) files.push(source)
      return [files.indexOf(source), declaration.pos]
    }
    return properties
      .map((property) => ({ property, at: position(property) }))
      .sort(
        ({ at, property }, other) =>
          at[0] - other.at[0] || at[1] - other.at[1] || (property.name < other.property.name ? -1 : 1)
      )
      .map(({ property }) => property)
  }

  const shown = (type) => {
    const text = checker.typeToString(
      type,
      undefined,
      ts.TypeFormatFlags.NoTruncation |
        ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope |
        ts.TypeFormatFlags.WriteArrayAsGenericType
    )
    return text.replace(/import\("[^"]*"\)\./g, "")
  }

  const field = (property, depth) => {
    const declaration = property.declarations?.[0]
    const optional = property.flags & ts.SymbolFlags.Optional ? "?" : ""
    const name = /^[\w$]+$/.test(property.name) ? property.name : JSON.stringify(property.name)
    const type = checker.getTypeOfSymbol(property)
    const isLeft = optional !== "" && !(type.flags & ts.TypeFlags.Unknown)
    const text = literalsOf(declaration) ?? dataType(isLeft ? checker.getNonNullableType(type) : type, depth)
    return `${docOf(declaration)}readonly ${name}${optional}: ${text}`
  }

  /** The words that a field may have, in the order in which its schema has them. */
  const literalsOf = (declaration) => {
    if (declaration === undefined || !ts.isPropertyAssignment(declaration)) return undefined
    let schema = checker.getTypeAtLocation(declaration.initializer)
    const inner = schema.getProperty("schema")
    if (inner !== undefined) schema = checker.getTypeOfSymbol(inner)
    const literals = schema.getProperty("literals")
    const type = isSchema(schema) ? typeOfSchema(schema) : undefined
    return literals === undefined || type === undefined || nameOfType(type) !== undefined
      ? undefined
      : schemaType(schema, type)
  }

  /** The members of a union in the order in which the schema has them; the compiler's own order changes with the weather. */
  const schemaType = (value, type, node) => {
    const parts = (name) => {
      const property = value.getProperty(name)
      return property === undefined ? undefined : checker.getTypeOfSymbol(property)
    }
    const literals = parts("literals")
    if (literals !== undefined && checker.isTupleType(literals)) {
      return checker
        .getTypeArguments(literals)
        .map((one) => checker.typeToString(one))
        .join(" | ")
    }
    const members = parts("members")
    if (members !== undefined && checker.isTupleType(members)) {
      return checker
        .getTypeArguments(members)
        .map((one) => dataType(typeOfSchema(one)))
        .join(" | ")
    }
    const cases = parts("cases")
    if (cases !== undefined) {
      const written = node?.initializer?.arguments?.[0]?.properties?.map(({ name }) => name.getText()) ?? []
      return checker
        .getPropertiesOfType(cases)
        .sort((one, other) => written.indexOf(one.name) - written.indexOf(other.name))
        .map((one) => `\n| ${dataType(typeOfSchema(checker.getTypeOfSymbol(one)))}`)
        .join("")
    }
    return dataType(type, 0, type)
  }
  const typeOfSchema = (schema) => checker.getTypeOfSymbol(schema.getProperty("Type"))
  const isSchema = (type) =>
    type.getProperty("~effect/Schema/Schema") !== undefined && type.getProperty("Type") !== undefined

  return { field, inOrder, isSchema, schemaType, shown, typeOfSchema }
}

const undefinedLast = (one, other) => {
  const rank = (text) => (text === "undefined" ? 2 : text === "null" ? 1 : 0)
  return rank(one) - rank(other) || (one < other ? -1 : one > other ? 1 : 0)
}
