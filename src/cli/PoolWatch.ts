/** A pool watched for as long as one likes, across breaks. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { OperatorError } from "./OperatorError.ts"
import type { PoolServer } from "./PoolServer.ts"
import { watch } from "./PoolStreams.ts"
import type { News } from "./TopState.ts"

/** When a server comes back, those who lost it do not all knock at the same moment. */
const rhythm = Schedule.jittered(Schedule.spaced("1 second"))

const stamped = (news: (at: number) => News): Effect.Effect<News> => Effect.map(Clock.currentTimeMillis, news)

/** The names of all pools that there are, say, are for whoever typed the command. */
const headOf = ({ message }: OperatorError): string => message.split("\n")[0]!

/** What the server says of the pool; when it cannot be reached any more, that, and another attempt each second. Never ends. */
export const newsOf = (server: PoolServer, pool: string): Stream.Stream<News> =>
  watch(server, pool).pipe(
    Stream.mapEffect((watched) => stamped((at) => ({ _tag: "Watched", pool, at, watched }))),
    Stream.catch((error) => Stream.fromEffect(stamped((at) => ({ _tag: "Lost", pool, at, reason: headOf(error) })))),
    Stream.repeat(rhythm)
  )
