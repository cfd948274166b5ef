/** What a schema found wrong in a scenario, as one line for each wrong place. */
import { format } from "effect/Formatter"
import { isObject } from "effect/Predicate"
import * as SchemaAST from "effect/SchemaAST"
import type * as SchemaIssue from "effect/SchemaIssue"
import type { ConfigProblem } from "../PoolError.ts"
import { placeOf } from "./Place.ts"
import { events } from "./ScenarioSchema.ts"

type Path = ReadonlyArray<PropertyKey>

/** `outside` is the record or list that it is about a part of. */
export const problemsOf = (
  issue: SchemaIssue.Issue,
  path: Path,
  outside?: SchemaAST.AST
): ReadonlyArray<ConfigProblem> => {
  switch (issue._tag) {
    case "Pointer":
      return problemsOf(issue.issue, [...path, ...issue.path], outside)
    case "Encoding":
      return problemsOf(issue.issue, path, outside)
    case "Composite":
      return issue.issues.flatMap((inner) => problemsOf(inner, path, issue.ast))
    case "Filter":
      return [problem(path, shown(issue), expectedBy(issue.filter.annotations))]
    case "AnyOf":
      return issue.issues.length > 0
        ? issue.issues.flatMap((inner) => problemsOf(inner, path, issue.ast))
        : [isEventLike(path, issue.input) ? unknownEvent(path, issue.input) : wrong(issue, path, issue.ast)]
    case "MissingKey":
      return [problem(path, "nothing", expectedBy(annotationsOf(fieldOf(outside, path.at(-1)))))]
    case "UnexpectedKey":
      return [problem(path, shown(issue), `no such field; there are ${fieldNames(issue.ast).join(", ")}`)]
    case "InvalidType":
    case "OneOf":
      return [wrong(issue, path, issue.ast)]
    case "InvalidValue":
    case "Forbidden":
      return [problem(path, shown(issue), expectedBy(issue.annotations))]
  }
}

const problem = (path: Path, value: string, expected: string): ConfigProblem => ({
  field: placeOf(path) || "the scenario",
  value,
  expected
})

const wrong = (issue: SchemaIssue.Issue, path: Path, ast: SchemaAST.AST): ConfigProblem =>
  problem(path, shown(issue), expectedBy(annotationsOf(ast)))

/** Of an event it is `what` that is wrong. */
const isEventLike = (path: Path, input: unknown): input is Readonly<Record<string, unknown>> =>
  path.at(-2) === "events" && isObject(input) && !Array.isArray(input)

const unknownEvent = (path: Path, input: Readonly<Record<string, unknown>>): ConfigProblem => {
  const { what } = input
  const names = Object.keys(events).map((name) => `"${name}"`)
  const value = what === undefined ? "nothing" : short(format(what))
  return problem([...path, "what"], value, `one of ${names.join(", ")}`)
}

const expectedBy = (annotations: { readonly [key: string]: unknown } | undefined): string => {
  const expected = annotations?.["expected"]
  return typeof expected === "string" ? expected : "another value"
}

const annotationsOf = (ast: SchemaAST.AST | undefined) => (ast === undefined ? undefined : SchemaAST.resolve(ast))

const fieldOf = (ast: SchemaAST.AST | undefined, name: PropertyKey | undefined): SchemaAST.AST | undefined =>
  ast?._tag === "Objects" ? ast.propertySignatures.find((field) => field.name === name)?.type : undefined

const fieldNames = (ast: SchemaAST.AST): ReadonlyArray<string> =>
  ast._tag === "Objects" ? ast.propertySignatures.map(({ name }) => String(name)) : []

const shown = (issue: SchemaIssue.Issue): string => ("input" in issue ? short(format(issue.input)) : "nothing")

const short = (text: string): string => {
  const line = text.replaceAll(/\s+/g, " ")
  return line.length > 80 ? `${line.slice(0, 77)}...` : line
}
