/** The four charts: connections, waits, holds and connects over time. */
import type { Column } from "./Api.ts"
import type { App, Bin, Plot, Series } from "./App.ts"

export function installCharts(app: App): void {
  const { color, millis, number, plot } = app
  const { log, max, min, round } = Math
  type Scale = (value: number) => number
  type Point = readonly [x: number, y: number]
  const dashes: Readonly<Record<string, Array<number>>> = { dashed: [6, 4], dotted: [2, 3] }

  const most = ({ samples }: Bin, column: Column): number => max(...samples.map((sample) => sample[column]))
  const sum = ({ samples }: Bin, of: (sample: Bin["samples"][number]) => number): number =>
    samples.reduce((total, sample) => total + of(sample), 0)
  const highest = ({ bins }: Plot, column: Column): number => max(0, ...bins.map((bin) => most(bin, column)))

  const tick = ({ left, pen, right }: Plot, y: number, words: string): void => {
    pen.fillStyle = color("grid")
    pen.fillRect(left, round(y), right - left, 1)
    pen.fillStyle = color("dim")
    pen.textAlign = "right"
    pen.fillText(words, left - 6, y)
  }

  /** From `low` to `high` milliseconds in powers of ten, with their ticks. */
  const logScale = (plot: Plot, low: number, high: number): Scale => {
    const { bottom, top } = plot
    const share = (value: number): number => log(min(high, max(low, value)) / low) / log(high / low)
    const y: Scale = (value) => bottom - share(value) * (bottom - top)
    for (const value of [0.1, 1, 10, 100, 1000, 10_000, 60_000, 600_000])
      if (value >= low && value <= high) tick(plot, y(value), millis(value))
    return y
  }

  const stroke = ({ pen }: Plot, stroked: string, look = "", width = 1.5): void => {
    pen.setLineDash(dashes[look] ?? [])
    pen.lineWidth = width
    pen.strokeStyle = color(stroked)
    pen.stroke()
    pen.setLineDash([])
  }

  const trace = ({ pen }: Plot, points: ReadonlyArray<Point>): void => {
    pen.beginPath()
    for (const point of points) pen.lineTo(...point)
  }

  /** One line through the most of each bin; where nothing ended in a while, there is a gap. */
  const line = (plot: Plot, y: Scale, [, column, stroked, look]: Series): void => {
    const { bins, from, pen, to, x } = plot
    let before = 0
    pen.lineJoin = "round"
    pen.beginPath()
    for (const bin of bins) {
      const value = most(bin, column)
      if (value === 0) continue
      if (bin.at - before > (to - from) / 20) pen.moveTo(x(bin.at) - 1, y(value))
      pen.lineTo(x(bin.at), y(value))
      before = bin.at
    }
    stroke(plot, "paper", "", 4)
    stroke(plot, stroked, look, 1.75)
  }

  const level = (plot: Plot, y: number, words: string): void => {
    const { left, pen, right } = plot
    trace(plot, [
      [left, y],
      [right, y]
    ])
    stroke(plot, "bad", "dashed")
    pen.textAlign = "left"
    pen.fillStyle = color("paper")
    pen.fillRect(left + 4, y - 15, pen.measureText(words).width + 4, 13)
    pen.fillStyle = color("bad")
    pen.fillText(words, left + 6, y - 8)
  }

  const connections: ReadonlyArray<Series> = [
    ["in use", "inUse", "inUse", "area"],
    ["preparing", "preparing", "preparing", "hatch"],
    ["connecting", "connecting", "connecting", "hatch"],
    ["idle", "idle", "idle", "area"],
    ["closing", "closing", "closing", "hatch"],
    ["minimum", "minConnections", "dim", "dashed"],
    ["maximum", "maxConnections", "dim", "solid"],
    ["limit", "limit", "ink", "solid"],
    ["waiting", "waiting", "waiting", "area"]
  ]

  plot("chart-a", connections, (plot) => {
    const { bins, bottom, left, pen, right, top, x } = plot
    const samples = bins.flatMap((bin) => bin.samples)
    const zero = top + (bottom - top) * 0.72
    const peak = max(1, highest(plot, "limit"), highest(plot, "maxConnections"))
    const above: Scale = (value) => zero - (value / peak) * (zero - top)
    for (const value of new Set([round(peak / 2), peak])) tick(plot, above(value), number(value))
    // Below zero, with a scale of its own: a line of a thousand must not flatten the connections.
    const longest = highest(plot, "waiting")
    const below: Scale = (value) => zero + (value / max(1, longest)) * (bottom - zero)
    if (longest > 0) tick(plot, below(longest), number(longest))
    let floor = samples.map(() => 0)
    for (const [, column, drawn, look] of connections) {
      const isLine = look !== "area" && look !== "hatch"
      const isBelow = column === "waiting"
      const lower = isBelow ? samples.map(() => 0) : floor
      const upper = samples.map((sample, index) => sample[column] + (isLine ? 0 : lower[index]!))
      const along = (values: ReadonlyArray<number>): ReadonlyArray<Point> =>
        samples.map(({ at }, index) => [x(at), (isBelow ? below : above)(values[index]!)])
      trace(plot, isLine ? along(upper) : [...along(upper), ...along(lower).toReversed()])
      if (isLine) {
        stroke(plot, drawn, look, column === "limit" ? 2 : 1)
        continue
      }
      pen.fillStyle = look === "hatch" ? app.hatch(pen, color(drawn)) : color(drawn)
      pen.fill()
      floor = upper
    }
    pen.fillStyle = color("dim")
    pen.fillRect(left, round(zero), right - left, 1)
    pen.textAlign = "right"
    pen.fillText("0", left - 6, zero)
  })

  const percentiles = (prefix: "wait" | "use", drawn: string): ReadonlyArray<Series> => [
    ["p50", `${prefix}P50`, drawn, "dotted"],
    ["p95", `${prefix}P95`, drawn, "dashed"],
    ["p99", `${prefix}P99`, drawn, "solid"]
  ]

  const waits = percentiles("wait", "ink")
  const ends: ReadonlyArray<Series> = [
    ["acquired", "acquired", "heat", "area"],
    ["timed out", "timedOut", "bad", "cross"]
  ]

  plot("chart-b", [...waits, ...ends], (plot) => {
    const { bins, left, pen, x } = plot
    const { report, waitBounds } = app.view
    const timeout = report!.acquireTimeoutMillis
    const counts = bins.map((bin) => [...waitBounds, 0].map((_, place) => sum(bin, ({ waits }) => waits[place] ?? 0)))
    const last = max(0, ...counts.map((column) => column.findLastIndex((count) => count > 0)))
    const low = max(0.05, (waitBounds[0] ?? 0) / 2)
    const high = max(timeout * 2, waitBounds[last] ?? waitBounds.at(-1) ?? 0)
    const y = logScale(plot, low, high)
    const peak = max(1, ...counts.flat())
    pen.fillStyle = color("heat")
    for (const [index, { at }] of bins.entries()) {
      const edge = max(left, x(bins[index - 1]?.at ?? at - 1000))
      for (const [place, count] of counts[index]!.entries()) {
        if (count === 0) continue
        pen.globalAlpha = 0.15 + 0.85 * Math.sqrt(count / peak)
        const floor = y(waitBounds[place - 1] ?? low)
        const height = max(1.5, floor - y(waitBounds[place] ?? high) - 0.5)
        pen.fillRect(edge, floor - height, x(at) - edge - 0.5, height)
      }
    }
    pen.globalAlpha = 1
    for (const series of waits) line(plot, y, series)
    level(plot, y(timeout), `acquire timeout ${millis(timeout)}`)
  })

  /** Lines, on a scale around what was seen. */
  const lines = (plot: Plot, series: ReadonlyArray<Series>, beyond: number): Scale => {
    const values = plot.bins
      .flatMap((bin) => series.map(([, column]) => most(bin, column)))
      .filter((value) => value > 0)
    const low = min(10, ...values) / 2
    const y = logScale(plot, low, max(low * 20, beyond, ...values) * 2)
    for (const one of series) line(plot, y, one)
    return y
  }

  const holds = percentiles("use", "hold")

  plot("chart-c", holds, (plot) => {
    const threshold = app.view.report!.leakThresholdMillis
    const y = lines(plot, holds, threshold ?? 0)
    if (threshold !== null) level(plot, y(threshold), `leak threshold ${millis(threshold)}`)
  })

  const connects: Series = ["p95", "createP95", "connecting", "solid"]

  plot("chart-d", [connects, ["failures", "connectFailures", "bad", "cross"]], (plot) => {
    const { bins, pen, top, x } = plot
    const y = lines(plot, [connects], 0)
    pen.textAlign = "center"
    let free = 0
    for (const bin of bins) {
      const took = most(bin, "createP95")
      const failures = sum(bin, ({ connectFailures }) => connectFailures)
      const place = x(bin.at)
      pen.fillStyle = color("connecting")
      if (took > 0) pen.fillRect(place - 2.5, y(took) - 2.5, 5, 5)
      if (failures === 0) continue
      pen.fillStyle = color("bad")
      pen.fillText("✕", place, top + 16)
      if (place < free) continue
      pen.fillText(`${failures}`, place, top + 3)
      free = place + 18
    }
  })
}
