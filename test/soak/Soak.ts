/** A thousand clients on ten connections for minutes, while the server is killed, frozen, and its sessions are ended one by one. */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { ConnectionPool } from "effect-pool"
import * as Bank from "./Bank.ts"

const clients = 1000
const connections = 10

/** What a pool is given in a soak: ten connections, and steps of the schedule that fit into minutes. */
export const poolConfig = {
  minConnections: 2,
  maxConnections: connections,
  acquireTimeout: "10 seconds",
  checkTimeout: "1 second",
  connectTimeout: "2 seconds",
  drainTimeout: "5 seconds",
  queryTimeout: "10 seconds",
  retry: { initial: "100 millis", max: "1 second" }
} as const

export interface Server {
  readonly start: Effect.Effect<void, unknown>
  readonly kill: Effect.Effect<void>
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

export interface Target {
  readonly name: string
  readonly server: Server
  readonly bank: Bank.Bank<unknown>
  readonly pool: ConnectionPool.ConnectionPool<never>
  /** Ends one of the pool's sessions, as an administrator does. */
  readonly endOne: Effect.Effect<unknown, unknown>
}

export interface Outcome {
  readonly name: string
  readonly done: number
  readonly failed: number
  readonly faults: number
  /** What should not be. Empty if all is well. */
  readonly wrong: ReadonlyArray<string>
}

/** In the end every server runs, and none is frozen. */
const whole = <A, E>(fault: Effect.Effect<A, E>): Effect.Effect<A, E> => Effect.uninterruptible(fault)

const faults = ({ endOne, server }: Target) =>
  [
    { every: "700 millis", fault: Effect.ignore(Effect.timeout(endOne, "2 seconds")) },
    {
      every: "20 seconds",
      fault: whole(Effect.andThen(server.kill, Effect.andThen(Effect.sleep("1 second"), Effect.orDie(server.start))))
    },
    {
      every: "13 seconds",
      fault: whole(Effect.andThen(server.freeze, Effect.andThen(Effect.sleep("1500 millis"), server.thaw)))
    }
  ] as const

/** Plays one kind of server for so many seconds. */
export const play = Effect.fn("soak")(function* (
  target: Target,
  seconds: number
): Effect.fn.Return<Outcome, unknown, Scope.Scope> {
  const { bank, name, pool } = target
  yield* bank.open
  const done: Array<string> = []
  const attempted = new Set<string>()
  const failures = new Map<string, number>()
  let isOver = false
  let played = 0

  const client = Effect.fnUntraced(function* (number: number) {
    for (let round = 0; !isOver; round++) {
      const entry = `${number}-${round}`
      const from = yield* Random.nextIntBetween(0, Bank.accounts - 1)
      const to = (from + (yield* Random.nextIntBetween(1, Bank.accounts - 1))) % Bank.accounts
      attempted.add(entry)
      const exit = yield* Effect.exit(bank.transfer(entry, from, to, 1))
      if (Exit.isSuccess(exit)) done.push(entry)
      else failures.set(nameOf(exit.cause), (failures.get(nameOf(exit.cause)) ?? 0) + 1)
      yield* Effect.sleep(yield* Random.nextIntBetween(1, 400))
    }
  })
  const running = yield* Effect.forEach(Array(clients).keys(), (number) => Effect.forkScoped(client(number)))
  const chaos = yield* Effect.forEach(faults(target), ({ every, fault }) =>
    Effect.forkScoped(
      Effect.repeat(
        Effect.tap(fault, () => Effect.sync(() => played++)),
        Schedule.spaced(every)
      )
    )
  )
  const telling = yield* Effect.forkScoped(
    Effect.repeat(
      Effect.suspend(() =>
        Console.log(`${name}: ${done.length} done, ${attempted.size - done.length} not, ${played} faults`)
      ),
      Schedule.spaced("15 seconds")
    )
  )
  yield* Effect.sleep(seconds * 1000)
  yield* Fiber.interruptAll([...chaos, telling])
  isOver = true
  yield* Fiber.awaitAll(running)

  const again = Schedule.upTo(Schedule.spaced("200 millis"), { duration: "20 seconds" })
  const sum = yield* Effect.retry(bank.sum, again)
  const book = new Set(yield* Effect.retry(bank.book, again))
  const { inUse, total, waiting } = yield* ConnectionPool.status(pool)
  const lost = done.filter((entry) => !book.has(entry))
  const invented = [...book].filter((entry) => !attempted.has(entry))
  const wrong = [
    ...(sum === Bank.total ? [] : [`the sum is ${sum} instead of ${Bank.total}`]),
    ...(lost.length === 0 ? [] : [`${lost.length} transfers were told to be done and are not in the book`]),
    ...(invented.length === 0 ? [] : [`${invented.length} entries that nobody made`]),
    ...(inUse === 0 && waiting === 0 ? [] : [`${inUse} connections in use and ${waiting} waiting in the end`]),
    ...(total <= connections ? [] : [`${total} connections`]),
    ...(done.length > 0 ? [] : ["nothing was done"]),
    ...(yield* ConnectionPool.audit(pool))
  ]
  const counts = [...failures].map(([reason, count]) => `${count} ${reason}`).join(", ")
  yield* Console.log(`${name}: failures: ${counts === "" ? "none" : counts}`)
  return { name, done: done.length, failed: attempted.size - done.length, faults: played, wrong }
})

/** The innermost name of what went wrong. */
const nameOf = (cause: Cause.Cause<unknown>): string => {
  let error: unknown = Cause.squash(cause)
  let name = "defect"
  for (let depth = 0; depth < 4 && typeof error === "object" && error !== null; depth++) {
    const { _tag, reason } = error as { readonly _tag?: string; readonly reason?: unknown }
    if (_tag !== undefined) name = _tag
    error = reason ?? (error as { readonly cause?: unknown }).cause
  }
  return name
}
