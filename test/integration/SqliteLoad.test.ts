/** A thousand fibers on one writer, and readers beside it that count the money all the time. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Random } from "effect"
import { SqlClient } from "effect/sql"
import * as Sqlite from "../../src/connectors/Sqlite.ts"
import { Db, dbLive, onEachDriver, valueOf } from "./SqliteFixture.ts"

const accounts = 50
const each = 1000
const fibers = 1000
const readers = 8

const open = Db.write.use((writer) =>
  writer.script(`
    create table accounts (id integer primary key, balance integer not null check (balance >= 0));
    with recursive r(i) as (select 1 union all select i + 1 from r where i < ${accounts}) insert into accounts select i, ${each} from r;
    create table transfers (id integer primary key, sender integer, receiver integer, amount integer);
  `)
)

const chosen = Effect.all([
  Random.nextIntBetween(1, accounts, { halfOpen: false }),
  Random.nextIntBetween(1, accounts, { halfOpen: false }),
  Random.nextIntBetween(1, 400)
])

/** Every tenth fails at the end, and every tenth is left in the middle by its fiber's interruption. */
const transfer = Effect.fnUntraced(function* (id: number) {
  const [sender, receiver, amount] = yield* chosen
  yield* Db.write.use((writer) =>
    writer.transaction(
      Effect.gen(function* () {
        yield* writer.execute("update accounts set balance = balance - ? where id = ?", [amount, sender])
        yield* Effect.yieldNow
        if (id % 10 === 1) return yield* Effect.interrupt
        yield* writer.execute("update accounts set balance = balance + ? where id = ?", [amount, receiver])
        yield* writer.execute("insert into transfers values (?, ?, ?, ?)", [id, sender, receiver, amount])
        if (id % 10 === 2) return yield* Effect.fail("changed my mind")
      })
    )
  )
})

/** The sum, asked for in two ways at one moment. */
const countMoney = Db.read.use((reader) =>
  reader.snapshot(
    Effect.gen(function* () {
      const sum = Number(yield* valueOf(reader, "select sum(balance) from accounts"))
      yield* Effect.yieldNow
      const rows = yield* reader.query("select balance from accounts")
      return [sum, rows.reduce((total, { balance }) => total + Number(balance), 0)] as const
    })
  )
)

onEachDriver("a thousand fibers on one writer, and eight readers", (driver) => {
  it.live("move money around and never see more or less of it", () =>
    Effect.gen(function* () {
      yield* open
      const sums = new Set<number>()
      let reads = 0
      const count = Effect.map(countMoney, (counted) => {
        reads++
        for (const sum of counted) sums.add(sum)
      })
      const counting = yield* Effect.forkChild(
        Effect.replicateEffect(Effect.forever(count), readers, { concurrency: readers, discard: true })
      )
      const exits = yield* Effect.forEach(
        Array.from({ length: fibers }, (_, id) => id),
        (id) => Effect.exit(transfer(id)),
        {
          concurrency: "unbounded"
        }
      )
      yield* Fiber.interrupt(counting)
      const committed = exits.flatMap((exit, id) => (Exit.isSuccess(exit) ? [id] : []))
      const kept = yield* Db.read.use((reader) => reader.queryValues("select id from transfers order by id"))
      const negative = yield* Db.read.use((reader) =>
        valueOf(reader, "select count(*) from accounts where balance < 0")
      )
      const { read, write } = yield* Db.status
      assert.deepStrictEqual([...sums], [accounts * each])
      assert.deepStrictEqual(
        kept.map(([id]) => id),
        committed
      )
      assert.deepStrictEqual([negative, read.inUse, write.inUse, write.waiting, write.created], [0, 0, 0, 0, 1])
      assert.isAbove(reads, readers)
      assert.isAbove(committed.length, fibers / 2)
    }).pipe(Effect.provide(dbLive({ driver, readers, write: { acquireTimeout: "30 seconds" } })))
  )

  it.live("do the same through a SqlClient", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* open
      const move = Effect.fnUntraced(function* (id: number) {
        const [sender, receiver, amount] = yield* chosen
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* sql`update accounts set balance = balance - ${amount} where id = ${sender}`
            yield* sql`update accounts set balance = balance + ${amount} where id = ${receiver}`
            yield* sql`insert into transfers values (${id}, ${sender}, ${receiver}, ${amount})`
          })
        )
        const [row] = yield* sql<{ readonly sum: number }>`select sum(balance) as sum from accounts`
        return row?.sum
      })
      const exits = yield* Effect.forEach(
        Array.from({ length: fibers }, (_, id) => id),
        (id) => Effect.exit(move(id)),
        {
          concurrency: "unbounded"
        }
      )
      const sums = new Set(exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : [])))
      const [kept] = yield* sql`select count(*) as n from transfers`
      assert.deepStrictEqual([[...sums], kept?.["n"]], [[accounts * each], exits.filter(Exit.isSuccess).length])
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          Sqlite.layerSqlClientFrom(Db),
          dbLive({ driver, readers, write: { acquireTimeout: "30 seconds" }, read: { acquireTimeout: "30 seconds" } })
        )
      )
    )
  )
})
