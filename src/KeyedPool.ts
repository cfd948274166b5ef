/**
 * Pools by key, such as one for each tenant, host or credential, under one total limit: opened when a key is first used, closed
 * when it has not been for a while, and fair between keys, so that no tenant can starve the others.
 *
 * @since 0.1.0
 */
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as ConnectionPool from "./ConnectionPool.ts"
import type { Connector } from "./Connector.ts"
import * as PoolConfig from "./PoolConfig.ts"
import { type AcquireError, type ConfigProblem, PoolClosed, PoolConfigError } from "./PoolError.ts"
import { PoolStatus } from "./PoolStatus.ts"
import { Membership, SharedBudget } from "./runtime/SharedBudget.ts"

const TypeId = "~effect-pool/KeyedPool"

/** How many keys a status shows: whoever labels metrics with them must not have one series for every tenant there ever was. */
const keysShown = 20

/**
 * Nobody knows how to connect for this key.
 *
 * - `pool`: the name of the pools. `key`: the key, as `label` writes it.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownKey extends Schema.TaggedError<UnknownKey>("effect-pool/UnknownKey")("UnknownKey", {
  pool: Schema.String,
  key: Schema.String
}) {
  readonly code = "POOL_UNKNOWN_KEY"

  override get message(): string {
    return `[pool ${this.pool}] the connector function has none for the key ${JSON.stringify(this.key)}`
  }
}

/**
 * There are as many keys as are allowed, and each of them is in use.
 *
 * - `pool`: the name of the pools. `key`: the key for which there is no room. `keys`: how many are open. `maxKeys`: how many
 *   may be.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyKeys extends Schema.TaggedError<TooManyKeys>("effect-pool/TooManyKeys")("TooManyKeys", {
  pool: Schema.String,
  key: Schema.String,
  keys: Schema.Int,
  maxKeys: Schema.Int
}) {
  readonly code = "POOL_TOO_MANY_KEYS"

  override get message(): string {
    const { key, keys, maxKeys, pool } = this
    return (
      `[pool ${pool}] ${keys} of ${maxKeys} keys in use: no room for the key ${key}. ` +
      "A key can be closed only while nobody borrows with it: raise maxKeys, or look for borrowers that hold for too long."
    )
  }
}

/**
 * What borrowing with a key may fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type KeyedAcquireError = AcquireError | PoolConfigError | UnknownKey | TooManyKeys

/**
 * Pools of connections of type `A` by keys of type `K`.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyedPool<in out K, in out A> {
  readonly [TypeId]: { readonly _K: (_: K) => K; readonly _A: (_: A) => A }
  /** Names it in errors, logs and status. */
  readonly name: string
  /** The most connections of all keys together. */
  readonly maxConnections: number
  /** The most keys at a time. */
  readonly maxKeys: number
}

/**
 * How pools by key are made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<K, A, E = never, R = never> {
  /** Names it in errors, logs and status; the pool of a key is called `name/key`. */
  readonly name: string
  /** How to connect for a key; nothing for a key that is not known. */
  readonly connector: (key: K) => Connector<A, E, R> | undefined
  /** The most connections of all keys together. */
  readonly maxConnections: number
  /**
   * The configuration of each key's pool. Here a pool opens nothing ahead of need unless `minConnections` is given, and may have all
   * connections that the others do not need unless `maxConnections` is.
   */
  readonly config?: PoolConfig.Input | undefined
  /** The most keys at a time. Default: 1000. Of those that nobody uses, the one used last longest ago makes room for another. */
  readonly maxKeys?: number | undefined
  /** After so long without a borrower the pool of a key is closed. Default: 5 minutes. */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** A key in words, for errors, logs and status. It must not show a secret. Default: `String(key)`. */
  readonly label?: ((key: K) => string) | undefined
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * What all keys together look like at one moment, and the busiest of them: those with most connections and waiters, 20 at most.
 *
 * - `name`: that of the pools. `keys`: those that are open now, of `maxKeys`.
 * - `total`: connections of all keys in every state, of `maxConnections`; of these `inUse` and `idle`. `waiting`: those who
 *   wait.
 * - `opened`, `closed`: pools that were opened and closed, keys that came again counted again.
 * - `busiest`: those keys, each with the `PoolStatus` of its pool.
 *
 * @category models
 * @since 0.1.0
 */
export class KeyedPoolStatus extends Schema.Class<KeyedPoolStatus>("effect-pool/KeyedPoolStatus")({
  name: Schema.String,
  keys: Count,
  maxKeys: Count,
  maxConnections: Count,
  total: Count,
  inUse: Count,
  idle: Count,
  waiting: Count,
  /** Pools that were opened and closed, keys that came again counted again. */
  opened: Count,
  closed: Count,
  busiest: Schema.Array(Schema.Struct({ key: Schema.String, status: PoolStatus }))
}) {}

interface Entry<A> {
  readonly label: string
  readonly pool: ConnectionPool.ConnectionPool<A>
  readonly scope: Scope.Closeable
  /** Those who hold and those who wait. */
  users: number
  usedAt: number
}

interface KeyedPoolImpl<in out K, in out A> extends KeyedPool<K, A> {
  readonly enter: (key: K) => Effect.Effect<Entry<A>, PoolConfigError | PoolClosed | UnknownKey | TooManyKeys>
  readonly leave: (entry: Entry<A>) => Effect.Effect<void>
  readonly close: (key: K) => Effect.Effect<void>
  readonly status: Effect.Effect<KeyedPoolStatus>
}

const implOf = <K, A>(pool: KeyedPool<K, A>): KeyedPoolImpl<K, A> => pool as KeyedPoolImpl<K, A>

/**
 * Makes pools by key that live as long as the surrounding scope. Nothing is opened before a key is used.
 *
 * Fails with one `PoolConfigError` that names every wrong option.
 *
 * **Example** (A pool for each tenant)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector, KeyedPool } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const tenants = yield* KeyedPool.make({
 *     name: "tenants",
 *     maxConnections: 20,
 *     connector: (tenant: string) =>
 *       tenant.startsWith("t-") ? Connector.make({ name: tenant, connect: Effect.succeed({ tenant }) }) : undefined
 *   })
 *   const one = yield* KeyedPool.use(tenants, "t-1", ({ tenant }) => Effect.succeed(tenant))
 *   const other = yield* Effect.flip(KeyedPool.use(tenants, "nobody", () => Effect.void))
 *   return [one, other._tag] // => ["t-1", "UnknownKey"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fn("KeyedPool.make")(function* <K, A, E = never, R = never>(
  options: Options<K, A, E, R>
): Effect.fn.Return<KeyedPool<K, A>, PoolConfigError, R | Scope.Scope> {
  const { label = String, maxConnections, maxKeys = 1000, name } = options
  const config: PoolConfig.Input = { minConnections: 0, maxConnections, startup: "background", ...options.config }
  const { minConnections = 0 } = config
  const idleTimeToLive = yield* checkOptions(options, config, minConnections)
  const surroundings = yield* Effect.context<R>()
  const clock = yield* Clock
  const scope = yield* Effect.scope
  const budget = new SharedBudget(maxConnections)
  const entries = MutableHashMap.empty<K, Entry<A>>()
  // One at a time: of two who come first with the same key, the second finds the pool of the first.
  const opening = Semaphore.makeUnsafe(1)
  const now = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000
  let opened = 0
  let closed = 0

  const open = Effect.fnUntraced(function* (key: K, text: string) {
    const connector = options.connector(key)
    if (connector === undefined) return yield* new UnknownKey({ pool: name, key: text })
    if (MutableHashMap.size(entries) >= maxKeys) yield* closeOldest(text)
    const keyScope = yield* Scope.fork(scope)
    const making = ConnectionPool.make(connector, { ...config, name: `${name}/${text}` }).pipe(
      Effect.provideService(Membership, { budget, floor: minConnections }),
      Effect.provideContext(Context.add(surroundings, Scope.Scope, keyScope)),
      // It fails in no other way, since it does not wait for a connection.
      Effect.catchTag("ConnectError", Effect.die),
      Effect.onError((cause) => Scope.close(keyScope, Exit.failCause(cause)))
    )
    // That nothing is left is beyond the checker, since it cannot know what `R` is.
    const pool = yield* making as Effect.Effect<ConnectionPool.ConnectionPool<A>, PoolConfigError>
    const entry: Entry<A> = { label: text, pool, scope: keyScope, users: 0, usedAt: now() }
    MutableHashMap.set(entries, key, entry)
    opened++
    return entry
  })

  /** Closes a pool that nobody uses. It is out of reach first: whoever comes meanwhile opens another one. */
  const close = (key: K, entry: Entry<A>): Effect.Effect<void> =>
    Effect.suspend(() => {
      MutableHashMap.remove(entries, key)
      closed++
      return Scope.close(entry.scope, Exit.void)
    })

  const closeOldest = Effect.fnUntraced(function* (text: string) {
    let oldest: readonly [K, Entry<A>] | undefined = undefined
    for (const [key, entry] of entries) {
      if (entry.users === 0 && (oldest === undefined || entry.usedAt < oldest[1].usedAt)) oldest = [key, entry]
    }
    const keys = MutableHashMap.size(entries)
    if (oldest === undefined) return yield* new TooManyKeys({ pool: name, key: text, keys, maxKeys })
    // Not waited for: the budget counts its connections until they have closed.
    yield* Effect.forkIn(close(...oldest), scope, { startImmediately: true })
  })

  const closeIdle = Effect.suspend(() => {
    const since = now() - idleTimeToLive
    const idle = Array.from(entries).filter(([, { usedAt, users }]) => users === 0 && usedAt <= since)
    return Effect.forEach(idle, ([key, entry]) => close(key, entry), { concurrency: "unbounded", discard: true })
  })

  if (Number.isFinite(idleTimeToLive)) {
    yield* Effect.forkIn(Effect.repeat(closeIdle, Schedule.spaced(Math.max(1, idleTimeToLive / 4))), scope)
  }

  type Entering = Effect.Effect<Entry<A>, PoolConfigError | PoolClosed | UnknownKey | TooManyKeys>
  const enter = (key: K): Entering =>
    Effect.suspend((): Entering => {
      if (scope.state._tag === "Closed") return Effect.fail(new PoolClosed({ pool: name }))
      const found = MutableHashMap.get(entries, key)
      if (Option.isSome(found)) return Effect.succeed(found.value)
      return opening.withPermit(
        Effect.suspend(() => {
          const found = MutableHashMap.get(entries, key)
          return Option.isSome(found) ? Effect.succeed(found.value) : open(key, label(key))
        })
      )
    }).pipe(
      Effect.map((entry) => {
        entry.users++
        return entry
      })
    )

  const pool: KeyedPoolImpl<K, A> = {
    [TypeId]: { _K: (_) => _, _A: (_) => _ },
    name,
    maxConnections,
    maxKeys,
    enter,
    leave: (entry) =>
      Effect.sync(() => {
        entry.users--
        entry.usedAt = now()
      }),
    close: (key) =>
      Effect.suspend(() => {
        const found = MutableHashMap.get(entries, key)
        return Option.isSome(found) ? close(key, found.value) : Effect.void
      }),
    status: Effect.suspend(() =>
      Effect.map(
        Effect.forEach(Array.from(MutableHashMap.values(entries)), ({ label, pool }) =>
          Effect.map(ConnectionPool.status(pool), (status) => ({ key: label, status }))
        ),
        (pools) =>
          new KeyedPoolStatus({
            name,
            keys: pools.length,
            maxKeys,
            maxConnections,
            total: budget.held,
            inUse: sumOf(pools, "inUse"),
            idle: sumOf(pools, "idle"),
            waiting: sumOf(pools, "waiting"),
            opened,
            closed,
            busiest: pools.toSorted((one, other) => load(other.status) - load(one.status)).slice(0, keysShown)
          })
      )
    )
  }
  return pool
})

const load = ({ total, waiting }: PoolStatus): number => total + waiting

const sumOf = (pools: ReadonlyArray<{ readonly status: PoolStatus }>, count: "inUse" | "idle" | "waiting"): number =>
  pools.reduce((sum, { status }) => sum + status[count], 0)

/** Everything that is wrong with the options, and the time to live in milliseconds. */
const checkOptions = Effect.fnUntraced(function* (
  options: Pick<Options<never, never>, "maxConnections" | "maxKeys" | "idleTimeToLive">,
  config: PoolConfig.Input,
  minConnections: number
) {
  const problems: Array<ConfigProblem> = []
  const wholeNumber = (field: string, value: number) => {
    if (!Number.isInteger(value) || value < 1) {
      problems.push({ field, value: String(value), expected: "a whole number, at least 1" })
    }
  }
  wholeNumber("maxConnections", options.maxConnections)
  wholeNumber("maxKeys", options.maxKeys ?? 1000)
  const timeToLive = Option.filter(Duration.fromInput(options.idleTimeToLive ?? "5 minutes"), (duration) =>
    Duration.isGreaterThan(duration, Duration.zero)
  )
  if (Option.isNone(timeToLive)) {
    const value = JSON.stringify(options.idleTimeToLive)
    problems.push({ field: "idleTimeToLive", value, expected: "a duration above zero" })
  }
  const reserved = minConnections * (options.maxKeys ?? 1000)
  if (minConnections > 0 && reserved > options.maxConnections) {
    problems.push({
      field: "config.minConnections",
      value: String(minConnections),
      expected: `so few that ${options.maxKeys ?? 1000} keys have no more than maxConnections (${options.maxConnections})`
    })
  }
  const checked = yield* Effect.result(PoolConfig.make(config))
  if (checked._tag === "Failure") {
    for (const problem of checked.failure.problems) problems.push({ ...problem, field: `config.${problem.field}` })
  }
  if (problems.length > 0) return yield* new PoolConfigError({ problems })
  return Duration.toMillis(Option.getOrThrow(timeToLive))
})

/**
 * Borrows a connection of a key while an effect runs. The key's pool is opened if there is none.
 *
 * Fails like `ConnectionPool.use`, with `UnknownKey`, with `TooManyKeys` when every key that is open is in use, and with
 * `PoolConfigError` if the key's connector is misconfigured.
 *
 * See {@link make} for an example.
 *
 * @category borrowing
 * @since 0.1.0
 */
export const use: {
  <K, A, B, E, R>(
    key: K,
    f: (connection: A) => Effect.Effect<B, E, R>
  ): (pool: KeyedPool<K, A>) => Effect.Effect<B, E | KeyedAcquireError, R>
  <K, A, B, E, R>(
    pool: KeyedPool<K, A>,
    key: K,
    f: (connection: A) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E | KeyedAcquireError, R>
} = dual(
  3,
  <K, A, B, E, R>(
    pool: KeyedPool<K, A>,
    key: K,
    f: (connection: A) => Effect.Effect<B, E, R>
  ): Effect.Effect<B, E | KeyedAcquireError, R> => {
    const { enter, leave } = implOf(pool)
    return Effect.acquireUseRelease(enter(key), (entry) => ConnectionPool.use(entry.pool, f), leave)
  }
)

/**
 * Borrows a connection of a key until the surrounding scope closes. Fails like {@link use}.
 *
 * See {@link make} for an example with `use`.
 *
 * @category borrowing
 * @since 0.1.0
 */
export const acquire: {
  <K>(key: K): <A>(pool: KeyedPool<K, A>) => Effect.Effect<A, KeyedAcquireError, Scope.Scope>
  <K, A>(pool: KeyedPool<K, A>, key: K): Effect.Effect<A, KeyedAcquireError, Scope.Scope>
} = dual(2, <K, A>(pool: KeyedPool<K, A>, key: K): Effect.Effect<A, KeyedAcquireError, Scope.Scope> => {
  const { enter, leave } = implOf(pool)
  return Effect.flatMap(Effect.acquireRelease(enter(key), leave), (entry) => ConnectionPool.acquire(entry.pool))
})

/**
 * Closes the pool of a key, as when its credentials have been revoked: its waiters fail with `PoolClosed`, its borrowers may finish for
 * `drainTimeout`. Whoever comes next opens a new one. A key that has no pool changes nothing.
 *
 * **Example** (A tenant whose credentials were revoked)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Connector, KeyedPool } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const tenants = yield* KeyedPool.make({
 *     name: "tenants",
 *     maxConnections: 20,
 *     connector: (tenant: string) => Connector.make({ name: tenant, connect: Effect.succeed(tenant) })
 *   })
 *   yield* KeyedPool.use(tenants, "t-1", () => Effect.void)
 *   const before = yield* KeyedPool.status(tenants)
 *   yield* KeyedPool.close(tenants, "t-1")
 *   const after = yield* KeyedPool.status(tenants)
 *   return [before.keys, after.keys] // => [1, 0]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category operating
 * @since 0.1.0
 */
export const close: {
  <K>(key: K): <A>(pool: KeyedPool<K, A>) => Effect.Effect<void>
  <K, A>(pool: KeyedPool<K, A>, key: K): Effect.Effect<void>
} = dual(2, <K, A>(pool: KeyedPool<K, A>, key: K): Effect.Effect<void> => implOf(pool).close(key))

/**
 * What all keys together look like now, and the busiest of them. Never acquires; O(number of keys).
 *
 * See {@link close} for an example.
 *
 * @category observing
 * @since 0.1.0
 */
export const status = <K, A>(pool: KeyedPool<K, A>): Effect.Effect<KeyedPoolStatus> => implOf(pool).status
