import { assert, describe, it } from "@effect/vitest"
import { isString } from "effect/Predicate"
import { verdictOn } from "../../src/connectors/PgBouncerStatement.ts"

/** The state that it would leave, or what it does to the transaction. */
const outcome = (sql: string): string => {
  const verdict = verdictOn(sql)
  return isString(verdict) ? verdict : `refused: ${verdict.state}`
}

const harmless = [
  "select 1",
  "insert into orders (id) values ($1) returning id",
  "update orders set total = 1",
  "insert into temp (id) values (1)",
  "insert into temp select 1",
  "select * into orders_2026 from orders",
  "create table orders (id int)",
  "create table temperatures (id int)",
  "create index on orders (id)",
  "create trigger t before insert on orders for each row execute function f()",
  "create function f() returns void as $$ begin perform pg_advisory_lock(1); end $$ language plpgsql",
  "lock table orders",
  "notify orders, 'one'",
  "select pg_notify('orders', 'listen')",
  "show search_path",
  "set local app.tenant = 'seven'",
  "SET /* of the transaction */ LOCAL app.tenant = 'seven'",
  "set transaction isolation level serializable",
  "set constraints all deferred",
  "select set_config('app.tenant', $1, true)",
  "select set_config('a.b', $1, true), set_config('a.c', $2, true)",
  "select pg_advisory_xact_lock(1)",
  "select pg_try_advisory_xact_lock_shared(1, 2)",
  "declare c cursor for select 1",
  "create temp table t (id int) on commit drop",
  "create local temporary table t on commit drop as select 1",
  "savepoint a",
  "rollback to savepoint a",
  "rollback to a",
  "rollback work to a",
  "release a",
  "commit prepared 'a'",
  "rollback prepared 'a'",
  "explain select 1",
  "select 'set search_path = app; listen orders; pg_advisory_lock(1)'",
  "select E'\\'', 'pg_advisory_lock(1)'",
  "select $$ pg_advisory_lock(1) $$",
  "select $tag$ $$ pg_advisory_lock(1) $tag$",
  "select 1 -- pg_advisory_lock(1)",
  "select 1 /* one /* two */ pg_advisory_lock(1) */",
  'select 1 as "pg_advisory_lock"',
  "do $$ begin perform set_config('a.b', 'c', false); end $$"
]

const refusals: Readonly<Record<string, ReadonlyArray<string>>> = {
  setting: [
    "set search_path = app",
    "SET\n\tsearch_path TO app",
    "/* first */ set search_path = app",
    "-- first\nset search_path = app",
    "set session app.tenant = 'seven'",
    "set session characteristics as transaction read only",
    "set session authorization reader",
    "set role reader",
    "set time zone 'UTC'",
    "reset all",
    "reset role",
    "discard all",
    "select set_config('search_path', 'app', false)",
    "select set_config('search_path', 'app', $1)",
    "select set_config('a.b', 'c', true), pg_catalog.set_config('a.b', 'c', false)",
    "update orders set total = 1 where set_config('a.b', 'c', false) = 'c'"
  ],
  listener: ["listen orders", 'LISTEN "orders"', "unlisten *"],
  "prepared statement": [
    "prepare p as select 1",
    "execute p",
    "deallocate all",
    "explain analyze execute p",
    "create table t as execute p"
  ],
  "temporary object": [
    "create temp table t (id int)",
    "create temporary table t (id int) on commit delete rows",
    "create or replace temp view v as select 1",
    "create temp sequence s",
    "create table pg_temp.t (id int)",
    "create function pg_temp.f() returns int as 'select 1' language sql",
    "select 1 into temp t",
    "select * into temporary table t from orders",
    "explain (analyze, verbose) create temp table t as select 1"
  ],
  "advisory lock": [
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_lock(1)",
    "select pg_advisory_lock_shared (1)",
    "select pg_catalog.pg_advisory_unlock_all()",
    'select "pg_advisory_lock"(1)',
    "with l as (select pg_advisory_lock(1)) select * from l",
    "insert into orders select pg_try_advisory_lock(1)::int"
  ],
  cursor: ["declare c cursor with hold for select 1"],
  library: ["load 'auto_explain'"]
}

const transactions: Readonly<Record<string, ReadonlyArray<string>>> = {
  begins: ["begin", "BEGIN;", "start transaction isolation level serializable", "begin read only"],
  ends: ["commit", "end", "rollback", "abort work", "commit and no chain;", "prepare transaction 'a'"],
  lasts: ["commit and chain", "rollback transaction and chain"]
}

describe("what a statement does behind a proxy in transaction mode", () => {
  it.each(harmless)("%s: leaves nothing", (sql) => {
    assert.match(outcome(sql), /^nothing$/)
  })

  for (const [state, statements] of Object.entries(refusals)) {
    it.each(statements)(`%s: is refused, for it would leave a ${state}`, (sql) => {
      assert.strictEqual(outcome(sql), `refused: ${state}`)
    })
  }

  for (const [effect, statements] of Object.entries(transactions)) {
    it.each(statements)(`%s: ${effect}`, (sql) => {
      assert.strictEqual(outcome(sql), effect)
    })
  }

  it("shows none of a statement's literals", () => {
    const verdict = verdictOn("set app.secret = 'hunter2' -- hunter2")
    assert.deepStrictEqual(verdict, { state: "setting", words: "set app.secret = ''" })
  })

  it("takes a moment for a statement of a megabyte that nothing ends", () => {
    for (const part of ["$a$", "'", "/*", '"', "-- \n", "$", "set_config(", "create "]) {
      const began = performance.now()
      verdictOn(`create ${part.repeat(1_000_000 / part.length)}`)
      assert.isBelow(performance.now() - began, 2000, part)
    }
  })
})
