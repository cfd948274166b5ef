/**
 * Effect's `SqlClient` over a pool: statements borrow a connection for as long as they run, transactions and streams keep one.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import * as ConnectionPool from "../ConnectionPool.ts"
import type { AcquireError } from "../PoolError.ts"

/**
 * How statements are written and run on a driver's connection. The rest are options of Effect's `SqlClient.make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialect<in A> extends Omit<
  SqlClient.SqlClient.MakeOptions,
  "acquirer" | "borrower" | "transactionAcquirer"
> {
  /** The driver's connection as one of Effect's. Asked once for each connection. */
  readonly connection: (connection: A) => SqlConnection.Connection
}

/**
 * A pool's error as a `SqlError`, which keeps it as its cause.
 *
 * @category errors
 * @since 0.1.0
 */
export const toSqlError = (cause: AcquireError): SqlError =>
  new SqlError({ reason: new ConnectionError({ cause, message: cause.message, operation: "acquire" }) })

/**
 * A `SqlClient` whose connections come from the pool.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A extends object>(
  pool: ConnectionPool.ConnectionPool<A>,
  { connection, ...options }: Dialect<A>
): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> => {
  const known = new WeakMap<A, SqlConnection.Connection>()
  const adapted = (raw: A): SqlConnection.Connection => {
    const found = known.get(raw)
    if (found !== undefined) return found
    const made = connection(raw)
    known.set(raw, made)
    return made
  }
  const reserve = Effect.mapError(Effect.map(ConnectionPool.reserve(pool), adapted), toSqlError)
  return SqlClient.make({
    ...options,
    acquirer: reserve,
    transactionAcquirer: reserve,
    borrower: (f) =>
      Effect.catch(
        ConnectionPool.use(pool, (raw) => Effect.mapError(f(adapted(raw)), (error) => ({ error }))),
        (failure) => Effect.fail("error" in failure ? failure.error : toSqlError(failure))
      )
  })
}

/**
 * `SqlClient` over the pool that is in the context, such as one of `PoolLayer.Service`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, A extends object>(
  pool: Context.Key<Self, ConnectionPool.ConnectionPool<A>>,
  dialect: Dialect<A>
): Layer.Layer<SqlClient.SqlClient, never, Self> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.flatMap(pool, (found) => make(found, dialect))
  ).pipe(Layer.provide(Reactivity.layer))
