/** The lanes: what each connection did in the last minute, and for whom. A leak is a bar that never ends. */
import type { Bar, Connection } from "./Api.ts"
import type { App } from "./App.ts"

export function installLanes(app: App): void {
  const { color, find, many, mark, millis, on, phrase, set, write } = app
  const { max, min } = Math
  const spanMillis = 60_000
  const rowHeight = 22
  const palette = 10
  const mostLegend = 12

  /** What is known of a connection, while any of it is in the last minute. */
  interface Life {
    readonly id: number
    readonly bars: Array<Bar>
    now?: Connection
    start: number
    end: number
  }
  /** A row. A connection that is opened when another is closed goes on in its row, so that churn can be seen. */
  type Lane = ReadonlyArray<Life>

  const box = find("lanes")
  const canvas = find("lanes-canvas") as HTMLCanvasElement
  const rows = find("lanes-list")
  const places = new Map<string, number>()
  let lanes: ReadonlyArray<Lane> = []
  let focused = 0
  let chosen: Bar | undefined

  const unnamed = "no operation name"
  app.operationName = (operation = "(") => (operation.startsWith("(") ? unnamed : operation)

  /** Always the same for a name, as long as no other one has it. */
  app.operationColor = (operation) => {
    const name = app.operationName(operation)
    if (name === unnamed) return color("unnamed")
    let place = places.get(name) ?? 0
    if (!places.has(name)) {
      for (let index = 0; index < name.length; index++) place = (place * 31 + name.charCodeAt(index)) % palette
      const taken = new Set(places.values())
      while (taken.size < palette && taken.has(place)) place = (place + 1) % palette
      places.set(name, place)
    }
    return color(`op${place}`)
  }

  const livesNow = (): ReadonlyMap<number, Life> => {
    const found = new Map<number, Life>()
    const lifeOf = (id: number): Life => {
      if (!found.has(id)) found.set(id, { id, bars: [], start: 0, end: Infinity })
      return found.get(id)!
    }
    for (const bar of app.view.bars.values()) lifeOf(bar.connection).bars.push(bar)
    const { at, connections, omitted } = app.view.report!
    for (const connection of connections) lifeOf(connection.id).now = connection
    for (const life of found.values()) {
      const { bars, id, now } = life
      bars.sort((one, other) => one.start - other.start)
      life.start = min(bars[0]?.start ?? at, at - (now?.ageMillis ?? 0))
      const isOpen = now ?? (omitted.connections > 0 && bars.some(({ end }) => !end))
      life.end = app.view.closed.get(id)?.at ?? (isOpen ? Infinity : (bars.at(-1)?.end ?? life.start))
      if (life.end < at - spanMillis) found.delete(id)
    }
    return found
  }

  const arrange = (): void => {
    const lives = livesNow()
    const kept = lanes.map((lane) => lane.flatMap(({ id }) => lives.get(id) ?? [])).filter(({ length }) => length > 0)
    const known = new Set(kept.flat())
    for (const life of [...lives.values()].sort((one, other) => one.start - other.start || one.id - other.id)) {
      if (known.has(life)) continue
      const lane = kept.find((lane) => lane.at(-1)!.end <= life.start)
      if (lane) lane.push(life)
      else kept.push([life])
    }
    lanes = kept
  }

  const barsOf = (lane: Lane = []): ReadonlyArray<Bar> => lane.flatMap(({ bars }) => bars)
  const leakOf = (lane: Lane): Bar | undefined =>
    barsOf(lane).find(({ end, isLeakSuspected }) => isLeakSuspected && !end)

  const stateWords = ({ end, now }: Life): string => {
    if (!now) return end === Infinity ? "" : "closed"
    const since = now.inUseForMillis ?? now.idleForMillis
    return phrase(now.state) + (since === undefined ? "" : ` ${millis(since)}`)
  }

  const laneWords = (lane: Lane): string => {
    const life = lane.at(-1)!
    const holder = life.now?.holders[0]
    const who = holder ? ` by ${holder.path ?? holder.holder}` : ""
    return `${stateWords(life)}${who}${leakOf(lane) ? ", leak suspected" : ""}`
  }

  const barWords = ({ connection, end, isLeakSuspected, kind, lease, operation, share = 0, start }: Bar): string => {
    const holders = lanes.flat().find(({ id }) => id === connection)?.now?.holders
    const name = app.operationName(operation)
    return [
      `Connection ${connection}`,
      kind === "lease" ? name : kind === "busy" ? `${app.percent(share)} lent in many short leases, ${name}` : kind,
      holders?.find((holder) => holder.lease === lease)?.place,
      lease && `lease ${lease}`,
      `for ${millis((end ?? app.now()) - start)}`,
      end ? `until ${app.time(end)}` : "so far",
      isLeakSuspected && "⚑ leak suspected"
    ]
      .filter(Boolean)
      .join(" · ")
  }

  type Pen = CanvasRenderingContext2D
  const x = (at: number, width: number): number => max(0, min(width, ((at - app.now()) / spanMillis + 1) * width))

  const drawBar = (pen: Pen, width: number, top: number, bar: Bar): void => {
    const { end = Infinity, isLeakSuspected, kind, operation, share = 1, start } = bar
    const left = x(start, width)
    const size = max(1.5, x(end, width) - left - 1.5)
    const full = rowHeight - 6
    const height = max(2, full * share)
    pen.fillStyle =
      kind === "lease" || kind === "busy"
        ? app.operationColor(operation)
        : app.hatch(pen, color(kind === "connecting" ? kind : "preparing"))
    pen.fillRect(left, top + 3 + full - height, size, height)
    pen.strokeStyle = color(isLeakSuspected ? "bad" : "ink")
    pen.lineWidth = 2
    if (isLeakSuspected || bar === chosen) pen.strokeRect(left + 1, top + 4, size - 2, full - 2)
    if (kind !== "lease" || size < 40) return
    pen.save()
    pen.beginPath()
    pen.rect(left, top, size - 4, rowHeight)
    pen.clip()
    pen.fillStyle = color("on-op")
    pen.textAlign = "left"
    pen.fillText(`${isLeakSuspected ? "⚑ " : ""}${app.operationName(operation)}`, left + 6, top + rowHeight / 2 + 0.5)
    pen.restore()
  }

  const drawLane = (pen: Pen, width: number, top: number, lane: Lane): void => {
    for (const { bars, end, start } of lane) {
      // Open and lent to nobody: there is a line, and nothing on it.
      pen.fillStyle = color("lane")
      const left = x(start, width)
      pen.fillRect(left, top + rowHeight - 4, x(end, width) - left, 1)
      for (const bar of bars) if (bar.kind !== "closing") drawBar(pen, width, top, bar)
    }
    for (const [index, { end, id }] of lane.entries()) {
      const closed = app.view.closed.get(id)
      if (!closed) continue
      const isRight = x(end, width) > width - 120
      pen.textAlign = isRight ? "right" : "left"
      pen.fillStyle = color(app.isTrouble(closed) ? "bad" : "dim")
      const isRoom = (lane[index + 1]?.start ?? Infinity) - end > 8000
      pen.fillText(`✕ ${isRoom ? phrase(closed.reason!) : ""}`, x(end, width) + (isRight ? 4 : -4), top + rowHeight / 2)
    }
  }

  /** Only the rows that can be seen: there may be hundreds. */
  const draw = (): void => {
    const { clientHeight, scrollTop } = box
    canvas.style.height = `${min(clientHeight, lanes.length * rowHeight)}px`
    const { height, pen, width } = app.surface(canvas)
    pen.fillStyle = color("grid")
    for (const part of [0.25, 0.5, 0.75]) pen.fillRect(Math.round(width * part), 0, 1, height)
    for (const [index, lane] of lanes.entries()) {
      const top = index * rowHeight - scrollTop
      if (top > -rowHeight && top < height) drawLane(pen, width, top, lane)
    }
  }

  const drawRows = (): void => {
    focused = max(0, min(focused, lanes.length - 1))
    app.list("lanes-list", "li b span small", lanes, (lane, row, id, words, state) => {
      const life = lane.at(-1)!
      const isLeak = leakOf(lane)
      const isFocused = lane === lanes[focused]
      write(id!, `#${life.id} `)
      write(state!, `${isLeak ? "⚑ " : ""}${stateWords(life)}`)
      app.flag(row, isLeak)
      mark(row, "role", "option")
      mark(row, "aria-selected", `${isFocused}`)
      mark(words!, "class", "hidden")
      write(words!, laneWords(lane))
      mark(state!, "aria-hidden", "true")
      row.tabIndex = isFocused ? 0 : -1
    })
  }

  const choose = (bar: Bar | undefined, lane?: Lane): void => {
    chosen = bar
    if (bar) set("lanes-words", barWords(bar))
    else if (lane) set("lanes-words", `Connection ${lane.at(-1)!.id} · ${laneWords(lane)}`)
    draw()
  }

  const rowOf = (target: Element): number => [...rows.children].indexOf(target.closest("li")!)

  on(rows, "pointermove pointerdown", ({ clientX, target }) => {
    const lane = lanes[rowOf(target)]
    if (!lane) return
    const { left, width } = canvas.getBoundingClientRect()
    const at = app.now() + ((clientX - left) / width - 1) * spanMillis
    const slack = (3 / width) * spanMillis
    const hit = barsOf(lane).findLast(({ end = Infinity, start }) => start - slack <= at && at <= end + slack)
    choose(hit, lane)
  })
  on(rows, "pointerleave", () => choose(undefined))
  on(rows, "focusin", ({ target }) => {
    focused = rowOf(target)
    const lane = lanes[focused]
    if (lane) choose(leakOf(lane) ?? barsOf(lane).at(-1), lane)
  })
  on(rows, "keydown", (event) => {
    const row = { ArrowUp: focused - 1, ArrowDown: focused + 1, Home: 0, End: lanes.length - 1 }[event.key]
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0
    if (row === undefined && step === 0) return
    event.preventDefault()
    ;(rows.children[row ?? -1] as HTMLElement | undefined)?.focus()
    const bars = barsOf(lanes[focused])
    if (step !== 0) choose(bars[bars.indexOf(chosen!) + step] ?? chosen)
  })
  on(box, "scroll", draw)

  app.onRender.push(({ leaksNow, operations }) => {
    arrange()
    // The same stretch may have been sent again, longer than it was.
    if (chosen) chosen = app.view.bars.get(`${chosen.kind} ${chosen.connection} ${chosen.start}`)
    drawRows()
    draw()
    const shown = operations.slice(0, mostLegend)
    app.list("lanes-legend", "li i span b", shown, ({ operation, share }, _, swatch, name, value) => {
      swatch!.style.background = app.operationColor(operation)
      app.tip(name!, app.operationName(operation))
      write(value!, app.percent(share))
    })
    const leaks = leaksNow > 0 ? `⚑ ${many(leaksNow, "leak")} suspected. ` : ""
    set("lanes-note", `${leaks}${many(lanes.length, "connection")} in the last minute.`)
  })
}
