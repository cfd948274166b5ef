/** Connections to a file, and the pools of them: what they read and write, and who may do which. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Layer, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { pathToFileURL } from "node:url"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import { DatabaseConnection, PoolLayer } from "../../src/index.ts"
import { drivers, libsql, newFile } from "../support/SqliteFile.ts"
import { codeOf, Db, dbLive, onEachDriver, plain, single, silent, valueOf, writerOn } from "./SqliteFixture.ts"

class Typed extends PoolLayer.Service<Typed, Sqlite.Writer>()("test/Typed") {}

const threeNumbers = Db.write.use((writer) =>
  writer.script("create table numbers (n integer primary key); insert into numbers values (1), (2), (3)")
)

onEachDriver("a connection", (driver) => {
  it.live("gives the rows of a statement by the names of their columns", () =>
    Effect.gen(function* () {
      const rows = yield* Db.read.use((reader) => reader.query("select 1 as one, 'two' as two, null as three"))
      assert.deepStrictEqual(plain(rows), [{ one: 1, two: "two", three: null }])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("gives the values of a row in their order, also of columns with the same name", () =>
    Effect.gen(function* () {
      const rows = yield* Db.read.use((reader) => reader.queryValues("select 1 as a, 2 as a"))
      assert.deepStrictEqual(rows, [[1, 2]])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("takes parameters of every kind that SQLite can hold, and of those with one obvious meaning", () =>
    Effect.gen(function* () {
      const date = new Date(0)
      const params = ["text", 1.5, 7n, true, false, date, null, undefined]
      const [row] = yield* Db.read.use((reader) => reader.queryValues("select ?, ?, ?, ?, ?, ?, ?, ?", params))
      assert.deepStrictEqual(row, ["text", 1.5, 7, 1, 0, date.toISOString(), null, null])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("gives bytes back as they were, however they are asked for", () =>
    Effect.gen(function* () {
      const sql = "select ? as bytes"
      const params = [new Uint8Array([1, 2, 255])]
      const answers = yield* Db.read.use((reader) =>
        Effect.all([
          Effect.map(reader.query(sql, params), ([row]) => row?.["bytes"]),
          valueOf(reader, sql, params),
          Effect.map(Stream.runCollect(reader.stream(sql, params)), ([row]) => row?.["bytes"])
        ])
      )
      assert.deepStrictEqual(
        answers.map((bytes) => bytes instanceof Uint8Array && Array.from(bytes)),
        [
          [1, 2, 255],
          [1, 2, 255],
          [1, 2, 255]
        ]
      )
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  const notStorable: Readonly<Record<string, unknown>> = {
    "an object": { a: 1 },
    "an array": [1],
    "what is not a number": Number.NaN,
    "a function": () => 1,
    "a symbol": Symbol("s"),
    "an invalid Date": new Date(Number.NaN)
  }
  for (const [kind, wrong] of Object.entries(notStorable)) {
    it.live(`says which parameter it cannot take, such as ${kind}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Db.read.use((reader) => reader.query("select ?, ?", [1, wrong])))
        assert.match(error.message, /^parameter 2 is .*, which SQLite cannot hold$/)
      }).pipe(Effect.provide(dbLive({ driver })))
    )
  }

  it.live("reads integers beyond 2^53 exactly where it is asked to", () =>
    Effect.gen(function* () {
      const [row] = yield* Db.read.use((reader) =>
        reader.queryValues("select 9007199254740993, ?", [9007199254740995n])
      )
      assert.deepStrictEqual(row, [9007199254740993n, 9007199254740995n])
    }).pipe(Effect.provide(dbLive({ driver, integers: "bigint" })))
  )

  it.live("says what a statement has changed, also when it returns rows", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const changes = yield* Db.write.use((writer) =>
        Effect.all([
          writer.execute("insert into numbers values (7)"),
          writer.execute("insert into numbers values (8), (9) returning n"),
          writer.execute("select 1")
        ])
      )
      assert.deepStrictEqual(
        changes.slice(0, 2).map(({ changes, lastInsertRowid }) => [changes, Number(lastInsertRowid)]),
        [
          [1, 7],
          [2, 9]
        ]
      )
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("names every failure by SQLite's code", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const codes = yield* Db.write.use((writer) =>
        Effect.all([
          codeOf(writer.query("selec 1")),
          codeOf(writer.query("select * from nowhere")),
          codeOf(writer.execute("insert into numbers values (1)"))
        ])
      )
      assert.deepStrictEqual(codes, ["SQLITE_ERROR", "SQLITE_ERROR", "SQLITE_CONSTRAINT_PRIMARYKEY"])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("streams rows, and lets go of them when it is left in the middle", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const many =
        "with recursive r(i) as (select 1 union all select i + 1 from r where i < 100000) select i, n from r, numbers"
      const first = yield* Db.read.use((reader) => Stream.runCollect(Stream.take(reader.stream(many), 2)))
      // Nothing that is still being read keeps the log from being emptied.
      const [busy] = yield* Db.write.use((writer) => writer.queryValues("pragma wal_checkpoint(truncate)"))
      assert.deepStrictEqual([first.map(({ n }) => n), busy?.[0]], [[1, 2], 0])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("sees a column that was added since its statement was prepared", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const ask = Db.read.use((reader) => reader.queryValues("select * from numbers limit 1"))
      yield* ask
      yield* Db.write.use((writer) => writer.script("alter table numbers add column name text default 'x'"))
      assert.deepStrictEqual(yield* ask, [[1, "x"]])
    }).pipe(Effect.provide(dbLive({ driver, readers: 1 })))
  )
})

onEachDriver("a transaction", (driver) => {
  const count = Db.read.use((reader) => valueOf(reader, "select count(*) from numbers"))

  it.live("is there for everyone when it has been committed, and for nobody before", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const before = yield* Db.write.use((writer) =>
        writer.transaction(Effect.andThen(writer.execute("insert into numbers values (4)"), count))
      )
      assert.deepStrictEqual([before, yield* count], [3, 4])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("leaves nothing when it fails, and is over then", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const outcome = yield* Db.write.use((writer) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(
            writer.transaction(Effect.andThen(writer.execute("delete from numbers"), Effect.fail("changed my mind")))
          )
          // The same borrower's next one: nothing can have been reset in between.
          yield* writer.transaction(writer.execute("insert into numbers values (4)"))
          return exit
        })
      )
      assert.deepStrictEqual([outcome, yield* count], [Exit.fail("changed my mind"), 4])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("leaves nothing when it is interrupted", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const fiber = yield* Effect.forkChild(
        Db.write.use((writer) =>
          writer.transaction(Effect.andThen(writer.execute("delete from numbers"), Effect.never))
        ),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(fiber)
      const left = yield* Db.write.use((writer) => valueOf(writer, "select count(*) from numbers"))
      assert.deepStrictEqual([left, (yield* Db.status).write.inUse], [3, 0])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("that cannot be committed is rolled back", () =>
    Effect.gen(function* () {
      const outcome = yield* Db.write.use((writer) =>
        Effect.gen(function* () {
          yield* writer.script(
            "create table a (id integer primary key); create table b (a integer references a deferrable initially deferred)"
          )
          const code = yield* codeOf(writer.transaction(writer.execute("insert into b values (7)")))
          // A transaction that is still open would refuse another one.
          yield* writer.transaction(writer.execute("insert into a values (1)"))
          return [code, yield* valueOf(writer, "select count(*) from b")]
        })
      )
      assert.deepStrictEqual(outcome, ["SQLITE_CONSTRAINT_FOREIGNKEY", 0])
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("of one borrower after the other loses no update", () =>
    Effect.gen(function* () {
      yield* Db.write.use((writer) => writer.script("create table counter (n integer); insert into counter values (0)"))
      const increment = Db.write.use((writer) =>
        writer.transaction(
          Effect.gen(function* () {
            const n = Number(yield* valueOf(writer, "select n from counter"))
            yield* Effect.yieldNow
            yield* writer.execute("update counter set n = ?", [n + 1])
          })
        )
      )
      yield* Effect.replicateEffect(increment, 100, { concurrency: "unbounded" })
      assert.strictEqual(yield* Db.read.use((reader) => valueOf(reader, "select n from counter")), 100)
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("that reads sees one moment, whatever is committed meanwhile", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const add = Db.write.use((writer) => writer.execute("insert into numbers (n) select max(n) + 1 from numbers"))
      const seen = yield* Db.read.use((reader) => {
        const ask = valueOf(reader, "select count(*) from numbers")
        return reader.snapshot(Effect.all([add, ask, add, ask]))
      })
      assert.deepStrictEqual([seen[1], seen[3], yield* count], [3, 3, 5])
    }).pipe(Effect.provide(dbLive({ driver })))
  )
})

onEachDriver("a reader", (driver) => {
  for (const sql of [
    "insert into numbers values (7)",
    "delete from numbers returning n",
    "drop table numbers",
    "pragma user_version = 7",
    "create temp table t (a)",
    "with a as (select 7) insert into numbers select * from a"
  ]) {
    it.live(`is refused ${sql}`, () =>
      Effect.gen(function* () {
        yield* threeNumbers
        assert.strictEqual(yield* codeOf(Db.read.use((reader) => reader.query(sql))), "SQLITE_READONLY")
      }).pipe(Effect.provide(dbLive({ driver })))
    )
  }

  it.live("cannot write even when it switches off what forbids it", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const code = yield* codeOf(
        Db.read.use((reader) =>
          Effect.andThen(reader.query("pragma query_only = off"), reader.query("delete from numbers"))
        )
      )
      assert.strictEqual(code, "SQLITE_READONLY")
    }).pipe(Effect.provide(dbLive({ driver })))
  )

  it.live("reads while a transaction is open on the writer", () =>
    Effect.gen(function* () {
      yield* threeNumbers
      const seen = yield* Db.write.use((writer) =>
        writer.transaction(
          Effect.andThen(
            writer.execute("delete from numbers"),
            Db.read.use((reader) => valueOf(reader, "select count(*) from numbers"))
          )
        )
      )
      assert.strictEqual(seen, 3)
    }).pipe(Effect.provide(dbLive({ driver })))
  )
})

// libsql closes a file when the statements on it have been collected.
const closesAtOnce = drivers.find(({ driver }) => driver.name === "node:sqlite")!
const why = closesAtOnce.unavailable === undefined ? "" : ` (not run: ${closesAtOnce.unavailable})`

it.live.skipIf(why !== "")(`the pools of a file leave nothing beside it, on ${closesAtOnce.driver.name}${why}`, () =>
  Effect.gen(function* () {
    const path = yield* newFile
    yield* Effect.provide(
      Effect.andThen(
        threeNumbers,
        Db.read.use((reader) => reader.query("select * from numbers"))
      ),
      dbLive({ path, driver: closesAtOnce.driver })
    )
    assert.deepStrictEqual(Fs.readdirSync(Path.dirname(path)), [Path.basename(path)])
  })
)

describe("the pools of a file", () => {
  it.live("have one writer and as many readers as were asked for", () =>
    Effect.gen(function* () {
      const { read, write } = yield* Db.status
      assert.deepStrictEqual([read.maxConnections, write.minConnections, write.maxConnections], [8, 1, 1])
    }).pipe(Effect.provide(dbLive({ readers: 8 })))
  )

  it("do not let a program that only reads write, when it is compiled", () => {
    // @ts-expect-error a reader has no `execute`
    const execute = Db.read.use((reader) => reader.execute("delete from numbers"))
    // @ts-expect-error a reader has no `transaction`
    const transaction = Db.read.use((reader) => reader.transaction(Effect.void))
    assert.isTrue(Effect.isEffect(execute) && Effect.isEffect(transaction))
  })

  it.live("make the file, in WAL mode, whichever of them comes first", () =>
    Effect.gen(function* () {
      const mode = yield* Db.read.use((reader) => valueOf(reader, "pragma journal_mode"))
      assert.strictEqual(mode, "wal")
    }).pipe(Effect.provide(dbLive()))
  )

  it.live("are made side by side with those of other programs, on a file that is not there yet", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const program = Effect.provide(
        Db.write.use((writer) =>
          writer.transaction(
            writer.script("create table if not exists starts (n integer); insert into starts values (1)")
          )
        ),
        Layer.fresh(dbLive({ path }))
      )
      yield* Effect.replicateEffect(program, 8, { concurrency: "unbounded" })
      const pool = yield* writerOn(path)
      assert.strictEqual(yield* ConnectionPool.use(pool, (writer) => valueOf(writer, "select count(*) from starts")), 8)
    }).pipe(Effect.scoped)
  )

  it.live("have the settings that an application expects", () =>
    Effect.gen(function* () {
      const names = ["journal_mode", "synchronous", "foreign_keys", "busy_timeout", "wal_autocheckpoint", "cache_size"]
      const values = yield* Db.write.use((writer) => Effect.forEach(names, (name) => valueOf(writer, `pragma ${name}`)))
      assert.deepStrictEqual(values, ["wal", 1, 1, 0, 1000, -9000])
    }).pipe(Effect.provide(dbLive({ pragmas: { cache_size: -9000 } })))
  )

  it.live("are found by what the environment says", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const provider = ConfigProvider.fromUnknown({
        APP_PATH: path,
        APP_BUSY_TIMEOUT: "1 second",
        APP_INTEGERS: "bigint"
      })
      const one = yield* Db.read
        .use((reader) => valueOf(reader, "select 1"))
        .pipe(
          Effect.provide(
            Layer.provide(Db.layerConfig("APP", { driver: libsql }), [ConfigProvider.layer(provider), silent])
          )
        )
      assert.deepStrictEqual([one, Fs.existsSync(path)], [1n, true])
    })
  )

  it.live("say what the environment does not", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.void.pipe(
          Effect.provide(
            Layer.provide(
              Db.layerConfig("APP", { driver: libsql }),
              ConfigProvider.layer(ConfigProvider.fromUnknown({}))
            )
          )
        )
      )
      assert.include(error.message, "APP_PATH")
    })
  )
})

describe("wrong options", () => {
  const problemsOf = (options: Sqlite.Options & { readonly mode?: "write" }) =>
    Effect.map(Effect.flip(Effect.scoped(ConnectionPool.make(Sqlite.connector(options), single))), (error) =>
      error._tag === "PoolConfigError" ? error.problems.map(({ field }) => field) : error
    )

  it.effect("are all named in one error", () =>
    Effect.gen(function* () {
      const fields = yield* problemsOf({
        path: "",
        driver: libsql,
        busyTimeout: "soon" as never,
        pragmas: { "cache_size; drop table orders": 1, synchronous: "off; drop table orders", journal_mode: "delete" }
      })
      assert.deepStrictEqual(fields, [
        "path",
        "busyTimeout",
        "pragmas.cache_size; drop table orders",
        "pragmas.synchronous",
        "pragmas.journal_mode"
      ])
    })
  )

  for (const path of [
    "",
    ":memory:",
    "file::memory:",
    "file:app?mode=memory&cache=shared",
    "file:///app.db?mode=ro",
    "a\0b"
  ]) {
    it.effect(`are noticed: path ${JSON.stringify(path)}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* problemsOf({ path, driver: libsql }), ["path"])
      })
    )
  }

  it.effect("name the pools that they are for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.provide(Effect.void, Db.layer({ path: ":memory:", driver: libsql, readers: 0 }))
      )
      assert.include(error.message, "read.path")
      assert.include(error.message, "write.path")
      assert.include(error.message, "read.readers")
    })
  )

  it.effect("include a driver that is not there", () =>
    Effect.gen(function* () {
      const driver: Sqlite.Driver = {
        ...libsql,
        problems: [{ field: "driver", value: "a driver that is not there", expected: "another one" }]
      }
      assert.deepStrictEqual(yield* problemsOf({ path: "/app.db", driver }), ["driver"])
    })
  )

  const isThere = Sqlite.nodeSqlite().problems === undefined
  it.effect.skipIf(isThere)(
    `include Node's own driver where Node has none${isThere ? ` (not run: Node ${process.version} has it)` : ""}`,
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* problemsOf({ path: "/app.db" }), ["driver"])
      })
  )
})

describe("a connector", () => {
  it.live("takes a URL", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(pathToFileURL(path).href)
      yield* ConnectionPool.use(pool, (writer) => writer.query("select 1"))
      assert.isTrue(Fs.existsSync(path))
    }).pipe(Effect.scoped)
  )

  it.live("is read from the environment together with its pool", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const one = yield* Typed.use((writer) => valueOf(writer, "select 1")).pipe(
        Effect.provide(
          Layer.provide(
            Typed.layerConfig((prefix: string) => Sqlite.config(prefix, { driver: libsql }), "DB"),
            [ConfigProvider.layer(ConfigProvider.fromUnknown({ DB_PATH: path, DB_MIN_CONNECTIONS: "1" })), silent]
          )
        )
      )
      assert.strictEqual(one, 1)
    }).pipe(Effect.scoped)
  )

  it.live("does not make a file that is only read", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const connector = Sqlite.connector({ path, driver: libsql, mode: "read" })
      const error = yield* Effect.flip(Effect.scoped(connector.connect))
      assert.deepStrictEqual(
        [Sqlite.resultCode(error), connector.classify!(error), Fs.existsSync(path)],
        ["SQLITE_CANTOPEN", "transient", false]
      )
    })
  )

  it.live("counts its statements, and the locks that it has met", () =>
    Effect.gen(function* () {
      const pool = yield* writerOn(yield* newFile)
      yield* ConnectionPool.use(pool, (writer) => writer.query("select 1"))
      const [connection] = yield* ConnectionPool.connections(pool)
      assert.containsAllKeys(connection?.statistics ?? {}, ["statements", "busy", "longestMillis"])
    }).pipe(Effect.scoped)
  )

  it.live("has its queries counted by DatabaseConnection", () =>
    Effect.gen(function* () {
      const connector = DatabaseConnection.connector(
        Sqlite.connector({ path: yield* newFile, driver: libsql }),
        Sqlite.queries
      )
      const pool = yield* ConnectionPool.make(connector, single)
      const seen = yield* ConnectionPool.use(pool, (connection) =>
        Effect.map(connection.query("select ? as n", [7]), (rows) => [rows[0]?.["n"], connection.queryCount])
      )
      assert.deepStrictEqual(seen, [7, 1])
    }).pipe(Effect.scoped, Effect.provide(silent))
  )
})
