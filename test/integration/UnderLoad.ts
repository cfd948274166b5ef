/**
 * A real server under load, and what its clients see of it being killed, frozen and cut off: the same for every kind of server. A fault is
 * played once and recorded; each test holds the record to one promise.
 */
import { assert, type Vitest } from "@effect/vitest"
import { type Context, Effect, Fiber, Layer, type Scope } from "effect"
import * as ConnectionPool from "../../src/ConnectionPool.ts"
import type { AcquireError } from "../../src/PoolError.ts"
import type { PoolStatus } from "../../src/PoolStatus.ts"
import { eventually } from "../support/Eventually.ts"
import type * as TcpProxy from "../support/TcpProxy.ts"

/** How many ask at the same time, unless a test says otherwise. */
const usualClients = 40

/** For a busy machine. */
export const grace = 500

/** `TimeoutError` is the client's own impatience, `wrong` an answer to somebody else's question; the rest are the driver's. */
export type Outcome =
  | "success"
  | "wrong"
  | "TimeoutError"
  | "SqlError"
  | "RedisError"
  | "SurrealDbError"
  | AcquireError["_tag"]

/** What one client asked for once, and what came of it. */
export interface Call {
  readonly nonce: number
  readonly kind: "query" | "transaction"
  readonly client: number
  readonly outcome: Outcome
  readonly askedAt: number
  readonly millis: number
}

/** All that is known of one fault when it is over. Times are those of `performance.now()`. */
export interface Story {
  readonly calls: ReadonlyArray<Call>
  readonly beganAt: number
  readonly endedAt: number
  /** When every client had had a success with something it asked for after the fault. */
  readonly recoveredAt: number
  /** When the pool tried to connect, as the proxy saw it. */
  readonly attempts: ReadonlyArray<number>
  /** How many sessions the fault has ended one by one. */
  readonly ended: number
  /** The most sessions the server had at once, without those that the client has ended and the server cannot know it. */
  readonly mostSessions: number
  /** Such sessions at the end. */
  readonly sessions: number
  /** The pool at rest after the load. */
  readonly status: PoolStatus
  /** How many of its two halves each transaction has left. */
  readonly halves: ReadonlyMap<number, number>
}

/** What the numbers of a story depend on, in milliseconds. */
export interface Settings {
  readonly minConnections: number
  readonly maxConnections: number
  readonly maxConnecting: number
  readonly acquireTimeout: number
  readonly connectTimeout: number
  readonly unavailableAfter: number
  readonly retry: { readonly initial: number; readonly factor: number; readonly max: number }
}

type Ask = (nonce: number) => Effect.Effect<unknown, { readonly _tag: Outcome }>

/** What clients ask for. */
export interface Questions {
  /** Default: 40. */
  readonly clients?: number
  /** Gives the number it was asked with. */
  readonly query: Ask
  /** Leaves two halves or none, and gives the number it was asked with. */
  readonly transaction: Ask
  /** How long a client rests after a success, for a server that is faster than a test has need of. */
  readonly rest?: number
}

/** What is different from server to server. */
export interface Stage<A, E, R> extends Questions {
  readonly pool: ConnectionPool.ConnectionPool<A>
  readonly proxy: TcpProxy.TcpProxy
  readonly settings: Settings
  readonly fault: Effect.Effect<unknown, E, R>
  /** How many sessions the server has for the pool, of those that are not behind a cut; over a connection that is there. */
  readonly sessions: Effect.Effect<number, E, R>
  /** Counts such sessions for ever, through the server's outages too. */
  readonly watch: (note: (sessions: number) => void) => Effect.Effect<unknown, E, R>
  /** It came to cancel a statement: no attempt of the pool's. */
  readonly isCancel?: (attempt: TcpProxy.Attempt) => boolean
  readonly ended: () => number
  readonly halves: Effect.Effect<ReadonlyMap<number, number>, E, R>
  /** So many leases before the fault begins. */
  readonly warm?: number
}

/** Clients that never stop asking, one question at a time each, until the load ends. */
export const startLoad = Effect.fnUntraced(function* ({
  clients = usualClients,
  query,
  rest = 0,
  transaction
}: Questions) {
  const calls: Array<Call> = []
  let isOver = false
  let lastNonce = 0

  const ask = Effect.fnUntraced(function* (client: number) {
    const nonce = ++lastNonce
    const kind = nonce % 2 === 0 ? "query" : "transaction"
    const askedAt = performance.now()
    const outcome: Outcome = yield* (kind === "query" ? query : transaction)(nonce).pipe(
      Effect.map((answer) => (answer === nonce ? "success" : "wrong")),
      Effect.catch((error) => Effect.succeed(error._tag))
    )
    calls.push({ nonce, kind, client, outcome, askedAt, millis: performance.now() - askedAt })
    // Whoever is refused at once does not ask again at once.
    const pause = outcome === "success" ? rest : 10
    if (pause > 0) yield* Effect.sleep(pause)
  })
  const fibers = yield* Effect.forEach(Array.from({ length: clients }), (_, client) =>
    Effect.forkChild(Effect.whileLoop({ while: () => !isOver, body: () => ask(client), step() {} }))
  )
  const end = Effect.suspend(() => {
    isOver = true
    return Effect.forEach(fibers, Fiber.join, { discard: true })
  })
  return { calls, end }
})

/** Waits until every client has been served with something it asked for after `time`, or could have been long ago. */
export const everyClientServed = (calls: ReadonlyArray<Call>, time: number, clients = usualClients) => {
  const served = Effect.sync(() => {
    const successes = calls.filter(({ askedAt, outcome }) => askedAt >= time && outcome === "success")
    return new Set(successes.map(({ client }) => client)).size
  })
  return Effect.ignore(eventually(served, (count) => count === clients, "10 seconds"))
}

/** Plays a fault under load, and goes on until everything is well again or has had the time to be. */
export const play = Effect.fnUntraced(function* <A, E, R>(stage: Stage<A, E, R>) {
  const { ended, fault, halves, isCancel = () => false, pool, proxy, sessions, settings, warm = 500, watch } = stage
  let mostSessions = 0
  yield* Effect.forkScoped(
    watch((count) => {
      mostSessions = Math.max(mostSessions, count)
    })
  )
  const load = yield* startLoad(stage)
  const isWarm = ({ inUse, released }: PoolStatus) => released > warm && inUse === settings.maxConnections
  yield* eventually(ConnectionPool.status(pool), isWarm, "10 seconds")

  const beganAt = performance.now()
  yield* fault
  const endedAt = performance.now()
  yield* everyClientServed(load.calls, endedAt, stage.clients)
  const recoveredAt = performance.now()
  // Some more of the load, for whatever comes late.
  yield* Effect.sleep(300)
  yield* load.end

  yield* Effect.ignore(
    eventually(ConnectionPool.status(pool), ({ idle, total }) => idle === total && total >= settings.minConnections)
  )
  const both = Effect.all({ status: ConnectionPool.status(pool), sessions })
  yield* Effect.ignore(eventually(both, ({ sessions, status }) => status.total === sessions))
  const story: Story = {
    ...(yield* both),
    calls: load.calls,
    beganAt,
    endedAt,
    recoveredAt,
    attempts: proxy.attempts.filter((attempt) => !isCancel(attempt)).map(({ at }) => at),
    ended: ended(),
    mostSessions,
    halves: yield* halves
  }
  return story
})

/** What a test can do to its server. */
export interface Faulty {
  readonly start: Effect.Effect<void, unknown>
  readonly kill: Effect.Effect<void>
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

/** Whatever the test finds, there must be a server for the next one. */
export const killAndRestart = (server: Faulty, awayMillis: number): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.suspend(() => {
    let isDown = true
    const restart = Effect.suspend(() => {
      if (!isDown) return Effect.void
      isDown = false
      return server.start
    })
    return Effect.acquireRelease(server.kill, () => Effect.orDie(restart)).pipe(
      Effect.andThen(Effect.sleep(awayMillis)),
      Effect.andThen(restart)
    )
  })

export const freezeAndThaw = (server: Faulty, millis: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(server.freeze, () => server.thaw).pipe(
    Effect.andThen(Effect.sleep(millis)),
    Effect.andThen(server.thaw)
  )

export const cutAndHeal = ({ cut, heal }: TcpProxy.TcpProxy, millis: number): Effect.Effect<void> =>
  cut("mute").pipe(Effect.andThen(Effect.sleep(millis)), Effect.andThen(heal))

export const cutForGood = ({ cut, healForNewcomers }: TcpProxy.TcpProxy, millis: number): Effect.Effect<void> =>
  cut("mute").pipe(Effect.andThen(Effect.sleep(millis)), Effect.andThen(healForNewcomers))

export const resetAndRefuse = ({ cut, heal, reset }: TcpProxy.TcpProxy, millis: number): Effect.Effect<void> =>
  cut("reset").pipe(Effect.andThen(reset), Effect.andThen(Effect.sleep(millis)), Effect.andThen(heal))

/** How many attempts to connect there were, and may have been. */
export type Attempts = (story: Story) => { readonly made: number; readonly allowed: number }

/** How many steps of the retry schedule fit in a time, if every attempt takes so long to fail. */
export const stepsWithin = (
  { factor, initial, max }: Settings["retry"],
  millis: number,
  attemptMillis: number
): number => {
  let steps = 0
  let delay = initial
  for (let at = attemptMillis + delay; at <= millis; at += attemptMillis + delay) {
    steps++
    delay = Math.min(delay * factor, max)
  }
  return steps
}

/** The attempts during an outage: one first burst, until the first of them has failed, and then one for each step. */
export const byRetrySchedule =
  ({ maxConnecting, retry }: Settings, attemptMillis: number, spare = 0): Attempts =>
  ({ attempts, beganAt, endedAt }) => {
    const made = attempts.filter((at) => at >= beganAt && at < endedAt)
    const outage = endedAt - (made[0] ?? endedAt)
    // The proxy sees the first attempt a little after it was made.
    return { made: made.length, allowed: maxConnecting + spare + stepsWithin(retry, outage + 50, attemptMillis) }
  }

/**
 * The attempts of the whole story: one for every place, and one for every session that was ended. `spare` is for what a busy machine
 * has no time to check.
 */
export const onePerSession =
  ({ maxConnections }: Settings, spare = 0): Attempts =>
  ({ attempts, ended }) => ({ made: attempts.length, allowed: maxConnections + ended + spare })

export interface Expectation {
  /** What some of the callers must have met, or the fault was none. */
  readonly met: ReadonlyArray<Outcome>
  /** What any caller may meet. */
  readonly permitted: ReadonlyArray<Outcome>
  readonly attempts: Attempts
  /** The longest that anybody may wait between asking and hearing, in milliseconds. */
  readonly longest: (story: Story) => number
  /** So many transactions must have come through, or the story says nothing. */
  readonly committed: number
}

type Service<Id> = Context.Key<Id, Story>

/** Plays a story once, and holds it to its promises. */
export const promises = <R, Id, E>(
  it: Vitest.MethodsNonLive<R>,
  name: string,
  played: Service<Id>,
  story: Effect.Effect<Story, E, R | Scope.Scope>,
  settings: Settings,
  { attempts, committed: fewest, longest, met, permitted }: Expectation
): void =>
  it.layer(Layer.effect(played, story), { timeout: "30 seconds" })(name, (it) => {
    const holds = (promise: string, test: (story: Story) => void) =>
      it.effect(promise, () => Effect.map(played as Effect.Effect<Story, never, Id>, test))

    holds("gives every caller its own answer or a typed error", ({ calls }) => {
      const outcomes = new Set(calls.map(({ outcome }) => outcome))
      assert.includeMembers(["success", ...permitted], [...outcomes])
    })

    holds("lets callers feel it", ({ calls }) => {
      assert.includeMembers([...new Set(calls.map(({ outcome }) => outcome))], [...met])
    })

    holds("lets nobody wait beyond the timeouts", (story) => {
      const waited = Math.max(...story.calls.map(({ millis }) => millis))
      assert.isAtMost(waited, longest(story) + grace)
    })

    // An attempt that has begun when the fault ends may still run out of time, and then the longest step has to pass.
    holds("serves every client again soon after its end", ({ endedAt, recoveredAt }) => {
      assert.isAtMost(recoveredAt - endedAt, settings.connectTimeout + settings.retry.max + grace)
    })

    holds("fails nobody any more once every client has been served", ({ calls, recoveredAt }) => {
      const failed = calls.filter(({ askedAt, outcome }) => askedAt >= recoveredAt && outcome !== "success")
      assert.deepStrictEqual(failed, [])
    })

    holds("makes no more attempts to connect than it may", (story) => {
      const { allowed, made } = attempts(story)
      assert.isAtMost(made, allowed)
    })

    holds("never has more sessions on the server than connections are allowed", ({ mostSessions }) => {
      assert.isAbove(mostSessions, 1)
      assert.isAtMost(mostSessions, settings.maxConnections)
    })

    holds("leaves no half of a transaction behind", ({ halves }) => {
      assert.deepStrictEqual(
        [...halves].filter(([, count]) => count !== 2),
        []
      )
    })

    holds("loses no transaction that a client saw committed", ({ calls, halves }) => {
      const committed = calls.filter(({ kind, outcome }) => kind === "transaction" && outcome === "success")
      assert.isAbove(committed.length, fewest)
      assert.deepStrictEqual(
        committed.filter(({ nonce }) => !halves.has(nonce)),
        []
      )
    })

    holds("leaks nothing", ({ status }) => {
      const { acquired, closed, created, inUse, released, total, waiting } = status
      assert.deepStrictEqual(
        { inUse, waiting, released, total },
        { inUse: 0, waiting: 0, released: acquired, total: created - closed }
      )
    })

    holds("has as many connections in the end as the server has sessions", ({ sessions, status }) => {
      assert.strictEqual(sessions, status.total)
    })
  })
