/** `npm run release`: what it does, and each thing that it refuses to release. In repositories made for the test. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { run } from "./Run.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

const changelog = `# Changelog

## [Unreleased]

## 1.1.0 - 2026-02-03

### Added

- A thing.

## 1.0.0 - 2026-01-02

- The first version.
`

/** Stands in for npm: knows which versions are released, and writes down what it is to publish. */
const npm = `#!/usr/bin/env node
const fs = require("node:fs")
const [command, ...args] = process.argv.slice(2)
if (command === "view") {
  if (process.env.RELEASED) console.log(process.env.RELEASED)
  else { console.error("npm error code E404"); process.exit(1) }
} else {
  const { repository } = JSON.parse(fs.readFileSync("package.json", "utf8"))
  fs.writeFileSync(process.env.PUBLISHED, JSON.stringify({ command, args, repository }))
  process.exit(Number(process.env.PUBLISH_STATUS ?? 0))
}
`

const identity = {
  GIT_AUTHOR_NAME: "Ada",
  GIT_AUTHOR_EMAIL: "ada@localhost",
  GIT_COMMITTER_NAME: "Ada",
  GIT_COMMITTER_EMAIL: "ada@localhost",
  GIT_CONFIG_GLOBAL: os.devNull
}

/** What a build server says of itself. */
const server = {
  CI: "true",
  GATE_RESULT: "success",
  GITHUB_SERVER_URL: "https://git.localhost",
  GITHUB_REPOSITORY: "ada/pool",
  ACTIONS_ID_TOKEN_REQUEST_URL: "https://git.localhost/token",
  ACTIONS_ID_TOKEN_REQUEST_TOKEN: "a-token"
}

const nowhere = Object.fromEntries(Object.keys(server).map((name) => [name, ""]))

/** A repository whose every file is as it should be, but for what the test says. */
class Repository {
  readonly folder: string
  readonly published: string
  private readonly programs: string

  constructor() {
    this.programs = fs.mkdtempSync(path.join(os.tmpdir(), "effect-pool-release-"))
    this.folder = path.join(this.programs, "repository")
    this.published = path.join(this.programs, "published.json")
    fs.writeFileSync(path.join(this.programs, "npm"), npm, { mode: 0o755 })
    fs.mkdirSync(path.join(this.folder, ".ci"), { recursive: true })
    fs.copyFileSync(path.join(root, ".ci", "release.mjs"), path.join(this.folder, ".ci", "release.mjs"))
    this.write(".ci/run", "echo the gate\nexit ${GATE_STATUS:-0}\n")
    this.setVersion("1.1.0")
    this.write("CHANGELOG.md", changelog)
    this.git("init", "--quiet")
    this.commit()
  }

  readonly remove = (): void => fs.rmSync(this.programs, { recursive: true, force: true })

  readonly git = (...args: ReadonlyArray<string>): string => {
    const { status, stderr, stdout } = spawnSync("git", args, {
      cwd: this.folder,
      env: { ...process.env, ...identity },
      encoding: "utf8"
    })
    assert.strictEqual(status, 0, stderr)
    return stdout.trim()
  }

  readonly commit = (): void => {
    this.git("add", "--all")
    this.git("commit", "--quiet", "--message", "as it is")
  }

  readonly read = (file: string): string => fs.readFileSync(path.join(this.folder, file), "utf8")
  readonly write = (file: string, text: string): void => fs.writeFileSync(path.join(this.folder, file), text)

  readonly setVersion = (version: string, more: object = {}): void => {
    this.write("package.json", JSON.stringify({ name: "effect-pool", version, ...more }, null, 2))
    this.write("package-lock.json", JSON.stringify({ name: "effect-pool", version }))
  }

  /** With the npm of the test, unless the test wants the real one. */
  readonly release = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}, isRealNpm = false) =>
    run(process.execPath, [".ci/release.mjs", ...args], {
      cwd: this.folder,
      env: {
        ...identity,
        ...nowhere,
        PUBLISHED: this.published,
        ...(isRealNpm ? {} : { PATH: [this.programs, process.env["PATH"]].join(path.delimiter) }),
        ...env
      }
    })
}

const repository = Effect.acquireRelease(
  Effect.sync(() => new Repository()),
  ({ remove }) => Effect.sync(remove)
)

interface Refusal {
  readonly when: string
  readonly prepare?: (repository: Repository) => void
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly says: string
}

const said = (text: string) => (repository: Repository) => {
  repository.write("CHANGELOG.md", text)
  repository.commit()
}

const tagged = (repository: Repository): void => void repository.git("tag", "v1.1.0")

const refusals: ReadonlyArray<Refusal> = [
  {
    when: "the version is none",
    prepare: (repository) => {
      repository.setVersion("1.1")
      said(changelog.replace("## 1.1.0", "## 1.1"))(repository)
    },
    says: "the version is a semantic version: 1.1 is not"
  },
  {
    when: "the lock file has another version",
    prepare: (repository) => {
      repository.write("package-lock.json", `{ "version": "1.0.0" }`)
      repository.commit()
    },
    says: "package-lock.json says 1.0.0"
  },
  {
    when: "something is not committed",
    prepare: ({ write }) => write("new.ts", ""),
    says: "not everything is committed:\n?? new.ts"
  },
  {
    when: "the changelog has no section",
    prepare: said(changelog.replace("## 1.1.0 - 2026-02-03", "## 1.0.1 - 2026-02-03")),
    says: "CHANGELOG.md has no section for 1.1.0"
  },
  {
    when: "the section has no date",
    prepare: said(changelog.replace("## 1.1.0 - 2026-02-03", "## 1.1.0 (unreleased)")),
    says: `CHANGELOG.md does not say when: its section has to begin with "## 1.1.0 - `
  },
  {
    when: "the date is no day",
    prepare: said(changelog.replace("2026-02-03", "2026-02-31")),
    says: "CHANGELOG.md: 2026-02-31 is no day"
  },
  {
    when: "the date has not come",
    prepare: said(changelog.replace("2026-02-03", "9999-02-03")),
    says: "CHANGELOG.md: 9999-02-03 has not come yet"
  },
  {
    when: "the section is empty",
    prepare: said(changelog.replace("### Added\n\n- A thing.\n", "")),
    says: "CHANGELOG.md says nothing of 1.1.0"
  },
  {
    when: "there are changes that belong to no version",
    prepare: said(changelog.replace("## [Unreleased]\n", "## [Unreleased]\n\n- Another thing.\n")),
    says: "CHANGELOG.md has unreleased changes"
  },
  {
    when: "a newer version has been written about",
    prepare: said(changelog.replace("## 1.1.0", "## 1.2.0 - 2026-03-01\n\n- More.\n\n## 1.1.0")),
    says: "CHANGELOG.md: 1.2.0 stands above 1.1.0"
  },
  {
    when: "the version does not come after the one before",
    prepare: (repository) => {
      repository.setVersion("1.1.0-rc.2")
      said(changelog.replace("1.1.0", "1.1.0-rc.2").replace("1.0.0", "1.1.0-rc.10"))(repository)
    },
    says: "1.1.0-rc.2 does not come after 1.1.0-rc.10"
  },
  { when: "the version is tagged", prepare: tagged, says: "the tag v1.1.0 is there already" },
  {
    when: "the version is released",
    env: { RELEASED: `["1.0.0","1.1.0"]` },
    says: "effect-pool 1.1.0 has been released already"
  },
  {
    when: "the only version there is released",
    env: { RELEASED: `"1.1.0"` },
    says: "effect-pool 1.1.0 has been released already"
  },
  { when: "there is no tag to publish", args: ["--publish"], env: server, says: "there is no tag v1.1.0" },
  {
    when: "the tag to publish is another commit",
    prepare: (repository) => {
      tagged(repository)
      repository.write("new.ts", "")
      repository.commit()
    },
    args: ["--publish"],
    env: server,
    says: "the tag v1.1.0 is another commit"
  },
  {
    when: "it is to publish from somebody's machine",
    prepare: tagged,
    args: ["--publish"],
    env: { ...server, CI: "" },
    says: "a version is published from the workflow, never from somebody's machine"
  },
  {
    when: "the job may not sign",
    prepare: tagged,
    args: ["--publish"],
    env: { ...server, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "" },
    says: "no identity to sign with"
  },
  {
    when: "the gate has not passed",
    prepare: tagged,
    args: ["--publish"],
    env: { ...server, GATE_RESULT: "failure" },
    says: "the gate has not passed (GATE_RESULT is failure)"
  },
  {
    when: "nobody knows where the sources are",
    prepare: tagged,
    args: ["--publish"],
    env: { ...server, GITHUB_REPOSITORY: "" },
    says: "neither package.json nor the build server says where the sources are"
  },
  {
    when: "the sources are somewhere else",
    prepare: (repository) => {
      repository.setVersion("1.1.0", { repository: "git+https://git.localhost/grace/pool.git" })
      repository.commit()
      tagged(repository)
    },
    args: ["--publish"],
    env: server,
    says: "package.json says that the sources are at git+https://git.localhost/grace/pool.git"
  }
]

/** A registry on this machine that answers every question with the same. */
const registry = (status: number, answer: unknown) =>
  Effect.acquireRelease(
    Effect.callback<http.Server>((resume) => {
      const listening = http.createServer((_, response) => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer))
      })
      listening.listen(0, "127.0.0.1", () => resume(Effect.succeed(listening)))
    }),
    (listening) => Effect.sync(() => void listening.close())
  ).pipe(Effect.map((listening) => `http://127.0.0.1:${(listening.address() as AddressInfo).port}/`))

describe.concurrent("npm run release", () => {
  it.live("looks, says what it would do, and changes nothing", () =>
    Effect.gen(function* () {
      const here = yield* repository
      const { output, status } = yield* here.release([])
      assert.strictEqual(status, 0, output)
      assert.include(output, "effect-pool 1.1.0\n\n### Added\n\n- A thing.\n")
      assert.notInclude(output, "The first version")
      assert.include(output, "npm publish --provenance --access public\n")
      assert.strictEqual(here.git("tag"), "")
      assert.strictEqual(here.git("status", "--porcelain"), "")
      assert.isFalse(fs.existsSync(here.published))
    })
  )

  it.live("runs the gate and tags, with the notes in the tag", () =>
    Effect.gen(function* () {
      const here = yield* repository
      const { output, status } = yield* here.release(["--tag"])
      assert.strictEqual(status, 0, output)
      assert.include(output, "the gate")
      assert.strictEqual(
        here.git("tag", "--list", "--format=%(contents)"),
        "effect-pool 1.1.0\n\n### Added\n\n- A thing."
      )
      assert.isFalse(fs.existsSync(here.published))
    })
  )

  it.live("does not tag what the gate does not pass", () =>
    Effect.gen(function* () {
      const here = yield* repository
      const { output, status } = yield* here.release(["--tag"], { GATE_STATUS: "1" })
      assert.strictEqual(status, 1, output)
      assert.strictEqual(here.git("tag"), "")
    })
  )

  it.live("publishes from the workflow, with the place of the sources, and leaves package.json as it was", () =>
    Effect.gen(function* () {
      const here = yield* repository
      tagged(here)
      const before = here.read("package.json")
      const notes = path.join(here.folder, "..", "notes.md")
      const { output, status } = yield* here.release(["--publish", "--notes", notes], server)
      assert.strictEqual(status, 0, output)
      assert.deepStrictEqual(JSON.parse(fs.readFileSync(here.published, "utf8")), {
        command: "publish",
        args: ["--provenance", "--access", "public"],
        repository: { type: "git", url: "git+https://git.localhost/ada/pool.git" }
      })
      assert.strictEqual(fs.readFileSync(notes, "utf8"), "### Added\n\n- A thing.\n")
      assert.strictEqual(here.read("package.json"), before)
    })
  )

  it.live("publishes nothing when it is told to look only", () =>
    Effect.gen(function* () {
      const here = yield* repository
      tagged(here)
      const { output, status } = yield* here.release(["--publish", "--dry-run"], server)
      assert.strictEqual(status, 0, output)
      assert.isFalse(fs.existsSync(here.published))
    })
  )

  it.live("fails when npm does, and leaves package.json as it was", () =>
    Effect.gen(function* () {
      const here = yield* repository
      tagged(here)
      const before = here.read("package.json")
      const { output, status } = yield* here.release(["--publish"], { ...server, PUBLISH_STATUS: "1" })
      assert.strictEqual(status, 1, output)
      assert.strictEqual(here.read("package.json"), before)
    })
  )

  it.live("does not give a version before a release to those who ask for the latest", () =>
    Effect.gen(function* () {
      const here = yield* repository
      here.setVersion("1.1.0-rc.10")
      said(changelog.replace("1.1.0", "1.1.0-rc.10").replace("1.0.0", "1.1.0-rc.9"))(here)
      const { output, status } = yield* here.release([])
      assert.strictEqual(status, 0, output)
      assert.include(output, "npm publish --provenance --access public --tag next\n")
    })
  )

  for (const { args = [], env = {}, prepare, says, when } of refusals) {
    it.live(`refuses when ${when}`, () =>
      Effect.gen(function* () {
        const here = yield* repository
        prepare?.(here)
        const before = here.git("tag")
        const { output, status } = yield* here.release(args, env)
        assert.strictEqual(status, 1, output)
        assert.include(output, says)
        assert.match(output, /not released: 1 of \d refused/)
        assert.strictEqual(here.git("tag"), before)
        assert.isFalse(fs.existsSync(here.published))
      })
    )
  }

  const asked = { npm_config_fetch_retries: "0", npm_config_prefer_offline: "false" }

  it.live("asks npm's registry, which does not know the package", () =>
    Effect.gen(function* () {
      const here = yield* repository
      const url = yield* registry(404, { error: "Not found" })
      const { output, status } = yield* here.release([], { ...asked, npm_config_registry: url }, true)
      assert.strictEqual(status, 0, output)
    })
  )

  it.live("asks npm's registry, which has the version", () =>
    Effect.gen(function* () {
      const here = yield* repository
      const known = {
        name: "effect-pool",
        "dist-tags": { latest: "1.1.0" },
        versions: { "1.1.0": { name: "effect-pool", version: "1.1.0" } }
      }
      const url = yield* registry(200, known)
      const { output, status } = yield* here.release([], { ...asked, npm_config_registry: url }, true)
      assert.strictEqual(status, 1, output)
      assert.include(output, "effect-pool 1.1.0 has been released already")
    })
  )

  it.live("asks npm's registry, which does not answer", () =>
    Effect.gen(function* () {
      const here = yield* repository
      const url = yield* registry(500, {})
      const { output, status } = yield* here.release([], { ...asked, npm_config_registry: url }, true)
      assert.strictEqual(status, 1, output)
      assert.include(output, "the registry could not be asked")
    })
  )
})
