/** What was tried with what, and what came of it: a line each as it happens, and a table in the end. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type { NotHad } from "./Tools.ts"

export interface Entry {
  readonly what: string
  /** The tool and its version. */
  readonly tool: string
  readonly result: "good" | "FAILED" | "not run"
  /** What is wrong, or why it was not run. */
  readonly lines: ReadonlyArray<string>
  readonly seconds: number
}

export class Book {
  readonly entries: Array<Entry> = []

  /** Tries something. What it answers is what is wrong; nothing when all is well. */
  readonly check = (
    what: string,
    tool: string,
    attempt: Effect.Effect<ReadonlyArray<string>, NotHad>
  ): Effect.Effect<void> => {
    const began = performance.now()
    const note = (result: Entry["result"], lines: ReadonlyArray<string>) => {
      const seconds = (performance.now() - began) / 1000
      this.entries.push({ what, tool, result, lines, seconds })
      const said = result === "good" ? "" : `\n${lines.map((line) => `      ${line}`).join("\n")}`
      return Console.log(`  ${result.padEnd(7)} ${what} (${tool}, ${seconds.toFixed(1)} s)${said}`)
    }
    const answer = Effect.matchEffect(attempt, {
      onFailure: ({ why }) => note("not run", [why]),
      onSuccess: (lines) => note(lines.length === 0 ? "good" : "FAILED", lines)
    })
    return Effect.catchDefect(answer, (defect) => note("FAILED", [String(defect)]))
  }

  readonly notRun = (what: string, tool: string, why: string): void => {
    this.entries.push({ what, tool, result: "not run", lines: [why], seconds: 0 })
  }

  /** The whole of it as a table, in the order of the things tried. */
  get table(): string {
    const rows = this.entries.map(({ lines, result, tool, what }) => [
      what,
      tool,
      result === "not run" ? `not run: ${lines[0]}` : result
    ])
    const head = ["what", "with", "result"]
    const widths = [0, 1].map((column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)))
    const lineOf = (row: ReadonlyArray<string>) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()
    return [head, ...rows].map(lineOf).join("\n")
  }

  count(result: Entry["result"]): number {
    return this.entries.filter((entry) => entry.result === result).length
  }
}
