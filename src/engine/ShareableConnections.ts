import type { Connection } from "./Connection.ts"

/**
 * The connections in use that have room for another lease, where connections are shared. First the one that gave a lease
 * back last: its server process has just become less busy, and a driver that pipelines sends what is asked for in answer to
 * one packet in one packet. Behind it the others, the one that was lent longest ago first, so that leases spread evenly.
 * Linked through the connections themselves, which while in use are in no other list.
 */
export class ShareableConnections<A> {
  first: Connection<A> | undefined = undefined
  private last: Connection<A> | undefined = undefined
  length = 0

  addFirst(connection: Connection<A>): void {
    connection.isShareable = true
    connection.warmer = undefined
    connection.colder = this.first
    if (this.first === undefined) this.last = connection
    else this.first.warmer = connection
    this.first = connection
    this.length++
  }

  addLast(connection: Connection<A>): void {
    connection.isShareable = true
    connection.warmer = this.last
    connection.colder = undefined
    if (this.last === undefined) this.first = connection
    else this.last.colder = connection
    this.last = connection
    this.length++
  }

  /** Takes it out, if it is in. */
  remove(connection: Connection<A>): void {
    if (!connection.isShareable) return
    const { colder, warmer } = connection
    if (warmer === undefined) this.first = colder
    else warmer.colder = colder
    if (colder === undefined) this.last = warmer
    else colder.warmer = warmer
    connection.isShareable = false
    connection.warmer = undefined
    connection.colder = undefined
    this.length--
  }
}
