/** `npm run pitfall -- leak`, `-- holding` or `-- waiting`: what goes wrong, how it is done, and what the pool says of both. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Argument, Command } from "effect/cli"
import { Effect } from "effect"
import { holding } from "./HoldingTooLong.ts"
import { leak } from "./Leak.ts"
import { waiting } from "./WaitingForEver.ts"

const pitfalls = { leak, holding, waiting }

const command = Command.make(
  "pitfall",
  { name: Argument.Literals("name", ["leak", "holding", "waiting"] as const) },
  ({ name }) => pitfalls[name]
)

command.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
