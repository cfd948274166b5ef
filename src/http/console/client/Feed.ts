/** What the server says: requests, and the stream of one pool, which is opened again whenever it breaks. */
import type { Fact, Frame, History, Row, Sample } from "./Api.ts"
import type { App, View } from "./App.ts"

export function installFeed(app: App): void {
  const { find, mark, set } = app
  const historyMillis = 900_000
  const mostFacts = 1000
  /** There is a frame each second: after so long without a byte the connection is as good as broken. */
  const silenceMillis = 15_000
  const pauses = [1, 2, 4, 8, 15]

  const empty = (): View => ({
    columns: [],
    waitBounds: [],
    samples: [],
    bars: new Map(),
    facts: [],
    closed: new Map(),
    omitted: 0,
    report: undefined
  })
  app.view = empty()
  app.token = ""

  app.now = () => app.view.report?.at ?? Date.now()
  app.recent = (seconds) => {
    const { samples } = app.view
    const from = (samples.at(-1)?.at ?? 0) - seconds * 1000
    return samples.filter(({ at }) => at > from)
  }

  const ask = (path: string, init: RequestInit): Promise<Response> => {
    const authorization: Record<string, string> = app.token === "" ? {} : { authorization: `Bearer ${app.token}` }
    const headers = { "content-type": "application/json", ...authorization }
    return fetch(`./pools${path}`, { cache: "no-store", headers, ...init })
  }

  const answerOf = async (response: Response): ReturnType<App["call"]> => {
    const { ok, status } = response
    const body: unknown = await response.json().catch(() => undefined)
    const {
      detail,
      done = "done",
      problems = [],
      title = `the server answered ${status}`
    } = (body ?? {}) as Readonly<Record<"title" | "detail" | "done", string | undefined>> & {
      readonly problems?: ReadonlyArray<string>
    }
    return { status, body, words: ok ? done : [title, detail, ...problems].filter(Boolean).join(": ") }
  }

  /** Always an answer, also where there is none. */
  app.call = async (path, body) => {
    try {
      return await answerOf(await ask(path, body ? { method: "POST", body: JSON.stringify(body) } : {}))
    } catch {
      return { status: 0, body: undefined, words: "the server cannot be reached" }
    }
  }

  const named = ({ row, waits }: Row): Sample =>
    ({ waits, ...Object.fromEntries(app.view.columns.map((name, index) => [name, row[index]])) }) as Sample

  const note = (bars: Frame["bars"], facts: ReadonlyArray<Fact>): void => {
    const { view } = app
    for (const bar of bars) view.bars.set(`${bar.kind} ${bar.connection} ${bar.start}`, bar)
    for (const fact of facts) if (fact._tag === "ConnectionClosed") view.closed.set(fact.connection!, fact)
    view.facts = [...view.facts, ...facts].slice(-mostFacts)
  }

  /** What has left the last minute, and the last quarter of an hour. */
  const forget = (): void => {
    const { bars, closed, samples } = app.view
    const now = app.now()
    for (const [key, { end = now }] of bars) if (end < now - 65_000) bars.delete(key)
    for (const [connection, { at }] of closed) if (at < now - 70_000) closed.delete(connection)
    while (samples.length > 0 && samples[0]!.at < now - historyMillis) samples.shift()
  }

  const heard: Readonly<Record<string, (data: string) => void>> = {
    history: (data) => {
      const { bars, columns, events, samples, waitBounds } = JSON.parse(data) as History
      app.view = { ...empty(), report: app.view.report, columns, waitBounds }
      app.view.samples = samples.map(named)
      note(bars, events)
    },
    frame: (data) => {
      const { bars, events, eventsOmitted, report, sample } = JSON.parse(data) as Frame
      app.view.report = report
      app.view.samples.push(named(sample))
      app.view.omitted += eventsOmitted
      note(bars, events)
      forget()
      attempts = 0
      app.tell("live", "Live")
      app.render()
    },
    end: () => app.tell("ended", "This pool is gone; the last of it is shown")
  }

  /** Server-sent events, as far as they are used: `event` and `data` lines, ended by an empty one. */
  const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
    const reader = body.getReader()
    const decoder = new TextDecoder()
    let rest = ""
    let event = ""
    let data = ""
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      heardAt = Date.now()
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r/)
      rest = lines.pop()!
      for (const line of lines) {
        const [, field, text = ""] = /^(event|data):\s?(.*)/.exec(line) ?? []
        if (field === "event") event = text
        if (field === "data") data += text
        if (line !== "") continue
        if (data !== "") heard[event]?.(data)
        event = data = ""
      }
    }
  }

  let attempts = 0
  let heardAt = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let current = new AbortController()

  const connect = async (): Promise<void> => {
    current.abort()
    clearTimeout(timer)
    const mine = (current = new AbortController())
    heardAt = Date.now()
    const watchdog = setInterval(() => {
      if (Date.now() - heardAt > silenceMillis) mine.abort()
    }, 1000)
    if (attempts === 0) app.tell("connecting", "Connecting…")
    let words = "the stream broke"
    try {
      const response = await ask(`/${encodeURIComponent(app.key!)}/watch`, { signal: mine.signal })
      if (response.status === 401) return app.needToken(true)
      if (response.ok) await read(response.body!)
      else ({ words } = await answerOf(response))
    } catch {
      // It broke, or was silent for too long: either way it is opened again.
    } finally {
      clearInterval(watchdog)
    }
    if (mine !== current || app.link === "ended") return
    const pause = pauses[attempts] ?? 30
    attempts++
    app.tell("lost", `Reconnecting in ${pause} s (attempt ${attempts}): ${words}`)
    // Pages that lost the same server do not come back all at once.
    timer = setTimeout(connect, pause * (800 + Math.random() * 400))
  }

  app.tell = (link, words) => {
    app.link = link
    mark(find("link"), "data-link", link)
    set("link-words", words)
    find("retry").hidden = link === "live" || link === "connecting"
    mark(find("panel"), "data-stale", link !== "live" && "")
    set("link-at", app.view.report && `· as of ${app.time(app.now())}`)
  }

  app.retry = () => {
    attempts = 0
    if (app.key) void connect()
  }

  app.watch = (key) => {
    app.key = key
    app.view = empty()
    app.retry()
  }

  app.on(find("retry"), "click", app.retry)
}
