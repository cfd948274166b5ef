/** Effect's `SqlClient` over connections to SQLite: over one pool, and over a pool of readers beside that of the writer. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type { Scope } from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import * as ConnectionPool from "../ConnectionPool.ts"
import * as Sql from "./Sql.ts"
import { isReadOnlyRefusal } from "./SqliteError.ts"
import { type Reader, Session, type Writer } from "./SqliteSession.ts"
import { looksLikeReading, verbOf } from "./SqliteStatement.ts"

type Transform = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
type Params = ReadonlyArray<unknown>

/** A session as Effect's clients see it. */
class SessionConnection implements Connection {
  readonly session: Session

  constructor(session: Session) {
    this.session = session
  }

  execute(sql: string, params: Params, transformRows: Transform) {
    // Whoever waits to begin a transaction is not in one yet, and can be interrupted, although its client would not have it.
    const rows =
      verbOf(sql) === "begin" ? Effect.interruptible(this.session.query(sql, params)) : this.session.query(sql, params)
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }

  executeUnprepared(sql: string, params: Params, transformRows: Transform) {
    return this.execute(sql, params, transformRows)
  }

  executeRaw(sql: string, params: Params): Effect.Effect<unknown, SqlError> {
    return this.session.rowsOrChanges(sql, params)
  }

  executeValues(sql: string, params: Params) {
    return this.session.queryValues(sql, params)
  }

  executeValuesUnprepared(sql: string, params: Params) {
    return this.session.queryValues(sql, params)
  }

  executeStream(sql: string, params: Params, transformRows: Transform) {
    const rows = this.session.stream(sql, params)
    return transformRows === undefined ? rows : Stream.mapArray(rows, (chunk) => transformRows(chunk) as typeof chunk)
  }
}

/** What the connectors of this module lend are sessions, whatever they are called. */
const adapt = (connection: Reader): Connection => new SessionConnection(connection as Session)

/**
 * How SQLite's statements are written and run, for `Sql.layer`. Transactions begin `IMMEDIATE`: one that begins by reading and
 * then writes is refused when somebody else has written in between.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dialect: Sql.Dialect<Reader> = {
  connection: adapt,
  driver: "effect-pool-sqlite",
  compiler: Statement.makeCompilerSqlite(),
  spanAttributes: [["db.system.name", "sqlite"]],
  beginTransaction: "begin immediate",
  releaseSavepoint: (name) => `release savepoint ${name}`,
  isTransaction: (connection) => !(connection instanceof SessionConnection) || connection.session.inTransaction
}

/** Sends what only reads to the readers, and everything else to the writer. */
class RoutedConnection implements Connection {
  private readonly readers: ConnectionPool.ConnectionPool<Reader>
  private readonly writer: ConnectionPool.ConnectionPool<Writer>

  constructor(readers: ConnectionPool.ConnectionPool<Reader>, writer: ConnectionPool.ConnectionPool<Writer>) {
    this.readers = readers
    this.writer = writer
  }

  execute(sql: string, params: Params, transformRows: Transform) {
    return this.route(sql, (connection) => connection.execute(sql, params, transformRows))
  }

  executeUnprepared(sql: string, params: Params, transformRows: Transform) {
    return this.execute(sql, params, transformRows)
  }

  executeRaw(sql: string, params: Params) {
    return this.route(sql, (connection) => connection.executeRaw(sql, params))
  }

  executeValues(sql: string, params: Params) {
    return this.route(sql, (connection) => connection.executeValues(sql, params))
  }

  executeValuesUnprepared(sql: string, params: Params) {
    return this.executeValues(sql, params)
  }

  executeStream(sql: string, params: Params, transformRows: Transform) {
    const on = <A extends Reader>(pool: ConnectionPool.ConnectionPool<A>) =>
      Stream.unwrap(Effect.map(leasing(pool), (connection) => connection.executeStream(sql, params, transformRows)))
    if (!looksLikeReading(sql)) return on(this.writer)
    return Stream.catchIf(on(this.readers), isReadOnlyRefusal, () => on(this.writer))
  }

  /** SQLite has the last word: a read-only connection refuses what writes before it does anything. */
  private route<X>(sql: string, f: (connection: Connection) => Effect.Effect<X, SqlError>): Effect.Effect<X, SqlError> {
    const onWriter = borrowing(this.writer, f)
    return looksLikeReading(sql)
      ? Effect.catchIf(borrowing(this.readers, f), isReadOnlyRefusal, () => onWriter)
      : onWriter
  }
}

const leasing = <A extends Reader>(
  pool: ConnectionPool.ConnectionPool<A>
): Effect.Effect<Connection, SqlError, Scope> =>
  Effect.mapError(Effect.map(ConnectionPool.acquire(pool), adapt), Sql.toSqlError)

const borrowing = <A extends Reader, X>(
  pool: ConnectionPool.ConnectionPool<A>,
  f: (connection: Connection) => Effect.Effect<X, SqlError>
): Effect.Effect<X, SqlError> =>
  // The pool sees the statement's own error, and knows by it whether the connection is of any more use.
  Effect.mapError(
    ConnectionPool.use(pool, (lent) => f(adapt(lent))),
    (error) => (isSqlError(error) ? error : Sql.toSqlError(error))
  )

/**
 * Effect's `SqlClient` over the pools of {@link pools}, `read` and `write`. Transactions run on the writer. Outside of them a statement
 * that begins with `select`, `values`, `with` or `explain` runs on a reader, and every other one on the writer. If the reader refuses,
 * since the statement writes after all, the writer runs it. What has been committed is seen by the next read.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSqlClientFrom = <R, W>(
  pools: {
    readonly read: Context.Key<R, ConnectionPool.ConnectionPool<Reader>>
    readonly write: Context.Key<W, ConnectionPool.ConnectionPool<Writer>>
  },
  options: Sql.Dialect<Reader> = dialect
): Layer.Layer<SqlClient.SqlClient, never, R | W> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function* () {
      const writer = yield* pools.write
      const routed = new RoutedConnection(yield* pools.read, writer)
      const { connection, ...rest } = options
      return yield* SqlClient.make({
        ...rest,
        acquirer: Effect.succeed(routed),
        borrower: (f) => f(routed),
        transactionAcquirer: Effect.mapError(Effect.map(ConnectionPool.reserve(writer), connection), Sql.toSqlError)
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))
