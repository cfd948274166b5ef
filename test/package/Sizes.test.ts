/** The guard of what docs/package.md says of sizes, on figures made up. `npm run package:check` holds the measured ones to it. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { begins, ends, entries, problemsOf, type Size, statedOn, tableOf, withTable } from "./Sizes.ts"

const size = (name: string, gzipped: number): Size => ({
  name,
  minified: gzipped * 3,
  gzipped,
  added: gzipped,
  unwanted: []
})

const empty = `# A page\n\n${begins}\n${ends}\n\nThe rest.\n`
const pageOf = (...sizes: ReadonlyArray<Size>) => withTable(empty, tableOf({ before: 100_000, sizes }))
const stated = statedOn(pageOf(size("PoolConfig", 10_000), size("effect-pool/Sql", 40_000)))

describe("the sizes that the page states", () => {
  it("are read from it as they were written, however often", () => {
    assert.deepStrictEqual([...stated.keys()], ["PoolConfig", "effect-pool/Sql"])
    assert.deepStrictEqual(stated.get("PoolConfig"), { minified: 30_000, gzipped: 10_000, added: 10_000 })
    const page = pageOf(size("PoolConfig", 10_000))
    assert.strictEqual(withTable(page, tableOf({ before: 100_000, sizes: [size("PoolConfig", 10_000)] })), page)
    assert.isTrue(page.startsWith("# A page\n") && page.endsWith("\nThe rest.\n"))
  })

  it("may be exceeded by five in a hundred, and not by six", () => {
    assert.deepStrictEqual(problemsOf([size("PoolConfig", 10_500), size("effect-pool/Sql", 40_000)], stated), [])
    const problems = problemsOf([size("PoolConfig", 10_600), size("effect-pool/Sql", 40_000)], stated)
    assert.deepStrictEqual(problems, [
      "`PoolConfig`, minified: 31.8 kB, more than 5 % above the 30.0 kB of the page",
      "`PoolConfig`, gzipped: 10.6 kB, more than 5 % above the 10.0 kB of the page",
      "`PoolConfig`, added: 10.6 kB, more than 5 % above the 10.0 kB of the page"
    ])
  })

  it("are those of the bundles that are measured, no more and no fewer", () => {
    assert.deepStrictEqual(problemsOf([size("PoolConfig", 10_000), size("http", 1)], stated), [
      "the page does not say how large `http` is",
      "the page says how large `effect-pool/Sql` is, and nobody measures it"
    ])
  })

  it("are no excuse for what must not come along", () => {
    const heavy = { ...size("PoolConfig", 10_000), unwanted: ["/there/node_modules/effect-pool/dist/engine/Engine.js"] }
    assert.deepStrictEqual(problemsOf([heavy, size("effect-pool/Sql", 40_000)], stated), [
      "`PoolConfig` brings along engine/Engine.js"
    ])
  })

  it("are on docs/package.md, for every bundle that is measured", () => {
    const page = fs.readFileSync(fileURLToPath(new URL("../../docs/package.md", import.meta.url)), "utf8")
    assert.deepStrictEqual(
      [...statedOn(page).keys()],
      entries.map(({ name }) => name)
    )
  })

  it("need a place on the page", () => {
    assert.throws(() => statedOn("# A page\n"), /has no place for the sizes/)
  })
})
