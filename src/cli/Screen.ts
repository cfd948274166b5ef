/** The whole terminal for as long as a scope is open, and as it was afterwards. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"

/** The other screen, without a cursor; a line that a font draws too wide does not run into the next. */
const enter = "\x1b[?1049h\x1b[?25l\x1b[?7l"
const leave = "\x1b[?7h\x1b[?25h\x1b[?1049l"

/** Nothing of a half-drawn screen is seen where the terminal knows how to wait. */
const frame = (text: string): string => `\x1b[?2026h\x1b[H${text}\x1b[J\x1b[?2026l`

/** A terminal that says nothing of its size. */
const usual = { columns: 80, rows: 24 }

/** A terminal taken over. */
export interface Screen {
  readonly draw: (lines: ReadonlyArray<string>) => Effect.Effect<void>
  readonly sizes: Stream.Stream<Terminal.Size>
}

/** Takes the terminal over, and gives it back when the scope closes: however the program ends. */
export const open: Effect.Effect<Screen, never, Terminal.Terminal | Scope.Scope> = Effect.gen(function* () {
  const terminal = yield* Terminal.Terminal
  const show = (text: string) => Effect.ignore(terminal.display(text))
  yield* Effect.acquireRelease(show(enter), () => show(leave))
  const sizes = Stream.fromQueue(yield* terminal.size)
  return {
    // Each line is wiped before it is written: after its last column, that would wipe the last letter.
    draw: (lines) => show(frame(lines.map((line) => `\x1b[K${line}`).join("\r\n"))),
    sizes: Stream.map(sizes, ({ columns, rows }) => (columns > 0 && rows > 0 ? { columns, rows } : usual))
  }
})

/** The keys that are pressed, until one of those that quit. Where nobody can press one, none, for ever. */
export const keys: Stream.Stream<Terminal.Key, never, Terminal.Terminal | Stdio.Stdio> = Stream.unwrap(
  Effect.gen(function* () {
    const { stdinIsTerminal } = yield* Stdio.Stdio
    if (!(yield* stdinIsTerminal)) return Stream.never
    const { readInput } = yield* Terminal.Terminal
    return Stream.fromQueue((yield* readInput) as Queue.Dequeue<Terminal.UserInput, Cause.Done>).pipe(
      Stream.map(({ key }) => key),
      Stream.takeWhile((key) => !quits(key))
    )
  })
)

const quits = ({ ctrl, name }: Terminal.Key): boolean =>
  name === "q" || name === "escape" || (ctrl && (name === "c" || name === "d"))
