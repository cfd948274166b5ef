/**
 * Measures a workload in rounds: in each round every contender has one run.
 *
 * The contenders take turns in one process, so that whatever slows the machine down slows all of them down, and the
 * order turns with the rounds, so that nobody is always the first.
 */
import * as Effect from "effect/Effect"
import { type Statistics, statisticsOf } from "./Statistics.ts"
import { type Contender, contenders, type Workload } from "./Workload.ts"

export interface Result {
  readonly name: string
  readonly operations: number
  /** Nanoseconds per operation. */
  readonly nanoseconds: Readonly<Record<Contender, Statistics>>
  /** How many times as long they take: more than 1 means that we are faster. */
  readonly ratio: number
}

type Samples = Record<Contender, Array<number>>

/**
 * One workload after the other. All of them are warmed up before the first is measured, so that each is measured in the
 * company of the others' compiled code, and each again before its own rounds, so that none pays for the one before it.
 */
export const measure = Effect.fnUntraced(function* (
  workloads: ReadonlyArray<Workload>,
  rounds: { readonly warmup: number; readonly measured: number }
) {
  for (const workload of workloads) yield* samplesOf(workload, rounds.warmup)
  const results: Array<Result> = []
  for (const workload of workloads) {
    yield* samplesOf(workload, rounds.warmup)
    results.push(resultOf(workload, yield* samplesOf(workload, rounds.measured)))
  }
  return results
})

const samplesOf = Effect.fnUntraced(function* (workload: Workload, rounds: number) {
  const samples: Samples = { ours: [], theirs: [], floor: [] }
  for (let round = 0; round < rounds; round++) {
    for (const contender of orderOf(round)) samples[contender].push(yield* nanosecondsOf(workload, contender))
  }
  return samples
})

/** Everyone is first, and after everyone else, equally often. */
const orderOf = (round: number): ReadonlyArray<Contender> => {
  const turned = contenders.map((_, position) => contenders[(position + round) % contenders.length]!)
  return round % 2 === 0 ? turned : turned.toReversed()
}

const nanosecondsOf = (workload: Workload, contender: Contender): Effect.Effect<number> =>
  Effect.suspend(() => {
    // Nobody pays for the young garbage of the one before. A full collection would throw compiled code away with it, and
    // what is measured then is the compiler.
    globalThis.gc?.({ type: "minor" })
    const start = performance.now()
    return Effect.map(workload.runs[contender], () => ((performance.now() - start) * 1e6) / workload.operations)
  })

const resultOf = ({ name, operations }: Workload, samples: Samples): Result => {
  const nanoseconds = {
    ours: statisticsOf(samples.ours),
    theirs: statisticsOf(samples.theirs),
    floor: statisticsOf(samples.floor)
  }
  return { name, operations, nanoseconds, ratio: nanoseconds.theirs.median / nanoseconds.ours.median }
}
