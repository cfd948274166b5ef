/** What the connector asks of a driver, and the drivers it knows: Node's own, and those with the shape of better-sqlite3. */
import type * as NodeSqlite from "node:sqlite"
import { pathToFileURL } from "node:url"
import type { ConfigProblem } from "../PoolError.ts"
import { verbOf } from "./SqliteStatement.ts"

/**
 * What a column may hold.
 *
 * @category models
 * @since 0.1.0
 */
export type Value = null | number | bigint | string | Uint8Array

/**
 * A row by the names of its columns.
 *
 * @category models
 * @since 0.1.0
 */
export type Row = Readonly<Record<string, Value>>

/**
 * What a statement has changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changes {
  /** How many rows. */
  readonly changes: number
  /** The number of the row that was inserted last on this connection. */
  readonly lastInsertRowid: number | bigint
}

/**
 * A prepared statement of a driver. Everything is synchronous, and throws.
 *
 * @category drivers
 * @since 0.1.0
 */
export interface DriverStatement {
  /** Whether it gives rows. */
  readonly returnsRows: boolean
  /** All rows, by the names of their columns. */
  readonly all: (params: ReadonlyArray<Value>) => ReadonlyArray<Row>
  /** All rows, as lists of values. */
  readonly values: (params: ReadonlyArray<Value>) => ReadonlyArray<ReadonlyArray<Value>>
  /** Runs it, and says what it has changed. */
  readonly run: (params: ReadonlyArray<Value>) => Changes
  /** Row by row. Its `return` must let go of what the statement holds: until then the database's log only grows. */
  readonly iterate: (params: ReadonlyArray<Value>) => Iterator<Row>
}

/**
 * An open database of a driver. Everything is synchronous, and throws.
 *
 * @category drivers
 * @since 0.1.0
 */
export interface DriverDatabase {
  /** Whether a transaction is open. */
  readonly inTransaction: boolean
  /** Runs a text of one or more statements, without parameters. */
  readonly exec: (sql: string) => void
  /** Prepares one statement. */
  readonly prepare: (sql: string) => DriverStatement
  /** Closes it, and with it every statement that is still open. */
  readonly close: () => void
}

/**
 * A synchronous SQLite driver.
 *
 * @category drivers
 * @since 0.1.0
 */
export interface Driver {
  /** Its name, for errors. */
  readonly name: string
  /** Opens a file. With `readOnly`, no statement may be able to write to it, and the file must be there. */
  readonly open: (
    file: string,
    options: { readonly readOnly: boolean; readonly integers: "number" | "bigint" }
  ) => DriverDatabase
  /** Why it cannot be used here; absent where it can. */
  readonly problems?: ReadonlyArray<ConfigProblem> | undefined
}

/** A driver that cannot be used opens nothing: the pool refuses to start. */
const unavailable = (problem: ConfigProblem): Driver => ({
  name: "node:sqlite",
  open: () => {
    throw new Error(`${problem.value}; expected ${problem.expected}`)
  },
  problems: [problem]
})

/**
 * Node's own driver: no dependency. Looked for when it is asked for, since older versions of Node do not have it.
 *
 * **Example** (Node's own)
 *
 * ```ts
 * import * as Sqlite from "effect-pool/Sqlite"
 *
 * const connector = Sqlite.connector({ path: "/var/lib/app/one.db", driver: Sqlite.nodeSqlite() })
 * ```
 *
 * @category drivers
 * @since 0.1.0
 */
export const nodeSqlite = (): Driver => {
  const module = process.getBuiltinModule?.("node:sqlite") as typeof NodeSqlite | undefined
  // What the connector needs came step by step; this is what came last.
  const isComplete = module?.StatementSync.prototype.setReturnArrays !== undefined
  if (module === undefined || !isComplete) {
    return unavailable({
      field: "driver",
      value: `node:sqlite, which Node ${process.version} does not have${module === undefined ? "" : " in full"}`,
      expected: "Node 22.16 or later, or another driver, such as `driver: Sqlite.betterSqlite3(Database)`"
    })
  }
  /** Learned when the first database is opened. */
  let noticesColumns: boolean | undefined
  return {
    name: "node:sqlite",
    open: (file, { integers, readOnly }) => {
      const database = new module.DatabaseSync(file, { readOnly })
      const isRight = (noticesColumns ??= countsColumnsInTime(module))
      return {
        get inTransaction() {
          return database.isTransaction
        },
        exec: (sql) => database.exec(sql),
        prepare: (sql) =>
          nodeStatement(database.prepare(sql), integers === "bigint", !isRight && verbOf(sql) === "read"),
        close: () => database.close()
      }
    }
  }
}

/** Node 22 counts the columns of a result before SQLite has noticed that the table has got more of them. */
const countsColumnsInTime = (module: typeof NodeSqlite): boolean => {
  const database = new module.DatabaseSync(":memory:")
  database.exec("create table t (a); insert into t values (1)")
  const statement = database.prepare("select * from t")
  statement.all()
  database.exec("alter table t add column b")
  const follows = Object.keys(statement.all()[0] ?? {}).length === 2
  database.close()
  return follows
}

const nodeStatement = (
  statement: NodeSqlite.StatementSync,
  bigints: boolean,
  recountsColumns: boolean
): DriverStatement => {
  if (bigints) statement.setReadBigInts(true)
  type Input = Array<NodeSqlite.SQLInputValue>
  let columns = statement.columns().length
  const all = (params: ReadonlyArray<Value>): Array<unknown> => {
    const rows = statement.all(...(params as Input))
    if (!recountsColumns) return rows
    const before = columns
    columns = statement.columns().length
    return columns === before ? rows : statement.all(...(params as Input))
  }
  return {
    returnsRows: columns > 0,
    all: (params) => all(params) as ReadonlyArray<Row>,
    values: (params) => {
      statement.setReturnArrays(true)
      try {
        return all(params) as ReadonlyArray<ReadonlyArray<Value>>
      } finally {
        statement.setReturnArrays(false)
      }
    },
    run: (params) => {
      const { changes, lastInsertRowid } = statement.run(...(params as Input))
      return { changes: Number(changes), lastInsertRowid }
    },
    iterate: (params) => statement.iterate(...(params as Input)) as unknown as Iterator<Row>
  }
}

/**
 * The parts of better-sqlite3's module that are used, which others have as well.
 *
 * @category drivers
 * @since 0.1.0
 */
export interface BetterSqlite3 {
  new (
    path: string,
    options?: { readonly?: boolean; fileMustExist?: boolean; timeout?: number }
  ): {
    readonly inTransaction: boolean
    readonly readonly: boolean
    exec(sql: string): unknown
    prepare(sql: string): BetterSqlite3Statement
    close(): unknown
  }
}

/**
 * The parts of a statement of better-sqlite3 that are used.
 *
 * @category drivers
 * @since 0.1.0
 */
export interface BetterSqlite3Statement {
  /** Whether it gives rows. */
  readonly reader: boolean
  /** All rows. */
  all(...params: Array<unknown>): Array<unknown>
  /** Runs it. */
  run(...params: Array<unknown>): { changes: number; lastInsertRowid: number | bigint }
  /** Row by row. */
  iterate(...params: Array<unknown>): Iterator<unknown>
  /** Whether rows are lists of values from now on. */
  raw(toggle?: boolean): unknown
  /** Whether integers are read as `bigint` from now on. */
  safeIntegers(toggle?: boolean): unknown
}

/**
 * A driver with the shape of better-sqlite3, such as `better-sqlite3` itself or `libsql`, from its module's default export.
 *
 * See {@link connector} for an example.
 *
 * @category drivers
 * @since 0.1.0
 */
export const betterSqlite3 = (Database: BetterSqlite3): Driver => {
  /** What the module really does, which its shape does not tell. Learned when the first database is opened. */
  let knowsReadonly: boolean | undefined
  let closesIterators: boolean | undefined
  let givesBuffers: boolean | undefined
  type Opened = InstanceType<BetterSqlite3>

  const openReadOnly = (file: string): Opened => {
    if (knowsReadonly !== false) {
      const database = new Database(file, { readonly: true, fileMustExist: true, timeout: 0 })
      knowsReadonly = database.readonly
      if (knowsReadonly) return database
      database.close()
    }
    // libsql ignores the option; SQLite itself reads it from a URI.
    return new Database(`${pathToFileURL(file).href}?mode=ro`, { timeout: 0 })
  }

  /** libsql gives bytes as bare memory, which has no bytes to read. */
  const givesBareBuffers = (database: Opened): boolean => {
    const [row] = database.prepare("select x'00' as bytes").all()
    return (row as { readonly bytes: unknown }).bytes instanceof ArrayBuffer
  }

  const returnsFromIterators = (database: Opened): boolean => {
    const iterator = database.prepare("select 1").iterate()
    const canReturn = typeof iterator.return === "function"
    while (iterator.next().done !== true);
    return canReturn
  }

  return {
    name: "better-sqlite3",
    open: (file, { integers, readOnly }) => {
      const database = readOnly ? openReadOnly(file) : new Database(file, { timeout: 0 })
      return {
        get inTransaction() {
          return database.inTransaction
        },
        exec: (sql) => void database.exec(sql),
        prepare: (sql) => {
          const statement = database.prepare(sql)
          if (integers === "bigint") statement.safeIntegers(true)
          closesIterators ??= returnsFromIterators(database)
          givesBuffers ??= givesBareBuffers(database)
          return givesBuffers
            ? withBytes(betterStatement(statement, false))
            : betterStatement(statement, closesIterators)
        },
        close: () => void database.close()
      }
    }
  }
}

/** Always given one array: several arguments would be read as one each, and a single object as named parameters. */
const betterStatement = (statement: BetterSqlite3Statement, closesIterators: boolean): DriverStatement => {
  const { reader } = statement
  const all = (params: ReadonlyArray<Value>): ReadonlyArray<Row> => {
    if (reader) return statement.all(params) as ReadonlyArray<Row>
    statement.run(params)
    return []
  }
  return {
    returnsRows: reader,
    all,
    values: (params) => {
      if (!reader) return all(params) as unknown as ReadonlyArray<ReadonlyArray<Value>>
      statement.raw(true)
      try {
        return statement.all(params) as ReadonlyArray<ReadonlyArray<Value>>
      } finally {
        statement.raw(false)
      }
    },
    run: (params) => {
      const { changes, lastInsertRowid } = statement.run(params)
      return { changes, lastInsertRowid }
    },
    // libsql's iterator cannot be closed: left in the middle, it would keep its snapshot until it is collected.
    iterate: (params) =>
      closesIterators && reader ? (statement.iterate(params) as Iterator<Row>) : all(params)[Symbol.iterator]()
  }
}

/** Makes byte arrays of bare memory, in the rows that a driver has just made for nobody else. */
const withBytes = (statement: DriverStatement): DriverStatement => {
  const mend = <X extends object>(rows: ReadonlyArray<X>): ReadonlyArray<X> => {
    for (const row of rows) {
      for (const [key, value] of Object.entries(row)) {
        if (value instanceof ArrayBuffer) Object.assign(row, { [key]: new Uint8Array(value) })
      }
    }
    return rows
  }
  const all = (params: ReadonlyArray<Value>) => mend(statement.all(params))
  return {
    ...statement,
    all,
    values: (params) => mend(statement.values(params)),
    iterate: (params) => all(params)[Symbol.iterator]()
  }
}
