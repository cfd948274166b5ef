import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Runtime, Schema } from "effect"
import { CliOutput, Command } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import { TestConsole } from "effect/testing"
import { effectPool, presenter } from "../../src/cli/EffectPool.ts"
import { Advice } from "../../src/PoolAdvisor.ts"

interface Ran {
  readonly exitCode: number
  readonly out: string
  readonly error: string
}

/** Runs the command in this process; the exit code is the one that `runMain` gives. */
const run = (args: ReadonlyArray<string>): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(Command.runWith(effectPool, { version: "1.2.3" })(args))
    let exitCode = -1
    Runtime.defaultTeardown(exit, (code) => {
      exitCode = code
    })
    assert.strictEqual(Exit.isSuccess(exit), exitCode === 0)
    const out = (yield* TestConsole.logLines).join("\n")
    const error = (yield* TestConsole.errorLines).join("\n")
    return { exitCode, out, error }
  }).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provideService(CliOutput.Formatter, CliOutput.defaultFormatter({ colors: false })),
    Effect.provide([NodeServices.layer, FetchHttpClient.layer]),
    Effect.provide(TestConsole.layer, { local: true })
  )

const linesOf = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.startsWith("--"))

describe("effect-pool advise", () => {
  it.effect("says the size first, and why", () =>
    Effect.gen(function* () {
      const { error, exitCode, out } = yield* run([
        "advise",
        "--arrival-rate",
        "200",
        "--hold-p50",
        "20ms",
        "--hold-p95",
        "80ms",
        "--replicas",
        "4",
        "--server-max-connections",
        "100"
      ])
      assert.deepStrictEqual([exitCode, error], [0, ""])
      const [first, why] = out.split("\n")
      assert.strictEqual(first, "maxConnections 10, minConnections 6 (fits)")
      assert.include(why, "each holding a connection for 28.5 ms, keep 5.71 connections busy")
    })
  )

  it.effect("prints an Advice with --json, and nothing else", () =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* run(["advise", "--arrival-rate", "200", "--hold-p50", "25", "--json"])
      const advice = yield* Schema.decodeEffect(Schema.fromJsonString(Advice))(out)
      assert.deepStrictEqual([exitCode, advice.maxConnections, advice.bindingConstraint], [0, 9, "load"])
    })
  )

  it.effect("reads durations with short units, in Effect's words, and as milliseconds", () =>
    Effect.gen(function* () {
      const texts = yield* Effect.forEach(["0.5s", "500ms", "500 millis", "500", "0.5 seconds"], (hold) =>
        Effect.map(run(["advise", "--arrival-rate", "10", "--hold-p50", hold]), ({ out }) => out)
      )
      assert.strictEqual(new Set(texts).size, 1)
      assert.include(texts[0], "for 500 ms, keep 5 connections busy")
    })
  )

  it.effect("takes every fact", () =>
    Effect.gen(function* () {
      const { error, exitCode, out } = yield* run([
        "advise",
        "--arrival-rate",
        "200",
        "--hold-p50",
        "25",
        "--hold-p95",
        "90",
        "--replicas",
        "2",
        "--server-max-connections",
        "100",
        "--server-reserved",
        "10",
        "--server-cores",
        "8",
        "--nesting-depth",
        "4",
        "--concurrent-borrowers",
        "3",
        "--knee",
        "34",
        "--knee-confidence",
        "0.9",
        "--wait-target",
        "50ms",
        "--acquire-timeout",
        "2s",
        "--target-utilization",
        "0.6",
        "--min-connections",
        "2",
        "--max-connections",
        "100",
        "--concurrency",
        "1"
      ])
      assert.deepStrictEqual([exitCode, error], [0, ""])
      assert.include(out, "the present maximum of 100 is 2.9 times too big: the knee is near 34")
      assert.include(out, "2 replicas with 100 each may ask for 200 connections, the server has 90 to give")
    })
  )

  it.effect("says that no maximum helps, which is an answer and no failure", () =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* run(["advise", "--arrival-rate", "200", "--hold-p50", "500ms", "--knee", "34"])
      assert.strictEqual(exitCode, 0)
      assert.include(out, "no maximum fixes this: the hold time is the problem")
    })
  )

  it.effect("names every wrong option and fails", () =>
    Effect.gen(function* () {
      const { error, exitCode, out } = yield* run([
        "advise",
        "--hold-p50",
        "5 parsecs",
        "--replicas",
        "0",
        "--knee-confidence",
        "4",
        "--target-utilization",
        "abc"
      ])
      assert.deepStrictEqual([exitCode, out], [1, ""])
      assert.include(error, "6 wrong options:")
      assert.deepStrictEqual(linesOf(error), [
        "--arrival-rate: got nothing, expected acquires a second from 0 to 1000000",
        '--hold-p50: got "5 parsecs", expected a duration (20ms, 1.5s, or a number of milliseconds) from 0.001 to 86400000',
        "--replicas: got 0, expected a whole number from 1 to 1000000",
        "--knee: got nothing, expected connections from 1 to 1000000",
        "--knee-confidence: got 4, expected a number from 0 to 1",
        '--target-utilization: got "abc", expected a number from 0.05 to 0.99'
      ])
    })
  )

  it.effect("names options where one contradicts another", () =>
    Effect.gen(function* () {
      const { error, exitCode } = yield* run([
        "advise",
        "--arrival-rate",
        "-3",
        "--hold-p50",
        "80",
        "--hold-p95",
        "20ms"
      ])
      assert.strictEqual(exitCode, 1)
      assert.deepStrictEqual(linesOf(error), [
        "--arrival-rate: got -3, expected acquires a second from 0 to 1000000",
        "--hold-p50: got 80, expected at most --hold-p95 (20)"
      ])
    })
  )

  it.effect("refuses options and subcommands that it does not know, on standard error", () =>
    Effect.gen(function* () {
      const unknown = yield* run(["advise", "--arrival-rat", "3", "--wat", "4"])
      assert.deepStrictEqual([unknown.exitCode, unknown.out], [1, ""])
      assert.include(unknown.error, "Unrecognized flag: --arrival-rat")
      assert.include(unknown.error, "Unrecognized flag: --wat")
      const nonsense = yield* run(["nonsense"])
      assert.deepStrictEqual([nonsense.exitCode, nonsense.out], [1, ""])
    })
  )

  it.effect("explains itself", () =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* run(["advise", "--help"])
      assert.strictEqual(exitCode, 0)
      assert.include(out, "--hold-p95")
      assert.strictEqual((yield* run(["--version"])).out, "effect-pool v1.2.3")
    })
  )
})
