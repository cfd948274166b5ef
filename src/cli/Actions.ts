/** What an operator may act of a pool, each as a command of its own. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { readMillis } from "./DurationText.ts"
import { type OperatorError, wrong } from "./OperatorError.ts"
import { plain } from "./PlainText.ts"
import { aboutExit, aboutToken, insecure, pool, serverAt, url } from "./ServerArguments.ts"
import type { PoolServer } from "./PoolServer.ts"

const target = { url, pool, insecure }

/** Asks once, and never again by itself: what got no answer may have been done. */
const perform = Effect.fn("effect-pool.act")(function* (
  given: { readonly url: string; readonly insecure: boolean },
  action: (server: PoolServer) => Effect.Effect<{ readonly done: string }, OperatorError>
) {
  const server = yield* serverAt(given)
  const { done } = yield* action(server)
  yield* Console.log(plain(done))
})

const about = (text: string): string => `${text}. ${aboutToken} ${aboutExit}`

const described =
  (short: string, long: string = short) =>
  <Name extends string, Input, Context, E, R>(command: Command.Command<Name, Input, Context, E, R>) =>
    command.pipe(Command.withDescription(about(long)), Command.withShortDescription(short))

const yes = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

/** What the API would refuse is refused before anything is sent. */
const within = (least: number, most: number) =>
  Flag.filter<number>(
    (given) => given >= least && given <= most,
    (given) => `expected ${least} to ${most}, got ${given}`
  )

const limit = (name: string, least: number, description: string) =>
  Flag.Int(name).pipe(within(least, 1_000_000), Flag.withDescription(description), Flag.optional)

const resize = Command.make(
  "resize",
  { ...target, min: limit("min", 0, "The new minConnections"), max: limit("max", 1, "The new maxConnections") },
  Effect.fnUntraced(function* ({ max, min, pool, ...given }) {
    if (Option.isNone(min) && Option.isNone(max)) return yield* wrong("resize: say --min, --max or both")
    const payload = {
      ...(Option.isSome(min) ? { minConnections: min.value } : {}),
      ...(Option.isSome(max) ? { maxConnections: max.value } : {})
    }
    yield* perform(given, ({ act, actions }) => act(actions.resize({ params: { pool }, payload })))
  })
).pipe(described("Change how many connections a pool may have"))

const pause = Command.make(
  "pause",
  { ...target, fail: yes("fail", "Acquires fail at once; without it they wait") },
  ({ fail, pool, ...given }) =>
    perform(given, ({ act, actions }) =>
      act(actions.pause({ params: { pool }, payload: { acquires: fail ? "fail" : "wait" } }))
    )
).pipe(described("Lend no more connections until the pool is resumed"))

const resume = Command.make("resume", target, ({ pool, ...given }) =>
  perform(given, ({ act, actions }) => act(actions.resume({ params: { pool }, payload: {} })))
).pipe(described("Lend connections again"))

const interrupt = yes("interrupt", "Close it under whoever has it, instead of waiting for its return")

const recycle = Command.make("recycle", { ...target, interrupt }, ({ interrupt, pool, ...given }) =>
  perform(given, ({ act, actions }) => act(actions.recycle({ params: { pool }, payload: { interrupt } })))
).pipe(described("Replace every connection by a new one"))

const connection = Argument.Int("connection").pipe(
  Argument.filter(
    (connection) => connection >= 1,
    () => "connections are numbered from 1"
  ),
  Argument.withDescription("Its number in the pool, as status and top show it")
)

const evict = Command.make("evict", { ...target, connection, interrupt }, ({ connection, interrupt, pool, ...given }) =>
  perform(given, ({ act, actions }) => act(actions.evict({ params: { pool }, payload: { connection, interrupt } })))
).pipe(described("Close one connection"))

const checkIdle = Command.make("check-idle", target, ({ pool, ...given }) =>
  perform(given, ({ act, actions }) => act(actions["check-idle"]({ params: { pool }, payload: {} })))
).pipe(described("Check every idle connection, and replace the dead ones"))

const deadline = Flag.String("deadline").pipe(
  Flag.withMetavar("duration"),
  Flag.withDescription(
    "How long borrowers may take to finish: 10s, 1m; without it, as long as the pool's configuration says"
  ),
  Flag.optional
)

const isDeadline = (given: unknown): boolean => typeof given === "number" && given >= 0 && given <= 86_400_000

const drain = Command.make(
  "drain",
  { ...target, deadline, yes: yes("yes", "Yes, for good: the pool lends nothing afterwards") },
  Effect.fnUntraced(function* ({ deadline, pool, yes, ...given }) {
    if (!yes)
      return yield* wrong(
        `drain closes ${plain(pool)} for good: nobody gets a connection afterwards. Say --yes if that is meant`
      )
    const millis = Option.map(deadline, readMillis)
    if (Option.exists(millis, (given) => !isDeadline(given))) {
      return yield* wrong(
        `--deadline: got ${plain(Option.getOrElse(deadline, () => ""))}, expected a duration up to a day, as in 10s`
      )
    }
    const payload = {
      confirm: pool,
      ...(Option.isSome(millis) ? { deadlineMillis: Math.round(Number(millis.value)) } : {})
    }
    yield* perform(given, ({ act, actions }) => act(actions.drain({ params: { pool }, payload })))
  })
).pipe(described("Close a pool for good, after its borrowers have finished"))

const captureStacks = Command.make(
  "capture-stacks",
  {
    ...target,
    minutes: Flag.Finite("minutes").pipe(
      within(0, 60),
      Flag.withDescription("For how long, up to 60; 0 ends it (5)"),
      Flag.withDefault(5)
    )
  },
  ({ minutes, pool, ...given }) =>
    perform(given, ({ act, actions }) => act(actions["capture-stacks"]({ params: { pool }, payload: { minutes } })))
).pipe(described("Note for a while where in the sources connections are borrowed"))

/** All of them. */
export const actions = [resize, pause, resume, recycle, evict, checkIdle, drain, captureStacks] as const
