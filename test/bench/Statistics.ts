/**
 * The middle and the spread of a few samples.
 */
import { quantileSorted } from "simple-statistics"

/** Half of the samples lie between the quartiles. */
export interface Statistics {
  readonly median: number
  readonly lowerQuartile: number
  readonly upperQuartile: number
  readonly samples: number
}

export const statisticsOf = (samples: ReadonlyArray<number>): Statistics => {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    median: quantileSorted(sorted, 0.5),
    lowerQuartile: quantileSorted(sorted, 0.25),
    upperQuartile: quantileSorted(sorted, 0.75),
    samples: sorted.length
  }
}

/** What so many of a hundred samples do not exceed. */
export const percentile = (samples: ReadonlyArray<number>, percent: number): number =>
  quantileSorted(
    samples.toSorted((a, b) => a - b),
    percent / 100
  )

/** Half the distance between the quartiles, as a part of the median. */
export const spreadOf = ({ lowerQuartile, median, upperQuartile }: Statistics): number =>
  median === 0 ? 0 : (upperQuartile - lowerQuartile) / 2 / median
