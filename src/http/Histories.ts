/** The histories of all pools, looked at once a second by one fiber, and those who watch them. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectionPool } from "../ConnectionPool.ts"
import { type Entry, PoolRegistry } from "../PoolRegistry.ts"
import type { History } from "./ConsoleFeed.ts"
import { PoolHistory } from "./PoolHistory.ts"

/** Frames that wait for a slow reader: an older one is no news. */
const framesKept = 4

/** One pool's history, and the frames that go to all who watch it: made and encoded once for all of them. */
interface Watched {
  readonly pool: ConnectionPool<unknown>
  readonly history: PoolHistory
  readonly frames: PubSub.PubSub<string>
  watchers: number
  encoded: { readonly at: number; readonly text: string } | undefined
}

/**
 * @category services
 * @since 0.1.0
 */
export class Histories extends Context.Service<
  Histories,
  {
    readonly history: (entry: Entry) => Effect.Effect<History>
    /** A server-sent event with the history, and one each second. Ends with the pool. */
    readonly watch: (entry: Entry) => Effect.Effect<Stream.Stream<string>, never, Scope.Scope>
    /** Completes when the routes are taken down: a server waits for its answers to end, and a stream has no end of its own. */
    readonly closing: Effect.Effect<void>
  }
>()("effect-pool/http/Histories") {
  static readonly layer: Layer.Layer<Histories> = Layer.effect(
    Histories,
    Effect.gen(function* () {
      const registry = yield* PoolRegistry
      const pools = new Map<string, Watched>()
      const closing = yield* Latch.make()
      yield* Effect.addFinalizer(() => closing.open)
      const watched = Effect.fnUntraced(function* (entry: Entry) {
        const known = pools.get(entry.key)
        if (known !== undefined && known.pool === entry.pool) return known
        const frames = yield* PubSub.sliding<string>(framesKept)
        const history = new PoolHistory(entry.key, entry.pool)
        const made: Watched = { pool: entry.pool, history, frames, watchers: 0, encoded: undefined }
        pools.set(entry.key, made)
        return made
      })

      const lookAt = Effect.fnUntraced(function* (one: Watched, at: number) {
        const frame = yield* one.history.look(at, one.watchers > 0)
        if (frame !== undefined) yield* PubSub.publish(one.frames, sse("frame", JSON.stringify(frame)))
      })
      const lookAtAll = Effect.gen(function* () {
        const at = yield* Clock.currentTimeMillis
        const entries = registry.entries()
        for (const [key, one] of pools) {
          if (entries.some(({ pool }) => pool === one.pool)) continue
          pools.delete(key)
          // Those who watch are told that this was the end.
          yield* PubSub.publish(one.frames, sse("end", "{}"))
        }
        for (const entry of entries) yield* lookAt(yield* watched(entry), at)
      })
      yield* Effect.forkScoped(Effect.repeat(lookAtAll, Schedule.spaced("1 second")))

      const historyText = Effect.fnUntraced(function* (one: Watched) {
        const at = yield* Clock.currentTimeMillis
        // Ten pages that come back together after an outage of their own are sent the same text.
        if (one.encoded === undefined || at - one.encoded.at >= 1000) {
          one.encoded = { at, text: sse("history", JSON.stringify(one.history.history)) }
        }
        return one.encoded.text
      })

      return {
        closing: closing.await,
        history: (entry) => Effect.map(watched(entry), ({ history }) => history.history),
        watch: Effect.fnUntraced(function* (entry: Entry) {
          const one = yield* watched(entry)
          yield* Effect.acquireRelease(
            Effect.sync(() => one.watchers++),
            () => Effect.sync(() => one.watchers--)
          )
          // In line before the history is read: no second is missing between them.
          const frames = yield* PubSub.subscribe(one.frames)
          const first = yield* historyText(one)
          return Stream.concat(
            Stream.succeed(first),
            Stream.takeUntil(Stream.fromSubscription(frames), (text) => text.startsWith("event: end"))
          )
        })
      }
    })
  )
}

/** JSON has no line breaks of its own, so one line is enough. */
export const sse = (event: string, data: string, id?: number): string =>
  `event: ${event}\n${id === undefined ? "" : `id: ${id}\n`}data: ${data}\n\n`
