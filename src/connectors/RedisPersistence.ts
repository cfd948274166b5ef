/** Effect's own `Redis` service over a pool, for what is built on it: stores, caches, queues, rate limits. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as EffectRedis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Crypto from "node:crypto"
import * as ConnectionPool from "../ConnectionPool.ts"
import type { Connection } from "./RedisConnection.ts"
import { RedisError } from "./RedisError.ts"

type Service = EffectRedis.Redis["Service"]

const toEffectError = (cause: unknown): EffectRedis.RedisError => new EffectRedis.RedisError({ cause })

const sendOn =
  (connection: Connection): Service["send"] =>
  (command, ...args) =>
    Effect.mapError(connection.send(command, ...args), toEffectError)

const hashes = new WeakMap<object, string>()

/** What the server calls a script: known without asking it. */
const hashOf = (script: { readonly lua: string }): string => {
  const known = hashes.get(script)
  if (known !== undefined) return known
  const hash = Crypto.createHash("sha1").update(script.lua).digest("hex")
  hashes.set(script, hash)
  return hash
}

const isUnknownScript = ({ cause }: EffectRedis.RedisError): boolean =>
  cause instanceof RedisError && cause.code === "NOSCRIPT"

/** By its name, and by its text if the server does not know it: the first time, and after the server has forgotten it. */
const evalWith =
  (send: Service["send"]): Service["eval"] =>
  <Config extends { readonly params: ReadonlyArray<unknown>; readonly result: unknown }>(
    script: EffectRedis.Script<Config>
  ) =>
  (...params: Config["params"]) => {
    const args = [String(script.numberOfKeys(...params)), ...script.params(...params).map(String)]
    return Effect.catchIf(send<Config["result"]>("EVALSHA", hashOf(script), ...args), isUnknownScript, () =>
      send<Config["result"]>("EVAL", script.lua, ...args)
    )
  }

/**
 * Effect's `Redis` service whose connections come from the pool. Every command borrows one for as long as it runs; `reserve`
 * keeps one, and so does each subscription. A pool's error is the cause of the service's own error (`effect/persistence`'s, not this module's).
 *
 * See {@link layerPersistence} for an example.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makePersistence = (pool: ConnectionPool.ConnectionPool<Connection>): Service => {
  const send: Service["send"] = (command, ...args) =>
    Effect.mapError(
      ConnectionPool.use(pool, (connection) => connection.send(command, ...args)),
      toEffectError
    )
  return identity<Service>({
    send,
    eval: evalWith(send),
    reserve: Effect.map(Effect.mapError(ConnectionPool.acquire(pool), toEffectError), (connection) => {
      const sendHere = sendOn(connection)
      return { send: sendHere, eval: evalWith(sendHere) }
    }),
    subscribe: Effect.fnUntraced(function* (channel) {
      const queue = yield* Effect.acquireRelease(
        Queue.unbounded<EffectRedis.RedisMessage, EffectRedis.RedisError>(),
        Queue.shutdown
      )
      const fail = (error: unknown) => Queue.fail(queue, toEffectError(error))
      const subscription = Effect.gen(function* () {
        const connection = yield* ConnectionPool.acquire(pool)
        const messages = yield* connection.subscribe({ channels: [channel] })
        const forward = Effect.forever(Effect.flatMap(Queue.take(messages), (message) => Queue.offer(queue, message)))
        yield* Effect.forkScoped(Effect.catch(forward, fail))
      })
      // Whoever publishes after this must be heard.
      yield* Effect.catch(subscription, fail)
      return queue
    })
  })
}

/**
 * Effect's `Redis` service over the pool that is in the context, such as one of `PoolLayer.Service`.
 *
 * **Example** (Effect's rate limiter on a pool)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 * import { PoolConfig, PoolLayer } from "effect-pool"
 * import * as Redis from "effect-pool/Redis"
 *
 * class Cache extends PoolLayer.Service<Cache, Redis.Connection>()("app/Cache") {}
 *
 * const LimiterLive = RateLimiter.layer.pipe(
 *   Layer.provide(RateLimiter.layerStoreRedis()),
 *   Layer.provide(Redis.layerPersistence(Cache)),
 *   Layer.provide(Cache.layer(Redis.connector({ url: "redis://localhost:6379/0" }), PoolConfig.development))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const limiter = yield* RateLimiter.RateLimiter
 *   const { remaining } = yield* limiter.consume({ key: "ada", limit: 10, window: "1 minute" })
 *   return remaining < 10 // => true
 * }).pipe(Effect.provide(LimiterLive))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistence = <Self>(
  pool: Context.Key<Self, ConnectionPool.ConnectionPool<Connection>>
): Layer.Layer<EffectRedis.Redis, never, Self> => Layer.effect(EffectRedis.Redis, Effect.map(pool, makePersistence))
