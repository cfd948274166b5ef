/** Waiting for ever: for a connection that oneself holds, without a deadline, or for one that a layer keeps. */
import { Context, Effect, Layer } from "effect"
import { ConnectionPool, type PoolError } from "effect-pool"
import { Db, say, tell, way } from "./Shop.ts"

// A connection inside a connection.

const findCustomer = Effect.fn("findCustomer")(() => Db.use((connection) => connection.query("customer")))

/** Wrong: it holds a connection, and what it calls wants another one. Two of these at the same time hold all there are. */
const findOrderNested = Effect.fn("findOrder")((id: number) =>
  Db.use((connection) => Effect.andThen(connection.query(`order ${id}`), findCustomer()))
)

/** Right: acquire once, and hand the connection down; or, as here, give it back before the next. */
const findOrder = Effect.fn("findOrder")(function* (id: number) {
  yield* Db.use((connection) => connection.query(`order ${id}`))
  return yield* findCustomer()
})

const twoAtOnce = (find: typeof findOrder) =>
  Effect.forEach([1, 2], (id) => tell(`order ${id}`, find(id)), { concurrency: 2, discard: true })

// No deadline.

/** Wrong: a line in which everybody waits for as long as it takes. The pool does not come to be. */
const noDeadline = way("wrong: no deadline", Effect.void, { acquireTimeout: "Infinity" }).pipe(
  Effect.catchTag("PoolConfigError", ({ message }) => say(`  ${message}`))
)

/** Right: the pool's deadline is for the connection; the one of the whole operation is its caller's. */
const inTime = Effect.gen(function* () {
  const slow = Db.use(() => Effect.sleep("1 hour"))
  yield* tell("order 1", Effect.as(Effect.timeout(slow, "200 millis"), "found"))
  const { inUse } = yield* Db.status
  yield* say(`  in use afterwards: ${inUse}`)
})

// A connection that a layer keeps.

interface Finding {
  readonly find: (id: number) => Effect.Effect<string, PoolError.AcquireError>
}

class Orders extends Context.Service<Orders, Finding>()("shop/Orders") {
  /** Wrong: the scope of a layer ends with the program, and so does what is acquired in it. */
  static readonly keeping = Layer.effect(
    Orders,
    Effect.gen(function* () {
      const connection = yield* Db.acquire
      return { find: (id: number) => connection.query(`order ${id}`) }
    })
  )

  /** Right: what the layer keeps is the pool. */
  static readonly borrowing = Layer.effect(
    Orders,
    Effect.gen(function* () {
      const pool = yield* Db
      return { find: (id: number) => ConnectionPool.use(pool, (connection) => connection.query(`order ${id}`)) }
    })
  )
}

const twoServices = <E>(layer: Layer.Layer<Orders, E, Db>) =>
  Effect.gen(function* () {
    yield* Layer.build(Layer.fresh(layer))
    yield* Layer.build(Layer.fresh(layer))
    yield* Effect.sleep("1 second")
    yield* tell("customer", findCustomer())
  })

export const waiting = Effect.gen(function* () {
  yield* way("wrong: a connection inside a connection", twoAtOnce(findOrderNested))
  yield* way("right: one connection at a time", twoAtOnce(findOrder))
  yield* noDeadline
  yield* way("right: a deadline for the connection, and one for the operation", inTime)
  yield* way("wrong: two layers keep a connection each", twoServices(Orders.keeping))
  yield* way("right: the layers keep the pool", twoServices(Orders.borrowing))
})
