/** The command `effect-pool`. Each subcommand is a file of its own beside this one. */
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { actions } from "./Actions.ts"
import { advise } from "./Advise.ts"
import { events } from "./Events.ts"
import { lab } from "./Lab.ts"
import { status } from "./Status.ts"
import { top } from "./Top.ts"

/** The command with all its subcommands. */
export const effectPool = Command.make("effect-pool").pipe(
  Command.withDescription(
    "Connection pools: how they are, what an operator may ask of them, and how large they should be"
  ),
  Command.withSubcommands([top, status, events, ...actions, advise, lab])
)

/** What goes wrong is said on standard error, so that a script that reads standard output reads results only. */
export const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.flatMap(CliOutput.Formatter, (formatter) =>
          Console.error(`${formatter.formatHelpDoc(event.helpDoc)}\n${formatter.formatErrors(event.errors)}`)
        )
      : CliOutput.defaultPresenter.present(event)
}
