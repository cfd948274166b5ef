/** A server that has no room for more says so once, and each of many pools makes do with fewer. */
import { assert, describe, it } from "@effect/vitest"
import { ServerLimit } from "../../src/engine/ServerLimit.ts"
import type { SizingPolicy } from "../../src/engine/SizingPolicy.ts"
import { EngineDriver } from "../support/EngineDriver.ts"

/** Refused at `now` with so many open. */
const refusedWith = (open: number, least = 0, now = 1000): ServerLimit => {
  const limit = new ServerLimit()
  limit.lower(open, least, now - 10, now)
  return limit
}

describe('"too many connections"', () => {
  it("lowers the limit to three quarters of what is open", () => {
    assert.strictEqual(refusedWith(20).connections, 15)
  })

  it("rounds down", () => {
    // 0.75 * 10 = 7.5
    assert.strictEqual(refusedWith(10).connections, 7)
  })

  it("does not lower it below the minimum", () => {
    assert.strictEqual(refusedWith(10, 9).connections, 9)
  })

  it("does not lower it below one", () => {
    assert.strictEqual(refusedWith(1).connections, 1)
  })

  it("says nothing where nothing is open", () => {
    assert.strictEqual(refusedWith(0).connections, Infinity)
  })

  it("is news once, for attempts that were under way together", () => {
    const limit = refusedWith(20)
    assert.isFalse(limit.lower(15, 0, 995, 1005))
    assert.strictEqual(limit.connections, 15)
  })

  it("is news again for an attempt that began later", () => {
    // 0.75 * 15 = 11.25
    const limit = refusedWith(20)
    assert.isTrue(limit.lower(15, 0, 1001, 1005))
    assert.strictEqual(limit.connections, 11)
  })

  it("does not raise it", () => {
    // 0.75 * 40 = 30 > 15
    const limit = refusedWith(20)
    assert.isFalse(limit.lower(40, 0, 1001, 1005))
    assert.strictEqual(limit.connections, 15)
  })
})

describe("the limit", () => {
  it("is none at first, and then nothing rises", () => {
    const limit = new ServerLimit()
    assert.isFalse(limit.raise(20, 1_000_000))
    assert.strictEqual(limit.connections, Infinity)
  })

  it("rises by one ten seconds after it was lowered, and not before", () => {
    const limit = refusedWith(20, 0, 1000)
    assert.deepStrictEqual([limit.raise(20, 10_999), limit.raise(20, 11_000)], [false, true])
    assert.strictEqual(limit.connections, 16)
  })

  it("rises by one each ten seconds until it is the maximum", () => {
    const limit = refusedWith(20, 0, 0)
    const limits: Array<number> = []
    for (let now = 1000; now <= 60_000; now += 1000) if (limit.raise(20, now)) limits.push(limit.connections)
    assert.deepStrictEqual(limits, [16, 17, 18, 19, Infinity])
  })

  it("waits ten seconds more when the server refuses again", () => {
    const limit = refusedWith(20, 0, 0)
    limit.lower(15, 0, 9000, 9000)
    assert.deepStrictEqual([limit.raise(20, 10_000), limit.raise(20, 19_000)], [false, true])
  })
})

describe("a pool whose server has no room for more", () => {
  /** Ten connections are lent, and the eleventh is refused. */
  const refused = () => {
    const pool = EngineDriver.withIdle(10, { maxConnections: 20 })
    const loans = Array.from({ length: 10 }, () => pool.borrow())
    pool.wait("a")
    pool.decided()
    pool.openFailed(11, "overloaded")
    return { pool, loans }
  }

  it("has a lower limit, and says so", () => {
    // 0.75 * 10 = 7.5
    const { pool } = refused()
    assert.deepStrictEqual(pool.decided(), ["Backoff overloaded", "Close 11: connectFailed", "LimitLowered 7"])
    assert.strictEqual(pool.ledger.limit, 7)
  })

  it("closes what is too many as it comes back, and lends the rest", () => {
    const { loans, pool } = refused()
    pool.decided()
    for (const loan of loans.slice(0, 4)) pool.release(loan)
    const closed = loans.slice(0, 3).map(({ connection }) => `Close ${connection.id}: resized`)
    assert.deepStrictEqual(pool.decided(), [...closed, "Serve a"])
  })

  it("closes what connects first, then what rests, the coldest first", () => {
    // Ten rest, and the policy wants twelve.
    const twelve: SizingPolicy = {
      name: "twelve",
      period: 1000,
      asksWhenWaiting: true,
      decide: ({ kept, occasion }) => ({ connections: occasion === "period" ? 12 : kept + 1, reason: "twelve" })
    }
    const pool = EngineDriver.withIdle(10, { maxConnections: 20, sizing: twelve })
    pool.advance(1000)
    assert.deepStrictEqual(pool.decided(), ["Open 11", "Open 12"])
    pool.openFailed(11, "overloaded")
    const coldest = [1, 2, 3]
    assert.deepStrictEqual(pool.decided(), [
      "Backoff overloaded",
      "Close 11: connectFailed",
      "LimitLowered 7",
      "Close 12: resized",
      ...coldest.map((id) => `Close ${id}: resized`)
    ])
  })

  it("has no lower limit where another error kept it from connecting", () => {
    const pool = EngineDriver.withIdle(10, { maxConnections: 20 })
    for (let loan = 0; loan < 10; loan++) pool.borrow()
    pool.wait("a")
    pool.decided()
    pool.openFailed(11, "transient")
    assert.strictEqual(pool.ledger.limit, 20)
  })

  it("has a limit that rises by one after ten seconds", () => {
    const { pool } = refused()
    for (let second = 0; second < 10; second++) pool.advance(1000)
    assert.strictEqual(pool.ledger.limit, 8)
  })
})
