/** What users of the package can see and name, read from the code: the lists of `docs/stability.md` are held to it. */
import { ConfigProvider, Duration, Effect } from "effect"
import type * as Command from "effect/cli/Command"
import { OpenApi } from "effect/http-api"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { effectPool } from "../../src/cli/EffectPool.ts"
import { closeReasons } from "../../src/engine/Connection.ts"
import { PoolApi } from "../../src/http/PoolApi.ts"
import * as KeyedPool from "../../src/KeyedPool.ts"
import * as PoolConfig from "../../src/PoolConfig.ts"
import * as PoolError from "../../src/PoolError.ts"
import * as PoolEvent from "../../src/PoolEvent.ts"
import { PoolReport } from "../../src/PoolReport.ts"
import * as PoolStatus from "../../src/PoolStatus.ts"
import { catalog } from "../../src/runtime/MetricCatalog.ts"
import * as Sizing from "../../src/SizingPolicy.ts"
import { root } from "../support/DocPages.ts"

export type Surface = Readonly<Record<string, unknown>>

const sorted = (names: Iterable<string>): ReadonlyArray<string> =>
  [...new Set(names)].sort((one, other) => (one < other ? -1 : 1))

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

/** The subpaths that may be imported, and the sources behind them. */
export const entries: ReadonlyMap<string, string> = (() => {
  const { exports } = JSON.parse(read("package.json")) as { readonly exports: Readonly<Record<string, unknown>> }
  const files = Object.entries(exports).flatMap(([subpath, target]) => {
    if (target === null || subpath === "./package.json") return []
    const text = JSON.stringify(target)
    const [, file] = /\.\/dist\/([\w/]+)\.js/.exec(text) ?? []
    return file === undefined ? [] : [[subpath.replace(/^\./, "effect-pool"), `src/${file}.ts`] as const]
  })
  return new Map(files)
})()

const withoutComments = (text: string): string => text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "")

/** Names that a module of ours exports, types among them; of a namespace, what it holds: `PoolHttp.layer`. */
export const exportedNames = (file: string): ReadonlyArray<string> => {
  const text = withoutComments(read(file))
  const declared = Array.from(
    text.matchAll(
      /^export (?:declare )?(?:abstract )?(?:const|let|function|class|interface|type|namespace|enum) (\w+)/gm
    ),
    ([, name]) => name!
  )
  const listed = Array.from(text.matchAll(/^export (?:type )?\{([^}]*)\}/gm), ([, list]) => list!.split(","))
    .flat()
    .map((item) => item.trim().replace(/^type /, ""))
    .filter((item) => item !== "")
    .map((item) => / as (\w+)$/.exec(item)?.[1] ?? item)
  const spaces = Array.from(text.matchAll(/^export \* as (\w+) from "(\.[^"]+)"/gm), ([, name, from]) => {
    const inner = path.join(path.dirname(file), from!)
    // The modules of the main entry have entries of their own.
    return file === "src/index.ts" ? [name!] : [name!, ...exportedNames(inner).map((one) => `${name}.${one}`)]
  })
  return sorted([...declared, ...listed, ...spaces.flat()])
}

/** The names that an entry has when it is imported: values only. */
export const importedNames = async (file: string): Promise<ReadonlyArray<string>> => {
  const module = (await import(/* @vite-ignore */ pathToFileURL(path.join(root, file)).href)) as object
  return Object.keys(module)
}

interface ErrorClass {
  readonly name: string
  readonly code: string
}

/** Every error of ours that has a code, from where it is declared. */
const errorsOf = (file: string): ReadonlyArray<ErrorClass> => {
  const classes = read(file)
    .split(/^export class /m)
    .slice(1)
  return classes.flatMap((text) => {
    const [, code] = /readonly code = "(\w+)"/.exec(text) ?? []
    return code === undefined ? [] : [{ name: /^\w+/.exec(text)![0], code }]
  })
}

/** Asks for every variable that the configuration looks for. */
const variables: Effect.Effect<ReadonlyArray<string>> = Effect.suspend(() => {
  const asked = new Set<string>()
  const recording = ConfigProvider.make((keys) => {
    asked.add(keys.join("_"))
    return Effect.undefined
  })
  return Effect.as(
    Effect.exit(PoolConfig.config("POOL").parse(recording)),
    sorted(Array.from(asked, (name) => name.replace(/^POOL_/, "")))
  )
})

const metrics = () =>
  Object.fromEntries(
    catalog(closeReasons, PoolError.FailureReason.literals).map(({ kind, name, points, unit }) => [
      name,
      `${kind}, ${unit}${labelsOf(points.map(({ labels }) => labels))}`
    ])
  )

const labelsOf = (points: ReadonlyArray<Readonly<Record<string, string>>>): string => {
  const names = sorted(points.flatMap((labels) => Object.keys(labels)))
  return names.map((name) => `, ${name}: ${sorted(points.map((labels) => labels[name]!)).join(" | ")}`).join("")
}

const commandsOf = (command: Command.Command.Any): ReadonlyArray<string> =>
  sorted(command.subcommands.flatMap(({ commands }) => commands.map(({ name }) => name)))

/** What `PoolHttp` serves besides its API, from the list in its docstring. */
const otherRoutes = Array.from(
  read("src/http/PoolHttp.ts").matchAll(/`GET (\/(?:metrics|console))`/g),
  ([, route]) => `GET ${route}`
)

const routes = (): ReadonlyArray<string> => {
  const { paths } = OpenApi.fromApi(PoolApi)
  const ofApi = Object.entries(paths).flatMap(([place, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${place.replaceAll(/\{(\w+)\}/g, ":$1")}`)
  )
  return sorted([...ofApi, ...otherRoutes, "GET /openapi.json"])
}

const nested = (name: string, schema: object): ReadonlyArray<string> =>
  "fields" in schema ? Object.keys(schema.fields as object).map((inner) => `${name}.${inner}`) : [name]

const show = (value: unknown): string => {
  if (Duration.isDuration(value)) return Duration.format(value)
  return typeof value === "object" && value !== null
    ? Object.entries(value)
        .map(([name, inner]) => `${name} ${show(inner)}`)
        .join(", ")
    : String(value)
}

/** What fields are where nobody says anything. */
const valuesOf = (config: PoolConfig.PoolConfig, besides?: PoolConfig.PoolConfig) =>
  Object.fromEntries(
    Object.entries(config)
      .filter(([name, value]) => besides === undefined || show(value) !== show(besides[name as keyof typeof config]))
      .map(([name, value]) => [name, show(value)])
  )

/** All of it. Lists are sorted: their order is no promise. */
export const surface: Effect.Effect<Surface> = Effect.gen(function* () {
  return {
    exports: Object.fromEntries(Array.from(entries, ([entry, file]) => [entry, exportedNames(file)])),
    configuration: sorted(
      Object.entries(PoolConfig.PoolConfig.fields).flatMap(([name, schema]) => nested(name, schema))
    ),
    defaults: valuesOf(PoolConfig.defaults),
    development: valuesOf(PoolConfig.development, PoolConfig.defaults),
    production: valuesOf(PoolConfig.production, PoolConfig.defaults),
    variables: yield* variables,
    sizingPolicies: sorted(Sizing.names),
    errors: Object.fromEntries(
      [
        ...errorsOf("src/PoolError.ts"),
        ...errorsOf("src/KeyedPool.ts"),
        ...errorsOf("src/connectors/PgBouncerError.ts")
      ]
        .sort((one, other) => (one.name < other.name ? -1 : 1))
        .map(({ code, name }) => [name, code])
    ),
    diagnoses: sorted(PoolError.DiagnosisKind.literals),
    failureKinds: sorted(PoolError.FailureKind.literals),
    failureReasons: sorted(PoolError.FailureReason.literals),
    events: Object.fromEntries(
      Object.entries(PoolEvent.PoolEvent.cases)
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .map(([tag, { fields }]) => [tag, sorted(Object.keys(fields).filter((name) => name !== "_tag"))])
    ),
    closeReasons: sorted(PoolEvent.CloseReason.literals),
    acquireFailures: sorted(PoolEvent.AcquireFailure.literals),
    leaseEnds: sorted(PoolEvent.LeaseEnd.literals),
    states: sorted(PoolStatus.State.literals),
    connectionStates: sorted(PoolStatus.ConnectionState.literals),
    status: sorted(Object.keys(PoolStatus.PoolStatus.fields)),
    connectionStatus: sorted(Object.keys(PoolStatus.ConnectionStatus.fields)),
    health: sorted(Object.keys(PoolStatus.HealthStatus.fields)),
    report: sorted(Object.keys(PoolReport.fields)),
    keyedStatus: sorted(Object.keys(KeyedPool.KeyedPoolStatus.fields)),
    metrics: metrics(),
    routes: routes(),
    commands: commandsOf(effectPool)
  }
})
