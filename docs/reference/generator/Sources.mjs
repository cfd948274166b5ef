// What is public: the modules of package.json's `exports`, what each exports, and the docstring of each.
import * as fs from "node:fs"
import * as path from "node:path"
import * as TypeDoc from "typedoc"
import ts from "typescript"

/** Import path and source file of every public module, in the order of package.json. */
const publicFiles = (root) => {
  const { exports, name } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
  return Object.entries(exports).flatMap(([subpath, target]) =>
    typeof target === "string" && target.endsWith(".js")
      ? [
          {
            specifier: name + subpath.slice(1),
            file: path.join(root, target.replace("./dist/", "src/").replace(/js$/, "ts"))
          }
        ]
      : []
  )
}

/** Collects what TypeDoc has to say instead of printing it. */
class Notes extends TypeDoc.Logger {
  messages = []
  addContext(message) {
    return message
  }
  log(message, level) {
    if (level >= TypeDoc.LogLevel.Warn) this.messages.push(message)
  }
}

/**
 * Types that public ones mention and nobody can import. A page shows each beside what mentions it, so a reader misses nothing; who adds
 * another one decides anew whether it is to be exported. TypeDoc complains of what stands here in vain, too.
 */
const notExported = [
  // Called by another name where they are public.
  "Known",
  "Buckets",
  "CapacitySample",
  "Cancel",
  "SizingWindow",
  "SizingDecision",
  "Knee",
  "MySqlConnection",
  "Result",
  "SqlClientOptions",
  // Steps of a type, which nobody writes down.
  "ConnectionOf",
  "Kinds",
  "OptionsOf",
  "PoolsOf",
  "RequirementsOf",
  "Secret",
  "DriverOptions",
  // What a scenario of the simulation is made of: scenarios are chosen by name.
  "scenarios",
  "Faults",
  "ConnectorTraits",
  "Dice"
]

/** Brands, and what JavaScript or Effect asks of a class: nobody calls them by name. */
const isNoMatterOfReaders = ({ name }) => name.startsWith("~") || name === "toString"

export const readSources = async (root) => {
  const files = publicFiles(root)
  const app = await TypeDoc.Application.bootstrap({
    tsconfig: path.join(root, "src", "tsconfig.json"),
    entryPoints: files.map(({ file }) => file),
    basePath: path.join(root, "src"),
    excludeExternals: true,
    excludeInternal: true,
    excludePrivate: true,
    excludeProtected: true,
    skipErrorChecking: true,
    disableGit: true,
    sourceLinkTemplate: "{path}",
    gitRevision: "none",
    sort: ["source-order"],
    validation: {
      notExported: true,
      invalidLink: true,
      notDocumented: true,
      rewrittenLink: false,
      unusedMergeModuleWith: false
    },
    intentionallyNotExported: notExported,
    requiredToBeDocumented: ["Module", "Class", "Interface", "TypeAlias", "Variable"]
  })
  const notes = new Notes()
  app.logger = notes

  const symbols = new Map()
  /** A module's docstring is the first of its file, as it is in Effect; TypeDoc would have it marked. */
  const describeModule = (context, module) => {
    const source = context.getSymbolFromReflection(module)?.declarations?.find(ts.isSourceFile)
    const doc = /^\/\*\*([\s\S]*?)\*\//.exec(source?.text ?? "")?.[1] ?? ""
    const [summary, tags = ""] = doc.replaceAll(/^ *\* ?/gm, "").split(/^(?=@)/m)
    if (source === undefined || summary.trim() === "") return
    const parts = summary.trim().split(/(\{@link [^}]+\}|`[^`]*`)/)
    module.comment = new TypeDoc.Comment(
      parts.map((part) =>
        part.startsWith("{@link ")
          ? { kind: "inline-tag", tag: "@link", text: part.slice(7, -1) }
          : { kind: part.startsWith("`") ? "code" : "text", text: part }
      )
    )
    const since = /@since (\S+)/.exec(tags)?.[1]
    if (since !== undefined)
      module.comment.blockTags.push(new TypeDoc.CommentTag("@since", [{ kind: "text", text: since }]))
  }
  app.converter.on(TypeDoc.Converter.EVENT_RESOLVE_BEGIN, (context) => {
    for (const reflection of Object.values(context.project.reflections)) {
      if (reflection.kindOf(TypeDoc.ReflectionKind.SomeModule)) describeModule(context, reflection)
      else if (isNoMatterOfReaders(reflection)) context.project.removeReflection(reflection)
    }
    for (const reflection of Object.values(context.project.reflections)) {
      const symbol = context.getSymbolFromReflection(reflection)
      if (symbol !== undefined) symbols.set(reflection, symbol)
    }
  })
  const entryPoints = app.getEntryPoints()
  if (entryPoints === undefined) throw new Error(`TypeDoc could not read the sources:\n${notes.messages.join("\n")}`)
  const project = app.converter.convert(entryPoints)
  app.validate(project)

  const { program } = entryPoints[0]
  const checker = program.getTypeChecker()
  const reflectionsOf = new Map()
  for (const [reflection, symbol] of symbols) {
    reflectionsOf.set(symbol, [...(reflectionsOf.get(symbol) ?? []), reflection])
  }

  const resolved = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)
  const modules = []
  const add = (specifier, file, parent, name) => {
    const source = program.getSourceFile(file)
    const symbol = checker.getSymbolAtLocation(source)
    const inner = []
    const entries = []
    for (const one of checker.getExportsOfModule(symbol)) {
      const target = resolved(one)
      if (target.flags & ts.SymbolFlags.ValueModule && target.declarations?.some(ts.isSourceFile)) inner.push(target)
      else if (reflectionsOf.has(target)) entries.push({ name: one.name, exported: one, symbol: target })
    }
    const module = { specifier, file, source, symbol, entries, name, parent, inner: [] }
    modules.push(module)
    for (const one of inner) {
      const innerFile = one.declarations.find(ts.isSourceFile).fileName
      const shared = files.find((each) => path.resolve(each.file) === path.resolve(innerFile))
      if (shared === undefined) module.inner.push(add(specifier, innerFile, module, path.basename(innerFile, ".ts")))
    }
    return module
  }
  for (const { file, specifier } of files) {
    add(specifier, file, undefined, specifier.includes("/") ? specifier.slice(specifier.indexOf("/") + 1) : "")
  }
  return { root, program, checker, modules, project, symbols, reflectionsOf, problems: new Set(notes.messages) }
}
