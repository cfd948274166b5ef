/**
 * JSON as people write it by hand: where it is none, line and column say so; and a field that is there twice, of which
 * `JSON.parse` keeps the last without a word, is named.
 */
import * as Result from "effect/Result"
import type { ConfigProblem } from "../PoolError.ts"
import { placeOf } from "./Place.ts"

export interface JsonText {
  readonly value: unknown
  /** Fields that are there more than once. */
  readonly repeated: ReadonlyArray<ConfigProblem>
}

/** Nobody writes that by hand, and what reads it calls itself for each level. */
const deepest = 100

const blank = /[\s\uFEFF]*/y
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
// oxlint-disable-next-line no-control-regex -- JSON has them escaped
const string = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})[^"\\\u0000-\u001f]*)*"/y
const word = /true|false|null/y

/** Where and why the text is no JSON. */
export const parseJson = (text: string): Result.Result<JsonText, ConfigProblem> => new JsonReader(text).read()

const broken: unique symbol = Symbol("broken")

class JsonReader {
  private at = 0
  private readonly text: string
  private readonly repeated: Array<ConfigProblem> = []
  private expected = ""

  constructor(text: string) {
    this.text = text
  }

  read(): Result.Result<JsonText, ConfigProblem> {
    const value = this.value([])
    this.skipBlank()
    if (value !== broken && this.at < this.text.length) this.fails("the end of the text")
    return this.expected === "" ? Result.succeed({ value, repeated: this.repeated }) : Result.fail(this.problem)
  }

  private get problem(): ConfigProblem {
    const { at, expected, text } = this
    const lines = text.slice(0, at).split("\n")
    const field = `line ${lines.length}, column ${lines.at(-1)!.length + 1}`
    const value = at < text.length ? /^\S{1,20}|^/u.exec(text.slice(at))![0] || "a line's end" : "the end of the text"
    return { field, value, expected }
  }

  private value(place: ReadonlyArray<PropertyKey>): unknown {
    this.skipBlank()
    if (place.length > deepest) return this.fails(`at most ${deepest} levels`)
    if (this.takes("{")) return this.fields(place)
    if (this.takes("[")) return this.items(place)
    const atom = this.match(word) ?? this.match(string) ?? this.match(number)
    return atom === undefined ? this.fails("a value") : JSON.parse(atom)
  }

  private items(place: ReadonlyArray<PropertyKey>): unknown {
    const items: Array<unknown> = []
    if (this.takes("]")) return items
    do {
      const item = this.value([...place, items.length])
      if (item === broken) return broken
      items.push(item)
    } while (this.takes(","))
    return this.takes("]") ? items : this.fails(", or ]")
  }

  private fields(place: ReadonlyArray<PropertyKey>): unknown {
    const fields = new Map<string, unknown>()
    if (this.takes("}")) return {}
    do {
      const name = this.name()
      if (name === undefined) return this.fails("the name of a field, in double quotes")
      if (!this.takes(":")) return this.fails(":")
      const value = this.value([...place, name])
      if (value === broken) return broken
      if (fields.has(name)) this.repeats([...place, name])
      fields.set(name, value)
    } while (this.takes(","))
    return this.takes("}") ? Object.fromEntries(fields) : this.fails(", or }")
  }

  private name(): string | undefined {
    this.skipBlank()
    const quoted = this.match(string)
    return quoted === undefined ? undefined : (JSON.parse(quoted) as string)
  }

  private repeats(place: ReadonlyArray<PropertyKey>): void {
    this.repeated.push({ field: placeOf(place), value: "another one", expected: "one field of this name" })
  }

  private fails(expected: string): typeof broken {
    this.expected = expected
    return broken
  }

  private skipBlank(): void {
    this.match(blank)
  }

  private takes(character: string): boolean {
    this.skipBlank()
    if (this.text[this.at] !== character) return false
    this.at++
    return true
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)?.[0]
    this.at += found?.length ?? 0
    return found
  }
}
