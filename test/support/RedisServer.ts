/**
 * A real Redis server of our own: Debian's `redis-server`, data in a temporary folder that is removed at the end, and the
 * means to kill, freeze and restart it.
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

export class RedisServerError extends Schema.TaggedError<RedisServerError>()("RedisServerError", {
  step: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `Redis: ${this.step}: ${this.output.trim()}`
  }
}

export interface RedisServer {
  /** The port without TLS. */
  readonly port: number
  /** The port with TLS, if a certificate was given. */
  readonly tlsPort: number
  /** The Unix socket. */
  readonly path: string
  readonly url: string
  readonly start: Effect.Effect<void, RedisServerError>
  /** Ends it as a power cut would: SIGKILL. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP and SIGCONT: connections stay open and nobody answers. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

export interface Options {
  /** Settings of `redis.conf`. */
  readonly settings?: Readonly<Record<string, string | number | ReadonlyArray<string>>> | undefined
  /** The files of a certificate, which the server reads when it starts and when it is told to. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined
}

const binary = "redis-server"

/** Why tests that need a server are skipped; `undefined` if they need not be. */
export const unavailable: string | undefined =
  spawnSync(binary, ["--version"], { stdio: "ignore" }).status === 0 ? undefined : `there is no ${binary}`

const unprivileged = 65_534
const isRoot = process.getuid?.() === 0
const identity = isRoot ? { uid: unprivileged, gid: unprivileged } : {}

/** Ends the server when this process is killed without a chance to clean up. */
const diesWithUs: ReadonlyArray<string> =
  process.platform === "linux" && spawnSync("setpriv", ["--version"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig=KILL"]
    : []

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-redis-"))
    if (isRoot) fs.chownSync(folder, unprivileged, unprivileged)
    return folder
  }),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
)

const freePort = Effect.callback<number>((resume) => {
  const probe = net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

const launch = (args: ReadonlyArray<string>): Effect.Effect<ChildProcess, RedisServerError> =>
  Effect.callback<ChildProcess, RedisServerError>((resume) => {
    const [command = "", ...rest] = [...diesWithUs, binary, ...args]
    const child = spawn(command, rest, { ...identity, stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const read = (text: string) => {
      output = (output + text).slice(-4000)
      if (output.includes("eady to accept connections")) resume(Effect.succeed(child))
    }
    child.stdout.setEncoding("utf8").on("data", read)
    child.stderr.setEncoding("utf8").on("data", read)
    child.once("error", (error) => resume(Effect.fail(new RedisServerError({ step: "start", output: error.message }))))
    child.once("exit", () => resume(Effect.fail(new RedisServerError({ step: "start", output }))))
  })

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** Makes a server and starts it. It ends, and its folder is removed, with the scope. */
export const make = Effect.fnUntraced(function* ({ certificate, settings = {} }: Options = {}): Effect.fn.Return<
  RedisServer,
  RedisServerError,
  Scope.Scope
> {
  const folder = yield* temporaryFolder
  const port = yield* freePort
  const tlsPort = yield* freePort
  const socket = path.join(folder, "redis.sock")
  const tls = certificate && {
    "tls-port": tlsPort,
    "tls-cert-file": certificate.cert,
    "tls-key-file": certificate.key,
    "tls-auth-clients": "no",
    "tls-ca-cert-file": certificate.cert
  }
  const options = {
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    unixsocket: socket,
    "enable-debug-command": "yes",
    ...tls,
    ...settings
  }
  const args = ["--port", String(port)]
  for (const [name, value] of Object.entries(options)) {
    args.push(`--${name}`, ...(typeof value === "object" ? value : [String(value)]))
  }
  let running: ChildProcess | undefined = undefined
  const signal = (name: NodeJS.Signals): Effect.Effect<void> =>
    Effect.sync(() => {
      running?.kill(name)
    })
  const kill = Effect.suspend(() => {
    const child = running
    if (child === undefined) return Effect.void
    running = undefined
    child.kill("SIGKILL")
    return ended(child)
  })
  const start = launch(args).pipe(
    // Somebody else may have the port for a moment.
    Effect.retry(Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(20)])),
    Effect.map((child) => {
      running = child
    }),
    Effect.uninterruptible
  )
  yield* Effect.addFinalizer(() => kill)
  yield* start
  return {
    port,
    tlsPort,
    path: socket,
    url: `redis://127.0.0.1:${port}/0`,
    start,
    kill,
    freeze: signal("SIGSTOP"),
    thaw: signal("SIGCONT")
  }
})
