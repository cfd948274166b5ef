// How a thing is declared, as its reader would write it: what is written in the sources where that is readable, what the compiler makes
// of it where nothing is written, and the fields alone of what is a schema.
import * as path from "node:path"
import ts from "typescript"

export const makeSignatures = ({ checker, modules, program, root }) => {
  const isOurs = (node) => path.resolve(node.getSourceFile().fileName).startsWith(path.join(root, "src") + path.sep)

  /** Every public symbol, and the types that have a public name. */
  const publicNames = new Map()
  for (const { entries } of modules)
    for (const { name, symbol } of entries) if (!publicNames.has(symbol)) publicNames.set(symbol, name)
  /** A public name that is only another one for what has none: whoever mentions the one means the other. */
  const publicFor = new Map()
  const canonical = (symbol) => publicFor.get(symbol) ?? symbol
  for (const symbol of publicNames.keys()) {
    const node = symbol.declarations?.find(ts.isTypeAliasDeclaration)
    if (node === undefined || !ts.isTypeReferenceNode(node.type) || node.type.typeArguments !== undefined) continue
    let target = checker.getSymbolAtLocation(node.type.typeName)
    if (target.flags & ts.SymbolFlags.Alias) target = checker.getAliasedSymbol(target)
    if (target.declarations?.every(isOurs) && !publicNames.has(target)) publicFor.set(target, symbol)
  }
  const namedTypes = new Map()
  for (const [symbol, name] of publicNames) {
    if (symbol.flags & ts.SymbolFlags.TypeAlias && !isGeneric(symbol)) {
      const type = checker.getDeclaredTypeOfSymbol(symbol)
      if (!namedTypes.has(type) && type.flags & (ts.TypeFlags.Union | ts.TypeFlags.Object)) namedTypes.set(type, name)
    }
  }

  const emitted = new Map()
  /** The compiler's own declarations of a file. */
  const declarationsOf = (source) => {
    if (!emitted.has(source)) {
      let text = ""
      program.emit(
        source,
        (name, content) => (text = name.endsWith(".d.ts") ? content : text),
        undefined,
        true,
        undefined,
        true
      )
      emitted.set(source, ts.createSourceFile("declarations.d.ts", text, ts.ScriptTarget.Latest, true))
    }
    return emitted.get(source)
  }

  /** `import * as Connectors from "./Connector.ts"` is a matter of the file that says so. */
  const qualifiersOf = (source) =>
    source.statements.flatMap((statement) => {
      const bindings = ts.isImportDeclaration(statement) && statement.importClause?.namedBindings
      if (!bindings || !ts.isNamespaceImport(bindings)) return []
      const file = path.basename(statement.moduleSpecifier.text, ".ts")
      if (/^@?effect/.test(statement.moduleSpecifier.text))
        return file === bindings.name.text ? [] : [[bindings.name.text, `${file}.`]]
      if (!statement.moduleSpecifier.text.startsWith(".")) return []
      const isPublic = modules.some(
        ({ file: each }) =>
          path.resolve(path.dirname(source.fileName), statement.moduleSpecifier.text) === path.resolve(each)
      )
      return [[bindings.name.text, isPublic ? `${file}.` : ""]]
    })

  const tidy = (text, source) => {
    const named = (_, from) => (from.startsWith(".") || !from.includes("/") ? "" : `${path.posix.basename(from)}.`)
    let tidied = text.replace(/import\("([^"]*)"\)\./g, named).replace(/\/\/ @effect-diagnostics.*\n/g, "")
    for (const [name, there] of qualifiersOf(source)) {
      tidied = tidied.replace(new RegExp(`\\b(?<!\\.)${name}\\.(?=[A-Z])`, "g"), there)
    }
    return tidied
  }

  const docOf = (node) => {
    const docs = (node.jsDoc ?? []).map((doc) => doc.getText())
    const doc = docs.length === 0 ? "" : plainDoc(docs.at(-1))
    return doc === "" ? "" : `${doc}\n`
  }

  /** A type as a record of data is read: its fields, and the public names of what is in them. */
  const dataType = (type, depth = 0, own) => {
    const name = type === own ? undefined : namedTypes.get(type)
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
    const doc = declaration === undefined ? "" : docOf(declaration)
    const optional = property.flags & ts.SymbolFlags.Optional ? "?" : ""
    const name = /^[\w$]+$/.test(property.name) ? property.name : JSON.stringify(property.name)
    const type = checker.getTypeOfSymbol(property)
    const isLeft = optional !== "" && !(type.flags & ts.TypeFlags.Unknown)
    const text = literalsOf(declaration) ?? dataType(isLeft ? checker.getNonNullableType(type) : type, depth)
    return `${doc}readonly ${name}${optional}: ${text}`
  }

  /** The words that a field may have, in the order in which its schema has them. */
  const literalsOf = (declaration) => {
    if (declaration === undefined || !ts.isPropertyAssignment(declaration)) return undefined
    let schema = checker.getTypeAtLocation(declaration.initializer)
    const inner = schema.getProperty("schema")
    if (inner !== undefined) schema = checker.getTypeOfSymbol(inner)
    const literals = schema.getProperty("literals")
    const type = isSchema(schema) ? typeOfSchema(schema) : undefined
    return literals === undefined || type === undefined || namedTypes.has(type) ? undefined : schemaType(schema, type)
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

  /** What an interface has of its own, and what it has from those that nobody can name. */
  const interfaceText = (name, node, prefix = "") => {
    const source = node.getSourceFile()
    const bases = node.heritageClauses?.flatMap(({ types }) => [...types]) ?? []
    const kept = []
    const members = node.members.filter((member) => !isHidden(member)).map((member) => docOf(member) + member.getText())
    for (const base of bases) {
      const declaration = unnamedBase(base)
      if (declaration !== undefined) {
        members.push(
          ...declaration.members
            .filter((member) => !isHidden(member))
            .map((member) => docOf(member) + tidy(member.getText(), declaration.getSourceFile()))
        )
      } else kept.push(base.getText())
    }
    const head = `interface ${prefix}${name}${parameters(node)}${kept.length > 0 ? ` extends ${kept.join(", ")}` : ""}`
    return tidy(`${head} {\n${members.join("\n")}\n}`, source)
  }

  const unnamedBase = ({ expression }) => {
    const target = resolved(checker.getSymbolAtLocation(expression))
    const declaration = target?.declarations?.find(ts.isInterfaceDeclaration)
    return declaration !== undefined && isOurs(declaration) && !isPublic(target) ? declaration : undefined
  }

  /** Brands, and what only lets the compiler tell types apart. */
  const isHidden = (member) =>
    member.name !== undefined && (ts.isComputedPropertyName(member.name) || member.name.getText().startsWith('"~'))
  const parameters = (node) =>
    node.typeParameters === undefined ? "" : `<${node.typeParameters.map((one) => one.getText()).join(", ")}>`
  const isPublic = (symbol) =>
    publicNames.has(symbol) ||
    (symbol.parent !== undefined && publicNames.has(symbol.parent) && symbol.parent.flags & ts.SymbolFlags.Namespace)
  const resolved = (symbol) =>
    symbol !== undefined && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol

  const aliasText = (name, symbol, node) => {
    const source = node.getSourceFile()
    if (ts.isTypeReferenceNode(node.type)) {
      // Only another name for what has no public one: show that, under the public name.
      const target = resolved(checker.getSymbolAtLocation(node.type.typeName))
      const declaration = target?.declarations?.find(
        (one) => ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)
      )
      if (declaration !== undefined && isOurs(declaration) && !isPublic(target)) {
        return ts.isInterfaceDeclaration(declaration)
          ? interfaceText(name, declaration)
          : aliasText(name, target, declaration)
      }
    }
    const text = node.type.getText()
    if (/\.(Type|literals)\b|^(keyof |\()?typeof /.test(text)) {
      const value = ts.isTypeQueryNode(node.type) ? node.type.exprName : undefined
      const schema =
        value !== undefined && ts.isQualifiedName(value) ? checker.getTypeAtLocation(value.left) : undefined
      const type = checker.getDeclaredTypeOfSymbol(symbol)
      const made = symbol.declarations.find(ts.isVariableDeclaration)
      if (schema !== undefined && isSchema(schema)) return `type ${name} = ${schemaType(schema, type, made)}`
      if (ts.isTypeOperatorNode(node.type) && ts.isTypeQueryNode(node.type.type)) {
        const names = checker
          .getPropertiesOfType(checker.getTypeAtLocation(node.type.type))
          .map((one) => JSON.stringify(one.name))
        return `type ${name} = ${names.join(" | ")}`
      }
      const tuple = ts.isIndexedAccessTypeNode(node.type) ? checker.getTypeAtLocation(node.type.objectType) : undefined
      if (tuple !== undefined && checker.isTupleType(tuple)) {
        return `type ${name} = ${checker
          .getTypeArguments(tuple)
          .map((one) => checker.typeToString(one))
          .join(" | ")}`
      }
    }
    return tidy(`type ${name}${parameters(node)} = ${text}`, source)
  }

  const constText = (name, symbol, node, hasType) => {
    const type = checker.getTypeOfSymbol(symbol)
    if (isSchema(type) && node.type === undefined) {
      return `declare const ${name}: Schema.Schema<${hasType ? name : schemaType(type, typeOfSchema(type))}>`
    }
    return `declare const ${tidy(`${name}: ${writtenType(node) ?? compiledType(symbol, node)}`, node.getSourceFile())}`
  }

  /** The function that a value is made of: as it stands, or in `Effect.fn("name")(function* () {})`. */
  const functionIn = (expression) => {
    if (expression === undefined || ts.isFunctionLike(expression)) return expression
    if (!ts.isCallExpression(expression) || expression.expression.getText().startsWith("Schema.")) return undefined
    return functionIn(expression.arguments.find(ts.isFunctionLike))
  }

  /** The type of a value as its author wrote it, where everything about it is written. */
  const writtenType = (node) => {
    if (node.type !== undefined) return node.type.getText()
    const made = functionIn(node.initializer)
    if (made === undefined || made.parameters.some(({ type }) => type === undefined)) return undefined
    const result = resultOf(made) ?? typeNodeOf(node)?.type?.getText()
    return result === undefined
      ? undefined
      : `${parameters(made)}(${made.parameters.map(parameter).join(", ")}) => ${withoutNever(result)}`
  }

  const resultOf = ({ asteriskToken, type }) =>
    asteriskToken === undefined ? type?.getText() : type?.getText().replace(/^Effect\.fn\.Return\b/, "Effect.Effect")

  /** `{ a, b }: Options = {}` is how a function reads its options; whoever calls it sees `options?: Options`. */
  const parameter = ({ dotDotDotToken, initializer, name, questionToken, type }) => {
    const isOptional = initializer !== undefined || questionToken !== undefined
    const called = ts.isIdentifier(name) ? name.text : "options"
    return `${dotDotDotToken === undefined ? "" : "..."}${called}${isOptional ? "?" : ""}: ${type.getText()}`
  }

  /** The same as the compiler declares it. */
  const typeNodeOf = (node) => {
    let found
    const visit = (one) => {
      if (ts.isVariableDeclaration(one) && one.name.text === node.name.text) found = one.type
      else ts.forEachChild(one, visit)
    }
    visit(declarationsOf(node.getSourceFile()))
    return found
  }

  const compiledType = (symbol, node) => {
    const type = typeNodeOf(node)
    if (type === undefined) throw new Error(`no declaration of ${symbol.name}`)
    return withoutNever(type.getText())
  }

  /** What an effect does not need or fail with goes without saying. */
  const withoutNever = (text) => text.replaceAll(/(, never)+>/g, ">")

  const functionText = (name, nodes) => {
    const overloads = nodes.filter(({ body }) => body === undefined || nodes.length === 1)
    return overloads
      .map((node) => {
        const values = node.parameters.map((one) => one.getText()).join(", ")
        return tidy(
          `declare function ${name}${parameters(node)}(${values}): ${node.type?.getText() ?? "void"}`,
          node.getSourceFile()
        )
      })
      .join("\n")
  }

  /** What of a declaration its users see: not the body of a function, and not how a value is made. */
  const surfaceOf = (node) => {
    if (ts.isFunctionLike(node))
      return [
        ...(node.typeParameters ?? []),
        ...node.parameters.flatMap(({ type }) => type ?? []),
        ...(node.type === undefined ? [] : [node.type])
      ]
    if (ts.isInterfaceDeclaration(node)) {
      const bases = node.heritageClauses?.flatMap(({ types }) => [...types]) ?? []
      return [
        ...(node.typeParameters ?? []),
        ...bases.flatMap((base) => {
          const unnamed = unnamedBase(base)
          return unnamed === undefined ? [base] : surfaceOf(unnamed)
        }),
        ...node.members
      ]
    }
    if (!ts.isVariableDeclaration(node)) return [node]
    if (node.type !== undefined) return [node.type]
    const made = functionIn(node.initializer)
    if (made !== undefined) return surfaceOf(made)
    return node.initializer !== undefined && ts.isCallExpression(node.initializer) ? [node.initializer] : []
  }

  /** Types that stand in a declaration and have no public name: shown beside it, for nobody could look them up. */
  const unnamedIn = (nodes, found = new Set()) => {
    const visit = (node) => {
      if (ts.isBlock(node)) return
      if (ts.isTypeReferenceNode(node)) {
        const target = resolved(checker.getSymbolAtLocation(node.typeName))
        const declaration = target?.declarations?.find(
          (one) => ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)
        )
        if (
          declaration !== undefined &&
          isOurs(declaration) &&
          !isPublic(target) &&
          !publicFor.has(target) &&
          !found.has(declaration)
        ) {
          found.add(declaration)
          unnamedIn([declaration], found)
        }
      }
      ts.forEachChild(node, visit)
    }
    for (const node of nodes.flatMap(surfaceOf)) visit(node)
    return found
  }

  /** The public symbols that a declaration mentions. */
  const mentionedIn = (nodes, found = new Set()) => {
    const visit = (node) => {
      if (ts.isBlock(node)) return
      if (ts.isIdentifier(node)) {
        const target = resolved(checker.getSymbolAtLocation(node))
        if (target !== undefined && publicNames.has(canonical(target))) found.add(canonical(target))
      }
      ts.forEachChild(node, visit)
    }
    for (const node of nodes.flatMap(surfaceOf)) visit(node)
    return found
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

  const valueNodes = (symbol) =>
    (symbol.declarations ?? []).filter((one) => ts.isVariableDeclaration(one) || ts.isFunctionDeclaration(one))

  const namespaceTexts = (name, node) =>
    node.body.statements.map((statement) => {
      const inner = statement.name.text
      const symbol = checker.getSymbolAtLocation(statement.name)
      const text = ts.isInterfaceDeclaration(statement)
        ? interfaceText(inner, statement, "")
        : aliasText(inner, symbol, statement)
      return {
        name: `${name}.${inner}`,
        symbol,
        signature: { texts: [text], ...besides([statement], symbol), failures: [] }
      }
    })

  /** The code of an entry, with what stands inside it and beside it. */
  const signatureOf = ({ name, symbol }) => {
    const declarations = symbol.declarations ?? []
    const hasType = declarations.some((one) => ts.isTypeAliasDeclaration(one) || ts.isInterfaceDeclaration(one))
    const texts = []
    const inner = []
    for (const node of declarations) {
      if (ts.isClassDeclaration(node)) texts.push(classText(name, symbol, node))
      else if (ts.isVariableDeclaration(node)) texts.push(constText(name, symbol, node, hasType))
      else if (ts.isInterfaceDeclaration(node)) texts.push(interfaceText(name, node))
      else if (ts.isTypeAliasDeclaration(node)) texts.push(aliasText(name, symbol, node))
      else if (ts.isModuleDeclaration(node)) inner.push(...namespaceTexts(name, node))
    }
    const functions = declarations.filter(ts.isFunctionDeclaration)
    if (functions.length > 0) texts.push(functionText(name, functions))
    const [value] = valueNodes(symbol)
    return {
      texts,
      inner,
      ...besides(
        declarations.filter((one) => !ts.isModuleDeclaration(one)),
        symbol
      ),
      failures: value === undefined ? [] : failuresOf(symbol, value)
    }
  }

  /** What a reader needs beside a declaration: the types in it that have no public name, and those that have one. */
  const besides = (nodes, symbol) => {
    const unnamed = [...unnamedIn(nodes.flatMap(shownFor))]
    return {
      unnamed: unnamed.map((node) => ({
        name: node.name.text,
        text:
          docOf(node) +
          (ts.isInterfaceDeclaration(node)
            ? interfaceText(node.name.text, node)
            : aliasText(node.name.text, checker.getSymbolAtLocation(node.name), node))
      })),
      mentioned: [...mentionedIn([...nodes.flatMap(shownFor), ...unnamed])].filter((one) => one !== symbol)
    }
  }

  /** What stands under the name: for an alias that is only another name, what it names. */
  const shownFor = (node) => {
    if (!ts.isTypeAliasDeclaration(node) || !ts.isTypeReferenceNode(node.type)) return [node]
    const target = resolved(checker.getSymbolAtLocation(node.type.typeName))
    return publicFor.has(target) ? target.declarations : [node]
  }

  return { signatureOf }
}

const isGeneric = (symbol) => symbol.declarations?.some((one) => one.typeParameters?.length > 0)

const undefinedLast = (one, other) => {
  const rank = (text) => (text === "undefined" ? 2 : text === "null" ? 1 : 0)
  return rank(one) - rank(other) || (one < other ? -1 : one > other ? 1 : 0)
}

/** A docstring inside code: without its tags, and with its links as plain names. */
const plainDoc = (doc) => {
  const lines = doc
    .replace(/^\/\*\*|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
  const end = lines.findIndex((line) => /^@(since|category|see)\b/.test(line.trim()))
  const text = (end === -1 ? lines : lines.slice(0, end))
    .join("\n")
    .trim()
    .replace(/\{@link (\w[\w.]*)[^}]*\}/g, "`$1`")
  if (text === "") return ""
  return text.includes("\n")
    ? `/**\n${text
        .split("\n")
        .map((line) => ` * ${line}`.trimEnd())
        .join("\n")}\n */`
    : `/** ${text} */`
}
