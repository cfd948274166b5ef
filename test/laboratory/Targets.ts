/** What the default policy has to reach in the load laboratory, row by row: the table of docs/sizing.md, and the test of it. */
import type { LoadResult } from "effect-pool/laboratory"

/** The fixed sizes that were chosen before any run. */
export const fixedSizes = [5, 10, 20, 35, 50, 100]

/** What came of a scenario, by policy. */
export type Results = ReadonlyMap<string, ReadonlyArray<LoadResult>>

export interface Assessment {
  readonly measured: string
  readonly isMet: boolean
}

export interface Target {
  readonly row: string
  readonly scenario: string
  readonly target: string
  /** What has to be run for it, beside the default. */
  readonly policies: ReadonlyArray<string>
  readonly assess: (results: Results) => Assessment
}

const predictive = "predictive"

const mean = (runs: ReadonlyArray<LoadResult>, of: (run: LoadResult) => number): number =>
  runs.reduce((sum, run) => sum + of(run), 0) / runs.length

const runsOf = (results: Results, policy: string): ReadonlyArray<LoadResult> => results.get(policy) ?? []

/** The part of the requests that were answered within a second, in percent. */
export const goodOf = (results: Results, policy: string): number =>
  100 * mean(runsOf(results, policy), ({ good, requests }) => good / requests)

const percent = (value: number): string => `${value.toFixed(value > 99 && value < 100 ? 2 : 1)} %`

const named = (sizes: ReadonlyArray<number>): ReadonlyArray<string> => sizes.map((size) => `fixed:${size}`)

/** Of these sizes the smallest that answers nearly everybody in time: one that nobody knows before the run. */
const smallestThatDoes = (results: Results, sizes: ReadonlyArray<number>, least: number): number | undefined =>
  sizes.find((size) => goodOf(results, `fixed:${size}`) >= least)

const besideBestSize = (results: Results): Assessment => {
  const good = goodOf(results, predictive)
  const connections = mean(runsOf(results, predictive), ({ meanConnections }) => meanConnections)
  const best = smallestThatDoes(results, stepSizes, 99.5)
  return {
    measured: `${percent(good)} with ${connections.toFixed(1)} connections on average; the best fixed size is ${best ?? "none"}`,
    isMet: good >= 99.5 && best !== undefined && connections <= 1.2 * best
  }
}

const stepSizes = [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]

/**
 * Opens no more than twice what has to be opened: what the best fixed size has beyond the minimum of the scenario's pool. One
 * that needs nothing beyond it may still open as many as it has at its peak.
 */
const withoutChurn =
  (sizes: ReadonlyArray<number>, minimum: number) =>
  (results: Results): Assessment => {
    const good = goodOf(results, predictive)
    const opened = mean(runsOf(results, predictive), (run) => run.opened)
    const best = smallestThatDoes(results, sizes, 99.5) ?? Math.max(...sizes)
    const needed = Math.max(1, best - minimum)
    return {
      measured: `${percent(good)}, ${opened.toFixed(1)} opened where ${needed} have to be`,
      isMet: good >= 99.5 && opened < 2 * needed
    }
  }

const notFarFromBest = (results: Results): Assessment => {
  const good = goodOf(results, predictive)
  const others = fixedSizes.map((size) => ({ size, good: goodOf(results, `fixed:${size}`) }))
  const best = others.reduce((one, other) => (other.good > one.good ? other : one))
  return {
    measured: `${percent(good)}; the best fixed size, ${best.size}: ${percent(best.good)}`,
    isMet: good >= best.good - 3
  }
}

/** The retry schedule of the scenario's pool, in milliseconds: each step is shortened by up to a fifth. */
const retry = { initial: 1000, factor: 2, shortest: 0.8, maxConnecting: 5 }

/** How many steps can end while the server is away, if each is as short as it may be; and the longest that can be running then. */
export const stepsWithin = (downMillis: number): { readonly ended: number; readonly running: number } => {
  let ended = 0
  for (let step = retry.initial * retry.shortest, at = step; at <= downMillis; step *= retry.factor, at += step) ended++
  let running = retry.initial
  for (let at = running; at <= downMillis; at += running) running *= retry.factor
  return { ended, running }
}

const backWithoutHerd = (results: Results): Assessment => {
  const runs = runsOf(results, predictive)
  const { ended, running } = stepsWithin(runs[0]?.downMillis ?? 0)
  const attempts = Math.max(...runs.map(({ attemptsWhileDown }) => attemptsWhileDown))
  const recovered = Math.max(...runs.map(({ recoveredMillis = Infinity }) => recoveredMillis))
  const together = Math.max(...runs.flatMap(({ timeline }) => timeline.map(({ connecting }) => connecting)))
  const most = ended + retry.maxConnecting
  return {
    measured:
      `at most ${attempts} attempts while it was away (the schedule allows ${most}); nobody waits ` +
      `${(recovered / 1000).toFixed(1)} s after it is back (the step: ${running / 1000} s); at most ${together} connect at once`,
    isMet: attempts <= most && recovered <= running && together <= retry.maxConnecting
  }
}

export const targets: ReadonlyArray<Target> = [
  {
    row: "ten times the load at once",
    scenario: "step",
    target: "at least 99.5 % within 1 s, with at most 1.2 times the connections of the best fixed size",
    policies: named(stepSizes),
    assess: besideBestSize
  },
  {
    row: "1.2 times what the server can do",
    scenario: "overload",
    target: "at least 80 % within 1 s",
    policies: ["fixed:20/unshed"],
    assess: (results) => {
      const good = goodOf(results, predictive)
      const without = goodOf(results, "fixed:20/unshed")
      return { measured: `${percent(good)}; 20 connections that refuse nobody: ${percent(without)}`, isMet: good >= 80 }
    }
  },
  {
    row: "a trough, then a ramp",
    scenario: "trough-ramp",
    target: "at least 99.5 %, and less than twice the opens that are needed",
    policies: named(stepSizes),
    assess: withoutChurn(stepSizes, 5)
  },
  {
    row: "bursts",
    scenario: "burst",
    target: "at least 99.5 %, and less than twice the opens that are needed",
    policies: named(stepSizes),
    assess: withoutChurn(stepSizes, 5)
  },
  {
    row: "50 requests at once, connect 150 ms, query 2 ms",
    scenario: "spike",
    target: "at most 6 connections",
    policies: [],
    assess: (results) => {
      const peak = Math.max(...runsOf(results, predictive).map(({ peakConnections }) => peakConnections))
      return { measured: `${peak} connections`, isMet: peak <= 6 }
    }
  },
  {
    row: "a server that is ten times slower for a while",
    scenario: "slow-server",
    target: "not more than 3 points behind the best fixed size",
    policies: named(fixedSizes),
    assess: notFarFromBest
  },
  {
    row: "a noisy neighbour",
    scenario: "noisy-neighbour",
    target: "not more than 3 points behind the best fixed size",
    policies: named(fixedSizes),
    assess: notFarFromBest
  },
  {
    row: "a restart of the server",
    scenario: "restart",
    target: "attempts bounded by the schedule, everybody served within one step of it, no herd",
    policies: [],
    assess: backWithoutHerd
  }
]

/**
 * By how many points another may be ahead and it is still a tie: what the targets allow where the server itself is in trouble. A
 * fixed pool of 35, the very knee of the laboratory's server, has all it needs open when the overload comes; a pool that has to
 * open thirty first misses half a second of 35, which is a point and a half.
 */
const tie = (scenario: string): number => ties[scenario] ?? 0.5

const ties: Readonly<Record<string, number>> = { "slow-server": 3, "noisy-neighbour": 3, restart: 3, overload: 1.5 }

/** Everything that the default has to be as good as. */
export const rivals: ReadonlyArray<string> = ["threshold", ...named(fixedSizes)]

/** Those that are ahead of the default in a scenario, by more than a tie. */
export const ahead = (scenario: string, results: Results): ReadonlyArray<string> =>
  rivals.filter((rival) => goodOf(results, rival) > goodOf(results, predictive) + tie(scenario))
