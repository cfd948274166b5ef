/** How large the package is in somebody's bundle: what is measured, what docs/package.md says, and how far they may be apart. */
import * as fs from "node:fs"
import * as path from "node:path"
import { gzipSync } from "node:zlib"
import * as Effect from "effect/Effect"
import { rolldown } from "rolldown"

/** What a bundle may grow by before the page has to say so. */
export const tolerance = 0.05

export interface Entry {
  /** How the page calls it. */
  readonly name: string
  readonly code: string
  /** Folders and modules of the package that must not come along. */
  readonly without?: RegExp
}

const subpath = (name: string, without: RegExp): Entry => ({
  name: `effect-pool/${name}`,
  code: `export * from "effect-pool/${name}"`,
  without
})

const otherConnectors = (own: string): RegExp =>
  new RegExp(`/dist/(?:http|laboratory|testing|cli)/|/dist/connectors/(?!${own})`)

export const entries: ReadonlyArray<Entry> = [
  {
    name: "PoolConfig",
    code: `export { PoolConfig } from "effect-pool"`,
    without:
      /\/dist\/(?:runtime|http|laboratory|testing|cli|advisor|connectors)\/|\/dist\/(?:ConnectionPool|PoolLayer)\.js|\/dist\/engine\/(?:Engine|Ledger|Lending)\.js/
  },
  {
    name: "ConnectionPool, Connector, PoolConfig",
    code: `export { ConnectionPool, Connector, PoolConfig } from "effect-pool"`,
    without: /\/dist\/(?:http|laboratory|testing|cli|connectors)\//
  },
  {
    name: "effect-pool",
    code: `export * from "effect-pool"`,
    without: /\/dist\/(?:http|laboratory|testing|cli|connectors)\//
  },
  subpath("Postgres", otherConnectors("Postgres|PgBouncer|Sql|ServerConfig")),
  subpath("MySql", otherConnectors("MySql|Sql|ServerConfig")),
  subpath("Redis", otherConnectors("Redis|ServerConfig")),
  subpath("Sqlite", otherConnectors("Sqlite|Sql|ServerConfig")),
  subpath("SurrealDb", otherConnectors("Surreal|ServerConfig")),
  subpath("Sql", otherConnectors("Sql")),
  subpath("http", /\/dist\/(?:laboratory|testing|cli|connectors)\//),
  subpath("testing", /\/dist\/(?:laboratory|http|cli|connectors)\//),
  subpath("laboratory", /\/dist\/(?:testing\/(?!Dice)|http\/|cli\/|connectors\/)/)
]

/** What is there already where the package comes into a program: the parts of Effect that most programs use. */
const program = `
import { Config, Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
export const program = [Config, Context, Effect, Layer, Schedule, Schema, Stream]
`

export interface Size {
  readonly name: string
  /** In bytes, with nothing of Effect or of a driver in it. */
  readonly minified: number
  readonly gzipped: number
  /** In bytes: what a program that has Effect already grows by, gzipped. */
  readonly added: number
  /** What came along and must not have. */
  readonly unwanted: ReadonlyArray<string>
}

export interface Bundle {
  readonly code: string
  readonly modules: ReadonlyArray<string>
}

/** The code as one module, from a project in which the package is installed. Drivers are never in it, Effect on request. */
export const bundle = (project: string, code: string, withEffect: boolean): Effect.Effect<Bundle> =>
  Effect.promise(async () => {
    const folder = fs.mkdtempSync(path.join(project, "bundle-"))
    const input = path.join(folder, "entry.js")
    fs.writeFileSync(input, code)
    const isOurs = withEffect ? /^(?:effect-pool|effect)(?:\/|$)/ : /^effect-pool(?:\/|$)/
    const built = await rolldown({
      input,
      cwd: project,
      platform: "node",
      external: (id) => !id.startsWith(".") && !path.isAbsolute(id) && !isOurs.test(id)
    })
    const { output } = await built.generate({ format: "esm", minify: true, codeSplitting: false })
    await built.close()
    fs.rmSync(folder, { recursive: true })
    const modules = output[0].modules
    return {
      code: output[0].code,
      modules: Object.keys(modules).filter((id) => modules[id]!.renderedLength > 0)
    }
  })

const gzipped = (code: string): number => gzipSync(code, { level: 9 }).length

export interface Measured {
  /** The package itself, in bytes: as it is fetched, and on disk. */
  readonly packed: number
  readonly unpacked: number
  /** What a program with Effect, and without the package, is: in bytes, gzipped. */
  readonly before: number
  readonly sizes: ReadonlyArray<Size>
}

export const measure = Effect.fnUntraced(function* (project: string, packed: number, unpacked: number) {
  const before = gzipped((yield* bundle(project, program, true)).code)
  const sizes = yield* Effect.forEach(
    entries,
    Effect.fnUntraced(function* ({ code, name, without }) {
      const alone = yield* bundle(project, code, false)
      const together = yield* bundle(project, program + code, true)
      const size: Size = {
        name,
        minified: Buffer.byteLength(alone.code),
        gzipped: gzipped(alone.code),
        added: gzipped(together.code) - before,
        unwanted: alone.modules.map((id) => id.replaceAll("\\", "/")).filter((id) => without?.test(id) === true)
      }
      return size
    })
  )
  return { packed, unpacked, before, sizes } satisfies Measured
})

export const begins = "<!-- generated: npm run package:check -- --write-sizes -->"
export const ends = "<!-- end of sizes -->"

const columns = ["minified", "gzipped", "added"] as const

const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1)

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)

/** The table of the page. */
export const tableOf = ({ before, packed, sizes, unpacked }: Measured): string =>
  [
    `The package is ${megabytes(packed)} MB to fetch and ${megabytes(unpacked)} MB on disk, most of it maps, sources and pages. Of that, a program loads:`,
    "",
    "| import | minified, kB | gzipped, kB | added to a program with Effect, gzipped, kB |",
    "|---|---:|---:|---:|",
    ...sizes.map((size) => `| \`${size.name}\` | ${columns.map((column) => kilobytes(size[column])).join(" | ")} |`),
    "",
    `The program of the last column is ${kilobytes(before)} kB without it: \`Config\`, \`Context\`, \`Effect\`, \`Layer\`, \`Schedule\`, \`Schema\` and \`Stream\` of \`effect\`.`
  ].join("\n")

export type Stated = ReadonlyMap<string, Readonly<Record<(typeof columns)[number], number>>>

/** Where the table stands on the page. */
const placeOn = (page: string): readonly [from: number, to: number] => {
  const from = page.indexOf(begins) + begins.length
  const to = page.indexOf(ends)
  if (from < begins.length || to < from) throw new Error(`the page has no place for the sizes: ${begins} ... ${ends}`)
  return [from, to]
}

/** What the page says, in bytes. */
export const statedOn = (page: string): Stated =>
  new Map(
    [...page.slice(...placeOn(page)).matchAll(/^\| `([^`]+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$/gm)].map(
      ([, name, minified, packed, added]) => [
        name!,
        { minified: Number(minified) * 1000, gzipped: Number(packed) * 1000, added: Number(added) * 1000 }
      ]
    )
  )

/** What is wrong with what the page says of the package itself; its pages grow, and a fifth more of them is no surprise. */
export const problemsOfPackage = ({ packed, unpacked }: Pick<Measured, "packed" | "unpacked">, page: string) => {
  const [, fetched, onDisk] = /is ([\d.]+) MB to fetch and ([\d.]+) MB on disk/.exec(page.slice(...placeOn(page))) ?? []
  const isSaid = packed <= Number(fetched) * 1.2e6 && unpacked <= Number(onDisk) * 1.2e6
  return isSaid
    ? []
    : [`the package is ${megabytes(packed)} MB to fetch and ${megabytes(unpacked)} MB on disk, and the page says less`]
}

/** The page with another table. */
export const withTable = (page: string, table: string): string => {
  const [from, to] = placeOn(page)
  return `${page.slice(0, from)}\n\n${table}\n\n${page.slice(to)}`
}

/** What is wrong, a line each: a bundle that has outgrown what the page says, one that the page does not have, and the other way round. */
export const problemsOf = (sizes: ReadonlyArray<Size>, stated: Stated): ReadonlyArray<string> => [
  ...sizes.flatMap((size) => {
    const said = stated.get(size.name)
    const outgrown =
      said === undefined
        ? [`the page does not say how large \`${size.name}\` is`]
        : columns
            .filter((column) => size[column] > said[column] * (1 + tolerance))
            .map(
              (column) =>
                `\`${size.name}\`, ${column}: ${kilobytes(size[column])} kB, more than ${tolerance * 100} % above the ${kilobytes(said[column])} kB of the page`
            )
    return [...outgrown, ...size.unwanted.map((id) => `\`${size.name}\` brings along ${id.replace(/^.*\/dist\//, "")}`)]
  }),
  ...[...stated.keys()]
    .filter((name) => !sizes.some((size) => size.name === name))
    .map((name) => `the page says how large \`${name}\` is, and nobody measures it`)
]
