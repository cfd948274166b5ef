/**
 * `docs/stability.md` promises names. `surface.json` has all of them as they are now, and the page's lists are held to it: a name that
 * goes, comes or changes fails here, until somebody has written it down and thereby seen it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../support/DocPages.ts"
import { entries, exportedNames, importedNames, surface, type Surface } from "./Surface.ts"

const file = path.join(root, "test", "docs", "surface.json")
const found = path.join(root, ".build", "surface.json")

const recorded = JSON.parse(fs.readFileSync(file, "utf8")) as Surface

const howTo =
  "the public names have changed: if that is meant, write it into CHANGELOG.md and docs/stability.md, and copy .build/surface.json to test/docs/surface.json"

/** The lists of the page: `- **name**: words in backticks`, up to the next empty line. */
const listsOf = (text: string): ReadonlyMap<string, ReadonlyArray<string>> =>
  new Map(
    Array.from(text.matchAll(/^- \*\*([\w ]+)\*\*:((?:.*\n)+?)(?=\n|- )/gm), ([, name, words]) => [
      name!,
      Array.from(words!.matchAll(/`([^`]+)`/g), ([, word]) => word!)
    ])
  )

const text = fs.readFileSync(path.join(root, "docs", "stability.md"), "utf8")

const page = listsOf(text)

/** What a list on the page is called, and what it has to hold. */
const namesOf = (part: unknown): ReadonlyArray<string> =>
  Array.isArray(part) ? (part as ReadonlyArray<string>) : Object.keys(part as object)

const lists: Readonly<Record<string, string>> = {
  "Import paths": "exports",
  "Configuration fields": "configuration",
  "Sizing policies by name": "sizingPolicies",
  Diagnoses: "diagnoses",
  "Kinds of a failed connect": "failureKinds",
  "Reasons of a failed connect": "failureReasons",
  "Event tags": "events",
  "Reasons of a close": "closeReasons",
  "Reasons of a failed acquire": "acquireFailures",
  "Ends of a lease": "leaseEnds",
  "States of a pool": "states",
  "States of a connection": "connectionStates",
  "Fields of the status": "status",
  "Fields of a connection": "connectionStatus",
  "Fields of the health": "health",
  Metrics: "metrics",
  Routes: "routes",
  Commands: "commands"
}

describe("the public names", () => {
  it.effect("are those that are written down", () =>
    Effect.gen(function* () {
      const now = JSON.parse(JSON.stringify(yield* surface)) as Surface
      fs.mkdirSync(path.dirname(found), { recursive: true })
      fs.writeFileSync(found, `${JSON.stringify(now, undefined, 2)}\n`)
      for (const part of new Set([...Object.keys(recorded), ...Object.keys(now)])) {
        assert.deepStrictEqual(now[part], recorded[part], `${part}: ${howTo}`)
      }
    })
  )

  for (const [entry, source] of entries) {
    it.effect(`of ${entry} that can be imported are all among them`, () =>
      Effect.gen(function* () {
        const names = new Set(exportedNames(source))
        const imported = yield* Effect.promise(() => importedNames(source))
        assert.isNotEmpty(imported)
        assert.deepStrictEqual(
          imported.filter((name) => !names.has(name)),
          []
        )
      })
    )
  }

  it("have an error code each that no other error has", () => {
    const codes = Object.values(recorded["errors"] as Readonly<Record<string, string>>)
    assert.isAbove(codes.length, 10)
    assert.strictEqual(new Set(codes).size, codes.length)
  })

  it("of the configuration have a variable each", () => {
    const variable = (field: string): string => field.replaceAll(/[A-Z]/g, "_$&").replaceAll(".", "_").toUpperCase()
    const fields = recorded["configuration"] as ReadonlyArray<string>
    assert.sameMembers([...(recorded["variables"] as ReadonlyArray<string>)], [...fields.map(variable), "ENVIRONMENT"])
  })
})

describe("the page about them", () => {
  for (const [title, part] of Object.entries(lists)) {
    it(`lists what there is, and nothing else: ${title}`, () => {
      assert.deepStrictEqual([...(page.get(title) ?? [])].sort(), [...namesOf(recorded[part])].sort())
    })
  }

  it("lists the errors with their codes", () => {
    const pairs = Object.entries(recorded["errors"] as Readonly<Record<string, string>>).flat()
    assert.deepStrictEqual([...(page.get("Errors and their codes") ?? [])].sort(), [...pairs].sort())
  })

  it("says which versions it runs with, as the package does", () => {
    const { engines, peerDependencies } = JSON.parse(
      fs.readFileSync(path.join(root, "package.json"), "utf8")
    ) as Readonly<Record<"engines" | "peerDependencies", Readonly<Record<string, string>>>>
    const rows = text
      .slice(text.indexOf("## What it runs with"))
      .split("\n")
      .filter((line) => line.startsWith("|"))
    const ranges = { Node: engines["node"]!, ...peerDependencies }
    for (const [name, range] of Object.entries(ranges)) {
      const row = rows.find((line) => line.split("|")[1]?.includes(name === "Node" ? name : `\`${name}\``))
      assert.isDefined(row, name)
      // A number that ends in zeros is told without them.
      assert.include(
        row,
        range
          .replace(/^\D+/, "")
          .replace(/^(\d+)\.0\.0$/, "$1.x")
          .replace(/\.0$/, ""),
        name
      )
    }
    assert.lengthOf(rows, 2 + Object.keys(ranges).length - 1, "one row names two packages")
  })

  it("has no list that nobody looks at", () => {
    assert.sameMembers([...page.keys()], [...Object.keys(lists), "Errors and their codes"])
  })
})
