import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Schema } from "effect"
import { ConnectionPool, PoolConfig } from "../src/index.ts"
import { FakeServer } from "./support/FakeServer.ts"

const problemsOf = (input: unknown) =>
  Effect.map(Effect.flip(PoolConfig.make(input as PoolConfig.Input)), ({ problems }) => problems)

describe("the defaults", () => {
  it("are those of the design", () => {
    const { defaults } = PoolConfig
    const seconds = (d: Duration.Duration) => Duration.toSeconds(d)
    assert.deepStrictEqual([defaults.minConnections, defaults.maxConnections, defaults.maxConnecting], [2, 10, 5])
    assert.deepStrictEqual(
      [defaults.acquireTimeout, defaults.connectTimeout, defaults.checkTimeout, defaults.resetTimeout].map(seconds),
      [5, 5, 2, 5]
    )
    assert.deepStrictEqual([defaults.closeTimeout, defaults.drainTimeout].map(seconds), [5, 10])
    assert.deepStrictEqual(
      [defaults.idleTimeout, defaults.maxLifetime, defaults.healthCheckInterval, defaults.unavailableAfter].map(
        seconds
      ),
      [300, 1800, 30, 30]
    )
    assert.deepStrictEqual([defaults.maxUses, defaults.maxWaiting, defaults.startup], [1000, Infinity, "await"])
    assert.strictEqual(Duration.toMillis(defaults.checkAfterIdle), 500)
    assert.strictEqual(seconds(defaults.queryTimeout), 30)
  })

  it.effect("stay where the user says nothing", () =>
    Effect.gen(function* () {
      const config = yield* PoolConfig.make({ maxConnections: 20 })
      assert.deepStrictEqual([config.minConnections, config.maxConnections], [2, 20])
    })
  )
})

describe("an environment", () => {
  it.effect("is a preset: development", () =>
    Effect.gen(function* () {
      const config = yield* PoolConfig.forEnvironment("development")
      assert.deepStrictEqual(
        [
          config.minConnections,
          config.maxConnections,
          Duration.toSeconds(config.idleTimeout),
          Duration.toSeconds(config.maxLifetime)
        ],
        [2, 10, 300, 3600]
      )
    })
  )

  it.effect("is a preset: production, changed by overrides", () =>
    Effect.gen(function* () {
      const config = yield* PoolConfig.forEnvironment("production", { maxConnections: 50 })
      assert.deepStrictEqual(
        [
          config.minConnections,
          config.maxConnections,
          Duration.toSeconds(config.idleTimeout),
          Duration.toSeconds(config.maxLifetime)
        ],
        [10, 50, 60, 1800]
      )
    })
  )

  for (const name of ["staging", "", "constructor", "PRODUCTION"]) {
    it.effect(`that is unknown is a wrong value: ${JSON.stringify(name)}`, () =>
      Effect.gen(function* () {
        const { problems } = yield* Effect.flip(PoolConfig.forEnvironment(name))
        assert.deepStrictEqual(problems, [
          { field: "environment", value: JSON.stringify(name), expected: `"development" or "production"` }
        ])
      })
    )
  }
})

describe("a wrong configuration", () => {
  it.effect("gives one error that names every wrong field, its value and its bound", () =>
    Effect.gen(function* () {
      const problems = yield* problemsOf({
        environment: "staging",
        minConnections: 20,
        maxConnections: 10,
        acquireTimeout: -1,
        idleTimeout: Number.NaN,
        maxLifetime: "a while",
        maxUses: 0,
        warmup: { batchSize: 1.5 },
        retry: { factor: 0.5, jitter: 2 },
        startup: "eventually"
      })
      assert.deepStrictEqual(
        problems.map(({ field, value }) => [field, value]),
        [
          ["environment", `"staging"`],
          ["acquireTimeout", "-1"],
          ["idleTimeout", "NaN"],
          ["maxLifetime", `"a while"`],
          ["maxUses", "0"],
          ["warmup.batchSize", "1.5"],
          ["retry.factor", "0.5"],
          ["retry.jitter", "2"],
          ["startup", `"eventually"`],
          ["minConnections", "20"]
        ]
      )
      assert.strictEqual(problems.at(-1)?.expected, "at most maxConnections (10)")
    })
  )

  const wrong: ReadonlyArray<readonly [string, unknown, string]> = [
    ["maxConnections", 0, "a whole number from 1 to 1000000"],
    ["maxConnections", Number.NaN, "a whole number from 1 to 1000000"],
    ["maxConnections", Infinity, "a whole number from 1 to 1000000"],
    ["maxConnections", "10", "a whole number from 1 to 1000000"],
    ["minConnections", -1, "a whole number from 0 to 1000000"],
    ["acquireTimeout", 0, "a duration from 1ms to 1d"],
    ["acquireTimeout", Infinity, "a duration from 1ms to 1d"],
    ["acquireTimeout", "-5 seconds", "a duration from 1ms to 1d"],
    ["acquireTimeout", null, "a duration from 1ms to 1d"],
    ["queryTimeout", 0, "a duration from 1ms to Infinity"],
    ["drainTimeout", -1, "a duration from 0 to 1d"],
    ["name", "", "a name that is not empty"],
    ["warmup", 5, "{ batchSize, delay }"],
    ["maxConnection", 5, "no such field"]
  ]
  for (const [field, value, expected] of wrong) {
    it.effect(`says what was expected: ${field} = ${String(value)}`, () =>
      Effect.gen(function* () {
        const problems = yield* problemsOf({ [field]: value })
        assert.deepStrictEqual(
          problems.map((problem) => [problem.field, problem.expected]),
          [[field, expected]]
        )
      })
    )
  }

  it.effect("opens nothing", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const error = yield* Effect.flip(ConnectionPool.make(server.bare, { minConnections: 5, maxConnections: 1 }))
      assert.strictEqual(error._tag, "PoolConfigError")
      assert.deepStrictEqual(server.attempts, [])
    })
  )

  it.effect("is reported together with what is wrong with the connector", () =>
    Effect.gen(function* () {
      const server = new FakeServer()
      const problems = [{ field: "url", value: "a malformed URL (not shown)", expected: "a URL" }]
      const error = yield* Effect.flip(ConnectionPool.make({ ...server.bare, problems }, { maxConnections: 0 }))
      assert.strictEqual(
        error.message,
        "2 wrong values in the configuration:\n" +
          "  maxConnections: got 0, expected a whole number from 1 to 1000000\n" +
          "  url: got a malformed URL (not shown), expected a URL"
      )
    })
  )
})

describe("PoolConfig.config", () => {
  const read = (variables: Record<string, string>) =>
    PoolConfig.config("DB").parse(ConfigProvider.fromEnv({ env: variables }))

  for (const name of ["true", "Infinity", "7"]) {
    it.effect(`takes ${name} for a name, where a name is asked for`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* read({ DB_NAME: name })).name, name)
      })
    )
  }

  it.effect("reads environment variables over a preset", () =>
    Effect.gen(function* () {
      const config = yield* read({
        DB_ENVIRONMENT: "production",
        DB_MAX_CONNECTIONS: "40",
        DB_ACQUIRE_TIMEOUT: "2 seconds",
        DB_CHECK_AFTER_IDLE: "250",
        DB_RETRY_INITIAL: "500 millis",
        DB_MAX_WAITING: "Infinity",
        DB_STARTUP: "background"
      })
      assert.deepStrictEqual(
        [config.minConnections, config.maxConnections, config.maxWaiting, config.startup],
        [10, 40, Infinity, "background"]
      )
      assert.deepStrictEqual(
        [config.acquireTimeout, config.checkAfterIdle, config.retry.initial, config.retry.max].map(Duration.toMillis),
        [2000, 250, 500, 60_000]
      )
    })
  )

  it.effect("switches a limit off with Infinity", () =>
    Effect.gen(function* () {
      assert.isFalse(Duration.isFinite((yield* read({ DB_QUERY_TIMEOUT: "Infinity" })).queryTimeout))
    })
  )

  it.effect("takes a name that looks like a number for a name", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* read({ DB_NAME: "2024" })).name, "2024")
    })
  )

  it.effect("is the defaults where nothing is set", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read({}), PoolConfig.defaults)
    })
  )

  it.effect("names every wrong variable in one error", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        read({ DB_MAX_CONNECTIONS: "many", DB_RETRY_FACTOR: "0", DB_ENVIRONMENT: "stage" })
      )
      assert.include(error.message, `DB_ENVIRONMENT: got "stage"`)
      assert.include(error.message, `DB_MAX_CONNECTIONS: got "many"`)
      assert.include(error.message, "DB_RETRY_FACTOR: got 0")
    })
  )
})

describe("the schema", () => {
  it.effect("decodes what it encoded", () =>
    Effect.gen(function* () {
      const json = Schema.toCodecJson(PoolConfig.PoolConfig)
      const encoded = yield* Schema.encodeEffect(json)(PoolConfig.production)
      const decoded = yield* Schema.decodeEffect(json)(JSON.parse(JSON.stringify(encoded)) as typeof encoded)
      assert.deepStrictEqual(decoded.maxConnections, 100)
    })
  )
})
