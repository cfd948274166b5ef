/** Numbers, times and facts, as people read them. */
import type { App } from "./App.ts"

export function installWords(app: App): void {
  const trouble = /^(AcquireF|ConnectF|EventsM|LeakS|NestedA|PoolUn|SizingI)/
  /** Connections that end for these reasons did not work. */
  const badEnds = /Failed|died|broken|suspect/
  const durations: Readonly<Record<string, string>> = { duration: "took", held: "held for", waited: "waited" }

  app.symbols = { pass: "✓", warn: "▲", fail: "✕" }

  const number = (app.number = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 }))

  app.percent = (share) => `${number(share * 100)} %`

  app.many = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`

  app.millis = (millis) => {
    if (millis < 1000) return `${number(millis)} ms`
    const seconds = Math.floor(millis / 1000)
    if (seconds < 60) return `${Number((millis / 1000).toFixed(1))} s`
    const minutes = Math.floor(seconds / 60)
    if (minutes < 60) return `${minutes} min ${seconds % 60} s`.replace(" 0 s", "")
    return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} days`
  }

  app.time = (at) => {
    const text = new Date(at).toLocaleString("sv")
    return text.replace(`${new Date(app.now()).toLocaleDateString("sv")} `, "")
  }

  const phrase = (app.phrase = (name) =>
    name
      .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
      .replaceAll(/[-_]/g, " ")
      .toLowerCase())

  app.isTrouble = ({ _tag, isAlive, isDone, reason = "" }) =>
    trouble.test(_tag) || isAlive === false || isDone === false || (_tag === "ConnectionClosed" && badEnds.test(reason))

  app.sizing = /^(Sizing|Limit)|Resized$/

  const detail = ([name, value]: readonly [string, unknown]): string => {
    const text = String(value as string | number)
    if (name === "message" || name === "action") return text
    if (value === true || value === false) return `${value ? "" : "not "}${phrase(name.replace("is", ""))}`
    if (name in durations) return `${durations[name]} ${app.millis(value as number)}`
    return `${phrase(name)} ${name === "reason" || name === "kind" ? phrase(text) : text}`
  }

  app.factWords = ({ _tag, at: _at, ...details }) =>
    Object.entries(details)
      .filter(([name, value]) => value !== false || /^is[AD][lo]/.test(name))
      .map(detail)
      .join(" · ")
}
