/**
 * A SurrealDB server of our own: the engine of `@surrealdb/node` behind a WebSocket, in a process that can be killed, frozen and
 * restarted. Its data is in a temporary folder that is removed at the end, and outlives its death.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export class SurrealServerError extends Schema.TaggedError<SurrealServerError>()("SurrealServerError", {
  step: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `SurrealDB: ${this.step}: ${this.output.trim()}`
  }
}

/** Why there is no server here, for the names of the tests that did not run. */
export const unavailable: string | undefined = await import("@surrealdb/node").then(
  () => undefined,
  () => `@surrealdb/node has no engine for ${process.platform}-${process.arch}`
)

export interface Options {
  /** Further sockets are refused with a 503. */
  readonly maxSockets?: number
  /** A socket on which nothing has been sent for so long is dropped. */
  readonly idleMillis?: number
  /** Files of a certificate and its key, which are read at every start. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Opens sockets and answers nothing. */
  readonly isMute?: boolean
}

export interface Counts {
  readonly sockets: number
  /** Those that clients have made; each socket has one more. */
  readonly sessions: number
  readonly transactions: number
  readonly liveQueries: number
}

export interface SurrealServer {
  readonly port: number
  readonly url: string
  /**
   * That of the users `root`, `editor`, `viewer`, `brief` (whose sessions expire after a second), and `fleeting` (whose tokens do
   * after two).
   */
  readonly password: string
  /** Starts it, with another password for everybody if one is given. */
  readonly start: (password?: string) => Effect.Effect<void, SurrealServerError>
  /** Ends it as a power cut would. */
  readonly kill: Effect.Effect<void>
  /** Connections stay open and nobody answers. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  readonly counts: Effect.Effect<Counts, SurrealServerError>
  /** Of the sockets that come from these ports. */
  readonly countsFrom: (ports: ReadonlySet<number>) => Effect.Effect<Counts, SurrealServerError>
  /** Drops the socket that a session is on; all sockets. */
  readonly terminate: (session: string) => Effect.Effect<void, SurrealServerError>
  readonly terminateAll: Effect.Effect<void, SurrealServerError>
  /** Ends one session, and leaves its socket open. */
  readonly detach: (session: string) => Effect.Effect<void, SurrealServerError>
  /** Sends everybody what is no answer to anything. */
  readonly garble: Effect.Effect<void, SurrealServerError>
  /** Runs statements as the owner. */
  readonly sql: (sql: string) => Effect.Effect<ReadonlyArray<unknown>, SurrealServerError>
}

interface Client extends Omit<Counts, "sockets"> {
  readonly port: number
}

const countsOf = (clients: ReadonlyArray<Client>): Counts => {
  const sum = (field: keyof Client): number => clients.reduce((total, client) => total + client[field], 0)
  return {
    sockets: clients.length,
    sessions: sum("sessions"),
    transactions: sum("transactions"),
    liveQueries: sum("liveQueries")
  }
}

/** Beside this file, or, once this is compiled into `.build`, where it is in the sources. */
const bridge = ["SurrealBridge.mjs", "../../../test/support/SurrealBridge.mjs"]
  .map((place) => fileURLToPath(new URL(place, import.meta.url)))
  .find((file) => fs.existsSync(file))!

const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-surreal-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

const freePort: Effect.Effect<number> = Effect.callback<number>((resume) => {
  const probe = net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

/** Ends the server when this process is killed without a chance to clean up, and also while the server is frozen. */
const diesWithUs: readonly [] | readonly [string, string] =
  process.platform === "linux" && spawnSync("setpriv", ["--version"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig=KILL"]
    : []

const launch = (settings: object): Effect.Effect<ChildProcess, SurrealServerError> =>
  Effect.callback<ChildProcess, SurrealServerError>((resume) => {
    const [command, ...rest] = [...diesWithUs, process.execPath, bridge, JSON.stringify(settings)] as const
    const child = spawn(command, rest, { stdio: ["ignore", "ignore", "pipe", "ipc"] })
    let output = ""
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-4000)
    })
    child.on("message", (message: { readonly isReady?: boolean }) => {
      if (message.isReady) resume(Effect.succeed(child))
    })
    child.once("error", (error) =>
      resume(Effect.fail(new SurrealServerError({ step: "start", output: String(error) })))
    )
    child.once("exit", () => resume(Effect.fail(new SurrealServerError({ step: "start", output }))))
  })

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

let lastCommand = 0

const ask = (child: ChildProcess | undefined, name: string, argument?: string) =>
  Effect.callback<unknown, SurrealServerError>((resume) => {
    const fail = (output: string): void => resume(Effect.fail(new SurrealServerError({ step: name, output })))
    if (child === undefined || !child.connected) return fail("the server is down")
    const id = ++lastCommand
    const onExit = (): void => fail("the server has ended")
    const onMessage = (message: { readonly id?: number; readonly result?: unknown; readonly error?: string }): void => {
      if (message.id !== id) return
      child.off("message", onMessage)
      child.off("exit", onExit)
      if (message.error === undefined) resume(Effect.succeed(message.result))
      else fail(message.error)
    }
    child.on("message", onMessage)
    child.once("exit", onExit)
    child.send({ id, name, argument })
  })

/** Makes a server and starts it. It ends, and its data is removed, with the scope. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<SurrealServer, SurrealServerError, Scope.Scope> {
  const folder = yield* temporaryFolder
  const port = yield* freePort
  const firstPassword = "correct-horse"
  let running: ChildProcess | undefined = undefined
  const data = `surrealkv://${path.join(folder, "data")}`
  const start = (password = firstPassword): Effect.Effect<void, SurrealServerError> =>
    launch({ ...options, port, data, password, maxSockets: options.maxSockets ?? 1_000_000 }).pipe(
      // After a kill the port may be in use for a moment longer.
      Effect.retry(Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(30)])),
      Effect.map((child) => {
        running = child
      }),
      Effect.uninterruptible
    )
  const kill = Effect.suspend(() => {
    const child = running
    if (child === undefined) return Effect.void
    running = undefined
    child.kill("SIGKILL")
    return ended(child)
  })
  yield* Effect.addFinalizer(() => kill)
  yield* start()
  const command = (name: string, argument?: string) => Effect.suspend(() => ask(running, name, argument))
  const clients = Effect.map(command("clients"), (clients) => clients as ReadonlyArray<Client>)
  return {
    port,
    url: `${options.tls === undefined ? "ws" : "wss"}://127.0.0.1:${port}/rpc`,
    password: firstPassword,
    start,
    kill,
    freeze: Effect.sync(() => running?.kill("SIGSTOP")),
    thaw: Effect.sync(() => running?.kill("SIGCONT")),
    counts: Effect.map(clients, countsOf),
    countsFrom: (ports) => Effect.map(clients, (all) => countsOf(all.filter(({ port }) => ports.has(port)))),
    terminate: (session) => Effect.asVoid(command("terminate", session)),
    terminateAll: Effect.asVoid(command("terminateAll")),
    detach: (session) => Effect.asVoid(command("detach", session)),
    garble: Effect.asVoid(command("garble")),
    sql: (sql) => Effect.map(command("sql", sql), (results) => results as ReadonlyArray<unknown>)
  }
})
