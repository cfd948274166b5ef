/**
 * `npm run bench`: this pool against the `Pool` that comes with Effect.
 *
 * - `-- --quick`: fewer rounds, for a look.
 * - `-- --json`: the results for a program.
 */
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { measure } from "./Measurement.ts"
import { render } from "./Report.ts"
import { surroundings } from "./Surroundings.ts"
import { makeWorkloads } from "./Workloads.ts"

const { json, quick } = parseArgs({
  options: { json: { type: "boolean", default: false }, quick: { type: "boolean", default: false } }
}).values

const rounds = quick ? { warmup: 5, measured: 18 } : { warmup: 10, measured: 60 }

const results = await Effect.runPromise(
  Effect.scoped(Effect.flatMap(makeWorkloads, (workloads) => measure(workloads, rounds)))
)

console.log(
  json ? JSON.stringify({ surroundings: surroundings(), results }, undefined, 2) : render(results, surroundings())
)
