import type { Connection } from "./Connection.ts"

/** How long a waiter counts on a check, in milliseconds: after that another connection is checked or opened for it. */
const patience = 100

interface Expected<A> {
  readonly connection: Connection<A>
  readonly overdueAt: number
}

/** The checks that waiters count on, in the order in which they become overdue. */
export class OverdueChecks<A> {
  private readonly expected: Array<Expected<A>> = []
  /** Checks for waiters that have become overdue, or failed, since the server last answered one or took a connection. */
  private unanswered = 0
  /** The last answer came when nobody counted on it any more: the server is slow, and not gone. */
  private isSlow = false

  /**
   * How many checks more than there are waiters are to run: as many as went unanswered. Where all connections are dead, that
   * doubles with each step, and nobody waits for one step per connection.
   */
  get extra(): number {
    return this.isSlow ? 0 : this.unanswered
  }

  expect(connection: Connection<A>, now: number): void {
    connection.checkOverdueAt = now + patience
    this.expected.push({ connection, overdueAt: connection.checkOverdueAt })
  }

  /** When the next one becomes overdue. Those that have ended meanwhile are let go on the way. */
  nextAt(): number {
    this.forgetEnded()
    return this.expected[0]?.overdueAt ?? Infinity
  }

  /** Takes those that are overdue, so that nobody counts on them any more, and says how many they were. */
  take(now: number): number {
    let count = 0
    for (this.forgetEnded(); now >= (this.expected[0]?.overdueAt ?? Infinity); this.forgetEnded()) {
      this.expected.shift()!.connection.isPromptCheck = false
      count++
    }
    this.unanswered += count
    return count
  }

  /** A check has failed before it was overdue. */
  failed(): void {
    this.unanswered++
  }

  /** A check was answered, after so long. */
  answered(took: number): void {
    this.unanswered = 0
    this.isSlow = took > patience
  }

  /** The server took a connection: it is not gone, whatever has become of older ones. */
  opened(): void {
    this.unanswered = 0
  }

  /** An entry is for one check: the connection may be in another one by now. */
  private forgetEnded(): void {
    for (let first = this.expected[0]; first !== undefined; first = this.expected[0]) {
      if (first.connection.isPromptCheck && first.connection.checkOverdueAt === first.overdueAt) return
      this.expected.shift()
    }
  }
}
