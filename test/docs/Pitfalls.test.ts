/**
 * `docs/pitfalls.md` shows the programs in `docs/examples/pitfalls`, and what they print; `docs/finding-a-leak.md` what the command line says of a
 * leak.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { holding } from "../../docs/examples/pitfalls/HoldingTooLong.ts"
import { leak } from "../../docs/examples/pitfalls/Leak.ts"
import { waiting } from "../../docs/examples/pitfalls/WaitingForEver.ts"
import { ConnectionPool, Connector } from "../../src/index.ts"
import { run } from "../cli/CommandLine.ts"
import { serve, withPools } from "../cli/PoolServers.ts"
import { docPages, matches, root } from "../support/DocPages.ts"

const blocksOf = (page: string) => docPages.find(({ file }) => file === page)!.blocks

const blocks = blocksOf("docs/pitfalls.md")

const folder = path.join(root, "docs", "examples", "pitfalls")

const source = fs
  .readdirSync(folder)
  .map((name) => fs.readFileSync(path.join(folder, name), "utf8"))
  .join("\n")

/** What a program prints in ten seconds, on a clock that is never late. */
const printed = Effect.fnUntraced(function* <E>(program: Effect.Effect<void, E>) {
  const fiber = yield* Effect.forkChild(program)
  yield* Effect.repeat(TestClock.adjust("5 millis"), { times: 2000 })
  yield* Fiber.join(fiber)
  return (yield* TestConsole.logLines).join("\n").trim()
})

describe("the pitfalls", () => {
  const programs = [
    ["pitfall-leak", leak],
    ["pitfall-holding", holding],
    ["pitfall-waiting", waiting]
  ] as const

  for (const [id, program] of programs) {
    it.effect(`print what the page says: ${id}`, () =>
      Effect.gen(function* () {
        const block = blocks.find(({ role }) => role === `run=${id}`)
        assert.isDefined(block)
        const text = yield* printed(program)
        assert.isTrue(matches(text, block!.code), `the page says\n${block!.code}\nbut it prints\n${text}`)
      }).pipe(Effect.provide(TestConsole.layer))
    )
  }

  it("are shown as they are run", () => {
    const shown = blocks.filter(({ language }) => language === "ts")
    assert.isAtLeast(shown.length, 4)
    for (const { code, place } of shown) {
      // Above the first empty line after the imports stands what makes the block a module of its own.
      const [, , ...pieces] = code.trimEnd().split("\n\n")
      for (const piece of pieces) assert.include(source, piece, place)
    }
  })
})

describe("a leak", () => {
  it.live("is told by the command line as the page has it", () =>
    withPools(
      Effect.gen(function* () {
        const connector = Connector.make({ name: "orders", connect: Effect.succeed("connection") })
        const config = { minConnections: 2, maxConnections: 2, leakThreshold: "10 millis", drainTimeout: 0 } as const
        const pool = yield* ConnectionPool.make(connector, config)
        const suspected = yield* Effect.forkChild(
          Stream.runHead(Stream.filter(ConnectionPool.events(pool), ({ _tag }) => _tag === "LeakSuspected")),
          { startImmediately: true }
        )
        const exportReport = Effect.fn("ReportService.export")(() => ConnectionPool.use(pool, () => Effect.never))
        const nightly = Effect.fn("Jobs.nightly")(() => exportReport())
        yield* Effect.forkChild(nightly(), { startImmediately: true })
        yield* Effect.forkChild(exportReport(), { startImmediately: true })
        yield* Fiber.join(suspected)
        const { url } = yield* serve()
        const { out } = yield* run(["status", url, "orders"])
        const id = "leak-status"
        const block = blocksOf("docs/finding-a-leak.md").find(({ role }) => role === `run=${id}`)
        assert.isTrue(matches(out, block!.code), `the page says\n${block!.code}\nbut it prints\n${out}`)
      })
    )
  )
})
