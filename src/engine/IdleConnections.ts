import type { Connection } from "./Connection.ts"

/**
 * The idle connections, warmest (most recently used) first. Borrowers take from the warm end, so that the cold end
 * shows how many are not needed. Linked through the connections themselves: every operation is O(1) and allocates
 * nothing.
 */
export class IdleConnections<A> {
  warmest: Connection<A> | undefined = undefined
  coldest: Connection<A> | undefined = undefined
  length = 0

  addWarmest(connection: Connection<A>): void {
    connection.warmer = undefined
    connection.colder = this.warmest
    if (this.warmest === undefined) this.coldest = connection
    else this.warmest.warmer = connection
    this.warmest = connection
    this.length++
  }

  addColdest(connection: Connection<A>): void {
    connection.colder = undefined
    connection.warmer = this.coldest
    if (this.coldest === undefined) this.warmest = connection
    else this.coldest.colder = connection
    this.coldest = connection
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
