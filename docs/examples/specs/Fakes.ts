import { Effect } from "effect"
import type { Connection } from "./Orders.ts"

/** A connection to a database that has order 7 and takes 10 ms for an answer. */
export const fakeConnection: Connection = {
  query: (_, [id]) => Effect.delay(Effect.succeed(id === 7 ? [{ id: 7, customer: "Ada" }] : []), "10 millis")
}
