/** What changes slowly: sizing, advice, configuration, sums by reason, and the last failures to connect. */
import type { Report } from "./Api.ts"
import type { App, Pair } from "./App.ts"

export function installFacts(app: App): void {
  const { lines, millis, number, pairs, percent, phrase, time } = app
  const mostDecisions = 8
  const verdicts: Readonly<Record<string, string>> = {
    fits: "✓ the present maximum fits",
    change: "▲ change the maximum",
    noMaximumHelps: "▲ no maximum helps; this is the least bad"
  }

  const drawSizing = ({ knee, maxConnections, minConnections, sizing }: Report): void => {
    const { ceiling, changed, connections, fault = "", ignored, notGrown, policy } = sizing
    const certain = knee && `${percent(knee.confidence)} certain${knee.isFrozen ? ", from before a change" : ""}`
    pairs("sizing", [
      ["Policy", policy],
      ["Wants", `${connections} connections, between ${minConnections} and ${maxConnections}`],
      ["Ceiling", ceiling !== undefined && `${ceiling}`],
      ["Last change", changed && `${time(changed.at)}: ${changed.from} → ${changed.to}, ${changed.reason}`],
      ["Not grown", notGrown && `${time(notGrown.at)}: ${notGrown.reason}`],
      ["Ignored", ignored > 0 && `${app.many(ignored, "time")}. ${fault}`],
      ["Knee", knee && `${knee.connections} connections (${certain}). ${knee.advice}`]
    ])
    const decisions = app.view.facts
      .filter(({ _tag }) => app.sizing.test(_tag))
      .slice(-mostDecisions)
      .toReversed()
    const words = decisions.map((fact) => `${time(fact.at)} ${phrase(fact._tag)}: ${app.factWords(fact)}`)
    lines("decisions", words)
  }

  const drawAdvice = ({ advice, maxConnections }: Report): void => {
    lines("advisor-notes", advice?.notes ?? ["Too little has been seen to say anything yet."])
    const { expectedWaitMillis: wait, expectedWaitMillisP99: longest = 0 } = advice ?? {}
    const most = longest > 0 ? `at most ${millis(longest)}` : "none"
    pairs(
      "advisor",
      !advice
        ? []
        : [
            ["Verdict", verdicts[advice.verdict]],
            [
              "Recommended",
              `${advice.minConnections} to ${advice.maxConnections} connections (now at most ${maxConnections})`
            ],
            ["Because", advice.because],
            [
              "Wait to expect",
              wait === undefined ? "the line only grows" : `${millis(wait)} on average, ${most} for 99 of 100`
            ],
            ["Busy then", `${number(advice.busyConnections)} connections, ${percent(advice.utilization)}`],
            ["Decided by", phrase(advice.bindingConstraint)]
          ]
    )
  }

  const counters = (name: string, counts: Readonly<Record<string, number>>): ReadonlyArray<Pair> =>
    Object.entries(counts).map(([reason, count]) => [`${name}: ${phrase(reason)}`, count > 0 && number(count)])

  const times = ({ count, p50, p95, p99 }: Report["useTimes"]): string =>
    count > 0 ? `p50 ${millis(p50)}, p95 ${millis(p95)}, p99 ${millis(p99)}` : "–"

  const drawCounters = (report: Report): void =>
    pairs("counters", [
      ["Acquired, returned", `${number(report.acquired)}, ${number(report.released)}`],
      ["Opened, closed", `${number(report.created)}, ${number(report.closed)}`],
      ["Waits", times(report.acquireTimes)],
      ["Holds", times(report.useTimes)],
      ["Connects", times(report.createTimes)],
      ["Leaks suspected", number(report.leaks)],
      ...counters("Closed", report.closedFor),
      ...counters("Acquire failed", report.refusedFor),
      ...counters("Connect failed", report.failedFor),
      ...counters("Retried", report.retriedFor)
    ])

  const config = app.table<Report["config"][number]>(
    "config",
    -1,
    "",
    ({ field }) => field,
    ["Field", ({ field }) => field],
    ["Value", ({ value }) => value],
    ["From", ({ origin }) => origin]
  )

  app.onRender.push((report) => {
    drawSizing(report)
    drawAdvice(report)
    drawCounters(report)
    config(report.config)
    const failures = report.failures.map(({ at, attempts, kind, message, reason, retryInMillis }) => {
      const next = retryInMillis ? `, next in ${millis(retryInMillis)}` : ""
      return `✕ ${phrase(reason)} (${kind}) at ${time(at)}, attempt ${attempts}${next}: ${message}`
    })
    lines("failures", failures)
    app.set("failures-none", failures.length === 0 && "None.")
  })
}
