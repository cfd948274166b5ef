/** Files that are removed, damaged, full, or not to be written to; and processes that die in the middle of a write. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import { eventually } from "../support/Eventually.ts"
import { libsql, newFile, otherProcess } from "../support/SqliteFile.ts"
import { codeOf, connectFailure, Db, dbLive, onEachDriver, readerOn, valueOf, writerOn } from "./SqliteFixture.ts"

const createNumbers = "create table numbers (n integer, square integer)"

const retry = { initial: 20, max: 100, factor: 2, jitter: 0 } as const
const config = { minConnections: 1, maxConnections: 1, retry }

type Pool = ConnectionPool.ConnectionPool<Sqlite.Writer>

const count = (pool: Pool) => ConnectionPool.use(pool, (writer) => valueOf(writer, "select count(*) from numbers"))
const insert = (pool: Pool) =>
  ConnectionPool.use(pool, (writer) => writer.execute("insert into numbers values (7, 49)"))

/** With what SQLite keeps beside it. */
const removeAll = (path: string) =>
  Effect.sync(() => {
    for (const suffix of ["", "-wal", "-shm"]) Fs.rmSync(`${path}${suffix}`, { force: true })
  })

onEachDriver("a process that is killed", (driver) => {
  it.live("in the middle of a transaction leaves nothing of it, and the next one writes at once", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(path, { driver })
      yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
      const other = yield* otherProcess(path)
      // More than its cache takes, so that much of it stands in the log already.
      yield* other.exec(
        "pragma cache_size = 2; begin immediate; with recursive r(i) as (select 1 union all select i + 1 from r where i < 20000) insert into numbers select i, i * i from r"
      )
      yield* other.kill
      const { changes } = yield* insert(pool)
      const found = yield* ConnectionPool.use(pool, (writer) =>
        Effect.all([valueOf(writer, "select count(*) from numbers"), valueOf(writer, "pragma integrity_check")])
      )
      assert.deepStrictEqual([changes, found], [1, [1, "ok"]])
    }).pipe(Effect.scoped)
  )

  it.live(
    "while it commits all the time has lost nothing that it had committed, and has left no half of anything",
    () =>
      Effect.gen(function* () {
        const path = yield* newFile
        const pool = yield* writerOn(path, { driver })
        yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
        const other = yield* otherProcess(path)
        const committed = yield* other.commitForever
        yield* eventually(Effect.sync(committed), (n) => n >= 200)
        yield* other.kill
        const [rows, sum, most, integrity] = yield* ConnectionPool.use(pool, (writer) =>
          Effect.all([
            valueOf(writer, "select count(*) from numbers"),
            valueOf(writer, "select sum(n) from numbers"),
            valueOf(writer, "select max(n) from numbers where square = n * n"),
            valueOf(writer, "pragma integrity_check")
          ])
        )
        // Each transaction leaves n and -n. The last one may have been committed and not reported.
        assert.deepStrictEqual([rows, sum, integrity], [2 * Number(most), 0, "ok"])
        assert.include([committed(), committed() + 1], most)
      }).pipe(Effect.scoped)
  )
})

onEachDriver("a file that is removed while it is open", (driver) => {
  it.live("has its idle connection replaced at once, without a query", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(path, { driver }, config)
      yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
      yield* removeAll(path)
      const { closed } = yield* eventually(
        ConnectionPool.status(pool),
        ({ created, idle }) => created === 2 && idle === 1
      )
      assert.deepStrictEqual([closed, Fs.existsSync(path)], [1, true])
    }).pipe(Effect.scoped)
  )

  it.live("is not written to any more by whoever has a connection to it", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(path, { driver }, config)
      const codes = yield* ConnectionPool.use(pool, (writer) =>
        Effect.gen(function* () {
          yield* writer.script(createNumbers)
          yield* removeAll(path)
          // In the same turn: nobody can have been told of it yet.
          return yield* Effect.all([
            codeOf(writer.execute("insert into numbers values (1, 1)")),
            codeOf(writer.transaction(Effect.void)),
            codeOf(writer.query("select 1"))
          ])
        })
      )
      const { created } = yield* eventually(ConnectionPool.status(pool), ({ created }) => created === 2)
      const gone = "SQLITE_READONLY_DBMOVED"
      assert.deepStrictEqual([codes, created], [[gone, gone, gone], 2])
    }).pipe(Effect.scoped)
  )
})

onEachDriver("a file that is replaced by another one", (driver) => {
  it.live("is read as the other one from then on, and takes its log with it", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const next = yield* newFile
      const story = Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.flatMap(writerOn(next, { driver }), (pool) =>
            ConnectionPool.use(pool, (writer) =>
              writer.script(
                `pragma journal_mode = delete; ${createNumbers}; insert into numbers values (1, 1), (2, 4), (3, 9)`
              )
            )
          )
        )
        yield* Db.write.use((writer) => writer.script(`${createNumbers}; insert into numbers values (7, 49)`))
        const ask = Db.read.use((reader) => valueOf(reader, "select count(*) from numbers"))
        const before = yield* ask
        yield* removeAll(path)
        yield* Effect.sync(() => Fs.renameSync(next, path))
        yield* eventually(Db.status, ({ read, write }) => read.created === 2 && write.created === 2)
        const after = yield* ask
        yield* Db.write.use((writer) => writer.execute("insert into numbers values (4, 16)"))
        assert.deepStrictEqual([before, after, yield* ask], [1, 3, 4])
      })
      yield* Effect.provide(story, dbLive({ path, driver, read: { retry }, write: { retry } }))
    }).pipe(Effect.scoped)
  )
})

onEachDriver("a disk that is full", (driver) => {
  const tooMuch = "insert into numbers select 1, zeroblob(100000) from (values (1), (2), (3), (4), (5))"
  const small = { max_page_count: 20 }

  /** Inserts a row, then what does not fit, then a row; whatever fails. */
  const insertAround = Effect.fnUntraced(function* (tooMuch: string) {
    const pool = yield* writerOn(yield* newFile, { driver, pragmas: small })
    yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
    const exits = yield* ConnectionPool.use(pool, (writer) => {
      const statements = ["insert into numbers values (1, 1)", tooMuch, "insert into numbers values (2, 4)"]
      const all = Effect.forEach(statements, (sql) => Effect.exit(writer.execute(sql)))
      const within: Array<Exit.Exit<unknown, unknown>> = []
      const transaction = writer.transaction(Effect.map(all, (exits) => void within.push(...exits)))
      return Effect.map(Effect.exit(transaction), (exit) => [...within, exit])
    })
    return {
      codes: exits.map((exit) => Sqlite.resultCode(Exit.findErrorOption(exit).pipe(Option.getOrUndefined))),
      count: yield* count(pool)
    }
  })

  it.live("ends a transaction as a whole: what follows in it is refused, and not done outside of it", () =>
    Effect.gen(function* () {
      const outcome = yield* insertAround("insert into numbers values (1, zeroblob(1000000))")
      const aborted = "SQLITE_ABORT"
      assert.deepStrictEqual(outcome, { codes: [undefined, "SQLITE_FULL", aborted, aborted], count: 0 })
    }).pipe(Effect.scoped)
  )

  it.live("takes back only a statement where SQLite can: its transaction goes on", () =>
    Effect.gen(function* () {
      const outcome = yield* insertAround(tooMuch)
      assert.deepStrictEqual(outcome, { codes: [undefined, "SQLITE_FULL", undefined, undefined], count: 2 })
    }).pipe(Effect.scoped)
  )

  it.live("costs no connection: there is room again, and it goes on", () =>
    Effect.gen(function* () {
      const pool = yield* writerOn(yield* newFile, { driver, pragmas: small })
      yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
      yield* codeOf(ConnectionPool.use(pool, (writer) => writer.execute(tooMuch)))
      yield* insert(pool)
      const { created } = yield* ConnectionPool.status(pool)
      assert.deepStrictEqual([yield* count(pool), created], [1, 1])
    }).pipe(Effect.scoped)
  )
})

describe("a file that cannot be opened", () => {
  const kindOf = (failure: unknown) =>
    Sqlite.connector({ path: "/app.db", driver: libsql }).classify!((failure as { readonly cause: never }).cause)

  const open = (path: string) =>
    Effect.map(connectFailure({ path }), (failure) => ({
      kind: kindOf(failure),
      code: Sqlite.resultCode(failure),
      words: (failure.cause as Error).message
    }))

  it.live("since it is no database is a permanent failure", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      yield* Effect.sync(() => Fs.writeFileSync(path, "this is a letter to somebody. ".repeat(100)))
      const { code, kind } = yield* open(path)
      assert.deepStrictEqual([code, kind], ["SQLITE_NOTADB", "permanent"])
    }).pipe(Effect.scoped)
  )

  it.live("since its folder does not exist says so, and is a permanent failure", () =>
    Effect.gen(function* () {
      const path = Path.join(yield* newFile, "nowhere", "app.db")
      const { code, kind, words } = yield* open(path)
      assert.deepStrictEqual([code, kind], ["SQLITE_CANTOPEN", "permanent"])
      assert.include(words, `the folder ${Path.dirname(path)} does not exist`)
    }).pipe(Effect.scoped)
  )

  it.live("since it is a folder says so, and is a permanent failure", () =>
    Effect.gen(function* () {
      const path = Path.dirname(yield* newFile)
      const { code, kind, words } = yield* open(path)
      assert.deepStrictEqual([code, kind], ["SQLITE_CANTOPEN", "permanent"])
      assert.include(words, `${path} is a folder`)
    }).pipe(Effect.scoped)
  )

  /** Root may write everywhere: for as long as this lasts, it is somebody else. */
  const unprivileged = Effect.acquireRelease(
    Effect.sync(() => {
      if (process.geteuid?.() === 0) process.seteuid!(65_534)
    }),
    () =>
      Effect.sync(() => {
        if (process.getuid?.() === 0) process.seteuid!(0)
      })
  )

  for (const [what, prepare] of [
    ["where there is no file yet", () => {}],
    [
      "with a file that all may write",
      (path: string) => {
        Fs.writeFileSync(path, "")
        Fs.chmodSync(path, 0o666)
      }
    ]
  ] as const) {
    it.live(`in a folder that is read-only, ${what}, says so, and is a permanent failure`, () =>
      Effect.gen(function* () {
        const path = yield* newFile
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            prepare(path)
            Fs.chmodSync(Path.dirname(path), 0o555)
          }),
          () => Effect.sync(() => Fs.chmodSync(Path.dirname(path), 0o755))
        )
        yield* unprivileged
        const { kind, words } = yield* open(path)
        assert.strictEqual(kind, "permanent")
        assert.match(words, /cannot be written to \(EACCES\)/)
      }).pipe(Effect.scoped)
    )
  }

  it.live("yet by its reader is opened when its writer has made it", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const reading = yield* Effect.forkChild(
        Effect.flatMap(readerOn(path, {}, config), (pool) =>
          ConnectionPool.use(pool, (reader) => valueOf(reader, "select count(*) from sqlite_master"))
        ),
        { startImmediately: true }
      )
      const pool = yield* writerOn(path)
      yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
      assert.strictEqual(yield* Fiber.join(reading), 1)
    }).pipe(Effect.scoped)
  )
})

onEachDriver("a file that is damaged while it is open", (driver) => {
  it.live("condemns the connection that has met it", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(path, { driver, pragmas: { cache_size: 1 } }, config)
      yield* ConnectionPool.use(pool, (writer) =>
        Effect.andThen(
          writer.script(
            `${createNumbers}; with recursive r(i) as (select 1 union all select i + 1 from r where i < 20000) insert into numbers select i, i from r`
          ),
          writer.query("pragma wal_checkpoint(truncate)")
        )
      )
      // In another process: closing a descriptor of the file would drop the locks that this one has on it.
      yield* Effect.flatMap(otherProcess(":memory:"), (other) => other.damage(path))
      const code = yield* codeOf(ConnectionPool.use(pool, (writer) => writer.query("select sum(square) from numbers")))
      yield* eventually(ConnectionPool.status(pool), ({ closed }) => closed >= 1)
      assert.strictEqual(code, "SQLITE_CORRUPT")
    }).pipe(Effect.scoped)
  )
})

onEachDriver("a statement that takes long", (driver) => {
  const long = "with recursive r(i) as (select 1 union all select i + 1 from r where i < 300000) select i from r"

  it.live("cannot be interrupted: a timeout is heard of when it is over", () =>
    Effect.gen(function* () {
      const pool = yield* writerOn(yield* newFile, { driver })
      const sum = `select count(*) from (${long})`
      const result = yield* ConnectionPool.use(pool, (writer) => Effect.timeoutOption(valueOf(writer, sum), "1 millis"))
      const [connection] = yield* ConnectionPool.connections(pool)
      // It was there before anybody could be told that it is late. What it has cost is counted.
      assert.deepStrictEqual(result, Option.some(300_000))
      assert.isAbove(connection?.statistics?.["longestMillis"] ?? 0, 1)
    }).pipe(Effect.scoped)
  )

  it.live("can be interrupted where it is read as a stream", () =>
    Effect.gen(function* () {
      const pool = yield* writerOn(yield* newFile, { driver })
      let rows = 0
      const reading = yield* Effect.forkChild(
        ConnectionPool.use(pool, (writer) =>
          Stream.runForEach(writer.stream(long), () =>
            Effect.sync(() => {
              rows++
            })
          )
        )
      )
      yield* eventually(
        Effect.sync(() => rows),
        (n) => n > 0
      )
      yield* Fiber.interrupt(reading)
      const { inUse } = yield* ConnectionPool.status(pool)
      assert.isBelow(rows, 300_000)
      assert.strictEqual(inUse, 0)
    }).pipe(Effect.scoped)
  )
})
