import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// Vitest's report of failures needs this; Node 20 does not have it.
// oxlint-disable-next-line typescript/unbound-method -- assigned, not called
Map.groupBy ??= (items, keyOf) => {
  const groups = new Map()
  let index = 0
  for (const item of items) {
    const key = keyOf(item, index++)
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  return groups
}

const root = fileURLToPath(new URL("..", import.meta.url))

export default defineConfig({
  root,
  resolve: {
    // One instance of every module: examples import the package by name, tests import the sources.
    alias: [
      {
        find: /^effect-pool\/(Postgres|Sql|MySql|Redis|Sqlite|SurrealDb)$/,
        replacement: `${root}src/connectors/$1.ts`
      },
      { find: /^effect-pool\/http$/, replacement: `${root}src/http/index.ts` },
      { find: /^effect-pool\/laboratory$/, replacement: `${root}src/laboratory/index.ts` },
      { find: /^effect-pool\/testing$/, replacement: `${root}src/testing/index.ts` },
      { find: /^effect-pool\/(\w+)$/, replacement: `${root}src/$1.ts` },
      { find: /^effect-pool$/, replacement: `${root}src/index.ts` }
    ]
  },
  test: {
    include: ["test/**/*.test.ts", "docs/examples/specs/*.test.ts"],
    pool: "forks",
    // Vitest would leave one of two processors to itself. Most of these tests wait: for servers, browsers, deadlines.
    maxWorkers: 2,
    testTimeout: 30_000,
    // Tests that run side by side start processes of their own.
    maxConcurrency: 2,
    reporters: ["default", `${root}test/NotRun.ts`]
  }
})
