/** Numbers and times as people read them. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

/** With one decimal below ten, where it tells something. */
export const number = (value: number): string =>
  Math.abs(value) < 10 ? String(Number(value.toFixed(1))) : Math.round(value).toLocaleString("en")

export const percent = (share: number): string => `${number(share * 100)} %`

/** `8 ms`, `41.2 s`, `2 min 5 s`, `3 h 10 min`, `4 days`. */
export const millis = (value: number): string => {
  if (value < 1000) return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ms`
  if (value < 60_000) return `${Number((value / 1000).toFixed(1))} s`
  const minutes = Math.floor(value / 60_000)
  if (minutes < 60) return `${minutes} min ${Math.floor((value % 60_000) / 1000)} s`
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} days`
}

/** `1 connection`, `2 connections`. */
export const count = (value: number, thing: string, things: string = `${thing}s`): string =>
  `${value} ${value === 1 ? thing : things}`

/** `held-too-long` and `connectFailed` as words. */
export const phrase = (name: string): string =>
  name
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll(/[-_]/g, " ")
    .toLowerCase()

const two = (value: number): string => String(value).padStart(2, "0")

const partsOf = (at: number, zone: DateTime.TimeZone) =>
  Option.map(DateTime.make(at), (instant) => DateTime.toParts(DateTime.setZone(instant, zone)))

/** `14:03:07`, in that zone. */
export const timeOf = (at: number, zone: DateTime.TimeZone): string =>
  Option.match(partsOf(at, zone), {
    onNone: () => "--:--:--",
    onSome: ({ hour, minute, second }) => [hour, minute, second].map(two).join(":")
  })

/** `2026-03-01 14:03:07.250`, in that zone. */
export const instantOf = (at: number, zone: DateTime.TimeZone): string =>
  Option.match(partsOf(at, zone), {
    onNone: () => "----------",
    onSome: ({ day, millisecond, month, year }) =>
      `${year}-${two(month)}-${two(day)} ${timeOf(at, zone)}.${String(millisecond).padStart(3, "0")}`
  })
