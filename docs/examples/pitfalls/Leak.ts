/** A leak: connections that are borrowed in a scope that lives for too long, and do not come back. */
import { Effect } from "effect"
import { Db, tell, way } from "./Shop.ts"

/** Wrong: the connection is borrowed until *the* scope closes, and that is whichever one its callers happen to have. */
const findOrderLeaking = Effect.fn("findOrder")(function* (id: number) {
  const connection = yield* Db.acquire
  return yield* connection.query(`order ${id}`)
})

/** Right: the scope is part of the operation, and ends with it. */
const findOrder = Effect.fn("findOrder")(function* (id: number) {
  const connection = yield* Db.acquire
  return yield* connection.query(`order ${id}`)
}, Effect.scoped)

const wrong = Effect.forEach([1, 2, 3], (id) => tell(`order ${id}`, findOrderLeaking(id)), { discard: true })

const right = Effect.forEach([1, 2, 3], (id) => tell(`order ${id}`, findOrder(id)), { discard: true })

export const leak = Effect.andThen(
  way("wrong: the connection goes back when the program ends", wrong),
  way("right: the connection goes back when the operation ends", right)
)
