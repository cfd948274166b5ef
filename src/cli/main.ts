#!/usr/bin/env node
/** The entry point of `npx effect-pool`. What it needs is loaded from here, so that what is missing is said in a line. */
import { problemOfImport, problemOfNode } from "./Requirements.ts"

const refuse = (problem: string): void => {
  console.error(problem)
  process.exitCode = 1
}

const tooOld = problemOfNode(process.versions.node)

if (tooOld === undefined) {
  import("./Start.ts").then(undefined, (error: unknown) => {
    const problem = problemOfImport(error)
    return problem === undefined ? Promise.reject(error) : refuse(problem)
  })
} else refuse(tooOld)
