import { assert, describe, it } from "@effect/vitest"
import { sessionEffectOf } from "../../src/connectors/PostgresStatement.ts"

const leaves = (sql: string): boolean => sessionEffectOf(sql) === "lasts"

const leavesNothing = [
  "select 1",
  "SELECT * from orders where id = $1",
  "Select 1;",
  "insert into orders (id) values (1) returning id",
  "update orders set total = 1",
  "delete from orders",
  "merge into orders using news on orders.id = news.id when matched then do nothing",
  "values (1), (2)",
  "table orders",
  "with recent as (select 1) select * from recent",
  "show statement_timeout",
  "insert into temperatures values (1)",
  "insert into templates values (1)"
]

const leavesSomething = [
  "set search_path = app",
  "set local work_mem = '1GB'",
  "set role reader",
  "reset all",
  "listen orders",
  "unlisten *",
  "create temp table t (id int)",
  "create table t (id int)",
  "prepare p as select 1",
  "execute p",
  "deallocate all",
  "declare c cursor with hold for select 1",
  "discard all",
  "lock table orders",
  "load 'auto_explain'",
  "do $$ begin perform set_config('a.b', 'c', false); end $$",
  "call procedure()",
  "explain analyze create temp table scratch as select 1"
]

describe("what a statement leaves in its session", () => {
  it.each(leavesNothing)("%s: leaves nothing behind", (sql) => {
    assert.isFalse(leaves(sql))
  })

  it.each(leavesSomething)("%s: may leave something behind", (sql) => {
    assert.isTrue(leaves(sql))
  })

  it.each([
    "select set_config('search_path', 'app', false)",
    "select pg_catalog.set_config('search_path', 'app', false)",
    "SELECT Set_Config('search_path', 'app', false)",
    "with s as (select set_config('search_path', 'app', false)) select * from s",
    "update orders set total = 1 where set_config('a.b', 'c', false) = 'c'"
  ])("%s: a plain statement may set a setting", (sql) => {
    assert.isTrue(leaves(sql))
  })

  it.each([
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_lock(1)",
    "select pg_advisory_lock_shared(1, 2)",
    "select pg_advisory_unlock_all()",
    "insert into locks select pg_try_advisory_lock_shared(7)"
  ])("%s: a plain statement may take a lock of the session", (sql) => {
    assert.isTrue(leaves(sql))
  })

  it.each([
    "select 1 as one into temp t",
    "select 1 as one into temporary t",
    "select 1 as one into local temp t",
    "select 1 as one INTO GLOBAL\nTEMPORARY t",
    "select 1 as one into pg_temp.t",
    "select 1 as one into/**/temp t"
  ])("%s: a plain statement may make a temporary table", (sql) => {
    assert.isTrue(leaves(sql))
  })

  it.each([
    "  select 1",
    "\n\tselect 1",
    "-- find it\nselect 1",
    "--\nselect 1",
    "/* find it */ select 1",
    "/* over\n two lines */\n-- and one more\n select 1",
    "(select 1) union (select 2)",
    "( ( select 1 ) )"
  ])("%j: what stands before the first word does not hide it", (sql) => {
    assert.isFalse(leaves(sql))
  })

  it.each([
    "-- select\nset role reader",
    "/* select */ begin",
    "/* select 1 */ -- select\n listen orders",
    "/* a */ prepare p as /* b */ select 1",
    "/* a */ create table t as /* b */ select 1",
    "/* a /* b */ select */ set role reader",
    "selection",
    "selects 1",
    "showcase",
    "",
    "   ",
    "-- nothing",
    ";"
  ])("%j: a word that only looks like a plain one does not pass for it", (sql) => {
    assert.isTrue(leaves(sql))
  })

  it("gives the same answer when it is asked again", () => {
    for (let round = 0; round < 3; round++) {
      assert.isFalse(leaves("select 'again'"))
      assert.isTrue(leaves("set application_name = 'again'"))
    }
  })

  it("keeps answering rightly when there are more statements than it remembers", () => {
    for (let n = 0; n < 5000; n++) {
      assert.isFalse(leaves(`select ${n}`))
      assert.isTrue(leaves(`set work_mem = ${n}`))
    }
    assert.isFalse(leaves("select 0"))
    assert.isTrue(leaves("set work_mem = 0"))
  })

  // Each of these would keep a matcher that backtracks busy until the end of days, and this test with it.
  it.each([
    ["a long comment", `/*${"*".repeat(100_000)}*/ select ${"1, ".repeat(100_000)}1`, false],
    ["many comments before a plain word", `${"/* c */ ".repeat(10_000)}select 1`, false],
    ["many comments before another word", `${"/* c */ ".repeat(10_000)}create table t ()`, true],
    ["many parentheses", `${" (".repeat(100_000)}set role reader`, true],
    ["comments that never close", "/* never closed".repeat(50_000), true],
    ["line comments that lead nowhere", "--\n".repeat(100_000), true]
  ])("answers for %s", (_, sql, expected) => {
    assert.strictEqual(leaves(sql), expected)
  })
})

const begins = [
  "begin",
  "BEGIN;",
  " begin work ",
  "begin transaction isolation level serializable",
  "begin isolation level repeatable read, read only, deferrable",
  "begin read write",
  "start transaction",
  "START TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY;"
]
const ends = [
  "commit",
  "COMMIT;",
  "commit work",
  "end",
  "end transaction",
  "rollback",
  "abort",
  "rollback and no chain"
]
const within = [
  "savepoint here",
  "release here",
  "release savepoint here",
  "rollback to here",
  "rollback to savepoint effect_sql_1",
  "ROLLBACK WORK TO SAVEPOINT here;"
]
const more = [
  "commit and chain",
  "rollback and chain",
  "begin; set role reader",
  "begin read only; listen orders",
  "commit; set role reader",
  "commit prepared 'seven'",
  "rollback prepared 'seven'",
  "begin isolation level snapshot",
  "rollback to here; set role reader",
  "savepoint a; begin",
  "set transaction isolation level serializable",
  "prepare transaction 'seven'",
  "beginning",
  `begin${" ".repeat(100_000)}read only${" ".repeat(100_000)}x`
]

describe("what a statement does to a transaction", () => {
  it.each(begins)("%s: begins one", (sql) => {
    assert.strictEqual(sessionEffectOf(sql), "begins")
  })

  it.each(ends)("%s: ends it", (sql) => {
    assert.strictEqual(sessionEffectOf(sql), "ends")
  })

  it.each(within)("%s: leaves nothing that its end would not take", (sql) => {
    assert.strictEqual(sessionEffectOf(sql), "nothing")
  })

  it.each(more)("%j: may do more than that", (sql) => {
    assert.strictEqual(sessionEffectOf(sql), "lasts")
  })
})
