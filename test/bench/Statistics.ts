/**
 * The middle and the spread of a few samples.
 *
 * Not tinybench's: it runs each task to its end before the next one, or all of them at the same time, and its statistics
 * are made from samples it has taken itself. Contenders that take turns are the point of this benchmark, and a median
 * with its quartiles is a few lines.
 */

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
    median: quantile(sorted, 0.5),
    lowerQuartile: quantile(sorted, 0.25),
    upperQuartile: quantile(sorted, 0.75),
    samples: sorted.length
  }
}

/** Half the distance between the quartiles, as a part of the median. */
export const spreadOf = ({ lowerQuartile, median, upperQuartile }: Statistics): number =>
  (upperQuartile - lowerQuartile) / 2 / median

/** Interpolates between the two samples next to it. */
const quantile = (sorted: ReadonlyArray<number>, q: number): number => {
  const position = (sorted.length - 1) * q
  const below = sorted[Math.floor(position)]!
  const above = sorted[Math.ceil(position)]!
  return below + (above - below) * (position - Math.floor(position))
}
