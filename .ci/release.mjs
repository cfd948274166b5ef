// `npm run release`: looks whether what is here may be released, prints the notes, and changes nothing.
// `-- --tag` does the same, then runs the gate, and tags. `-- --publish` is for the workflow that the tag starts: it publishes, with
// a statement of where the package was built (provenance), which npm can make only there. `-- --notes FILE` writes the notes.
// The steps of a release, and whatever is refused, are in docs/package.md.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const root = fileURLToPath(new URL("..", import.meta.url))
process.chdir(root)

const { values: options } = parseArgs({
  options: {
    tag: { type: "boolean", default: false },
    publish: { type: "boolean", default: false },
    notes: { type: "string" },
    "dry-run": { type: "boolean", default: false }
  }
})
const isDry = options["dry-run"] || !(options.tag || options.publish)

const isWindows = process.platform === "win32"
const say = (...args) => spawnSync(...args)
const git = (...args) => {
  const { status, stdout } = say("git", args, { encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}
const npm = (...args) => say("npm", args, { encoding: "utf8", shell: isWindows })

const manifest = JSON.parse(fs.readFileSync("package.json", "utf8"))
const { name, version } = manifest
const tag = `v${version}`

// The grammar of semver.org, section 2, 9 and 10.
const semver =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*))*))?(?:\+[\da-zA-Z.-]+)?$/

/** Below 0 if the first version comes before the second. Section 11. */
const compare = (left, right) => {
  const [a, b] = [semver.exec(left), semver.exec(right)]
  for (const part of [1, 2, 3]) if (a[part] !== b[part]) return Number(a[part]) - Number(b[part])
  if (a[4] === b[4]) return 0
  if (a[4] === undefined || b[4] === undefined) return a[4] === undefined ? 1 : -1
  const [of, than] = [a[4].split("."), b[4].split(".")]
  for (let at = 0; at < Math.max(of.length, than.length); at++) {
    const [one, other] = [of[at], than[at]]
    if (one === other) continue
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1
    const [isNumber, isOtherNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)]
    if (isNumber && isOtherNumber) return Number(one) - Number(other)
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1
    return one < other ? -1 : 1
  }
  return 0
}

/** `## 1.2.3 - 2026-01-31`, or with the version in brackets; the newest first. */
const sections = fs
  .readFileSync("CHANGELOG.md", "utf8")
  .split(/^## /m)
  .slice(1)
  .map((text) => {
    const [title, ...lines] = text.split("\n")
    const [, of, when] = /^\[?([^\]\s]+)\]?(?:\s+-\s+(\d{4}-\d{2}-\d{2}))?\s*$/.exec(title) ?? [undefined, title.trim()]
    return { of, when, notes: lines.join("\n").trim() }
  })
const section = sections.find(({ of }) => of.split(" ")[0] === version)

const today = new Date().toISOString().slice(0, 10)
const isDay = (text) => !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text)

const changelog = () => {
  if (section === undefined) return `CHANGELOG.md has no section for ${version}`
  if (section.when === undefined)
    return `CHANGELOG.md does not say when: its section has to begin with "## ${version} - ${today}"`
  if (!isDay(section.when)) return `CHANGELOG.md: ${section.when} is no day`
  if (section.when > today) return `CHANGELOG.md: ${section.when} has not come yet`
  if (section.notes === "") return `CHANGELOG.md says nothing of ${version}`
  const unreleased = sections.find(({ of }) => of.toLowerCase() === "unreleased")
  if (unreleased !== undefined && unreleased.notes !== "")
    return `CHANGELOG.md has unreleased changes that are not in the section of ${version}`
  const versions = sections.filter((one) => one !== unreleased).map(({ of }) => of.split(" ")[0])
  if (versions[0] !== version) return `CHANGELOG.md: ${versions[0]} stands above ${version}`
  const before = versions[1]
  if ([before, version].every((one) => semver.test(one ?? "")) && compare(before, version) >= 0)
    return `${version} does not come after ${before}`
  return undefined
}

const lock = () => {
  const locked = JSON.parse(fs.readFileSync("package-lock.json", "utf8")).version
  return locked === version ? undefined : `package-lock.json says ${locked}: npm install --package-lock-only`
}

const tree = () => {
  const changes = git("status", "--porcelain")
  if (changes === undefined) return "this is no git repository"
  return changes === "" ? undefined : `not everything is committed:\n${changes}`
}

const tags = () => {
  const there = git("rev-parse", "--verify", "--quiet", `refs/tags/${tag}^{commit}`)
  if (options.publish) {
    if (there === undefined) return `there is no tag ${tag}`
    return there === git("rev-parse", "HEAD") ? undefined : `the tag ${tag} is another commit`
  }
  return there === undefined ? undefined : `the tag ${tag} is there already`
}

const released = () => {
  const { status, stderr, stdout } = npm("view", name, "versions", "--json")
  if (status !== 0)
    return /E404/.test(stdout + stderr) ? undefined : `the registry could not be asked: ${stderr.trim().split("\n")[0]}`
  return [JSON.parse(stdout)].flat().includes(version) ? `${name} ${version} has been released already` : undefined
}

/** Where the sources are. Nobody writes that down by hand: a build server knows. */
const repository = () => {
  const { GITHUB_REPOSITORY: place, GITHUB_SERVER_URL: server } = process.env
  return place && server ? `git+${server}/${place}.git` : undefined
}

const stated = typeof manifest.repository === "string" ? manifest.repository : manifest.repository?.url

const origin = () => {
  const here = repository()
  if (here === undefined)
    return "neither package.json nor the build server says where the sources are (GITHUB_SERVER_URL, GITHUB_REPOSITORY)"
  return stated === undefined || stated === here
    ? undefined
    : `package.json says that the sources are at ${stated}, and this is ${here}`
}

const builtHere = () => {
  const { ACTIONS_ID_TOKEN_REQUEST_TOKEN: token, ACTIONS_ID_TOKEN_REQUEST_URL: url } = process.env
  if (process.env.CI !== "true") return "a version is published from the workflow, never from somebody's machine"
  return token && url ? undefined : "no identity to sign with: the job needs `permissions: id-token: write`"
}

const gatePassed = () =>
  process.env.GATE_RESULT === "success"
    ? undefined
    : `the gate has not passed (GATE_RESULT is ${process.env.GATE_RESULT || "not set"})`

const checks = {
  "the version is a semantic version": () => (semver.test(version) ? undefined : `${version} is not`),
  "the lock file has the same version": lock,
  "everything is committed": tree,
  "the changelog says what is new, and when": changelog,
  [options.publish ? "this is the tagged commit" : "the version is not tagged"]: tags,
  "the version is not released": released,
  ...(options.publish && {
    "the gate has passed": gatePassed,
    "the sources have a place": origin,
    "the build can sign for itself": builtHere
  })
}

let refused = 0
for (const [what, problemOf] of Object.entries(checks)) {
  const problem = problemOf()
  if (problem !== undefined) refused++
  console.log(problem === undefined ? `ok       ${what}` : `refused  ${what}: ${problem}`)
}

if (section !== undefined && section.notes !== "") {
  if (options.notes !== undefined) fs.writeFileSync(options.notes, `${section.notes}\n`)
  console.log(`\n${name} ${version}\n\n${section.notes}\n`)
}

const isPrerelease = semver.exec(version)?.[4] !== undefined
const publishArguments = ["publish", "--provenance", "--access", "public", ...(isPrerelease ? ["--tag", "next"] : [])]

const run = (command, ...args) => {
  const { status } = say(command, args, { stdio: "inherit", shell: isWindows })
  if (status === 0) return true
  console.error(`${command} ${args.join(" ")} ended with ${status}`)
  return false
}

const publish = () => {
  const before = fs.readFileSync("package.json", "utf8")
  const url = repository()
  // npm holds the statement of provenance against it.
  if (stated === undefined)
    fs.writeFileSync("package.json", `${JSON.stringify({ ...manifest, repository: { type: "git", url } }, null, 2)}\n`)
  try {
    return run("npm", ...publishArguments)
  } finally {
    fs.writeFileSync("package.json", before)
  }
}

const release = () => {
  if (refused > 0) {
    console.error(`not released: ${refused} of ${Object.keys(checks).length} refused`)
    return false
  }
  if (isDry) {
    console.log(
      "Nothing was changed. `npm run release -- --tag` runs the gate (.ci/run) and tags; the workflow does the rest:"
    )
    console.log(`git tag -a ${tag}\nnpm ${publishArguments.join(" ")}`)
    return true
  }
  if (options.publish) return publish()
  if (!run("bash", ".ci/run")) return false
  if (tree() !== undefined) {
    console.error(`not tagged: the gate has changed something\n${tree()}`)
    return false
  }
  if (
    !run("git", "tag", "--annotate", tag, "--cleanup=verbatim", "--message", `${name} ${version}\n\n${section.notes}`)
  )
    return false
  console.log(`Tagged. Now: git push origin ${tag}`)
  return true
}

process.exitCode = release() ? 0 : 1
