/** The guard of what docs/package.md says of sizes, on figures made up. `npm run package:check` holds the measured ones to it. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import {
  begins,
  ends,
  entries,
  problemsOf,
  problemsOfPackage,
  type Size,
  statedOn,
  tableOf,
  withTable
} from "./Sizes.ts"
import * as Tools from "./Tools.ts"

const page = fs.readFileSync(fileURLToPath(new URL("../../docs/package.md", import.meta.url)), "utf8")

const size = (name: string, gzipped: number): Size => ({
  name,
  minified: gzipped * 3,
  gzipped,
  added: gzipped,
  unwanted: []
})

const empty = `# A page\n\n${begins}\n${ends}\n\nThe rest.\n`
const pageOf = (...sizes: ReadonlyArray<Size>) =>
  withTable(empty, tableOf({ packed: 1e6, unpacked: 5e6, before: 100_000, sizes }))
const stated = statedOn(pageOf(size("PoolConfig", 10_000), size("effect-pool/Sql", 40_000)))

describe("docs/package.md", () => {
  it("names every version that the package is tried with", () => {
    const tried = [Tools.nodes, Tools.compilers, Object.values(Tools.managers), Object.values(Tools.runtimes)].flat()
    assert.deepStrictEqual(
      tried.filter((version) => !page.includes(version)),
      []
    )
  })
})

describe("the sizes that the page states", () => {
  it("are read from it as they were written, however often", () => {
    assert.deepStrictEqual([...stated.keys()], ["PoolConfig", "effect-pool/Sql"])
    assert.deepStrictEqual(stated.get("PoolConfig"), { minified: 30_000, gzipped: 10_000, added: 10_000 })
    const written = pageOf(size("PoolConfig", 10_000))
    assert.strictEqual(
      withTable(written, tableOf({ packed: 1e6, unpacked: 5e6, before: 100_000, sizes: [size("PoolConfig", 10_000)] })),
      written
    )
    assert.isTrue(written.startsWith("# A page\n") && written.endsWith("\nThe rest.\n"))
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

  it("are those of the package itself, as it is fetched and on disk, give or take a fifth", () => {
    const written = pageOf(size("PoolConfig", 10_000))
    assert.deepStrictEqual(problemsOfPackage({ packed: 1.2e6, unpacked: 6e6 }, written), [])
    const problem = "the package is 1.3 MB to fetch and 5.0 MB on disk, and the page says less"
    assert.deepStrictEqual(problemsOfPackage({ packed: 1.3e6, unpacked: 5e6 }, written), [problem])
    assert.isNotEmpty(problemsOfPackage({ packed: 1e6, unpacked: 6.1e6 }, written))
    assert.isNotEmpty(problemsOfPackage({ packed: 1e6, unpacked: 5e6 }, empty))
  })

  it("are on docs/package.md, for every bundle that is measured", () => {
    assert.deepStrictEqual(
      [...statedOn(page).keys()],
      entries.map(({ name }) => name)
    )
  })

  it("need a place on the page", () => {
    assert.throws(() => statedOn("# A page\n"), /has no place for the sizes/)
  })
})
