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
    return count
  }

  /** An entry is for one check: the connection may be in another one by now. */
  private forgetEnded(): void {
    for (let first = this.expected[0]; first !== undefined; first = this.expected[0]) {
      if (first.connection.isPromptCheck && first.connection.checkOverdueAt === first.overdueAt) return
      this.expected.shift()
    }
  }
}
