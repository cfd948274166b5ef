/**
 * The mean of a few runs, and how far it can be believed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Estimate {
  /** In the unit of what was measured. */
  readonly mean: number
  /** With 95 % confidence, what the mean stands for is no further away than this. Absent: one run says nothing of that. */
  readonly halfWidth?: number | undefined
  /** Of so many runs. */
  readonly runs: number
}

/** Absent, where there is nothing to estimate from. */
export const estimate = (samples: ReadonlyArray<number>): Estimate | undefined => {
  const { length: runs } = samples
  if (runs === 0) return undefined
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / runs
  if (runs === 1) return { mean, runs }
  const variance = samples.reduce((sum, sample) => sum + (sample - mean) ** 2, 0) / (runs - 1)
  return { mean, halfWidth: studentT(runs - 1) * Math.sqrt(variance / runs), runs }
}

/** Where 97.5 % of Student's distribution lie below, by its degrees of freedom, from 1 on. */
const quantiles = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281]

/** Of the normal distribution, which Student's comes close to. */
const normal = 1.959964

/** Beyond the table, an expansion in the degrees of freedom (Cornish and Fisher) that is right to four digits. */
const studentT = (freedom: number): number => quantiles[freedom - 1] ?? expansion(normal, freedom)

const expansion = (z: number, freedom: number): number =>
  z +
  (z ** 3 + z) / (4 * freedom) +
  (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) +
  (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3)
