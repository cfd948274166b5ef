/**
 * Measures workloads in rounds: in each round every contender has one run of every workload.
 *
 * The contenders take turns in one process, so that whatever slows the machine down slows all of them down, and the
 * order turns with the rounds, so that nobody is always the one who runs after somebody else.
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

/** The rounds of the warmup are run like the others and forgotten: by then the code is compiled and the pools are open. */
export const measure = Effect.fnUntraced(function* (
  workloads: ReadonlyArray<Workload>,
  rounds: { readonly warmup: number; readonly measured: number }
) {
  const samples = workloads.map((): Samples => ({ ours: [], theirs: [], floor: [] }))
  for (let round = 0; round < rounds.warmup + rounds.measured; round++) {
    for (const [index, workload] of workloads.entries()) {
      for (const contender of orderOf(round)) {
        const sample = yield* nanosecondsOf(workload, contender)
        if (round >= rounds.warmup) samples[index]![contender].push(sample)
      }
    }
  }
  return workloads.map((workload, index) => resultOf(workload, samples[index]!))
})

/** There and back: A B C, C B A, A B C ... */
const orderOf = (round: number): ReadonlyArray<Contender> => (round % 2 === 0 ? contenders : contenders.toReversed())

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
