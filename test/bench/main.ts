/**
 * `npm run bench`: this pool against every other pool there is for Node.
 *
 * - `-- --quick`: fewer rounds, and nothing that needs a server: under a minute.
 * - `-- --json`: the results for a program.
 * - `-- --only scale`: one section; see `sections`.
 * - `-- --guard`: fails if borrowing has become slower; part of the gate.
 * - `-- --write`: docs/benchmarks.md, .json and .svg.
 */
import { parseArgs } from "node:util"
import { NodeRuntime } from "@effect/platform-node"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import type { Contest } from "./Contest.ts"
import { write } from "./Document.ts"
import { guard } from "./Guard.ts"
import { measure } from "./Measurement.ts"
import { poolContests } from "./PoolContests.ts"
import { type ReportedSection, renderText } from "./Report.ts"
import { observationContests } from "./ObservationContests.ts"
import { outageContests } from "./OutageContest.ts"
import { postgresContests } from "./PostgresContests.ts"
import { scaleContests } from "./ScaleContests.ts"
import { surroundings } from "./Surroundings.ts"

const {
  guard: isGuarding,
  json,
  only,
  quick,
  write: isWritten
} = parseArgs({
  options: {
    guard: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false }
  }
}).values

const withoutServer = {
  pool: { title: "The pool itself", contests: poolContests(quick) },
  scale: { title: "Size", contests: scaleContests(quick) },
  watched: { title: "What it costs to be watched", contests: observationContests(quick) }
}

const withServer = {
  postgres: { title: "A real server: PostgreSQL", contests: postgresContests(quick) },
  outage: { title: "An outage", contests: outageContests(quick) }
}

// A quick look starts a server only for whoever asks for one.
const sections = { ...withoutServer, ...(quick && only === undefined ? {} : withServer) }

/** Pools come and go here by the dozen, and what they log of it would bury the figures. */
const held = <E>(contests: Effect.Effect<ReadonlyArray<Contest>, E, Scope.Scope>) =>
  Effect.flatMap(contests, measure).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

const runAll = Effect.gen(function* () {
  const results: Array<ReportedSection> = []
  for (const [name, { contests, title }] of Object.entries(sections)) {
    if (only === undefined || only === name) results.push({ title, results: yield* held(contests) })
  }
  const run = { surroundings: surroundings(), sections: results }
  if (isWritten) write(run)
  yield* Console.log(json ? JSON.stringify(run, undefined, 2) : renderText(results, run.surroundings))
})

const main: Effect.Effect<void, unknown> = isGuarding ? Effect.provide(guard, Logger.layer([])) : runAll

NodeRuntime.runMain(main)
