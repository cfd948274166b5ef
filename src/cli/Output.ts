/** Lines to standard output, as wide and colourful as that is. */
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { draw, type Line, type Style } from "./Line.ts"
import type { OperatorError } from "./OperatorError.ts"

/** In a file or a pipe no line is cut: whoever reads it searches. */
const unlimited = 10_000

/** Text flows in this many columns where nobody says how many there are. */
const columnsOfText = 100

/** How standard output is written to. `columnsOfText` is what text is broken at. */
export interface OutputStyle extends Style {
  readonly columnsOfText: number
}

/** Columns of the terminal, colour where it is wanted, and the local time. */
export const style: Effect.Effect<OutputStyle, never, Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const { stdoutIsTerminal } = yield* Stdio.Stdio
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const columns = (yield* stdoutIsTerminal) ? yield* (yield* Terminal.Terminal).columns : 0
  const zone = DateTime.zoneMakeLocal()
  return columns > 0
    ? { columns, columnsOfText: columns, hasColor: canColor, zone }
    : { columns: unlimited, columnsOfText, hasColor: canColor, zone }
})

/** Prints the lines at once. */
export const print = (lines: ReadonlyArray<Line>, style: Style): Effect.Effect<void> =>
  Console.log(lines.map((line) => draw(line, style)).join("\n"))

/**
 * Writes line by line, until the stream ends or nobody reads any more: `effect-pool events --follow | head` ends when `head` does,
 * and that is no error.
 */
export const write = <R>(
  lines: Stream.Stream<string, OperatorError, R>
): Effect.Effect<void, OperatorError, R | Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) =>
    lines.pipe(
      Stream.map((line) => `${line}\n`),
      Stream.run(stdio.stdout()),
      Effect.catchTag("PlatformError", () => Effect.void)
    )
  )
