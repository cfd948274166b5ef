/** What came of several runs of the load laboratory, taken together: for each scenario and policy, over all seeds. */
import { type Estimate, estimate } from "./Confidence.ts"
import type { LoadResult } from "./LoadResult.ts"
import type { LoadScenario } from "./LoadScenario.ts"
import { loadMillis } from "./Workload.ts"

/**
 * What the policies made of one scenario, over all seeds.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScenarioSummary {
  /** The scenario's name. */
  readonly scenario: string
  /** What it is, in a sentence. */
  readonly summary: string
  /** Absent, if nobody says what scenario it was. */
  readonly goodWithinMillis?: number | undefined
  /** How long was measured. Absent, if nobody says what scenario it was. */
  readonly measuredSeconds?: number | undefined
  /** In the order in which they were asked for. */
  readonly policies: ReadonlyArray<PolicySummary>
}

/**
 * Means over the seeds, unless said otherwise. A share is a part of the measured requests, from 0 to 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface PolicySummary {
  /** The policy's name. */
  readonly policy: string
  /** The seeds of its runs. */
  readonly seeds: ReadonlyArray<number>
  /** How many requests were measured. */
  readonly requests: number
  /** Answered in good time. This and the other shares are absent, if there were no requests. */
  readonly goodShare?: Estimate | undefined
  /** Answered, and too late. Absent, if there were no requests. */
  readonly lateShare?: number | undefined
  /** Refused early. Absent, if there were no requests. */
  readonly shedShare?: number | undefined
  /** Told after their whole time that there was no connection. Absent, if there were no requests. */
  readonly timedOutShare?: number | undefined
  /** Failed for another reason. Absent, if there were no requests. */
  readonly failedShare?: number | undefined
  /** Absent, if nothing was answered in any run. */
  readonly p99AnswerMillis?: number | undefined
  /** Connections that were open or connecting, on average over the time measured. */
  readonly meanConnections: number
  /** The most there were at once. */
  readonly peakConnections: number
  /** Absent, if the length of the measured time is not known. */
  readonly opensPerMinute?: number | undefined
  /** Absent, if the server was never down. */
  readonly attemptsWhileDownPerSecond?: number | undefined
  /** Over the runs that had recovered by their end; absent, if none had. */
  readonly recoveredMillis?: number | undefined
  /** In so many runs the server was down, and somebody still waited when the run ended. */
  readonly unrecovered: number
  /** The worst of all runs. */
  readonly overshoot: number
  /** All that were found, each with the seed that shows it. */
  readonly violations: ReadonlyArray<{ readonly seed: number; readonly what: string }>
}

/** Scenarios and policies come in the order in which their first results do. */
export const summarize = (
  results: ReadonlyArray<LoadResult>,
  scenarios: ReadonlyArray<LoadScenario>
): ReadonlyArray<ScenarioSummary> =>
  grouped(results, ({ scenario }) => scenario).map(([name, ofScenario]) => {
    const scenario = scenarios.find((known) => known.name === name)
    const measuredSeconds = scenario && loadMillis(scenario) / 1000 - scenario.measureFrom
    return {
      scenario: name,
      summary: scenario?.summary ?? "",
      goodWithinMillis: scenario?.goodWithinMillis,
      measuredSeconds,
      policies: grouped(ofScenario, ({ policy }) => policy).map(([policy, runs]) =>
        policySummary(policy, runs, measuredSeconds)
      )
    }
  })

const grouped = <X>(all: ReadonlyArray<X>, keyOf: (one: X) => string): ReadonlyArray<[string, ReadonlyArray<X>]> => {
  const groups = new Map<string, Array<X>>()
  for (const one of all) {
    const group = groups.get(keyOf(one))
    if (group === undefined) groups.set(keyOf(one), [one])
    else group.push(one)
  }
  return Array.from(groups)
}

const policySummary = (
  policy: string,
  runs: ReadonlyArray<LoadResult>,
  measuredSeconds: number | undefined
): PolicySummary => {
  const asked = runs.filter(({ requests }) => requests > 0)
  const share = (of: (run: LoadResult) => number) => mean(asked.map((run) => of(run) / run.requests))
  const answered = runs.filter(({ good, late }) => good + late > 0)
  const down = runs.filter(({ downMillis }) => downMillis > 0)
  return {
    policy,
    seeds: runs.map(({ seed }) => seed),
    requests: mean(runs.map(({ requests }) => requests))!,
    goodShare: estimate(asked.map(({ good, requests }) => good / requests)),
    lateShare: share(({ late }) => late),
    shedShare: share(({ shed }) => shed),
    timedOutShare: share(({ timedOut }) => timedOut),
    failedShare: share(({ failed }) => failed),
    p99AnswerMillis: mean(answered.map(({ answerMillis }) => answerMillis.p99)),
    meanConnections: mean(runs.map(({ meanConnections }) => meanConnections))!,
    peakConnections: mean(runs.map(({ peakConnections }) => peakConnections))!,
    opensPerMinute: measuredSeconds && mean(runs.map(({ opened }) => (60 * opened) / measuredSeconds)),
    attemptsWhileDownPerSecond: mean(
      down.map(({ attemptsWhileDown, downMillis }) => (1000 * attemptsWhileDown) / downMillis)
    ),
    recoveredMillis: mean(down.flatMap(({ recoveredMillis }) => recoveredMillis ?? [])),
    unrecovered: down.filter(({ recoveredMillis }) => recoveredMillis === undefined).length,
    overshoot: Math.max(...runs.map(({ overshoot }) => overshoot)),
    violations: runs.flatMap(({ seed, violations }) => violations.map((what) => ({ seed, what })))
  }
}

const mean = (samples: ReadonlyArray<number>): number | undefined => estimate(samples)?.mean
