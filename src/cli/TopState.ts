/** What `effect-pool top` knows, and how each piece of news changes it. */
import * as Option from "effect/Option"
import type { Column, History, Sample } from "../http/ConsoleFeed.ts"
import { columns as frameColumns } from "../http/ConsoleFeed.ts"
import type { PoolEvent } from "../PoolEvent.ts"
import type { PoolReport } from "../PoolReport.ts"
import type { Watched } from "./PoolStreams.ts"

/** One second's numbers by name. */
export type Second = Readonly<Record<Column, number>>

/** A pool that can be switched to. */
export interface Choice {
  readonly key: string
  readonly health: "pass" | "warn" | "fail"
}

/** The way to the server: being made, there, or lost since a time (wall time in milliseconds); or the pool itself has ended. */
export type Link =
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Live" }
  | { readonly _tag: "Lost"; readonly since: number; readonly reason: string }
  | { readonly _tag: "Ended"; readonly since: number }

export interface TopState {
  readonly place: string
  readonly pools: ReadonlyArray<Choice>
  readonly pool: string
  /** Here, when the last news came. */
  readonly at: number
  readonly link: Link
  readonly seconds: ReadonlyArray<Second>
  readonly report: Option.Option<PoolReport>
  /** The oldest first. */
  readonly events: ReadonlyArray<PoolEvent>
}

/** A piece of news. What is of a pool that is no longer looked at changes nothing. */
export type News =
  | { readonly _tag: "Pools"; readonly pools: ReadonlyArray<Choice> }
  | { readonly _tag: "Chosen"; readonly pool: string }
  | { readonly _tag: "Watched"; readonly pool: string; readonly at: number; readonly watched: Watched }
  | { readonly _tag: "Lost"; readonly pool: string; readonly at: number; readonly reason: string }

/** How far back the sparklines go. */
const secondsKept = 60

const eventsKept = 100

export const start = (place: string, pools: ReadonlyArray<Choice>, pool: string, at: number): TopState => ({
  place,
  pools,
  pool,
  at,
  link: { _tag: "Connecting" },
  seconds: [],
  report: Option.none(),
  events: []
})

const secondOf = ({ row }: Sample, names: ReadonlyArray<string>): Second => {
  const second = Object.fromEntries(frameColumns.map((name) => [name, 0])) as Record<string, number>
  names.forEach((name, place) => {
    if (Object.hasOwn(second, name)) second[name] = row[place] ?? 0
  })
  return second as Second
}

const remembered = (state: TopState, { columns, events, samples }: History): TopState => ({
  ...state,
  seconds: samples.slice(-secondsKept).map((sample) => secondOf(sample, columns)),
  events: events.slice(-eventsKept)
})

const watched = (state: TopState, news: Watched, at: number): TopState => {
  switch (news._tag) {
    case "History":
      return { ...remembered(state, news.history), at, link: { _tag: "Live" } }
    case "Ended":
      return { ...state, at, link: { _tag: "Ended", since: at } }
    case "Frame": {
      const { events, report, sample } = news.frame
      return {
        ...state,
        at,
        link: { _tag: "Live" },
        report: Option.some(report),
        seconds: [...state.seconds, secondOf(sample, frameColumns)].slice(-secondsKept),
        events: [...state.events, ...events].slice(-eventsKept)
      }
    }
  }
}

/** The state after that. */
export const after = (state: TopState, news: News): TopState => {
  switch (news._tag) {
    case "Pools":
      return { ...state, pools: news.pools }
    case "Chosen":
      return news.pool === state.pool ? state : start(state.place, state.pools, news.pool, state.at)
    case "Watched":
      return news.pool === state.pool ? watched(state, news.watched, news.at) : state
    case "Lost": {
      if (news.pool !== state.pool) return state
      const { link } = state
      // A pool that has ended stays ended, until it is back: to say that it cannot be found would say less.
      const since = link._tag === "Lost" || link._tag === "Ended" ? link.since : news.at
      return {
        ...state,
        at: news.at,
        link: link._tag === "Ended" ? link : { _tag: "Lost", since, reason: news.reason }
      }
    }
  }
}

/** The pool that a key stands for: tab the next, a digit the one with that number. */
export const keyed = ({ pool, pools }: TopState, key: { readonly name: string; readonly shift: boolean }): string => {
  if (/^[1-9]$/.test(key.name)) return pools[Number(key.name) - 1]?.key ?? pool
  if (key.name !== "tab" || pools.length === 0) return pool
  const place = pools.findIndex((one) => one.key === pool)
  return pools[(place + (key.shift ? pools.length - 1 : 1)) % pools.length]!.key
}
