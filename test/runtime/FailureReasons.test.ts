import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect } from "effect"
import { ConnectionPool, Connector, PoolReport } from "../../src/index.ts"
import { reasonFor } from "../../src/runtime/FailureReasons.ts"

const coded = (code: string, message = "it failed"): Error => Object.assign(new Error(message), { code })

describe("the reason of a failed connect", () => {
  const errors: ReadonlyArray<readonly [string, unknown, string]> = [
    ["refused", coded("ECONNREFUSED"), "ECONNREFUSED"],
    ["refused", coded("ENOENT"), "a Unix socket that is not there"],
    ["timeout", coded("ETIMEDOUT"), "ETIMEDOUT"],
    ["timeout", new Cause.TimeoutError("no answer within 5s"), "the pool's own timeout"],
    ["dns", coded("ENOTFOUND"), "ENOTFOUND"],
    ["dns", coded("EAI_AGAIN"), "EAI_AGAIN"],
    ["tls", coded("DEPTH_ZERO_SELF_SIGNED_CERT"), "a certificate nobody has signed"],
    ["tls", coded("ERR_TLS_CERT_ALTNAME_INVALID"), "a certificate of another host"],
    ["auth", coded("28P01"), "PostgreSQL's wrong password"],
    ["auth", coded("ER_ACCESS_DENIED_ERROR"), "MySQL's wrong password"],
    ["too_many_connections", coded("53300"), "PostgreSQL's limit"],
    ["too_many_connections", coded("ER_CON_COUNT_ERROR"), "MySQL's limit"],
    ["reset", coded("ECONNRESET"), "ECONNRESET"],
    ["refused", new Error("failed", { cause: coded("ECONNREFUSED") }), "a cause within a cause"],
    ["refused", new AggregateError([coded("ECONNREFUSED")], ""), "one error for each address"],
    ["auth", new Error("NOAUTH Authentication required: password"), "words only"],
    ["other", new Error("the moon is in the wrong house"), "something else"],
    ["other", undefined, "no error at all"]
  ]
  for (const [reason, error, name] of errors) {
    it(`is ${reason}: ${name}`, () => {
      assert.strictEqual(reasonFor(error, "transient", error instanceof Error ? error.message : ""), reason)
    })
  }

  it("is the server's lack of room where the connector says so, whatever the code", () => {
    assert.strictEqual(reasonFor(coded("XX000"), "overloaded", ""), "too_many_connections")
  })

  it.effect("counts failures, and the attempts that follow them", () =>
    Effect.gen(function* () {
      const connector = Connector.make({ name: "nowhere", connect: Effect.fail(coded("ENOTFOUND")) })
      const pool = yield* ConnectionPool.make(connector, { startup: "background", minConnections: 1, drainTimeout: 0 })
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      const { failedFor, failures, retriedFor } = yield* PoolReport.of(pool)
      assert.deepStrictEqual([failedFor.dns, retriedFor.dns, failures[0]?.reason], [1, 0, "dns"])
    })
  )

  it.effect("of an error that throws when it is looked into is other", () =>
    Effect.gen(function* () {
      const hostile = new Proxy(
        {},
        {
          get: () => {
            throw new Error("no")
          },
          has: () => {
            throw new Error("no")
          }
        }
      )
      const connector = Connector.make({ name: "hostile", connect: Effect.fail(hostile) })
      const pool = yield* ConnectionPool.make(connector, { startup: "background", minConnections: 1, drainTimeout: 0 })
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      const { failures } = yield* PoolReport.of(pool)
      assert.deepStrictEqual([failures[0]?.reason, failures[0]?.message], ["other", "an error that cannot be shown"])
    })
  )
})
