/** How long leases last, on average and in their variety, from the two percentiles that people have. */

/** Where the normal distribution has 95 % below it, in standard deviations. */
const normal95 = 1.645

/** How long leases last. */
export interface HoldTime {
  readonly meanMillis: number
  /** The squared coefficient of variation: 0 where all last equally long, 1 for exponential times. */
  readonly variability: number
}

/**
 * The lognormal distribution through both percentiles: σ = ln(p95 / p50) / 1.645, mean = p50 · exp(σ² / 2),
 * cv² = exp(σ²) - 1. Hold times are products of many causes and have a long tail, so the mean lies above the median: p50 20 ms
 * and p95 80 ms give 28.5 ms.
 *
 * Without a p95 the p50 stands for the mean, and the times are taken as exponential (cv² = 1), as M/M/c has them.
 */
export const holdTime = (p50Millis: number, p95Millis: number | undefined): HoldTime => {
  if (p95Millis === undefined) return { meanMillis: p50Millis, variability: 1 }
  const variance = (Math.log(p95Millis / p50Millis) / normal95) ** 2
  return { meanMillis: p50Millis * Math.exp(variance / 2), variability: Math.exp(variance) - 1 }
}
