/** Results as the laboratory might give them, for those who report them. */
import type { LoadResult, LoadSample } from "../../src/laboratory/LoadResult.ts"
import type { LoadScenario } from "../../src/laboratory/LoadScenario.ts"

/** A minute of load, of which half is measured. */
export const scenario: LoadScenario = {
  name: "minute",
  summary: "A minute.",
  server: { perSecond: 100, contention: 0, coherency: 0, connectMillis: 100 },
  pool: { maxUses: Infinity },
  work: { spread: "fixed" },
  load: [{ seconds: 60, perSecond: 100 }],
  events: [],
  goodWithinMillis: 1000,
  measureFrom: 30
}

export const sample = (seconds: number, changes: Partial<LoadSample> = {}): LoadSample => ({
  seconds,
  requests: 100,
  good: 100,
  refused: 0,
  waiting: 0,
  open: 10,
  inUse: 5,
  connecting: 0,
  limit: 10,
  longestWait: 20,
  ...changes
})

/** 100 requests, of which 80 are good. */
export const result = (changes: Partial<LoadResult> = {}): LoadResult => ({
  scenario: "minute",
  policy: "predictive",
  seed: 1,
  requests: 100,
  good: 80,
  late: 8,
  shed: 6,
  timedOut: 4,
  failed: 2,
  answerMillis: { p50: 10, p99: 200, p999: 300, max: 400 },
  waitMillis: { p50: 1, p99: 100 },
  meanConnections: 12.5,
  peakConnections: 20,
  opened: 15,
  closed: 5,
  attempts: 16,
  attemptsWhileDown: 0,
  downMillis: 0,
  overshoot: 0,
  unfairnessMillis: 0,
  violations: [],
  sampleMillis: 1000,
  timeline: [sample(1), sample(2), sample(3)],
  ...changes
})
