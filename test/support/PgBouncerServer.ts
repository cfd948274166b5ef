/**
 * A real PgBouncer of our own, in transaction mode before a server: a generated configuration in a temporary folder, its
 * admin console, and the means to kill, freeze and restart it.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { Client } from "pg"

export class PgBouncerServerError extends Schema.TaggedError<PgBouncerServerError>()("PgBouncerServerError", {
  step: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `PgBouncer: ${this.step}: ${this.output.trim()}`
  }
}

/** A row of the admin console. */
export type AdminRow = Readonly<Record<string, unknown>>

export interface PgBouncerServer {
  readonly port: number
  /** Of one of its databases, `app` if none is named. All of them are the same one on the server. */
  readonly url: (database?: string) => string
  readonly start: Effect.Effect<void, PgBouncerServerError>
  /** SIGKILL: nobody is told. */
  readonly kill: Effect.Effect<void>
  /** SIGINT: it shuts down in order. */
  readonly shutDown: Effect.Effect<void>
  /** SIGSTOP and SIGCONT: connections stay open and nobody answers. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** Runs a command of the admin console, such as `SHOW POOLS`, `PAUSE app`, `RESUME app`, `KILL app`, `RECONNECT`. */
  readonly admin: (command: string) => Effect.Effect<ReadonlyArray<AdminRow>, PgBouncerServerError>
  /** The clients of a database, as the console lists them. */
  readonly clientsOf: (database: string) => Effect.Effect<ReadonlyArray<AdminRow>, PgBouncerServerError>
  /** Changes the password of the user, for `auth_type` other than `trust`. */
  readonly setPassword: (password: string) => Effect.Effect<void, PgBouncerServerError>
  /** What it has logged. */
  readonly log: Effect.Effect<string>
}

export interface Options {
  /** Where PostgreSQL listens. */
  readonly serverPort: number
  /** Names of databases, each with a pool of its own. Default: `app`. */
  readonly databases?: ReadonlyArray<string> | undefined
  /** Settings of the section `[pgbouncer]`, over the defaults of this helper. */
  readonly settings?: Readonly<Record<string, string | number>> | undefined
  readonly password?: string | undefined
}

/** Debian's. */
const binary = "/usr/sbin/pgbouncer"

/** Why there can be no PgBouncer here; nothing if there can. */
export const unavailable: string | undefined =
  process.platform === "win32"
    ? "PgBouncer does not run on Windows"
    : spawnSync(binary, ["--version"], { stdio: "ignore" }).status === 0
      ? undefined
      : `${binary} is missing`

/** `nobody`: PgBouncer refuses to run as root, and this user needs no account to be made. */
const unprivileged = 65_534

const isRoot = process.getuid?.() === 0
const identity = isRoot ? { uid: unprivileged, gid: unprivileged } : {}

const failed = (step: string, error: unknown): PgBouncerServerError =>
  new PgBouncerServerError({ step, output: error instanceof Error ? error.message : String(error) })

const attempt = <A>(step: string, f: () => A): Effect.Effect<A, PgBouncerServerError> =>
  Effect.try({ try: f, catch: (error) => failed(step, error) })

const temporaryFolder: Effect.Effect<string, PgBouncerServerError, Scope.Scope> = Effect.acquireRelease(
  attempt("folder", () => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-pgbouncer-"))
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

/** Ends the proxy when this process is killed without a chance to clean up. */
const diesWithUs: ReadonlyArray<string> =
  process.platform === "linux" && spawnSync("setpriv", ["--version"], { stdio: "ignore" }).status === 0
    ? ["setpriv", "--pdeathsig=KILL"]
    : []

/** The user of the databases, who may not look into the console; one who owns nothing there; and the one who may look. */
const user = "postgres"
const guest = "shop"
const admin = "console"

const configuration = (root: string, port: number, { databases = ["app"], serverPort, settings = {} }: Options) => {
  const all = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    // None: its path would have to be one of ours.
    unix_socket_dir: "",
    auth_type: "trust",
    auth_file: path.join(root, "users.txt"),
    admin_users: admin,
    pool_mode: "transaction",
    default_pool_size: 3,
    max_client_conn: 200,
    // A server that comes back is tried again soon.
    server_login_retry: 0.2,
    ...settings
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`)
  const targets = databases.map((name) => `${name} = host=127.0.0.1 port=${serverPort} dbname=postgres`)
  return ["[databases]", ...targets, "[pgbouncer]", ...lines, ""].join("\n")
}

const users = (password: string): string =>
  [`"${user}" "${password}"`, `"${guest}" "${guest}"`, `"${admin}" "${admin}"`, ""].join("\n")

/** Makes a proxy and starts it. It ends, and its folder is removed, with the scope. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<PgBouncerServer, PgBouncerServerError, Scope.Scope> {
  const root = yield* temporaryFolder
  const port = yield* freePort
  const file = path.join(root, "pgbouncer.ini")
  const writeUsers = (password: string) =>
    attempt("users", () => fs.writeFileSync(path.join(root, "users.txt"), users(password)))
  yield* attempt("configuration", () => fs.writeFileSync(file, configuration(root, port, options)))
  yield* writeUsers(options.password ?? "")
  let running: ChildProcess | undefined = undefined
  let log = ""

  const launch = Effect.callback<ChildProcess, PgBouncerServerError>((resume) => {
    const [command, ...rest] = [...diesWithUs, binary, file]
    const child = spawn(command, rest, { ...identity, stdio: ["ignore", "ignore", "pipe"] })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-200_000)
      if (text.includes("process up")) resume(Effect.succeed(child))
    })
    child.once("error", (error) => resume(Effect.fail(failed("start", error))))
    child.once("exit", () => resume(Effect.fail(new PgBouncerServerError({ step: "start", output: log }))))
  })
  const end = (signal: NodeJS.Signals): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const child = running
      running = undefined
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
      child.once("exit", () => resume(Effect.void))
      child.kill(signal)
      // One that is stopped would never see another signal.
      child.kill("SIGCONT")
    })
  const start = Effect.uninterruptible(
    Effect.map(launch, (child) => {
      running = child
    })
  )
  yield* Effect.addFinalizer(() => end("SIGKILL"))
  yield* start

  // Whatever certificate it has: tests of certificates are not about the console.
  const ssl = options.settings?.["client_tls_sslmode"] === undefined ? false : { rejectUnauthorized: false }
  /** The console speaks the simple protocol only, which the pool's driver does not. */
  const ask = (command: string): Effect.Effect<ReadonlyArray<AdminRow>, PgBouncerServerError> =>
    Effect.tryPromise({
      try: async () => {
        const client = new Client({ host: "127.0.0.1", port, user: admin, password: admin, database: "pgbouncer", ssl })
        client.on("error", () => {})
        await client.connect()
        try {
          const { rows } = await client.query<AdminRow>(command)
          return rows
        } finally {
          await client.end()
        }
      },
      catch: (error) => failed(command, error)
    })

  return {
    port,
    url: (database = "app") => `postgres://${user}@127.0.0.1:${port}/${database}`,
    start,
    kill: end("SIGKILL"),
    shutDown: end("SIGINT"),
    freeze: Effect.sync(() => running?.kill("SIGSTOP")),
    thaw: Effect.sync(() => running?.kill("SIGCONT")),
    admin: ask,
    clientsOf: (database) =>
      Effect.map(ask("SHOW CLIENTS"), (rows) => rows.filter((row) => row["database"] === database)),
    setPassword: (password) => Effect.andThen(writeUsers(password), Effect.asVoid(ask("RELOAD"))),
    log: Effect.sync(() => log)
  }
})
