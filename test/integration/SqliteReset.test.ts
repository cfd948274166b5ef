/** What a borrower leaves on a connection, and what the next one finds. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { newFile } from "../support/SqliteFile.ts"
import { codeOf, onEachDriver, readerOn, valueOf, writerOn } from "./SqliteFixture.ts"

/** What is left, by a borrower that does nothing about it; and a question that has the same answer on a new connection. */
const leftovers: Readonly<Record<string, { readonly leave: ReadonlyArray<string>; readonly ask: string }>> = {
  "an open transaction": {
    leave: ["begin immediate", "insert into numbers values (7)"],
    ask: "select count(*) from numbers"
  },
  "a transaction inside a savepoint": {
    leave: ["savepoint a", "insert into numbers values (7)"],
    ask: "select count(*) from numbers"
  },
  "a temporary table": {
    leave: ["create temp table secrets as select 'mine' as secret"],
    ask: "select count(*) from temp.sqlite_master"
  },
  "a temporary table in place of a real one": {
    leave: ["create temp table numbers (n)", "insert into temp.numbers values (1), (2)"],
    ask: "select count(*) from numbers"
  },
  "a temporary view and a trigger": {
    leave: [
      "create temp view v as select 1 as one",
      "create temp trigger t after insert on main.numbers begin delete from numbers; end"
    ],
    ask: "select count(*) from temp.sqlite_master"
  },
  "an attached database": {
    leave: ["attach ':memory:' as other", "create table other.t (a)"],
    ask: "select count(*) from pragma_database_list"
  },
  "foreign keys switched off": { leave: ["pragma foreign_keys = off"], ask: "pragma foreign_keys" },
  "writing switched off": { leave: ["pragma query_only = on"], ask: "pragma query_only" },
  "SQLite's own wait for locks": { leave: ["pragma busy_timeout = 5000"], ask: "pragma busy_timeout" },
  "another durability": { leave: ["pragma synchronous = off"], ask: "pragma synchronous" },
  "no checkpoints": { leave: ["pragma wal_autocheckpoint = 0"], ask: "pragma wal_autocheckpoint" },
  "a limit to the file": { leave: ["pragma max_page_count = 100"], ask: "pragma max_page_count" },
  "a file for itself": { leave: ["pragma locking_mode = exclusive"], ask: "pragma locking_mode" },
  "several at once": {
    leave: ["pragma foreign_keys = off", "create temp table t (a)", "attach ':memory:' as o", "begin"],
    ask: "select (select count(*) from temp.sqlite_master) + (select count(*) from pragma_database_list)"
  }
}

onEachDriver("a writer that comes back with something left on it", (driver) => {
  for (const [what, { ask, leave }] of Object.entries(leftovers)) {
    it.live(`is lent without ${what}, and is the same connection`, () =>
      Effect.gen(function* () {
        const pool = yield* writerOn(yield* newFile, { driver })
        yield* ConnectionPool.use(pool, (writer) => writer.script("create table numbers (n integer primary key)"))
        const before = yield* ConnectionPool.use(pool, (writer) => valueOf(writer, ask))
        yield* ConnectionPool.use(pool, (writer) => Effect.forEach(leave, (sql) => writer.query(sql)))
        const after = yield* ConnectionPool.use(pool, (writer) => valueOf(writer, ask))
        const { created } = yield* ConnectionPool.status(pool)
        assert.deepStrictEqual([after, created], [before, 1])
      }).pipe(Effect.scoped)
    )
  }

  it.live("is lent without an attached database that is being read", () =>
    Effect.gen(function* () {
      const pool = yield* writerOn(yield* newFile, { driver })
      yield* ConnectionPool.use(pool, (writer) =>
        Effect.gen(function* () {
          yield* writer.script("attach ':memory:' as o; create table o.t (a); insert into o.t values (1), (2)")
          yield* Stream.runDrain(Stream.take(writer.stream("select * from o.t"), 1))
        })
      )
      const databases = yield* ConnectionPool.use(pool, (writer) =>
        valueOf(writer, "select count(*) from pragma_database_list where name = 'o'")
      )
      assert.strictEqual(databases, 0)
    }).pipe(Effect.scoped)
  )
})

describe("a reader that comes back", () => {
  it.live("is lent without a temporary table that it was made to take", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      yield* writerOn(path)
      const pool = yield* readerOn(path)
      yield* ConnectionPool.use(pool, (reader) =>
        Effect.andThen(reader.query("pragma query_only = off"), reader.query("create temp table t (a)"))
      )
      const left = yield* ConnectionPool.use(pool, (reader) =>
        Effect.all([
          valueOf(reader, "select count(*) from temp.sqlite_master"),
          codeOf(reader.query("create temp table t (a)"))
        ])
      )
      assert.deepStrictEqual([left, (yield* ConnectionPool.status(pool)).created], [[0, "SQLITE_READONLY"], 1])
    }).pipe(Effect.scoped)
  )

  it.live("is not reset for what leaves nothing behind", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      yield* writerOn(path)
      const pool = yield* readerOn(path)
      const statements = Effect.map(ConnectionPool.connections(pool), ([one]) => one?.statistics?.["statements"] ?? 0)
      const before = yield* statements
      yield* ConnectionPool.use(pool, (reader) => reader.snapshot(reader.query("select 1")))
      assert.strictEqual((yield* statements) - before, 3)
    }).pipe(Effect.scoped)
  )
})
