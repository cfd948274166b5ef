/** A pool for each tenant under one limit: a tenant whose server is gone is no trouble to the others. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { KeyedPool } from "effect-pool"
import { TestConnector } from "effect-pool/testing"
import { TestClock } from "effect/testing"

/** The tenants, each on a server of its own. */
const makeTenants = Effect.gen(function* () {
  const servers = {
    acme: TestConnector.make((n) => ({ tenant: "acme", n })),
    globex: TestConnector.make((n) => ({ tenant: "globex", n }))
  }
  const pool = yield* KeyedPool.make({
    name: "tenants",
    maxConnections: 10,
    connector: (tenant: string) => (tenant === "acme" || tenant === "globex" ? servers[tenant].connector : undefined),
    idleTimeToLive: "5 minutes"
  })
  return { pool, servers }
})

describe("tenants", () => {
  it.effect("get connections to their own servers", () =>
    Effect.gen(function* () {
      const { pool } = yield* makeTenants
      assert.strictEqual(yield* KeyedPool.use(pool, "globex", ({ tenant }) => Effect.succeed(tenant)), "globex")
    })
  )

  it.effect("are not bothered by another's outage", () =>
    Effect.gen(function* () {
      const { pool, servers } = yield* makeTenants
      yield* servers.acme.startOutage
      const waiting = yield* Effect.forkChild(Effect.flip(KeyedPool.use(pool, "acme", () => Effect.void)))
      const served = yield* KeyedPool.use(pool, "globex", ({ tenant }) => Effect.succeed(tenant))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual([served, (yield* Fiber.join(waiting))._tag], ["globex", "AcquireTimeout"])
    })
  )

  it.effect("that nobody knows are refused", () =>
    Effect.gen(function* () {
      const { pool } = yield* makeTenants
      const error = yield* Effect.flip(KeyedPool.use(pool, "initech", () => Effect.void))
      assert.strictEqual(error._tag, "UnknownKey")
    })
  )

  it.effect("have no connections when they have not come for a while", () =>
    Effect.gen(function* () {
      const { pool, servers } = yield* makeTenants
      yield* KeyedPool.use(pool, "acme", () => Effect.void)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual([yield* servers.acme.opened, yield* servers.acme.live], [1, 0])
    })
  )
})
