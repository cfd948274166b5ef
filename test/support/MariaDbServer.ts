/**
 * A real MariaDB server of our own (else MySQL): the binaries of the machine, data in a temporary folder that is removed at the
 * end, and the means to kill, freeze and restart it.
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

export class MariaDbServerError extends Schema.TaggedError<MariaDbServerError>()("MariaDbServerError", {
  step: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `MariaDB: ${this.step}: ${this.output.trim()}`
  }
}

export interface MariaDbServer {
  readonly port: number
  /** As `root`, who needs no password, in the database `test`. */
  readonly url: string
  readonly socketPath: string
  readonly version: string
  readonly start: Effect.Effect<void, MariaDbServerError>
  /** Ends it as a power cut would: SIGKILL. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP and SIGCONT: connections stay open and nobody answers. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

/** `nobody`: the server refuses to run as root, and this user needs no account to be made. */
const unprivileged = 65_534

const isRoot = process.getuid?.() === 0
const identity = isRoot ? { uid: unprivileged, gid: unprivileged } : {}

/** A user's `PATH` often has no folder for daemons. */
const folders = [
  ...(process.env["PATH"] ?? "").split(path.delimiter),
  "/usr/sbin",
  "/usr/local/sbin",
  "/opt/homebrew/bin"
]

const find = (name: string): string | undefined =>
  folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file))

interface Binaries {
  readonly server: string
  /** The command that makes a folder of data; MySQL's server does it by itself. */
  readonly initialize: (data: string) => ReadonlyArray<string>
  readonly version: string
}

const versionOf = (server: string): string =>
  spawnSync(server, ["--no-defaults", "--version"], { ...identity, encoding: "utf8" }).stdout?.trim() ?? ""

const findBinaries = (): Binaries | undefined => {
  const server = find("mariadbd")
  const install = find("mariadb-install-db")
  if (server !== undefined && install !== undefined) {
    const options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=8M"]
    return {
      server,
      initialize: (data) => [install, "--no-defaults", `--datadir=${data}`, ...options],
      version: versionOf(server)
    }
  }
  const mysql = find("mysqld")
  if (mysql === undefined) return undefined
  return {
    server: mysql,
    initialize: (data) => [mysql, "--no-defaults", "--initialize-insecure", `--datadir=${data}`],
    version: versionOf(mysql)
  }
}

const binaries = findBinaries()

/** Why there can be no server on this machine, for the names of the tests that are skipped. */
export const unavailable: string | undefined =
  binaries === undefined ? "no mariadbd and no mysqld on this machine" : undefined

if (unavailable !== undefined) console.warn(`the tests of MySQL are skipped: ${unavailable}`)

const failed = (step: string, error: unknown): MariaDbServerError =>
  new MariaDbServerError({ step, output: error instanceof Error ? error.message : String(error) })

const attempt = <A>(step: string, f: () => A): Effect.Effect<A, MariaDbServerError> =>
  Effect.try({ try: f, catch: (error) => failed(step, error) })

const temporaryFolder: Effect.Effect<string, MariaDbServerError, Scope.Scope> = Effect.acquireRelease(
  attempt("folder", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-mariadb-"))
    fs.chmodSync(root, 0o755)
    if (isRoot) fs.chownSync(root, unprivileged, unprivileged)
    return root
  }),
  (root) => Effect.sync(() => fs.rmSync(root, { recursive: true, force: true }))
)

const freePort: Effect.Effect<number> = Effect.callback<number>((resume) => {
  const probe = net.createServer()
  probe.listen(0, "127.0.0.1", () => {
    const { port } = probe.address() as net.AddressInfo
    probe.close(() => resume(Effect.succeed(port)))
  })
})

const initialize = ({ initialize }: Binaries, root: string): Effect.Effect<string, MariaDbServerError> =>
  attempt("initialize", () => {
    const data = path.join(root, "data")
    const [command = "", ...args] = initialize(data)
    const { error, status, stderr, stdout } = spawnSync(command, args, { ...identity, encoding: "utf8", cwd: root })
    if (status !== 0) throw error ?? new Error(`${stdout}\n${stderr}`.slice(-4000))
    return data
  })

/** Ends the server when this process is killed without a chance to clean up. */
const diesWithUs: ReadonlyArray<string> =
  process.platform === "linux" && spawnSync("setpriv", ["--version"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig=KILL"]
    : []

const launch = (server: string, args: ReadonlyArray<string>): Effect.Effect<ChildProcess, MariaDbServerError> =>
  Effect.callback<ChildProcess, MariaDbServerError>((resume) => {
    const [command = "", ...rest] = [...diesWithUs, server, ...args]
    const child = spawn(command, rest, { ...identity, detached: true, stdio: ["ignore", "ignore", "pipe"] })
    let output = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-4000)
      if (output.includes("ready for connections")) resume(Effect.succeed(child))
    })
    child.once("error", (error) => resume(Effect.fail(failed("start", error))))
    child.once("exit", () => resume(Effect.fail(new MariaDbServerError({ step: "start", output }))))
  })

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** The server is one process, with a thread for each connection. */
const defaults: Readonly<Record<string, string | number>> = {
  // What was committed outlives the process, if not the machine.
  "innodb-flush-log-at-trx-commit": 2,
  "innodb-buffer-pool-size": "32M",
  "innodb-log-file-size": "8M",
  "max-connections": 200,
  // The attributes of connections, such as the program's name, are listed there.
  "performance-schema": "ON",
  "performance-schema-max-table-instances": 100,
  "performance-schema-max-thread-instances": 400,
  "performance-schema-events-statements-history-long-size": 10
}

/** Makes a server and starts it. It ends, and its folder is removed, with the scope. */
export const make = Effect.fnUntraced(function* (
  settings: Readonly<Record<string, string | number>> = {}
): Effect.fn.Return<MariaDbServer, MariaDbServerError, Scope.Scope> {
  if (binaries === undefined) return yield* new MariaDbServerError({ step: "find", output: unavailable ?? "" })
  const root = yield* temporaryFolder
  const data = yield* initialize(binaries, root)
  const port = yield* freePort
  const socketPath = path.join(root, "s.sock")
  const places = [`--datadir=${data}`, `--socket=${socketPath}`, `--pid-file=${path.join(root, "pid")}`]
  const startup = path.join(root, "startup.sql")
  yield* attempt("startup", () => fs.writeFileSync(startup, "create database if not exists test;\n", { mode: 0o644 }))
  const args = ["--no-defaults", ...places, `--port=${port}`, "--bind-address=127.0.0.1", `--init-file=${startup}`]
    .concat(["--skip-name-resolve", "--skip-log-bin"])
    .concat(Object.entries({ ...defaults, ...settings }).map(([name, value]) => `--${name}=${value}`))
  const { server, version } = binaries
  let running: ChildProcess | undefined = undefined
  const signal = (name: NodeJS.Signals) => Effect.sync(() => running?.kill(name))
  const kill = Effect.suspend(() => {
    const child = running
    if (child === undefined) return Effect.void
    running = undefined
    child.kill("SIGKILL")
    return ended(child)
  })
  const start = launch(server, args).pipe(
    // After a kill its files may be locked for a moment longer.
    Effect.retry(Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(30)])),
    Effect.map((child) => {
      running = child
    }),
    Effect.uninterruptible
  )
  yield* Effect.addFinalizer(() => kill)
  yield* start
  return {
    port,
    url: `mysql://root@127.0.0.1:${port}/test`,
    socketPath,
    version,
    start,
    kill,
    freeze: Effect.asVoid(signal("SIGSTOP")),
    thaw: Effect.asVoid(signal("SIGCONT"))
  }
})
