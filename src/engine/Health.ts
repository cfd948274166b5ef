/** What is learned about connections: that they are alive, or dead, and what that says about the others. */
import type { Connection } from "./Connection.ts"
import type { Ledger } from "./Ledger.ts"
import { restored, settle } from "./Lending.ts"
import { failed } from "./Opening.ts"

export const checked = <A>(ledger: Ledger<A>, connection: Connection<A>, isAlive: boolean, now: number): void => {
  ledger.endCheck(connection, isAlive ? "alive" : "dead", now)
  if (isAlive) {
    connection.provenAt = now
    settle(ledger, connection, now)
  } else {
    foundDead(ledger, connection, now)
    ledger.close(connection, "checkFailed", now)
  }
}

export const resetDone = <A>(ledger: Ledger<A>, connection: Connection<A>, isDone: boolean, now: number): void => {
  ledger.endReset(connection, isDone, now)
  if (isDone) restored(ledger, connection, now)
  else ledger.close(connection, "resetFailed", now)
}

/** A connection ended by itself. */
export const died = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  if (connection.state === "closing" || connection.state === "closed" || connection.condemned !== undefined) return
  foundDead(ledger, connection, now)
  ledger.condemn(connection, "died", now)
}

/**
 * A connection was found dead. Whatever killed it may have killed the others, where a check can tell. And when one
 * after the other does nothing but open, as behind a proxy whose server is gone, that is no better than not opening.
 */
export const foundDead = <A>(ledger: Ledger<A>, connection: Connection<A>, now: number): void => {
  if (ledger.options.canCheck) ledger.doubt++
  if (ledger.outages.isDrop(connection.openedAt ?? now, now)) failed(ledger, connection, "transient", now)
}
