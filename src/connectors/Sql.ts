/**
 * Effect's `SqlClient` over a pool: statements borrow a connection for as long as they run, transactions and streams keep one.
 *
 * @since 0.1.0
 */
import { Clock } from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { ConnectionError, DeadlockError, SqlError, UnknownError } from "effect/sql/SqlError"
import * as ConnectionPool from "../ConnectionPool.ts"
import {
  type AcquireError,
  AcquireTimeout,
  PoolClosed,
  PoolDeadlock,
  PoolOverloaded,
  ServiceUnavailable
} from "../PoolError.ts"
import { Reserved, Timed } from "./SqlConnections.ts"
import { type Cancel as CancelStatement, Deadlines } from "./SqlDeadlines.ts"

/**
 * Tells the server to end what a connection is doing, on another way than the busy connection. `ended` completes when the statement
 * has; what does not end must be ended by force, so that this completes in any case.
 *
 * @category models
 * @since 0.1.0
 */
export type Cancel<in A> = CancelStatement<A>

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
  /** The same for a connection that is reserved, if the driver has a way to keep everyone else off it. Asked for each lease. */
  readonly reserved?: ((connection: A) => Effect.Effect<SqlConnection.Connection, never, Scope.Scope>) | undefined
  /**
   * How a statement is ended that takes longer than the pool's `queryTimeout`: tells the server, on another way than the busy
   * connection. Its second parameter, `ended`, completes when the statement has ended; one that does not end must be ended by force.
   *
   * - `"interrupt"`: the driver does so by itself when its statement's fiber is interrupted, which costs each statement a fiber.
   * - nothing (default): the driver cannot. The statement is interrupted, and its connection discarded.
   */
  readonly cancel?: Cancel<A> | "interrupt" | undefined
}

/**
 * A pool's error as a `SqlError`, which keeps it as its cause. Another try may help (`isRetryable`), except where the pool is closed
 * or the acquire was forbidden.
 *
 * **Example** (Whether another try may help)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PoolError } from "effect-pool"
 * import * as Sql from "effect-pool/Sql"
 *
 * const program = Effect.sync(() => Sql.toSqlError(new PoolError.PoolClosed({ pool: "orders" })).isRetryable) // => false
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const toSqlError = (cause: AcquireError): SqlError => {
  const props = { cause, message: cause.message, operation: "acquire" }
  if (cause instanceof PoolDeadlock && !cause.isForbidden) return new SqlError({ reason: new DeadlockError(props) })
  const isFinal = cause instanceof PoolClosed || cause instanceof PoolDeadlock
  return new SqlError({ reason: isFinal ? new UnknownError(props) : new ConnectionError(props) })
}

const isAcquireError = (error: unknown): error is AcquireError =>
  error instanceof AcquireTimeout ||
  error instanceof ServiceUnavailable ||
  error instanceof PoolOverloaded ||
  error instanceof PoolClosed ||
  error instanceof PoolDeadlock

/**
 * The error of a commit whose answer never came. A retry could do everything twice, so it is not marked as one that helps.
 */
const unlessLost = (error: SqlError): SqlError => {
  const isLost = error.reason._tag === "ConnectionError" || causeTag(error) === "ConnectionError"
  if (!isLost) return error
  const message = "the connection was lost during COMMIT: whether the transaction was committed is not known"
  return new SqlError({ reason: new UnknownError({ cause: error, message, operation: "commit" }) })
}

/** What a statement that ran out of time failed with. */
const causeTag = ({ reason }: SqlError): string | undefined =>
  reason.cause instanceof SqlError ? reason.cause.reason._tag : undefined

let clients = 0

/** A transaction of one client: another client's statements do not run in it. */
const transactionKey = (): Context.Service<SqlClient.TransactionConnection, SqlClient.TransactionConnection.Service> =>
  Context.Service(`effect-pool/Sql/Transaction/${++clients}`)

/**
 * A `SqlClient` whose connections come from the pool.
 *
 * - A statement borrows a connection while it runs. A stream, a transaction and `reserve` have one for themselves.
 * - A transaction in a transaction is a savepoint on the same connection.
 * - A statement that takes longer than the pool's `queryTimeout` is cancelled, and fails with a `StatementTimeoutError`. A stream may
 *   last as long as its reader likes.
 * - The pool's own errors arrive as `SqlError`, see {@link toSqlError}.
 * - No statement of a transaction runs after its end, whichever fiber it comes from. One whose rollback fails has its connection
 *   discarded. A commit whose answer never came is not retryable: it may have been done.
 *
 * See {@link layer} for an example.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* <A extends object>(
  pool: ConnectionPool.ConnectionPool<A>,
  dialect: Dialect<A>
): Effect.fn.Return<SqlClient.SqlClient, never, Reactivity.Reactivity | Scope.Scope> {
  const { cancel, connection, reserved, ...options } = dialect
  const deadlines = new Deadlines<A>(
    pool.config.queryTimeout,
    cancel === "interrupt" ? undefined : cancel,
    cancel === "interrupt" ? undefined : (raw) => ConnectionPool.invalidate(pool, raw),
    yield* Clock
  )
  yield* deadlines.watch

  const known = new WeakMap<A, Timed<A>>()
  const timed = (raw: A): Timed<A> => {
    const found = known.get(raw)
    if (found !== undefined) return found
    const made = new Timed(raw, connection(raw), deadlines)
    known.set(raw, made)
    return made
  }
  const own = (raw: A): Effect.Effect<Timed<A>, never, Scope.Scope> =>
    reserved === undefined
      ? Effect.succeed(timed(raw))
      : Effect.map(reserved(raw), (connection) => new Timed(raw, connection, deadlines))
  const reserve: Effect.Effect<Reserved, SqlError, Scope.Scope> = Effect.flatMap(
    Effect.mapError(ConnectionPool.reserve(pool), toSqlError),
    (raw) =>
      Effect.flatMap(own(raw), (connection) =>
        Effect.contextWith((context: Context.Context<never>) => {
          const mine = new Reserved(connection, ConnectionPool.invalidate(pool, raw), context)
          return Effect.as(
            Effect.addFinalizer(() => mine.giveBack),
            mine
          )
        })
      )
  )
  const transactionService = options.transactionService ?? transactionKey()
  const client = yield* SqlClient.make({
    ...options,
    transactionService,
    acquirer: reserve,
    borrower: (f) =>
      Effect.mapError(
        ConnectionPool.use(pool, (raw) => f(timed(raw))),
        (error) => (isAcquireError(error) ? toSqlError(error) : error)
      )
  })
  return Object.assign(client, { withTransaction: transactions(options, transactionService, reserve) })
})

type Control = (connection: Reserved, sql: string) => Effect.Effect<unknown, SqlError>

/**
 * Effect's own transactions die when a rollback fails, as it does on every connection that was killed, and let through what other
 * fibers send after the end.
 */
const transactions = (
  options: Omit<Dialect<never>, "connection" | "reserved" | "cancel">,
  service: Context.Service<SqlClient.TransactionConnection, SqlClient.TransactionConnection.Service>,
  reserve: Effect.Effect<Reserved, SqlError, Scope.Scope>
): SqlClient.SqlClient["withTransaction"] => {
  const {
    beginTransaction = "BEGIN",
    commit = "COMMIT",
    isTransaction,
    onCommitFailure,
    prepareTransactionControls = false,
    releaseSavepoint,
    rollback = "ROLLBACK",
    rollbackSavepoint = (name: string) => `ROLLBACK TO SAVEPOINT ${name}`,
    savepoint = (name: string) => `SAVEPOINT ${name}`
  } = options
  const control: Control = ({ control }, sql) =>
    prepareTransactionControls ? control.execute(sql, [], undefined) : control.executeUnprepared(sql, [], undefined)
  /** There is nothing to undo where the driver says that there is no transaction, or where an earlier rollback failed. */
  const hasNone = (connection: Reserved) => connection.isLost || isTransaction?.(connection.control.inner) === false
  const undo = (connection: Reserved, sql: string) =>
    Effect.suspend(() => (hasNone(connection) ? Effect.void : connection.undo(control(connection, sql))))
  const name = (id: number) => `effect_sql_${id}`
  const withTransaction = SqlClient.makeWithTransaction({
    // Whatever is in there was put there by what follows.
    transactionService: service as unknown as Context.Key<SqlClient.TransactionConnection, readonly [Reserved, number]>,
    spanAttributes: options.spanAttributes,
    acquireConnection: (restore) => restore(reserve),
    begin: (connection, statement) =>
      Effect.asVoid(
        statement === undefined
          ? control(connection, beginTransaction)
          : connection.control.executeUnprepared(statement, [], undefined)
      ),
    savepoint: (connection, id) => Effect.asVoid(control(connection, savepoint(name(id)))),
    releaseSavepoint:
      releaseSavepoint &&
      // Where it is not there any more, something has ended the transaction.
      ((connection, id) => undo(connection, releaseSavepoint(name(id)))),
    commit: (connection) =>
      connection.commit(
        Effect.mapError(
          Effect.asVoid(
            typeof commit === "string"
              ? control(connection, commit)
              : connection.control.run(commit(connection.control.inner))
          ),
          unlessLost
        )
      ),
    onCommitFailure:
      // It fails where the connection is lost, and the commit's own error is the one to be seen.
      onCommitFailure &&
      ((connection) => connection.undo(connection.control.run(onCommitFailure(connection.control.inner)))),
    rollback: (connection) => connection.end(undo(connection, rollback)),
    rollbackSavepoint: (connection, id) => undo(connection, rollbackSavepoint(name(id)))
  })
  return (effect) => withTransaction(asHolder(service, effect))
}

/**
 * The body of a transaction runs with the services from before it got its connection. The pool's note that it holds one, by which a
 * deadlock is seen at once, would be lost.
 */
const asHolder = <B, E, R>(
  service: Context.Service<SqlClient.TransactionConnection, SqlClient.TransactionConnection.Service>,
  body: Effect.Effect<B, E, R>
): Effect.Effect<B, E, R> =>
  Effect.updateContext(body, (context: Context.Context<R>) => {
    const [connection, depth] = Context.getOrUndefined(context, service) ?? []
    if (depth !== 0 || !(connection instanceof Reserved)) return context
    return Context.merge(Context.omit(Scope.Scope)(connection.context), context)
  })

/**
 * Provides `SqlClient` over the pool that is in the context, such as one of `PoolLayer.Service`.
 *
 * **Example** (Statements over a pool that is a service)
 *
 * ```ts
 * import type { PgConnection } from "@effect/sql-pg/PgConnection"
 * import { Effect, Layer } from "effect"
 * import { PoolLayer } from "effect-pool"
 * import * as Postgres from "effect-pool/Postgres"
 * import * as Sql from "effect-pool/Sql"
 * import { SqlClient } from "effect/sql"
 *
 * class Db extends PoolLayer.Service<Db, PgConnection>()("app/Db") {}
 *
 * const SqlLive = Sql.layer(Db, Postgres.dialect).pipe(
 *   Layer.provide(Db.layer(Postgres.connector({ url: "postgres://app@localhost/app" })))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`select customer from orders where id = ${7}` // => [{ customer: "Ada" }]
 * }).pipe(Effect.provide(SqlLive))
 * ```
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
