/** Locks of other processes, snapshots that are out of date, and a log that cannot be emptied. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import * as Fs from "node:fs"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import { eventually } from "../support/Eventually.ts"
import { newFile, otherProcess } from "../support/SqliteFile.ts"
import { codeOf, Db, dbLive, onEachDriver, readerOn, valueOf, writerOn } from "./SqliteFixture.ts"

const createNumbers = "create table numbers (n integer)"

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    const result = yield* effect
    return [result, (yield* Clock.currentTimeMillis) - before] as const
  })

/** A pool of one writer on a file with a table, and another process that has the same file open. */
const twoProcesses = Effect.fnUntraced(function* (options: Partial<Sqlite.FileOptions> = {}) {
  const path = yield* newFile
  const pool = yield* writerOn(path, options)
  yield* ConnectionPool.use(pool, (writer) => writer.script(createNumbers))
  const other = yield* otherProcess(path)
  return { path, pool, other }
})

const insert = (pool: ConnectionPool.ConnectionPool<Sqlite.Writer>) =>
  ConnectionPool.use(pool, (writer) => writer.execute("insert into numbers values (1)"))

/** How often a lock was met. */
const busy = (pool: ConnectionPool.ConnectionPool<Sqlite.Writer>) =>
  Effect.map(ConnectionPool.connections(pool), ([one]) => one?.statistics?.["busy"] ?? 0)

onEachDriver("a file that another process has locked", (driver) => {
  for (const lock of ["begin immediate", "begin exclusive"]) {
    it.live(`by ${lock} is written to as soon as the lock is gone, and other fibers go on meanwhile`, () =>
      Effect.gen(function* () {
        const { other, pool } = yield* twoProcesses({ driver })
        yield* other.exec(lock)
        const write = yield* Effect.forkChild(insert(pool))
        let turns = 0
        const goingOn = yield* Effect.forkChild(
          Effect.forever(
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => turns++)
            )
          )
        )
        yield* eventually(busy(pool), (times) => times >= 5)
        yield* Fiber.interrupt(goingOn)
        const before = yield* Effect.map(
          Effect.sync(() => write.pollUnsafe()),
          (exit) => exit === undefined
        )
        yield* other.exec("commit")
        const { changes } = yield* Fiber.join(write)
        assert.deepStrictEqual([before, changes], [true, 1])
        assert.isAbove(turns, 5)
      }).pipe(Effect.scoped)
    )
  }

  it.live("is given up after busyTimeout, in a typed error, and the connection is used again", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver, busyTimeout: "100 millis" })
      yield* other.exec("begin exclusive")
      const [error, millis] = yield* timed(Effect.flip(insert(pool)))
      yield* other.exec("commit")
      yield* insert(pool)
      const { created } = yield* ConnectionPool.status(pool)
      const reason = error._tag === "SqlError" ? error.reason._tag : error._tag
      assert.deepStrictEqual([reason, Sqlite.resultCode(error), created], ["LockTimeoutError", "SQLITE_BUSY", 1])
      assert.match(error.message, /locked by somebody else for 100ms \(busyTimeout\)/)
      assert.isAtLeast(millis, 95)
      assert.isBelow(millis, 1000)
    }).pipe(Effect.scoped)
  )

  it.live("is written to at once when that process is killed", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver })
      yield* other.exec("begin immediate; insert into numbers values (7)")
      const write = yield* Effect.forkChild(insert(pool))
      yield* eventually(busy(pool), (times) => times >= 3)
      const [, millis] = yield* timed(Effect.andThen(other.kill, Fiber.join(write)))
      const rows = yield* ConnectionPool.use(pool, (writer) => writer.queryValues("select n from numbers"))
      assert.deepStrictEqual(rows, [[1]])
      assert.isBelow(millis, 1000)
    }).pipe(Effect.scoped)
  )

  it.live("by a process that is frozen is given up in time, and written to when it goes on", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver, busyTimeout: "50 millis" })
      yield* other.exec("begin immediate")
      yield* other.freeze
      const code = yield* codeOf(insert(pool))
      yield* other.thaw
      yield* other.exec("commit")
      const { changes } = yield* insert(pool)
      assert.deepStrictEqual([code, changes], ["SQLITE_BUSY", 1])
    }).pipe(Effect.scoped)
  )

  it.live("is not waited for with a busyTimeout of 0", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver, busyTimeout: 0 })
      yield* other.exec("begin exclusive")
      const code = yield* codeOf(insert(pool))
      assert.deepStrictEqual([code, yield* busy(pool)], ["SQLITE_BUSY", 1])
    }).pipe(Effect.scoped)
  )

  it.live("is read all the same", () =>
    Effect.gen(function* () {
      const { other, path } = yield* twoProcesses({ driver })
      const readers = yield* readerOn(path, { driver, busyTimeout: 0 })
      yield* other.exec("begin exclusive; insert into numbers values (7)")
      const count = yield* ConnectionPool.use(readers, (reader) => valueOf(reader, "select count(*) from numbers"))
      assert.strictEqual(count, 0)
    }).pipe(Effect.scoped)
  )

  it.live("is waited for by whoever begins a transaction, until he is interrupted", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver })
      yield* other.exec("begin immediate")
      const fiber = yield* Effect.forkChild(ConnectionPool.use(pool, (writer) => writer.transaction(Effect.void)))
      yield* eventually(busy(pool), (times) => times >= 3)
      const [exit, millis] = yield* timed(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)))
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.isBelow(millis, 500)
    }).pipe(Effect.scoped)
  )

  it.live("is waited for by a SqlClient's transaction, until it is interrupted", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const story = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const other = yield* otherProcess(path)
        yield* other.exec("begin immediate")
        const fiber = yield* Effect.forkChild(sql.withTransaction(Effect.void))
        yield* eventually(Effect.flatMap(Db.write, busy), (times) => times >= 3)
        const [exit, millis] = yield* timed(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)))
        assert.isTrue(Exit.hasInterrupts(exit))
        assert.isBelow(millis, 500)
      })
      yield* Effect.provide(story, Layer.provideMerge(Sqlite.layerSqlClientFrom(Db), dbLive({ path, driver })))
    }).pipe(Effect.scoped)
  )

  it.live("is opened when the lock is gone, although opening takes the lock itself", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const other = yield* otherProcess(path)
      // Not in WAL mode yet: whoever sets it has to be alone.
      yield* other.exec(`${createNumbers}; begin exclusive`)
      const opening = yield* Effect.forkChild(
        Effect.flatMap(writerOn(path, { driver }), (pool) =>
          ConnectionPool.use(pool, (writer) => valueOf(writer, "pragma journal_mode"))
        )
      )
      // A round trip to the other process: the writer has knocked at least once by then.
      yield* other.exec("insert into numbers values (1); commit")
      assert.strictEqual(yield* Fiber.join(opening), "wal")
    }).pipe(Effect.scoped)
  )

  it.live("costs no write of either process, when both write all the time", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver })
      const ours = Effect.replicateEffect(insert(pool), 100, { concurrency: 10, discard: true })
      const theirs = Effect.replicateEffect(
        other.exec("insert into numbers values (2)").pipe(Effect.retry({ times: 50 })),
        100,
        {
          discard: true
        }
      )
      yield* Effect.all([ours, theirs], { concurrency: 2 })
      const rows = yield* ConnectionPool.use(pool, (writer) =>
        writer.queryValues("select n, count(*) from numbers group by n order by n")
      )
      assert.deepStrictEqual(rows, [
        [1, 100],
        [2, 100]
      ])
    }).pipe(Effect.scoped)
  )
})

onEachDriver("a transaction that has read before it writes", (driver) => {
  const increment = "update numbers set n = n + 1"

  it.live("fails at once, and is not retried, if somebody has written in between", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(path, { driver }, { minConnections: 2, maxConnections: 2 })
      const outcome = yield* ConnectionPool.use(pool, (one) =>
        Effect.andThen(
          one.script(`${createNumbers}; insert into numbers values (0)`),
          ConnectionPool.use(pool, (other) =>
            timed(Effect.flip(one.snapshot(Effect.andThen(other.execute(increment), one.execute(increment)))))
          )
        )
      )
      const [error, millis] = outcome
      const n = yield* ConnectionPool.use(pool, (writer) => valueOf(writer, "select n from numbers"))
      assert.deepStrictEqual([Sqlite.resultCode(error), n], ["SQLITE_BUSY_SNAPSHOT", 1])
      assert.isBelow(millis, 1000)
    }).pipe(Effect.scoped)
  )

  it.live("does not wait for a lock: what it has read would be out of date", () =>
    Effect.gen(function* () {
      const { other, pool } = yield* twoProcesses({ driver })
      yield* other.exec("begin immediate")
      const error = yield* Effect.flip(
        ConnectionPool.use(pool, (writer) => writer.snapshot(writer.execute("insert into numbers values (1)")))
      )
      assert.deepStrictEqual([Sqlite.resultCode(error), yield* busy(pool)], ["SQLITE_BUSY", 1])
    }).pipe(Effect.scoped)
  )

  it.live("that begins IMMEDIATE does not meet that", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const pool = yield* writerOn(path, { driver }, { minConnections: 2, maxConnections: 2 })
      yield* ConnectionPool.use(pool, (one) => one.script(`${createNumbers}; insert into numbers values (0)`))
      const transfer = ConnectionPool.use(pool, (one) =>
        one.transaction(
          Effect.gen(function* () {
            const n = Number(yield* valueOf(one, "select n from numbers"))
            yield* Effect.yieldNow
            yield* one.execute("update numbers set n = ?", [n + 1])
          })
        )
      )
      yield* Effect.replicateEffect(transfer, 20, { concurrency: "unbounded" })
      assert.strictEqual(yield* ConnectionPool.use(pool, (writer) => valueOf(writer, "select n from numbers")), 20)
    }).pipe(Effect.scoped)
  )
})

describe("a snapshot that is held open", () => {
  it.live("keeps the log from being emptied, and no longer than it is held", () =>
    Effect.gen(function* () {
      const path = yield* newFile
      const story = Effect.gen(function* () {
        const logSize = Effect.sync(() => Fs.statSync(`${path}-wal`).size)
        const fill = Db.write.use((writer) =>
          writer.execute("insert into blobs select zeroblob(100000) from (values (1), (2), (3), (4), (5))")
        )
        const truncate = Db.write.use((writer) => valueOf(writer, "pragma wal_checkpoint(truncate)"))
        yield* Db.write.use((writer) => writer.script("create table blobs (b blob)"))
        const held = yield* Db.read.use((reader) =>
          reader.snapshot(Effect.andThen(Effect.andThen(fill, truncate), Effect.all([truncate, logSize])))
        )
        const after = yield* Effect.all([truncate, logSize])
        assert.deepStrictEqual([held[0], held[1] > 500_000, after], [1, true, [0, 0]])
      })
      yield* Effect.provide(story, dbLive({ path }))
    })
  )
})
