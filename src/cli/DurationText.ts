/** Durations as they are typed. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** What is no number stays text, and the check names it. */
export const readNumber = (given: string): unknown =>
  given.trim() === "" || Number.isNaN(Number(given)) ? given : Number(given)

const units: ReadonlyMap<string, number> = new Map([
  ["us", 0.001],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["min", 60_000],
  ["h", 3_600_000]
])

/** Milliseconds: a plain number, a number with a short unit (`20ms`), or what Effect reads as a duration (`20 millis`). */
export const readMillis = (given: string): unknown => {
  const [, amount, unit = ""] = /^([\d.]+)\s*([a-z]+)$/.exec(given.trim()) ?? []
  const factor = units.get(unit)
  if (factor !== undefined) return Number.isNaN(Number(amount)) ? given : Number(amount) * factor
  const read = readNumber(given)
  if (typeof read === "number") return read
  return Option.match(Duration.fromInput(given.trim() as Duration.Input), {
    onNone: () => given,
    onSome: Duration.toMillis
  })
}
