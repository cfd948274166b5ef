/**
 * The pools of a process: what metrics, status and console show. Every pool is in it from its beginning to its end, without
 * anybody's doing.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type { ConnectionPool } from "./ConnectionPool.ts"

/**
 * A pool and the name it goes by: its own, with a number behind it where another one has that already.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  /** The name it goes by in the registry. */
  readonly key: string
  /** The pool. */
  readonly pool: ConnectionPool<unknown>
}

/**
 * The pools that have not ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoolRegistry {
  /** In the order in which they were made. */
  readonly entries: () => ReadonlyArray<Entry>
  /** The pool that goes by this name; nothing if there is none. */
  readonly get: (key: string) => ConnectionPool<unknown> | undefined
  /** Puts a pool in; whoever does calls the answer when the pool has ended. Done by `ConnectionPool.make`. */
  readonly add: (pool: ConnectionPool<unknown>) => () => void
  /** Tells of each pool that comes and goes from now on, and first of those that are there. The answer ends it. */
  readonly subscribe: (listener: Listener) => () => void
}

/**
 * Whoever wants to know of pools that come and go; see {@link PoolRegistry}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listener {
  /** A pool was made, or was there already. */
  readonly added: (entry: Entry) => void
  /** A pool has ended. */
  readonly removed: (entry: Entry) => void
}

/**
 * A registry of its own, for a test or for a part of a program that shows its pools apart.
 *
 * **Example** (Pools that nobody else sees)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConnectionPool, Connector, PoolRegistry } from "effect-pool"
 *
 * const program = Effect.gen(function* () {
 *   const registry = PoolRegistry.make()
 *   const connector = Connector.make({ name: "orders", connect: Effect.succeed("connection") })
 *   yield* ConnectionPool.make(connector).pipe(Effect.provideService(PoolRegistry.PoolRegistry, registry))
 *   return registry.entries().map(({ key }) => key) // => ["orders"]
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): PoolRegistry => {
  const pools = new Map<string, Entry>()
  const listeners = new Set<Listener>()
  return {
    entries: () => Array.from(pools.values()),
    get: (key) => pools.get(key)?.pool,
    add: (pool) => {
      const entry = { key: freeKey(pools, pool.name), pool }
      pools.set(entry.key, entry)
      for (const listener of listeners) listener.added(entry)
      return () => {
        if (pools.get(entry.key) !== entry) return
        pools.delete(entry.key)
        for (const listener of listeners) listener.removed(entry)
      }
    },
    subscribe: (listener) => {
      listeners.add(listener)
      for (const entry of pools.values()) listener.added(entry)
      return () => {
        listeners.delete(listener)
      }
    }
  }
}

const freeKey = (pools: ReadonlyMap<string, unknown>, name: string): string => {
  let key = name
  for (let number = 2; pools.has(key); number++) key = `${name}~${number}`
  return key
}

/**
 * Where pools are put when they are made. Default: one for the process.
 *
 * @category references
 * @since 0.1.0
 */
export const PoolRegistry: Context.Reference<PoolRegistry> = Context.Reference("effect-pool/PoolRegistry", {
  defaultValue: make
})
