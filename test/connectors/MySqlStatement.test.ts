import { assert, describe, it } from "@effect/vitest"
import { sessionEffectOf } from "../../src/connectors/MySqlStatement.ts"

describe("what a statement does to its MySQL session", () => {
  it.each([
    "select 1",
    "SELECT * from orders where id = ?",
    "Select 1;",
    "(select 1) union (select 2)",
    "-- a comment\nselect 1",
    "# another\n  select 1",
    "/* a comment */ select @@version",
    "insert into orders (id) values (1)",
    "replace into orders values (1)",
    "update orders set total = 1",
    "delete from orders",
    "with recent as (select 1) select * from recent",
    "show status",
    "do sleep(0)",
    "insert into temperatures values (1)",
    "savepoint a",
    "release savepoint `a`",
    "rollback to savepoint a"
  ])("%s: nothing", (sql) => {
    assert.strictEqual(sessionEffectOf(sql), "nothing")
  })

  it.each([
    "set sql_mode = ''",
    "set @a = 1",
    "select @a := 1",
    "select 1 into @a",
    "select get_lock('a', 0)",
    "do get_lock('a', 0)",
    "create temporary table t (id int)",
    "create table t (id int)",
    "call procedure_of_ours()",
    "lock tables orders write",
    "prepare p from 'select 1'",
    "handler orders open",
    "set transaction isolation level serializable",
    "commit and chain",
    "commit release",
    "select 1; set @@sql_mode = ''",
    "/*! set sql_mode = */ (select '')",
    "/*M!100000 set sql_mode = */ (select '')",
    "/*!50000 set */ select 1",
    "xa start 'a'"
  ])("%s: may leave something", (sql) => {
    assert.strictEqual(sessionEffectOf(sql), "lasts")
  })

  it.each([
    ["begin", "begins"],
    ["START TRANSACTION", "begins"],
    ["start transaction read only", "begins"],
    ["start transaction with consistent snapshot, read write;", "begins"],
    ["commit", "commits"],
    ["COMMIT WORK AND NO CHAIN;", "commits"],
    ["rollback", "rollsBack"],
    ["use other", "moves"]
  ])("%s: %s", (sql, effect) => {
    assert.strictEqual(sessionEffectOf(sql), effect)
  })

  it.each([
    "/*".repeat(50_000),
    "(".repeat(100_000),
    "-- \n".repeat(50_000),
    "begin ".repeat(30_000),
    " ".repeat(100_000)
  ])("is judged in a moment, however long it is", (sql) => {
    const started = performance.now()
    sessionEffectOf(sql)
    assert.isBelow(performance.now() - started, 200)
  })
})
