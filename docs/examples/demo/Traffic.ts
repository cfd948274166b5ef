import { Context, Layer } from "effect"

/** What callers saw: kept in plain numbers, and read once a second. */
export class Traffic extends Context.Service<
  Traffic,
  {
    requests: number
    succeeded: number
    readonly failures: Record<string, number>
    /** The longest any request took, in milliseconds: nothing may hang. */
    slowestMillis: number
    lastSuccessAt: number
    /** Times that requests waited for a connection since the last row of the table, in milliseconds. */
    waits: Array<number>
  }
>()("demo/Traffic") {
  static readonly layer = Layer.sync(Traffic, () => ({
    requests: 0,
    succeeded: 0,
    failures: {},
    slowestMillis: 0,
    lastSuccessAt: 0,
    waits: []
  }))
}

export const percentile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
