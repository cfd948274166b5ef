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

\`npm run bench -- --write\` makes this page, \`benchmarks.json\` and the picture. \`npm run bench -- --quick\` is a look that takes
less than a minute; \`-- --only pool\` (\`scale\`, \`postgres\`, \`outage\`) measures one section.

![How many times as good effect-pool is as the others](benchmarks.svg)

Green: effect-pool is ahead of that contender; orange: it is behind.

## How it is measured

All contenders of a contest do the same work in one process and take turns, one run each in a round; the order turns with the
rounds. Figures are medians of the rounds ± half the distance between the quartiles, by
[simple-statistics](https://simple-statistics.github.io). The last column says how many times as good ours is: 2.00x against a
pool means that ours takes half the time, or does twice as much.

Our pool runs as it comes: deadlines, counters, status, events in its flight recorder, and the watch for nested acquires are
on. The others run as they come, too; what they do not do, they do not pay for. Code that is made of promises is cheaper to
suspend than a fiber: "no pool" is what the fibers of such a contest cost by themselves.

## Where it is behind, and why

- A scoped \`acquire\` beside Effect's scoped \`Pool.get\`: ours leaves a note of the lease in the fiber's context, so that a nested
  acquire is seen wherever it happens, and keeps counters, a flight recorder and the time of each lease. A scope with a
  finalizer in it, and no pool at all, takes about as long as \`Pool.get\`: nobody could be much faster than that. \`use\` needs no scope; it is
  about as fast as \`Pool.use\`, sometimes before it and sometimes behind.
- Pools made of promises: a fiber costs more than a promise to start, to suspend and to wake. The row "no pool" is what that is
  without any pool.
- \`maxUses\`: as it comes, ours replaces a connection after 1,000 leases, and nobody else here does. At some 30,000 statements a second
  that is 30 connects a second, and costs 15 to 25 % of them. A program that runs that fast should set \`maxUses: Infinity\`.
- Coming back after an outage: ours waits for the end of its backoff step, and asks the server a thousandth as often meanwhile.
- Very large pools: from 100,000 connections or waiters on, memory that does not fit into the processor's caches. The fibers
  of the waiters alone take four times as long each as a few do.

## What it does not show

One process on one machine of two cores: no network, no other programs, no many pools against one server. In the first section a
connection costs nothing to open and a statement takes no time, so it shows the pool's own share and nothing else; a
statement on a server takes hundreds of times that.
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
    `The run before this one put the contenders into exactly the same order in ${results.length - changed.length} of ${results.length} contests. ` +
      (reversed.length === 0
        ? "In the others, those who changed places were closer to one another than their figures vary, in one run or in both."
        : "Of those who changed places, these were further from one another in both runs than their figures vary:"),
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
    "## Twice",
    "",
    comparison(run, previous()),
    ""
  ].join("\n")
  fs.writeFileSync("docs/benchmarks.md", page)
  fs.writeFileSync("docs/benchmarks.json", `${JSON.stringify(run, undefined, 2)}\n`)
  // What is compared with itself has no place in the picture.
  fs.writeFileSync("docs/benchmarks.svg", pictureOf(sections.filter(({ title }) => title !== "Size")))
}
