/** A process that ends with a pool open: what it leaves on the server. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "../support/DocPages.ts"
import { eventually } from "../support/Eventually.ts"
import { live, observer, Server, serverWith, sessionsOf } from "./Server.ts"

/** The sources as JavaScript, for a process that is not a test. */
const compiled = path.join(root, ".build", "process")

const script = `
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Fiber } from "effect"
import * as ConnectionPool from "./ConnectionPool.js"
import * as Postgres from "./connectors/Postgres.js"

const [url, applicationName] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const pool = yield* ConnectionPool.make(Postgres.connector({ url, applicationName }), { minConnections: 3 })
  yield* ConnectionPool.use(pool, (connection) => Effect.andThen(connection.query("begin"), Effect.sync(() => {
    console.log("ready")
  }).pipe(Effect.andThen(Effect.never))))
})
NodeRuntime.runMain(Effect.scoped(program))
`

const compile = Effect.sync(() => {
  const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc")
  const settings = {
    extends: "../../tsconfig.json",
    compilerOptions: {
      composite: false,
      declaration: false,
      declarationMap: false,
      sourceMap: false,
      noCheck: true,
      rootDir: "../../src",
      outDir: "."
    },
    include: ["../../src"],
    references: []
  }
  fs.mkdirSync(compiled, { recursive: true })
  fs.writeFileSync(path.join(compiled, "tsconfig.json"), JSON.stringify(settings))
  fs.writeFileSync(path.join(compiled, "holder.js"), script)
  const { status, stdout } = spawnSync(process.execPath, [tsc, "-p", compiled], { encoding: "utf8" })
  assert.strictEqual(status, 0, stdout)
})

const started = Effect.fnUntraced(function* (name: string) {
  yield* compile
  const { url } = yield* Server
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [path.join(compiled, "holder.js"), url, name], { stdio: ["ignore", "pipe", "inherit"] })
    ),
    (child) => Effect.sync(() => void child.kill("SIGKILL"))
  )
  yield* Effect.callback<void>((resume) => {
    child.stdout.once("data", () => resume(Effect.void))
  })
  return child
})

const ended = (child: ChildProcess) =>
  Effect.callback<number | null>((resume) => {
    child.once("exit", (code) => resume(Effect.succeed(code)))
  })

layer(serverWith(), live)("a process with a pool of PostgreSQL connections", (it) => {
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    it.effect(`leaves no session on the server, and no transaction: ${signal}`, () =>
      Effect.gen(function* () {
        const outside = yield* observer
        const child = yield* started(signal)
        yield* eventually(sessionsOf(outside, signal), ({ length }) => length >= 2)
        const exit = yield* Effect.forkChild(ended(child), { startImmediately: true })
        child.kill(signal)
        yield* eventually(sessionsOf(outside, signal), ({ length }) => length === 0, "20 seconds")
        yield* Fiber.join(exit)
      })
    )
  }
})
