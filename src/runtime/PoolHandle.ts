import type { ConnectionPool } from "../ConnectionPool.ts"
import type { PoolRuntime } from "./PoolRuntime.ts"

/** What is behind a pool: for the modules beside this one that read it. Users get no further than the pool itself. */
export const runtimeOf = <A>(pool: ConnectionPool<A>): PoolRuntime<A> =>
  (pool as ConnectionPool<A> & { readonly runtime: PoolRuntime<A> }).runtime
