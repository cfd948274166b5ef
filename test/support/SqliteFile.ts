/** A database file of a test's own, the drivers that can open it here, and another process that uses the same file. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import Database from "libsql"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import { createInterface } from "node:readline"
import * as Sqlite from "../../src/connectors/Sqlite.ts"

export const libsql: Sqlite.Driver = { ...Sqlite.betterSqlite3(Database), name: "libsql" }

const node = Sqlite.nodeSqlite()

/** Each driver, or why it cannot be run here. */
export const drivers: ReadonlyArray<{ readonly driver: Sqlite.Driver; readonly unavailable: string | undefined }> = [
  { driver: libsql, unavailable: undefined },
  { driver: node, unavailable: node.problems?.[0]?.value }
]

/** A folder that is removed at the end. */
export const folder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-pool-sqlite-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** A path in a folder of its own, where nothing is yet. */
export const newFile: Effect.Effect<string, never, Scope.Scope> = Effect.map(folder, (path) =>
  Path.join(path, "app.db")
)

/** A driver that counts what it has open. */
export const counting = (driver: Sqlite.Driver) => {
  const counts = { open: 0 }
  const counted: Sqlite.Driver = {
    ...driver,
    open: (file, options) => {
      const database = driver.open(file, options)
      counts.open++
      return {
        get inTransaction() {
          return database.inTransaction
        },
        exec: (sql) => database.exec(sql),
        prepare: (sql) => database.prepare(sql),
        close: () => {
          counts.open--
          database.close()
        }
      }
    }
  }
  return { driver: counted, counts }
}

export class OtherProcessFailed extends Data.TaggedError("OtherProcessFailed")<{ readonly answer: string }> {}

export interface OtherProcess {
  /** Runs statements there, one after the other. */
  readonly exec: (sql: string) => Effect.Effect<void, OtherProcessFailed>
  /** Commits rows 1, 2, 3 and so on in transactions of its own until it is killed; the number of the last one that it has reported. */
  readonly commitForever: Effect.Effect<() => number>
  /** Writes nonsense over all of a file but its first page. */
  readonly damage: (path: string) => Effect.Effect<void, OtherProcessFailed>
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** Ends it in the middle of whatever it does, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

const script = `
const Database = require(process.argv[1])
const database = new Database(process.argv[2])
database.exec("pragma synchronous = off")
const say = (line) => require("node:fs").writeSync(1, line + "\\n")
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "forever") {
    const insert = database.prepare("insert into numbers values (?, ?)")
    for (let n = 1; ; n++) {
      database.exec("begin immediate")
      insert.run([n, n * n])
      insert.run([-n, n * n])
      database.exec("commit")
      say("committed " + n)
    }
  }
  const fs = require("node:fs")
  try {
    const { damage, sql } = JSON.parse(line)
    if (sql !== undefined) database.exec(sql)
    if (damage !== undefined) {
      const file = fs.openSync(damage, "r+")
      fs.writeSync(file, Buffer.alloc(fs.fstatSync(file).size - 4096, 0xa5), 0, undefined, 4096)
      fs.closeSync(file)
    }
    say("done")
  } catch (error) {
    say("failed " + error.message)
  }
}).on("close", () => process.exit())
say("ready")
`

/** Another process with the same file open. It ends with the test, and when this process does. */
export const otherProcess = (file: string): Effect.Effect<OtherProcess, OtherProcessFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const module = createRequire(import.meta.url).resolve("libsql")
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, ["-e", script, module, file], { stdio: ["pipe", "pipe", "inherit"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    const lines = createInterface({ input: child.stdout })
    const answers: Array<string> = []
    let waiting: ((line: string) => void) | undefined = undefined
    let committed = 0
    lines.on("line", (line) => {
      if (line.startsWith("committed ")) {
        committed = Number(line.slice("committed ".length))
      } else if (waiting === undefined) {
        answers.push(line)
      } else {
        const resume = waiting
        waiting = undefined
        resume(line)
      }
    })
    const answer = Effect.callback<string>((resume) => {
      const early = answers.shift()
      if (early !== undefined) return resume(Effect.succeed(early))
      waiting = (line) => resume(Effect.succeed(line))
    })
    yield* answer
    const ask = (question: object) =>
      Effect.flatMap(
        Effect.suspend(() => {
          child.stdin.write(`${JSON.stringify(question)}\n`)
          return answer
        }),
        (line) => (line === "done" ? Effect.void : Effect.fail(new OtherProcessFailed({ answer: line })))
      )
    return {
      exec: (sql) => ask({ sql }),
      damage: (path) => ask({ damage: path }),
      commitForever: Effect.sync(() => {
        child.stdin.write("forever\n")
        return () => committed
      }),
      freeze: Effect.sync(() => void child.kill("SIGSTOP")),
      thaw: Effect.sync(() => void child.kill("SIGCONT")),
      kill: Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        // Closed, and not just ended: what it has written last has been read then.
        child.once("close", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
    }
  })
