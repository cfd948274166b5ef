/** Every example of README, docs and docstrings is compiled with the strict settings, and run. */
import { assert, describe, it, layer } from "@effect/vitest"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import { Context, Effect, Layer, Redacted } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { type DocExample, docExamples, root } from "../support/DocExamples.ts"
import * as PostgresServer from "../support/PostgresServer.ts"
import * as RedisServer from "../support/RedisServer.ts"

const folder = path.join(root, ".build", "examples")

/** The server that examples call `postgres://app@localhost/app`, with the table they ask. */
class Server extends Context.Service<Server, PostgresServer.PostgresServer>()("test/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function* () {
      const server = yield* PostgresServer.make()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* PgConnection.make({ url: Redacted.make(server.url) })
          yield* connection.query("create table orders (id int primary key, customer text)")
          yield* connection.query("insert into orders values (7, 'Ada')")
        })
      )
      return server
    })
  )
}

const redisUrl = "redis://localhost:6379/0"

/** The server that examples call by that URL; nothing where there is none. */
class Redis extends Context.Service<Redis, { readonly url: string }>()("test/Redis") {
  static readonly layer = Layer.effect(
    Redis,
    RedisServer.unavailable === undefined ? RedisServer.make() : Effect.succeed({ url: redisUrl })
  )
}

const servers = Layer.merge(Server.layer, Redis.layer)

/** Why an example is not run; `undefined` if it is. */
const missing = ({ code }: DocExample): string | undefined =>
  code.includes(redisUrl) ? RedisServer.unavailable : undefined

const fileOf = ({ place }: Pick<DocExample, "place">): string =>
  path.join(folder, `${place.replaceAll(/\W+/g, "-")}.ts`)

/** The block as a module. What stands after its arrow is an expression of the same language. */
const write = ({ code, definesProgram, expected, place }: DocExample, url: string, redis: string): void =>
  fs.writeFileSync(
    fileOf({ place }),
    [
      code.replaceAll("postgres://app@localhost/app", url).replaceAll(redisUrl, redis),
      definesProgram ? "export { program }" : "export {}",
      expected === undefined ? "" : `export const expected: unknown = ${expected}`
    ].join("\n")
  )

interface ExampleModule {
  readonly program?: Effect.Effect<unknown, unknown>
  readonly expected?: unknown
}

const load = (example: DocExample): Promise<ExampleModule> =>
  import(/* @vite-ignore */ pathToFileURL(fileOf(example)).href) as Promise<ExampleModule>

describe("the examples of the documentation", () => {
  it("are found", () => {
    assert.isAtLeast(docExamples.length, 8)
    assert.isTrue(docExamples.some(({ place }) => place.startsWith("README.md")))
  })

  layer(servers, { timeout: "60 seconds", excludeTestServices: true })("on a real server", (it) => {
    it.effect("compile with the strict settings", () =>
      Effect.gen(function* () {
        const { url } = yield* Server
        const redis = yield* Redis
        fs.rmSync(folder, { recursive: true, force: true })
        fs.mkdirSync(folder, { recursive: true })
        for (const example of docExamples) write(example, url, redis.url)
        const settings = {
          extends: "../../tsconfig.json",
          compilerOptions: {
            composite: false,
            noEmit: true,
            noUnusedLocals: false,
            allowImportingTsExtensions: true,
            rewriteRelativeImportExtensions: false,
            types: ["node"],
            paths: {
              "effect-pool": ["../../src/index.ts"],
              ...Object.fromEntries(
                ["Postgres", "Sql", "MySql", "Redis", "Sqlite", "SurrealDb"].map((name) => [
                  `effect-pool/${name}`,
                  [`../../src/connectors/${name}.ts`]
                ])
              ),
              "effect-pool/http": ["../../src/http/index.ts"],
              "effect-pool/laboratory": ["../../src/laboratory/index.ts"],
              "effect-pool/testing": ["../../src/testing/index.ts"],
              "effect-pool/*": ["../../src/*.ts"]
            }
          },
          include: ["*.ts"],
          references: []
        }
        fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(settings))
        const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc")
        const { stdout } = spawnSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8" })
        assert.strictEqual(stdout, "")
      })
    )

    for (const example of docExamples) {
      const gives = example.expected === undefined ? "" : ` and gives ${example.expected}`
      const reason = missing(example)
      const test = reason === undefined ? it.effect : it.effect.skip
      test(`${example.place} runs${gives}${reason === undefined ? "" : ` (not run: ${reason})`}`, () =>
        Effect.gen(function* () {
          const { url } = yield* Server
          const redis = yield* Redis
          fs.mkdirSync(folder, { recursive: true })
          write(example, url, redis.url)
          const { expected, program } = yield* Effect.promise(() => load(example))
          const result = program === undefined ? undefined : yield* Effect.scoped(program)
          if (example.expected !== undefined) assert.deepStrictEqual(JSON.parse(JSON.stringify(result)), expected)
        }))
    }
  })
})
