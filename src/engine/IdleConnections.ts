import type { Connection } from "./Connection.ts"

/** Which of two is warmer: one proven since the last doubt before one that was not, then the one used last. */
const compareWarmth = <A>(self: Connection<A>, that: Connection<A>, doubt: number): number => {
  const isTrusted = self.proof === doubt
  if (isTrusted !== (that.proof === doubt)) return isTrusted ? 1 : -1
  return self.restsSince - that.restsSince
}

/**
 * The idle connections, warmest first. Borrowers take from the warm end and look no further: if any may be lent without a
 * check, it is the warmest. The cold end shows how many are not needed. Linked through the connections themselves, so
 * that lending and returning are O(1); one that comes back late, from a reset, passes those that came before it.
 */
export class IdleConnections<A> {
  warmest: Connection<A> | undefined = undefined
  coldest: Connection<A> | undefined = undefined
  length = 0

  /** Adds it before all that are not warmer, from the warm end: mostly that is where it goes. */
  addFromWarm(connection: Connection<A>, doubt: number): void {
    let colder = this.warmest
    while (colder !== undefined && compareWarmth(connection, colder, doubt) < 0) colder = colder.colder
    this.link(connection, colder === undefined ? this.coldest : colder.warmer, colder)
  }

  /** Adds it behind all that are not colder, from the cold end. */
  addFromCold(connection: Connection<A>, doubt: number): void {
    let warmer = this.coldest
    while (warmer !== undefined && compareWarmth(connection, warmer, doubt) > 0) warmer = warmer.warmer
    this.link(connection, warmer, warmer === undefined ? this.warmest : warmer.colder)
  }

  private link(connection: Connection<A>, warmer: Connection<A> | undefined, colder: Connection<A> | undefined): void {
    connection.warmer = warmer
    connection.colder = colder
    if (warmer === undefined) this.warmest = connection
    else warmer.colder = connection
    if (colder === undefined) this.coldest = connection
    else colder.warmer = connection
    this.length++
  }

  remove(connection: Connection<A>): void {
    if (connection.warmer === undefined) this.warmest = connection.colder
    else connection.warmer.colder = connection.colder
    if (connection.colder === undefined) this.coldest = connection.warmer
    else connection.colder.warmer = connection.warmer
    connection.warmer = undefined
    connection.colder = undefined
    this.length--
  }
}
