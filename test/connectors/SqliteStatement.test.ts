import { assert, describe, it } from "@effect/vitest"
import { looksLikeReading, verbOf } from "../../src/connectors/SqliteStatement.ts"

describe("what a statement's first word says", () => {
  const known = {
    "select 1": "read",
    "  \n SELECT 1": "read",
    "-- why\nselect 1": "read",
    "/* begin */ select 1": "read",
    ";; select 1": "read",
    "values (1)": "read",
    "with a as (select 1) delete from b": "with",
    "insert into a values (1)": "write",
    "replace into a values (1)": "write",
    begin: "begin",
    "release savepoint a": "control",
    rollback: "rollback",
    "rollback transaction": "rollback",
    "rollback to savepoint a": "control",
    "ROLLBACK TRANSACTION TO a": "control",
    "pragma foreign_keys": "ask",
    "pragma foreign_keys = off": "other",
    "pragma foreign_keys(off)": "other",
    "pragma wal_checkpoint(truncate)": "other",
    "create temp table a (b)": "other",
    "attach 'a' as b": "other",
    constructor: "other",
    "": "other",
    "-- nothing": "other"
  }
  for (const [sql, verb] of Object.entries(known)) {
    it(`${JSON.stringify(sql)} is ${verb}`, () => assert.strictEqual(verbOf(sql), verb))
  }
})

describe("what goes to a reader", () => {
  const known = {
    "select 1": true,
    "with a as (select 1) select * from a": true,
    "explain select 1": true,
    "select last_insert_rowid()": false,
    "select total_changes ()": false,
    "insert into a values (1) returning *": false,
    "pragma table_info(a)": false,
    "pragma foreign_keys": false,
    begin: false
  }
  for (const [sql, isReading] of Object.entries(known)) {
    it(`${isReading ? "takes" : "does not take"} ${sql}`, () => assert.strictEqual(looksLikeReading(sql), isReading))
  }
})
