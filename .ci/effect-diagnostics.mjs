// Effect's own language diagnostics. The tool is fetched, not a dependency: registries have it for some platforms only,
// and `npm ci` fails for everyone when one platform's package is missing from the lock file.
import { spawnSync } from "node:child_process"

const version = "0.45.0"

if (process.platform !== "linux" || process.arch !== "x64") {
  console.log(
    `effect diagnostics: not run, @effect/tsgo@${version} has no package for ${process.platform}-${process.arch}`
  )
  process.exit(0)
}

const tsgo = (...args) =>
  spawnSync("npx", ["--yes", `@effect/tsgo@${version}`, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"]
  })

const fetched = tsgo("--version")
if (fetched.status !== 0) {
  console.log(
    `effect diagnostics: not run, @effect/tsgo@${version} could not be fetched: ${fetched.stderr.trim().split("\n").at(-1)}`
  )
  process.exit(0)
}

let failed = false
for (const project of ["src/tsconfig.json", "test/tsconfig.json"]) {
  const { status, stderr, stdout } = tsgo("diagnostics", "--strict", "--format", "text", "--project", project)
  if (status !== 0) {
    failed = true
    console.log(stdout + stderr)
  } else console.log(`effect diagnostics: ${project}: ${stdout.trim().split("\n").at(-1)}`)
}
process.exit(failed ? 1 : 0)
