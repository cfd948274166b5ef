/** `effect-pool events`: what has happened in a pool, and what happens. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { PoolEvent } from "../PoolEvent.ts"
import { eventLine } from "./EventText.ts"
import { draw, type Style } from "./Line.ts"
import type { OperatorError } from "./OperatorError.ts"
import * as Output from "./Output.ts"
import { plain, plainJson } from "./PlainText.ts"
import { chosen, type PoolServer } from "./PoolServer.ts"
import { follow, type Followed } from "./PoolStreams.ts"
import { aboutExit, aboutToken, insecure, json, pool, serverAt, url } from "./ServerArguments.ts"

/** Every lease is three of these: on a busy pool thousands a second. */
const ofLeases: ReadonlySet<string> = new Set(["AcquireStarted", "Acquired", "Released"])

interface Wanted {
  readonly isJson: boolean
  readonly isWithoutLeases: boolean
  readonly style: Style
}

const isWanted = (tag: string | undefined, { isWithoutLeases }: Wanted): boolean =>
  !isWithoutLeases || tag === undefined || !ofLeases.has(tag)

const textOf = (event: PoolEvent, { isJson, style }: Wanted): string =>
  isJson ? plainJson(JSON.stringify(event)) : draw(eventLine(event, style), style)

/** An event of a kind that this version does not know is shown as it came. */
const followedText = ({ event, json }: Followed, wanted: Wanted): string =>
  wanted.isJson || Option.isNone(event) ? plainJson(json) : textOf(event.value, wanted)

/** Where the reading stands: after which event, of the pool that was made when. */
interface Position {
  readonly since: number
  readonly id: number
}

/**
 * Follows until the connection breaks or the pool closes. A pool of the same name that was made since numbers its events anew: it is
 * read from its first one.
 */
const attempt = (
  server: PoolServer,
  pool: string,
  position: Ref.Ref<Position>,
  hasBegun: Ref.Ref<boolean>
): Stream.Stream<Followed, OperatorError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { since } = yield* server.report(pool)
      yield* Ref.set(hasBegun, true)
      const known = yield* Ref.get(position)
      const id = known.since === since ? known.id : 0
      yield* Ref.set(position, { since, id })
      return Stream.tap(follow(server, pool, id), ({ id }) => (id > 0 ? Ref.set(position, { since, id }) : Effect.void))
    })
  )

/** Said once for each time the way there is lost: on standard error, which is for people. */
const lost = Effect.fnUntraced(function* (error: OperatorError, isSaid: Ref.Ref<boolean>) {
  if (!(yield* Ref.getAndSet(isSaid, true))) yield* Console.error(`${error.message}; trying again each second`)
})

/** Every event that is kept, then each as it comes, across breaks without a gap or a repeat. Ends when the pool is closed. */
const followed = Effect.fnUntraced(function* (server: PoolServer, pool: string) {
  const position = yield* Ref.make<Position>({ since: 0, id: 0 })
  const isSaid = yield* Ref.make(false)
  const hasBegun = yield* Ref.make(false)
  const one = attempt(server, pool, position, hasBegun).pipe(
    Stream.tap(() => Ref.set(isSaid, false)),
    // What fails at once is said and ends the command; later it is a break.
    Stream.catch((error) =>
      Stream.unwrap(
        Effect.map(Ref.get(hasBegun), (hasBegun) =>
          hasBegun ? Stream.fromEffectDrain(lost(error, isSaid)) : Stream.fail(error)
        )
      )
    )
  )
  return Stream.repeat(one, Schedule.spaced("1 second")).pipe(Stream.takeUntil(isEnd))
})

const isEnd = ({ event }: Followed): boolean => Option.exists(event, ({ _tag }) => _tag === "PoolClosed")

/** Prints what has happened, and with `--follow` what happens. */
export const events = Command.make(
  "events",
  {
    url,
    pool: Argument.optional(pool),
    insecure,
    follow: Flag.Boolean("follow").pipe(
      Flag.withDescription("Go on with what happens, until the pool closes or Ctrl-C"),
      Flag.withDefault(false)
    ),
    facts: Flag.Boolean("facts").pipe(
      Flag.withDescription("Leave out leases that were given and returned"),
      Flag.withDefault(false)
    ),
    json: json("Print each event as JSON, on a line of its own")
  },
  Effect.fn("effect-pool.events")(function* ({ facts, follow, insecure, json, pool, url }) {
    const server = yield* serverAt({ url, insecure })
    const key = yield* chosen(server, pool)
    const wanted: Wanted = { isJson: json, isWithoutLeases: facts, style: yield* Output.style }
    if (!follow) {
      const events = yield* server.events(key)
      const shown = events.filter(({ _tag }) => isWanted(_tag, wanted))
      if (shown.length === 0) return yield* Console.error(`nothing has happened in ${plain(key)}`)
      return yield* Output.write(Stream.map(Stream.fromIterable(shown), (event) => textOf(event, wanted)))
    }
    const all = yield* followed(server, key)
    yield* Output.write(
      all.pipe(
        Stream.filter(({ event }) => isWanted(Option.getOrUndefined(event)?._tag, wanted)),
        Stream.map((one) => followedText(one, wanted))
      )
    )
  })
).pipe(
  Command.withDescription(`Say what has happened in a pool, one line each. ${aboutToken} ${aboutExit}`),
  Command.withShortDescription("Say what has happened in a pool"),
  Command.withExamples([
    { command: "effect-pool events http://127.0.0.1:9464 orders --follow --facts", description: "As it happens" }
  ])
)
