import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import { PoolList } from "../../src/http/PoolApi.ts"
import { PoolReport } from "../../src/PoolReport.ts"
import { run } from "./CommandLine.ts"
import { brokenPool, deserted, listen, pool, serve, token, withPools } from "./PoolServers.ts"

const operator = { EFFECT_POOL_TOKEN: token }

describe("effect-pool status", () => {
  it.live("is a table of all pools, and the report of the one that is named", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("localhost:5432/orders")
        yield* pool("audit")
        const { url } = yield* serve()
        const table = yield* run(["status", url])
        assert.deepStrictEqual([table.exitCode, table.error], [0, ""])
        assert.match(table.out, /✓ pass {2}ready {2}healthy +0 of 10 +1 +0 +0 ms {2}localhost:5432\/orders\n/)
        assert.match(table.out, / {2}audit\n/)
        const one = yield* run(["status", `${url}/console`, "localhost:5432/orders"])
        assert.strictEqual(one.exitCode, 0)
        assert.match(one.out, /^localhost:5432\/orders {2}\d{4}-/)
        assert.include(one.out, "✓ pass  ready  healthy")
      })
    )
  )

  it.live("prints what the API says with --json, on one line", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("or\x9b31mders\u202e")
        const { url } = yield* serve()
        const list = yield* run(["status", url, "--json"])
        const { pools } = yield* Schema.decodeEffect(Schema.fromJsonString(PoolList))(list.out)
        assert.deepStrictEqual(
          pools.map(({ key }) => key),
          ["or\x9b31mders\u202e"]
        )
        const one = yield* run(["status", url, pools[0]!.key, "--json"])
        const report = yield* Schema.decodeEffect(Schema.fromJsonString(PoolReport))(one.out)
        assert.strictEqual(report.state, "ready")
        assert.match(one.out, /^[^\p{Cc}\p{Cf}]+\n$/u)
      })
    )
  )

  it.live("ends with 1, and no message, if a pool does not do its work", () =>
    withPools(
      Effect.gen(function* () {
        yield* brokenPool("orders")
        const { url } = yield* serve()
        for (const args of [
          ["status", url],
          ["status", url, "orders"],
          ["status", url, "orders", "--json"]
        ]) {
          const { error, exitCode, out } = yield* run(args)
          assert.deepStrictEqual([exitCode, error], [1, ""])
          assert.include(out, "fail")
        }
      })
    )
  )

  it.live("ends with 2 if there is no report: nobody listens, no such pool, another server, no token", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        const { url } = yield* serve({ readToken: Redacted.make("another") })
        const gone = yield* deserted
        const nobody = yield* run(["status", `${gone.replace("//", "//ada:secret@")}/ops/`])
        assert.deepStrictEqual([nobody.exitCode, nobody.out], [2, ""])
        assert.include(nobody.error, `cannot reach ${gone}/ops: connection refused`)
        assert.notInclude(nobody.error, "secret")
        assert.notInclude(nobody.error, "    at ")
        const unknown = yield* run(["status", url, "nix"], operator)
        assert.strictEqual(unknown.exitCode, 2)
        assert.include(unknown.error, "No such pool")
        assert.include(unknown.error, "there are: orders")
        const stranger = yield* run(["status", url, "orders"])
        assert.strictEqual(stranger.exitCode, 2)
        assert.include(stranger.error, "EFFECT_POOL_TOKEN")
        const elsewhere = yield* run(["status", `${url}/ops`], operator)
        assert.strictEqual(elsewhere.exitCode, 2)
        assert.include(elsewhere.error, "not as effect-pool does (status 404)")
      })
    )
  )

  it.live("says of a page that is no API that it is none", () =>
    Effect.gen(function* () {
      const page = HttpRouter.add("GET", "/pools", HttpServerResponse.text("<html>", { contentType: "text/html" }))
      const { url } = yield* listen(page)
      const { error, exitCode } = yield* run(["status", url])
      assert.strictEqual(exitCode, 2)
      assert.include(error, "answers, but not as effect-pool does")
    }).pipe(Effect.scoped)
  )
})

describe("the actions", () => {
  it.live("are done, and said", () =>
    withPools(
      Effect.gen(function* () {
        const orders = yield* pool("localhost:5432/orders")
        const { url } = yield* serve()
        const act = (name: string, ...more: ReadonlyArray<string>) =>
          run([name, url, "localhost:5432/orders", ...more], operator)
        const [connection] = yield* ConnectionPool.connections(orders)
        const evicted = yield* act("evict", String(connection?.id))
        assert.strictEqual(evicted.out, `evict connection ${connection?.id}\n`)
        const resized = yield* act("resize", "--min", "2", "--max", "20")
        assert.deepStrictEqual([resized.exitCode, resized.error], [0, ""])
        assert.match(resized.out, /^resize to minConnections 2, maxConnections 20/)
        const { maxConnections, minConnections } = yield* ConnectionPool.status(orders)
        assert.deepStrictEqual([minConnections, maxConnections], [2, 20])
        assert.strictEqual((yield* act("pause", "--fail")).out, "pause: acquires fail\n")
        assert.strictEqual((yield* ConnectionPool.status(orders)).state, "paused")
        assert.strictEqual((yield* act("resume")).out, "resume\n")
        assert.strictEqual((yield* act("recycle", "--interrupt")).out, "recycle, lent connections too\n")
        assert.match((yield* act("check-idle")).out, /^\d+ checked, 0 of them failed, \d+ skipped\n$/)
        assert.strictEqual((yield* act("capture-stacks")).out, "capture stacks for 5 minutes\n")
        assert.match((yield* act("drain", "--yes", "--deadline", "10s")).out, /^drain, borrowers may finish for 10s\n$/)
        assert.include(["draining", "closed"], (yield* ConnectionPool.status(orders)).state)
      })
    )
  )

  it.live("that a server refuses end with 1, and each problem on a line of its own", () =>
    withPools(
      Effect.gen(function* () {
        yield* pool("orders")
        const { url } = yield* serve()
        const refused = yield* run(["resize", url, "orders", "--min", "50", "--max", "2"], operator)
        assert.deepStrictEqual([refused.exitCode, refused.out], [1, ""])
        assert.match(refused.error, /The pool cannot do that: .*\n +minConnections: got 50, expected at most/)
        const evicted = yield* run(["evict", url, "orders", "999"], operator)
        assert.deepStrictEqual([evicted.exitCode, evicted.out], [1, ""])
        assert.include(evicted.error, "connection: 999 is not there")
        const stranger = yield* run(["pause", url, "orders"])
        assert.strictEqual(stranger.exitCode, 1)
        assert.include(stranger.error, "EFFECT_POOL_TOKEN")
      })
    )
  )

  it.effect("are not asked for at all while something is missing or wrong", () =>
    Effect.gen(function* () {
      const url = "http://127.0.0.1:1"
      const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, message: string]> = [
        [["resize", url, "orders"], "say --min, --max or both"],
        [["resize", url, "orders", "--max", "0"], "expected 1 to 1000000, got 0"],
        [["resize", url, "orders", "--max", "many"], "many"],
        [["evict", url, "orders", "0"], "connections are numbered from 1"],
        [["evict", url, "orders"], "connection"],
        [["capture-stacks", url, "orders", "--minutes", "61"], "expected 0 to 60, got 61"],
        [["drain", url, "orders"], "Say --yes"],
        [["drain", url, "orders", "--yes", "--deadline", "soon"], "--deadline: got soon, expected a duration"],
        [["drain", url, "orders", "--yes", "--deadline", "-1"], "--deadline: got -1, expected a duration"],
        [["pause", url], "pool"],
        [["pause", "ftp://host", "orders"], "<url>: got ftp://host"]
      ]
      for (const [args, message] of wrong) {
        const { error, exitCode, out } = yield* run(args, operator)
        assert.deepStrictEqual([exitCode, out.includes("done")], [1, false], args.join(" "))
        assert.include(error, message)
        assert.notInclude(error, "cannot reach")
      }
    })
  )
})

describe("the token", () => {
  it.effect("is not sent where others can read it, unless that is wanted", () =>
    Effect.gen(function* () {
      const refused = yield* run(["status", "http://10.255.255.1:9464"], operator)
      assert.strictEqual(refused.exitCode, 2)
      assert.include(refused.error, "EFFECT_POOL_TOKEN is not sent over plain http")
      assert.notInclude(refused.error, token)
    })
  )
})
