#!/usr/bin/env node
/**
 * The entry point of `npx effect-pool`. It imports nothing by itself: `@effect/platform-node` is an optional peer, and who has not
 * installed it is told so, rather than shown the stack of a module that was not found. So is who has an old Node.
 */
import { problemOfImport, problemOfNode } from "./Requirements.ts"

const fail = (what: unknown): void => {
  // There is no Effect runtime to say it with: it may be what is missing.
  // oxlint-disable-next-line no-console -- the process ends here
  console.error(what)
  process.exitCode = 1
}

const tooOld = problemOfNode(process.versions.node)

if (tooOld === undefined) void import("./Program.ts").then(undefined, (error) => fail(problemOfImport(error) ?? error))
else fail(tooOld)
