/**
 * Overload, and who is refused because of it.
 *
 * CoDel (Nichols and Jacobson, 2012), as DBConnection does it for connections: a line is no harm while it empties from time
 * to time. When over a whole interval even the shortest wait was longer than the target, the line is standing; from then on
 * those who have waited for twice the target are refused, so that the others are served while they still care.
 *
 * One thing is added. A standing line is overload only if more came than was served while it stood: a thousand fibers that
 * ask at once, or that ask again as soon as they were served, make a standing line and no overload, and refusing one of them
 * would help nobody.
 */
export interface SheddingOptions {
  /** The wait that may stand, and for how long it must stand to be called a standing line, in milliseconds. */
  readonly target: number
  readonly interval: number
}

export class Shedding {
  private readonly target: number
  private readonly interval: number
  private nextAt = 0
  private shortest = 0
  /** The line stands: over the last interval nobody waited for less than the target. */
  private isStanding = false
  /** How many had come and been served when it began to stand. */
  private cameBefore = 0
  private servedBefore = 0
  private came = 0
  private served = 0

  constructor({ interval, target }: SheddingOptions) {
    this.target = target
    this.interval = interval
  }

  /** More has come than was served since the line began to stand, by more than chance. */
  get isOverloaded(): boolean {
    if (!this.isStanding) return false
    const came = this.came - this.cameBefore
    const surplus = came - (this.served - this.servedBefore)
    return surplus > leastSurplus + byChance * Math.sqrt(came)
  }

  /**
   * Somebody who has waited for so long is the next to be served. Says whether he is to be refused instead. `came` and
   * `served` are the acquires there have been, and those that got a connection.
   */
  refuses(waited: number, came: number, served: number, now: number): boolean {
    this.came = came
    this.served = served
    if (now >= this.nextAt) {
      const stands = this.shortest > this.target
      if (stands && !this.isStanding) {
        this.cameBefore = came
        this.servedBefore = served
      }
      this.isStanding = stands
      this.nextAt = now + this.interval
      this.shortest = waited
      return false
    }
    if (waited < this.shortest) this.shortest = waited
    return waited > 2 * this.target && this.isOverloaded
  }

  /** Nobody waits any more. */
  lineEnded(): void {
    this.shortest = 0
    this.isStanding = false
  }
}

/** So much more may come than is served, and it is still chance: some, and two standard deviations of a random arrival. */
const leastSurplus = 4
const byChance = 2
