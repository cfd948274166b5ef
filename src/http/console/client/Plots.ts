/** What all charts share: the time axis, the cursor that points at one second in all of them, and a legend that tells its numbers. */
import type { Sample } from "./Api.ts"
import type { App, Bin, Plot, Series } from "./App.ts"

export function installPlots(app: App): void {
  const { el, find, on, write } = app
  /** By the seconds shown: how many of them are put together, and how far apart the ticks are. */
  const ranges: Readonly<Record<number, readonly [binMillis: number, tickMillis: number]>> = {
    60: [1000, 15_000],
    300: [2000, 60_000],
    900: [5000, 180_000]
  }
  const left = 48
  const margin = 8
  const draws: Array<() => void> = []
  let range = 300
  /** The time that is pointed at. */
  let cursor: number | undefined

  app.hatch = (pen, color) => {
    const tile = el("canvas", { width: "6", height: "6" })
    const fine = tile.getContext("2d")!
    fine.strokeStyle = fine.fillStyle = color
    fine.globalAlpha = 0.25
    fine.fillRect(0, 0, 6, 6)
    fine.globalAlpha = 1
    fine.lineWidth = 1.5
    for (const shift of [-6, 0, 6]) {
      fine.moveTo(shift, 6)
      fine.lineTo(shift + 6, 0)
    }
    fine.stroke()
    return pen.createPattern(tile, "repeat")!
  }

  const binsOf = (samples: ReadonlyArray<Sample>): ReadonlyArray<Bin> => {
    const bins = new Map<number, Array<Sample>>()
    for (const sample of samples) {
      const place = Math.floor(sample.at / ranges[range]![0])
      bins.set(place, [...(bins.get(place) ?? []), sample])
    }
    return Array.from(bins.values(), (samples) => ({ at: samples.at(-1)!.at, samples }))
  }

  const draw = (canvas: HTMLCanvasElement, paint: (plot: Plot) => void): void => {
    const surface = app.surface(canvas)
    const { height, pen, width } = surface
    const to = app.now()
    const from = to - range * 1000
    const [right, top, bottom] = [width - margin, 12, height - 20]
    const x = (at: number): number => left + ((at - from) / (to - from)) * (right - left)
    const tick = ranges[range]![1]
    pen.fillStyle = app.color("dim")
    pen.textAlign = "center"
    for (let at = Math.ceil(from / tick) * tick; at <= to; at += tick) {
      pen.fillRect(Math.round(x(at)), bottom, 1, 4)
      const words = new Date(at).toLocaleTimeString("sv").slice(0, range === 60 ? 8 : 5)
      if (x(at) > left + 16 && x(at) < right - 16) pen.fillText(words, x(at), bottom + 12)
    }
    paint({ ...surface, left, right, top, bottom, from, to, x, bins: binsOf(app.recent(range)) })
    if (!cursor) return
    pen.fillStyle = app.color("ink")
    pen.fillRect(Math.round(x(cursor)), top, 1, bottom - top)
  }

  const point = (at: number | undefined): void => {
    const now = app.now()
    cursor = !at || at >= now ? undefined : Math.max(at, now - range * 1000)
    for (const redraw of draws) redraw()
  }

  const makeKey = ([name, , color, look]: Series): HTMLElement => {
    const swatch = el("i", { class: look })
    swatch.style.color = `var(--${color})`
    return el("span", {}, swatch, `${name} `, el("b"))
  }

  /** A percentile is 0 where nothing ended. */
  const textOf = (value: number | undefined, isTime: boolean): string =>
    value || (value === 0 && !isTime) ? (isTime ? app.millis : app.number)(value) : "–"

  app.plot = (id, series, paint) => {
    const figure = find(id)
    const canvas = el("canvas", { role: "img", tabindex: "0" })
    const legend = el("figcaption", {}, el("time"), ...series.map(makeKey))
    figure.append(legend, canvas)

    draws.push(() => {
      draw(canvas, paint)
      const { samples } = app.view
      const sample = samples.find(({ at }) => at >= (cursor ?? Infinity)) ?? samples.at(-1)
      const when = cursor ? app.time(cursor) : "now"
      write(legend.firstElementChild!, when)
      const words = series.map(([name, column], index) => {
        const text = textOf(sample?.[column], /P\d/.test(column))
        write(legend.children[index + 1]!.lastElementChild!, text)
        return `${name} ${text}`
      })
      app.mark(canvas, "aria-label", `${figure.parentElement!.firstChild!.textContent}, ${when}: ${words.join(", ")}`)
    })

    on(canvas, "pointermove", ({ clientX }) => {
      const { right, width } = canvas.getBoundingClientRect()
      point(app.now() + ((clientX - right + margin) / (width - margin - left)) * range * 1000)
    })
    on(canvas, "pointerleave blur", () => point(undefined))
    on(canvas, "keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
      if (!step) return
      event.preventDefault()
      point((cursor ?? app.now()) + step * ranges[range]![0])
    })
  }

  on(find("range"), "change", ({ target }) => {
    range = Number((target as HTMLInputElement).value)
    app.render()
  })
  app.onRender.push(() => point(cursor))
}
