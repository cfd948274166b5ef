/**
 * How many connections the server has shown that it takes. "Too many connections" lowers it by a quarter of what is open, and
 * it rises by one every ten seconds (additive increase, multiplicative decrease): of many pools that share a server each
 * comes to a part of it, and none of them hammers.
 */
const lowerTo = 0.75
const raiseEvery = 10_000

export class ServerLimit {
  connections = Infinity
  private loweredAt = -Infinity
  private raisedAt = -Infinity

  /**
   * The server refused one that began at `begunAt`; says whether that was news. Those that were under way with it are none, and
   * where nothing is open it says nothing about how many it takes.
   */
  lower(open: number, least: number, begunAt: number, now: number): boolean {
    if (open === 0 || begunAt < this.loweredAt) return false
    const limit = Math.max(least, 1, Math.floor(lowerTo * open))
    this.loweredAt = now
    this.raisedAt = now
    if (limit >= this.connections) return false
    this.connections = limit
    return true
  }

  /** Time has passed; says whether the limit has risen. */
  raise(most: number, now: number): boolean {
    if (this.connections === Infinity || now < this.raisedAt + raiseEvery) return false
    this.raisedAt = now
    this.connections++
    if (this.connections >= most) this.connections = Infinity
    return true
  }
}
