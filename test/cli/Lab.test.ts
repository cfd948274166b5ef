import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path, Runtime } from "effect"
import { CliOutput, Command } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import { TestConsole } from "effect/testing"
import { effectPool, presenter } from "../../src/cli/EffectPool.ts"

/** Runs the command in this process; the exit code is the one that `runMain` gives. */
const run = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(Command.runWith(effectPool, { version: "1.2.3" })(["lab", ...args]))
    let exitCode = -1
    Runtime.defaultTeardown(exit, (code) => {
      exitCode = code
    })
    const out = (yield* TestConsole.logLines).join("\n")
    const error = (yield* TestConsole.errorLines).join("\n")
    return { exitCode, out, error }
  }).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provideService(CliOutput.Formatter, CliOutput.defaultFormatter({ colors: false })),
    Effect.provide([NodeServices.layer, FetchHttpClient.layer]),
    Effect.provide(TestConsole.layer, { local: true })
  )

/** A folder that is gone after the test, with a scenario file in it. */
const withFile = <A, E>(
  content: unknown,
  test: (file: string, folder: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>
) =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* fileSystem.makeTempDirectoryScoped()
    const file = path.join(folder, "mine.json")
    yield* fileSystem.writeFileString(file, typeof content === "string" ? content : JSON.stringify(content))
    return yield* test(file, folder)
  }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

const quiet = {
  name: "quiet",
  server: { perSecond: 100 },
  pool: { maxConnections: 4 },
  load: [{ seconds: 2, perSecond: 40 }]
}

describe("effect-pool lab", () => {
  it.effect("lists the scenarios, if nothing is asked for", () =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* run()
      assert.strictEqual(exitCode, 0)
      assert.match(out, /^step +The load rises tenfold at once/)
    })
  )

  it.effect("compares policies on the same requests", () =>
    Effect.gen(function* () {
      const { exitCode, out } = yield* run("--scenario", "spike", "--policy", "predictive,fixed:20", "--seeds", "1")
      assert.strictEqual(exitCode, 0)
      const policies = out.split("\n").map((line) => line.split(/ +/)[0])
      assert.deepStrictEqual(policies.slice(2, 4), ["predictive", "fixed:20"])
    })
  )

  it.effect("runs what is in a file of one's own", () =>
    withFile(quiet, (file) =>
      Effect.gen(function* () {
        const { exitCode, out } = yield* run("--file", file, "--seeds", "1")
        assert.deepStrictEqual([exitCode, out.split("\n")[0]], [0, "quiet"])
      })
    )
  )

  it.effect("names every mistake in a file, with its place", () =>
    withFile({ ...quiet, load: [{ seconds: 2, perSecond: -1 }], pol: {} }, (file) =>
      Effect.gen(function* () {
        const { error, exitCode } = yield* run("--file", file)
        assert.strictEqual(exitCode, 1)
        assert.include(error, "load[0].perSecond: got -1, expected a number of at least 0")
        assert.include(error, "pol: ")
      })
    )
  )

  it.effect("says where a file is no JSON", () =>
    withFile("{ not json", (file) =>
      Effect.gen(function* () {
        const { error, exitCode } = yield* run("--file", file)
        assert.strictEqual(exitCode, 1)
        assert.match(error, /line 1/)
      })
    )
  )

  it.effect("names every option that is wrong", () =>
    Effect.gen(function* () {
      const { error, exitCode } = yield* run(
        "--scenario",
        "nope",
        "--policy",
        "bogus",
        "--seeds",
        "x",
        "--config",
        "{",
        "--timeline"
      )
      assert.strictEqual(exitCode, 1)
      for (const part of ['called "nope"', "--seeds: got x", '"bogus"', "--config: ", "--timeline goes with --json"]) {
        assert.include(error, part)
      }
    })
  )

  it.effect("changes the pool of the scenario", () =>
    Effect.gen(function* () {
      const { error, exitCode } = yield* run("--scenario", "spike", "--config", '{"maxConnections":0}')
      assert.strictEqual(exitCode, 1)
      assert.include(error, "scenario spike, policy predictive: maxConnections: got 0")
    })
  )

  it.effect("writes results and pictures", () =>
    withFile(quiet, (file, folder) =>
      Effect.gen(function* () {
        const path = yield* Path.Path
        const fileSystem = yield* FileSystem.FileSystem
        const json = path.join(folder, "out.json")
        const svg = path.join(folder, "pictures")
        yield* run("--file", file, "--seeds", "2", "--json", json, "--svg", svg)
        const document = JSON.parse(yield* fileSystem.readFileString(json)) as object
        assert.include(JSON.stringify(document), '"seed":2')
        assert.match(yield* fileSystem.readFileString(path.join(svg, "quiet.svg")), /^<svg /)
      })
    )
  )

  it.effect("says at once that a folder cannot be made", () =>
    withFile(quiet, (file, folder) =>
      Effect.gen(function* () {
        const { error, exitCode } = yield* run("--file", file, "--svg", `${folder}/there/is/none`)
        assert.strictEqual(exitCode, 1)
        assert.include(error, `cannot make the folder ${folder}/there/is/none`)
      })
    )
  )
})
