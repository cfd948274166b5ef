/**
 * `npm run bench -- --guard`: fails when borrowing has become slower, measured against Effect's `Pool` in the same run.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { theirName } from "./Contenders.ts"
import { measure, type Result } from "./Measurement.ts"
import { guardedContests } from "./PoolContests.ts"

/**
 * How many times as fast as Effect's `Pool` at least. Both are well under what a quiet machine shows (docs/benchmarks.md), since
 * a gate must not fail because of its neighbours; who loses a third of the speed is caught.
 */
const atLeast: Readonly<Record<string, number>> = { use: 0.7, "scoped acquire": 0.45 }

/** A machine may be busy once, and a second time. */
const tries = 3

class TooSlow extends Schema.TaggedError<TooSlow>()("TooSlow", { found: Schema.String }) {
  override get message(): string {
    return `slower than it was: ${this.found}`
  }
}

const ratioOf = ({ entries }: Result): number => entries.find(({ contender }) => contender === theirName)!.ratio

const describe = (result: Result): string =>
  `${result.contest} ${ratioOf(result).toFixed(2)}x Effect's Pool (at least ${atLeast[result.contest]})`

export const guard = Effect.gen(function* () {
  const results = yield* Effect.scoped(Effect.flatMap(guardedContests({ warmup: 5, measured: 15 }), measure))
  const found = results.map(describe).join(", ")
  yield* Console.log(found)
  if (results.some((result) => ratioOf(result) < atLeast[result.contest]!)) return yield* new TooSlow({ found })
}).pipe(Effect.retry(Schedule.recurs(tries - 1)))
