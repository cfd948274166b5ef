/** How Effect's `SqlClient` writes statements for MySQL and MariaDB, and runs them on a session. */
import * as Effect from "effect/Effect"
import type * as SqlConnection from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import type * as Driver from "./MySqlDriver.ts"
import { type MySqlConnection, rowsOf, sessionOf } from "./MySqlConnection.ts"
import { run } from "./MySqlRun.ts"
import { isInTransaction, type Session } from "./MySqlSession.ts"
import { stream } from "./MySqlStream.ts"
import type { Dialect } from "./Sql.ts"

/**
 * How names are written, and what spans say.
 *
 * @category models
 * @since 0.1.0
 */
export interface DialectOptions {
  /** From the names of a program to those of the database, such as `String.camelToSnake`. Default: as they are. */
  readonly transformQueryNames?: ((name: string) => string) | undefined
  /** From the names of the database to those of the program. Default: as they are. */
  readonly transformResultNames?: ((name: string) => string) | undefined
  /** Attributes of every span of a statement. Default: none of your own. */
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
}

/** A dot in a name separates a table from its column. */
const escape = Statement.defaultEscape("`")

/**
 * The table of new values of `sql.updateValues`, as a query: neither server takes the names of columns after the alias in all of
 * the versions in use.
 */
const valuesTable = (columns: string, values: ReadonlyArray<ReadonlyArray<unknown>>): string => {
  const names = columns.slice(1, -1).split(/,(?=`)/)
  const first = `select ${names.map((name) => `? as ${name}`).join(", ")}`
  const rest = ` union all select ${names.map(() => "?").join(", ")}`
  return `(${first}${rest.repeat(values.length - 1)})`
}

/**
 * A compiler of statements for MySQL and MariaDB. `sql.updateValues` is a derived table to join with:
 * ``sql`update orders join ${sql.updateValues(rows, "data")} on orders.id = data.id set orders.total = data.total` ``.
 *
 * `transform` turns a program's names into the database's; without it they stay as they are. {@link makeDialect}
 * makes one by itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeCompiler = (transform?: (name: string) => string): Statement.Compiler =>
  Statement.makeCompiler({
    dialect: "mysql",
    placeholder: () => "?",
    onIdentifier: (name, withoutTransform) => escape(withoutTransform || !transform ? name : transform(name)),
    onRecordUpdate: (_placeholders, alias, columns, values) => [
      `${valuesTable(columns, values)} as ${alias}`,
      values.flat()
    ],
    onCustom: () => ["", []]
  })

type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** A text without parameters is not worth preparing: most of them are run once, or cannot be prepared. */
const isWorthPreparing = (params: ReadonlyArray<unknown>): boolean => params.length > 0

/** Sessions by what Effect's client holds of them. */
const sessions = new WeakMap<SqlConnection.Connection, Session>()

/**
 * Where the server has rolled back by itself, there is no savepoint to go back to, and nothing to undo. Statements that come later in the
 * transaction are refused as what another try may help with, which a rollback that fails would hide.
 */
const unlessDone = <X>(session: Session, sql: string, statement: Effect.Effect<ReadonlyArray<X>, SqlError>) =>
  /^(?:rollback|release savepoint)\b/i.test(sql)
    ? Effect.catchIf(
        statement,
        () => session.transaction === "lost",
        () => Effect.succeed([])
      )
    : statement

const adapt = (connection: MySqlConnection): SqlConnection.Connection => {
  const session = sessionOf(connection)
  const answer = (sql: string, params: ReadonlyArray<unknown>, options: Partial<Driver.Request> = {}) =>
    run(session, { sql, params, isPrepared: isWorthPreparing(params), asArrays: false, ...options })
  const rows = (
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: TransformRows,
    options?: Partial<Driver.Request>
  ): Effect.Effect<ReadonlyArray<object>, SqlError> =>
    Effect.map(answer(sql, params, options), (found) => {
      const plain = rowsOf(found) as ReadonlyArray<object>
      return transformRows ? transformRows(plain) : plain
    })
  const values = (sql: string, params: ReadonlyArray<unknown>, options?: Partial<Driver.Request>) =>
    Effect.map(
      answer(sql, params, { asArrays: true, ...options }),
      (found) => rowsOf(found) as ReadonlyArray<ReadonlyArray<unknown>>
    )
  const unprepared = { isPrepared: false }
  const adapted: SqlConnection.Connection = {
    execute: (sql, params, transformRows) => rows(sql, params, transformRows),
    executeRaw: (sql, params) => Effect.map(answer(sql, params), ({ result }) => result),
    executeStream: (sql, params, transformRows) => {
      const found = stream(session, { sql, params, isPrepared: isWorthPreparing(params), asArrays: false })
      return transformRows
        ? Stream.mapArray(found as Stream.Stream<object, SqlError>, (chunk) => transformRows(chunk) as typeof chunk)
        : found
    },
    executeValues: (sql, params) => values(sql, params),
    executeValuesUnprepared: (sql, params) => values(sql, params, unprepared),
    executeUnprepared: (sql, params, transformRows) =>
      unlessDone(session, sql, rows(sql, params, transformRows, unprepared))
  }
  sessions.set(adapted, session)
  return adapted
}

/**
 * How `Sql.layer` and `Sql.make` run statements on MySQL and MariaDB. A statement with parameters is prepared.
 *
 * **Example** (Names in the style of each side)
 *
 * ```ts
 * import { String } from "effect"
 * import * as MySql from "effect-pool/MySql"
 *
 * const dialect = MySql.makeDialect({
 *   transformQueryNames: String.camelToSnake,
 *   transformResultNames: String.snakeToCamel
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeDialect = (options: DialectOptions = {}): Dialect<MySqlConnection> => {
  const { spanAttributes = {}, transformQueryNames, transformResultNames } = options
  return {
    driver: "effect-pool/MySql",
    compiler: makeCompiler(transformQueryNames),
    spanAttributes: [...Object.entries(spanAttributes), ["db.system.name", "mysql"]],
    connection: adapt,
    cancel: "interrupt",
    beginTransaction: "start transaction",
    releaseSavepoint: (name) => `release savepoint ${name}`,
    // One that the server has rolled back by itself, savepoints and all, has no need of it.
    isTransaction: (connection) => isInTransaction(sessions.get(connection)!),
    // One that the server has refused may still be open.
    onCommitFailure: (connection) => Effect.asVoid(connection.executeUnprepared("rollback", [], undefined)),
    ...(transformResultNames === undefined
      ? {}
      : { transformRows: Statement.defaultTransforms(transformResultNames).array })
  }
}
