/** `docs/pitfalls.md` shows the programs in `docs/examples/pitfalls`, and what they print. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { holding } from "../../docs/examples/pitfalls/HoldingTooLong.ts"
import { leak } from "../../docs/examples/pitfalls/Leak.ts"
import { waiting } from "../../docs/examples/pitfalls/WaitingForEver.ts"
import { docPages, matches, root } from "../support/DocPages.ts"

const { blocks } = docPages.find(({ file }) => file === "docs/pitfalls.md")!

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
