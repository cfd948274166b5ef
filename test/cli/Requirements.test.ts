/** What the command line says where it cannot start. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { problemOfImport, problemOfNode } from "../../src/cli/Requirements.ts"

describe("the command line", () => {
  it("starts on the oldest Node that package.json names, and on those since", () => {
    const { engines } = JSON.parse(fs.readFileSync("package.json", "utf8")) as { engines: { node: string } }
    assert.strictEqual(engines.node, ">=20.19")
    for (const version of ["20.19.0", "20.20.2", "22.0.0", "26.10.0"]) assert.isUndefined(problemOfNode(version))
  })

  it("tells an older Node what it needs", () => {
    const said = (version: string) => `effect-pool: needs Node 20.19 or newer, and this is Node ${version}.`
    for (const version of ["20.18.3", "18.20.8", "8.0.0"]) assert.strictEqual(problemOfNode(version), said(version))
  })

  it("names the peer that is missing, in whichever runtime", () => {
    const texts = [
      "Cannot find package '@effect/platform-node' imported from /app/node_modules/effect-pool/dist/cli/Program.js",
      "Cannot find package '@effect/platform-node' from '/app/node_modules/effect-pool/dist/cli/Program.js'",
      "Could not find package '@effect/platform-node' from referrer 'file:///app/node_modules/effect-pool/dist/cli/Program.js'."
    ]
    for (const text of texts) {
      assert.strictEqual(
        problemOfImport(new Error(text)),
        "effect-pool: this command needs @effect/platform-node, which is not installed here:\n\n  npm install @effect/platform-node\n"
      )
    }
  })

  it("leaves what it does not know as it is", () => {
    assert.isUndefined(problemOfImport(new Error("Cannot find package 'undici' imported from /app/x.js")))
    assert.isUndefined(problemOfImport(new SyntaxError("Unexpected token")))
    assert.isUndefined(problemOfImport("nothing"))
  })
})
