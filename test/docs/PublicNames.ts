/**
 * Every name that the package exports: its declaration and its docstring, as they stand in the sources.
 *
 * The sources are parsed, not run. Declarations are looked up where they are made, however many modules hand them on.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { parseAst } from "vitest/node"
import { root } from "../support/DocPages.ts"

/** A node of the syntax tree (ESTree with types); what is read of it is read by its name. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

/** A node's field, if that is a node. */
export const child = (node: Node | undefined, field: string): Node | undefined => {
  const value = node?.[field]
  return isNode(value) ? value : undefined
}

/** A node's field as a list of nodes; nothing and single nodes are lists, too. */
export const children = (node: Node | undefined, field: string): ReadonlyArray<Node> => {
  const value = node?.[field]
  return Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []
}

/** The name of an identifier, or of a thing that has one; what is written in quotes is a name, too. */
export const nameOf = (node: Node | undefined): string => {
  if (node === undefined) return ""
  const { name, value } = node
  if (typeof name === "string") return name
  return typeof value === "string" ? value : nameOf(child(node, "id") ?? child(node, "key"))
}

interface Source {
  readonly file: string
  readonly text: string
  readonly body: ReadonlyArray<Node>
}

const sources = new Map<string, Source>()

export const sourceOf = (file: string): Source => {
  const known = sources.get(file)
  if (known !== undefined) return known
  return parsed(file, fs.readFileSync(path.join(root, file), "utf8"))
}

const parsed = (file: string, text: string): Source => {
  const program = parseAst(text, { lang: "ts" }) as unknown as Node
  const source = { file, text, body: children(program, "body") }
  sources.set(file, source)
  return source
}

/** The docstring directly before a place, without its stars; empty if there is none. */
export const docstringBefore = (text: string, place: number): string => {
  const before = text.slice(0, place).trimEnd()
  if (!before.endsWith("*/")) return ""
  const begin = before.lastIndexOf("/**")
  return begin === -1 ? "" : uncommented(before.slice(begin))
}

const uncommented = (comment: string): string =>
  comment
    .slice("/**".length, -"*/".length)
    .replaceAll(/^ *\* ?/gm, "")
    .trim()

export interface PublicName {
  /** The module as its users import it: `effect-pool/ConnectionPool`. */
  readonly module: string
  readonly name: string
  readonly file: string
  readonly line: number
  /** The sources around the declaration, for the parts that have comments of their own. */
  readonly text: string
  readonly doc: string
  /** Several where a function is overloaded. */
  readonly declarations: ReadonlyArray<Node>
}

/** `export * as X from` is a namespace: what stands in it is public under its name. */
const namesOf = (module: string, file: string): ReadonlyArray<PublicName> => {
  const { body, text } = sourceOf(file)
  const names: Array<PublicName> = []
  for (const statement of body) {
    const from = child(statement, "source")
    const there = from === undefined ? undefined : path.join(path.dirname(file), nameOf(from))
    if (statement.type === "ExportAllDeclaration") {
      const space = nameOf(child(statement, "exported"))
      // The main module's namespaces are modules that can be imported by themselves, and stand there.
      if (file !== "src/index.ts") names.push(...namesOf(space === "" ? module : `${module}/${space}`, there!))
      continue
    }
    if (statement.type !== "ExportNamedDeclaration") continue
    const declaration = child(statement, "declaration")
    if (declaration !== undefined) {
      names.push(...namesDeclared(module, file, text, statement, declaration))
      continue
    }
    for (const specifier of children(statement, "specifiers")) {
      const name = nameOf(child(specifier, "exported"))
      const original = nameOf(child(specifier, "local"))
      const [place, called] = there === undefined ? importOf(file, original) : [there, original]
      const found = namesOf(module, place).filter((one) => one.name === called && one.module === module)
      if (found.length === 0) throw new Error(`${file}: where is ${original} declared?`)
      for (const one of found) names.push(Object.assign({}, one, { name }))
    }
  }
  return merged(names)
}

/** Where a name that a file has imported is from, and how it is called there. */
const importOf = (file: string, local: string): readonly [file: string, name: string] => {
  for (const statement of sourceOf(file).body) {
    if (statement.type !== "ImportDeclaration") continue
    const specifier = children(statement, "specifiers").find((one) => nameOf(child(one, "local")) === local)
    if (specifier === undefined) continue
    const from = path.join(path.dirname(file), nameOf(child(statement, "source")))
    return [from, nameOf(child(specifier, "imported"))]
  }
  throw new Error(`${file}: where does ${local} come from?`)
}

const namesDeclared = (
  module: string,
  file: string,
  text: string,
  statement: Node,
  declaration: Node
): ReadonlyArray<PublicName> => {
  const doc = docstringBefore(text, statement.start)
  const line = text.slice(0, statement.start).split("\n").length
  const declared = declaration.type === "VariableDeclaration" ? children(declaration, "declarations") : [declaration]
  const names: Array<PublicName> = []
  for (const one of declared) {
    names.push({ module, name: nameOf(one), file, line, text, doc, declarations: [one] })
    if (one.type !== "TSModuleDeclaration") continue
    for (const statement of children(child(one, "body"), "body")) {
      const inner = child(statement, "declaration")
      if (inner !== undefined) names.push(...namesDeclared(`${module}/${nameOf(one)}`, file, text, statement, inner))
    }
  }
  return names
}

const isFunction = ({ type }: Node): boolean => type.endsWith("FunctionDeclaration") || type === "TSDeclareFunction"

/** The overloads of a function are one name, with the docstring of the first. */
const merged = (names: ReadonlyArray<PublicName>): ReadonlyArray<PublicName> => {
  const all: Array<PublicName> = []
  for (const one of names) {
    const last = all.at(-1)
    const isOverload =
      last?.name === one.name && last.file === one.file && [...last.declarations, ...one.declarations].every(isFunction)
    if (isOverload) all[all.length - 1] = { ...last, declarations: [...last.declarations, ...one.declarations] }
    else all.push(one)
  }
  return all
}

/** The names that a text would export if it were a module: for the checks' own tests. */
export const namesExportedBy = (text: string): ReadonlyArray<PublicName> => {
  const file = "made-up.ts"
  parsed(file, text)
  return namesOf("made-up", file)
}

/** The modules that can be imported, with their sources. */
export const publicModules: ReadonlyArray<{ readonly module: string; readonly file: string }> = Object.entries(
  (JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as { readonly exports: object }).exports
).flatMap(([subpath, target]) => {
  const found = JSON.stringify(target ?? null).match(/\.\/dist\/([\w/]+)\.js/)
  if (found === null) return []
  return [{ module: path.posix.join("effect-pool", subpath), file: `src/${found[1]}.ts` }]
})

/** What is for the package alone is not public, though it has to be exported. */
export const publicNames: ReadonlyArray<PublicName> = publicModules
  .flatMap(({ file, module }) => namesOf(module, file))
  .filter(({ doc }) => !/^@internal$/m.test(doc))
