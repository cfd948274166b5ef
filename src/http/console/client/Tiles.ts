/** The numbers that matter, each with its last minute. */
import type { Column, Report } from "./Api.ts"
import type { App } from "./App.ts"

export function installTiles(app: App): void {
  const { number, write } = app
  type Sum = (column: Column) => number

  /** What it is called, what it draws of each second, what it says if not the last of that, and whether it is trouble. */
  type Tile = readonly [
    name: string,
    column: Column,
    text?: ((report: Report, sum: Sum) => string) | undefined,
    level?: (report: Report, sum: Sum) => string | false
  ]

  const isLong = ({ acquireTimeoutMillis, oldestWaitMillis }: Report): boolean =>
    oldestWaitMillis > acquireTimeoutMillis / 2
  const perMinute = (name: string, column: Column): Tile => [
    `${name} / min`,
    column,
    (_, sum) => number(sum(column)),
    (_, sum) => sum(column) > 0 && "bad"
  ]

  const tiles: ReadonlyArray<Tile> = [
    ["In use", "inUse", ({ inUse, limit }) => `${inUse} / ${limit}`, ({ inUse, limit }) => inUse >= limit && "warn"],
    ["Idle", "idle"],
    ["Connecting", "connecting"],
    ["Waiting", "waiting", undefined, (report) => report.waiting > 0 && (isLong(report) ? "bad" : "warn")],
    [
      "Oldest wait",
      "oldestWaitMillis",
      ({ oldestWaitMillis: oldest }) => (oldest > 0 ? app.millis(oldest) : "–"),
      (report) => isLong(report) && "bad"
    ],
    perMinute("Timeouts", "timedOut"),
    perMinute("Connect failures", "connectFailures"),
    ["Leaks suspected", "leaksNow", undefined, ({ leaksNow }) => leaksNow > 0 && "bad"],
    [
      "Served at once",
      "acquiredAtOnce",
      (_, sum) => (sum("acquired") > 0 ? app.percent(sum("acquiredAtOnce") / sum("acquired")) : "–")
    ],
    ["Acquires / s", "acquired"]
  ]

  const drawSpark = (canvas: HTMLCanvasElement, values: ReadonlyArray<number>, color: string): void => {
    const { height, pen, width } = app.surface(canvas)
    const most = Math.max(1e-9, ...values)
    const x = (index: number): number => width - ((values.length - 1 - index) * width) / 59
    pen.beginPath()
    for (const [index, value] of values.entries()) pen.lineTo(x(index), height - 1 - (value / most) * (height - 2))
    pen.strokeStyle = pen.fillStyle = color
    pen.lineWidth = 1.5
    pen.stroke()
    pen.lineTo(width, height)
    pen.lineTo(x(0), height)
    pen.globalAlpha = 0.12
    pen.fill()
  }

  app.onRender.push((report) => {
    const minute = app.recent(60)
    const sum: Sum = (column) => minute.reduce((total, sample) => total + sample[column], 0)
    app.list("tiles", "li small b canvas", tiles, ([name, column, textOf, levelOf], node, heading, value, canvas) => {
      const level = levelOf?.(report, sum) || undefined
      const values = minute.slice(-60).map((sample) => sample[column])
      write(heading!, name)
      write(value!, textOf?.(report, sum) ?? number(values.at(-1) ?? 0))
      app.mark(node, "data-level", level)
      drawSpark(canvas as HTMLCanvasElement, values, app.color(level ?? "inUse"))
    })
  })
}
