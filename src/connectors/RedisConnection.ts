/** What a borrower holds: commands, transactions and subscriptions on one connection of its own. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Redis as IORedis } from "ioredis"
import type { Argument } from "./RedisClient.ts"
import { type RedisError, toRedisError, WatchConflict } from "./RedisError.ts"
import type { Session } from "./RedisSession.ts"

/**
 * A command and its arguments.
 *
 * @category models
 * @since 0.1.0
 */
export type Command = readonly [name: string, ...args: ReadonlyArray<Argument>]

/**
 * What was published on a channel.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message {
  /** Where it was published. */
  readonly channel: string
  /** What was published. */
  readonly message: string
  /** The pattern that the channel matches, for a subscription to a pattern; absent for others. */
  readonly pattern?: string
}

/**
 * What to subscribe to: channels by name, by pattern (`news.*`), and shard channels of Redis 7.
 *
 * @category models
 * @since 0.1.0
 */
export interface Topics {
  /** Channels by name. Default: none. */
  readonly channels?: ReadonlyArray<string> | undefined
  /** Channels by pattern. Default: none. */
  readonly patterns?: ReadonlyArray<string> | undefined
  /** Shard channels by name. Default: none. */
  readonly shardChannels?: ReadonlyArray<string> | undefined
}

/**
 * One connection to a Redis server, for one borrower.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /** What the server calls the connection (`CLIENT ID`); `undefined` where the server does not tell. */
  readonly id: number | undefined
  /**
   * Sends a command. Answers are as in the second protocol of Redis: lists, strings, numbers and `null`, with text read as
   * UTF-8.
   *
   * An interrupted command may be executed all the same. One that blocks is ended on the server, so that the connection can be
   * used again; if it has taken something off the server by then, the connector's `onUndelivered` is told.
   */
  readonly send: <A = unknown>(name: string, ...args: ReadonlyArray<Argument>) => Effect.Effect<A, RedisError>
  /**
   * Executes commands in one transaction and in one round trip, and gives their answers.
   *
   * Fails with `WatchConflict` if a key has changed that was watched (`WATCH`) on this connection: then none is executed. Fails
   * with the error of the first command that failed; if the server had accepted them all, it has executed the others.
   */
  readonly transaction: (
    commands: ReadonlyArray<Command>
  ) => Effect.Effect<ReadonlyArray<unknown>, RedisError | WatchConflict>
  /**
   * Subscribes, and gives what is published from then on. The queue fails when the connection is lost: what is published after
   * that is not delivered, and nobody subscribes again by itself. It has no bound: whoever reads more slowly than others publish
   * fills the memory. The connection can go on sending commands, and the subscription ends with its lease.
   */
  readonly subscribe: (topics: Topics) => Effect.Effect<Queue.Dequeue<Message, RedisError>, RedisError, Scope.Scope>
  /**
   * Runs something on the driver's own client: its typed methods, pipelines, binary answers. When it is interrupted, every
   * blocking command is ended that the client's methods have sent on this connection, and the signal is aborted: what sends one
   * command after another must look at it, since the next borrower may have the connection by then.
   */
  readonly use: <A>(f: (client: IORedis, signal: AbortSignal) => PromiseLike<A>) => Effect.Effect<A, RedisError>
  /**
   * The driver's client. Nobody but the pool may connect, close or duplicate it.
   */
  readonly client: IORedis
}

/** Sessions by the connection that borrowers hold, for as long as somebody holds it. */
const sessions = new WeakMap<Connection, Session>()

export const sessionOf = (connection: Connection): Session => sessions.get(connection)!

export const make = (session: Session): Connection => {
  const { client, id } = session.opened
  const connection: Connection = {
    id: id(),
    client,
    send: <A>(name: string, ...args: ReadonlyArray<Argument>) =>
      session.send(name, args, "at once") as Effect.Effect<A, RedisError>,
    transaction: (commands) => transaction(session, commands),
    subscribe: (topics) => subscribe(session, topics),
    use: (f) => session.use(f)
  }
  sessions.set(connection, session)
  return connection
}

const transaction = Effect.fnUntraced(function* (
  session: Session,
  commands: ReadonlyArray<Command>
): Effect.fn.Return<ReadonlyArray<unknown>, RedisError | WatchConflict> {
  const answers = yield* session.sendAll([["MULTI"], ...commands, ["EXEC"]])
  // What the server did not accept says more than that the transaction was given up for it.
  let executed: unknown = null
  for (const answer of answers) executed = yield* Effect.fromResult(answer)
  if (!Array.isArray(executed)) return yield* new WatchConflict()
  const values: ReadonlyArray<unknown> = executed
  const at = values.findIndex((value) => value instanceof Error)
  return at < 0 ? values : yield* Effect.fail(toRedisError(values[at], undefined, commands[at]?.[0]))
})

const subscribe = Effect.fnUntraced(function* (
  session: Session,
  { channels = [], patterns = [], shardChannels = [] }: Topics
): Effect.fn.Return<Queue.Dequeue<Message, RedisError>, RedisError, Scope.Scope> {
  const { client, lost } = session.opened
  const queue = yield* Queue.unbounded<Message, RedisError>()
  const subscribed = { channels: new Set(channels), patterns: new Set(patterns), shards: new Set(shardChannels) }
  const onMessage = (channel: string, message: string) => {
    if (subscribed.channels.has(channel)) Queue.offerUnsafe(queue, { channel, message })
  }
  const onShardMessage = (channel: string, message: string) => {
    if (subscribed.shards.has(channel)) Queue.offerUnsafe(queue, { channel, message })
  }
  const onPatternMessage = (pattern: string, channel: string, message: string) => {
    if (subscribed.patterns.has(pattern)) Queue.offerUnsafe(queue, { channel, message, pattern })
  }
  const onClose = () => {
    Queue.failCauseUnsafe(queue, Cause.fail(toRedisError(undefined, lost())))
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      client.on("message", onMessage).on("smessage", onShardMessage).on("pmessage", onPatternMessage)
      session.socket.once("close", onClose)
    }),
    () =>
      Effect.sync(() => {
        client.off("message", onMessage).off("smessage", onShardMessage).off("pmessage", onPatternMessage)
        session.socket.off("close", onClose)
        Queue.shutdownUnsafe(queue)
      })
  )
  const subscriptions: ReadonlyArray<Command> = [
    ["SUBSCRIBE", ...channels],
    ["PSUBSCRIBE", ...patterns],
    ["SSUBSCRIBE", ...shardChannels]
  ]
  yield* Effect.forEach(
    subscriptions.filter(({ length }) => length > 1),
    ([name, ...args]) => session.send(name, args, "at once"),
    { concurrency: "unbounded", discard: true }
  )
  return queue
})
