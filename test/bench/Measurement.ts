/**
 * Holds a contest in rounds: in each round every contender has one run.
 *
 * The contenders take turns in one process, so that whatever slows the machine down slows all of them down, and the
 * order turns with the rounds, so that nobody is always the first.
 *
 * No benchmark library does the running: tinybench and mitata run each task to its end before the next one. The figures are
 * made from the samples by simple-statistics.
 */
import * as Effect from "effect/Effect"
import type { Contender, Contest, Unit } from "./Contest.ts"
import { type Statistics, statisticsOf } from "./Statistics.ts"

export interface Entry {
  readonly contender: string
  readonly figures: Statistics
  /** How many times as good ours is: more than 1 means that we are ahead. */
  readonly ratio: number
}

export interface Result {
  readonly contest: string
  readonly unit: Unit
  readonly remark: string | undefined
  readonly entries: ReadonlyArray<Entry>
}

/** A group of contests that is measured in one go. */
export interface Section {
  readonly title: string
  readonly contests: ReadonlyArray<Contest>
}

/**
 * All contests are warmed up before the first is measured, so that each is measured in the company of the others' compiled
 * code, and each again before its own rounds, so that none pays for the one before it.
 */
export const measure = Effect.fnUntraced(function* (contests: ReadonlyArray<Contest>) {
  for (const contest of contests) yield* hold(contest, contest.rounds.warmup)
  const results: Array<Result> = []
  for (const contest of contests) {
    yield* hold(contest, contest.rounds.warmup)
    results.push(resultOf(contest, yield* hold(contest, contest.rounds.measured)))
  }
  return results
})

const hold = Effect.fnUntraced(function* (contest: Contest, rounds: number) {
  const samples = contest.contenders.map((): Array<number> => [])
  for (let round = 0; round < rounds; round++) {
    for (const place of orderOf(contest.contenders.length, round)) {
      samples[place]!.push(yield* sample(contest, contest.contenders[place]!))
    }
  }
  return samples
})

/** Everyone is first, and after everyone else, equally often. */
const orderOf = (count: number, round: number): ReadonlyArray<number> => {
  const turned = Array.from({ length: count }, (_, place) => (place + round) % count)
  return round % 2 === 0 ? turned : turned.toReversed()
}

const sample = ({ operations }: Contest, { run }: Contender): Effect.Effect<number> =>
  Effect.suspend(() => {
    // Nobody pays for the young garbage of the one before. A full collection would throw compiled code away with it, and
    // what is measured then is the compiler.
    globalThis.gc?.({ type: "minor" })
    const start = performance.now()
    return Effect.map(run, (measured) => measured ?? ((performance.now() - start) * 1e6) / operations)
  })

const resultOf = (
  { contenders, name, remark, unit }: Contest,
  samples: ReadonlyArray<ReadonlyArray<number>>
): Result => {
  const ours = statisticsOf(samples[0]!).median
  return {
    contest: name,
    unit,
    remark,
    entries: contenders.map(({ name: contender }, place) => {
      const figures = statisticsOf(samples[place]!)
      return { contender, figures, ratio: unit === "per second" ? ours / figures.median : figures.median / ours }
    })
  }
}
