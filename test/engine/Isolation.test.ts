/** The engine is plain synchronous TypeScript: it needs nothing from outside, reads no clock and waits for nobody. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const directory = new URL("../../src/engine/", import.meta.url)

const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => ({ name, text: readFileSync(new URL(name, directory), "utf8") }))

/** Every way to name another module: `import ... from`, `export ... from`, `import "..."`, `import(...)`, `require(...)`. */
const importPattern = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)["']([^"']+)["']/g

describe("the engine", () => {
  it("is found where this test looks for it", () => {
    assert.include(
      files.map(({ name }) => name),
      "Engine.ts"
    )
  })

  it("imports nothing but itself", () => {
    const foreign = files.flatMap(({ name, text }) =>
      Array.from(text.matchAll(importPattern), ([, module]) => module!)
        .filter((module) => !module.startsWith("./"))
        .map((module) => `${name}: ${module}`)
    )
    assert.deepStrictEqual(foreign, [])
  })

  for (const forbidden of ["Date", "performance", "setTimeout", "Math.random", "await"]) {
    it(`does not mention ${forbidden}`, () => {
      const word = new RegExp(`\\b${forbidden.replace(".", "\\.")}\\b`)
      assert.deepStrictEqual(
        files.filter(({ text }) => word.test(text)).map(({ name }) => name),
        []
      )
    })
  }
})
