/**
 * docs/benchmarks.md, .json and .svg: what was measured, on what, how, and what it does not show.
 */
import * as fs from "node:fs"
import type { Entry, Result } from "./Measurement.ts"
import { pictureOf } from "./Picture.ts"
import { renderMarkdown, type ReportedSection, surroundingsText } from "./Report.ts"
import { spreadOf } from "./Statistics.ts"
import type { Surroundings } from "./Surroundings.ts"

export interface Run {
  readonly surroundings: Surroundings
  readonly sections: ReadonlyArray<ReportedSection>
}

const head = `# Benchmarks

How fast effect-pool is beside other pools for Node: alone, on a real PostgreSQL, with many borrowers, and in an outage. Where it is
slower, this page says why.

\`npm run bench -- --write\` makes this page, \`benchmarks.json\` and the picture. \`npm run bench -- --quick\` takes less than a minute;
\`-- --only pool\` (\`scale\`, \`watched\`, \`postgres\`, \`outage\`) measures one section.

![How many times as good effect-pool is as the others](benchmarks.svg)

Green: effect-pool is ahead of that contender. Orange: it is behind.

## How to read the tables

The last column compares each contender with the first line, which is ours. 2.00x means that ours takes half the time, or does twice as
much; 0.50x means that the other one does.

All contenders of a contest do the same work in one process. They take turns, one run each in a round, and the order changes with the
rounds. A figure is the median of the rounds, ± half the distance between the quartiles (by
[simple-statistics](https://simple-statistics.github.io)).

Every pool runs with its defaults. Ours has deadlines, counters, status, an event recorder and the watch for nested acquires switched on;
what the others do not do, they do not pay for. Some contenders are made of promises and not of Effect's fibers. A promise is cheaper to
suspend than a fiber, so the line "no pool" says what the fibers of such a contest cost by themselves.

## Where it is behind, and why

- **A scoped \`acquire\` beside Effect's scoped \`Pool.get\`.** Ours leaves a note of the lease in the fiber's context, so that a nested
  acquire is seen wherever it happens, and keeps counters, events and the time of each lease. A scope with a finalizer in it and no pool
  at all takes about as long as \`Pool.get\`, so nobody could be much faster than that. \`use\` needs no scope, and is about as fast as
  \`Pool.use\`.
- **Pools made of promises.** A fiber costs more than a promise to start, to suspend and to wake. The line "no pool" is what that is
  without any pool.
- **\`maxUses\`.** With its defaults ours replaces a connection after 1,000 leases, and nobody else here does. At 30,000 to 40,000
  statements a second that is 30 to 40 connects a second, and costs 15 to 30 % of the statements (several runs). A program that runs that
  fast should set \`maxUses: Infinity\`.
- **Coming back after an outage.** Ours waits for the end of its backoff step. In exchange it asks the server less than a thousandth as
  often meanwhile.
- **Very large pools.** From 100,000 connections or waiters on, the memory does not fit into the processor's caches. The fibers of the
  waiters alone take four to five times as long each as a few do.

## What it does not show

One process on one machine of two cores: no network, no other programs, and never several pools against one server. In the first section a
connection costs nothing to open and a statement takes no time, so it shows the pool's own share and nothing else. A statement on a server
takes hundreds of times that.
`

const rankingOf = ({ entries }: Result): string =>
  entries
    .toSorted((one, other) => one.ratio - other.ratio)
    .map(({ contender }) => contender)
    .join(" > ")

/** Whether one is better than another by more than both vary from round to round. */
const isAhead = (one: Entry, other: Entry): boolean =>
  one.ratio * (1 + spreadOf(one.figures)) < other.ratio * (1 - spreadOf(other.figures))

/** Two contenders who have changed places: clearly one way then, and clearly the other way now. */
const reversals = (now: Result, before: Result): ReadonlyArray<string> => {
  const then = new Map(before.entries.map((entry) => [entry.contender, entry]))
  return now.entries.flatMap((one) =>
    now.entries.flatMap((other) => {
      const [oneThen, otherThen] = [then.get(one.contender), then.get(other.contender)]
      const isReversed = oneThen && otherThen && isAhead(one, other) && isAhead(otherThen, oneThen)
      return isReversed ? [`${now.contest}: ${other.contender} before ${one.contender}, and now behind`] : []
    })
  )
}

/** Whether two runs put the contenders of each contest into the same order. */
const comparison = (run: Run, before: Run | undefined): string => {
  if (before === undefined) return "There is no earlier run to compare it with."
  const earlier = new Map(before.sections.flatMap(({ results }) => results).map((result) => [result.contest, result]))
  const results = run.sections.flatMap(({ results }) => results).filter(({ contest }) => earlier.has(contest))
  const changed = results.filter((result) => rankingOf(result) !== rankingOf(earlier.get(result.contest)!))
  const reversed = results.flatMap((result) => reversals(result, earlier.get(result.contest)!))
  return [
    `The run before this one put the contenders in exactly the same order in ${results.length - changed.length} of ${results.length} contests. ` +
      (reversed.length === 0
        ? "In the others, those who changed places were closer together than their figures vary, in one run or in both."
        : "These changed places, and were further apart in both runs than their figures vary:"),
    ...(reversed.length === 0 ? [] : ["", ...reversed.map((line) => `- ${line}`)])
  ].join("\n")
}

const previous = (): Run | undefined =>
  fs.existsSync("docs/benchmarks.json")
    ? (JSON.parse(fs.readFileSync("docs/benchmarks.json", "utf8")) as Run)
    : undefined

export const write = (run: Run): void => {
  const { sections, surroundings } = run
  const page = [
    head,
    "## The figures",
    "",
    surroundingsText(surroundings).split("\n").join("  \n"),
    "",
    renderMarkdown(sections),
    "",
    "## A second run",
    "",
    comparison(run, previous()),
    "",
    "## Next",
    "",
    "[The right size](sizing.md) · [what it costs to be watched](observability.md#what-it-costs) · [why it is built this way](decisions.md)",
    ""
  ].join("\n")
  fs.writeFileSync("docs/benchmarks.md", page)
  fs.writeFileSync("docs/benchmarks.json", `${JSON.stringify(run, undefined, 2)}\n`)
  // What is compared with itself has no place in the picture.
  fs.writeFileSync("docs/benchmarks.svg", pictureOf(sections.filter(({ title }) => title !== "Size")))
}
