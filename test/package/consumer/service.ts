/** A small program of somebody else's: borrows, waits in vain, and looks. It is compiled and run where only `effect` and the package are installed. */
import { Context, Effect, Fiber, Layer } from "effect"
import { ConnectionPool, Connector, PoolConfig, PoolLayer } from "effect-pool"
import * as PoolError from "effect-pool/PoolError"
import type { PoolStatus } from "effect-pool/PoolStatus"

interface Session {
  readonly id: number
  readonly greet: (name: string) => Effect.Effect<string>
}

class Numbers extends Context.Service<Numbers, { next: number }>()("consumer/Numbers") {}

const sessions = Connector.make({
  name: "sessions",
  connect: Effect.gen(function* () {
    const numbers = yield* Numbers
    const id = numbers.next++
    const session: Session = { id, greet: (name) => Effect.succeed(`session ${id} greets ${name}`) }
    return yield* Effect.acquireRelease(Effect.succeed(session), () => Effect.void)
  })
})

class Sessions extends PoolLayer.Service<Sessions, Session>()("consumer/Sessions") {}

const SessionsLive = Sessions.layer(sessions, {
  minConnections: 1,
  maxConnections: 1,
  acquireTimeout: "50 millis"
}).pipe(Layer.provide(Layer.succeed(Numbers, { next: 1 })))

const greet = Effect.fn("greet")(function* (name: string) {
  const session = yield* Sessions.acquire
  return yield* session.greet(name)
}, Effect.scoped)

const say = (line: string) => Effect.sync(() => console.log(`> ${line}`))

const program = Effect.gen(function* () {
  yield* say(yield* greet("Ada"))
  yield* say(yield* Sessions.use((session) => session.greet("Grace")))
  const holder = yield* Effect.forkChild(Sessions.use(() => Effect.never))
  yield* Effect.yieldNow
  const error: PoolError.AcquireError = yield* Effect.flip(greet("nobody"))
  yield* Fiber.interrupt(holder)
  yield* say(`${error._tag} ${error.code}: ${error.message.split("\n")[0] ?? ""}`)
  yield* say(String(error instanceof PoolError.AcquireTimeout))
  const status: PoolStatus = yield* Sessions.status
  yield* say(`acquired ${status.acquired}, timed out ${status.timedOut}, of ${status.limit}`)
  const wrong = yield* Effect.flip(Effect.scoped(ConnectionPool.make(sessions, { maxConnections: 0 })))
  yield* say(wrong._tag)
  yield* say(`${PoolConfig.production.minConnections} to ${PoolConfig.production.maxConnections}`)
}).pipe(Effect.provide([SessionsLive, Layer.succeed(Numbers, { next: 1 })]))

Effect.runPromise(program).then(undefined, (error: unknown) => {
  console.log(`failed: ${String(error)}`)
})
