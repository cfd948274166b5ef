/** Somebody who follows a page: has a folder and two terminals, and compares what there is to see with what the page says. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { Shown, Step } from "./Page.ts"
import { difference } from "./Shown.ts"

export class Stopped extends Schema.TaggedError<Stopped>()("Stopped", { line: Schema.Int, reason: Schema.String }) {
  override get message(): string {
    return `docs/quick-start.md:${this.line}: ${this.reason}`
  }
}

/** What is otherwise here than for the reader of the page. */
export interface Circumstances {
  /** What is installed where the page says `effect-pool`. */
  readonly tarball: string
  /** Texts that stand for others, in this order. */
  readonly everywhere: ReadonlyArray<readonly [from: string, to: string]>
  readonly stopServer: Effect.Effect<void, unknown>
  readonly startServer: Effect.Effect<void, unknown>
}

/** How long a command, or a line in the log, may keep one waiting. */
const patience = 60_000

/** A command that has shown what it was to show, and has not ended after this long, goes on running. */
const lingers = 1500

interface Running {
  readonly command: string
  readonly child: ChildProcess
  output: string
  exitCode: number | undefined
}

/** Whoever starts us may have an opinion about colours, npm and databases. Where packages come from is for the machine to say. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) =>
      !/^(DB_|FORCE_COLOR$|NO_COLOR$|INIT_CWD$|npm_(?!config_(registry|cache|userconfig|globalconfig|.*proxy|cafile)))/i.test(
        name
      )
  )
)

const hasCurl = spawnSync("curl", ["--version"]).status === 0

const ourCurl = fileURLToPath(new URL("curl.js", import.meta.url))

export class Newcomer {
  private folder: string
  private readonly circumstances: Circumstances
  /** The last program that was left running. */
  private program: Running | undefined = undefined
  private readonly children = new Set<ChildProcess>()

  constructor(folder: string, circumstances: Circumstances) {
    this.folder = folder
    this.circumstances = circumstances
  }

  /** Ends whatever still runs, with the scope. */
  static make(folder: string, circumstances: Circumstances): Effect.Effect<Newcomer, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => new Newcomer(folder, circumstances)),
      (newcomer) => Effect.sync(() => newcomer.endAll())
    )
  }

  /** Does what a step says, and tells each thing that came out as it was promised. */
  follow({ line, what }: Step, kept: (promise: string) => Effect.Effect<void>): Effect.Effect<void, Stopped> {
    switch (what._tag) {
      case "File":
        return Effect.andThen(
          Effect.sync(() => this.write(what.name, this.here(what.text))),
          kept(`${what.name} is written`)
        )
      case "Commands":
        return Effect.forEach(
          what.commands,
          (command, index) =>
            this.type(line, command, index === what.commands.length - 1 ? what.output : undefined, kept),
          { discard: true }
        )
      case "Log":
        return Effect.andThen(
          this.awaitLog(what.shown),
          kept(`the program says what the page shows (${what.shown.id})`)
        )
      case "Open":
        return Effect.andThen(this.open(line, this.here(what.url)), kept(`${what.url} opens`))
      case "Action":
        return Effect.andThen(this.act(line, what.sentence), kept(what.sentence))
    }
  }

  /** The page's text with what is otherwise here. */
  private here(text: string): string {
    return this.circumstances.everywhere.reduce((text, [from, to]) => text.replaceAll(from, to), text)
  }

  private write(name: string, text: string): void {
    const file = path.join(this.folder, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, `${text}\n`)
  }

  private type(
    line: number,
    command: string,
    shown: Shown | undefined,
    kept: (promise: string) => Effect.Effect<void>
  ): Effect.Effect<void, Stopped> {
    const typed = this.here(command).split(" ")
    // `npx effect-pool` is the command of the package, which stands in the folder by then.
    const words =
      typed[0] === "npm" ? typed.map((word) => (word === "effect-pool" ? this.circumstances.tarball : word)) : typed
    const [program = "", ...args] =
      words[0] === "curl" && !hasCurl ? [process.execPath, ourCurl, ...words.slice(1)] : words
    if (program === "mkdir") {
      return Effect.andThen(
        Effect.sync(() => fs.mkdirSync(path.join(this.folder, args[0]!))),
        kept(command)
      )
    }
    if (program === "cd") {
      return Effect.andThen(
        Effect.sync(() => {
          this.folder = path.join(this.folder, args[0]!)
        }),
        kept(command)
      )
    }
    return Effect.gen({ self: this }, function* () {
      const running = this.start(command, program, args)
      if (shown === undefined) yield* this.awaitEnd(line, running)
      else yield* this.awaitShown(shown, running)
      yield* kept(shown === undefined ? command : `${command}: what the page shows (${shown.id})`)
    })
  }

  private start(command: string, program: string, args: ReadonlyArray<string>): Running {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...environment, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const running: Running = { command, child, output: "", exitCode: undefined }
    const take = (text: string): void => {
      running.output += text
    }
    child.stdout.setEncoding("utf8").on("data", take)
    // What `curl` says of its progress is not said to a reader, whose terminal is one.
    if (program !== "curl") child.stderr.setEncoding("utf8").on("data", take)
    child.once("error", ({ message }) => {
      running.output += message
      running.exitCode = -1
    })
    child.once("close", (code) => {
      running.exitCode ??= code ?? -1
      this.children.delete(child)
    })
    this.children.add(child)
    return running
  }

  private awaitEnd(line: number, running: Running): Effect.Effect<void, Stopped> {
    return Effect.gen(function* () {
      yield* until(() => running.exitCode !== undefined, patience)
      if (running.exitCode === 0) return
      const how = running.exitCode === undefined ? "has not ended" : `ended with exit code ${running.exitCode}`
      return yield* new Stopped({ line, reason: `\`${running.command}\` ${how}:\n${running.output}` })
    })
  }

  /** A command has ended, or goes on running, and has shown what the page shows. */
  private awaitShown({ line, text }: Shown, running: Running): Effect.Effect<void, Stopped> {
    return Effect.gen({ self: this }, function* () {
      const differs = (): string | undefined => difference(this.here(text), running.output, "whole")
      yield* until(() => running.exitCode !== undefined || differs() === undefined, patience)
      yield* until(() => running.exitCode !== undefined, lingers)
      const reason = differs()
      if (reason !== undefined) return yield* new Stopped({ line, reason: `\`${running.command}\`: ${reason}` })
      if (running.exitCode === undefined) this.program = running
    })
  }

  private awaitLog({ line, text }: Shown): Effect.Effect<void, Stopped> {
    return Effect.gen({ self: this }, function* () {
      const differs = (): string | undefined => difference(this.here(text), this.program?.output ?? "", "part")
      yield* until(() => differs() === undefined, patience)
      const reason = differs()
      if (reason !== undefined) return yield* new Stopped({ line, reason: `the running program: ${reason}` })
    })
  }

  private open(line: number, url: string): Effect.Effect<void, Stopped> {
    return Effect.tryPromise({
      try: async () => {
        const response = await fetch(url)
        const text = await response.text()
        if (response.status === 200 && text.startsWith("<!doctype html>")) return
        throw new Error(`${response.status} ${text.slice(0, 200)}`)
      },
      catch: (cause) => new Stopped({ line, reason: `${url} is no page to look at: ${String(cause)}` })
    })
  }

  private act(line: number, sentence: string): Effect.Effect<void, Stopped> {
    const { startServer, stopServer } = this.circumstances
    const failed = (cause: unknown): Stopped => new Stopped({ line, reason: `${sentence} ${String(cause)}` })
    if (sentence === "Stop the PostgreSQL server.") return Effect.mapError(stopServer, failed)
    if (sentence === "Start the PostgreSQL server again.") return Effect.mapError(startServer, failed)
    if (sentence === "End the program with Ctrl-C.") return this.interrupt(line)
    return new Stopped({ line, reason: `"${sentence}": this newcomer cannot do that` })
  }

  /** As the terminal does for Ctrl-C. */
  private interrupt(line: number): Effect.Effect<void, Stopped> {
    return Effect.gen({ self: this }, function* () {
      const { program } = this
      if (program === undefined) return yield* new Stopped({ line, reason: "nothing runs that could be ended" })
      program.child.kill("SIGINT")
      yield* until(() => program.exitCode !== undefined, 15_000)
      if (program.exitCode === undefined) {
        return yield* new Stopped({ line, reason: `\`${program.command}\` goes on after Ctrl-C:\n${program.output}` })
      }
    })
  }

  private endAll(): void {
    for (const child of this.children) child.kill("SIGKILL")
  }
}

/** Looks again and again, for a while. */
const until = (isSo: () => boolean, atMost: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const end = performance.now() + atMost
    while (!isSo() && performance.now() < end) yield* Effect.sleep("50 millis")
  })
