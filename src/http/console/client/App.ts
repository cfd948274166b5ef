/** What the parts of the page share. */
import type { Bar, Column, Connection, Fact, PoolList, Report, Sample } from "./Api.ts"

/** How it stands with the stream: `denied` until there is a token, `ended` when the pool is gone. */
export type Link = "connecting" | "live" | "lost" | "denied" | "ended"

/** What the server said to a request: `words` is the answer for people, also of a problem. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly words: string
}

/** A drawing surface of the size it has on the page. */
export interface Surface {
  readonly pen: CanvasRenderingContext2D
  readonly width: number
  readonly height: number
}

export interface Bin {
  readonly at: number
  readonly samples: ReadonlyArray<Sample>
}

/** A chart with time to the right, from `from` to `to`, within these edges of its surface. */
export interface Plot extends Surface {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
  readonly from: number
  readonly to: number
  readonly x: (at: number) => number
  /** The samples in it, put together so that each has some room; the last of each is its time. */
  readonly bins: ReadonlyArray<Bin>
}

/**
 * What a chart shows of each second, drawn so that it can be told from the others without its colour: an area, filled or hatched,
 * a line, or a cross.
 */
export type Series = readonly [
  name: string,
  column: Column,
  color: string,
  look: "area" | "hatch" | "solid" | "dashed" | "dotted" | "cross"
]

/**
 * A column of a table: its heading, what it is sorted by, and how that is written, which stands to the right as numbers do. What
 * is more than a text, `cell` writes.
 */
export type TableColumn<A> = readonly [
  name: string,
  of?: ((item: A) => number | string | undefined) | undefined,
  as?: ((value: number) => string) | undefined,
  cell?: (item: A, cell: HTMLElement) => void
]

/** An event of the page, with what is asked of it. */
export interface PageEvent extends Event {
  readonly target: HTMLElement
  readonly key: string
  readonly clientX: number
}

/** Something to say of something, or nothing. */
export type Pair = readonly [term: string, text: string | false | undefined]

/** One pool as it was last heard of. `history` replaces all of it, each `frame` adds to it. */
export interface View {
  columns: ReadonlyArray<string>
  waitBounds: ReadonlyArray<number>
  samples: Array<Sample>
  bars: Map<string, Bar>
  facts: Array<Fact>
  /** When each connection was closed, and why. */
  closed: Map<number, Fact>
  omitted: number
  report: Report | undefined
}

/** Each `install` function of this folder adds its part; the ones before it are there already. */
export interface App {
  // Elements.ts
  find: (id: string) => HTMLElement
  el: <K extends keyof HTMLElementTagNameMap>(
    tag: K,
    attributes?: Readonly<Record<string, string>>,
    ...children: ReadonlyArray<Node | string>
  ) => HTMLElementTagNameMap[K]
  on: (target: EventTarget, types: string, listener: (event: PageEvent) => void) => void
  /** Changes the text only if it is another one: what is selected stays so. */
  write: (node: Element, text: string) => void
  /** The same, for what may be too long to be seen as a whole. */
  tip: (node: Element, text: string) => void
  set: (id: string, text: string | false | 0 | undefined) => void
  mark: (node: Element, name: string, value: string | false | undefined) => void
  /** Marks it as trouble, or takes the mark away. */
  flag: (node: Element, isBad: unknown) => void
  /** As many children as items, each of this shape: its tag, and those of its parts. */
  list: <A>(
    id: string,
    shape: string,
    items: ReadonlyArray<A>,
    update: (item: A, node: HTMLElement, ...parts: ReadonlyArray<HTMLElement>) => void
  ) => void
  lines: (id: string, texts: ReadonlyArray<string>) => void
  /** Terms and what there is to say of each; those of which there is nothing are left out. */
  pairs: (id: string, pairs: ReadonlyArray<Pair>) => void
  /** It is sorted by the column `first` to begin with, the largest first. */
  table: <A>(
    id: string,
    first: number,
    empty: string,
    keyOf: (item: A) => number | string,
    ...columns: ReadonlyArray<TableColumn<A>>
  ) => (items: ReadonlyArray<A>) => void
  /** Makes a bar of an element. */
  fill: (bar: HTMLElement, share: number, color: string) => void
  color: (name: string) => string
  surface: (canvas: HTMLCanvasElement) => Surface
  // Words.ts
  millis: (millis: number) => string
  number: (value: number) => string
  percent: (share: number) => string
  time: (at: number) => string
  /** `3 leases`, `1 lease`. */
  many: (count: number, what: string) => string
  /** `held-too-long` and `maxLifetime` as people write them. */
  phrase: (name: string) => string
  factWords: (fact: Fact) => string
  isTrouble: (fact: Fact) => boolean
  /** What the facts about the size are called. */
  sizing: RegExp
  symbols: Readonly<Record<"pass" | "warn" | "fail", string>>
  // Feed.ts
  view: View
  key: string | undefined
  /** Kept here and nowhere else. */
  token: string
  link: Link
  /** Says on the page how it stands with the stream. */
  tell: (link: Link, words: string) => void
  /** Asks the API for something under `./pools`. */
  call: (path: string, body?: unknown) => Promise<Answer>
  watch: (key: string) => void
  retry: () => void
  /** The last so many seconds. */
  recent: (seconds: number) => ReadonlyArray<Sample>
  now: () => number
  // Pools.ts
  actions: PoolList["actions"]
  start: () => void
  // Plots.ts
  plot: (id: string, series: ReadonlyArray<Series>, paint: (plot: Plot) => void) => void
  hatch: (pen: CanvasRenderingContext2D, color: string) => CanvasPattern
  // Lanes.ts
  operationName: (operation: string | undefined) => string
  operationColor: (operation: string | undefined) => string
  // Actions.ts
  evict: (connection: Connection) => void
  needToken: (isReading: boolean) => void
  // Main.ts
  readonly onRender: Array<(report: Report) => void>
  render: () => void
}
