/**
 * What a reference made of docstrings needs to be complete: of every public name a summary, a category and the version it came
 * with; of every function its errors, its defaults and an example that is run; of every record what each field is, with its unit.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  child,
  children,
  docstringBefore,
  nameOf,
  namesExportedBy,
  type Node,
  type PublicName,
  publicModules,
  publicNames
} from "./PublicNames.ts"

/** The name with its place, as an editor finds it. */
const placeOf = ({ file, line, name }: PublicName): string => `${file}:${line} ${name}`

/** Everything that is written in backticks is named. */
const namesIn = (doc: string): ReadonlySet<string> =>
  new Set(Array.from(doc.matchAll(/`([^`\n]+)`/g), ([, name]) => name!.split(/\W+/)).flat())

/** The docstring's words: without tags and examples. */
const wordsOf = (doc: string): string =>
  doc
    .split(/^@\w+/m)[0]!
    .replaceAll(/^```[\s\S]*?^```$/gm, "")
    .trim()

const hasSummary = ({ doc }: PublicName): boolean =>
  /^[^@*|`\s-][^\n]+ [^\n]*/.test(wordsOf(doc)) && /[.:]\s*($|\n|[A-Z`])/.test(wordsOf(doc))

const hasTag = (doc: string, tag: string): boolean => new RegExp(`^@${tag} \\S`, "m").test(doc)

// Functions.

const isFunctionType = (type: Node | undefined): boolean =>
  type?.type === "TSFunctionType" ||
  (type?.type === "TSTypeLiteral" && children(type, "members").some((one) => one.type === "TSCallSignatureDeclaration"))

/** `f(a)(b)(c)` begins with `f`. */
const calledFirst = (expression: Node | undefined): Node | undefined =>
  expression?.type === "CallExpression" ? calledFirst(child(expression, "callee")) : expression

const textOf = ({ text }: PublicName, node: Node | undefined): string =>
  node === undefined ? "" : text.slice(node.start, node.end)

const annotationOf = (declaration: Node): Node | undefined =>
  child(child(child(declaration, "id"), "typeAnnotation"), "typeAnnotation")

const isFunction = (one: PublicName): boolean =>
  one.declarations.some((declaration) => {
    if (declaration.type.endsWith("FunctionDeclaration") || declaration.type === "TSDeclareFunction") return true
    if (declaration.type !== "VariableDeclarator") return false
    const init = child(declaration, "init")
    return (
      init?.type === "ArrowFunctionExpression" ||
      isFunctionType(annotationOf(declaration)) ||
      (init?.type === "CallExpression" && /^(dual|Effect\.fn|Effect\.fnUntraced)$/.test(textOf(one, calledFirst(init))))
    )
  })

const hasExample = ({ doc }: PublicName): boolean => /^```ts\n/m.test(doc)

/** Functions that have an example, or lead to one that has: a variant needs none of its own. */
const leadsToExample = (one: PublicName): boolean => {
  if (hasExample(one)) return true
  const links = Array.from(one.doc.matchAll(/\{@link ([\w.]+)/g), ([, target]) => target!)
  return links.some((target) => {
    const [space, name = space] = target.split(".")
    return publicNames.some(
      (other) =>
        other.name === name &&
        hasExample(other) &&
        (name === space ? other.module === one.module : other.module.endsWith(`/${space}`))
    )
  })
}

const everyNode = (node: Node, isSkipped: (field: string) => boolean): ReadonlyArray<Node> => [
  node,
  ...Object.keys(node).flatMap((field) =>
    isSkipped(field) ? [] : children(node, field).flatMap((one) => everyNode(one, isSkipped))
  )
]

const typesWithErrors = /^(Effect\.Effect|Effect\.fn\.Return|Layer\.Layer|Stream\.Stream|Config\.Config)$/

/** The errors, by name, that a function's type says it may fail with; those of its parameters are whoever's they are. */
const errorsOf = (one: PublicName): ReadonlyArray<string> =>
  one.declarations.flatMap((declaration) =>
    // What a body does is not what the type says, except where a generator's type is the function's.
    everyNode(declaration, (field) => field === "body" || field === "params")
      .filter((node) => node.type === "TSTypeReference" && typesWithErrors.test(textOf(one, child(node, "typeName"))))
      .flatMap((node) => {
        const error = children(child(node, "typeArguments"), "params")[1]
        return error === undefined ? [] : everyNode(error, (field) => field === "typeArguments")
      })
      .filter(({ type }) => type === "TSTypeReference")
      .map((node) => textOf(one, child(node, "typeName")).split(".").at(-1)!)
      .filter((name) => !/^E\d?$/.test(name))
  )

const errorNames = /\b(AcquireTimeout|ServiceUnavailable|PoolOverloaded|PoolDeadlock|AcquireError)\b/

const unnamedErrors = (one: PublicName): ReadonlyArray<string> => {
  const words = wordsOf(one.doc)
  if (/[Ff]ails? (like|as) \S/.test(words)) return []
  return [...new Set(errorsOf(one))].filter((name) => {
    if (name === "AcquireError" && errorNames.test(words)) return false
    return !words.includes(name)
  })
}

// Fields.

interface Field {
  readonly name: string
  readonly doc: string
  readonly type: string
  readonly isOptional: boolean
}

const isMember = ({ type }: Node): boolean => type === "TSPropertySignature" || type === "TSMethodSignature"

const membersOf = (one: PublicName, members: ReadonlyArray<Node>): ReadonlyArray<Field> =>
  members
    .filter((member) => isMember(member) && member["computed"] !== true)
    .map((member) => ({
      name: nameOf(member),
      doc: docstringBefore(one.text, member.start),
      type: textOf(one, child(member, "typeAnnotation")).replace(/^: /, ""),
      isOptional: member["optional"] === true
    }))
    .filter(({ name }) => !name.startsWith("~"))

/** The fields of a schema: those of the records it is made of. */
const schemaFields = (one: PublicName, expression: Node | undefined): ReadonlyArray<Field> => {
  if (expression === undefined) return []
  if (expression.type === "ObjectExpression") {
    return children(expression, "properties")
      .filter(({ type }) => type === "Property")
      .flatMap((property) => {
        const value = child(property, "value")
        if (value?.type === "ObjectExpression") return schemaFields(one, value)
        const doc = docstringBefore(one.text, property.start)
        const type = textOf(one, value)
        return [{ name: nameOf(property), doc, type, isOptional: type.startsWith("Schema.optional") }]
      })
  }
  if (expression.type !== "CallExpression") return []
  // What a field is made of is the field's matter, and so is what is asked of a union's members.
  if (!/^(Schema|ErrorClass|TaggedErrorClass)\b/.test(textOf(one, calledFirst(expression)))) return []
  if (/^Schema\.(Literals|declare|Union|Array|Record)\b/.test(textOf(one, expression))) return []
  return [
    ...schemaFields(one, child(expression, "callee")),
    ...children(expression, "arguments").flatMap((argument) => schemaFields(one, argument))
  ]
}

const typeFields = (one: PublicName, type: Node | undefined): ReadonlyArray<Field> => {
  if (type?.type === "TSTypeLiteral") return membersOf(one, children(type, "members"))
  if (type?.type === "TSIntersectionType" || type?.type === "TSUnionType")
    return children(type, "types").flatMap((part) => typeFields(one, part))
  return []
}

const fieldsOf = (one: PublicName): ReadonlyArray<Field> =>
  one.declarations.flatMap((declaration) => {
    if (declaration.type === "TSInterfaceDeclaration")
      return membersOf(one, children(child(declaration, "body"), "body"))
    if (declaration.type === "TSTypeAliasDeclaration") return typeFields(one, child(declaration, "typeAnnotation"))
    if (declaration.type === "ClassDeclaration") return schemaFields(one, child(declaration, "superClass"))
    const init = child(declaration, "init")
    return init?.type === "CallExpression" && !isFunction(one) ? schemaFields(one, init) : []
  })

const isTime = ({ name, type }: Field): boolean =>
  /^(age|at|since|until|duration|waited|held)$|(At|Time|Used|Until|Since|Millis|Seconds|_ms)$/.test(name) &&
  /\bnumber\b|Finite|Int\b|Millis/.test(type)

const saysUnit = ({ doc, name }: Field, around: string): boolean =>
  /(Millis|Seconds|_ms)$/.test(name) || /milliseconds?\b|\bms\b|\bseconds?\b/.test(`${doc}\n${around}`)

/** What goes for it when it is left out. */
const saysDefault = ({ doc }: Field, around: string): boolean =>
  /\bdefaults?\b|without|absent|left out|missing|unless|nothing|none|no such|\bif\b|\bwhile\b|\bwhere\b|\bonly\b|all of/i.test(
    `${doc}\n${around}`
  )

/** The options that a function takes as a record without a name of its own. */
const inlineOptions = (one: PublicName): ReadonlyArray<Field> =>
  isFunction(one)
    ? one.declarations.flatMap((declaration) =>
        everyNode(declaration, (field) => field === "body" || field === "returnType")
          .flatMap((node) => children(node, "params"))
          .map((parameter) => child(parameter, "left") ?? parameter)
          .map((parameter) => child(child(parameter, "typeAnnotation"), "typeAnnotation"))
          .flatMap((type) => typeFields(one, type))
      )
    : []

/** Single arguments that may be left out. Records of options are told field by field. */
const optionalArguments = (one: PublicName): ReadonlyArray<string> =>
  isFunction(one)
    ? one.declarations.flatMap((declaration) =>
        everyNode(declaration, (field) => field === "body" || field === "returnType")
          .flatMap((node) => children(node, "params"))
          .filter((parameter) => {
            const value = child(parameter, "right")
            return value === undefined ? parameter["optional"] === true : value.type !== "ObjectExpression"
          })
          .map((parameter) => nameOf(child(parameter, "left") ?? parameter))
          .filter((name) => !/^(options|config|overrides)$/.test(name))
      )
    : []

const offences: Readonly<Record<string, (one: PublicName) => ReadonlyArray<string>>> = {
  "say in a sentence what it is": (one) => (hasSummary(one) ? [] : ["has no summary"]),
  "say to which category it belongs, and since which version it is there": (one) =>
    ["category", "since"].filter((tag) => !hasTag(one.doc, tag)).map((tag) => `has no @${tag}`),
  "show every function at work, or lead to the one that is shown": (one) =>
    isFunction(one) && !leadsToExample(one) ? ["has no example, and no link to a name that has"] : [],
  "name every error that a function fails with": (one) =>
    isFunction(one) ? unnamedErrors(one).map((name) => `does not say that it fails with ${name}`) : [],
  "say what every field is": (one) => {
    const named = namesIn(one.doc)
    return [...fieldsOf(one), ...inlineOptions(one)]
      .filter(({ doc, name }) => doc === "" && !named.has(name))
      .map(({ name }) => `says nothing of ${name}`)
  },
  "say the unit of every time": (one) =>
    fieldsOf(one)
      .filter((field) => isTime(field) && !saysUnit(field, one.doc))
      .map(({ name }) => `has no unit for ${name}`),
  "say of every argument that may be left out what goes then": (one) =>
    optionalArguments(one)
      .filter((name) => !namesIn(one.doc).has(name))
      .map((name) => `does not say what goes without the argument ${name}`),
  "say what goes when a field is left out": (one) =>
    [...fieldsOf(one), ...inlineOptions(one)]
      .filter((field) => field.isOptional && !saysDefault(field, one.doc))
      .map(({ name }) => `does not say what goes without ${name}`)
}

describe("the docstrings of all public names", () => {
  it("are found", () => {
    assert.isAbove(publicModules.length, 25)
    assert.isAbove(publicNames.length, 300)
    assert.isAbove(publicNames.filter(isFunction).length, 100)
    assert.isAbove(publicNames.flatMap(errorsOf).length, 50)
    assert.isAbove(publicNames.flatMap(fieldsOf).length, 400)
  })

  for (const [what, offencesOf] of Object.entries(offences)) {
    it(what, () => {
      const found = publicNames.flatMap((one) => offencesOf(one).map((offence) => `${placeOf(one)} ${offence}`))
      assert.deepStrictEqual([...new Set(found)], [])
    })
  }

  const tags = " * @category any\n * @since 0.1.0\n */"
  const caught: ReadonlyArray<readonly [rule: string, source: string, offence: string]> = [
    ["say in a sentence what it is", `/**\n${tags}\nexport type A = string`, "A has no summary"],
    ["say in a sentence what it is", "export type A = string", "A has no summary"],
    [
      "say to which category it belongs, and since which version it is there",
      "/** What it is. */\nexport type A = string",
      "A has no @category"
    ],
    [
      "show every function at work, or lead to the one that is shown",
      `/**\n * Does it.\n *\n${tags}\nexport const f = (): string => ""`,
      "f has no example, and no link to a name that has"
    ],
    [
      "show every function at work, or lead to the one that is shown",
      `/**\n * Does it, as {@link g}.\n *\n${tags}\nexport const f: (x: string) => string = trim`,
      "f has no example, and no link to a name that has"
    ],
    [
      "name every error that a function fails with",
      `/**\n * Does it.\n *\n${tags}\nexport const f = (): Effect.Effect<void, Closed | E> => none`,
      "f does not say that it fails with Closed"
    ],
    [
      "name every error that a function fails with",
      `/**\n * Does it.\n *\n${tags}\nexport const f: { (x: X): (y: Y) => Effect.Effect<void, Closed> } = dual(2, g)`,
      "f does not say that it fails with Closed"
    ],
    [
      "say what every field is",
      `/**\n * What it is, and \`a\`.\n *\n${tags}\nexport interface A { readonly a: string; readonly b: string }`,
      "A says nothing of b"
    ],
    [
      "say what every field is",
      `/**\n * What it is.\n *\n${tags}\nexport class A extends Schema.TaggedError<A>("A")("A", { b: Schema.Int }) {}`,
      "A says nothing of b"
    ],
    [
      "say the unit of every time",
      `/**\n * What it is: \`since\`.\n *\n${tags}\nexport interface A { readonly since: number }`,
      "A has no unit for since"
    ],
    [
      "say of every argument that may be left out what goes then",
      `/**\n * Does it.\n *\n${tags}\nexport const f = (size = 3): string => ""`,
      "f does not say what goes without the argument size"
    ],
    [
      "say of every argument that may be left out what goes then",
      `/**\n * Does it.\n *\n${tags}\nexport const f: { (x: X, size?: number): string } = dual(2, g)`,
      "f does not say what goes without the argument size"
    ],
    [
      "say what goes when a field is left out",
      `/**\n * What it is: \`size\`.\n *\n${tags}\nexport interface A { readonly size?: number }`,
      "A does not say what goes without size"
    ]
  ]
  for (const [rule, source, offence] of caught) {
    it(`are caught where they do not ${rule}: ${offence}`, () => {
      const found = namesExportedBy(source).flatMap((one) => offences[rule]!(one).map((what) => `${one.name} ${what}`))
      assert.include(found, offence)
    })
  }

  it("say of every module what it is for, and since which version it is there", () => {
    const found = publicNames.map(({ file, text }) => [file, docstringBefore(text, text.indexOf("*/") + 2)] as const)
    const wrong = found.filter(([, doc]) => wordsOf(doc) === "")
    assert.deepStrictEqual([...new Set(wrong.map(([file]) => file))], [])
  })
})
