/** `effect-pool top`: a pool, second by second. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { PoolList } from "../http/PoolApi.ts"
import { draw } from "./Line.ts"
import { OperatorError, refusal } from "./OperatorError.ts"
import * as Output from "./Output.ts"
import { plain } from "./PlainText.ts"
import { chosen, type PoolServer } from "./PoolServer.ts"
import { newsOf } from "./PoolWatch.ts"
import * as Screen from "./Screen.ts"
import { aboutExit, aboutToken, insecure, pool, serverAt, url } from "./ServerArguments.ts"
import { after, keyed, type News, start, type TopState } from "./TopState.ts"
import { screenLines, secondLine, snapshotLines } from "./TopView.ts"
import { timeOf } from "./Words.ts"

const choicesOf = ({ pools }: PoolList) => pools.map(({ health, key }) => ({ health, key }))

/** The state before the first second: of the pool that is named, or of the only one; of several, the first, where keys lead to the others. */
const begin = Effect.fnUntraced(function* (server: PoolServer, named: Option.Option<string>, hasKeys: boolean) {
  const pools = choicesOf(yield* server.list)
  const first = hasKeys && Option.isNone(named) ? pools[0]?.key : undefined
  const key = first ?? (yield* chosen(server, named))
  if (!pools.some((one) => one.key === key)) {
    return yield* refusal({
      title: "No such pool",
      detail: `${server.place} has none called ${plain(key)}`,
      pools: pools.map((one) => one.key)
    })
  }
  return start(server.place, pools, key, yield* Clock.currentTimeMillis)
})

/** Pools come and go, and their health changes while another one is looked at. */
const listed = (server: PoolServer): Stream.Stream<News> =>
  Stream.fromEffectSchedule(Effect.option(server.list), Schedule.spaced("5 seconds")).pipe(
    Stream.filter(Option.isSome),
    Stream.map(({ value }) => ({ _tag: "Pools", pools: choicesOf(value) }))
  )

const live = Effect.fnUntraced(function* (server: PoolServer, begun: TopState, output: Output.OutputStyle) {
  const state = yield* SubscriptionRef.make(begun)
  const take = (news: News) => SubscriptionRef.update(state, (before) => after(before, news))
  const watching = yield* FiberHandle.make()
  const watch = (pool: string) => FiberHandle.run(watching, Stream.runForEach(newsOf(server, pool), take))
  const screen = yield* Screen.open
  yield* watch(begun.pool)
  yield* Effect.forkScoped(Stream.runForEach(listed(server), take))
  const drawing = SubscriptionRef.changes(state).pipe(
    Stream.zipLatest(screen.sizes),
    Stream.runForEach(([now, size]) => screen.draw(screenLines(now, { ...output, ...size })))
  )
  const obeying = Stream.runForEach(Screen.keys, (key) =>
    Effect.gen(function* () {
      const now = yield* SubscriptionRef.get(state)
      const pool = keyed(now, key)
      if (pool === now.pool) return
      yield* take({ _tag: "Chosen", pool })
      yield* watch(pool)
    })
  )
  // A screen that cannot be drawn any more must not stand there as if all were well.
  yield* Effect.raceFirst(obeying, drawing)
}, Effect.scoped)

/** The states that follow from one another as the server speaks. */
const states = (server: PoolServer, begun: TopState): Stream.Stream<TopState> =>
  newsOf(server, begun.pool).pipe(Stream.scan(() => begun, after))

/** A line for each second, and for each attempt to get the server back. */
const lineOf = (state: TopState, output: Output.OutputStyle): Option.Option<string> => {
  const { link, report, seconds } = state
  const said = (text: string) =>
    Option.some(draw([`${timeOf(state.at, output.zone)} ${plain(state.pool)}  ${text}`], output))
  switch (link._tag) {
    case "Connecting":
      return Option.none()
    case "Lost":
      return said(`! ${plain(link.reason)}; trying again each second`)
    case "Ended":
      return said("! the pool has ended")
    case "Live":
      return Option.map(report, (report) => draw(secondLine(report, seconds.at(-1), output), output))
  }
}

/** The history is no second of its own: what follows it in the same second is. */
const isNews = (before: TopState | undefined, now: TopState): boolean =>
  before === undefined || now.link._tag !== "Live" || now.report !== before.report

const plainLines = (server: PoolServer, begun: TopState, output: Output.OutputStyle): Stream.Stream<string> =>
  states(server, begun).pipe(
    Stream.mapAccum(
      (): TopState | undefined => undefined,
      (before, now) => [now, isNews(before, now) ? [lineOf(now, output)] : []] as const
    ),
    Stream.filter(Option.isSome),
    Stream.map(({ value }) => value)
  )

/** The first second, whole. */
const once = Effect.fnUntraced(function* (server: PoolServer, begun: TopState, output: Output.OutputStyle) {
  const found = yield* Stream.runHead(
    Stream.filter(
      states(server, begun),
      ({ link, report }) => link._tag !== "Connecting" && (link._tag !== "Live" || Option.isSome(report))
    )
  )
  if (Option.isNone(found)) return
  const { link } = found.value
  if (link._tag === "Lost") return yield* new OperatorError({ message: link.reason, exitCode: 2 })
  yield* Console.log(snapshotLines(found.value, { ...output, columns: output.columnsOfText }).join("\n"))
})

/** Shows a pool, second by second. */
export const top = Command.make(
  "top",
  {
    url,
    pool: Argument.optional(pool),
    insecure,
    once: Flag.Boolean("once").pipe(Flag.withDescription("Print one second, and end"), Flag.withDefault(false))
  },
  Effect.fn("effect-pool.top")(function* ({ insecure, once: isOnce, pool, url }) {
    const server = yield* serverAt({ url, insecure })
    const output = yield* Output.style
    const isLive = !isOnce && (yield* TerminalCapabilities.TerminalCapabilities).canAnimate
    const begun = yield* begin(server, pool, isLive)
    if (isLive) return yield* live(server, begun, output)
    yield* isOnce ? once(server, begun, output) : Output.write(plainLines(server, begun, output))
  })
).pipe(
  Command.withDescription(
    "Show a pool, second by second: q or Ctrl-C ends it, tab and 1 to 9 go to another pool. Where standard output is no terminal, " +
      `a line each second. ${aboutToken} ${aboutExit}`
  ),
  Command.withShortDescription("Show a pool, second by second"),
  Command.withExamples([
    { command: "effect-pool top http://127.0.0.1:9464", description: "The first pool of a process on this machine" },
    { command: "effect-pool top http://127.0.0.1:9464 orders --once", description: "One look at one pool" }
  ])
)
