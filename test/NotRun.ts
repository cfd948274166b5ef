/**
 * Says at the end of a run which tests were not run, and why: a machine without a browser or a database's server is no reason to
 * fail, and none to keep silent. A test that cannot run has the reason in its name or its title: `... (not run: /usr/bin/x is not there)`.
 */
import type { Reporter, TestModule } from "vitest/node"

const reasonOf = (name: string): string | undefined => /\((?:not run|skipped): ([^()]*)\)/.exec(name)?.[1]

export default class NotRun implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const counts = new Map<string, number>()
    for (const module of modules) {
      for (const test of module.children.allTests("skipped")) {
        const reason = reasonOf(test.fullName)
        if (reason !== undefined) counts.set(reason, (counts.get(reason) ?? 0) + 1)
      }
    }
    for (const [reason, count] of counts) console.log(`not run: ${count} tests, since ${reason}`)
  }
}
