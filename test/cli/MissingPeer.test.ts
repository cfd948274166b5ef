/** `npx effect-pool` where an optional peer that it needs is not installed. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { root } from "../support/DocPages.ts"

/** The built package in a folder where only these are installed beside it. */
const installedWith = (peers: ReadonlyArray<string>): string => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-peers-"))
  const there = path.join(folder, "node_modules", "effect-pool")
  fs.mkdirSync(there, { recursive: true })
  fs.cpSync(path.join(root, "dist"), path.join(there, "dist"), { recursive: true })
  fs.copyFileSync(path.join(root, "package.json"), path.join(there, "package.json"))
  for (const peer of peers) {
    fs.symlinkSync(path.join(root, "node_modules", peer), path.join(folder, "node_modules", peer))
  }
  return folder
}

const run = (folder: string) =>
  spawnSync(process.execPath, ["node_modules/effect-pool/dist/cli/main.js", "--version"], {
    cwd: folder,
    encoding: "utf8"
  })

describe("the command line without a peer that it needs", () => {
  it("says which, and how to install it", { timeout: 60_000 }, () => {
    const tsc = path.join(root, "node_modules", "typescript", "bin", "tsc")
    assert.strictEqual(spawnSync(process.execPath, [tsc, "-b", path.join(root, "src")]).status, 0)
    const folder = installedWith(["effect"])
    try {
      const { status, stderr, stdout } = run(folder)
      assert.strictEqual(status, 1)
      assert.strictEqual(stdout, "")
      assert.strictEqual(
        stderr,
        "effect-pool: this command needs @effect/platform-node, which is not installed here:\n\n  npm install @effect/platform-node\n\n"
      )
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
