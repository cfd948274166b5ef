import type { SizingDecision } from "./SizingPolicy.ts"

/**
 * A decision of one of the policies that come with the pool. Its reason is put into words only when somebody reads it: one that
 * opens nothing is made with every caller who joins a line.
 */
export abstract class HouseDecision implements SizingDecision {
  readonly connections: number
  readonly isCeiling: boolean

  constructor(connections: number, isCeiling = false) {
    this.connections = connections
    this.isCeiling = isCeiling
  }

  abstract get reason(): string
}
