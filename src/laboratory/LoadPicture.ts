/** What happened in one scenario, as a picture: four panels over time, with a line for each policy. */
import { foldedText } from "./FoldedText.ts"
import type { LoadResult, LoadSample } from "./LoadResult.ts"
import type { LoadScenario } from "./LoadScenario.ts"
import { line, type Scale, svg, text, track } from "./PictureParts.ts"

const width = 700
const left = 56
const right = 20
const plotWidth = width - left - right

/** So many lines can be told from each other. */
const mostPolicies = 4

/** An SVG with light and dark colours, as its reader has them. Of each policy it shows the middle seed. */
export const pictureOf = (
  scenario: Pick<LoadScenario, "name" | "summary" | "goodWithinMillis" | "measureFrom">,
  results: ReadonlyArray<LoadResult>
): string => {
  const runs = middleRuns(results.filter((result) => result.scenario === scenario.name))
  const drawn = runs.slice(0, mostPolicies)
  const parts: Array<string> = [text(left, 24, scenario.name, "title")]
  let y = 42
  for (const words of foldedText(scenario.summary, 100)) {
    parts.push(text(left, y, words, "note"))
    y += 16
  }
  for (const [index, { policy, seed }] of drawn.entries()) {
    parts.push(...legend(left + (index % 2) * (plotWidth / 2), y + Math.floor(index / 2) * 18, index, policy, seed))
  }
  y += Math.ceil(drawn.length / 2) * 18
  const undrawn = runs.slice(mostPolicies).map(({ policy }) => policy)
  if (undrawn.length > 0) {
    for (const words of foldedText(`Not drawn: ${undrawn.join(", ")}`, 100)) {
      parts.push(text(left, y, words, "note"))
      y += 16
    }
  }
  const time = timeScale(drawn)
  for (const panel of panelsOf(drawn, scenario.goodWithinMillis)) {
    parts.push(...panelAt(panel, y + 22, time, scenario.measureFrom))
    y += panel.height + 32
  }
  parts.push(...timeAxis(time, y, scenario.measureFrom))
  return svg(width, y + 40, `${scenario.name}: what happened over time`, parts)
}

/** Of each policy the run with the middle seed, so that all are compared on the same requests. */
const middleRuns = (results: ReadonlyArray<LoadResult>): ReadonlyArray<LoadResult> =>
  [...new Set(results.map(({ policy }) => policy))].map((policy) => {
    const runs = results.filter((result) => result.policy === policy).toSorted((one, other) => one.seed - other.seed)
    return runs[Math.floor((runs.length - 1) / 2)]!
  })

const legend = (x: number, y: number, index: number, policy: string, seed: number): ReadonlyArray<string> => [
  line(x, y - 4, x + 36, y - 4, `line policy${index}`),
  text(x + 44, y, `${policy} (seed ${seed})`, "label")
]

// Panels.

interface Track {
  readonly kind: string
  /** It is filled down to the axis, and has no line. */
  readonly isArea: boolean
  readonly samples: ReadonlyArray<LoadSample>
  readonly valueOf: (sample: LoadSample) => number
}

interface Panel {
  readonly title: string
  readonly height: number
  readonly isLogarithmic: boolean
  readonly tracks: ReadonlyArray<Track>
  /** A value that is marked by a line across, and what it is. */
  readonly mark?: { readonly value: number; readonly label: string }
}

const panelsOf = (runs: ReadonlyArray<LoadResult>, goodWithinMillis: number): ReadonlyArray<Panel> => {
  const tracksOf = (
    valueOf: (sample: LoadSample, run: LoadResult) => number,
    kindOf: (index: number) => string = (index) => `line policy${index}`,
    isArea = false
  ): ReadonlyArray<Track> =>
    runs.map((run, index) => ({
      kind: kindOf(index),
      isArea,
      samples: run.timeline,
      valueOf: (sample) => valueOf(sample, run)
    }))
  const perSecond = (count: number, { sampleMillis }: LoadResult): number => (1000 * count) / sampleMillis
  const areas = tracksOf(
    ({ inUse }) => inUse,
    (index) => `area policy${index}`,
    true
  )
  return [
    {
      title: "requests per second",
      height: 60,
      isLogarithmic: false,
      // The same for all policies.
      tracks: tracksOf(
        ({ requests }, run) => perSecond(requests, run),
        () => "line rate"
      ).slice(0, 1)
    },
    {
      title: "longest wait for a connection (logarithmic)",
      height: 130,
      isLogarithmic: true,
      tracks: tracksOf(({ longestWait }) => longestWait),
      mark: { value: goodWithinMillis, label: `good within ${durationText(goodWithinMillis)}` }
    },
    {
      title: "connections: open (line), in use (shaded)",
      height: 150,
      isLogarithmic: false,
      tracks: [...areas, ...tracksOf(({ open }) => open)]
    },
    {
      title: "not answered (refused, timed out, failed) per second",
      height: 70,
      isLogarithmic: false,
      tracks: tracksOf(({ refused }, run) => perSecond(refused, run))
    }
  ]
}

const panelAt = (panel: Panel, top: number, time: Scale, measureFrom: number): ReadonlyArray<string> => {
  const { height, isLogarithmic, mark, title, tracks } = panel
  const highest = tracks.reduce(
    (max, { samples, valueOf }) => samples.reduce((max, sample) => Math.max(max, valueOf(sample)), max),
    isLogarithmic ? (mark?.value ?? 0) : 0
  )
  const scale = isLogarithmic ? logarithmic(highest, top, height) : linear(highest, top, height)
  return [
    text(left, top - 6, title, "heading"),
    ...scale.ticks.flatMap(({ label, value }) => [
      line(left, scale.at(value), width - right, scale.at(value), "grid"),
      text(left - 6, scale.at(value) + 4, label, "tick end")
    ]),
    ...(measureFrom > 0 ? [line(time.at(measureFrom), top, time.at(measureFrom), top + height, "mark")] : []),
    ...(mark === undefined
      ? []
      : [
          line(left, scale.at(mark.value), width - right, scale.at(mark.value), "mark"),
          text(width - right, scale.at(mark.value) - 4, mark.label, "note end")
        ]),
    ...tracks.map(({ isArea, kind, samples, valueOf }) =>
      track(
        samples.map((sample) => [time.at(sample.seconds), scale.at(valueOf(sample))]),
        kind,
        isArea ? top + height : undefined
      )
    )
  ]
}

// Axes.

/** Steps that people can read: 1, 2 or 5 times a power of ten. */
const stepOf = (highest: number, steps: number): number => {
  const rough = highest / steps
  const power = 10 ** Math.floor(Math.log10(rough))
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.9999)!
}

const linear = (highest: number, top: number, height: number): Scale => {
  const step = stepOf(Math.max(highest, 1), Math.max(2, Math.round(height / 40)))
  const end = step * Math.max(1, Math.ceil(highest / step))
  const values = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step)
  return {
    at: (value) => top + height * (1 - value / end),
    ticks: values.map((value) => ({ value, label: numberText(value) }))
  }
}

/** From a millisecond on, in decades. */
const logarithmic = (highest: number, top: number, height: number): Scale => {
  const decades = Math.max(1, Math.ceil(Math.log10(Math.max(1, highest))))
  return {
    at: (value) => top + height * (1 - Math.log10(Math.max(1, value)) / decades),
    ticks: Array.from({ length: decades + 1 }, (_, index) => ({ value: 10 ** index, label: durationText(10 ** index) }))
  }
}

const timeScale = (runs: ReadonlyArray<LoadResult>): Scale => {
  const end = Math.max(1, ...runs.map(({ timeline }) => timeline.at(-1)?.seconds ?? 0))
  const step = stepOf(end, 8)
  const values = Array.from({ length: Math.floor(end / step) + 1 }, (_, index) => index * step)
  return {
    at: (seconds) => left + (plotWidth * Math.min(seconds, end)) / end,
    ticks: values.map((value) => ({ value, label: `${numberText(value)} s` }))
  }
}

const timeAxis = ({ at, ticks }: Scale, y: number, measureFrom: number): ReadonlyArray<string> => [
  ...ticks.flatMap(({ label, value }) => [
    line(at(value), y - 10, at(value), y - 5, "axis"),
    text(at(value), y + 8, label, "tick middle")
  ]),
  ...(measureFrom > 0 ? [text(left, y + 28, "The vertical line is where the measured time begins.", "note")] : [])
]

const numberText = (value: number): string =>
  value >= 1_000_000
    ? `${value / 1_000_000}M`
    : value >= 10_000
      ? `${value / 1000}k`
      : String(Number(value.toPrecision(6)))

const durationText = (millis: number): string => (millis < 1000 ? `${millis} ms` : `${millis / 1000} s`)
