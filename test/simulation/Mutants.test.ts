/** The simulation bites: each of a list of deliberate bugs, planted in a copy of the compiled pool, is caught. */
import { assert, describe, it } from "@effect/vitest"
import { execFile, execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { type Mutant, mutants } from "./Mutants.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const folder = path.join(root, ".build", "mutants")

/** No bug of the list needs more. */
const seeds = 1500

/** Runs seeds of all scenarios in turn, and says which was the first to break a promise. */
const hunt = `
import { Effect, Result } from "effect"
const { Simulation } = await import(process.argv[1])
const scenarios = process.argv[2] === undefined ? Object.keys(Simulation.scenarios) : [process.argv[2]]
for (let seed = 1; seed <= ${seeds}; seed++) {
  const scenario = scenarios[seed % scenarios.length]
  const result = Effect.runSync(Effect.result(Simulation.run({ scenario, seed })))
  if (Result.isFailure(result)) {
    console.log(JSON.stringify({ scenario, seed, promise: result.failure.promise, what: result.failure.what }))
    process.exit(0)
  }
}
`

/** A copy of the compiled pool with one bug in it. */
const plant = (mutant: Mutant, name: string): string => {
  const copy = path.join(folder, name)
  fs.cpSync(path.join(root, "dist"), copy, { recursive: true, filter: (file) => !/\.(d\.ts|map)$/.test(file) })
  const file = path.join(copy, mutant.file)
  const text = fs.readFileSync(file, "utf8")
  assert.include(text, mutant.line, `${mutant.file} has changed: the bug "${mutant.bug}" cannot be planted`)
  fs.writeFileSync(
    file,
    text.replace(mutant.line, () => mutant.becomes)
  )
  return path.join(copy, "testing", "index.js")
}

const run = (entry: string, { scenario }: Mutant): Promise<string> =>
  new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      ["--input-type=module", "-e", hunt, entry, ...(scenario === undefined ? [] : [scenario])],
      { cwd: root, timeout: 170_000 },
      (error, stdout, stderr) => (error === null ? resolve(stdout) : reject(new Error(stderr || error.message)))
    )
  })

describe("the simulation catches", () => {
  beforeAll(() => {
    execFileSync(path.join(root, "node_modules", ".bin", "tsc"), ["-b", "src"], { cwd: root })
    fs.rmSync(folder, { recursive: true, force: true })
  }, 60_000)

  afterAll(() => {
    fs.rmSync(folder, { recursive: true, force: true })
  })

  it("at least 25 bugs", () => {
    assert.isAtLeast(mutants.length, 25)
  })

  for (const [index, mutant] of mutants.entries()) {
    it.concurrent(
      mutant.bug,
      async () => {
        const found = await run(plant(mutant, String(index)), mutant)
        assert.match(found, /"promise":\d+/, `${seeds} seeds find nothing wrong`)
      },
      180_000
    )
  }
})
