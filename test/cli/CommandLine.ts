/** Runs `effect-pool` in this process, as a shell would: arguments and environment in, exit code and two outputs out. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Effect, Exit, Layer, Runtime, Sink, Stdio, Terminal } from "effect"
import { CliOutput, Command, TerminalCapabilities } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import { TestConsole } from "effect/testing"
import { effectPool, presenter } from "../../src/cli/EffectPool.ts"

export interface Ran {
  readonly exitCode: number
  readonly out: string
  readonly error: string
}

/** What stands in for the terminal: `written` gets the lines that are streamed to standard output. */
export interface Shell {
  readonly env?: Readonly<Record<string, string>>
  readonly written?: Array<string>
  /** Standard input and output are this terminal. */
  readonly terminal?: Terminal.Terminal
}

const textOf = (text: string | Uint8Array): string => (typeof text === "string" ? text : new TextDecoder().decode(text))

const services = ({ terminal, written = [] }: Shell) => {
  const stdio = Stdio.layerTest({
    stdinIsTerminal: Effect.succeed(terminal !== undefined),
    stdoutIsTerminal: Effect.succeed(terminal !== undefined),
    stdout: () =>
      Sink.forEach((text: string | Uint8Array) =>
        Effect.sync(() => {
          written.push(textOf(text))
        })
      )
  })
  const layers = Layer.mergeAll(NodeServices.layer, FetchHttpClient.layer, stdio)
  return terminal === undefined ? layers : Layer.merge(layers, Layer.succeed(Terminal.Terminal, terminal))
}

/** The program, with everything that it needs and nothing of the terminal in which the tests run. */
export const command = (args: ReadonlyArray<string>, shell: Shell = {}) =>
  Command.runWith(effectPool, { version: "1.2.3" })(args).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provideService(CliOutput.Formatter, CliOutput.defaultFormatter({ colors: false })),
    Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
      canColor: false,
      canAnimate: shell.terminal !== undefined,
      canPrompt: false
    }),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: shell.env ?? {} })),
    Effect.provide(services(shell))
  )

/** Runs it to its end. */
export const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    const written: Array<string> = []
    const exit: Exit.Exit<unknown, unknown> = yield* Effect.exit(command(args, { env, written }))
    let exitCode = -1
    Runtime.defaultTeardown(exit, (code) => {
      exitCode = code
    })
    const logged = yield* TestConsole.logLines
    const error = (yield* TestConsole.errorLines).join("\n")
    return { exitCode, out: [...logged.map((line) => `${String(line)}\n`), ...written].join(""), error }
  }).pipe(Effect.provide(TestConsole.layer, { local: true }))
