/**
 * What can be said of the quick start without a network: that somebody who follows it finds everything, and that its files compile.
 * `npm run first-hour` follows it.
 */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Page from "../first-hour/Page.ts"
import { difference } from "../first-hour/Shown.ts"
import { root } from "../support/DocPages.ts"

const text = fs.readFileSync(path.join(root, "docs", "quick-start.md"), "utf8")
const steps = Page.read(text)

const files = steps.flatMap(({ what }) => (what._tag === "File" ? [what] : []))

describe("the quick start", () => {
  it("has every output below the command that gives it, or has the running program say it", () => {
    const compared = steps.flatMap(({ what }) => {
      if (what._tag === "Log") return [what.shown.id]
      return what._tag === "Commands" && what.output !== undefined ? [what.output.id] : []
    })
    assert.deepStrictEqual(compared, [
      "quick-start-first",
      "quick-start-server",
      "quick-start-order",
      "quick-start-wrong",
      "quick-start-status",
      "quick-start-ready",
      "quick-start-metrics",
      "quick-start-outage-log",
      "quick-start-timeout",
      "quick-start-timeout-log",
      "quick-start-unavailable-log",
      "quick-start-unavailable",
      "quick-start-status-outage",
      "quick-start-ready-outage",
      "quick-start-again-log",
      "quick-start-order-again",
      "quick-start-end-log",
      "quick-start-spec"
    ])
    assert.deepStrictEqual(Page.orphans(text, steps), [])
  })

  it("has its reader write down every file that a command needs", () => {
    const names = files.map(({ name }) => name)
    assert.deepStrictEqual(names, [
      "package.json",
      "tsconfig.json",
      "src/first.ts",
      "src/orders.ts",
      "src/main.ts",
      ".env",
      "wrong.env",
      "src/orders.test.ts"
    ])
  })

  it("has files that compile with the settings it gives", () => {
    const folder = path.join(root, ".build", "quick-start")
    fs.rmSync(folder, { recursive: true, force: true })
    for (const { name, text } of files) {
      fs.mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
      fs.writeFileSync(path.join(folder, name), text)
    }
    // The package's name stands for its sources, which are compiled with it and need what they need.
    const here = {
      extends: "./tsconfig.json",
      compilerOptions: {
        noEmit: true,
        rootDir: "../..",
        lib: ["ES2024", "DOM"],
        skipLibCheck: true,
        paths: {
          "effect-pool": ["../../src/index.ts"],
          "effect-pool/Postgres": ["../../src/connectors/Postgres.ts"],
          "effect-pool/http": ["../../src/http/index.ts"]
        }
      },
      include: ["src"]
    }
    fs.writeFileSync(path.join(folder, "tsconfig.here.json"), JSON.stringify(here))
    const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc")
    const args = [tsc, "-p", path.join(folder, "tsconfig.here.json"), "--pretty", "false"]
    assert.strictEqual(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout, "")
  })
})

describe("an output", () => {
  const output = "first\nsecond 12 ms\nthird\n"

  it("is what the page says, where … stands for the rest of a line, or for lines", () => {
    for (const shown of [
      output,
      "first\nsecond … ms\nthird",
      "…\nthird",
      "first\n…",
      "first\n…\nsecond 12 ms\nthird"
    ]) {
      assert.isUndefined(difference(shown, output, "whole"), shown)
    }
    assert.isUndefined(difference("second …", output, "part"))
  })

  it("differs where a line is another, is missing, or is one too many", () => {
    for (const shown of [
      "first\nsecond 13 ms\nthird",
      "first\nsecond …",
      "first\nthird",
      `${output}fourth`,
      "…\nfirst"
    ]) {
      assert.isDefined(difference(shown, output, "whole"), shown)
    }
    assert.isDefined(difference("first\nthird", output, "part"))
  })

  it("is told with the line that was not found, and what stood there", () => {
    assert.strictEqual(
      difference("first\nsecond 13 ms\nthird", output, "whole"),
      "the page says  second 13 ms\n  what was seen:\n    | first\n    | second 12 ms\n    | third"
    )
  })
})

describe("a page", () => {
  it("that shows an output below no command has nobody to compare it", () => {
    const page = "Words.\n\n```text run=alone\noutput\n```\n"
    assert.deepStrictEqual(Page.orphans(page, Page.read(page)), [{ id: "alone", line: 3, text: "output" }])
  })

  it("asks for something to be done in bold at the beginning of a paragraph", () => {
    const tags = Page.read("**Do it.** Then look.\n\nA **word** in bold.\n").map(({ what }) => what)
    assert.deepStrictEqual(tags, [{ _tag: "Action", sentence: "Do it." }])
  })
})
