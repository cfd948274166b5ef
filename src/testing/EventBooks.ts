import type { PoolEvent } from "../PoolEvent.ts"

/** Reads a pool's events as anyone may, and holds each start against its end. */
export class EventBooks {
  /** What began and has not ended, by kind and number. */
  private readonly begun = new Set<string>()
  private readonly ended = new Set<string>()
  private readonly twice: Array<string> = []
  /** Some were missed: of what began or ended meanwhile nothing is known. */
  private isIncomplete = false

  note(event: PoolEvent): void {
    switch (event._tag) {
      case "AcquireStarted":
        return this.begins(`acquire ${event.acquire}`)
      case "AcquireFailed":
        return this.ends(`acquire ${event.acquire}`)
      case "Acquired":
        this.ends(`acquire ${event.acquire}`)
        return this.begins(`lease ${event.lease}`)
      case "Released":
        return this.ends(`lease ${event.lease}`)
      case "ConnectionCreated":
        return this.begins(`connection ${event.connection}`)
      case "ConnectionClosed":
        return this.ends(`connection ${event.connection}`)
      case "EventsMissed":
        this.isIncomplete = true
    }
  }

  /** What is wrong when the last event has been read. */
  get contradictions(): ReadonlyArray<string> {
    if (this.isIncomplete) return []
    return [...this.twice, ...Array.from(this.begun, (what) => `${what} began, and no event says that it ended`)]
  }

  private begins(what: string): void {
    if (this.begun.has(what) || this.ended.has(what)) this.twice.push(`${what} began a second time`)
    this.begun.add(what)
  }

  private ends(what: string): void {
    if (this.ended.has(what)) this.twice.push(`${what} ended a second time`)
    this.begun.delete(what)
    this.ended.add(what)
  }
}
