/**
 * The first hour of a newcomer: packs the package, goes to an empty folder, and follows `docs/quick-start.md` word for word, with a
 * PostgreSQL server to stop and start. Prints each promise of the page that was kept, and fails with the first that was not:
 * `npm run first-hour`, `-- --page other.md`, `-- --keep` (leaves the folder).
 *
 * Otherwise than on the page are only: the package comes from the tarball, and the server's URL and the ports are such as are free here.
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as PostgresServer from "../support/PostgresServer.ts"
import { Newcomer, Stopped } from "./Newcomer.ts"
import * as Page from "./Page.ts"

const { values } = parseArgs({ options: { page: { type: "string" }, keep: { type: "boolean", default: false } } })

const root = fileURLToPath(new URL("../../..", import.meta.url))

const urlOnPage = "postgres://app@localhost/app"

const portsOnPage = ["3000", "9464"]

const emptyFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-first-hour-"))),
  (folder) => (values.keep ? Console.log(`left: ${folder}`) : Effect.sync(() => fs.rmSync(folder, { recursive: true })))
)

/** The tarball, as `npm publish` would send it. */
const pack = (folder: string): Effect.Effect<string, Stopped> =>
  Effect.suspend(() => {
    const args = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder]
    const { status, stderr } = spawnSync("npm", args, { cwd: root, encoding: "utf8" })
    const tarball = fs.readdirSync(folder).find((name) => name.endsWith(".tgz"))
    return status === 0 && tarball !== undefined
      ? Effect.succeed(path.join(folder, tarball))
      : Effect.fail(new Stopped({ line: 0, reason: `npm pack: ${stderr}` }))
  })

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const server = net.createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/** A port below those that the system gives to anybody who asks for one: it must still be free when the page comes to it. */
const drawPort = Effect.gen(function* () {
  for (;;) {
    const port = yield* Random.nextIntBetween(10_000, 30_000)
    // One that has a port of the page in it would be replaced in its turn.
    const isPlain = !portsOnPage.some((onPage) => String(port).includes(onPage))
    if (isPlain && (yield* isFree(port))) return String(port)
  }
})

const hour = Effect.gen(function* () {
  const began = performance.now()
  let promises = 0
  const kept = (promise: string) =>
    Effect.suspend(() => {
      promises++
      const seconds = ((performance.now() - began) / 1000).toFixed(1)
      return Console.log(`✓ ${seconds.padStart(5)} s  ${promise}`)
    })
  const text = fs.readFileSync(values.page ?? path.join(root, "docs", "quick-start.md"), "utf8")
  const steps = Page.read(text)
  for (const { id, line } of Page.orphans(text, steps)) {
    return yield* new Stopped({ line, reason: `${id} is below no command that it could be the output of` })
  }
  const outside = yield* emptyFolder
  const folder = yield* emptyFolder
  const tarball = yield* pack(outside)
  yield* kept("npm pack")
  const server = yield* PostgresServer.make()
  const newcomer = yield* Newcomer.make(folder, {
    tarball,
    everywhere: [
      ...(yield* Effect.forEach(portsOnPage, (port) => Effect.map(drawPort, (free) => [port, free] as const))),
      [urlOnPage, server.url]
    ],
    stopServer: server.kill,
    startServer: server.start
  })
  for (const step of steps) yield* newcomer.follow(step, kept)
  yield* Console.log(`${promises} promises kept, on Node ${process.versions.node} with ${server.version}`)
})

hour.pipe(
  Effect.scoped,
  Effect.catchTag("Stopped", ({ message }) =>
    Effect.andThen(
      Console.error(`✗ ${message}`),
      Effect.sync(() => {
        process.exitCode = 1
      })
    )
  ),
  NodeRuntime.runMain
)
