#!/usr/bin/env node
/**
 * The entry point of `npx effect-pool`. It imports nothing by itself: `@effect/platform-node` is an optional peer, and who has not
 * installed it is told so, rather than shown the stack of a module that was not found.
 */
const isMissing = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"

const missingPeer = (error: unknown): string | undefined =>
  isMissing(error) ? /Cannot find package '(@effect\/platform-node|effect)'/.exec(error.message)?.[1] : undefined

const fail = (error: unknown): void => {
  const peer = missingPeer(error)
  const what =
    peer === undefined
      ? error
      : `effect-pool: this command needs ${peer}, which is not installed here:\n\n  npm install ${peer}\n`
  // There is no Effect runtime to say it with: it may be what is missing.
  // oxlint-disable-next-line no-console -- the process ends here
  console.error(what)
  process.exitCode = 1
}

void import("./Program.ts").then(undefined, fail)
